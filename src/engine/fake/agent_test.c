/* SPDX-License-Identifier: Apache-2.0 */

/* What the fake guest's agent answers, by docs/agent-protocol.md, over its real socket. */

#include "base/test.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/fake/test_engine.h"
#include "wire/report.h"

static char work_dir[] = "/work";

static void expect(struct fixture *f, const char *request, int status, const char *answer)
{
    auto_buf struct buf got = {0};
    test_guest_ask(&f->guest, request, status, &got);
    if (!strstr(buf_str(&got), answer))
        fail_msg("%s: %s", request, buf_str(&got));
}

static void expect_exactly(struct fixture *f, const char *request, const char *answer)
{
    auto_buf struct buf got = {0};
    test_guest_ask(&f->guest, request, 200, &got);
    assert_string_equal(answer, buf_str(&got));
}

static void put(struct fixture *f, const char *query, int status, const char *text)
{
    char url[256];
    struct test_call c = {.guest = &f->guest};
    path_printf(url, sizeof(url), "/v1/files?path=%s", query);
    test_call_open(&c, "PUT", url, text, strlen(text));
    test_call_wait(&c, false);
    if (c.status != status)
        fail_msg("%s: %d %s", query, c.status, buf_str(&c.answer));
    test_call_done(&c);
}

/* --- programs --- */

static void refuse_exec(struct fixture *f, const struct exec_spec *spec, const char *field)
{
    char expected[64];
    struct test_call c = {.guest = &f->guest, .send_ended = true};
    path_printf(expected, sizeof(expected), "\"field\":\"%s\"", field);
    test_call_spec(&c, spec);
    test_call_wait(&c, false);
    assert_int_equal(400, c.status);
    assert_non_null(strstr(buf_str(&c.answer), expected));
    test_call_done(&c);
}

static void test_users_and_logins(void **state)
{
    struct fixture *f = *state;
    char user[] = "user", numbers[] = "7:8", uid[] = "1000", nobody[] = "no one", bad[] = "7:x";
    char dir[] = "/no/such", root[] = "/root";
    char **id = STRINGS("id"), **env = STRINGS("env"), **pwd = STRINGS("pwd");
    test_boot_connected(f);
    test_call_prints(&f->guest, &(struct exec_spec){.argv = id}, "uid=0 gid=0\n");
    test_call_prints(&f->guest, &(struct exec_spec){.argv = id, .uid = 3, .gid = 4},
                     "uid=3 gid=4\n");
    test_call_prints(&f->guest, &(struct exec_spec){.argv = id, .user = user},
                     "uid=1000 gid=1000\n");
    test_call_prints(&f->guest, &(struct exec_spec){.argv = id, .user = numbers}, "uid=7 gid=8\n");
    test_call_prints(&f->guest, &(struct exec_spec){.argv = id, .user = uid},
                     "uid=1000 gid=1000\n");
    refuse_exec(f, &(struct exec_spec){.argv = id, .user = nobody}, "user");
    refuse_exec(f, &(struct exec_spec){.argv = id, .user = bad}, "user");
    refuse_exec(f, &(struct exec_spec){.argv = id, .cwd = dir}, "cwd");
    refuse_exec(f, &(struct exec_spec){.argv = STRINGS("no-such-program")}, "argv");
    test_call_prints(&f->guest, &(struct exec_spec){.argv = pwd}, "/\n");
    test_call_prints(&f->guest, &(struct exec_spec){.argv = pwd, .user = user, .login = true},
                     "/home/user\n");
    test_call_prints(&f->guest, &(struct exec_spec){.argv = pwd, .cwd = root, .login = true},
                     "/root\n");
    test_call_prints(&f->guest, &(struct exec_spec){.argv = env, .env = STRINGS("A=b")}, "A=b\n");
    test_call_prints(&f->guest,
                     &(struct exec_spec){.argv = env, .env = STRINGS("LANG=xx"), .login = true},
                     "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
                     "HOME=/root\nUSER=root\nLOGNAME=root\nSHELL=/bin/bash\nLANG=xx\n");
}

