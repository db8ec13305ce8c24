/* SPDX-License-Identifier: Apache-2.0 */

/* The engine through engine.h, with real monitors. HOLM_FAKE_HELPER_DIR: where they are. */

#include "base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/engine.h"
#include "engine/fake/test_engine.h"
#include "wire/report.h"

static void get_report(struct fixture *f, const char *method, const char *path,
                       const struct buf *body, struct agent_report *ret)
{
    struct err e = ERR_INIT;
    struct test_call c = {.guest = &f->guest};
    test_call_open(&c, method, path, body ? body->data : NULL, body ? body->len : 0);
    test_call_wait(&c, false);
    assert_int_equal(200, c.status);
    assert_int_equal(0, report_decode(buf_str(&c.answer), c.answer.len, ret, &e));
    test_call_done(&c);
}

static void test_a_booted_guest_answers_and_runs(void **state)
{
    struct fixture *f = *state;
    struct agent_report report;
    struct test_call c;
    test_boot_connected(f);
    assert_int_equal(MONITOR_RUNNING, test_state(f));
    get_report(f, "GET", "/v1/ready", NULL, &report);
    assert_int_equal(REPORT_PROTOCOL, report.protocol);
    assert_false(report.reseeded);
    test_guest_run(&f->guest, "print hello\neprint oops\nflood 3000000\nexit 7", &c);
    assert_true(c.complete && c.exited);
    assert_int_equal(7, c.exit.code);
    assert_int_equal(3000006, c.out.len);
    assert_int_equal(3000006, c.exit.stdout_bytes);
    assert_memory_equal(c.out.data, "hello\n", 6);
    assert_string_equal(buf_str(&c.err), "oops\n");
    test_call_done(&c);
}

static void test_restored_sets_clock_and_random(void **state)
{
    struct fixture *f = *state;
    struct agent_report before, after;
    auto_buf struct buf body = {0};
    struct restored_request q = {.entropy_len = REPORT_ENTROPY_MIN_BYTES};
    test_boot_connected(f);
    get_report(f, "GET", "/v1/ready", NULL, &before);
    q.real_time_ns = clock_real_ns() + INT64_C(3600000000000);
    assert_int_equal(0, report_restored_encode(&q, &body));
    get_report(f, "POST", "/v1/restored", &body, &after);
    assert_true(after.reseeded);
    assert_true(after.real_time_ns >= q.real_time_ns);
    assert_true(after.clock_step_ms > 3500000 && after.clock_step_ms <= 3600000);
    assert_string_not_equal(before.random, after.random);
}

static void check_error(struct fixture *f, const char *method, const char *path, const char *body,
                        int status)
{
    struct test_call c = {.guest = &f->guest};
    test_call_open(&c, method, path, body, strlen(body));
    test_call_wait(&c, false);
    assert_int_equal(status, c.status);
    assert_non_null(strstr(buf_str(&c.answer), "\"error\""));
    test_call_done(&c);
}

static void test_bad_requests_get_an_answer(void **state)
{
    struct fixture *f = *state;
    test_boot_connected(f);
    check_error(f, "GET", "/v1/nothing", "", 404);
    check_error(f, "PATCH", "/v1/files", "", 405);
    check_error(f, "DELETE", "/v1/files", "", 400);
    check_error(f, "GET", "/v1/files?path=/x&colour=red", "", 400);
    check_error(f, "GET", "/v1/files?path=/no/such", "", 404);
    check_error(f, "PUT", "/v1/files?path=relative", "x", 400);
    check_error(f, "PUT", "/v1/files?path=/%zz", "x", 400);
    check_error(f, "PUT", "/v1/files", "x", 400);
    check_error(f, "POST", "/v1/restored", "{}", 400);
    check_error(f, "POST", "/v1/power", "{\"action\": \"up\"}", 400);
    check_error(f, "POST", "/v1/exec", "S", 400);
    check_error(f, "POST", "/v1/exec", "no frames", 400);
}

