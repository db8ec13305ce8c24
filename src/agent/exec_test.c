/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "agent/test_client.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/test.h"

static void test_streams_and_code(void **state)
{
    auto_test_request struct test_request q = {0};
    test_sh(*state, &q, "echo out; echo err >&2; exit 7");
    assert_string_equal("out\n", buf_str(&q.out));
    assert_string_equal("err\n", buf_str(&q.err));
    assert_int_equal(7, q.exit.code);
    assert_int_equal(0, q.exit.signal);
    assert_int_equal(4, q.exit.stdout_bytes);
    assert_int_equal(4, q.exit.stderr_bytes);
    assert_false(q.exit.timed_out);
    assert_true(q.complete);
}

static void test_signal_of_its_own(void **state)
{
    auto_test_request struct test_request q = {0};
    test_sh(*state, &q, "kill -SEGV $$");
    assert_int_equal(128 + SIGSEGV, q.exit.code);
    assert_int_equal(SIGSEGV, q.exit.signal);
}

static void test_signal_frame(void **state)
{
    auto_test_request struct test_request q = {.keep_out = true};
    struct exec_spec spec = {.argv = ARGV("sleep", "1000")};
    uint8_t sig[] = {0, SIGTERM};
    test_exec(*state, &q, &spec, false);
    test_wait_started(&q);
    test_send_frame(&q, FRAME_SIGNAL, sig, sizeof(sig));
    test_wait_closed(&q);
    assert_int_equal(SIGTERM, q.exit.signal);
    assert_int_equal(128 + SIGTERM, q.exit.code);
}

static void test_timeout(void **state)
{
    auto_test_request struct test_request q = {.keep_out = true};
    struct exec_spec spec = {
        .argv = ARGV("sh", "-c", "echo before; sleep 1000 & sleep 1000"),
        .timeout_ms = 100,
    };
    test_exec(*state, &q, &spec, true);
    test_wait_closed(&q);
    assert_true(q.exit.timed_out);
    assert_int_equal(SIGKILL, q.exit.signal);
    assert_string_equal("before\n", buf_str(&q.out));
}

/* What is in the program's own PATH comes first, but need not be there. */
static void test_search(void **state)
{
    char dir[] = "/tmp/holm-exec-XXXXXX", own[64], path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(own, sizeof(own), "%s/sleep", dir);
    snprintf(path, sizeof(path), "PATH=%s", dir);
    assert_int_equal(0, symlink("/bin/echo", own));
    struct {
        char **argv;
        const char *out;
    } const rows[] = {{ARGV("sleep", "own"), "own\n"}, {ARGV("printenv"), path}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_test_request struct test_request q = {.keep_out = true};
        struct exec_spec spec = {.argv = rows[i].argv, .env = ARGV(path)};
        test_exec(*state, &q, &spec, true);
        test_wait_closed(&q);
        assert_memory_equal(rows[i].out, buf_str(&q.out), strlen(rows[i].out));
    }
    assert_int_equal(0, dir_remove(dir));
}

static void test_clean_state(void **state)
{
    static const char script[] =
        "pwd; umask; cut -d' ' -f5,6,19 /proc/$$/stat; env;"
        "grep -E '^(SigBlk|SigIgn)' /proc/self/status; ls /proc/self/fd | wc -l";
    auto_test_request struct test_request q = {.keep_out = true};
    struct exec_spec spec = {.argv = ARGV("sh", "-c", script), .cwd = (char *)(uintptr_t) "/usr"};
    spec.env = ARGV("PATH=/usr/bin:/bin", "PWD=/usr");
    test_exec(*state, &q, &spec, true);
    test_wait_closed(&q);
    char want[1024];
    /* A group and session of its own, nice 0. Four descriptors: three of the program's and the
     * directory that ls reads. */
    snprintf(want, sizeof(want),
             "/usr\n0022\n%lld %lld 0\nPATH=/usr/bin:/bin\nPWD=/usr\n"
             "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n4\n",
             (long long)q.pid, (long long)q.pid);
    assert_string_equal(want, buf_str(&q.out));
}

