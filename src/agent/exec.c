/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/job.h"
#include "agent/orphan.h"
#include "agent/warm.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"

/* How long a program's outputs may stay open after its end. */
#define GRACE_MS 100

#define EXEC_OF(ptr, member) ((struct exec *)((char *)(ptr)-offsetof(struct exec, member)))

static void on_program_ended(struct program *p);
static void on_grace(struct loop_timer *t);

void exec_begin(struct call *c)
{
    struct exec *x = calloc(1, sizeof(*x));
    if (!x) {
        c->refused = true;
        agent_server_abort(c->stream);
        return;
    }
    x->program =
        (struct program){.agent = c->agent, .ended = on_program_ended, .cgroup.fd = -EBADF};
    x->call = c;
    x->spec_json.max_bytes = AGENT_SPEC_MAX_BYTES;
    x->grace.fire = on_grace;
    x->job_in_fd = -EBADF;
    exec_input_init(&x->input, c);
    exec_input_init(&x->job, c);
    exec_output_init(&x->output, c);
    c->data = x;
}

void exec_free(struct exec *x)
{
    program_done(&x->program);
    exec_input_close(&x->input);
    exec_input_close(&x->job);
    exec_output_done(&x->output);
    loop_timer_stop(&x->program.agent->loop, &x->grace);
    exec_spec_done(&x->spec);
    buf_done(&x->spec_json);
    cleanup_close(&x->job_in_fd);
    free(x);
}

void exec_kill(struct exec *x)
{
    program_kill(&x->program);
    exec_free(x);
}

static void end_stream(struct exec *x)
{
    x->broken = true;
    agent_server_abort(x->call->stream);
}

/* --- the end --- */

