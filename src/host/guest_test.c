/* SPDX-License-Identifier: Apache-2.0 */

/* The typed calls against an agent in a thread that answers well or badly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <sched.h>

#include "base/clock.h"
#include "base/limits.h"
#include "host/guest.h"
#include "host/test_agent.h"

#define LONG_MS 60000

static struct link_loop *loop;
static struct test_agent agent;
static struct link *guest;

static void begin(const struct test_agent_options *o)
{
    struct err e = ERR_INIT;
    assert_int_equal(link_loop_new(&loop, &e), 0);
    assert_int_equal(link_open(loop, test_agent_start(&agent, o), LONG_MS, &guest, &e), 0);
}

static int setup(void **state)
{
    begin(NULL);
    return 0;
}

static int teardown(void **state)
{
    link_close(guest);
    link_loop_free(loop);
    test_agent_stop(&agent);
    return 0;
}

static int64_t soon(void)
{
    return clock_mono_ms() + LONG_MS;
}

#define WAIT_FOR(condition)  \
    do {                     \
        while (!(condition)) \
            sched_yield();   \
    } while (0)

/* --- collecting a program's output --- */

struct output {
    struct buf all; /* "1:text " for each piece, or the bytes alone */
    bool bare;
    bool discard;
    int pause_us; /* after each piece: a slow reader */
    int fail_after;
    size_t bytes;
    size_t chunks;
    _Atomic bool begun;
};

static int collect(void *arg, int stream, const void *data, size_t len)
{
    struct output *o = arg;
    o->begun = true;
    o->bytes += len;
    o->chunks++;
    if (o->bare)
        buf_append(&o->all, data, len);
    else if (!o->discard)
        buf_printf(&o->all, "%d:%.*s ", stream, (int)len, (const char *)data);
    /* A reader that is slow in a way the scheduler decides. */
    for (int i = 0; i < o->pause_us; i++)
        sched_yield();
    return o->fail_after && o->chunks >= (size_t)o->fail_after ? -1 : 0;
}

struct run {
    char *argv[3];
    struct exec_spec spec;
    struct guest_exec x;
    struct exec_exit exit;
    struct output out;
    struct err e;
};

static int run(struct run *r, const char *program, const char *arg)
{
    r->argv[0] = (char *)program;
    r->argv[1] = (char *)arg;
    r->spec = (struct exec_spec){.argv = r->argv, .has_stdin = r->x.stdin_data != NULL};
    r->x.spec = &r->spec;
    r->x.output = collect;
    if (!r->x.arg)
        r->x.arg = &r->out;
    if (!r->x.deadline_ms)
        r->x.deadline_ms = soon();
    r->e = (struct err)ERR_INIT;
    return guest_exec(guest, &r->x, &r->exit, &r->e);
}

/* --- reports --- */

static void test_ready(void **state)
{
    struct agent_report report = {0};
    struct err e = ERR_INIT;
    assert_int_equal(guest_wait_ready(guest, soon(), &report, &e), 0);
    assert_string_equal(report.version, "test");
    assert_int_equal(guest_wait_ready(guest, soon(), NULL, NULL), 0);
}

static void test_restored(void **state)
{
    struct agent_report report = {0};
    struct err e = ERR_INIT;
    assert_int_equal(
        guest_restored(guest, &(struct link_wait){.deadline_ms = soon()}, NULL, &report, &e), 0);
    assert_true(report.reseeded);
    assert_int_equal(
        guest_restored(guest, &(struct link_wait){.deadline_ms = soon()}, NULL, NULL, NULL), 0);
}

static void refused_report(const struct test_agent_options *o, const char *text)
{
    begin(o);
    struct err e = ERR_INIT;
    struct agent_report report = {.protocol = 77};
    assert_int_equal(
        guest_restored(guest, &(struct link_wait){.deadline_ms = soon()}, NULL, &report, &e),
        -ENOTCONN);
    assert_int_equal(e.class, ERR_UNAVAILABLE);
    assert_non_null(strstr(e.text, text));
    assert_int_equal(report.protocol, 77);
    teardown(NULL);
}

static void test_restored_badly(void **state)
{
    refused_report(&(struct test_agent_options){.no_reseed = true}, "reseed");
    refused_report(&(struct test_agent_options){.clock_off_ns = 3600 * INT64_C(1000000000)},
                   "clock");
    refused_report(&(struct test_agent_options){.clock_off_ns = -3600 * INT64_C(1000000000)},
                   "clock");
    refused_report(&(struct test_agent_options){.bad_report = "{\"agent\": 1}"}, "makes no sense");
    refused_report(&(struct test_agent_options){.bad_report = "[["}, "makes no sense");
}

