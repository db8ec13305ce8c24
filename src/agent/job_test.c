/* SPDX-License-Identifier: Apache-2.0 */

/* Detached programs. */
#include <signal.h>
#include <sys/stat.h>

#include "agent/test_client.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/test.h"
#include "wire/guest_job.h"

static void ask(struct test_client *t, struct test_request *q, const char *method, const char *path)
{
    q->method = method;
    q->path = path;
    test_request(t, q, NULL, 0, true);
    test_wait_closed(q);
}

/* Starts a job of `sh -c script`; returns the status. */
static int start(struct test_client *t, const char *id, const char *script, const char *input)
{
    struct exec_spec spec = {
        .argv = ARGV("sh", "-c", script),
        .job = (char *)(uintptr_t)id,
        .has_stdin = input != NULL,
    };
    auto_test_request struct test_request q = {0};
    test_exec(t, &q, &spec, false);
    if (input)
        test_send_frame(&q, FRAME_STDIN, input, strlen(input));
    test_send(&q, NULL, 0, true);
    test_wait_closed(&q);
    assert_true(q.complete);
    assert_int_equal(q.status == 200, q.pid > 0);
    assert_false(q.exited);
    return q.status;
}

static void get_job(struct test_client *t, const char *id, struct guest_jobs *ret)
{
    char path[64];
    auto_test_request struct test_request q = {0};
    snprintf(path, sizeof(path), "/v1/jobs/%s", id);
    ask(t, &q, "GET", path);
    assert_int_equal(200, q.status);
    assert_int_equal(0, guest_job_decode(q.answer.data, q.answer.len, ret, NULL));
}

/* What an answer of job frames says: "O5:text ... X3". */
struct decoded {
    struct buf text;
    struct buf frame;
    struct frame_decoder decoder;
    int64_t offset, end; /* of the frame at hand, of the one before */
    enum frame_type last;
};

static void take(struct decoded *d, const struct frame_piece *p)
{
    struct exec_exit exit;
    buf_append(&d->frame, p->data, p->len);
    if (!p->end)
        return;
    if (p->type == FRAME_OFFSET) {
        assert_int_equal(FRAME_OFFSET_BYTES, d->frame.len);
        d->offset = (int64_t)frame_number((uint8_t *)d->frame.data, FRAME_OFFSET_BYTES);
    } else if (p->type == FRAME_EXIT) {
        assert_int_equal(0, exec_exit_decode(d->frame.data, d->frame.len, &exit, NULL));
        buf_printf(&d->text, "%sX%d", d->text.len ? " " : "", exit.code);
    } else {
        /* Pieces that follow each other are one: how they were cut is of no matter. */
        if (p->type != d->last || d->offset != d->end)
            buf_printf(&d->text, "%s%c%lld:", d->text.len ? " " : "", p->type,
                       (long long)d->offset);
        buf_append(&d->text, d->frame.data, d->frame.len);
        d->end = d->offset + (int64_t)d->frame.len;
        d->last = p->type;
    }
    buf_clear(&d->frame);
}

static void decode(const struct test_request *q, struct buf *ret)
{
    struct decoded d = {0};
    struct frame_input in = {(const uint8_t *)q->answer.data, q->answer.len};
    struct frame_piece p;
    int r;
    while ((r = frame_decode(&d.decoder, FRAME_FROM_JOB, &in, &p, NULL)) > 0)
        take(&d, &p);
    assert_int_equal(0, r);
    assert_true(frame_at_boundary(&d.decoder));
    buf_done(&d.frame);
    *ret = d.text;
}

static void expect_output(struct test_client *t, const char *path, const char *want)
{
    auto_test_request struct test_request q = {0};
    auto_buf struct buf text = {0};
    ask(t, &q, "GET", path);
    assert_int_equal(200, q.status);
    assert_true(q.complete);
    decode(&q, &text);
    assert_string_equal(want, buf_str(&text));
}

