/* SPDX-License-Identifier: Apache-2.0 */

/* Links against an agent in a thread, and against ends of a socket pair that misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "host/link.h"
#include "host/test_agent.h"
#include "wire/hello.h"

#define LONG_MS 60000 /* no test waits for it */

static struct link_loop *loop;

static int setup(void **state)
{
    return link_loop_new(&loop, NULL);
}

static int teardown(void **state)
{
    link_loop_free(loop);
    return 0;
}

static struct link *open_link(int fd)
{
    struct link *l = NULL;
    struct err e = ERR_INIT;
    assert_int_equal(link_open(loop, fd, LONG_MS, &l, &e), 0);
    return l;
}

static struct link_wait until(int ms)
{
    return (struct link_wait){.deadline_ms = clock_mono_ms() + ms};
}

/* One GET; returns what link_run does, the status in *ret_status. */
static int get(struct link *l, const char *path, int wait_ms, int *ret_status, struct err *e)
{
    struct link_request rq = {.method = "GET", .path = path};
    struct link_wait w = until(wait_ms);
    int r = link_run(l, &rq, 1, &w, e);
    if (ret_status)
        *ret_status = rq.status;
    buf_done(&rq.answer);
    return r;
}

static void assert_works(struct link *l)
{
    struct err e = ERR_INIT;
    int status;
    assert_int_equal(get(l, "/v1/ready", LONG_MS, &status, &e), 0);
    assert_int_equal(status, 200);
}

/* Waits for an event that another thread makes, seen only by its effect. */
#define WAIT_FOR(condition)  \
    do {                     \
        while (!(condition)) \
            sched_yield();   \
    } while (0)

static size_t open_requests(struct link *l)
{
    struct link_stats st;
    link_get_stats(l, &st);
    return st.open_requests;
}

static void test_request(void **state)
{
    struct test_agent a;
    struct link *l = open_link(test_agent_start(&a, NULL));
    struct err e = ERR_INIT;
    int status;
    assert_works(l);
    assert_int_equal(get(l, "/v1/files?path=/none", LONG_MS, &status, &e), 0);
    assert_int_equal(status, 404);
    assert_false(link_ended(l, NULL));
    link_close(l);
    test_agent_stop(&a);
}

/* The rest of a former session lies in the stream, hellos are missed and then answered all at once.
 */
static void test_hello_in_a_used_stream(void **state)
{
    static const char rest[] =
        "\0\0\x12\x04\0\0\0\0\0HOLM/1 00112233445566778899aabbccddeeff\nHOLM/";
    struct test_agent_options o = {
        .before = rest, .before_len = sizeof(rest) - 1, .deaf_hellos = 2};
    struct test_agent a;
    struct link *l = open_link(test_agent_start(&a, &o));
    struct link_wait w = until(LONG_MS);
    assert_int_equal(link_wait_open(l, &w, NULL), 0);
    assert_works(l);
    link_close(l);
    test_agent_stop(&a);
}

static void socket_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

/* Something that talks, but is no agent. */
static void test_no_hello(void **state)
{
    int fds[2];
    socket_pair(fds);
    struct link *l = NULL;
    struct err e = ERR_INIT;
    assert_int_equal(link_open(loop, fds[1], 20, &l, &e), 0);
    assert_int_equal(write(fds[0], "login: \0\0HOLM/1 \n", 17), 17);
    assert_int_equal(get(l, "/v1/ready", LONG_MS, NULL, &e), -ENOTCONN);
    assert_int_equal(e.class, ERR_UNAVAILABLE);
    assert_string_equal(e.text, "the agent did not answer the hello");
    assert_true(link_ended(l, NULL));
    struct link_wait w = until(LONG_MS);
    assert_int_equal(link_wait_open(l, &w, &e), -ENOTCONN);
    link_close(l);
    close(fds[0]);
}

/* Answers the hello of a link, then says something else. */
static void hello_then(int fd, const void *data, size_t len)
{
    char line[HELLO_LINE_LEN];
    assert_int_equal(recv(fd, line, sizeof(line), MSG_WAITALL), sizeof(line));
    assert_int_equal(write(fd, line, sizeof(line)), sizeof(line));
    assert_int_equal(write(fd, data, len), len);
}

static void test_garbage_in_session(void **state)
{
    int fds[2];
    socket_pair(fds);
    struct link *l = open_link(fds[1]);
    static const char garbage[4096] = "\0\0\x10Kernel panic";
    hello_then(fds[0], garbage, sizeof(garbage));
    struct err e = ERR_INIT;
    assert_int_equal(get(l, "/v1/ready", LONG_MS, NULL, &e), -ENOTCONN);
    assert_int_equal(e.class, ERR_UNAVAILABLE);
    assert_int_equal(get(l, "/v1/ready", LONG_MS, NULL, &e), -ENOTCONN);
    link_close(l);
    close(fds[0]);
}

static void test_hang_up(void **state)
{
    int fds[2];
    socket_pair(fds);
    struct link *l = open_link(fds[1]);
    close(fds[0]);
    struct err e = ERR_INIT;
    assert_int_equal(get(l, "/v1/ready", LONG_MS, NULL, &e), -ENOTCONN);
    assert_int_equal(e.class, ERR_UNAVAILABLE);
    link_close(l);
}

static void test_deadline(void **state)
{
    struct test_agent a;
    struct link *l = open_link(test_agent_start(&a, NULL));
    struct err e = ERR_INIT;
    assert_works(l);
    assert_int_equal(get(l, "/v1/mute", 20, NULL, &e), -ETIMEDOUT);
    assert_int_equal(e.class, ERR_TIMEOUT);
    assert_int_equal(open_requests(l), 0);
    assert_works(l);
    link_close(l);
    test_agent_stop(&a);
}