static void test_limits(void **state)
{
    struct fixture *f = *state;
    struct exec_spec spec = {
        .argv = STRINGS("sh", "-c", "print 123456\neprint 12\nmemory 3\nmemory 5\nprint never"),
        .limits = {.output_bytes = 4, .memory_bytes = 4 << 20},
    };
    struct test_call c = {.guest = &f->guest, .send_ended = true};
    test_boot_connected(f);
    test_call_spec(&c, &spec);
    test_call_wait(&c, false);
    assert_string_equal("1234", buf_str(&c.out));
    assert_string_equal("12\n", buf_str(&c.err));
    assert_int_equal(7, c.exit.stdout_bytes);
    assert_int_equal(SIGKILL, c.exit.signal);
    assert_true(c.exit.oom);
    assert_int_equal(4 << 20, c.exit.memory_peak_bytes);
    test_call_done(&c);
}

static void test_a_compiler(void **state)
{
    struct fixture *f = *state;
    struct exec_spec spec = {.argv = STRINGS("sh", "-c", "gcc -o p /work/p.c </dev/null >&2")};
    struct test_call bad = {.guest = &f->guest, .send_ended = true};
    test_boot_connected(f);
    test_guest_put(&f->guest, "/work/p.c", "print fine");
    test_call_prints(&f->guest, &spec, "");
    test_guest_put(&f->guest, "/work/p.c", "print x\nsyntax error\n");
    test_call_spec(&bad, &spec);
    test_call_wait(&bad, false);
    assert_int_equal(1, bad.exit.code);
    assert_string_equal("/work/p.c: error: syntax error\n", buf_str(&bad.err));
    struct test_call warned = {.guest = &f->guest, .send_ended = true};
    test_guest_put(&f->guest, "/work/p.c", "#warning it is late");
    test_call_spec(&warned, &spec);
    test_call_wait(&warned, false);
    assert_int_equal(0, warned.exit.code);
    assert_string_equal("/work/p.c: warning: it is late\n", buf_str(&warned.err));
    test_call_done(&warned);
    test_call_done(&bad);
}

static void test_a_terminal(void **state)
{
    struct fixture *f = *state;
    struct exec_spec spec = {
        .argv = STRINGS("-bash"), .login = true, .pty_rows = 24, .pty_cols = 80};
    struct test_call c = {.guest = &f->guest};
    test_boot_connected(f);
    test_call_spec(&c, &spec);
    test_call_wait_text(&c, "# ");
    test_call_frame(&c, FRAME_STDIN, "rows\r", 5);
    test_call_wait_text(&c, "rows\r\n24 80\r\n# ");
    test_call_frame(&c, FRAME_RESIZE, "\0\x05\0\x09", 4);
    test_call_frame(&c, FRAME_STDIN, "unfinished\x03", 11);
    test_call_wait_text(&c, "unfinished^C\r\n# ");
    test_call_frame(&c, FRAME_STDIN, "rows\r", 5);
    test_call_wait_text(&c, "# rows\r\n5 9\r\n# ");
    test_call_frame(&c, FRAME_STDIN, "eprint oops\rexit 3\r", 19);
    test_call_wait(&c, false);
    assert_non_null(strstr(buf_str(&c.out), "oops\r\n"));
    assert_int_equal(0, c.err.len);
    assert_int_equal(3, c.exit.code);
    test_call_done(&c);
}

static void test_a_login_shell_by_exec(void **state)
{
    struct fixture *f = *state;
    struct exec_spec spec = {.argv = STRINGS("sh", "-c", "exec \"${SHELL:-/bin/sh}\" -l"),
                             .pty_rows = 24,
                             .pty_cols = 80};
    struct test_call c = {.guest = &f->guest};
    test_boot_connected(f);
    test_call_spec(&c, &spec);
    test_call_wait_text(&c, "# ");
    test_call_frame(&c, FRAME_STDIN, "exit 3\r", 7);
    test_call_wait(&c, false);
    assert_int_equal(3, c.exit.code);
    test_call_done(&c);
}

