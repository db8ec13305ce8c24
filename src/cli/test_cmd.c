/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/test_cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

void test_has(const struct buf *b, const char *text)
{
    if (!strstr(buf_str(b), text))
        fail_msg("'%s' is not in '%s'", text, buf_str(b));
}

void test_expect(const struct test_server *s, const char *const *argv, int code, const char *out,
                 const char *err)
{
    auto_test_ran struct test_ran r;
    test_holm(s, &(struct test_run){.argv = argv}, &r);
    assert_string_equal(buf_str(&r.err), err);
    assert_string_equal(buf_str(&r.out), out);
    assert_int_equal(r.code, code);
}

void test_expect_error(const struct test_server *s, const char *const *argv, int code,
                       const char *err)
{
    auto_test_ran struct test_ran r;
    test_holm(s, &(struct test_run){.argv = argv}, &r);
    test_has(&r.err, err);
    assert_string_equal(buf_str(&r.out), "");
    assert_int_equal(r.code, code);
}

static void drop_carriage_returns(struct buf *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->len; i++) {
        bool is_line_end = b->data[i] == '\r' && b->data[i + 1] == '\n';
        if (!is_line_end)
            b->data[n++] = b->data[i];
    }
    b->len = n;
    if (b->data)
        b->data[n] = '\0';
}

int test_on_terminal(const struct test_server *s, const char *const *argv, const char *input,
                     struct buf *ret)
{
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    int master, slave;
    assert_int_equal(openpty(&master, &slave, NULL, NULL, &size), 0);
    fcntl(master, F_SETFD, FD_CLOEXEC);
    if (input)
        assert_int_equal(fd_write_all(master, input, strlen(input)), 0);
    struct test_child child;
    test_holm_start(
        s,
        &(struct test_run){.argv = argv, .env = ARGV("NO_COLOR=1"), .fds = {slave, slave, slave}},
        &child);
    close(slave);
    char chunk[4096];
    for (ssize_t n; (n = read(master, chunk, sizeof(chunk))) > 0;)
        buf_append(ret, chunk, (size_t)n);
    close(master);
    drop_carriage_returns(ret);
    return test_holm_wait(&child);
}

void test_tty_start(const struct test_server *s, const char *const *argv, struct test_tty *ret)
{
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    assert_int_equal(openpty(&ret->master, &ret->slave, NULL, NULL, &size), 0);
    fcntl(ret->master, F_SETFD, FD_CLOEXEC);
    fcntl(ret->slave, F_SETFD, FD_CLOEXEC);
    test_holm_start(s,
                    &(struct test_run){.argv = argv,
                                       .env = ARGV("NO_COLOR=1"),
                                       .fds = {ret->slave, ret->slave, ret->slave}},
                    &ret->child);
}

void test_tty_type(struct test_tty *t, const char *text)
{
    assert_int_equal(fd_write_all(t->master, text, strlen(text)), 0);
}

static bool has_ended(const struct test_child *child)
{
    siginfo_t si = {0};
    return waitid(P_PID, (id_t)child->pid, &si, WEXITED | WNOHANG | WNOWAIT) == 0 && si.si_pid;
}

/* Our own end of the terminal keeps it alive, so an end of the program is looked for. */
void test_tty_expect(struct test_tty *t, const char *text, struct buf *ret)
{
    while (!strstr(buf_str(ret), text)) {
        char chunk[4096];
        bool ended = has_ended(&t->child);
        struct pollfd p = {.fd = t->master, .events = POLLIN};
        int n = poll(&p, 1, ended ? 0 : 100);
        if (n == 0 && ended)
            fail_msg("'%s' never came after '%s'", text, buf_str(ret));
        ssize_t got = n > 0 ? read(t->master, chunk, sizeof(chunk)) : 0;
        if (got > 0)
            buf_append(ret, chunk, (size_t)got);
    }
}

int test_tty_end(struct test_tty *t)
{
    struct termios now;
    int code = test_holm_wait(&t->child);
    assert_int_equal(tcgetattr(t->slave, &now), 0);
    assert_int_equal(now.c_lflag & (ICANON | ECHO | ISIG), ICANON | ECHO | ISIG);
    assert_true(now.c_oflag & OPOST);
    close(t->master);
    close(t->slave);
    return code;
}