static bool cancel_at_once(void *arg)
{
    ++*(int *)arg;
    return true;
}

static void test_cancel(void **state)
{
    struct test_agent a;
    struct link *l = open_link(test_agent_start(&a, NULL));
    struct link_request rq = {.method = "GET", .path = "/v1/mute"};
    int asked = 0;
    struct link_wait w = {clock_mono_ms() + LONG_MS, cancel_at_once, &asked};
    struct err e = ERR_INIT;
    assert_int_equal(link_run(l, &rq, 1, &w, &e), -ECANCELED);
    assert_int_equal(asked, 1);
    assert_works(l);
    buf_done(&rq.answer);
    link_close(l);
    test_agent_stop(&a);
}

static void test_answer_too_large(void **state)
{
    struct test_agent a;
    struct link *l = open_link(test_agent_start(&a, NULL));
    struct link_request rq = {.method = "GET", .path = "/v1/ready", .answer.max_bytes = 10};
    struct link_wait w = until(LONG_MS);
    struct err e = ERR_INIT;
    assert_int_equal(link_run(l, &rq, 1, &w, &e), -E2BIG);
    assert_int_equal(e.class, ERR_TOO_LARGE);
    assert_works(l);
    buf_done(&rq.answer);
    link_close(l);
    test_agent_stop(&a);
}

/* A thread with a batch of requests that are never answered. */
struct waiter {
    pthread_t thread;
    struct link *link;
    size_t n;
    _Atomic bool *cancel; /* NULL: never */
    int r;
    struct err e;
};

static bool is_set(void *arg)
{
    return *(_Atomic bool *)arg;
}

static void *waiter_main(void *arg)
{
    struct waiter *wt = arg;
    struct link_request rqs[LINK_BATCH_MAX] = {0};
    for (size_t i = 0; i < wt->n; i++)
        rqs[i] = (struct link_request){.method = "GET", .path = "/v1/mute"};
    struct link_wait w = until(LONG_MS);
    w.cancelled = wt->cancel ? is_set : NULL;
    w.arg = wt->cancel;
    wt->r = link_run(wt->link, rqs, wt->n, &w, &wt->e);
    for (size_t i = 0; i < wt->n; i++)
        buf_done(&rqs[i].answer);
    return NULL;
}

static void start(struct waiter *wt)
{
    assert_int_equal(pthread_create(&wt->thread, NULL, waiter_main, wt), 0);
}

static void test_close_under_requests(void **state)
{
    struct test_agent a;
    struct link *l = open_link(test_agent_start(&a, NULL));
    struct waiter wt[8];
    for (int i = 0; i < 8; i++) {
        wt[i] = (struct waiter){.link = l, .n = 2};
        start(&wt[i]);
    }
    WAIT_FOR(a.requests == 16);
    link_close(l);
    for (int i = 0; i < 8; i++) {
        pthread_join(wt[i].thread, NULL);
        assert_int_equal(wt[i].r, -ENOTCONN);
        assert_string_equal(wt[i].e.text, "the connection to the agent was closed");
    }
    test_agent_stop(&a);
}

static void test_full_link(void **state)
{
    struct test_agent a;
    struct link *l = open_link(test_agent_start(&a, NULL));
    struct waiter wt[AGENT_STREAMS_MAX / LINK_BATCH_MAX];
    _Atomic bool cancel = false;
    for (size_t i = 0; i < ARRAY_SIZE(wt); i++) {
        wt[i] = (struct waiter){.link = l, .n = LINK_BATCH_MAX, .cancel = &cancel};
        start(&wt[i]);
    }
    WAIT_FOR(open_requests(l) == AGENT_STREAMS_MAX);
    struct err e = ERR_INIT;
    assert_int_equal(get(l, "/v1/ready", 20, NULL, &e), -ETIMEDOUT);
    cancel = true;
    assert_works(l); /* waits for the room that the others leave */
    for (size_t i = 0; i < ARRAY_SIZE(wt); i++) {
        pthread_join(wt[i].thread, NULL);
        assert_int_equal(wt[i].r, -ECANCELED);
    }
    link_close(l);
    test_agent_stop(&a);
}

/* Two hundred guests, among them such that neither read nor answer, and such that only send. */
static void test_many_links(void **state)
{
    enum { N = 200 };
    static struct test_agent a[N];
    struct link *l[N], *dead[20];
    int ends[20][2];
    static const char noise[65536] = "noise";
    for (int i = 0; i < 20; i++) {
        socket_pair(ends[i]);
        dead[i] = open_link(ends[i][1]);
        if (i % 2)
            assert_true(send(ends[i][0], noise, sizeof(noise), MSG_DONTWAIT) > 0);
    }
    for (int i = 0; i < N; i++)
        l[i] = open_link(test_agent_start(&a[i], NULL));
    for (int i = 0; i < N; i++)
        assert_works(l[i]);
    for (int i = 0; i < N; i++) {
        link_close(l[i]);
        test_agent_stop(&a[i]);
    }
    for (int i = 0; i < 20; i++) {
        link_close(dead[i]);
        close(ends[i][0]);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_request),
        T(test_hello_in_a_used_stream),
        T(test_no_hello),
        T(test_garbage_in_session),
        T(test_hang_up),
        T(test_deadline),
        T(test_cancel),
        T(test_answer_too_large),
        T(test_close_under_requests),
        T(test_full_link),
        T(test_many_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
