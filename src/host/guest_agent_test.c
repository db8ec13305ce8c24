/* SPDX-License-Identifier: Apache-2.0 */

/* The typed calls against the real agent, run on this host on one end of a socket pair. The agent's
 * program is the first argument; without it the test is skipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "host/guest.h"

#define LONG_MS 60000
#define AGENT_FD 3

static const char *agent_binary;
static struct link_loop *loop;
static struct link *guest;
static pid_t agent_pid;
static char dir[] = "/tmp/holm-guest-test-XXXXXX";

static int setup(void **state)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    posix_spawn_file_actions_t fa;
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_adddup2(&fa, fds[0], AGENT_FD);
    char *argv[] = {(char *)agent_binary, (char *)"--fd", (char *)"3", NULL};
    assert_int_equal(posix_spawn(&agent_pid, agent_binary, &fa, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&fa);
    close(fds[0]);
    struct err e = ERR_INIT;
    assert_int_equal(link_loop_new(&loop, &e), 0);
    assert_int_equal(link_open(loop, fds[1], LONG_MS, &guest, &e), 0);
    return 0;
}

/* The agent ends with its connection. */
static int teardown(void **state)
{
    link_close(guest);
    link_loop_free(loop);
    int status;
    assert_int_equal(waitpid(agent_pid, &status, 0), agent_pid);
    return 0;
}

struct run {
    const char *script;
    struct guest_exec x;
    struct exec_spec spec;
    struct exec_exit exit;
    struct buf streams[2];
    size_t bytes;
    bool count_only;
    struct err e;
};

static int collect(void *arg, int stream, const void *data, size_t len)
{
    struct run *r = arg;
    r->bytes += len;
    return r->count_only ? 0 : buf_append(&r->streams[stream - 1], data, len);
}

static int run(struct run *r)
{
    const char *argv[] = {"/bin/sh", "-c", r->script, NULL};
    const char *env[] = {"PATH=/usr/bin:/bin", "WORD=some word", NULL};
    r->spec.argv = (char **)argv;
    r->spec.env = (char **)env;
    r->spec.uid = getuid();
    r->spec.gid = getgid();
    r->spec.has_stdin = r->x.stdin_data != NULL;
    r->x.spec = &r->spec;
    r->x.output = collect;
    r->x.arg = r;
    r->x.deadline_ms = clock_mono_ms() + LONG_MS;
    r->e = (struct err)ERR_INIT;
    return guest_exec(guest, &r->x, &r->exit, &r->e);
}

static void done(struct run *r)
{
    buf_done(&r->streams[0]);
    buf_done(&r->streams[1]);
}

static void test_ready(void **state)
{
    struct agent_report report;
    struct err e = ERR_INIT;
    assert_int_equal(guest_wait_ready(guest, clock_mono_ms() + LONG_MS, &report, &e), 0);
    assert_int_equal(report.protocol, REPORT_PROTOCOL);
}

static void test_exec(void **state)
{
    struct run r = {.script = "echo \"$WORD\"; echo oops >&2; exit 3"};
    assert_int_equal(run(&r), 0);
    assert_string_equal(buf_str(&r.streams[0]), "some word\n");
    assert_string_equal(buf_str(&r.streams[1]), "oops\n");
    assert_int_equal(r.exit.code, 3);
    assert_int_equal(r.exit.stdout_bytes, 10);
    done(&r);
}

static void test_stdin(void **state)
{
    static char data[2 << 20];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 7 >> 2);
    struct run r = {.script = "cat", .x = {.stdin_data = data, .stdin_len = sizeof(data)}};
    assert_int_equal(run(&r), 0);
    assert_int_equal(r.streams[0].len, sizeof(data));
    assert_memory_equal(r.streams[0].data, data, sizeof(data));
    done(&r);
    /* A program that does not read it. */
    struct run t = {.script = "exit 5", .x = {.stdin_data = data, .stdin_len = sizeof(data)}};
    assert_int_equal(run(&t), 0);
    assert_int_equal(t.exit.code, 5);
}

