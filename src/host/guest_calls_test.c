/* SPDX-License-Identifier: Apache-2.0 */

/* The typed calls of files, jobs and programs against an agent in a thread that answers well or
 * badly; guest_agent_test.c has the real agent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "host/guest.h"
#include "host/test_agent.h"

#define LONG_MS 60000
#define STAT "\"type\":\"file\",\"size\":5,\"mode\":420,\"uid\":1,\"gid\":2,\"mtime_ms\":3"
#define EXIT                                                                    \
    "{\"code\":3,\"signal\":0,\"timed_out\":false,\"wall_us\":1,\"user_us\":0," \
    "\"system_us\":0,\"max_rss_kib\":0,\"stdout_bytes\":0,\"stderr_bytes\":0}"
#define JOB(id)                                                                      \
    "{\"id\":\"" id "\",\"argv\":[\"x\"],\"pid\":5,\"running\":false,\"exit\":" EXIT \
    ",\"started_ms\":7,\"wall_ms\":8,\"output_bytes\":9,\"first_offset\":2}"

static struct link_loop *loop;
static struct test_agent agent;
static struct link *guest;
/* What the agent answers to all but `exec` and `accept`; read by it when a request comes. */
static struct test_agent_answer answers[3];

static int setup(void **state)
{
    static const struct test_agent_options options = {.answers = answers};
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(link_loop_new(&loop, NULL), 0);
    memset(answers, 0, sizeof(answers)); /* nobody reads them now */
    assert_int_equal(link_open(loop, test_agent_start(&agent, &options), LONG_MS, &guest, NULL), 0);
    return 0;
}

static int teardown(void **state)
{
    link_close(guest);
    link_loop_free(loop);
    test_agent_stop(&agent);
    return 0;
}

static void answer(const char *method, int status, const char *text, size_t len)
{
    answers[0] = (struct test_agent_answer){method, "/v1/", status, text, len};
}

static int64_t soon(void)
{
    return clock_mono_ms() + LONG_MS;
}

static struct link_wait wait_long(void)
{
    return (struct link_wait){.deadline_ms = soon()};
}

/* --- files --- */

static void test_stat(void **state)
{
    struct guest_stat st;
    struct err e = ERR_INIT;
    answer("GET", 200, "{" STAT "}", 0);
    assert_int_equal(guest_get_stat(guest, "/a b", soon(), &st, &e), 0);
    assert_int_equal(st.type, GUEST_FILE);
    assert_int_equal(st.size, 5);
    assert_int_equal(st.mode, 0644);
    answer("GET", 404, "{\"error\":\"no such file\"}", 0);
    assert_int_equal(guest_get_stat(guest, "/a", soon(), &st, &e), -ENOENT);
    assert_string_equal(e.text, "no such file");
    answer("GET", 200, "{}", 0);
    assert_int_equal(guest_get_stat(guest, "/a", soon(), &st, &e), -ENOTCONN);
    assert_int_equal(e.class, ERR_UNAVAILABLE);
    assert_string_equal(e.text, "the agent's answer makes no sense: type is missing");
}

static void test_list(void **state)
{
    json_t *list = NULL;
    struct err e = ERR_INIT;
    answer("GET", 200, "{\"entries\":[{\"name\":\"x\"," STAT "}]}", 0);
    assert_int_equal(guest_list_dir(guest, "/", soon(), &list, &e), 0);
    assert_int_equal(json_array_size(list), 1);
    json_decref(list);
    answer("GET", 200, "{\"entries\":[{\"name\":\"../x\"," STAT "}]}", 0);
    assert_int_equal(guest_list_dir(guest, "/", soon(), &list, &e), -ENOTCONN);
    answer("GET", 413, "{\"error\":\"too many\"}", 0);
    assert_int_equal(guest_list_dir(guest, "/", soon(), &list, &e), -E2BIG);
    assert_int_equal(e.class, ERR_TOO_LARGE);
}

