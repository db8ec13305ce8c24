/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/exec.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "agent/agent.h"
#include "agent/exec_output.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"
#include "wire/exec_spec.h"
#include "wire/frame.h"

/* How long a program's outputs may stay open after its end. */
#define GRACE_MS 100

/* The life of an exec: the spec arrives (pid 0), the program runs, it was reaped, the X frame is
 * staged (finished). The struct lives as long as its stream; a program whose stream was cancelled
 * is killed and reaped as a stranger. */
struct exec {
    struct call *call;
    struct exec *prev, *next; /* in agent->execs, from the start of the program on */
    struct frame_decoder decoder;
    struct buf spec_json;
    struct exec_spec spec;
    uint8_t signal_bytes[FRAME_SIGNAL_BYTES];
    size_t signal_len;

    pid_t pid;
    struct cgroup cgroup;
    struct loop_watch in; /* fd negative: closed */
    struct buf in_held;   /* what the pipe had no room for; its window is not given back */
    bool in_ended;        /* the client has sent all of it */
    struct exec_output output;
    struct loop_timer timeout, grace;
    int64_t start_us;
    struct exec_exit exit;
    bool reaped;
    bool finished;
    bool broken; /* the stream is being reset: take nothing more */
};

#define EXEC_OF(ptr, member) ((struct exec *)((char *)(ptr)-offsetof(struct exec, member)))

void exec_begin(struct call *c)
{
    struct exec *x = calloc(1, sizeof(*x));
    if (!x) {
        c->refused = true;
        agent_server_abort(c->stream);
        return;
    }
    x->call = c;
    x->spec_json.max_bytes = AGENT_SPEC_MAX_BYTES;
    x->in.fd = -EBADF;
    x->cgroup.fd = -EBADF;
    exec_output_init(&x->output, c);
    c->data = x;
}

/* Kills all that the program started and that can be found. Once the leader was reaped its group's
 * number could in principle have a new owner, after a full round of pids within GRACE_MS. */
static void kill_all(struct exec *x)
{
    kill(-x->pid, SIGKILL);
    cgroup_kill(&x->cgroup);
}

static void close_stdin(struct exec *x)
{
    if (x->in.fd < 0)
        return;
    loop_unwatch(&x->call->agent->loop, &x->in);
    cleanup_close(&x->in.fd);
    x->in.fd = -EBADF;
    agent_server_consume(x->call->stream, x->in_held.len);
    buf_done(&x->in_held);
}

static void end_stream(struct exec *x)
{
    x->broken = true;
    agent_server_abort(x->call->stream);
}

/* Writes to the program what fits; returns how much, or a negative errno when it reads no more. */
static ssize_t write_stdin(struct exec *x, const void *data, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = write(x->in.fd, (const char *)data + done, len - done);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0 && errno != EINTR)
            return -errno;
        done += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)done;
}

static void on_stdin_ready(struct loop_watch *w, uint32_t events)
{
    struct exec *x = EXEC_OF(w, in);
    ssize_t n = events & EPOLLERR ? -EPIPE : write_stdin(x, x->in_held.data, x->in_held.len);
    if (n > 0) {
        buf_consume(&x->in_held, (size_t)n);
        agent_server_consume(x->call->stream, (size_t)n);
    }
    if (n < 0 || (x->in_ended && x->in_held.len == 0))
        close_stdin(x);
}

/* Returns how many bytes were kept, their window to be given back later. */
static size_t take_stdin(struct exec *x, const uint8_t *data, size_t len)
{
    if (x->in.fd < 0)
        return 0; /* the program does not read: as if thrown into a closed pipe */
    ssize_t n = x->in_held.len ? 0 : write_stdin(x, data, len);
    if (n < 0) {
        close_stdin(x);
        return 0;
    }
    size_t keep = len - (size_t)n;
    if (keep && buf_append(&x->in_held, data + n, keep) < 0) {
        end_stream(x);
        return 0;
    }
    return keep;
}