static void test_files_then_program(void **state)
{
    enum { N = 100 };
    static char big[1 << 20], names[N][64];
    struct guest_file files[N];
    memset(big, 'z', sizeof(big));
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof(names[i]), "%s/sub dir/f%d", dir, i);
        files[i] = (struct guest_file){.path = names[i], .data = big, .mode = 0644};
        files[i].uid = getuid();
        files[i].gid = getgid();
        files[i].len = i < 2 ? sizeof(big) : (size_t)i;
    }
    char script[128];
    snprintf(script, sizeof(script), "cat '%s/sub dir/'f* | wc -c", dir);
    struct run r = {.script = script, .x = {.files = files, .n_files = N}};
    assert_int_equal(run(&r), 0);
    assert_int_equal(atoi(buf_str(&r.streams[0])), 2 * sizeof(big) + 99 * 100 / 2 - 1);
    done(&r);

    auto_buf struct buf b = {.max_bytes = sizeof(big)};
    struct err e = ERR_INIT;
    assert_int_equal(guest_get_file(guest, names[0], clock_mono_ms() + LONG_MS, &b, &e), 0);
    assert_int_equal(b.len, sizeof(big));
}

static void test_file_error_wins(void **state)
{
    struct guest_file f = {.path = "/proc/no/such", .data = "x", .len = 1, .mode = 0644};
    struct run r = {.script = "echo ran", .x = {.files = &f, .n_files = 1}};
    assert_true(run(&r) < 0);
    assert_true(r.e.text[0] && r.e.class != ERR_NONE);
    done(&r);
}

static void test_program_timeout(void **state)
{
    struct run r = {.script = "echo begun; sleep 1000", .spec.timeout_ms = 50};
    assert_int_equal(run(&r), 0);
    assert_true(r.exit.timed_out);
    assert_int_equal(r.exit.code, 128 + SIGKILL);
    assert_string_equal(buf_str(&r.streams[0]), "begun\n");
    done(&r);
}

static bool has_output(void *arg)
{
    return ((struct run *)arg)->bytes > 0;
}

static void test_cancel_kills(void **state)
{
    struct run r = {.script = "echo $$; exec sleep 1000", .x.cancelled = has_output};
    assert_int_equal(run(&r), -ECANCELED);
    pid_t pid = atoi(buf_str(&r.streams[0]));
    assert_true(pid > 1);
    while (kill(pid, 0) == 0) {
        struct err e = ERR_INIT; /* a round trip takes longer than the kill */
        assert_int_equal(guest_wait_ready(guest, clock_mono_ms() + LONG_MS, NULL, &e), 0);
    }
    done(&r);
}

static void test_no_such_program(void **state)
{
    struct run r = {.script = "true"};
    const char *argv[] = {"/no/such/program", NULL};
    struct exec_spec spec = {.argv = (char **)argv};
    r.x = (struct guest_exec){.spec = &spec, .deadline_ms = clock_mono_ms() + LONG_MS};
    assert_true(guest_exec(guest, &r.x, &r.exit, &r.e) < 0);
    assert_false(r.x.started);
    assert_true(r.e.class == ERR_NOT_FOUND || r.e.class == ERR_INVALID);
}

static void test_flood(void **state)
{
    struct run r = {.script = "head -c 67108864 /dev/zero", .count_only = true};
    assert_int_equal(run(&r), 0);
    assert_int_equal(r.bytes, 64 * MIB);
}

static void *one_of_many(void *arg)
{
    struct run *r = arg;
    r->script = "echo here";
    r->exit.code = run(r) < 0 ? -1 : r->exit.code;
    return NULL;
}

static void test_hundred_at_once(void **state)
{
    enum { N = 100 };
    static struct run runs[N];
    pthread_t threads[N];
    for (int i = 0; i < N; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, one_of_many, &runs[i]), 0);
    for (int i = 0; i < N; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(runs[i].exit.code, 0);
        assert_string_equal(buf_str(&runs[i].streams[0]), "here\n");
        done(&runs[i]);
    }
}

