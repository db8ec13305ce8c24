/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/exec_output.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/cleanup.h"
#include "base/limits.h"

/* With less room than this a read goes through `staged`: frames of a few bytes would be mostly
 * header, and a frame must not be cut in its header. */
#define DIRECT_MIN_BYTES 256
#define STAGED_READ_BYTES 1024
#define DISCARD_BYTES (64 * KIB)

void exec_output_init(struct exec_output *o, struct call *c)
{
    static const enum frame_type types[] = {FRAME_STDOUT, FRAME_STDERR};
    *o = (struct exec_output){.agent = c->agent, .call = c};
    for (int i = 0; i < 2; i++)
        o->pipes[i] =
            (struct exec_pipe){.watch.fd = -EBADF, .output = o, .type = types[i], .cut_left = -1};
}

static void pipe_close(struct exec_pipe *p)
{
    loop_unwatch(&p->output->agent->loop, &p->watch);
    cleanup_close(&p->watch.fd);
    p->watch.fd = -EBADF;
}

void exec_output_close(struct exec_output *o)
{
    pipe_close(&o->pipes[0]);
    pipe_close(&o->pipes[1]);
}

void exec_output_done(struct exec_output *o)
{
    exec_output_close(o);
    buf_done(&o->staged);
}

static void on_ready(struct loop_watch *w, uint32_t events)
{
    struct exec_pipe *p = (struct exec_pipe *)w;
    p->ready = true;
    if (p->output->call)
        agent_server_resume(p->output->call->stream);
}

void exec_output_orphan(struct exec_output *o)
{
    o->call = NULL;
    buf_done(&o->staged);
}

static size_t pipe_read(struct exec_pipe *p, uint8_t *buf, size_t size);

/* Level-triggered: a program that floods gets one turn as everybody else does. */
static void on_discard(struct loop_watch *w, uint32_t events)
{
    struct exec_pipe *p = (struct exec_pipe *)w;
    struct exec_output *o = p->output;
    static uint8_t nothing[DISCARD_BYTES];
    p->ready = true;
    pipe_read(p, nothing, sizeof(nothing));
    if (exec_output_ended(o))
        o->drained(o);
}

void exec_output_discard(struct exec_output *o)
{
    for (int i = 0; i < 2; i++) {
        struct exec_pipe *p = &o->pipes[i];
        p->watch.ready = on_discard;
        if (p->watch.fd >= 0 && loop_rewatch(&o->agent->loop, &p->watch, EPOLLIN) < 0)
            pipe_close(p);
    }
    if (exec_output_ended(o))
        o->drained(o);
}

int exec_output_open(struct exec_output *o, int out_fd, int err_fd)
{
    int fds[2] = {out_fd, err_fd}, r = 0;
    for (int i = 0; i < 2; i++) {
        struct exec_pipe *p = &o->pipes[i];
        p->watch.fd = fds[i];
        p->watch.ready = on_ready;
        if (fds[i] < 0)
            continue;
        /* Edge-triggered: a full window must not turn into a busy loop. */
        int r2 = loop_watch(&o->agent->loop, &p->watch, EPOLLIN | EPOLLET);
        r = r < 0 ? r : r2;
    }
    return r;
}

int exec_output_stage(struct exec_output *o, enum frame_type type, const void *data, size_t len)
{
    uint8_t head[FRAME_HEADER_BYTES];
    frame_header(head, type, len);
    buf_append(&o->staged, head, sizeof(head));
    return buf_append(&o->staged, data, len);
}

/* Reads at most `size` bytes; 0: none now or at its end. */
static size_t pipe_read(struct exec_pipe *p, uint8_t *buf, size_t size)
{
    if (p->watch.fd < 0 || !p->ready)
        return 0;
    if (p->cut_left >= 0 && (int64_t)size > p->cut_left)
        size = (size_t)p->cut_left;
    ssize_t n;
    do
        n = size ? read(p->watch.fd, buf, size) : 0;
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        p->bytes += n;
        p->cut_left -= p->cut_left >= 0 ? n : 0;
        return (size_t)n;
    }
    if (n < 0 && errno == EAGAIN && p->cut_left < 0)
        p->ready = false;
    else
        pipe_close(p); /* the end (of a terminal: EIO), also of what was wanted after a cut */
    return 0;
}

