/* SPDX-License-Identifier: Apache-2.0 */

/* The shell on a serial line, which is a pseudo terminal here. */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/console.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/test.h"

#define WAIT_MS 60000

struct fixture {
    char *dir;
    int line; /* the far end */
    pid_t agent;
};

static _Noreturn void serve(const char *dir, const char *path)
{
    struct agent_options options = {.init = REPORT_INIT_AGENT, .etc_dir = dir};
    struct agent a;
    struct console c;
    int r = agent_init(&a, &options, NULL);
    if (r == 0) {
        console_init(&c, &a, path);
        r = agent_run(&a); /* until SIGTERM */
        console_done(&c);
        agent_done(&a);
    }
    _exit(r < 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char path[PATH_MAX];
    f->dir = test_dir_make();
    path_printf(path, sizeof(path), "%s/passwd", f->dir);
    assert_int_equal(0, file_write_atomic(path, "root:x:0:0::/:/bin/sh\n", 22, 0644));
    f->line = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_int_equal(0, unlockpt(f->line));
    assert_int_equal(0, ptsname_r(f->line, path, sizeof(path)));
    /* Somebody has it open all the time, or the far end would see a hang-up in between. */
    f->agent = fork();
    if (f->agent == 0)
        serve(f->dir, path);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    int status;
    kill(f->agent, SIGTERM);
    assert_int_equal(f->agent, waitpid(f->agent, &status, 0));
    assert_int_equal(0, status);
    close(f->line);
    test_dir_drop(&f->dir);
    free(f);
    return 0;
}

static void type(struct fixture *f, const char *text)
{
    assert_int_equal(strlen(text), write(f->line, text, strlen(text)));
}

static void wait_for(struct fixture *f, struct buf *got, const char *want)
{
    int64_t deadline_ms = clock_mono_ms() + WAIT_MS;
    while (!strstr(buf_str(got), want)) {
        struct pollfd p = {.fd = f->line, .events = POLLIN};
        char some[256];
        if (poll(&p, 1, clock_left_ms(deadline_ms)) == 0)
            fail_msg("no \"%s\" in \"%s\"", want, buf_str(got));
        ssize_t n = read(f->line, some, sizeof(some));
        assert_true(n > 0);
        buf_append(got, some, (size_t)n);
    }
}

/* What was typed before there was a shell is not lost. The arithmetic tells the answer from the
 * echo. */
static void test_shell(void **state)
{
    struct fixture *f = *state;
    auto_buf struct buf got = {0}, again = {0};
    type(f, "echo \"<$((40 + 2)) $0 $TERM>\"; tty -s && echo t$((1))ty\r");
    wait_for(f, &got, "<42 -sh vt220>");
    wait_for(f, &got, "t1ty");
    type(f, "echo ses$((7))sion; exit\r");
    wait_for(f, &got, "ses7sion");
    /* Typed while the shell ends it may be thrown away, so it is typed until it is heard. */
    int64_t deadline_ms = clock_mono_ms() + WAIT_MS;
    while (!strstr(buf_str(&again), "<a9>") && clock_mono_ms() < deadline_ms) {
        struct pollfd p = {.fd = f->line, .events = POLLIN};
        char some[256];
        type(f, "echo \"<a$((3 * 3))>\"\r");
        while (poll(&p, 1, 100) > 0) {
            ssize_t n = read(f->line, some, sizeof(some));
            assert_true(n > 0);
            buf_append(&again, some, (size_t)n);
        }
    }
    assert_non_null(strstr(buf_str(&again), "<a9>"));
}

int main(void)
{
    if (getuid() != 0)
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shell, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