static void test_agent_killed(void **state)
{
    char script[64];
    snprintf(script, sizeof(script), "echo begun; kill -9 %d", agent_pid);
    struct run r = {.script = script};
    assert_int_equal(run(&r), -ENOTCONN);
    assert_int_equal(r.e.class, ERR_UNAVAILABLE);
    done(&r);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* --- files as streams, and what is in a directory --- */

static struct link_wait wait_long(void)
{
    return (struct link_wait){.deadline_ms = clock_mono_ms() + LONG_MS};
}

static const char *in_dir(const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void write_stream(const char *path, const char *text, size_t times)
{
    struct err e = ERR_INIT;
    struct link_stream *s = NULL;
    const struct link_wait w = wait_long();
    const struct guest_file f = {.path = path, .mode = 0640};
    assert_int_equal(guest_open_write(guest, &f, &w, &s, &e), 0);
    for (size_t i = 0; i < times; i++)
        assert_int_equal(link_stream_write(s, text, strlen(text), &w, &e), 0);
    assert_int_equal(link_stream_end(s, &w, &e), 0);
    assert_int_equal(guest_finish_write(s, &w, &e), 0);
    link_stream_free(s);
}

static void test_file_streams(void **state)
{
    struct err e = ERR_INIT;
    struct link_stream *s = NULL;
    const struct link_wait w = wait_long();
    struct guest_stat st;
    char got[16];
    write_stream(in_dir("sub/f"), "0123456789", 200000);
    assert_int_equal(guest_get_stat(guest, in_dir("sub/f"), w.deadline_ms, &st, &e), 0);
    assert_int_equal(st.type, GUEST_FILE);
    assert_int_equal(st.size, 2000000);
    assert_int_equal(st.mode, 0640);
    const struct guest_range range = {in_dir("sub/f"), 1999995, 100};
    assert_int_equal(guest_open_read(guest, &range, &w, &s, &e), 0);
    assert_int_equal(link_stream_read(s, got, sizeof(got), &w, &e), 5);
    assert_memory_equal(got, "56789", 5);
    assert_int_equal(link_stream_read(s, got, sizeof(got), &w, &e), 0);
    link_stream_free(s);

    json_t *list = NULL;
    assert_int_equal(guest_list_dir(guest, in_dir("sub"), w.deadline_ms, &list, &e), 0);
    assert_int_equal(json_array_size(list), 1);
    json_decref(list);
    assert_int_equal(guest_remove(guest, in_dir("sub"), w.deadline_ms, &e), 0);
    assert_int_equal(guest_get_stat(guest, in_dir("sub"), w.deadline_ms, &st, &e), -ENOENT);
    assert_int_equal(guest_grow(guest, 1, w.deadline_ms, &e), -EBUSY); /* this is no guest */
    assert_int_equal(e.class, ERR_CONFLICT);
}

/* A file that cannot be written says so while the body is still being sent. */
static void test_write_refused(void **state)
{
    struct err e = ERR_INIT;
    struct link_stream *s = NULL;
    static const char block[65536];
    const struct link_wait w = wait_long();
    const struct guest_file f = {.path = "/dev", .mode = 0600};
    assert_int_equal(guest_open_write(guest, &f, &w, &s, &e), 0);
    int r = 0;
    while (r == 0)
        r = link_stream_write(s, block, sizeof(block), &w, &e);
    assert_int_equal(r, -EPIPE);
    assert_int_equal(guest_finish_write(s, &w, &e), -EBUSY);
    assert_string_equal(e.text, "/dev: Is a directory");
    link_stream_free(s);
}

/* --- programs with streams, jobs --- */

static void test_terminal(void **state)
{
    const char *argv[] = {"/bin/sh", "-c", "stty size; read x; echo got $x; exit 3", NULL};
    struct exec_spec spec = {.argv = (char **)argv, .login = true, .pty_rows = 7, .pty_cols = 8};
    struct err e = ERR_INIT;
    struct guest_program *p = NULL;
    const struct link_wait w = wait_long();
    struct exec_exit exit;
    auto_buf struct buf got = {0};
    char some[64];
    int stream;
    assert_int_equal(guest_program_open(guest, &spec, &w, &p, &e), 0);
    assert_int_equal(guest_program_resize(p, 20, 30, &w, &e), 0);
    assert_int_equal(guest_program_write(p, "line\n", 5, &w, &e), 0);
    for (ssize_t n; (n = guest_program_read(p, some, sizeof(some), &stream, &w, &e)) > 0;)
        buf_append(&got, some, (size_t)n);
    guest_program_exit(p, &exit);
    guest_program_free(p);
    assert_non_null(strstr(buf_str(&got), "got line\r\n"));
    assert_int_equal(exit.code, 3);
}

static int take(void *arg, int stream, int64_t offset, const void *data, size_t len)
{
    return buf_append(arg, data, len);
}

static void test_job(void **state)
{
    const char *argv[] = {"/bin/sh", "-c", "cat; echo end; exec sleep 1000", NULL};
    struct exec_spec spec = {.argv = (char **)argv, .login = true, .has_stdin = true};
    struct err e = ERR_INIT;
    const int64_t deadline_ms = clock_mono_ms() + LONG_MS;
    auto_buf struct buf got = {0};
    struct guest_jobs jobs = {0};
    struct guest_job_output o = {.output = take, .arg = &got, .follow = true};
    spec.job = (char *)(uintptr_t) "j1";
    assert_int_equal(guest_job_start(guest, &spec, "input\n", 6, deadline_ms, &e), 0);
    assert_int_equal(guest_job_start(guest, &spec, "input\n", 6, deadline_ms, &e), -EBUSY);
    assert_int_equal(guest_job_list(guest, NULL, deadline_ms, &jobs, &e), 0);
    assert_int_equal(jobs.n, 1);
    assert_true(jobs.items[0].running);
    guest_jobs_done(&jobs);
    assert_int_equal(guest_job_forget(guest, "j1", deadline_ms, &e), -EBUSY);
    while (!strstr(buf_str(&got), "end")) { /* without following, from the start each time */
        struct guest_job_output now = {.output = take, .arg = &got};
        buf_clear(&got);
        assert_int_equal(guest_job_output(guest, "j1", &now, &e), 0);
        assert_false(now.ended);
    }
    assert_string_equal(buf_str(&got), "input\nend\n");
    assert_int_equal(guest_job_signal(guest, "j1", SIGTERM, deadline_ms, &e), 0);
    o.offset = 6;
    buf_clear(&got);
    assert_int_equal(guest_job_output(guest, "j1", &o, &e), 0);
    assert_string_equal(buf_str(&got), "end\n");
    assert_true(o.ended);
    assert_int_equal(o.exit.signal, SIGTERM);
    assert_int_equal(guest_job_forget(guest, "j1", deadline_ms, &e), 0);
    assert_int_equal(guest_job_list(guest, "j1", deadline_ms, &jobs, &e), -ENOENT);
    assert_int_equal(e.class, ERR_NOT_FOUND);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(test_ready),           T(test_exec),
        T(test_stdin),           T(test_files_then_program),
        T(test_file_error_wins), T(test_program_timeout),
        T(test_cancel_kills),    T(test_no_such_program),
        T(test_flood),           T(test_hundred_at_once),
        T(test_file_streams),    T(test_write_refused),
        T(test_terminal),        T(test_job),
        T(test_agent_killed),
    };
    agent_binary = argc > 1 ? argv[1] : NULL;
    if (!agent_binary)
        return 77; /* skipped, to meson */
    if (!mkdtemp(dir))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    dir_remove(dir);
    return failed;
}
