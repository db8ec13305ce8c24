/* SPDX-License-Identifier: Apache-2.0 */

/* Streams over links, against an agent in a thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "host/link.h"
#include "host/test_agent.h"

#define LONG_MS 60000 /* no test waits for it */

static struct link_loop *loop;

struct fixture {
    struct test_agent agent;
    struct link *link;
};

static int setup(void **state)
{
    signal(SIGPIPE, SIG_IGN); /* the agent writes to links that are closed */
    return link_loop_new(&loop, NULL);
}

static int teardown(void **state)
{
    link_loop_free(loop);
    return 0;
}

static void start(struct fixture *f, const struct test_agent_options *options)
{
    assert_int_equal(link_open(loop, test_agent_start(&f->agent, options), LONG_MS, &f->link, NULL),
                     0);
}

static void stop(struct fixture *f)
{
    link_close(f->link);
    test_agent_stop(&f->agent);
}

static struct link_wait until(int ms)
{
    return (struct link_wait){.deadline_ms = clock_mono_ms() + ms};
}

static struct link_stream *open_stream(struct fixture *f, const char *method, const char *path)
{
    struct link_stream *s = NULL;
    struct link_wait w = until(LONG_MS);
    struct link_head head = {method, path, .has_body = strcmp(method, "GET") != 0};
    assert_int_equal(link_stream_open(f->link, &head, &w, &s, NULL), 0);
    return s;
}

static void write_all(struct link_stream *s, const void *data, size_t len)
{
    struct link_wait w = until(LONG_MS);
    struct err e = ERR_INIT;
    if (link_stream_write(s, data, len, &w, &e) < 0)
        fail_msg("%s", e.text);
}

static void end_body(struct link_stream *s)
{
    struct link_wait w = until(LONG_MS);
    assert_int_equal(link_stream_end(s, &w, NULL), 0);
}

static int status_of(struct link_stream *s)
{
    struct link_wait w = until(LONG_MS);
    int status = 0;
    assert_int_equal(link_stream_status(s, &w, &status, NULL), 0);
    return status;
}

static ssize_t read_some(struct link_stream *s, void *buf, size_t max, struct err *e)
{
    struct link_wait w = until(LONG_MS);
    return link_stream_read(s, buf, max, &w, e);
}

static void expect_bytes(struct link_stream *s, const char *want)
{
    char got[64] = {0};
    size_t n = 0;
    while (n < strlen(want)) {
        ssize_t r = read_some(s, got + n, sizeof(got) - 1 - n, NULL);
        assert_true(r > 0);
        n += (size_t)r;
    }
    assert_string_equal(got, want);
}

static void expect_end(struct link_stream *s)
{
    char c;
    assert_int_equal(read_some(s, &c, 1, NULL), 0);
    assert_int_equal(read_some(s, &c, 1, NULL), 0); /* and stays so */
}

static void test_both_ways(void **state)
{
    struct fixture f;
    start(&f, NULL);
    struct link_stream *s = open_stream(&f, "POST", "/v1/accept?port=1");
    assert_int_equal(status_of(s), 200);
    write_all(s, "hello", 5);
    expect_bytes(s, "hello");
    write_all(s, "", 0);
    write_all(s, "again", 5);
    expect_bytes(s, "again");
    end_body(s);
    expect_end(s);
    link_stream_free(s);
    stop(&f);
}

/* Reads in small pieces what comes in large ones. */
static void test_small_reads(void **state)
{
    static const char answer[] = "abcdefg";
    const struct test_agent_answer answers[] = {{"GET", "/v1/x", 200, answer, 0}, {0}};
    const struct test_agent_options o = {.answers = answers};
    struct fixture f;
    char c;
    start(&f, &o);
    struct link_stream *s = open_stream(&f, "GET", "/v1/x");
    for (size_t i = 0; answer[i]; i++) {
        assert_int_equal(read_some(s, &c, 1, NULL), 1);
        assert_int_equal(c, answer[i]);
    }
    expect_end(s);
    link_stream_free(s);
    stop(&f);
}