static void test_input_signals_and_time(void **state)
{
    struct fixture *f = *state;
    char **argv = STRINGS("bash", "p");
    test_boot_connected(f);
    test_guest_put(&f->guest, "/work/p", "print ready\ncat\nhang");
    struct test_call cat = {.guest = &f->guest};
    test_call_exec(&cat, argv, 0);
    test_call_frame(&cat, FRAME_STDIN, "in", 2);
    test_call_wait(&cat, true);
    /* Another request is answered while that one waits. */
    struct test_call other;
    test_guest_run(&f->guest, "sleep 5\nprint fine", &other);
    assert_string_equal(buf_str(&other.out), "fine\n");
    test_call_done(&other);
    cat.send_ended = true;
    test_call_frame(&cat, FRAME_SIGNAL, "\0\x0f", 2);
    test_call_wait(&cat, false);
    assert_int_equal(SIGTERM, cat.exit.signal);
    assert_int_equal(128 + SIGTERM, cat.exit.code);
    assert_string_equal(buf_str(&cat.out), "ready\nin");
    test_call_done(&cat);
    test_guest_put(&f->guest, "/work/p", "print before\nhang");
    struct test_call late = {.guest = &f->guest, .send_ended = true};
    test_call_exec(&late, argv, 20);
    test_call_wait(&late, false);
    assert_true(late.exited && late.exit.timed_out);
    assert_int_equal(SIGKILL, late.exit.signal);
    assert_string_equal(buf_str(&late.out), "before\n");
    test_call_done(&late);
}

static void test_a_program_whose_stream_is_reset_is_gone(void **state)
{
    struct fixture *f = *state;
    char **argv = STRINGS("bash", "p");
    struct test_call after;
    test_boot_connected(f);
    test_guest_put(&f->guest, "/work/p", "print up\nhang");
    struct test_call c = {.guest = &f->guest};
    test_call_exec(&c, argv, 0);
    test_call_wait(&c, true);
    test_call_done(&c); /* cancels */
    test_guest_run(&f->guest, "print still here", &after);
    assert_string_equal(buf_str(&after.out), "still here\n");
    test_call_done(&after);
}

static void test_pause_stops_time_and_resume_goes_on(void **state)
{
    struct fixture *f = *state;
    struct test_call c = {.guest = &f->guest, .send_ended = true};
    struct engine *en;
    char byte;
    test_boot_connected(f);
    en = f->engine;
    assert_int_equal(0, engine_pause(en, &f->m, NULL));
    assert_int_equal(0, engine_pause(en, &f->m, NULL));
    assert_int_equal(MONITOR_PAUSED, test_state(f));
    test_call_open(&c, "POST", "/v1/sync", NULL, 0);
    const void *data;
    ssize_t n = agent_client_take(f->guest.http, &data);
    assert_int_equal(0, fd_write_all(f->guest.fd, data, (size_t)n));
    /* The monitor has been through its loop since, and did not answer. */
    assert_int_equal(MONITOR_PAUSED, test_state(f));
    assert_int_equal(-1, recv(f->guest.fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK));
    assert_int_equal(0, engine_resume(en, &f->m, NULL));
    assert_int_equal(0, engine_resume(en, &f->m, NULL));
    assert_int_equal(MONITOR_RUNNING, test_state(f));
    test_call_wait(&c, false);
    assert_int_equal(200, c.status);
    test_call_done(&c);
}

static void test_capture_and_restore(void **state)
{
    struct fixture *f = *state;
    struct agent_report before, after;
    struct capture_times times = {0};
    struct test_call c;
    struct err e = ERR_INIT;
    test_boot_connected(f);
    get_report(f, "GET", "/v1/ready", NULL, &before);
    test_guest_put(&f->guest, "/kept", "from before\n");
    assert_int_equal(
        0, engine_capture(f->engine, &f->m, f->template_dir, CAPTURE_DURABLE, &times, &e));
    assert_true(times.dirty_pages > 0);
    assert_int_equal(MONITOR_RUNNING, test_state(f));
    assert_true(engine_capture(f->engine, &f->m, f->template_dir, CAPTURE_DURABLE, &times, &e) < 0);
    assert_int_equal(ERR_CONFLICT, e.class);
    test_guest_put(&f->guest, "/kept", "later\n");
    test_guest_close(&f->guest);
    assert_int_equal(0, engine_kill(f->engine, &f->m, &e));
    assert_int_equal(0, engine_restore(f->engine, &f->spec, &f->m, &e));
    test_connect(f);
    get_report(f, "GET", "/v1/ready", NULL, &after);
    assert_string_equal(before.boot_id, after.boot_id);
    assert_true(after.real_time_ns < clock_real_ns());
    test_guest_run(&f->guest, "file /kept", &c);
    assert_string_equal(buf_str(&c.out), "from before\n");
    test_call_done(&c);
}

