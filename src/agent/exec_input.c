/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/exec_input.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/cleanup.h"
#include "base/limits.h"

void exec_input_init(struct exec_input *in, struct call *c)
{
    *in = (struct exec_input){
        .watch.fd = -EBADF,
        .agent = c->agent,
        .call = c,
        .held.max_bytes = 2 * AGENT_BODY_WINDOW_BYTES,
    };
}

static void give_back(struct exec_input *in, size_t len)
{
    if (in->call && len)
        agent_server_consume(in->call->stream, len);
}

void exec_input_close(struct exec_input *in)
{
    if (in->watch.fd >= 0) {
        loop_unwatch(&in->agent->loop, &in->watch);
        if (in->shuts_down)
            shutdown(in->watch.fd, SHUT_WR);
        close(in->watch.fd);
        in->watch.fd = -EBADF;
    }
    give_back(in, in->held.len);
    buf_done(&in->held);
}

/* Writes what fits; returns how much, or a negative errno when the program reads no more. */
static ssize_t write_some(struct exec_input *in, const void *data, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = write(in->watch.fd, (const char *)data + done, len - done);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0 && errno != EINTR)
            return -errno;
        done += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)done;
}

static void on_ready(struct loop_watch *w, uint32_t events)
{
    struct exec_input *in = (struct exec_input *)w;
    ssize_t n = events & EPOLLERR ? -EPIPE : write_some(in, in->held.data, in->held.len);
    if (n > 0) {
        buf_consume(&in->held, (size_t)n);
        give_back(in, (size_t)n);
    }
    if (n < 0 || (in->ended && in->held.len == 0))
        exec_input_close(in);
}

int exec_input_open(struct exec_input *in, int fd)
{
    in->watch.fd = fd;
    in->watch.ready = on_ready; /* also for what is held already: the first event comes at once */
    return fd < 0 ? 0 : loop_watch(&in->agent->loop, &in->watch, EPOLLOUT | EPOLLET);
}

ssize_t exec_input_take(struct exec_input *in, const uint8_t *data, size_t len)
{
    if (in->watch.fd < 0)
        return 0; /* the program does not read: as if thrown into a closed pipe */
    ssize_t n = in->held.len ? 0 : write_some(in, data, len);
    if (n < 0) {
        exec_input_close(in);
        return 0;
    }
    size_t keep = len - (size_t)n;
    if (keep && buf_append(&in->held, data + n, keep) < 0)
        return -ENOMEM;
    return (ssize_t)keep;
}

void exec_input_end(struct exec_input *in)
{
    in->ended = true;
    if (in->held.len == 0)
        exec_input_close(in);
}
