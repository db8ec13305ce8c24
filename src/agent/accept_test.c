/* SPDX-License-Identifier: Apache-2.0 */

/* Connections out of the guest. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "agent/test_client.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/test.h"

#define PORT 8088

struct fixture {
    char address[32]; /* of the loopback network, the test's own */
    char path[96];
    struct test_client client;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    snprintf(f->address, sizeof(f->address), "127.%d.%d.%d", 77, getpid() / 250 % 250,
             getpid() % 250 + 1);
    snprintf(f->path, sizeof(f->path), "/v1/accept?port=%d&address=%s", PORT, f->address);
    test_client_start(&f->client, NULL);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    test_client_stop(&f->client);
    free(f);
    return 0;
}

static int connect_to(const struct fixture *f)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    inet_pton(AF_INET, f->address, &sa.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
        return fd;
    int r = -errno;
    close(fd);
    return r;
}

static void open_accept(struct fixture *f, struct test_request *q)
{
    q->method = "POST";
    q->path = f->path;
    test_request(&f->client, q, NULL, 0, false);
}

/* Once this is answered the agent has seen what was sent before. */
static void sync_with(struct fixture *f)
{
    auto_test_request struct test_request q = {.method = "GET", .path = "/v1/ready"};
    test_request(&f->client, &q, NULL, 0, true);
    test_wait_closed(&q);
}

static size_t wanted;

static bool has_answer(void *arg)
{
    const struct test_request *q = arg;
    return q->answer.len >= wanted || q->closed;
}

static void expect_answer(struct test_request *q, const char *want)
{
    wanted = strlen(want);
    test_pump(q->client, has_answer, q);
    assert_string_equal(want, buf_str(&q->answer));
}

static bool is_answered(void *arg)
{
    const struct test_request *q = arg;
    return q->status != 0;
}

static void test_both_ways(void **state)
{
    struct fixture *f = *state;
    auto_test_request struct test_request q = {0};
    char got[16];
    open_accept(f, &q);
    sync_with(f);
    auto_close int fd = connect_to(f);
    assert_true(fd >= 0);
    test_pump(&f->client, is_answered, &q);
    assert_int_equal(200, q.status);
    assert_int_equal(4, write(fd, "ping", 4));
    expect_answer(&q, "ping");
    test_send(&q, "pong", 4, false);
    sync_with(f);
    assert_int_equal(4, read(fd, got, sizeof(got)));
    assert_memory_equal("pong", got, 4);
    /* One end after the other, each seen by the other side. */
    assert_int_equal(0, shutdown(fd, SHUT_WR));
    test_send(&q, "more", 4, true);
    test_wait_closed(&q);
    assert_true(q.complete);
    assert_int_equal(4, read(fd, got, sizeof(got)));
    assert_int_equal(0, read(fd, got, sizeof(got)));
}

/* The body is sent, to its end, before anybody connects. */
static void test_sent_before(void **state)
{
    struct fixture *f = *state;
    auto_test_request struct test_request q = {0};
    char got[16];
    open_accept(f, &q);
    test_send(&q, "early", 5, true);
    sync_with(f);
    auto_close int fd = connect_to(f);
    assert_true(fd >= 0);
    test_pump(&f->client, is_answered, &q);
    assert_int_equal(5, read(fd, got, sizeof(got)));
    assert_int_equal(0, read(fd, got, sizeof(got)));
    assert_int_equal(3, write(fd, "yes", 3));
    assert_int_equal(0, shutdown(fd, SHUT_WR));
    test_wait_closed(&q);
    assert_true(q.complete);
    assert_string_equal("yes", buf_str(&q.answer));
}

/* Each request has a connection of its own, the one that waits longest the first; what comes when
 * none waits stays in the queue; the last request's end is the listener's. */
static void test_queue(void **state)
{
    struct fixture *f = *state;
    auto_test_request struct test_request one = {0}, two = {0}, three = {0};
    open_accept(f, &one);
    open_accept(f, &two);
    sync_with(f);
    int a = connect_to(f), b = connect_to(f), c = connect_to(f);
    assert_true(a >= 0 && b >= 0 && c >= 0);
    assert_int_equal(1, write(a, "a", 1));
    assert_int_equal(1, write(b, "b", 1));
    assert_int_equal(1, write(c, "c", 1));
    expect_answer(&one, "a");
    expect_answer(&two, "b");
    open_accept(f, &three);
    expect_answer(&three, "c");
    close(a);
    close(b);
    close(c);
    test_send(&one, NULL, 0, true);
    test_send(&two, NULL, 0, true);
    test_send(&three, NULL, 0, true);
    test_wait_closed(&one);
    test_wait_closed(&two);
    test_wait_closed(&three);
    sync_with(f);
    assert_int_equal(-ECONNREFUSED, connect_to(f));
}

/* A request that is taken back closes its connection. */
static void test_cancelled(void **state)
{
    struct fixture *f = *state;
    auto_test_request struct test_request q = {0};
    char c;
    open_accept(f, &q);
    sync_with(f);
    auto_close int fd = connect_to(f);
    test_pump(&f->client, is_answered, &q);
    agent_client_cancel(f->client.http, q.stream);
    q.closed = true;
    sync_with(f);
    assert_int_equal(0, read(fd, &c, 1));
    assert_int_equal(-ECONNREFUSED, connect_to(f));
}

static void test_large(void **state)
{
    struct fixture *f = *state;
    auto_test_request struct test_request q = {0};
    size_t size = 8 * MIB;
    auto_free char *data = malloc(size), *back = malloc(size);
    for (size_t i = 0; i < size; i++)
        data[i] = (char)(i * 2654435761u >> 15);
    open_accept(f, &q);
    sync_with(f);
    int fd = connect_to(f);
    pid_t echo = fork();
    if (echo == 0) { /* all that comes goes back, after its end */
        size_t n = 0;
        for (ssize_t r; (r = read(fd, back + n, size - n)) > 0;)
            n += (size_t)r;
        _exit(fd_write_all(fd, back, n) < 0);
    }
    close(fd);
    test_send(&q, data, size, true);
    test_wait_closed(&q);
    assert_true(q.complete);
    assert_int_equal(size, q.answer.len);
    assert_memory_equal(data, q.answer.data, size);
}

static void test_refusals(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *path;
        int status;
        const char *want;
    } rows[] = {
        {"/v1/accept", 400, "{\"error\":\"port is missing or 0\",\"field\":\"port\"}"},
        {"/v1/accept?port=65536", 400,
         "{\"error\":\"port must be a number of at most 65535\",\"field\":\"port\"}"},
        {"/v1/accept?port=1&address=host", 400,
         "{\"error\":\"address is none of IPv4 or IPv6\",\"field\":\"address\"}"},
        /* On a host no address is added. */
        {"/v1/accept?port=8088&address=192.0.2.1", 409,
         "{\"error\":\"listen at port 8088: Cannot assign requested address\"}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_test_request struct test_request q = {.method = "POST", .path = rows[i].path};
        test_request(&f->client, &q, "x", 1, true);
        test_wait_closed(&q);
        assert_string_equal(rows[i].want, buf_str(&q.answer));
        assert_int_equal(rows[i].status, q.status);
    }
}

#define ACCEPT_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ACCEPT_TEST(test_both_ways), ACCEPT_TEST(test_sent_before), ACCEPT_TEST(test_queue),
        ACCEPT_TEST(test_cancelled), ACCEPT_TEST(test_large),       ACCEPT_TEST(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