static void test_a_damaged_template_is_refused(void **state)
{
    struct fixture *f = *state;
    char path[256];
    struct err e = ERR_INIT;
    test_boot(f, "");
    assert_int_equal(0,
                     engine_capture(f->engine, &f->m, f->template_dir, CAPTURE_DURABLE, NULL, &e));
    assert_int_equal(0, engine_kill(f->engine, &f->m, &e));
    f->spec.shape.memory_mib = 512;
    assert_true(engine_restore(f->engine, &f->spec, &f->m, &e) < 0);
    assert_non_null(strstr(e.text, "shape"));
    f->spec.shape.memory_mib = 256;
    path_printf(path, sizeof(path), "%s/state", f->template_dir);
    assert_int_equal(0, file_write_atomic(path, "junk", 4, 0600));
    assert_true(engine_restore(f->engine, &f->spec, &f->m, &e) < 0);
    assert_non_null(strstr(e.text, "its state is not what it was"));
    test_assert_no_sockets(f->vm_dir);
    path_printf(path, sizeof(path), "%s/template.json", f->template_dir);
    assert_int_equal(0, file_write_atomic(path, "{", 1, 0600));
    assert_true(engine_restore(f->engine, &f->spec, &f->m, &e) < 0);
    assert_int_equal(ERR_CONFLICT, e.class);
}

static void test_kill_is_idempotent_and_finds_what_was_not_written_down(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    test_boot(f, "");
    assert_int_equal(0, engine_kill(f->engine, &f->m, &e));
    assert_int_equal(0, engine_kill(f->engine, &f->m, &e));
    assert_int_equal(MONITOR_GONE, test_state(f));
    test_assert_no_sockets(f->vm_dir);
    assert_true(engine_connect_agent(f->engine, &f->m, &e) < 0);
    assert_int_equal(ERR_UNAVAILABLE, e.class);
    assert_true(engine_pause(f->engine, &f->m, &e) < 0);
    assert_int_equal(ERR_UNAVAILABLE, e.class);
    struct monitor unknown = f->m;
    unknown.proc = (struct proc_ref){0};
    assert_int_equal(0, engine_kill(f->engine, &unknown, &e)); /* nothing was started */
    test_boot(f, "");
    auto_close int pidfd = proc_ref_open(&f->m.proc);
    assert_int_equal(0, engine_kill(f->engine, &unknown, &e));
    assert_int_equal(0, proc_wait(pidfd, 60000, NULL));
    test_assert_no_sockets(f->vm_dir);
}

static void test_a_monitor_outlives_who_started_it(void **state)
{
    struct fixture *f = *state;
    struct monitor m;
    int pipe_fds[2], status;
    struct test_call c;
    assert_int_equal(0, pipe2(pipe_fds, O_CLOEXEC));
    pid_t pid = fork();
    if (pid == 0) {
        struct engine *en = test_engine_new("");
        _exit(engine_boot(en, &f->spec, &m, NULL) < 0 ||
              fd_write_all(pipe_fds[1], &m, sizeof(m)) < 0);
    }
    close(pipe_fds[1]);
    assert_int_equal(pid, waitpid(pid, &status, 0));
    assert_int_equal(0, fd_read_all(pipe_fds[0], &f->m, sizeof(f->m)));
    close(pipe_fds[0]);
    f->engine = test_engine_new("");
    assert_int_equal(MONITOR_RUNNING, test_state(f));
    test_connect(f);
    test_guest_run(&f->guest, "print adopted", &c);
    assert_string_equal(buf_str(&c.out), "adopted\n");
    test_call_done(&c);
}

