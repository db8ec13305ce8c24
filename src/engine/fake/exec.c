/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/exec.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/limits.h"
#include "engine/fake/call.h"
#include "engine/fake/program.h"
#include "wire/frame.h"

#define NUMBER_BYTES 4 /* of a K or W frame, at most */

/* Until `started` the spec is arriving. */
struct exec {
    struct call *call;
    struct frame_decoder decoder;
    struct buf spec_json;
    uint8_t number[NUMBER_BYTES];
    size_t number_len;
    bool started;
    bool body_ended;
    bool told_end;           /* the X frame is staged */
    struct program *program; /* attached; NULL when it is a job */
    char job[EXEC_JOB_ID_MAX_BYTES + 1];
    struct buf staged; /* of a job: what is to be answered */
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
    c->data = x;
}

/* NULL: there is none, or it has ended. */
static struct program *program_of(const struct exec *x)
{
    if (x->program || !x->job[0])
        return x->program;
    struct job *job = jobs_find(&x->call->guest->jobs, x->job);
    return job ? job->program : NULL;
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

static ssize_t take_staged(struct buf *staged, uint8_t *buf, size_t size, bool was_all)
{
    size_t n = staged->len < size ? staged->len : size;
    if (staged->failed)
        return AGENT_PULL_ABORT;
    if (n == 0)
        return was_all ? AGENT_PULL_END : AGENT_PULL_LATER;
    memcpy(buf, staged->data, n);
    buf_consume(staged, n);
    return (ssize_t)n;
}

static ssize_t pull(struct agent_stream *st, uint8_t *buf, size_t size)
{
    struct call *c = st->data;
    struct exec *x = c->data;
    struct program *p = x->program;
    if (!p) /* the end of an answer ends the request: not before all of the input has come */
        return take_staged(&x->staged, buf, size, x->body_ended);
    program_run(p, size);
    if (p->ended && !x->told_end)
        stage_end(x);
    return take_staged(&p->staged, buf, size, x->told_end);
}

/* --- the request --- */

static int start_program(struct exec *x, struct exec_spec *spec, struct err *e)
{
    struct guest *g = x->call->guest;
    struct program *p;
    auto_buf struct buf json = {0};
    int r = spec->job ? jobs_check(&g->jobs, spec->job, e) : 0;
    r = r < 0 ? r : program_start(g, spec, &p, e);
    if (r < 0)
        return r;
    exec_started_encode(p->pid, &json);
    p->stream = x->call->stream;
    if (!p->spec.job) {
        x->program = p;
        stage(&p->staged, FRAME_STARTED, &json);
        return 0;
    }
    memcpy(x->job, p->spec.job, strlen(p->spec.job) + 1);
    stage(&x->staged, FRAME_STARTED, &json);
    r = jobs_add(g, p);
    if (r < 0) {
        program_free(p);
        return err_errno(e, r, "start the job");
    }
    return 0;
}

static void start(struct exec *x)
{
    struct err e = ERR_INIT;
    struct call *c = x->call;
    CLEANUP(exec_spec_done) struct exec_spec spec = {0};
    int r = exec_spec_decode(buf_str(&x->spec_json), x->spec_json.len, &spec, &e);
    buf_done(&x->spec_json);
    r = r < 0 ? r : start_program(x, &spec, &e);
    if (r < 0) {
        call_fail(c, 0, &e);
        return;
    }
    x->started = true;
    if (agent_server_respond_pull(c->stream, 200, "application/octet-stream", pull) < 0)
        call_abort(c);
}

static int take_spec(struct exec *x, const struct frame_piece *p, struct err *e)
{
    if (x->started)
        return err_set(e, ERR_INVALID, "a second spec");
    if (buf_append(&x->spec_json, p->data, p->len) < 0)
        return err_set(e, ERR_TOO_LARGE, "the spec is larger than %llu bytes",
                       AGENT_SPEC_MAX_BYTES);
    if (p->frame_len == 0)
        start(x);
    return 0;
}

static void deliver(struct exec *x, int sig)
{
    struct program *p = program_of(x);
    if (p)
        program_signal(p, sig);
}

static void resize(struct exec *x)
{
    struct program *p = program_of(x);
    if (!p || !p->spec.pty_rows)
        return;
    p->rows = (int)frame_number(x->number, 2);
    p->cols = (int)frame_number(x->number + 2, 2);
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
    if (!is_signal) {
        if (!frame_number(x->number, 2) || !frame_number(x->number + 2, 2))
            return err_set(e, ERR_INVALID, "a terminal without rows or cols");
        resize(x);
        return 0;
    }
    int sig = (int)frame_number(x->number, len);
    if (sig < 1 || sig > SIGRTMAX)
        return err_set(e, ERR_INVALID, "there is no signal %d", sig);
    deliver(x, sig);
    return 0;
}

/* Returns how many bytes were kept, their window to be given back when the program reads them. */
static ssize_t take_piece(struct exec *x, const struct frame_piece *p, struct err *e)
{
    if (p->type == FRAME_SPEC)
        return take_spec(x, p, e);
    if (!x->started)
        return err_set(e, ERR_INVALID, "the spec must come first, ended by an empty frame");
    if (p->type == FRAME_SIGNAL || p->type == FRAME_RESIZE)
        return take_number(x, p, e);
    struct program *program = program_of(x);
    ssize_t n = program ? program_input(program, p->data, p->len) : 0;
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
    if (!x->started || !frame_at_boundary(&x->decoder)) {
        err_set(&e, ERR_INVALID, "the body ended in mid-frame or before the end of the spec");
        fail(x, &e);
        return;
    }
    x->body_ended = true;
    struct program *p = program_of(x);
    if (p)
        program_end_input(p);
    agent_server_resume(c->stream);
}

/* The end of a job's request is the end of its input. */
static void let_go(struct exec *x)
{
    struct program *p = program_of(x);
    if (!p)
        return;
    p->stream = NULL;
    if (!x->program)
        p->in_ended = true;
    else if (x->call->guest->session_ends && !p->ended)
        program_orphan(p);
    else
        program_free(p);
}

void exec_closed(struct call *c)
{
    struct exec *x = c->data;
    if (!x)
        return;
    let_go(x);
    buf_done(&x->spec_json);
    buf_done(&x->staged);
    free(x);
}