static void test_a_terminal_is_hung_up_and_interrupted(void **state)
{
    static const struct {
        const char *key;
        int signal;
    } rows[] = {{NULL, SIGHUP}, {"\x03", SIGINT}};
    struct fixture *f = *state;
    struct exec_spec spec = {
        .argv = STRINGS("sh", "-c", "print up\nhang"), .pty_rows = 24, .pty_cols = 80};
    test_boot_connected(f);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct test_call c = {.guest = &f->guest};
        test_call_spec(&c, &spec);
        test_call_wait_text(&c, "up\r\n");
        if (rows[i].key)
            test_call_frame(&c, FRAME_STDIN, rows[i].key, 1);
        else
            test_call_send(&c, NULL);
        test_call_wait(&c, false);
        assert_int_equal(rows[i].signal, c.exit.signal);
        test_call_done(&c);
    }
    /* The end of input by a key. */
    struct test_call c = {.guest = &f->guest};
    spec.argv = STRINGS("cat");
    test_call_spec(&c, &spec);
    test_call_frame(&c, FRAME_STDIN, "a\r\x04", 3);
    test_call_wait(&c, false);
    assert_string_equal("a\r\na\r\n", buf_str(&c.out));
    assert_int_equal(0, c.exit.code);
    test_call_done(&c);
}

static void test_computing_is_counted(void **state)
{
    struct fixture *f = *state;
    struct monitor_stats stats;
    struct test_call c;
    test_boot_connected(f);
    test_guest_run(&f->guest, "busy 20", &c);
    assert_int_equal(20000, c.exit.user_us);
    test_call_done(&c);
    assert_int_equal(0, engine_stats(f->engine, &f->m, &stats, NULL));
    assert_int_equal(20000, stats.cpu_us);
}

static void test_a_tar_comes_out_and_goes_in(void **state)
{
    struct fixture *f = *state;
    struct exec_spec spec = {.argv = STRINGS("tar", "-c", "-C", "/work/d", "."), .cwd = work_dir};
    struct test_call out = {.guest = &f->guest, .send_ended = true}, in = {.guest = &f->guest};
    test_boot_connected(f);
    put(f, "/work/d/a&parents=1", 201, "content");
    test_run(f, "mkdir d/empty\nmkdir e", "");
    test_call_spec(&out, &spec);
    test_call_wait(&out, false);
    assert_int_equal(0, out.exit.code);
    spec.argv = STRINGS("tar", "-x", "-C", "/work/e");
    spec.has_stdin = true;
    test_call_spec(&in, &spec);
    test_call_frame(&in, FRAME_STDIN, out.out.data, out.out.len);
    test_call_send(&in, NULL);
    test_call_wait(&in, false);
    assert_int_equal(0, in.exit.code);
    expect_exactly(f, "GET /v1/files?path=/work/e/a", "content");
    expect(f, "GET /v1/stat?path=/work/e/empty", 200, "\"dir\"");
    test_call_done(&out);
    test_call_done(&in);
}

static void test_the_file_system_grows(void **state)
{
    struct fixture *f = *state;
    f->spec.disk_bytes = 1000;
    test_boot_connected(f);
    test_run(f, "disk", "1000 1 1\n");
    expect_exactly(f, "POST /v1/grow", "{\"bytes\":1000}");
    test_run(f, "disk", "1000 1000 1\n");
    test_kill(f);
    engine_free(TAKE_PTR(f->engine));
    test_boot(f, "boot.grow=fail");
    test_connect(f);
    expect(f, "POST /v1/grow", 500, "grow=fail");
}

static void test_a_guest_that_ignores_the_power_button(void **state)
{
    struct fixture *f = *state;
    struct test_call c = {.guest = &f->guest};
    test_boot(f, "boot.power=ignore");
    test_connect(f);
    test_call_open(&c, "POST", "/v1/power", "{\"action\": \"off\"}", 17);
    test_call_wait(&c, false);
    assert_int_equal(200, c.status);
    test_call_done(&c);
    assert_int_equal(0, engine_power_button(f->engine, &f->m, NULL));
    test_run(f, "print still here", "still here\n");
}

/* --- jobs --- */

static void start_job(struct fixture *f, const char *text, char *name)
{
    struct exec_spec spec = {.argv = STRINGS("sh", "-c", text), .job = name};
    struct test_call c = {.guest = &f->guest, .send_ended = true};
    test_call_spec(&c, &spec);
    test_call_wait(&c, false);
    assert_int_equal(200, c.status);
    assert_true(c.complete && !c.exited);
    test_call_done(&c);
}