static void test_a_guest_can_end(void **state)
{
    static const char *const ways[] = {"die", "off", "button"};
    struct fixture *f = *state;
    struct test_call c;
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        test_boot(f, "");
        test_connect(f);
        auto_close int pidfd = proc_ref_open(&f->m.proc);
        if (i == 0) {
            test_guest_run(&f->guest, "print x\ndie", &c);
            assert_false(c.exited);
        } else if (i == 1) {
            c = (struct test_call){.guest = &f->guest};
            test_call_open(&c, "POST", "/v1/power", "{\"action\": \"off\"}", 17);
            test_call_wait(&c, false);
            assert_int_equal(200, c.status);
        } else {
            c = (struct test_call){.guest = &f->guest};
            assert_int_equal(0, engine_power_button(f->engine, &f->m, NULL));
        }
        assert_int_equal(0, proc_wait(pidfd, 60000, NULL));
        assert_int_equal(MONITOR_GONE, test_state(f));
        test_call_done(&c);
        assert_int_equal(0, engine_kill(f->engine, &f->m, NULL));
    }
}

static void test_a_second_connection_waits_for_its_turn(void **state)
{
    struct fixture *f = *state;
    struct test_call c;
    test_boot_connected(f);
    int fd = engine_connect_agent(f->engine, &f->m, NULL);
    assert_true(fd >= 0);
    test_guest_run(&f->guest, "print first", &c);
    assert_string_equal(buf_str(&c.out), "first\n");
    test_call_done(&c);
    test_guest_close(&f->guest);
    assert_true(test_guest_open(&f->guest, fd));
}

static void test_stats_facts_and_fingerprint(void **state)
{
    struct fixture *f = *state;
    struct monitor_stats stats = {0};
    struct engine_fact facts[4];
    char print[64];
    test_boot_connected(f);
    assert_int_equal(0, engine_stats(f->engine, &f->m, &stats, NULL));
    uint64_t before = stats.disk_bytes;
    test_guest_put(&f->guest, "/a", "12345");
    assert_int_equal(0, engine_stats(f->engine, &f->m, &stats, NULL));
    assert_true(stats.pss_bytes > 0 && stats.private_bytes > 0);
    assert_int_equal(5, stats.disk_bytes - before);
    assert_int_equal(2, engine_facts(f->engine, facts, 4));
    assert_int_equal(1, engine_facts(f->engine, facts, 1));
    assert_int_equal(0, engine_fingerprint(f->engine, print, sizeof(print), NULL));
    assert_string_equal(print, "fake/2");
}

/* --- faults --- */

static void test_bad_faults_are_refused(void **state)
{
    static const char *const bad[] = {"boot",
                                      "boot=",
                                      "boot=fails",
                                      "boot=fail:",
                                      "boot=fail:x",
                                      "boot=fail:-1",
                                      "die=boot",
                                      "die=boot.now",
                                      "die=pause.mid",
                                      "die=boot.begin:x",
                                      "wait=boot.end",
                                      "wait=boot.end:fifo",
                                      "kill=fail,nonsense=1",
                                      ","};
    struct engine_config config = {.helper_dir = getenv("HOLM_FAKE_HELPER_DIR")};
    struct engine *en = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct err e = ERR_INIT;
        setenv("HOLM_FAKE_FAULTS", bad[i], 1);
        assert_int_equal(-EINVAL, engine_new("fake", &config, &en, &e));
        assert_non_null(strstr(e.text, "HOLM_FAKE_FAULTS"));
    }
    struct err e = ERR_INIT;
    unsetenv("HOLM_FAKE_FAULTS");
    config.helper_dir = "/no/such";
    assert_int_equal(-ENOENT, engine_new("fake", &config, &en, &e));
    assert_null(en);
}

static void test_faults_are_counted(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    f->engine = test_engine_new("boot=fail:2,kill=fail:1");
    for (int i = 0; i < 2; i++) {
        assert_true(engine_boot(f->engine, &f->spec, &f->m, &e) < 0);
        assert_int_equal(ERR_INTERNAL, e.class);
        assert_non_null(strstr(e.text, "boot=fail was ordered"));
        test_assert_no_sockets(f->vm_dir);
    }
    test_boot(f, NULL);
    assert_true(engine_kill(f->engine, &f->m, &e) < 0);
    assert_int_equal(MONITOR_RUNNING, test_state(f));
    assert_int_equal(0, engine_kill(f->engine, &f->m, &e));
}