static void test_bad_status_has_a_body(void **state)
{
    struct fixture f;
    start(&f, NULL);
    struct link_stream *s = open_stream(&f, "GET", "/v1/files?path=/none");
    assert_int_equal(status_of(s), 404);
    expect_bytes(s, "not JSON");
    expect_end(s);
    link_stream_free(s);
    stop(&f);
}

/* The answer ends, the body goes on: as with a TCP connection that is shut down one way. */
static void test_half_close(void **state)
{
    struct fixture f;
    start(&f, NULL);
    struct link_stream *s = open_stream(&f, "POST", "/v1/accept?port=2");
    expect_bytes(s, "bye");
    expect_end(s);
    write_all(s, "still here", 10);
    end_body(s);
    while (!f.agent.heard_to_end)
        sched_yield();
    assert_int_equal(f.agent.heard, 10);
    link_stream_free(s);
    stop(&f);
}

/* An agent that has answered and wants no more resets the request: what came counts, what is sent
 * is refused. */
static void test_takes_no_more(void **state)
{
    const struct test_agent_answer answers[] = {{"PUT", "/v1/x", 507, "full", 0}, {0}};
    const struct test_agent_options o = {.answers = answers};
    static const char block[64 * 1024];
    struct fixture f;
    struct err e = ERR_INIT;
    start(&f, &o);
    struct link_stream *s = open_stream(&f, "PUT", "/v1/x");
    int r = 0;
    while (r == 0) {
        struct link_wait w = until(LONG_MS);
        r = link_stream_write(s, block, sizeof(block), &w, &e);
    }
    assert_int_equal(r, -EPIPE);
    assert_int_equal(e.class, ERR_CONFLICT);
    assert_int_equal(status_of(s), 507);
    expect_bytes(s, "full");
    expect_end(s);
    link_stream_free(s);
    stop(&f);
}

/* More than all windows, with a reader that is slower than the agent. */
static void test_bounded(void **state)
{
    struct fixture f;
    static char block[64 * 1024];
    struct link_stats st;
    start(&f, NULL);
    struct link_stream *s = open_stream(&f, "POST", "/v1/accept?port=1");
    int64_t sent = 0, came = 0;
    for (int i = 0; i < 200; i++) {
        memset(block, i, sizeof(block));
        write_all(s, block, sizeof(block));
        sent += (int64_t)sizeof(block);
        while (came < sent - (int64_t)(AGENT_WINDOW_BYTES / 2)) {
            ssize_t n = read_some(s, block, 1000, NULL);
            assert_true(n > 0);
            assert_int_equal((unsigned char)block[0], came / (int64_t)sizeof(block));
            came += n;
        }
    }
    end_body(s);
    for (ssize_t n; (n = read_some(s, block, sizeof(block), NULL)) > 0;)
        came += n;
    assert_true(came == sent);
    link_get_stats(f.link, &st);
    assert_true(st.queued_peak_bytes <= AGENT_WINDOW_BYTES);
    link_stream_free(s);
    stop(&f);
}

static void test_deadline(void **state)
{
    struct fixture f;
    struct err e = ERR_INIT;
    char c;
    int status;
    start(&f, NULL);
    struct link_stream *s = open_stream(&f, "POST", "/v1/accept?port=3");
    struct link_wait w = until(1);
    assert_int_equal(link_stream_status(s, &w, &status, &e), -ETIMEDOUT);
    assert_int_equal(e.class, ERR_TIMEOUT);
    assert_int_equal(link_stream_read(s, &c, 1, &w, &e), -ETIMEDOUT);
    link_stream_free(s);
    s = open_stream(&f, "POST", "/v1/accept?port=1"); /* nothing else has suffered */
    assert_int_equal(status_of(s), 200);
    link_stream_free(s);
    stop(&f);
}

static bool say_yes(void *arg)
{
    *(int *)arg += 1;
    return true;
}