static void test_remove_and_grow(void **state)
{
    struct err e = ERR_INIT;
    answer("DELETE", 200, "{}", 0);
    assert_int_equal(guest_remove(guest, "/x", soon(), &e), 0);
    answer("DELETE", 409, "{\"error\":\"busy\"}", 0);
    assert_int_equal(guest_remove(guest, "/x", soon(), &e), -EBUSY);
    assert_int_equal(e.class, ERR_CONFLICT);
    answer("POST", 200, "{\"bytes\":4096}", 0);
    assert_int_equal(guest_grow(guest, 5000, soon(), &e), 0); /* whole blocks */
    answer("POST", 200, "{\"bytes\":0}", 0);
    assert_int_equal(guest_grow(guest, 5000, soon(), &e), -ENOTCONN);
}

/* The guest's kernel has not heard yet that the disk is larger. */
static void test_grow_until_it_has_grown(void **state)
{
    struct err e = ERR_INIT;
    const int before = agent.requests;
    answer("POST", 200, "{\"bytes\":2147483648}", 0);
    answers[1] = answers[0];
    answers[0].text = "{\"bytes\":1073741824}";
    answers[0].until_request = before + 3;
    assert_int_equal(guest_grow(guest, INT64_C(2) << 30, soon(), &e), 0);
    assert_int_equal(agent.requests, before + 4);
    assert_int_equal(guest_grow(guest, INT64_C(3) << 30, clock_mono_ms(), &e), -ETIMEDOUT);
}

static void test_read(void **state)
{
    struct err e = ERR_INIT;
    struct link_stream *s = NULL;
    const struct link_wait w = wait_long();
    const struct guest_range range = {"/f", 5, 10};
    char got[16];
    answer("GET", 200, "0123456789", 0);
    assert_int_equal(guest_open_read(guest, &range, &w, &s, &e), 0);
    assert_int_equal(link_stream_read(s, got, sizeof(got), &w, &e), 10);
    assert_memory_equal(got, "0123456789", 10);
    assert_int_equal(link_stream_read(s, got, sizeof(got), &w, &e), 0);
    link_stream_free(s);
    answer("GET", 404, "{\"error\":\"gone\"}", 0);
    assert_int_equal(guest_open_read(guest, &range, &w, &s, &e), -ENOENT);
    assert_string_equal(e.text, "gone");
}

static void test_write(void **state)
{
    struct err e = ERR_INIT;
    struct link_stream *s = NULL;
    const struct link_wait w = wait_long();
    const struct guest_file f = {.path = "/f", .mode = 0600};
    answer("HEAD", 200, "", 0);
    assert_int_equal(guest_open_write(guest, &f, &w, &s, &e), 0);
    assert_int_equal(link_stream_write(s, "abc", 3, &w, &e), 0);
    assert_int_equal(link_stream_end(s, &w, &e), 0);
    assert_int_equal(guest_finish_write(s, &w, &e), 0);
    link_stream_free(s);
    assert_int_equal(agent.files, 1);

    answer("PUT", 507, "{\"error\":\"full\"}", 0);
    assert_int_equal(guest_open_write(guest, &f, &w, &s, &e), 0);
    int r = 0;
    while (r == 0)
        r = link_stream_write(s, "abc", 3, &w, &e);
    assert_int_equal(r, -EPIPE);
    assert_int_equal(guest_finish_write(s, &w, &e), -E2BIG);
    assert_string_equal(e.text, "full");
    link_stream_free(s);
}

/* A write that was broken off leaves nothing: the agent sees no regular end. */
static void test_write_broken_off(void **state)
{
    struct link_stream *s = NULL;
    const struct link_wait w = wait_long();
    const struct guest_file f = {.path = "/f", .mode = 0600};
    answer("HEAD", 200, "", 0);
    assert_int_equal(guest_open_write(guest, &f, &w, &s, NULL), 0);
    assert_int_equal(link_stream_write(s, "abc", 3, &w, NULL), 0);
    link_stream_free(s);
    assert_int_equal(guest_wait_ready(guest, soon(), NULL, NULL), 0);
    assert_int_equal(agent.files, 0);
}