static void test_a_failed_capture_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    char part[256];
    test_boot(f, "capture=enospc:1,capture=fail:1");
    path_printf(part, sizeof(part), "%s.new", f->template_dir);
    for (int i = 0; i < 2; i++) {
        int r = engine_capture(f->engine, &f->m, f->template_dir, CAPTURE_DURABLE, NULL, &e);
        assert_true(r < 0);
        assert_int_equal(i == 1, r == -ENOSPC);
        assert_int_equal(-1, access(f->template_dir, F_OK));
        assert_int_equal(-1, access(part, F_OK));
    }
    assert_int_equal(0,
                     engine_capture(f->engine, &f->m, f->template_dir, CAPTURE_DURABLE, NULL, &e));
}

/* Ends the monitor of the test's last step and boots one with other faults. */
static void boot_again(struct fixture *f, const char *faults)
{
    test_guest_close(&f->guest);
    if (f->engine)
        assert_int_equal(0, engine_kill(f->engine, &f->m, NULL));
    engine_free(TAKE_PTR(f->engine));
    test_boot(f, faults);
}

static void test_agents_with_faults(void **state)
{
    struct fixture *f = *state;
    char byte;
    boot_again(f, "boot.agent=never");
    auto_close int fd = engine_connect_agent(f->engine, &f->m, NULL);
    assert_true(fd >= 0);
    assert_int_equal(0, fd_write_all(fd, "HOLM/1 0123456789abcdef0123456789abcdef\n", 40));
    /* The first question may be taken up together with the hello, the second comes after it. */
    assert_int_equal(MONITOR_RUNNING, test_state(f));
    assert_int_equal(MONITOR_RUNNING, test_state(f));
    assert_int_equal(-1, recv(fd, &byte, 1, MSG_DONTWAIT));
    boot_again(f, "boot.agent=garbage");
    assert_false(test_guest_open(&f->guest, engine_connect_agent(f->engine, &f->m, NULL)));
    assert_int_equal(AGENT_CLIENT_ENDED, agent_client_state(f->guest.http));
}

static void test_programs_with_faults(void **state)
{
    struct fixture *f = *state;
    struct test_call c;
    boot_again(f, "boot.exec=reset:1");
    test_connect(f);
    test_guest_run(&f->guest, "print x", &c);
    assert_true(c.closed && !c.complete && !f->guest.ended);
    test_call_done(&c);
    boot_again(f, "boot.exec=die");
    test_connect(f);
    test_guest_run(&f->guest, "print x", &c);
    assert_true(!c.exited && f->guest.ended);
    test_call_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_ENGINE(test_a_booted_guest_answers_and_runs),
        TEST_ENGINE(test_restored_sets_clock_and_random),
        TEST_ENGINE(test_bad_requests_get_an_answer),
        TEST_ENGINE(test_input_signals_and_time),
        TEST_ENGINE(test_a_program_whose_stream_is_reset_is_gone),
        TEST_ENGINE(test_pause_stops_time_and_resume_goes_on),
        TEST_ENGINE(test_capture_and_restore),
        TEST_ENGINE(test_a_damaged_template_is_refused),
        TEST_ENGINE(test_kill_is_idempotent_and_finds_what_was_not_written_down),
        TEST_ENGINE(test_a_monitor_outlives_who_started_it),
        TEST_ENGINE(test_a_guest_can_end),
        TEST_ENGINE(test_a_second_connection_waits_for_its_turn),
        TEST_ENGINE(test_stats_facts_and_fingerprint),
        TEST_ENGINE(test_bad_faults_are_refused),
        TEST_ENGINE(test_faults_are_counted),
        TEST_ENGINE(test_a_failed_capture_leaves_nothing),
        TEST_ENGINE(test_agents_with_faults),
        TEST_ENGINE(test_programs_with_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