static void test_sync_and_power(void **state)
{
    struct err e = ERR_INIT;
    assert_int_equal(guest_sync(guest, soon(), &e), 0);
    assert_int_equal(guest_power(guest, false, soon(), &e), 0);
    assert_int_equal(guest_power(guest, true, soon(), &e), 0);
}

/* --- files --- */

static int to_buf(void *arg, const void *data, size_t len)
{
    return buf_append(arg, data, len);
}

static int refuse(void *arg, const void *data, size_t len)
{
    return -1;
}

static void test_files(void **state)
{
    static char big[3 << 20];
    memset(big, 'f', sizeof(big));
    struct guest_file f = {.path = "/a b/\xff%?&", .data = big, .len = sizeof(big), .mode = 0600};
    struct err e = ERR_INIT;
    assert_int_equal(guest_put_file(guest, &f, soon(), &e), 0);

    auto_buf struct buf b = {.max_bytes = 4 << 20}, c = {0}, small = {.max_bytes = 100};
    assert_int_equal(guest_get_file(guest, f.path, soon(), &b, &e), 0);
    assert_int_equal(b.len, sizeof(big));
    assert_memory_equal(b.data, big, sizeof(big));
    assert_int_equal(guest_get_file(guest, f.path, soon(), &small, &e), -E2BIG);

    struct guest_sink sink = {to_buf, &c, soon()};
    assert_int_equal(guest_get_file_to(guest, f.path, &sink, &e), 0);
    assert_int_equal(c.len, sizeof(big));
    sink.write = refuse;
    assert_int_equal(guest_get_file_to(guest, f.path, &sink, &e), -ECANCELED);
    sink.write = to_buf;
    assert_int_equal(guest_get_file_to(guest, "/none", &sink, &e), -ENOENT);
    assert_string_equal(e.text, "the agent answered 404"); /* its sentence was no JSON */
    assert_int_equal(c.len, sizeof(big));

    f.path = "/full";
    assert_int_equal(guest_put_file(guest, &f, soon(), &e), -E2BIG);
    assert_string_equal(e.text, "no space left");
    char longest[AGENT_PATH_MAX_BYTES + 1];
    memset(longest, 'p', sizeof(longest));
    longest[AGENT_PATH_MAX_BYTES] = '\0';
    f.path = longest;
    assert_int_equal(guest_put_file(guest, &f, soon(), &e), -EINVAL);
    assert_string_equal(e.field, "path");
}

/* --- programs --- */

static void test_exec(void **state)
{
    struct run r = {0};
    assert_int_equal(run(&r, "hello", NULL), 0);
    assert_string_equal(buf_str(&r.out.all), "1:out1 2:err 1:out2 ");
    assert_int_equal(r.exit.code, 0);
    assert_int_equal(r.exit.wall_us, 5);
    assert_true(r.x.started);
    assert_int_equal(run(&r, "exit", "42"), 0);
    assert_int_equal(r.exit.code, 42);
    buf_done(&r.out.all);
}

static void test_exec_stdin(void **state)
{
    static char data[3 << 20];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 31 >> 3);
    struct run r = {.x = {.stdin_data = data, .stdin_len = sizeof(data)}, .out.bare = true};
    assert_int_equal(run(&r, "cat", NULL), 0);
    assert_int_equal(r.out.all.len, sizeof(data));
    assert_memory_equal(r.out.all.data, data, sizeof(data));
    buf_done(&r.out.all);
}

/* A file larger than any window is there when the program that was sent with it starts. */
static void test_exec_sees_its_files(void **state)
{
    static char big[2 << 20];
    memset(big, 'g', sizeof(big));
    enum { N = 200 };
    struct guest_file files[N];
    static char names[N][16];
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof(names[i]), "/f%d", i);
        files[i] = (struct guest_file){.path = names[i], .data = "x", .len = i % 2};
    }
    files[N - 1].data = big;
    files[N - 1].len = sizeof(big);
    for (size_t n = 1; n <= N; n += n < 62 ? 61 : 1) { /* at the edges of a batch, and many */
        struct run r = {.x = {.files = files + N - n, .n_files = n}, .out.bare = true};
        assert_int_equal(run(&r, "read", names[N - 1]), 0);
        assert_int_equal(r.exit.code, 0);
        assert_int_equal(r.out.all.len, sizeof(big));
        assert_memory_equal(r.out.all.data, big, sizeof(big));
        buf_done(&r.out.all);
        if (n == 66)
            n = N - 1;
    }
}

static void test_file_error_wins(void **state)
{
    struct guest_file files[] = {{.path = "/ok", .data = "1", .len = 1},
                                 {.path = "/full", .data = "2", .len = 1},
                                 {.path = "/ok2"}};
    struct run r = {.x = {.files = files, .n_files = 3}};
    assert_int_equal(run(&r, "hello", NULL), -E2BIG);
    assert_string_equal(r.e.text, "no space left");
    assert_int_equal(run(&r, "nothing", NULL), -E2BIG);
    buf_done(&r.out.all);
}