static void test_accept(void **state)
{
    struct err e = ERR_INIT;
    struct link_stream *s = NULL;
    const struct link_wait w = wait_long();
    char got[8];
    answer("HEAD", 200, "", 0);
    assert_int_equal(guest_accept(guest, NULL, 1, &w, &s, &e), 0);
    assert_int_equal(link_stream_write(s, "abc", 3, &w, &e), 0);
    assert_int_equal(link_stream_read(s, got, sizeof(got), &w, &e), 3);
    link_stream_free(s);
    answer("POST", 409, "{\"error\":\"in use\"}", 0);
    assert_int_equal(guest_accept(guest, "::1", 80, &w, &s, &e), -EBUSY);
    assert_string_equal(e.text, "in use");
}

/* --- identity --- */

static void test_identity(void **state)
{
    struct err e = ERR_INIT;
    const struct link_wait w = wait_long();
    struct guest_identity who = {.id = "abc", .hostname = "vm-1", .keep = true};
    answer("HEAD", 200, "", 0);
    assert_int_equal(guest_restored(guest, &w, &who, NULL, &e), 0);
    who.hostname = "No Host";
    assert_int_equal(guest_restored(guest, &w, &who, NULL, &e), -EINVAL);
    assert_string_equal(e.field, "hostname");
    who = (struct guest_identity){.id = "a\"b"};
    assert_int_equal(guest_restored(guest, &w, &who, NULL, &e), -EINVAL);
    assert_string_equal(e.field, "id");
}

/* --- programs --- */

static struct guest_program *open_program(const char *name, struct err *e)
{
    const char *argv[] = {name, "1", NULL};
    struct exec_spec spec = {
        .argv = (char **)argv, .has_stdin = true, .pty_rows = 2, .pty_cols = 3};
    struct guest_program *p = NULL;
    const struct link_wait w = wait_long();
    int r = guest_program_open(guest, &spec, &w, &p, e);
    assert_true((r == 0) == (p != NULL));
    return p;
}

static void test_program(void **state)
{
    struct err e = ERR_INIT;
    const struct link_wait w = wait_long();
    struct exec_exit exit;
    char got[8];
    int stream = 0;
    struct guest_program *p = open_program("cat", &e);
    assert_non_null(p);
    assert_int_equal(guest_program_write(p, "hello", 5, &w, &e), 0);
    assert_int_equal(guest_program_read(p, got, 2, &stream, &w, &e), 2);
    assert_memory_equal(got, "he", 2);
    assert_int_equal(stream, 1);
    assert_int_equal(guest_program_read(p, got, sizeof(got), &stream, &w, &e), 3);
    assert_memory_equal(got, "llo", 3);
    assert_int_equal(guest_program_resize(p, 0, 100000, &w, &e), 0);
    assert_int_equal(guest_program_end_input(p, &w, &e), 0);
    assert_int_equal(guest_program_read(p, got, sizeof(got), &stream, &w, &e), 0);
    guest_program_exit(p, &exit);
    assert_int_equal(exit.code, 0);
    assert_int_equal(exit.wall_us, 5);
    guest_program_free(p);
    assert_int_equal(agent.killed, 0);
}

static void test_program_streams(void **state)
{
    struct err e = ERR_INIT;
    const struct link_wait w = wait_long();
    char got[8];
    int stream;
    struct guest_program *p = open_program("hello", &e);
    static const struct {
        int stream;
        const char *text;
    } want[] = {{1, "out1"}, {2, "err"}, {1, "out2"}};
    for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
        ssize_t n = guest_program_read(p, got, sizeof(got), &stream, &w, &e);
        assert_int_equal(n, strlen(want[i].text));
        assert_int_equal(stream, want[i].stream);
        assert_memory_equal(got, want[i].text, (size_t)n);
    }
    assert_int_equal(guest_program_read(p, got, sizeof(got), &stream, &w, &e), 0);
    /* It has ended: input is refused, and that is told apart from a broken link. */
    int r = 0;
    while (r == 0)
        r = guest_program_write(p, "x", 1, &w, &e);
    assert_int_equal(r, -EPIPE);
    guest_program_free(p);
}

