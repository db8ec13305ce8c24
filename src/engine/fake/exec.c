/* SPDX-License-Identifier: Apache-2.0 */

/* The program advances only when the client's window has room: agent_server pulls, and `pull` runs
 * the script until enough is staged or the script waits for something (input, time, a signal). What
 * it waits for calls agent_server_resume when it has come. */

#include "engine/fake/exec.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "engine/fake/guest.h"
#include "engine/fake/script.h"
#include "wire/frame.h"

#define CHUNK_BYTES (16 * KIB) /* of one output frame */
#define FAKE_RSS_KIB 4096

/* EXEC_SPEC: the spec is arriving. EXEC_RUNS: `event` is being carried out. EXEC_ENDED: the X frame
 * is staged. */
enum exec_phase { EXEC_SPEC, EXEC_RUNS, EXEC_ENDED };

struct exec {
    struct call *call;
    struct exec *prev, *next; /* in guest->execs, from EXEC_RUNS on */
    enum exec_phase phase;
    struct frame_decoder decoder;
    struct buf spec_json;
    struct exec_spec spec;
    struct script script;
    struct script_event event; /* len and number count down */
    uint8_t signal_bytes[FRAME_SIGNAL_BYTES];
    size_t signal_len;
    struct buf in; /* what the program has not read; its window was not given back */
    bool in_ended;
    struct buf staged; /* frames on their way out */
    int64_t start_us;
    int64_t wake_us;  /* end of a sleep; 0: none */
    int64_t limit_us; /* end of the program's time; 0: none */
    struct exec_exit exit;
};

void exec_begin(struct call *c)
{
    if (c->guest->exec_fault == GUEST_EXEC_RESET) {
        c->refused = true;
        agent_server_abort(c->stream);
        return;
    }
    if (c->guest->exec_fault == GUEST_EXEC_DIE)
        c->guest->end = GUEST_DIED;
    c->exec = calloc(1, sizeof(*c->exec));
    if (!c->exec) {
        c->refused = true;
        agent_server_abort(c->stream);
        return;
    }
    c->exec->call = c;
    c->exec->spec_json.max_bytes = AGENT_SPEC_MAX_BYTES;
}

static void end_stream(struct exec *x)
{
    x->call->refused = true;
    agent_server_abort(x->call->stream);
}

static void stage(struct exec *x, enum frame_type type, const void *data, size_t len)
{
    uint8_t head[FRAME_HEADER_BYTES];
    frame_header(head, type, len);
    buf_append(&x->staged, head, sizeof(head));
    buf_append(&x->staged, data, len);
    if (type == FRAME_STDOUT)
        x->exit.stdout_bytes += (int64_t)len;
    else if (type == FRAME_STDERR)
        x->exit.stderr_bytes += (int64_t)len;
}

/* --- the end --- */

static void drop_input(struct exec *x)
{
    agent_server_consume(x->call->stream, x->in.len);
    buf_done(&x->in);
}

/* By itself (signal 0) or by a signal. */
static void end_program(struct exec *x, int code, int sig)
{
    auto_buf struct buf json = {0};
    x->phase = EXEC_ENDED;
    x->wake_us = x->limit_us = 0;
    x->exit.code = sig ? 128 + sig : code;
    x->exit.signal = sig;
    x->exit.wall_us = clock_mono_us() - x->start_us;
    x->exit.max_rss_kib = FAKE_RSS_KIB;
    exec_exit_encode(&x->exit, &json);
    stage(x, FRAME_EXIT, json.data, json.len);
    if (json.failed || x->staged.failed)
        end_stream(x);
    drop_input(x);
}

/* --- carrying out events: each says whether the program can go on now --- */

static bool carry_write(struct exec *x)
{
    struct script_event *ev = &x->event;
    size_t n = ev->len < CHUNK_BYTES ? ev->len : CHUNK_BYTES;
    if (n)
        stage(x, ev->to_stderr ? FRAME_STDERR : FRAME_STDOUT, ev->data, n);
    ev->data += n;
    ev->len -= n;
    if (ev->len == 0)
        script_next(&x->script, ev);
    return true;
}