static void test_exec_refused(void **state)
{
    struct run r = {.x.started = true};
    assert_int_equal(run(&r, "nothing", NULL), -ENOENT);
    assert_string_equal(r.e.text, "no ?[31msuch program");
    assert_false(r.x.started);
}

/* 64 MiB to a slow reader: the window holds the program back, so little waits here. */
static void test_flood_with_slow_reader(void **state)
{
    struct run r = {.out = {.discard = true, .pause_us = 3}};
    assert_int_equal(run(&r, "flood", "64"), 0);
    assert_int_equal(r.out.bytes, 64 * MIB);
    struct link_stats st;
    link_get_stats(guest, &st);
    assert_true(st.queued_peak_bytes > 0 && st.queued_peak_bytes <= AGENT_WINDOW_BYTES);
}

static bool is_begun(void *arg)
{
    return ((struct output *)arg)->begun;
}

static void test_cancel(void **state)
{
    struct run r = {.x.cancelled = is_begun};
    assert_int_equal(run(&r, "hang", NULL), -ECANCELED);
    assert_string_equal(buf_str(&r.out.all), "1:begun ");
    assert_true(r.x.started);
    WAIT_FOR(agent.killed == 1);

    struct run f = {.out = {.discard = true, .fail_after = 5}};
    assert_int_equal(run(&f, "flood", "64"), -ECANCELED);
    assert_int_equal(f.out.chunks, 5);
    WAIT_FOR(agent.killed == 2);
    buf_done(&r.out.all);
}

static void test_deadline(void **state)
{
    struct run r = {.x.deadline_ms = clock_mono_ms() + 20};
    assert_int_equal(run(&r, "hang", NULL), -ETIMEDOUT);
    assert_int_equal(r.e.class, ERR_TIMEOUT);
    struct guest_file mute = {.path = "/mute"};
    struct run m = {.x = {.files = &mute, .n_files = 1, .deadline_ms = clock_mono_ms() + 20}};
    assert_int_equal(run(&m, "hello", NULL), -ETIMEDOUT);
    buf_done(&r.out.all);
    buf_done(&m.out.all);
}

static void test_agent_dies(void **state)
{
    struct run r = {0};
    assert_int_equal(run(&r, "die", NULL), -ENOTCONN);
    assert_int_equal(r.e.class, ERR_UNAVAILABLE);
    assert_string_equal(buf_str(&r.out.all), "1:begun ");
    assert_true(r.x.started);
    assert_int_equal(run(&r, "hello", NULL), -ENOTCONN);
    assert_false(r.x.started);
    buf_done(&r.out.all);
}

static void test_bad_answers(void **state)
{
    static const struct {
        const char *program, *text;
    } rows[] = {
        {"vanish", "ended before the program did"},
        {"garbage", "makes no sense"},
        {"after", "a frame after the last one"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct run r = {.exit.code = 77};
        assert_int_equal(run(&r, rows[i].program, NULL), -ENOTCONN);
        assert_int_equal(r.e.class, ERR_UNAVAILABLE);
        assert_non_null(strstr(r.e.text, rows[i].text));
        assert_int_equal(r.exit.code, 77);
        buf_done(&r.out.all);
    }
    struct run good = {0};
    assert_int_equal(run(&good, "hello", NULL), 0);
    buf_done(&good.out.all);
}

static void *one_of_many(void *arg)
{
    struct run *r = arg;
    struct guest_file f = {.path = r->x.files->path, .data = "here", .len = 4};
    r->x.files = &f;
    r->x.n_files = 1;
    r->out.bare = true;
    int *failed = calloc(1, sizeof(*failed));
    *failed = run(r, "read", f.path) < 0 || r->out.all.len != 4;
    buf_done(&r->out.all);
    return failed;
}

static void test_hundred_at_once(void **state)
{
    enum { N = 100 };
    static struct run runs[N];
    static char names[N][16];
    static struct guest_file files[N];
    pthread_t threads[N];
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof(names[i]), "/t%d", i);
        files[i].path = names[i];
        runs[i] = (struct run){.x.files = &files[i]};
        assert_int_equal(pthread_create(&threads[i], NULL, one_of_many, &runs[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_int_equal(*(int *)failed, 0);
        free(failed);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_ready),
        T(test_restored),
        cmocka_unit_test(test_restored_badly),
        T(test_sync_and_power),
        T(test_files),
        T(test_exec),
        T(test_exec_stdin),
        T(test_exec_sees_its_files),
        T(test_file_error_wins),
        T(test_exec_refused),
        T(test_flood_with_slow_reader),
        T(test_cancel),
        T(test_deadline),
        T(test_agent_dies),
        T(test_bad_answers),
        T(test_hundred_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
