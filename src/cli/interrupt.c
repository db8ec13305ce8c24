/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/interrupt.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"

int interrupt_init(struct interrupt *in)
{
    static const int wanted[] = {SIGINT, SIGTERM, SIGHUP};
    *in = (struct interrupt){.fd = -1};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        struct sigaction old;
        if (sigaction(wanted[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaddset(&set, wanted[i]);
    }
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, &in->old_mask) < 0)
        return -errno;
    in->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return in->fd < 0 ? -errno : 0;
}

void interrupt_done(struct interrupt *in)
{
    if (in->fd < 0)
        return;
    close(in->fd);
    in->fd = -1;
    sigprocmask(SIG_SETMASK, &in->old_mask, NULL);
}

int interrupt_signal(struct interrupt *in)
{
    struct signalfd_siginfo si;
    if (!in->signal && in->fd >= 0 && read(in->fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
        in->signal = (int)si.ssi_signo;
    return in->signal;
}

int interrupt_wait(struct interrupt *in, int fd, short events, int timeout_ms)
{
    if (interrupt_signal(in))
        return -ECANCELED;
    struct pollfd p[2] = {{.fd = fd, .events = events}, {.fd = in->fd, .events = POLLIN}};
    int n = poll(p, 2, timeout_ms);
    if (n < 0)
        return errno == EINTR ? -ETIMEDOUT : -errno;
    if (interrupt_signal(in))
        return -ECANCELED;
    return p[0].revents ? 0 : -ETIMEDOUT;
}

int interrupt_write(struct interrupt *in, int fd, const void *data, size_t len)
{
    const char *p = data;
    while (len) {
        int r = interrupt_wait(in, fd, POLLOUT, -1);
        if (r == -ETIMEDOUT)
            continue;
        if (r < 0)
            return r;
        /* A pipe that polls writable takes this much without blocking, so Ctrl-C is always heard,
         * also with a reader that has stopped reading. */
        ssize_t n = write(fd, p, len < PIPE_BUF ? len : PIPE_BUF);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return -errno;
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        }
    }
    return 0;
}