static void follow(struct fixture *f, const char *path, struct test_call *c)
{
    *c = (struct test_call){.guest = &f->guest, .is_job = true};
    test_call_open(c, "GET", path, NULL, 0);
}

static void test_a_job_runs_by_itself(void **state)
{
    struct fixture *f = *state;
    struct test_call c;
    char a[] = "a";
    test_boot_connected(f);
    start_job(f, "print one\neprint two\nhang", a);
    test_connect(f); /* in another session */
    follow(f, "/v1/jobs/a/output?follow=1", &c);
    test_call_wait_text(&c, "one\n");
    expect(f, "GET /v1/jobs/a", 200, "\"running\":true");
    expect(f, "GET /v1/jobs/b", 404, "no job b");
    expect(f, "DELETE /v1/jobs/a", 409, "running");
    expect(f, "POST /v1/jobs/a/signal?signal=0", 400, "\"field\":\"signal\"");
    expect(f, "POST /v1/jobs/a/signal?signal=15", 200, "{}");
    test_call_wait(&c, false);
    assert_int_equal(SIGTERM, c.exit.signal);
    assert_string_equal("two\n", buf_str(&c.err));
    assert_int_equal(8, c.next_offset);
    test_call_done(&c);
    expect(f, "GET /v1/jobs", 200, "\"running\":false");
    expect(f, "POST /v1/jobs/a/signal?signal=15", 200, "{}"); /* it was late */
    expect(f, "DELETE /v1/jobs/a", 200, "{}");
    expect_exactly(f, "GET /v1/jobs", "{\"jobs\":[]}");
    expect(f, "GET /v1/jobs/a/output", 404, "no job a");
}

static void test_output_from_an_offset(void **state)
{
    struct fixture *f = *state;
    struct test_call c;
    char a[] = "a";
    test_boot_connected(f);
    start_job(f, "print one\neprint two\nprint three", a);
    follow(f, "/v1/jobs/a/output?offset=2&follow=1", &c);
    test_call_wait(&c, false);
    assert_string_equal("e\nthree\n", buf_str(&c.out));
    assert_string_equal("two\n", buf_str(&c.err));
    assert_int_equal(14, c.next_offset);
    assert_true(c.exited);
    test_call_done(&c);
    follow(f, "/v1/jobs/a/output?offset=99", &c);
    test_call_wait(&c, false);
    assert_true(c.exited && !c.out.len);
    test_call_done(&c);
    start_job(f, "print four\nhang", (char[]){"b"});
    follow(f, "/v1/jobs/b/output?offset=0", &c);
    test_call_wait(&c, false);
    assert_true(c.complete && !c.exited);
    assert_string_equal("four\n", buf_str(&c.out));
    test_call_done(&c);
}

static void test_input_and_end_of_a_job(void **state)
{
    struct fixture *f = *state;
    struct exec_spec spec = {
        .argv = STRINGS("cat"), .job = (char[]){"j"}, .has_stdin = true, .timeout_ms = 100};
    struct test_call c = {.guest = &f->guest}, out;
    test_boot_connected(f);
    test_call_spec(&c, &spec);
    test_call_frame(&c, FRAME_STDIN, "some input", 10);
    test_call_send(&c, NULL);
    test_call_wait(&c, false);
    assert_true(c.complete);
    test_call_done(&c);
    follow(f, "/v1/jobs/j/output?follow=1", &out);
    test_call_wait(&out, false);
    assert_string_equal("some input", buf_str(&out.out));
    assert_int_equal(0, out.exit.code);
    test_call_done(&out);
    spec.argv = STRINGS("sleep", "100");
    struct test_call twice = {.guest = &f->guest, .send_ended = true};
    test_call_spec(&twice, &spec);
    test_call_wait(&twice, false);
    assert_int_equal(409, twice.status);
    test_call_done(&twice);
    spec.job = (char[]){"k"};
    struct test_call late = {.guest = &f->guest, .send_ended = true};
    test_call_spec(&late, &spec);
    test_call_wait(&late, false);
    test_call_done(&late);
    follow(f, "/v1/jobs/k/output?follow=1", &out);
    test_call_wait(&out, false);
    assert_true(out.exit.timed_out);
    test_call_done(&out);
}

