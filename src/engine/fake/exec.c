/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/exec.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/limits.h"
#include "engine/fake/call.h"
#include "engine/fake/guest.h"
#include "engine/fake/program.h"
#include "engine/fake/warm.h"
#include "wire/frame.h"

#define NUMBER_BYTES 4 /* of a K or W frame, at most */

/* A program starts when its spec is there, a job when all of its input is. */
struct exec {
    struct call *call;
    struct frame_decoder decoder;
    struct buf spec_json;
    bool has_spec;
    struct exec_spec spec; /* until it starts */
    uint8_t number[NUMBER_BYTES];
    size_t number_len;
    struct program *program; /* NULL: it has not started, or it is a job */
    bool told_end;           /* the X frame is staged */
    struct buf job_input;
};

void exec_begin(struct call *c)
{
    if (c->guest->exec_fault == GUEST_EXEC_RESET) {
        call_abort(c);
        return;
    }
    if (c->guest->exec_fault == GUEST_EXEC_DIE)
        c->guest->end = GUEST_DIED;
    struct exec *x = calloc(1, sizeof(*x));
    if (!x) {
        call_abort(c);
        return;
    }
    x->call = c;
    x->spec_json.max_bytes = AGENT_SPEC_MAX_BYTES;
    x->job_input.max_bytes = AGENT_JOB_INPUT_MAX_BYTES;
    c->data = x;
}

static void stage(struct buf *out, enum frame_type type, const struct buf *payload)
{
    uint8_t head[FRAME_HEADER_BYTES];
    frame_header(head, type, payload->len);
    buf_append(out, head, sizeof(head));
    buf_append(out, payload->data, payload->len);
    out->failed |= payload->failed;
}

static void stage_end(struct exec *x)
{
    struct program *p = x->program;
    auto_buf struct buf json = {0};
    exec_exit_encode(&p->exit, &json);
    stage(&p->staged, FRAME_EXIT, &json);
    x->told_end = true;
}

/* --- output --- */

static ssize_t pull(struct agent_stream *st, uint8_t *buf, size_t size)
{
    struct call *c = st->data;
    struct exec *x = c->data;
    struct program *p = x->program;
    program_run(p, size);
    if (p->ended && !x->told_end)
        stage_end(x);
    if (p->staged.failed)
        return AGENT_PULL_ABORT;
    size_t n = p->staged.len < size ? p->staged.len : size;
    if (n == 0)
        return x->told_end ? AGENT_PULL_END : AGENT_PULL_LATER;
    memcpy(buf, p->staged.data, n);
    buf_consume(&p->staged, n);
    return (ssize_t)n;
}

/* --- the start --- */

/* The program and its P frame. */
static int start(struct exec *x, struct program **ret, struct buf *frame, struct err *e)
{
    auto_buf struct buf json = {0};
    struct program *p;
    int r = warm_take(x->call->guest, &x->spec, e);
    r = r < 0 ? r : program_start(x->call->guest, &x->spec, &p, e);
    if (r < 0)
        return r;
    exec_started_encode(p->pid, &json);
    stage(frame, FRAME_STARTED, &json);
    *ret = p;
    return 0;
}

static int start_attached(struct exec *x, struct err *e)
{
    auto_buf struct buf frame = {0};
    struct call *c = x->call;
    int r = start(x, &x->program, &frame, e);
    if (r < 0)
        return r;
    x->program->stream = c->stream;
    buf_append(&x->program->staged, frame.data, frame.len);
    if (frame.failed ||
        agent_server_respond_pull(c->stream, 200, "application/octet-stream", pull) < 0)
        call_abort(c);
    return 0;
}

static int add_job(struct exec *x, struct program *p, struct err *e)
{
    int r = jobs_add(x->call->guest, p);
    if (r < 0) {
        program_free(p);
        return err_errno(e, r, "start the job");
    }
    (void)buf_append(&p->in, x->job_input.data, x->job_input.len);
    p->in_ended = true;
    return 0;
}

