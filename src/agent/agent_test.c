/* SPDX-License-Identifier: Apache-2.0 */

/* The program itself, named on the command line, on a Unix socket: with curl and with more than one
 * connection. */

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/wait.h>

#include "agent/test_client.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/test.h"

static const char *program;

struct fixture {
    char *dir;
    char socket[PATH_MAX];
    pid_t pid;
};

/* Starts the agent and waits until its socket is there. */
static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->dir = test_dir_make();
    path_printf(f->socket, sizeof(f->socket), "%s/agent.sock", f->dir);
    auto_close int watch = inotify_init1(IN_CLOEXEC);
    assert_true(inotify_add_watch(watch, f->dir, IN_CREATE) >= 0);
    f->pid = fork();
    if (f->pid == 0) {
        execl(program, program, "--listen", f->socket, NULL);
        _exit(127);
    }
    struct pollfd p = {.fd = watch, .events = POLLIN};
    assert_int_equal(1, poll(&p, 1, TEST_WAIT_MS));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    int status;
    kill(f->pid, SIGTERM);
    assert_int_equal(f->pid, waitpid(f->pid, &status, 0));
    assert_int_equal(0, status);
    assert_int_equal(-1, access(f->socket, F_OK));
    test_dir_drop(&f->dir);
    free(f);
    return 0;
}

/* The socket exists from bind on, takes connections from listen on. */
static int connect_to(const struct fixture *f)
{
    int fd;
    while ((fd = unix_connect(f->socket)) == -ECONNREFUSED)
        sched_yield();
    assert_true(fd >= 0);
    return fd;
}

static void test_curl(void **state)
{
    struct fixture *f = *state;
    close(connect_to(f)); /* it listens now */
    auto_buf struct buf out = {0};
    struct err e = ERR_INIT;
    const char *const argv[] = {
        "curl",    "-sS", "--http2-prior-knowledge", "--unix-socket",
        f->socket, "-w",  " %{http_code}",           "http://agent/v1/nothing",
        NULL};
    int r = proc_run(argv, TEST_WAIT_MS, &out, &e);
    if (r < 0)
        fail_msg("%s", e.text);
    assert_string_equal("{\"error\":\"no such path: /v1/nothing\"} 404", buf_str(&out));
}

/* One session's end leaves another's program alone. */
static void test_two_connections(void **state)
{
    struct fixture *f = *state;
    struct test_client a, b;
    test_client_connect(&a, connect_to(f));
    test_client_connect(&b, connect_to(f));
    auto_test_request struct test_request qa = {0}, qb = {.keep_out = true};
    char *cat[] = {(char *)(uintptr_t) "cat", NULL};
    struct exec_spec spec = {.argv = cat, .has_stdin = true};
    test_exec(&b, &qb, &spec, false);
    test_wait_started(&qb);
    test_sh(&a, &qa, "echo a");
    assert_string_equal("a\n", buf_str(&qa.out));
    test_client_stop(&a);
    test_send_frame(&qb, FRAME_STDIN, "b", 1);
    test_send(&qb, NULL, 0, true);
    test_wait_closed(&qb);
    assert_string_equal("b", buf_str(&qb.out));
    test_client_stop(&b);
}

static void test_usage(void **state)
{
    auto_buf struct buf out = {0};
    const char *const bad[] = {program, "--fd", "3", "--port", NULL};
    const char *const version[] = {program, "--version", NULL};
    assert_true(proc_run(bad, TEST_WAIT_MS, &out, NULL) < 0);
    assert_non_null(strstr(buf_str(&out), "Usage: holm-agent"));
    buf_clear(&out);
    assert_int_equal(0, proc_run(version, TEST_WAIT_MS, &out, NULL));
    assert_string_equal("holm-agent " HOLM_VERSION "\n", buf_str(&out));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_curl, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_connections, setup, teardown),
        cmocka_unit_test(test_usage),
    };
    if (argc < 2)
        return 77; /* skipped: the program was not named */
    program = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