static void test_output(void **state)
{
    struct test_client *t = *state;
    CLEANUP(guest_jobs_done) struct guest_jobs jobs = {0};
    assert_int_equal(200, start(t, "a1", "echo out; echo err >&2; exit 3", NULL));
    auto_test_request struct test_request q = {0};
    auto_buf struct buf text = {0};
    ask(t, &q, "GET", "/v1/jobs/a1/output?follow=1");
    decode(&q, &text);
    /* The pipes are two, so either may have been read first. */
    if (strcmp("O0:out\n E4:err\n X3", buf_str(&text)) != 0)
        assert_string_equal("E0:err\n O4:out\n X3", buf_str(&text));
    expect_output(t, "/v1/jobs/a1/output?offset=8", "X3");
    expect_output(t, "/v1/jobs/a1/output?offset=1000&follow=1", "X3");
    get_job(t, "a1", &jobs);
    const struct guest_job *j = &jobs.items[0];
    assert_false(j->running);
    assert_int_equal(3, j->exit.code);
    assert_int_equal(4, j->exit.stdout_bytes);
    assert_int_equal(8, j->output_bytes);
    assert_int_equal(0, j->first_offset);
    assert_string_equal("sh", json_string_value(json_array_get(j->argv, 0)));
    assert_true(j->started_ms > 1600000000000);
}

static void test_input(void **state)
{
    struct test_client *t = *state;
    assert_int_equal(200, start(t, "in", "cat; echo end", "hello "));
    expect_output(t, "/v1/jobs/in/output?follow=1", "O0:hello end\n X0");
    assert_int_equal(200, start(t, "none", "cat; echo end", NULL));
    expect_output(t, "/v1/jobs/none/output?follow=1", "O0:end\n X0");
}

static bool got_frame(void *arg)
{
    return ((struct test_request *)arg)->answer.len > 0;
}

/* Followers get what comes; one without `follow` gets what there is; a signal ends it. */
static void test_follow_and_signal(void **state)
{
    struct test_client *t = *state;
    auto_test_request struct test_request q = {.method = "GET",
                                               .path = "/v1/jobs/s/output?follow=1"};
    auto_test_request struct test_request sig = {0}, forget = {0}, gone = {0};
    auto_buf struct buf text = {0};
    CLEANUP(guest_jobs_done) struct guest_jobs jobs = {0};
    assert_int_equal(200, start(t, "s", "echo up; exec sleep 1000", NULL));
    test_request(t, &q, NULL, 0, true);
    test_pump(t, got_frame, &q);
    expect_output(t, "/v1/jobs/s/output", "O0:up\n");
    expect_output(t, "/v1/jobs/s/output?offset=2", "O2:\n");
    get_job(t, "s", &jobs);
    assert_true(jobs.items[0].running);
    ask(t, &forget, "DELETE", "/v1/jobs/s");
    assert_int_equal(409, forget.status);
    assert_string_equal("{\"error\":\"job s runs\"}", buf_str(&forget.answer));
    ask(t, &sig, "POST", "/v1/jobs/s/signal?signal=15");
    assert_int_equal(200, sig.status);
    test_wait_closed(&q);
    decode(&q, &text);
    assert_string_equal("O0:up\n X143", buf_str(&text));
    ask(t, &gone, "DELETE", "/v1/jobs/s");
    assert_int_equal(200, gone.status);
    auto_test_request struct test_request none = {0};
    ask(t, &none, "GET", "/v1/jobs/s");
    assert_int_equal(404, none.status);
    assert_string_equal("{\"error\":\"no such job\"}", buf_str(&none.answer));
}

