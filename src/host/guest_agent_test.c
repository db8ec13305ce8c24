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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(test_ready),           T(test_exec),
        T(test_stdin),           T(test_files_then_program),
        T(test_file_error_wins), T(test_program_timeout),
        T(test_cancel_kills),    T(test_no_such_program),
        T(test_flood),           T(test_hundred_at_once),
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