static void test_identity(void **state)
{
    if (getuid() != 0)
        skip();
    auto_test_request struct test_request q = {.keep_out = true};
    struct exec_spec spec = {
        .argv = ARGV("sh", "-c", "id -u; id -g; id -G"), .uid = 12345, .gid = 23456};
    test_exec(*state, &q, &spec, true);
    test_wait_closed(&q);
    assert_string_equal("12345\n23456\n23456\n", buf_str(&q.out));
}

/* What /dev/stdin, /dev/stdout and /dev/stderr stand for may be opened anew by another user. */
static void test_streams_by_name(void **state)
{
    if (getuid() != 0)
        skip();
    auto_test_request struct test_request q = {.keep_out = true};
    struct exec_spec spec = {
        .argv = ARGV("sh", "-c",
                     "echo out >/proc/self/fd/1; echo err >/proc/self/fd/2; : </proc/self/fd/0"),
        .uid = 12345,
        .gid = 23456};
    test_exec(*state, &q, &spec, true);
    test_wait_closed(&q);
    assert_string_equal("out\n", buf_str(&q.out));
    assert_string_equal("err\n", buf_str(&q.err));
    assert_int_equal(0, q.exit.code);
}

static void test_refusals(void **state)
{
    const struct {
        struct exec_spec spec;
        const char *want;
    } rows[] = {
        {{.argv = (char *[]){(char *)(uintptr_t) "no-such-program", NULL}},
         "{\"error\":\"argv[0] \\\"no-such-program\\\": not found\",\"field\":\"argv\"}"},
        {{.argv = (char *[]){(char *)(uintptr_t) "/etc/passwd", NULL}},
         "{\"error\":\"argv[0] \\\"/etc/passwd\\\": Permission denied\",\"field\":\"argv\"}"},
        {{.argv = (char *[]){(char *)(uintptr_t) "true", NULL},
          .cwd = (char *)(uintptr_t) "/no/such"},
         "{\"error\":\"cwd \\\"/no/such\\\": No such file or directory\",\"field\":\"cwd\"}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_test_request struct test_request q = {0};
        test_exec(*state, &q, &rows[i].spec, true);
        test_wait_closed(&q);
        assert_int_equal(400, q.status);
        assert_string_equal(rows[i].want, buf_str(&q.answer));
    }
}

static void test_bad_bodies(void **state)
{
    static const struct {
        const char *body;
        size_t len;
        int status;
        const char *want;
    } rows[] = {
        {"S\0\0\2{}S\0\0\0", 10, 400,
         "{\"error\":\"argv must be a list of strings\",\"field\":\"argv\"}"},
        {"S\0\0\5{\"a\":S\0\0\0031}\nS\0\0\0", 20, 400,
         "{\"error\":\"unknown field \\\"a\\\"\",\"field\":\"a\"}"},
        {"I\0\0\1x", 5, 400, "{\"error\":\"the spec must come first, ended by an empty frame\"}"},
        {"Z", 1, 400, "{\"error\":\"unexpected exec frame of type 0x5a\"}"},
        {"S\2\0\0", 4, 400, "{\"error\":\"an exec frame of 131072 bytes, more than 65536\"}"},
        {"S\0\0\2{", 5, 400,
         "{\"error\":\"the body ended in mid-frame or before the end of the spec\"}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_test_request struct test_request q = {.method = "POST", .path = "/v1/exec"};
        test_request(*state, &q, rows[i].body, rows[i].len, true);
        test_wait_closed(&q);
        assert_int_equal(rows[i].status, q.status);
        assert_string_equal(rows[i].want, buf_str(&q.answer));
    }
}

/* What follows the start and is wrong ends the stream and the program. */
static void test_bad_signal_kills(void **state)
{
    auto_test_request struct test_request q = {0};
    struct exec_spec spec = {.argv = ARGV("sleep", "1000")};
    uint8_t sig[] = {1, 0};
    test_exec(*state, &q, &spec, false);
    test_wait_started(&q);
    test_send_frame(&q, FRAME_SIGNAL, sig, sizeof(sig));
    test_wait_closed(&q);
    assert_false(q.complete);
    assert_false(q.exited);
}

static void test_binary_stdin(void **state)
{
    auto_test_request struct test_request q = {.keep_out = true};
    struct exec_spec spec = {.argv = ARGV("cat"), .has_stdin = true};
    char *data = malloc(1 << 20);
    for (size_t i = 0; i < 1 << 20; i++)
        data[i] = (char)(i * 2654435761u >> 13);
    test_exec(*state, &q, &spec, false);
    for (size_t at = 0; at < 1 << 20; at += AGENT_FRAME_MAX_BYTES)
        test_send_frame(&q, FRAME_STDIN, data + at, AGENT_FRAME_MAX_BYTES);
    test_send(&q, NULL, 0, true);
    test_wait_closed(&q);
    assert_int_equal(1 << 20, q.out.len);
    assert_memory_equal(data, q.out.data, 1 << 20);
    free(data);
}

static bool has_line(void *arg)
{
    const struct test_request *q = arg;
    return strchr(buf_str(&q->out), '\n') != NULL || q->closed;
}

/* The program sees the end of its input when the client's half is closed, and may go on writing. */
static void test_half_close(void **state)
{
    auto_test_request struct test_request q = {.keep_out = true};
    struct exec_spec spec = {.argv = ARGV("sh", "-c", "read a; echo \"$a\"; cat; echo end"),
                             .has_stdin = true};
    test_exec(*state, &q, &spec, false);
    test_send_frame(&q, FRAME_STDIN, "one\n", 4);
    test_pump(*state, has_line, &q);
    assert_string_equal("one\n", buf_str(&q.out));
    test_send_frame(&q, FRAME_STDIN, "two\n", 4);
    test_send(&q, NULL, 0, true);
    test_wait_closed(&q);
    assert_string_equal("one\ntwo\nend\n", buf_str(&q.out));
}

/* The program has ended, the client goes on sending: it gets its answer nevertheless. */
static void test_unread_stdin(void **state)
{
    auto_test_request struct test_request q = {0};
    struct exec_spec spec = {.argv = ARGV("true"), .has_stdin = true};
    char *data = calloc(1, AGENT_FRAME_MAX_BYTES);
    test_exec(*state, &q, &spec, false);
    for (int i = 0; i < 32; i++)
        test_send_frame(&q, FRAME_STDIN, data, AGENT_FRAME_MAX_BYTES);
    test_wait_closed(&q);
    assert_true(q.exited);
    assert_int_equal(0, q.exit.code);
    free(data);
}

static void test_large_output(void **state)
{
    auto_test_request struct test_request q = {0};
    struct exec_spec spec = {.argv = ARGV("head", "-c", "67108864", "/dev/zero")};
    test_exec(*state, &q, &spec, true);
    test_wait_closed(&q);
    assert_int_equal(64 * MIB, q.out_bytes);
    assert_int_equal(64 * MIB, q.exit.stdout_bytes);
    assert_int_equal(0, q.exit.code);
}

static bool window_is_full(void *arg)
{
    const struct test_request *q = arg;
    return q->held == AGENT_WINDOW_BYTES;
}

/* A client that does not read blocks its program, and no other. */
static void test_slow_reader(void **state)
{
    auto_test_request struct test_request q = {.hold = true}, other = {0};
    struct exec_spec spec = {.argv = ARGV("head", "-c", "8388608", "/dev/zero")};
    test_exec(*state, &q, &spec, true);
    test_pump(*state, window_is_full, &q);
    test_sh(*state, &other, "echo meanwhile");
    assert_string_equal("meanwhile\n", buf_str(&other.out));
    assert_false(q.exited);
    test_release(&q);
    test_wait_closed(&q);
    assert_int_equal(8 * MIB, q.out_bytes);
}

static bool all_closed(void *arg)
{
    const struct test_request *q = arg;
    for (int i = 0; i < 100; i++)
        if (!q[i].closed)
            return false;
    return true;
}

static void test_many_at_once(void **state)
{
    static struct test_request q[100];
    memset(q, 0, sizeof(q));
    for (int i = 0; i < 100; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%d", i);
        struct exec_spec spec = {.argv = ARGV("sh", "-c", "cat; echo $0; exit $0", text),
                                 .has_stdin = true};
        q[i].keep_out = true;
        test_exec(*state, &q[i], &spec, false);
    }
    for (int i = 0; i < 100; i++) {
        test_send_frame(&q[i], FRAME_STDIN, "in ", 3);
        test_send(&q[i], NULL, 0, true);
    }
    test_pump(*state, all_closed, q);
    for (int i = 0; i < 100; i++) {
        char want[16];
        snprintf(want, sizeof(want), "in %d\n", i);
        assert_string_equal(want, buf_str(&q[i].out));
        assert_int_equal(i, q[i].exit.code);
        test_request_done(&q[i]);
    }
}

/* Waits until no process has the FIFO open for writing: those that had it are gone. */
static void wait_fifo_closed(int fd)
{
    char c;
    assert_int_equal(0, fd_set_nonblock(fd, false));
    while (read(fd, &c, 1) > 0)
        ;
}

static int open_fifo(const char *dir, char ret_path[PATH_MAX])
{
    assert_int_equal(0, path_printf(ret_path, PATH_MAX, "%s/fifo", dir));
    assert_int_equal(0, mkfifo(ret_path, 0600));
    int fd = open(ret_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void test_cancel_kills_group(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char path[PATH_MAX];
    auto_close int fifo = open_fifo(dir, path);
    auto_test_request struct test_request q = {.keep_out = true};
    struct exec_spec spec = {
        .argv = ARGV("sh", "-c", "exec 9>$0; sleep 1000 & echo up; sleep 1000", path)};
    test_exec(*state, &q, &spec, false);
    test_pump(*state, has_line, &q);
    agent_client_cancel(q.client->http, q.stream);
    q.closed = true;
    auto_test_request struct test_request other = {0};
    test_sh(*state, &other, "true"); /* sends the cancellation */
    wait_fifo_closed(fifo);
}

/* A background child that holds the output open is killed a moment after the program's end. */
static void test_straggler(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char path[PATH_MAX];
    auto_close int fifo = open_fifo(dir, path);
    auto_test_request struct test_request q = {.keep_out = true};
    struct exec_spec spec = {.argv = ARGV("sh", "-c", "exec 9>$0; echo up; sleep 1000 &", path)};
    test_exec(*state, &q, &spec, true);
    test_wait_closed(&q);
    assert_int_equal(0, q.exit.code);
    assert_string_equal("up\n", buf_str(&q.out));
    wait_fifo_closed(fifo);
}

/* One that left the process group cannot be found without a cgroup; the answer comes all the same,
 * with what was in the pipe. */
static void test_straggler_out_of_group(void **state)
{
    auto_test_request struct test_request q = {0};
    test_sh(*state, &q, "setsid yes & echo $! >&2");
    assert_true(q.exited);
    assert_int_equal(0, q.exit.code);
    kill((pid_t)atoi(buf_str(&q.err)), SIGKILL);
}

/* A background child that let go of the output lives on. */
static void test_background_survives(void **state)
{
    auto_test_request struct test_request q = {0}, k = {0};
    char script[64];
    test_sh(*state, &q, "sleep 1000 >/dev/null 2>&1 & echo $!");
    snprintf(script, sizeof(script), "kill %d", atoi(buf_str(&q.out)));
    test_sh(*state, &k, script);
    assert_int_equal(0, k.exit.code);
}

/* Of a flood the client gets the bound's worth of each stream; the rest is read, and counted. */
static void test_output_limit(void **state)
{
    auto_test_request struct test_request q = {.keep_out = true};
    struct exec_spec spec = {
        .argv = ARGV("sh", "-c",
                     "head -c 300000 /dev/zero; head -c 70001 /dev/zero >&2; printf x; exit 5"),
        .limits.output_bytes = 70000,
    };
    test_exec(*state, &q, &spec, true);
    test_wait_closed(&q);
    assert_true(q.exited);
    assert_int_equal(5, q.exit.code);
    assert_int_equal(70000, q.out.len);
    assert_int_equal(70000, q.err.len);
    assert_int_equal(300001, q.exit.stdout_bytes);
    assert_int_equal(70001, q.exit.stderr_bytes);
}

/* Nobody is cut who keeps to the bound, and who holds a flooded pipe open ends as ever. */
static void test_output_limit_at_its_edge(void **state)
{
    auto_test_request struct test_request q = {.keep_out = true}, held = {.keep_out = true};
    struct exec_spec spec = {.argv = ARGV("sh", "-c", "printf 1234"), .limits.output_bytes = 4};
    test_exec(*state, &q, &spec, true);
    test_wait_closed(&q);
    assert_string_equal("1234", buf_str(&q.out));
    spec.argv = ARGV("sh", "-c", "printf 123456; sleep 1000 & exit 3");
    test_exec(*state, &held, &spec, true);
    test_wait_closed(&held);
    assert_true(held.exited);
    assert_int_equal(3, held.exit.code);
    assert_string_equal("1234", buf_str(&held.out));
    assert_int_equal(6, held.exit.stdout_bytes);
}

static void test_file_limit(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    auto_test_request struct test_request q = {.keep_out = true};
    struct exec_spec spec = {
        .argv = ARGV("sh", "-c", "exec head -c 5000 /dev/zero >file"),
        .cwd = dir,
        .limits.file_bytes = 4096,
    };
    test_exec(*state, &q, &spec, true);
    test_wait_closed(&q);
    assert_int_equal(SIGXFSZ, q.exit.signal);
    char path[PATH_MAX];
    struct stat st;
    assert_int_equal(0, path_printf(path, sizeof(path), "%s/file", dir));
    assert_int_equal(0, stat(path, &st));
    assert_int_equal(4096, st.st_size);
}

/* What an agent on a host cannot bound, it does not pretend to. */
static void test_limits_without_a_group(void **state)
{
    const struct exec_limits rows[] = {{.memory_bytes = 1 << 20}, {.processes = 3}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_test_request struct test_request q = {0};
        struct exec_spec spec = {.argv = ARGV("true"), .limits = rows[i]};
        test_exec(*state, &q, &spec, true);
        test_wait_closed(&q);
        assert_int_equal(400, q.status);
        assert_string_equal("{\"error\":\"memory and processes cannot be bounded here\","
                            "\"field\":\"limits\"}",
                            buf_str(&q.answer));
    }
}

static void test_usage(void **state)
{
    auto_test_request struct test_request q = {0};
    test_sh(*state, &q, "true");
    assert_int_equal(q.exit.user_us + q.exit.system_us, q.exit.cpu_us);
    assert_int_equal(q.exit.max_rss_kib * 1024, q.exit.memory_peak_bytes);
    assert_true(q.exit.memory_peak_bytes > 0);
    assert_false(q.exit.oom);
}

/* As test_background_survives, but that it does not is asked for. */
static void test_kill_rest(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char path[PATH_MAX];
    auto_close int fifo = open_fifo(dir, path);
    auto_test_request struct test_request q = {.keep_out = true};
    struct exec_spec spec = {
        .argv = ARGV("sh", "-c", "sleep 1000 9>$0 >/dev/null 2>&1 & echo started", path),
        .kill_rest = true,
    };
    test_exec(*state, &q, &spec, true);
    test_wait_closed(&q);
    assert_string_equal("started\n", buf_str(&q.out));
    wait_fifo_closed(fifo);
}

static void test_session_end_kills(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char path[PATH_MAX];
    auto_close int fifo = open_fifo(dir, path);
    struct test_client t;
    test_client_start(&t, NULL);
    auto_test_request struct test_request q = {.keep_out = true};
    struct exec_spec spec = {.argv = ARGV("sh", "-c", "exec 9>$0; echo up; sleep 1000", path)};
    test_exec(&t, &q, &spec, false);
    test_pump(&t, has_line, &q);
    q.closed = true;
    test_client_stop(&t);
    wait_fifo_closed(fifo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_and_code),
        cmocka_unit_test(test_signal_of_its_own),
        cmocka_unit_test(test_signal_frame),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_clean_state),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_streams_by_name),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_bad_bodies),
        cmocka_unit_test(test_bad_signal_kills),
        cmocka_unit_test(test_binary_stdin),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_unread_stdin),
        cmocka_unit_test(test_large_output),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_cancel_kills_group),
        cmocka_unit_test(test_straggler),
        cmocka_unit_test(test_straggler_out_of_group),
        cmocka_unit_test(test_background_survives),
        cmocka_unit_test(test_output_limit),
        cmocka_unit_test(test_output_limit_at_its_edge),
        cmocka_unit_test(test_file_limit),
        cmocka_unit_test(test_limits_without_a_group),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_kill_rest),
        cmocka_unit_test(test_session_end_kills),
    };
    return cmocka_run_group_tests(tests, test_client_setup, test_client_teardown);
}