/* --- clones --- */

static void tell_restored(struct fixture *f, bool keep)
{
    struct restored_request q = {.keep = keep,
                                 .entropy_len = REPORT_ENTROPY_MIN_BYTES,
                                 .real_time_ns = clock_real_ns(),
                                 .id = "clone-1",
                                 .hostname = "clone"};
    struct test_call c = {.guest = &f->guest};
    auto_buf struct buf body = {0};
    assert_int_equal(0, report_restored_encode(&q, &body));
    test_call_open(&c, "POST", "/v1/restored", body.data, body.len);
    test_call_wait(&c, false);
    assert_int_equal(200, c.status);
    test_call_done(&c);
}

static void get(struct fixture *f, const char *name, char ret[64])
{
    char text[64];
    struct test_call c;
    path_printf(text, sizeof(text), "sleep 1\nget %s", name);
    test_guest_run(&f->guest, text, &c);
    snprintf(ret, 64, "%s", buf_str(&c.out));
    test_call_done(&c);
}

static void until_set(struct fixture *f, const char *name, const char *value)
{
    char got[64], expected[64];
    path_printf(expected, sizeof(expected), "%s\n", value);
    do
        get(f, name, got);
    while (strcmp(got, expected) != 0);
}

static void until_more(struct fixture *f, const char *name, long than)
{
    char got[64];
    do
        get(f, name, got);
    while (strtol(got, NULL, 10) <= than);
}

/* In the source one that sleeps, one that is asked for input, and a job; then a clone of it. */
static void start_and_clone(struct fixture *f, struct test_call *c, bool keep)
{
    c[0] = (struct test_call){.guest = &f->guest};
    c[1] = (struct test_call){.guest = &f->guest};
    test_call_exec(&c[0], STRINGS("sh", "-c", "print up\nset a begun\nsleep 1\nset a woke\nhang"),
                   0);
    test_call_exec(&c[1], STRINGS("sh", "-c", "print up\ncat\nset b ended\nhang"), 0);
    test_call_wait(&c[0], true);
    test_call_wait(&c[1], true);
    start_job(f, "print before\nticker 1 beat", (char[]){"j"});
    test_capture(f, CAPTURE_TRANSIENT);
    test_call_done(&c[0]);
    test_call_done(&c[1]);
    test_kill(f);
    test_restore(f);
    tell_restored(f, keep);
    test_run(f, "hostname\nfile /run/holm/vm.json",
             "clone\n{\"id\":\"clone-1\",\"hostname\":\"clone\"}\n");
}

static void test_programs_go_on_in_a_clone(void **state)
{
    struct fixture *f = *state;
    struct test_call c[2], out;
    test_boot_connected(f);
    start_and_clone(f, c, true);
    until_set(f, "a", "woke");
    until_set(f, "b", "ended");
    follow(f, "/v1/jobs/j/output", &out);
    test_call_wait(&out, false);
    assert_string_equal("before\n", buf_str(&out.out));
    test_call_done(&out);
    test_run(f, "set beat 0", "");
    until_more(f, "beat", 5);
    expect(f, "POST /v1/jobs/j/signal?signal=9", 200, "{}");
}

static void test_programs_end_in_a_clone(void **state)
{
    struct fixture *f = *state;
    struct test_call c[2];
    test_boot_connected(f);
    start_and_clone(f, c, false);
    test_run(f, "get b", "not set: b\n");
    expect(f, "GET /v1/jobs/j", 200, "\"running\":true"); /* a job is no session's */
}

static void test_a_new_session_finds_what_the_last_one_left(void **state)
{
    struct fixture *f = *state;
    struct test_call c = {.guest = &f->guest};
    test_boot_connected(f);
    test_call_exec(&c, STRINGS("sh", "-c", "print up\ncat\nset b ended"), 0);
    test_call_wait(&c, true);
    test_call_done(&c); /* the client resets it: that one is gone */
    c = (struct test_call){.guest = &f->guest};
    test_call_exec(&c, STRINGS("sh", "-c", "print up\ncat\nset c ended"), 0);
    test_call_wait(&c, true);
    test_guest_close(&f->guest); /* the session ends without a word */
    buf_done(&c.out);
    buf_done(&c.json);
    buf_done(&c.send);
    test_connect(f);
    tell_restored(f, true);
    until_set(f, "c", "ended");
    test_run(f, "get b", "not set: b\n");
}