static void test_cancelled(void **state)
{
    struct fixture f;
    struct err e = ERR_INIT;
    char c;
    int asked = 0;
    start(&f, NULL);
    struct link_stream *s = open_stream(&f, "POST", "/v1/accept?port=3");
    struct link_wait w = until(LONG_MS);
    w.cancelled = say_yes;
    w.arg = &asked;
    assert_int_equal(link_stream_read(s, &c, 1, &w, &e), -ECANCELED);
    assert_int_equal(asked, 1);
    link_stream_free(s);
    stop(&f);
}

static void *shut_down(void *arg)
{
    link_stream_shutdown(arg);
    return NULL;
}

static void test_shutdown(void **state)
{
    struct fixture f;
    struct err e = ERR_INIT;
    char c;
    pthread_t t;
    start(&f, NULL);
    struct link_stream *s = open_stream(&f, "POST", "/v1/accept?port=3");
    assert_int_equal(pthread_create(&t, NULL, shut_down, s), 0);
    assert_int_equal(read_some(s, &c, 1, &e), -ECANCELED);
    assert_int_equal(e.class, ERR_UNAVAILABLE);
    pthread_join(t, NULL);
    struct link_wait w = until(LONG_MS);
    assert_int_equal(link_stream_write(s, "x", 1, &w, &e), -ECANCELED);
    link_stream_free(s);
    stop(&f);
}

/* A writer whose agent takes nothing is woken as well. */
static void test_shutdown_of_writer(void **state)
{
    struct fixture f;
    struct err e = ERR_INIT;
    pthread_t t;
    static const char block[1024 * 1024];
    start(&f, NULL);
    struct link_stream *s = open_stream(&f, "POST", "/v1/accept?port=1");
    assert_int_equal(pthread_create(&t, NULL, shut_down, s), 0);
    int r = 0;
    while (r == 0) { /* it is sent back, and nobody reads that */
        struct link_wait w = until(LONG_MS);
        r = link_stream_write(s, block, sizeof(block), &w, &e);
    }
    assert_int_equal(r, -ECANCELED);
    pthread_join(t, NULL);
    link_stream_free(s);
    stop(&f);
}

/* What came before the agent hung up is delivered, then the error. */
static void test_agent_dies(void **state)
{
    struct fixture f;
    struct err e = ERR_INIT;
    char c;
    start(&f, NULL);
    struct link_stream *s = open_stream(&f, "POST", "/v1/accept?port=1");
    write_all(s, "hello", 5);
    expect_bytes(s, "hello");
    test_agent_stop(&f.agent);
    assert_int_equal(read_some(s, &c, 1, &e), -ENOTCONN);
    assert_string_equal(e.text, "the agent hung up");
    struct link_wait w = until(LONG_MS);
    assert_int_equal(link_stream_write(s, "x", 1, &w, &e), -ENOTCONN);
    link_stream_free(s);
    link_close(f.link);
}

/* The link is closed under a stream, which stays valid. */
static void test_link_closed(void **state)
{
    struct fixture f;
    struct err e = ERR_INIT;
    char c;
    start(&f, NULL);
    struct link_stream *s = open_stream(&f, "POST", "/v1/accept?port=1");
    link_close(f.link);
    assert_int_equal(read_some(s, &c, 1, &e), -ENOTCONN);
    assert_string_equal(e.text, "the connection to the agent was closed");
    link_stream_free(s);
    test_agent_stop(&f.agent);
}

static void test_reset_by_agent(void **state)
{
    struct fixture f;
    struct err e = ERR_INIT;
    char c;
    /* A head and then a reset: a body that was promised and does not come. */
    start(&f, NULL);
    struct link_stream *s = open_stream(&f, "POST", "/v1/reset");
    assert_int_equal(read_some(s, &c, 1, &e), -ENOTCONN);
    assert_string_equal(e.text, "the agent gave the request up");
    link_stream_free(s);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_small_reads),
        cmocka_unit_test(test_bad_status_has_a_body),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_takes_no_more),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_shutdown),
        cmocka_unit_test(test_shutdown_of_writer),
        cmocka_unit_test(test_agent_dies),
        cmocka_unit_test(test_link_closed),
        cmocka_unit_test(test_reset_by_agent),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