static void start_job(struct exec *x)
{
    auto_buf struct buf frame = {0};
    struct call *c = x->call;
    struct err e = ERR_INIT;
    struct program *p;
    int r = jobs_check(&c->guest->jobs, x->spec.job, &e);
    r = r < 0 ? r : start(x, &p, &frame, &e);
    r = r < 0 ? r : add_job(x, p, &e);
    if (r < 0)
        call_fail(c, 0, &e);
    else if (frame.failed || agent_server_respond(c->stream, 200, "application/octet-stream",
                                                  frame.data, frame.len) < 0)
        call_abort(c);
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
    return r == 0 && !x->spec.job ? start_attached(x, e) : r;
}

static void resize(struct exec *x, int rows, int cols)
{
    if (!x->program || !x->program->spec.pty_rows)
        return;
    x->program->rows = rows;
    x->program->cols = cols;
}

static int take_job_input(struct exec *x, const struct frame_piece *p, struct err *e)
{
    if (!x->spec.has_stdin || buf_append(&x->job_input, p->data, p->len) == 0)
        return 0;
    return err_set(e, ERR_TOO_LARGE, "the job's input is larger than %llu bytes",
                   AGENT_JOB_INPUT_MAX_BYTES);
}

/* A frame that is a number or two. */
static int take_number(struct exec *x, const struct frame_piece *p, struct err *e)
{
    bool is_signal = p->type == FRAME_SIGNAL;
    size_t len = is_signal ? FRAME_SIGNAL_BYTES : FRAME_RESIZE_BYTES;
    if (p->frame_len != len)
        return err_set(e, ERR_INVALID, "a %c frame has %zu bytes", p->type, len);
    memcpy(x->number + x->number_len, p->data, p->len);
    x->number_len += p->len;
    if (!p->end)
        return 0;
    x->number_len = 0;
    int first = (int)frame_number(x->number, 2);
    if (!is_signal)
        resize(x, first, (int)frame_number(x->number + 2, 2));
    else if (first < 1 || first > SIGRTMAX)
        return err_set(e, ERR_INVALID, "there is no signal %d", first);
    else if (x->program)
        program_signal(x->program, first);
    return 0;
}

/* Returns how many bytes were kept, their window to be given back when the program reads them. */
static ssize_t take_piece(struct exec *x, const struct frame_piece *p, struct err *e)
{
    if (p->type == FRAME_SPEC)
        return take_spec(x, p, e);
    if (!x->has_spec)
        return err_set(e, ERR_INVALID, "the spec must come first, ended by an empty frame");
    if (p->type == FRAME_SIGNAL || p->type == FRAME_RESIZE)
        return take_number(x, p, e);
    if (x->spec.job)
        return take_job_input(x, p, e);
    ssize_t n = x->program ? program_input(x->program, p->data, p->len) : 0;
    return n < 0 ? err_errno(e, (int)n, "standard input") : n;
}

static void fail(struct exec *x, const struct err *e)
{
    if (agent_server_has_responded(x->call->stream))
        call_abort(x->call);
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
    while (!c->refused) {
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
    if (!x->has_spec || !frame_at_boundary(&x->decoder)) {
        err_set(&e, ERR_INVALID, "the body ended in mid-frame or before the end of the spec");
        fail(x, &e);
    } else if (x->spec.job) {
        start_job(x);
    } else if (x->program) {
        program_end_input(x->program);
    }
}

void exec_closed(struct call *c)
{
    struct exec *x = c->data;
    if (!x)
        return;
    if (x->program && c->guest->session_ends && !x->program->ended)
        program_orphan(x->program);
    else if (x->program)
        program_free(x->program);
    exec_spec_done(&x->spec);
    buf_done(&x->spec_json);
    buf_done(&x->job_input);
    free(x);
}
