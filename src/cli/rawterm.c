/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/rawterm.h"

#include <errno.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int watch_size(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGWINCH);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

int rawterm_enter(struct rawterm *t, int fd, bool keeps_output)
{
    *t = (struct rawterm){.fd = fd, .resized_fd = -1};
    if (tcgetattr(fd, &t->before) < 0)
        return 0;
    t->resized_fd = watch_size();
    if (t->resized_fd < 0)
        return t->resized_fd;
    struct termios raw = t->before;
    cfmakeraw(&raw);
    if (keeps_output)
        raw.c_oflag = t->before.c_oflag;
    if (tcsetattr(fd, TCSADRAIN, &raw) < 0)
        return -errno;
    t->is_raw = true;
    return 0;
}

void rawterm_leave(struct rawterm *t)
{
    if (t->is_raw)
        tcsetattr(t->fd, TCSADRAIN, &t->before);
    if (t->resized_fd >= 0)
        close(t->resized_fd);
    t->is_raw = false;
    t->resized_fd = -1;
}

bool rawterm_was_resized(struct rawterm *t)
{
    struct signalfd_siginfo si;
    bool was = false;
    while (t->resized_fd >= 0 && read(t->resized_fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
        was = true;
    return was;
}

bool rawterm_size(const struct rawterm *t, int *ret_rows, int *ret_cols)
{
    struct winsize ws;
    if (ioctl(t->fd, TIOCGWINSZ, &ws) < 0 || !ws.ws_row || !ws.ws_col)
        return false;
    *ret_rows = ws.ws_row;
    *ret_cols = ws.ws_col;
    return true;
}