/* The end as the client gets it: the program was reaped and both outputs are at their end. */
static void try_finish(struct exec *x)
{
    if (!x->reaped || x->finished || !exec_output_ended(&x->output))
        return;
    auto_buf struct buf json = {0};
    x->finished = true;
    loop_timer_stop(&x->call->agent->loop, &x->grace);
    x->exit.stdout_bytes = exec_output_bytes(&x->output, FRAME_STDOUT);
    x->exit.stderr_bytes = exec_output_bytes(&x->output, FRAME_STDERR);
    exec_exit_encode(&x->exit, &json);
    if (json.failed || exec_output_stage(&x->output, FRAME_EXIT, json.data, json.len) < 0)
        end_stream(x);
}

static ssize_t pull(struct agent_stream *st, uint8_t *buf, size_t size)
{
    struct call *c = st->data;
    struct exec *x = c->data;
    ssize_t n = exec_output_pull(&x->output, buf, size);
    if (n != AGENT_PULL_LATER)
        return n;
    try_finish(x);
    n = exec_output_pull(&x->output, buf, size);
    return n == AGENT_PULL_LATER && x->finished ? AGENT_PULL_END : n;
}

static void on_timeout(struct loop_timer *t)
{
    struct exec *x = EXEC_OF(t, timeout);
    x->exit.timed_out = true;
    kill_all(x);
}

/* The program has ended but something may hold its outputs. What a slow reader has not fetched yet
 * is no reason to kill anybody. */
static void on_grace(struct loop_timer *t)
{
    struct exec *x = EXEC_OF(t, grace);
    if (exec_output_is_held(&x->output)) {
        kill_all(x);
        exec_output_cut(&x->output);
    }
    agent_server_resume(x->call->stream);
}

static int start_program(struct exec *x, struct err *e)
{
    struct agent *a = x->call->agent;
    struct spawn_result child;
    cgroup_new(&a->cgroups, &x->cgroup);
    struct spawn_request q = {
        .spec = &x->spec,
        .context = &a->spawn,
        .null_fd = a->null_fd,
        .cgroup_fd = x->cgroup.fd,
    };
    x->start_us = clock_mono_us();
    int r = a->options.spawn(&q, &child, e);
    if (r < 0)
        return r;
    x->pid = child.pid;
    x->next = a->execs;
    if (x->next)
        x->next->prev = x;
    a->execs = x;
    x->in = (struct loop_watch){.fd = child.in_fd, .ready = on_stdin_ready};
    x->in_held.max_bytes = 2 * AGENT_BODY_WINDOW_BYTES;
    r = x->in.fd < 0 ? 0 : loop_watch(&a->loop, &x->in, EPOLLOUT | EPOLLET);
    int r2 = exec_output_open(&x->output, child.out_fd, child.err_fd);
    r = r < 0 ? r : r2;
    return r < 0 ? err_errno(e, r, "watch the program") : 0;
}

static void start(struct exec *x)
{
    auto_buf struct buf json = {0};
    struct err e = ERR_INIT;
    struct call *c = x->call;
    int r = exec_spec_decode(buf_str(&x->spec_json), x->spec_json.len, &x->spec, &e);
    buf_done(&x->spec_json);
    r = r < 0 ? r : start_program(x, &e);
    if (r < 0) {
        call_fail(c, 0, &e);
        return;
    }
    x->timeout.fire = on_timeout;
    x->grace.fire = on_grace;
    if (x->spec.timeout_ms)
        loop_timer_start(&c->agent->loop, &x->timeout, x->spec.timeout_ms);
    exec_spec_done(&x->spec);
    exec_started_encode(x->pid, &json);
    if (json.failed || exec_output_stage(&x->output, FRAME_STARTED, json.data, json.len) < 0 ||
        agent_server_respond_pull(c->stream, 200, "application/octet-stream", pull) < 0)
        end_stream(x);
}

static int take_spec(struct exec *x, const struct frame_piece *p, struct err *e)
{
    if (x->pid)
        return err_set(e, ERR_INVALID, "a second spec");
    if (buf_append(&x->spec_json, p->data, p->len) < 0)
        return err_set(e, ERR_TOO_LARGE, "the spec is larger than %llu bytes",
                       AGENT_SPEC_MAX_BYTES);
    if (p->frame_len == 0)
        start(x);
    return 0;
}