/* --- connections out of the guest --- */

static void accept_at(struct fixture *f, const char *path, struct test_call *c)
{
    *c = (struct test_call){.guest = &f->guest, .is_duplex = true};
    test_call_open(c, "POST", path, NULL, 0);
}

static void test_a_program_connects(void **state)
{
    struct fixture *f = *state;
    struct test_call host, program = {.guest = &f->guest};
    test_boot_connected(f);
    accept_at(f, "/v1/accept?port=8080&address=10.0.0.1", &host);
    test_call_exec(&program, STRINGS("sh", "-c", "connect 10.0.0.1:8080 GET /\\r\\n\nprint done"),
                   0);
    test_call_wait_text(&host, "GET /\r\n");
    assert_int_equal(200, host.status);
    test_call_send(&host, "200 OK\n");
    test_call_wait_text(&program, "200 OK\n");
    test_call_send(&host, NULL);
    test_call_wait(&program, false);
    assert_string_equal("200 OK\ndone\n", buf_str(&program.out));
    test_call_done(&host);
    test_call_done(&program);
}

static void test_nobody_listens(void **state)
{
    struct fixture *f = *state;
    struct test_call c;
    test_boot_connected(f);
    test_guest_run(&f->guest, "connect 9 x\nprint on", &c);
    assert_string_equal("connect: connection refused\n", buf_str(&c.err));
    assert_string_equal("on\n", buf_str(&c.out));
    test_call_done(&c);
    expect(f, "POST /v1/accept?port=0", 400, "\"field\":\"port\"");
    expect(f, "POST /v1/accept", 400, "\"field\":\"port\"");
    expect(f, "POST /v1/accept?port=1&address=x", 400, "\"field\":\"address\"");
}

static void test_a_second_connection_waits_for_a_second_request(void **state)
{
    struct fixture *f = *state;
    struct test_call host[2], program[2];
    test_boot_connected(f);
    accept_at(f, "/v1/accept?port=80", &host[0]);
    for (int i = 0; i < 2; i++) {
        program[i] = (struct test_call){.guest = &f->guest};
        test_call_exec(&program[i], STRINGS("sh", "-c", "print up\nconnect 80 hello"), 0);
        test_call_wait(&program[i], true);
    }
    test_call_wait_text(&host[0], "hello");
    assert_false(program[1].closed);
    accept_at(f, "/v1/accept?port=80", &host[1]);
    test_call_wait_text(&host[1], "hello");
    /* The host resets one and ends the other. */
    test_call_done(&host[0]);
    test_call_send(&host[1], NULL);
    for (int i = 0; i < 2; i++) {
        test_call_wait(&program[i], false);
        assert_int_equal(0, program[i].exit.code);
        test_call_done(&program[i]);
    }
    test_call_done(&host[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_ENGINE(test_users_and_logins),
        TEST_ENGINE(test_a_terminal),
        TEST_ENGINE(test_a_login_shell_by_exec),
        TEST_ENGINE(test_limits),
        TEST_ENGINE(test_a_compiler),
        TEST_ENGINE(test_a_terminal_is_hung_up_and_interrupted),
        TEST_ENGINE(test_computing_is_counted),
        TEST_ENGINE(test_a_tar_comes_out_and_goes_in),
        TEST_ENGINE(test_the_file_system_grows),
        TEST_ENGINE(test_a_guest_that_ignores_the_power_button),
        TEST_ENGINE(test_a_job_runs_by_itself),
        TEST_ENGINE(test_output_from_an_offset),
        TEST_ENGINE(test_input_and_end_of_a_job),
        TEST_ENGINE(test_programs_go_on_in_a_clone),
        TEST_ENGINE(test_programs_end_in_a_clone),
        TEST_ENGINE(test_a_new_session_finds_what_the_last_one_left),
        TEST_ENGINE(test_a_program_connects),
        TEST_ENGINE(test_nobody_listens),
        TEST_ENGINE(test_a_second_connection_waits_for_a_second_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