/* The end as the client gets it: the program was reaped and both outputs are at their end. */
static void try_finish(struct exec *x)
{
    struct exec_exit *exit = &x->program.exit;
    if (!x->program.reaped || x->finished || !exec_output_ended(&x->output))
        return;
    auto_buf struct buf json = {0};
    x->finished = true;
    loop_timer_stop(&x->program.agent->loop, &x->grace);
    exit->stdout_bytes = exec_output_bytes(&x->output, FRAME_STDOUT);
    exit->stderr_bytes = exec_output_bytes(&x->output, FRAME_STDERR);
    exec_exit_encode(exit, &json);
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

/* The program has ended but something may hold its outputs. What a slow reader has not fetched yet
 * is no reason to kill anybody. Who holds a terminal gets a hang-up by its end. */
static void on_grace(struct loop_timer *t)
{
    struct exec *x = EXEC_OF(t, grace);
    if (exec_output_is_held(&x->output)) {
        if (!x->terminal)
            program_kill(&x->program);
        exec_output_cut(&x->output);
    }
    agent_server_resume(x->call->stream);
}

static void on_program_ended(struct program *p)
{
    struct exec *x = (struct exec *)p;
    exec_input_close(&x->input);
    exec_input_close(&x->job);
    if (!x->call) {
        if (x->orphan_ended && exec_output_ended(&x->output))
            x->orphan_ended(x);
        return;
    }
    loop_timer_start(&p->agent->loop, &x->grace, GRACE_MS);
    agent_server_resume(x->call->stream);
}

/* --- the start --- */

static int start_cold(struct exec *x, struct spawn_result *ret, struct err *e)
{
    bool has_input = x->spec.has_stdin || x->spec.pty_rows;
    const struct program_fds fds = {.in = has_input ? -1 : x->program.agent->null_fd, .tty = -1};
    return program_start(&x->program, &x->spec, &fds, ret, e);
}

/* It has had a pipe for its input from the first; without input that is at its end. */
static int take_over(struct exec *x, struct spawn_result *ret, struct err *e)
{
    int r = warm_take(x->program.agent, &x->spec, &x->program, &x->job, ret, e);
    x->program.kill_rest = x->spec.kill_rest;
    if (r == 0 && !x->spec.has_stdin) {
        cleanup_close(&ret->in_fd);
        ret->in_fd = -EBADF;
    }
    return r;
}

static int start_program(struct exec *x, struct err *e)
{
    struct spawn_result child;
    int r = x->spec.warm ? take_over(x, &child, e) : start_cold(x, &child, e);
    if (r < 0)
        return r;
    if (x->spec.alone)
        warms_dismiss(x->program.agent);
    x->terminal = x->spec.pty_rows > 0;
    x->output.limit_bytes = x->spec.limits.output_bytes;
    r = exec_input_open(&x->input, child.in_fd);
    int r2 = exec_output_open(&x->output, child.out_fd, child.err_fd);
    r = r < 0 ? r : r2;
    return r < 0 ? err_errno(e, r, "watch the program") : 0;
}

static void start(struct exec *x)
{
    auto_buf struct buf json = {0};
    struct err e = ERR_INIT;
    struct call *c = x->call;
    if (start_program(x, &e) < 0) {
        call_fail(c, 0, &e);
        return;
    }
    exec_spec_done(&x->spec);
    exec_started_encode(x->program.pid, &json);
    if (json.failed || exec_output_stage(&x->output, FRAME_STARTED, json.data, json.len) < 0 ||
        agent_server_respond_pull(c->stream, 200, "application/octet-stream", pull) < 0)
        end_stream(x);
}

/* All input of a job has come: it starts, and the answer is no more than that. */
static void start_job(struct exec *x)
{
    auto_buf struct buf frame = {0};
    struct err e = ERR_INIT;
    int r = job_start(x->program.agent, &x->spec, &x->job_in_fd, &frame, &e);
    if (r < 0)
        call_fail(x->call, 0, &e);
    else if (agent_server_respond(x->call->stream, 200, "application/octet-stream", frame.data,
                                  frame.len) < 0)
        end_stream(x);
}

/* --- what the client sends --- */

static int take_spec(struct exec *x, const struct frame_piece *p, struct err *e)
{
    if (x->has_spec)
        return err_set(e, ERR_INVALID, "a second spec");
    if (buf_append(&x->spec_json, p->data, p->len) < 0)
        return err_set(e, ERR_TOO_LARGE, "the spec is larger than %llu bytes",
                       AGENT_SPEC_MAX_BYTES);
    if (p->frame_len != 0)
        return 0;
    x->has_spec = true;
    int r = exec_spec_decode(buf_str(&x->spec_json), x->spec_json.len, &x->spec, e);
    buf_done(&x->spec_json);
    if (r == 0 && !x->spec.job)
        start(x);
    else if (r == 0 && x->spec.has_stdin)
        r = job_input_open(x->program.agent, &x->job_in_fd, e);
    return r;
}

static void resize(struct exec *x, int rows, int cols)
{
    const struct winsize size = {
        .ws_row = (unsigned short)rows,
        .ws_col = (unsigned short)cols,
    };
    if (x->terminal && x->input.watch.fd >= 0)
        ioctl(x->input.watch.fd, TIOCSWINSZ, &size);
}

/* A frame of a fixed size: K or W. */
static int take_fixed(struct exec *x, const struct frame_piece *p, struct err *e)
{
    const size_t size = p->type == FRAME_SIGNAL ? FRAME_SIGNAL_BYTES : FRAME_RESIZE_BYTES;
    if (p->frame_len != size)
        return err_set(e, ERR_INVALID, "a frame of type %c has %zu bytes", p->type, size);
    memcpy(x->fixed + x->fixed_len, p->data, p->len);
    x->fixed_len += p->len;
    if (!p->end)
        return 0;
    x->fixed_len = 0;
    int first = (int)frame_number(x->fixed, 2);
    if (p->type == FRAME_RESIZE) {
        resize(x, first, (int)frame_number(x->fixed + 2, 2));
        return 0;
    }
    if (first < 1 || first > SIGRTMAX)
        return err_set(e, ERR_INVALID, "there is no signal %d", first);
    program_signal(&x->program, first);
    return 0;
}

/* Returns how many of the piece's bytes were kept, or a negative errno. */
static ssize_t take_piece(struct exec *x, const struct frame_piece *p, struct err *e)
{
    if (p->type == FRAME_SPEC)
        return take_spec(x, p, e);
    if (!x->has_spec)
        return err_set(e, ERR_INVALID, "the spec must come first, ended by an empty frame");
    if (p->type == FRAME_STDIN && x->spec.job)
        return job_input_take(x->job_in_fd, p->data, p->len, e);
    if (p->type == FRAME_STDIN) {
        ssize_t n = exec_input_take(&x->input, p->data, p->len);
        return n < 0 ? err_errno(e, (int)n, "standard input") : n;
    }
    return take_fixed(x, p, e);
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

/* The client has let go of a terminal: it hangs up. */
static void hang_up(struct exec *x)
{
    exec_input_close(&x->input);
    exec_output_close(&x->output);
    agent_server_resume(x->call->stream);
}

void exec_body_end(struct call *c)
{
    struct exec *x = c->data;
    struct err e = ERR_INIT;
    if (x->broken)
        return;
    if (!x->has_spec || !frame_at_boundary(&x->decoder)) {
        err_set(&e, ERR_INVALID, "the body ended in mid-frame or before the end of the spec");
        fail(x, &e);
        return;
    }
    if (x->spec.job)
        start_job(x);
    else if (x->terminal)
        hang_up(x);
    else
        exec_input_end(&x->input);
}

/* --- without a client --- */

static void on_drained(struct exec_output *o)
{
    struct exec *x = EXEC_OF(o, output);
    if (x->program.reaped)
        x->orphan_ended(x);
}

void exec_keep(struct exec *x, void (*ended)(struct exec *x))
{
    x->orphan_ended = ended;
    x->output.drained = on_drained;
    exec_output_discard(&x->output);
}

/* Its input is at its end; a terminal has no end but a hang-up, so it just gets no more. */
static void become_orphan(struct exec *x)
{
    x->call = x->input.call = NULL;
    loop_timer_stop(&x->program.agent->loop, &x->grace);
    if (!x->terminal)
        exec_input_end(&x->input);
    exec_output_orphan(&x->output);
    orphans_add(x->program.agent, x);
}

void exec_closed(struct call *c)
{
    struct exec *x = c->data;
    if (!x)
        return;
    if (!x->program.pid || x->finished)
        exec_free(x);
    else if (c->stream->session_ended && !x->broken)
        become_orphan(x);
    else
        exec_kill(x);
}
