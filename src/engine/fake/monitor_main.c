/* SPDX-License-Identifier: Apache-2.0 */

/* holm-fake-monitor LISTEN_FD GUEST_FILE FAULT: a fake guest, see README.md. One connection at a
 * time, as with a real monitor; the next waits in the backlog. */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "engine/fake/session.h"

#define READ_BYTES (64 * KIB)

/* Reads and answers until the client hangs up, this side does, or the guest dies. */
static bool serve(int fd, struct session *s)
{
    static char in[READ_BYTES];
    auto_buf struct buf out = {0};
    for (;;) {
        int wait_ms = session_advance(s);
        if (session_output(s, &out) < 0)
            return true;
        struct pollfd p = {.fd = fd, .events = (short)(POLLIN | (out.len ? POLLOUT : 0))};
        if (out.len == 0 && session_wants_death(s))
            return false;
        int n = poll(&p, 1, wait_ms);
        if (n < 0 && errno != EINTR)
            return true;
        if (n <= 0)
            continue;
        if (p.revents & POLLOUT) {
            ssize_t sent = send(fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent < 0 && errno != EAGAIN)
                return true;
            buf_consume(&out, sent > 0 ? (size_t)sent : 0);
        }
        if (!(p.revents & (POLLIN | POLLHUP | POLLERR)))
            continue;
        ssize_t got = recv(fd, in, sizeof(in), MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            return true;
        if (got > 0 && session_input(s, in, (size_t)got) < 0)
            return true;
    }
}

int main(int argc, char **argv)
{
    struct err e = ERR_INIT;
    struct files *files = NULL;
    if (argc != 4)
        return 2;
    int listen_fd = atoi(argv[1]);
    if (files_open(argv[2], &files, &e) < 0) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    for (bool alive = true; alive;) {
        struct session *s;
        int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0 || session_new(files, session_fault_parse(argv[3]), &s) < 0)
            break;
        alive = serve(fd, s);
        session_free(s);
        close(fd);
    }
    files_free(files);
    return 0;
}
