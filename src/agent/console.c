/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/console.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/cleanup.h"
#include "base/log.h"

/* While we wait, a byte is to be seen as it comes, not with its line, and nothing is echoed by us:
 * the shell will find it, and echoes by itself. */
static void set_waiting(int fd, bool waiting)
{
    struct termios t;
    if (tcgetattr(fd, &t) < 0)
        return;
    t.c_iflag |= ICRNL;
    t.c_oflag |= OPOST | ONLCR;
    t.c_cflag |= CLOCAL | CREAD;
    t.c_lflag |= ISIG;
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    if (waiting)
        t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    else
        t.c_lflag |= ICANON | ECHO | ECHOE | ECHOK | IEXTEN;
    tcsetattr(fd, TCSANOW, &t);
}

static void start_waiting(struct console *c)
{
    set_waiting(c->watch.fd, true);
    int r = loop_watch(&c->agent->loop, &c->watch, EPOLLIN);
    if (r < 0)
        log_warn("console", "watch %s: %s", c->path, strerror(-r));
}

static void on_shell_ended(struct program *p)
{
    struct console *c = (struct console *)((char *)p - offsetof(struct console, shell));
    /* What it left behind on the terminal would read what the next one is to get. */
    program_kill(p);
    program_done(p);
    tcflush(c->watch.fd, TCIFLUSH);
    start_waiting(c);
}

static int start_shell(struct console *c, struct err *e)
{
    static char *argv[] = {NULL};
    static char *env[] = {(char *)(uintptr_t) "TERM=vt220", NULL};
    const struct exec_spec spec = {.argv = argv, .env = env, .login = true};
    struct spawn_result child;
    /* Of its own, so that it is blocking. */
    auto_close int tty = open(c->path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (tty < 0)
        return err_errno(e, -errno, "open %s", c->path);
    const struct program_fds fds = {.in = -1, .tty = tty};
    c->shell = (struct program){.agent = c->agent, .ended = on_shell_ended, .cgroup.fd = -EBADF};
    return program_start(&c->shell, &spec, &fds, &child, e);
}

static void on_byte(struct loop_watch *w, uint32_t events)
{
    struct console *c = (struct console *)((char *)w - offsetof(struct console, watch));
    struct err e = ERR_INIT;
    loop_unwatch(&c->agent->loop, w);
    if (!(events & EPOLLIN))
        return; /* the line is gone for good */
    set_waiting(w->fd, false);
    if (start_shell(c, &e) == 0)
        return;
    log_warn("console", "shell: %s", e.text);
    tcflush(w->fd, TCIFLUSH);
    start_waiting(c);
}

void console_init(struct console *c, struct agent *a, const char *path)
{
    *c = (struct console){.agent = a, .path = path};
    c->watch.ready = on_byte;
    c->watch.fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (c->watch.fd >= 0 && isatty(c->watch.fd))
        start_waiting(c);
}

void console_done(struct console *c)
{
    program_kill(&c->shell);
    if (c->shell.agent)
        program_done(&c->shell);
    loop_unwatch(&c->agent->loop, &c->watch);
    cleanup_close(&c->watch.fd);
}