static int take_signal(struct exec *x, const struct frame_piece *p, struct err *e)
{
    if (p->frame_len != FRAME_SIGNAL_BYTES)
        return err_set(e, ERR_INVALID, "a signal frame has %d bytes", FRAME_SIGNAL_BYTES);
    memcpy(x->signal_bytes + x->signal_len, p->data, p->len);
    x->signal_len += p->len;
    if (!p->end)
        return 0;
    int sig = x->signal_bytes[0] << 8 | x->signal_bytes[1];
    x->signal_len = 0;
    if (sig < 1 || sig > SIGRTMAX)
        return err_set(e, ERR_INVALID, "there is no signal %d", sig);
    if (!x->reaped)
        kill(-x->pid, sig);
    return 0;
}

/* Returns how many of the piece's bytes were kept, or a negative errno. */
static ssize_t take_piece(struct exec *x, const struct frame_piece *p, struct err *e)
{
    if (p->type == FRAME_SPEC)
        return take_spec(x, p, e);
    if (!x->pid)
        return err_set(e, ERR_INVALID, "the spec must come first, ended by an empty frame");
    if (p->type == FRAME_SIGNAL)
        return take_signal(x, p, e);
    return (ssize_t)take_stdin(x, p->data, p->len);
}

/* Before the start an error is an answer; afterwards only the end of the stream is left. */
static void fail(struct exec *x, const struct err *e)
{
    if (agent_server_has_responded(x->call->stream))
        end_stream(x);
    else
        call_fail(x->call, 0, e);
}

void exec_body(struct call *c, const uint8_t *data, size_t len)
{
    struct exec *x = c->data;
    struct err e = ERR_INIT;
    struct frame_input in = {.data = data, .len = len};
    struct frame_piece piece;
    size_t kept = 0;
    while (!x->broken && !c->refused) {
        ssize_t r = frame_decode(&x->decoder, FRAME_FROM_CLIENT, &in, &piece, &e);
        if (r == 0)
            break;
        r = r < 0 ? r : take_piece(x, &piece, &e);
        if (r < 0)
            fail(x, &e);
        else
            kept += (size_t)r;
    }
    agent_server_consume(c->stream, len - kept);
}

void exec_body_end(struct call *c)
{
    struct exec *x = c->data;
    struct err e = ERR_INIT;
    if (x->broken)
        return;
    if (!x->pid || !frame_at_boundary(&x->decoder)) {
        err_set(&e, ERR_INVALID, "the body ended in mid-frame or before the end of the spec");
        fail(x, &e);
        return;
    }
    x->in_ended = true;
    if (x->in_held.len == 0)
        close_stdin(x);
}

void exec_closed(struct call *c)
{
    struct exec *x = c->data;
    if (!x)
        return;
    struct agent *a = c->agent;
    if (x->pid && !x->finished)
        kill_all(x);
    if (x->prev)
        x->prev->next = x->next;
    else if (a->execs == x)
        a->execs = x->next;
    if (x->next)
        x->next->prev = x->prev;
    close_stdin(x);
    loop_timer_stop(&a->loop, &x->timeout);
    loop_timer_stop(&a->loop, &x->grace);
    exec_output_done(&x->output);
    cgroup_free(&a->cgroups, &x->cgroup);
    exec_spec_done(&x->spec);
    buf_done(&x->spec_json);
    buf_done(&x->in_held);
    free(x);
}

static int64_t timeval_us(const struct timeval *tv)
{
    return tv->tv_sec * 1000000LL + tv->tv_usec;
}

void exec_child_ended(struct agent *a, pid_t pid, int status, const struct rusage *usage)
{
    struct exec *x = a->execs;
    while (x && (x->pid != pid || x->reaped))
        x = x->next;
    if (!x)
        return;
    x->reaped = true;
    x->exit.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    x->exit.code = x->exit.signal ? 128 + x->exit.signal : WEXITSTATUS(status);
    x->exit.wall_us = clock_mono_us() - x->start_us;
    x->exit.user_us = timeval_us(&usage->ru_utime);
    x->exit.system_us = timeval_us(&usage->ru_stime);
    x->exit.max_rss_kib = usage->ru_maxrss;
    loop_timer_stop(&a->loop, &x->timeout);
    loop_timer_start(&a->loop, &x->grace, GRACE_MS);
    close_stdin(x);
    agent_server_resume(x->call->stream);
}