static bool carry_flood(struct exec *x)
{
    static const char line[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+\n";
    static char chunk[CHUNK_BYTES];
    const size_t line_len = sizeof(line) - 1;
    if (!chunk[0])
        for (size_t at = 0; at < sizeof(chunk); at++)
            chunk[at] = line[at % line_len];
    int64_t left = x->event.number;
    size_t n = left < (int64_t)sizeof(chunk) ? (size_t)left : sizeof(chunk);
    if (n)
        stage(x, FRAME_STDOUT, chunk, n);
    x->event.number -= (int64_t)n;
    if (x->event.number == 0)
        script_next(&x->script, &x->event);
    return true;
}

static bool carry_cat(struct exec *x)
{
    size_t n = x->in.len < CHUNK_BYTES ? x->in.len : CHUNK_BYTES;
    if (n) {
        stage(x, FRAME_STDOUT, x->in.data, n);
        buf_consume(&x->in, n);
        agent_server_consume(x->call->stream, n);
        return true;
    }
    if (!x->in_ended && x->spec.has_stdin)
        return false;
    script_next(&x->script, &x->event);
    return true;
}

static bool carry_sleep(struct exec *x)
{
    int64_t now_us = clock_mono_us();
    if (!x->wake_us)
        x->wake_us = now_us + x->event.number * 1000;
    if (now_us < x->wake_us)
        return false;
    x->wake_us = 0;
    script_next(&x->script, &x->event);
    return true;
}

static bool carry_out(struct exec *x)
{
    switch (x->event.op) {
    case SCRIPT_WRITE:
        return carry_write(x);
    case SCRIPT_FLOOD:
        return carry_flood(x);
    case SCRIPT_CAT:
        return carry_cat(x);
    case SCRIPT_SLEEP:
        return carry_sleep(x);
    case SCRIPT_HANG:
        return false;
    case SCRIPT_EXIT:
        end_program(x, (int)x->event.number, 0);
        return false;
    case SCRIPT_SIGNAL:
        end_program(x, 0, (int)x->event.number);
        return false;
    case SCRIPT_DIE:
        x->call->guest->end = GUEST_DIED;
        return false;
    }
    return false;
}

static ssize_t pull(struct agent_stream *st, uint8_t *buf, size_t size)
{
    struct call *c = st->data;
    struct exec *x = c->exec;
    while (x->phase == EXEC_RUNS && x->staged.len < size && carry_out(x))
        ;
    if (x->staged.failed)
        return AGENT_PULL_ABORT;
    size_t n = x->staged.len < size ? x->staged.len : size;
    if (n == 0)
        return x->phase == EXEC_ENDED ? AGENT_PULL_END : AGENT_PULL_LATER;
    memcpy(buf, x->staged.data, n);
    buf_consume(&x->staged, n);
    return (ssize_t)n;
}

/* --- the request --- */

static void list_add(struct exec *x)
{
    struct guest *g = x->call->guest;
    x->next = g->execs;
    if (x->next)
        x->next->prev = x;
    g->execs = x;
}

static void list_remove(struct exec *x)
{
    if (x->prev)
        x->prev->next = x->next;
    else if (x->call->guest->execs == x)
        x->call->guest->execs = x->next;
    if (x->next)
        x->next->prev = x->prev;
}

static void start(struct exec *x)
{
    auto_buf struct buf json = {0};
    struct err e = ERR_INIT;
    struct call *c = x->call;
    int r = exec_spec_decode(buf_str(&x->spec_json), x->spec_json.len, &x->spec, &e);
    buf_done(&x->spec_json);
    if (r == 0 && script_start(&x->script, &x->spec, c->guest) < 0)
        err_errno(&e, r = -ENOMEM, "start the program");
    if (r < 0) {
        call_fail(c, 0, &e);
        return;
    }
    x->phase = EXEC_RUNS;
    x->start_us = clock_mono_us();
    if (x->spec.timeout_ms)
        x->limit_us = x->start_us + x->spec.timeout_ms * 1000;
    list_add(x);
    exec_started_encode(c->guest->next_pid++, &json);
    stage(x, FRAME_STARTED, json.data, json.len);
    script_next(&x->script, &x->event);
    if (json.failed || x->staged.failed ||
        agent_server_respond_pull(c->stream, 200, "application/octet-stream", pull) < 0)
        end_stream(x);
}

static int take_spec(struct exec *x, const struct frame_piece *p, struct err *e)
{
    if (x->phase != EXEC_SPEC)
        return err_set(e, ERR_INVALID, "a second spec");
    if (buf_append(&x->spec_json, p->data, p->len) < 0)
        return err_set(e, ERR_TOO_LARGE, "the spec is larger than %llu bytes",
                       AGENT_SPEC_MAX_BYTES);
    if (p->frame_len == 0)
        start(x);
    return 0;
}

/* A program of this language has no handlers: each signal does what it does by default. */
static void deliver(struct exec *x, int sig)
{
    if (x->phase != EXEC_RUNS || sig == SIGCHLD || sig == SIGCONT || sig == SIGURG ||
        sig == SIGWINCH || sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU)
        return;
    end_program(x, 0, sig);
    agent_server_resume(x->call->stream);
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
    deliver(x, sig);
    return 0;
}

/* Returns how many bytes were kept, their window to be given back when the program reads them. */
static ssize_t take_stdin(struct exec *x, const struct frame_piece *p, struct err *e)
{
    if (x->phase == EXEC_SPEC)
        return err_set(e, ERR_INVALID, "standard input before the spec");
    if (x->phase == EXEC_ENDED || !x->spec.has_stdin)
        return 0;
    if (buf_append(&x->in, p->data, p->len) < 0)
        return err_errno(e, -ENOMEM, "standard input");
    agent_server_resume(x->call->stream);
    return (ssize_t)p->len;
}

static ssize_t take_piece(struct exec *x, const struct frame_piece *p, struct err *e)
{
    if (p->type == FRAME_SPEC)
        return take_spec(x, p, e);
    return p->type == FRAME_SIGNAL ? take_signal(x, p, e) : take_stdin(x, p, e);
}

static void fail(struct exec *x, const struct err *e)
{
    if (agent_server_has_responded(x->call->stream))
        end_stream(x);
    else
        call_fail(x->call, 0, e);
}

void exec_body(struct call *c, const uint8_t *data, size_t len)
{
    struct exec *x = c->exec;
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
    struct exec *x = c->exec;
    struct err e = ERR_INIT;
    if (x->phase == EXEC_SPEC || !frame_at_boundary(&x->decoder)) {
        err_set(&e, ERR_INVALID, "the body ended in mid-frame or before the end of the spec");
        fail(x, &e);
        return;
    }
    x->in_ended = true;
    agent_server_resume(c->stream);
}

void exec_closed(struct call *c)
{
    struct exec *x = c->exec;
    if (!x)
        return;
    list_remove(x);
    script_done(&x->script);
    exec_spec_done(&x->spec);
    buf_done(&x->spec_json);
    buf_done(&x->staged);
    buf_done(&x->in);
    free(x);
}

/* --- time --- */

static int64_t due_us(const struct exec *x)
{
    if (!x->wake_us || !x->limit_us)
        return x->wake_us + x->limit_us;
    return x->wake_us < x->limit_us ? x->wake_us : x->limit_us;
}

int64_t exec_due_us(const struct guest *g)
{
    int64_t first_us = 0;
    for (const struct exec *x = g->execs; x; x = x->next) {
        int64_t us = due_us(x);
        if (us && (!first_us || us < first_us))
            first_us = us;
    }
    return first_us;
}

void exec_wake(struct guest *g)
{
    int64_t now_us = g->execs ? clock_mono_us() : 0;
    for (struct exec *x = g->execs; x; x = x->next) {
        int64_t us = due_us(x);
        if (!us || us > now_us)
            continue;
        if (x->limit_us && x->limit_us <= now_us) {
            x->exit.timed_out = true;
            end_program(x, 0, SIGKILL);
        } else {
            /* The sleep is over now, also when the client's window keeps `pull` from being called
             * for long. */
            x->wake_us = 0;
            x->event.number = 0;
        }
        agent_server_resume(x->call->stream);
    }
}

void exec_skip(struct guest *g, int64_t us)
{
    for (struct exec *x = g->execs; x; x = x->next) {
        x->start_us += us;
        x->wake_us += x->wake_us ? us : 0;
        x->limit_us += x->limit_us ? us : 0;
    }
}