/* A program that floods gets one turn as everybody else does. */
static void on_drop(struct loop_watch *w, uint32_t events)
{
    struct exec_pipe *p = (struct exec_pipe *)w;
    static uint8_t nothing[DISCARD_BYTES];
    p->ready = true;
    pipe_read(p, nothing, sizeof(nothing));
    if (p->watch.fd < 0 && p->output->call)
        agent_server_resume(p->output->call->stream);
}

/* Level-triggered from now on: nobody's window holds it back. */
static void pipe_drop(struct exec_pipe *p)
{
    p->dropping = true;
    p->watch.ready = on_drop;
    if (p->watch.fd >= 0 && loop_rewatch(&p->output->agent->loop, &p->watch, EPOLLIN) < 0)
        pipe_close(p);
}

/* What of the next bytes is the client's; 0: none now. */
static size_t pipe_take(struct exec_pipe *p, uint8_t *buf, size_t size)
{
    const int64_t limit = p->output->limit_bytes;
    size_t n = p->dropping ? 0 : pipe_read(p, buf, size);
    if (!limit || p->bytes <= limit)
        return n;
    int64_t over = p->bytes - limit;
    if (!p->dropping)
        pipe_drop(p);
    return n > (size_t)over ? n - (size_t)over : 0;
}

static size_t read_direct(struct exec_pipe *p, uint8_t *buf, size_t size)
{
    size_t room = size - FRAME_HEADER_BYTES;
    size_t n = pipe_take(p, buf + FRAME_HEADER_BYTES,
                         room < AGENT_FRAME_MAX_BYTES ? room : AGENT_FRAME_MAX_BYTES);
    if (n == 0)
        return 0;
    frame_header(buf, p->type, n);
    return n + FRAME_HEADER_BYTES;
}

static ssize_t pull_staged(struct exec_output *o, uint8_t *buf, size_t size)
{
    size_t n = o->staged.len < size ? o->staged.len : size;
    memcpy(buf, o->staged.data, n);
    buf_consume(&o->staged, n);
    return (ssize_t)n;
}

ssize_t exec_output_pull(struct exec_output *o, uint8_t *buf, size_t size)
{
    for (int i = 0; i < 2 && o->staged.len == 0; i++) {
        struct exec_pipe *p = &o->pipes[(o->turn + i) % 2];
        uint8_t some[STAGED_READ_BYTES];
        size_t n =
            size >= DIRECT_MIN_BYTES ? read_direct(p, buf, size) : pipe_take(p, some, sizeof(some));
        if (n == 0)
            continue;
        o->turn = (o->turn + i + 1) % 2; /* neither stream starves the other */
        if (size >= DIRECT_MIN_BYTES)
            return (ssize_t)n;
        if (exec_output_stage(o, p->type, some, n) < 0)
            return AGENT_PULL_ABORT;
    }
    return o->staged.len ? pull_staged(o, buf, size) : AGENT_PULL_LATER;
}

bool exec_output_ended(const struct exec_output *o)
{
    return o->pipes[0].watch.fd < 0 && o->pipes[1].watch.fd < 0 && o->staged.len == 0;
}

bool exec_output_is_held(const struct exec_output *o)
{
    for (int i = 0; i < 2; i++) {
        struct pollfd pfd = {.fd = o->pipes[i].watch.fd, .events = POLLIN};
        /* A pipe without writers says POLLHUP, also when there is still something in it. */
        if (pfd.fd >= 0 && poll(&pfd, 1, 0) >= 0 && !(pfd.revents & POLLHUP))
            return true;
    }
    return false;
}

void exec_output_cut(struct exec_output *o)
{
    for (int i = 0; i < 2; i++) {
        struct exec_pipe *p = &o->pipes[i];
        int left = 0;
        if (p->dropping)
            pipe_close(p);
        if (p->watch.fd >= 0 && ioctl(p->watch.fd, FIONREAD, &left) == 0)
            p->cut_left = left;
        p->ready = true;
    }
}

int64_t exec_output_bytes(const struct exec_output *o, enum frame_type type)
{
    return o->pipes[type == FRAME_STDERR].bytes;
}