/* It outlives the session that started it, and `restored` of either kind. */
static void test_survives(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char path[PATH_MAX], script[PATH_MAX + 64];
    struct test_client *t = *state;
    path_printf(path, sizeof(path), "%s/go", dir);
    assert_int_equal(0, mkfifo(path, 0600));
    snprintf(script, sizeof(script), "echo up; read x <%s; echo \"$x\"", path);
    assert_int_equal(200, start(t, "j", script, NULL));
    test_restored(t, true);
    test_restored(t, false);

    struct test_client next;
    int fd = dup(t->fd);
    assert_int_equal(0, fd_write_all(fd, "\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9));
    test_client_connect(&next, fd);
    test_restored(&next, false);
    auto_test_request struct test_request go = {0};
    snprintf(script, sizeof(script), "echo go >%s", path);
    test_sh(&next, &go, script);
    expect_output(&next, "/v1/jobs/j/output?follow=1", "O0:up\ngo\n X0");
    close(fd);
    agent_client_free(next.http);
}

/* What it leaves behind with its output open ends with it. */
static void test_straggler(void **state)
{
    struct test_client *t = *state;
    assert_int_equal(200, start(t, "j", "echo up; sleep 1000 &", NULL));
    expect_output(t, "/v1/jobs/j/output?follow=1", "O0:up\n X0");
}

static void test_timeout(void **state)
{
    struct test_client *t = *state;
    CLEANUP(guest_jobs_done) struct guest_jobs jobs = {0};
    struct exec_spec spec = {
        .argv = ARGV("sleep", "1000"), .job = (char *)(uintptr_t) "t", .timeout_ms = 1};
    auto_test_request struct test_request q = {0};
    test_exec(t, &q, &spec, true);
    test_wait_closed(&q);
    expect_output(t, "/v1/jobs/t/output?follow=1", "X137");
    get_job(t, "t", &jobs);
    assert_true(jobs.items[0].exit.timed_out);
}

static void test_large(void **state)
{
    struct test_client *t = *state;
    auto_test_request struct test_request q = {0};
    struct frame_decoder d = {0};
    struct frame_piece p;
    int64_t bytes = 0;
    assert_int_equal(200, start(t, "big", "head -c 20000000 /dev/zero", NULL));
    ask(t, &q, "GET", "/v1/jobs/big/output?follow=1");
    struct frame_input in = {(const uint8_t *)q.answer.data, q.answer.len};
    while (frame_decode(&d, FRAME_FROM_JOB, &in, &p, NULL) > 0)
        bytes += p.type == FRAME_STDOUT ? (int64_t)p.len : 0;
    assert_int_equal(20000000, bytes);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *method, *path;
        int status;
        const char *want;
    } rows[] = {
        {"GET", "/v1/jobs/x", 404, "{\"error\":\"no such job\"}"},
        {"GET", "/v1/jobs/", 404, "{\"error\":\"no such job\"}"},
        {"GET", "/v1/jobs/x/output", 404, "{\"error\":\"no such job\"}"},
        {"GET", "/v1/jobs/x/what", 404, "{\"error\":\"no such path: /v1/jobs/x/what\"}"},
        {"GET", "/v1/jobs/x/output?offset=-1", 400,
         "{\"error\":\"offset must be a number of at most 9223372036854775807\","
         "\"field\":\"offset\"}"},
        {"POST", "/v1/jobs/x/signal", 400,
         "{\"error\":\"signal is missing or 0\",\"field\":\"signal\"}"},
        {"POST", "/v1/jobs/x/signal?signal=9", 404, "{\"error\":\"no such job\"}"},
        {"PUT", "/v1/jobs/x", 405, "{\"error\":\"/v1/jobs/x does not take PUT\"}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_test_request struct test_request q = {0};
        ask(*state, &q, rows[i].method, rows[i].path);
        assert_string_equal(rows[i].want, buf_str(&q.answer));
        assert_int_equal(rows[i].status, q.status);
    }
    struct exec_spec spec = {.argv = ARGV("no-such-program"), .job = (char *)(uintptr_t) "x"};
    auto_test_request struct test_request q = {0};
    test_exec(*state, &q, &spec, true);
    test_wait_closed(&q);
    assert_int_equal(400, q.status);
    assert_string_equal(
        "{\"error\":\"argv[0] \\\"no-such-program\\\": not found\",\"field\":\"argv\"}",
        buf_str(&q.answer));
}

/* The oldest that has ended makes room; running ones do not. */
static void test_bound(void **state)
{
    struct test_client *t = *state;
    char id[16];
    auto_test_request struct test_request first = {0}, second = {0};
    assert_int_equal(200, start(t, "same", "true", NULL));
    assert_int_equal(409, start(t, "same", "true", NULL));
    expect_output(t, "/v1/jobs/same/output?follow=1", "X0");
    for (int i = 1; i < AGENT_JOBS_MAX; i++) {
        snprintf(id, sizeof(id), "%d", i);
        assert_int_equal(200, start(t, id, "exec sleep 1000", NULL));
    }
    assert_int_equal(200, start(t, "more", "exec sleep 1000", NULL));
    ask(t, &first, "GET", "/v1/jobs/same");
    assert_int_equal(404, first.status);
    assert_int_equal(409, start(t, "toomany", "true", NULL));
    ask(t, &second, "GET", "/v1/jobs");
    CLEANUP(guest_jobs_done) struct guest_jobs jobs = {0};
    assert_int_equal(0, guest_jobs_decode(second.answer.data, second.answer.len, &jobs, NULL));
    assert_int_equal(AGENT_JOBS_MAX, jobs.n);
    assert_string_equal("1", jobs.items[0].id);
}

#define JOB_TEST(f) cmocka_unit_test_setup_teardown(f, test_client_setup, test_client_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOB_TEST(test_output),   JOB_TEST(test_input),     JOB_TEST(test_follow_and_signal),
        JOB_TEST(test_survives), JOB_TEST(test_straggler), JOB_TEST(test_timeout),
        JOB_TEST(test_large),    JOB_TEST(test_refusals),  JOB_TEST(test_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