static void test_program_refused(void **state)
{
    struct err e = ERR_INIT;
    assert_null(open_program("nonsense", &e));
    assert_int_equal(e.class, ERR_NOT_FOUND);
    assert_string_equal(e.text, "no ?[31msuch program");
}

static void test_program_killed_by_free(void **state)
{
    struct err e = ERR_INIT;
    const struct link_wait w = wait_long();
    char got[8];
    int stream;
    struct guest_program *p = open_program("hang", &e);
    assert_int_equal(guest_program_read(p, got, sizeof(got), &stream, &w, &e), 5);
    guest_program_free(p);
    assert_int_equal(guest_wait_ready(guest, soon(), NULL, NULL), 0);
    assert_int_equal(agent.killed, 1);
}

static void test_program_nonsense(void **state)
{
    static const struct {
        const char *program;
        const char *want;
    } rows[] = {
        {"garbage", "the agent's answer makes no sense: unexpected exec frame of type 0x21"},
        {"vanish", "the agent's answer ended before the program did"},
        {"after", "the agent's answer makes no sense: a frame after the last one"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct err e = ERR_INIT;
        const struct link_wait w = wait_long();
        char got[8];
        int stream;
        struct guest_program *p = open_program(rows[i].program, &e);
        assert_int_equal(guest_program_read(p, got, sizeof(got), &stream, &w, &e), -ENOTCONN);
        assert_string_equal(e.text, rows[i].want);
        guest_program_free(p);
    }
}

/* --- jobs --- */

static void test_job_list(void **state)
{
    struct err e = ERR_INIT;
    struct guest_jobs jobs = {0};
    answer("GET", 200, "{\"jobs\":[" JOB("a") "," JOB("b") "]}", 0);
    assert_int_equal(guest_job_list(guest, NULL, soon(), &jobs, &e), 0);
    assert_int_equal(jobs.n, 2);
    guest_jobs_done(&jobs);
    answer("GET", 200, JOB("a"), 0);
    assert_int_equal(guest_job_list(guest, "a", soon(), &jobs, &e), 0);
    assert_int_equal(jobs.items[0].exit.code, 3);
    guest_jobs_done(&jobs);
    assert_int_equal(guest_job_list(guest, "b", soon(), &jobs, &e), -ENOTCONN);
    assert_string_equal(e.text, "the agent's answer makes no sense: it is about another job");
    assert_int_equal(guest_job_list(guest, "../x", soon(), &jobs, &e), -ENOENT);
}

static void test_job_signal_and_forget(void **state)
{
    struct err e = ERR_INIT;
    answer("POST", 200, "{}", 0);
    assert_int_equal(guest_job_signal(guest, "a", 15, soon(), &e), 0);
    assert_int_equal(guest_job_signal(guest, "A", 15, soon(), &e), -ENOENT);
    answer("DELETE", 409, "{\"error\":\"it runs\"}", 0);
    assert_int_equal(guest_job_forget(guest, "a", soon(), &e), -EBUSY);
    assert_int_equal(e.class, ERR_CONFLICT);
}

static int start_job(const char *name, const char *job, struct err *e)
{
    const char *argv[] = {name, NULL};
    struct exec_spec spec = {.argv = (char **)argv, .job = (char *)(uintptr_t)job};
    return guest_job_start(guest, &spec, NULL, 0, soon(), e);
}

static void test_job_start(void **state)
{
    struct err e = ERR_INIT;
    assert_int_equal(start_job("vanish", "a", &e), 0); /* P, and the end */
    assert_int_equal(start_job("hello", "a", &e), -ENOTCONN);
    assert_string_equal(e.text, "the agent's answer ended before the program did");
    assert_int_equal(start_job("nonsense", "a", &e), -ENOENT);
    assert_int_equal(start_job("vanish", NULL, &e), -EINVAL);
    assert_string_equal(e.field, "job");
}

struct got {
    struct buf text;
    int refuse;
};

static int take(void *arg, int stream, int64_t offset, const void *data, size_t len)
{
    struct got *g = arg;
    buf_printf(&g->text, "%d@%lld:%.*s ", stream, (long long)offset, (int)len, (const char *)data);
    return g->refuse;
}

#define N(n) "N\0\0\x8\0\0\0\0\0\0\0" n

static void test_job_output(void **state)
{
    static const char text[] = N("\x05") "O\0\0\3abc" N("\x08") "E\0\0\1x" N("\x20") "O\0\0\1y";
    struct err e = ERR_INIT;
    struct got g = {0};
    struct guest_job_output o = {.output = take, .arg = &g};
    answer("GET", 200, text, sizeof(text) - 1);
    assert_int_equal(guest_job_output(guest, "a", &o, &e), 0);
    assert_string_equal(buf_str(&g.text), "1@5:abc 2@8:x 1@32:y ");
    assert_false(o.ended);
    o.follow = true;
    assert_int_equal(guest_job_output(guest, "a", &o, &e), -ENOTCONN);
    assert_string_equal(e.text, "the agent's answer ended too early");
    g.refuse = -1;
    assert_int_equal(guest_job_output(guest, "a", &o, &e), -ECANCELED);
    assert_int_equal(e.class, ERR_UNAVAILABLE);
    buf_done(&g.text);
}

static void test_job_output_end(void **state)
{
    auto_buf struct buf text = {0};
    struct err e = ERR_INIT;
    struct got g = {0};
    struct guest_job_output o = {.output = take, .arg = &g, .follow = true};
    buf_append(&text, "X\0", 2);
    const char len[] = {(char)(strlen(EXIT) >> 8), (char)strlen(EXIT)};
    buf_append(&text, len, 2);
    buf_append_str(&text, EXIT);
    answer("GET", 200, text.data, text.len);
    assert_int_equal(guest_job_output(guest, "a", &o, &e), 0);
    assert_true(o.ended);
    assert_int_equal(o.exit.code, 3);
    buf_done(&g.text);
}

static void test_job_output_nonsense(void **state)
{
#define ROW(text, want)                                                    \
    {                                                                      \
        text, sizeof(text) - 1, "the agent's answer makes no sense: " want \
    }
    static const struct {
        const char *text;
        size_t len;
        const char *want;
    } rows[] = {
        ROW("O\0\0\3abc", "output without an offset"),
        ROW(N("\x05") "O\0\0\3abcO\0\0\1x", "output without an offset"),
        ROW(N("\x05") "O\0\0\3abc" N("\x07") "O\0\0\1x", "an offset before the last one"),
        ROW("N\0\0\x8\x80\0\0\0\0\0\0\0", "an offset before the last one"),
        ROW("N\0\0\1\0", "an offset of 1 bytes"),
        ROW("P\0\0\1\0", "unexpected exec frame of type 0x50"),
        ROW("X\0\0\2{}", "code is missing"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct err e = ERR_INIT;
        struct got g = {0};
        struct guest_job_output o = {.output = take, .arg = &g};
        answer("GET", 200, rows[i].text, rows[i].len);
        assert_int_equal(guest_job_output(guest, "a", &o, &e), -ENOTCONN);
        assert_string_equal(e.text, rows[i].want);
        assert_false(o.ended);
        buf_done(&g.text);
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_stat),
        TEST(test_list),
        TEST(test_remove_and_grow),
        TEST(test_grow_until_it_has_grown),
        TEST(test_read),
        TEST(test_write),
        TEST(test_write_broken_off),
        TEST(test_accept),
        TEST(test_identity),
        TEST(test_program),
        TEST(test_program_streams),
        TEST(test_program_refused),
        TEST(test_program_killed_by_free),
        TEST(test_program_nonsense),
        TEST(test_job_list),
        TEST(test_job_signal_and_forget),
        TEST(test_job_start),
        TEST(test_job_output),
        TEST(test_job_output_end),
        TEST(test_job_output_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
