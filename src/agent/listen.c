/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/listen.h"

#include <errno.h>
#include <sys/socket.h>

#include "agent/link.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"

static void on_connection(struct loop_watch *w, uint32_t events)
{
    struct listener *l = (struct listener *)w;
    struct link *link;
    int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    int r = fd < 0 ? -errno : link_new(l->agent, fd, LINK_SOCKET, &link);
    if (r < 0 && r != -EAGAIN)
        log_warn("agent", "accept: %s", strerror(-r));
}

int listener_init(struct listener *l, struct agent *a, const char *path)
{
    auto_close int fd = unix_listen(path, 0600, 64);
    int r = fd < 0 ? fd : fd_set_nonblock(fd, true);
    if (r < 0)
        return r;
    *l = (struct listener){.watch = {.fd = fd, .ready = on_connection}, .agent = a};
    r = loop_watch(&a->loop, &l->watch, EPOLLIN);
    if (r < 0)
        return r;
    TAKE_FD(fd);
    return 0;
}

void listener_done(struct listener *l)
{
    loop_unwatch(&l->agent->loop, &l->watch);
    cleanup_close(&l->watch.fd);
}
