/* SPDX-License-Identifier: Apache-2.0 */

/* A program of an attached request advances only when the client's window has room: agent_server
 * pulls, and program_run goes on until enough is staged or the script waits for something (input,
 * time, a signal). What it waits for calls program_poke when it has come. The others are run once a
 * turn of the monitor's loop. */

#include "engine/fake/program.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "engine/fake/accept.h"
#include "engine/fake/guest.h"
#include "engine/fake/jobs.h"
#include "engine/fake/users.h"
#include "wire/agent_server.h"

#define CHUNK_BYTES (16 * KIB) /* of one output frame */
#define PIPE_BYTES (64 * KIB)  /* what a program writes that nobody reads before it blocks */
#define TURN_BYTES (1 * MIB)   /* in one turn of the loop */
#define FAKE_RSS_KIB 4096
#define KEY_INTERRUPT 3
#define KEY_END 4

/* --- output --- */

/* Counts what is written, and says how much of it is within the bound. */
static size_t within_limit(struct program *p, enum frame_type type, size_t len)
{
    int64_t *bytes = type == FRAME_STDOUT ? &p->exit.stdout_bytes : &p->exit.stderr_bytes;
    int64_t room = p->spec.limits.output_bytes - *bytes;
    *bytes += (int64_t)len;
    if (!p->spec.limits.output_bytes || (int64_t)len <= room)
        return len;
    return room > 0 ? (size_t)room : 0;
}

static void stage_frame(struct program *p, enum frame_type type, const void *data, size_t len)
{
    uint8_t head[FRAME_HEADER_BYTES];
    len = within_limit(p, type, len);
    if (!len)
        return;
    frame_header(head, type, len);
    buf_append(&p->staged, head, sizeof(head));
    buf_append(&p->staged, data, len);
}

/* A terminal has one output, and its lines end as those of terminals do. */
static void stage_terminal(struct program *p, const char *data, size_t len)
{
    auto_buf struct buf text = {0};
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\n')
            buf_append(&text, "\r", 1);
        buf_append(&text, data + i, 1);
    }
    p->staged.failed |= text.failed;
    stage_frame(p, FRAME_STDOUT, text.data, text.len);
}

static void stage(struct program *p, enum frame_type type, const void *data, size_t len)
{
    if (p->spec.pty_rows)
        stage_terminal(p, data, len);
    else
        stage_frame(p, type, data, len);
}

/* --- the end --- */

/* A terminal has taken its input as soon as that came. */
static void take_input(struct program *p, size_t len)
{
    if (p->stream && !p->spec.pty_rows)
        agent_server_consume(p->stream, len);
    buf_consume(&p->in, len);
}

static void stop_computing(struct program *p, int64_t now_us)
{
    if (!p->busy_us)
        return;
    p->exit.user_us += now_us - p->busy_us;
    p->guest->cpu_us += now_us - p->busy_us;
    p->busy_us = 0;
}

/* By itself (signal 0) or by a signal. */
static void end_program(struct program *p, int code, int sig)
{
    int64_t now_us = clock_mono_us();
    stop_computing(p, now_us);
    p->ended = true;
    p->wake_us = p->limit_us = 0;
    p->exit.code = sig ? 128 + sig : code;
    p->exit.signal = sig;
    p->exit.wall_us = now_us - p->start_us;
    p->exit.max_rss_kib = FAKE_RSS_KIB;
    p->exit.cpu_us = p->exit.user_us;
    if (p->exit.memory_peak_bytes < FAKE_RSS_KIB * 1024)
        p->exit.memory_peak_bytes = FAKE_RSS_KIB * 1024;
    take_input(p, p->in.len);
    buf_done(&p->in);
    accept_close(p);
}

/* --- carrying out events: each says whether the program can go on now --- */

static bool go_on(struct program *p)
{
    script_next(&p->script, &p->event);
    return true;
}

static bool carry_write(struct program *p)
{
    struct script_event *ev = &p->event;
    size_t n = ev->len < CHUNK_BYTES ? ev->len : CHUNK_BYTES;
    if (n)
        stage(p, ev->to_stderr ? FRAME_STDERR : FRAME_STDOUT, ev->data, n);
    ev->data += n;
    ev->len -= n;
    return ev->len ? true : go_on(p);
}

static bool carry_flood(struct program *p)
{
    static const char line[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+\n";
    static char chunk[CHUNK_BYTES];
    const size_t line_len = sizeof(line) - 1;
    if (!chunk[0])
        for (size_t at = 0; at < sizeof(chunk); at++)
            chunk[at] = line[at % line_len];
    int64_t left = p->event.number;
    size_t n = left < (int64_t)sizeof(chunk) ? (size_t)left : sizeof(chunk);
    if (p->owner == PROGRAM_LET_GO) {
        p->exit.stdout_bytes += left;
        return go_on(p);
    }
    if (n)
        stage(p, FRAME_STDOUT, chunk, n);
    p->event.number -= (int64_t)n;
    return p->event.number ? true : go_on(p);
}

static bool input_is_over(const struct program *p)
{
    return p->in_ended || !(p->spec.has_stdin || p->spec.pty_rows);
}

static bool carry_cat(struct program *p)
{
    size_t n = p->in.len < CHUNK_BYTES ? p->in.len : CHUNK_BYTES;
    if (n) {
        stage(p, FRAME_STDOUT, p->in.data, n);
        take_input(p, n);
        return true;
    }
    return input_is_over(p) ? go_on(p) : false;
}

static bool carry_read(struct program *p)
{
    bool over = input_is_over(p);
    if (!p->in.len && !over)
        return false;
    size_t n = script_read(&p->script, buf_str(&p->in), p->in.len, over);
    take_input(p, n);
    return n || over ? go_on(p) : false;
}

static bool carry_sleep(struct program *p)
{
    int64_t now_us = clock_mono_us();
    if (!p->wake_us) {
        p->wake_us = now_us + p->event.number * 1000;
        p->busy_us = p->event.op == SCRIPT_BUSY ? now_us : 0;
    }
    if (now_us < p->wake_us)
        return false;
    stop_computing(p, p->wake_us);
    p->wake_us = 0;
    return go_on(p);
}

static bool carry_tick(struct program *p)
{
    if (!p->wake_us) {
        p->tick_us = clock_mono_us();
        p->wake_us = p->tick_us + p->event.number * 1000;
    }
    return false;
}

static bool carry_rows(struct program *p)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%d %d\n", p->rows, p->cols);
    stage(p, FRAME_STDOUT, text, (size_t)n);
    return go_on(p);
}

static bool carry_connect(struct program *p)
{
    static const char refused[] = "connect: connection refused\n";
    enum accept_result r = p->accept ? ACCEPT_CONNECTED : accept_connect(p);
    if (r == ACCEPT_LATER)
        return false;
    if (r == ACCEPT_REFUSED) {
        stage(p, FRAME_STDERR, refused, strlen(refused));
        return go_on(p);
    }
    struct buf *in = &p->accept->to_program;
    size_t n = in->len < CHUNK_BYTES ? in->len : CHUNK_BYTES;
    if (n) {
        stage(p, FRAME_STDOUT, in->data, n);
        accept_consumed(p->accept, n);
        return true;
    }
    if (!p->accept->client_ended)
        return false;
    accept_close(p);
    return go_on(p);
}

/* Takes memory for good; a bound on it ends the program as the kernel does. */
static bool carry_memory(struct program *p)
{
    int64_t limit = p->spec.limits.memory_bytes;
    p->exit.memory_peak_bytes = p->event.number * (int64_t)MIB;
    if (!limit || p->exit.memory_peak_bytes <= limit)
        return go_on(p);
    p->exit.memory_peak_bytes = limit;
    p->exit.oom = true;
    end_program(p, 0, SIGKILL);
    return false;
}

static bool carry_out(struct program *p)
{
    switch (p->event.op) {
    case SCRIPT_WRITE:
        return carry_write(p);
    case SCRIPT_FLOOD:
        return carry_flood(p);
    case SCRIPT_CAT:
        return carry_cat(p);
    case SCRIPT_READ:
        return carry_read(p);
    case SCRIPT_SLEEP:
    case SCRIPT_BUSY:
        return carry_sleep(p);
    case SCRIPT_TICK:
        return carry_tick(p);
    case SCRIPT_MEMORY:
        return carry_memory(p);
    case SCRIPT_ROWS:
        return carry_rows(p);
    case SCRIPT_CONNECT:
        return carry_connect(p);
    case SCRIPT_EXIT:
        end_program(p, (int)p->event.number, 0);
        return false;
    case SCRIPT_SIGNAL:
        end_program(p, 0, (int)p->event.number);
        return false;
    case SCRIPT_DIE:
        p->guest->end = GUEST_DIED;
        return false;
    default: /* until a signal */
        return false;
    }
}

void program_run(struct program *p, size_t room)
{
    bool goes_on = true;
    while (!p->ended && goes_on && p->staged.len < room)
        goes_on = carry_out(p);
    p->has_more = goes_on && !p->ended;
    if (p->staged.failed && !p->ended)
        end_program(p, 0, SIGKILL);
}

void program_poke(struct program *p)
{
    if (p->owner == PROGRAM_ATTACHED)
        agent_server_resume(p->stream);
}

/* --- the life --- */

static void list_add(struct program *p)
{
    struct guest *g = p->guest;
    p->next = g->programs;
    if (p->next)
        p->next->prev = p;
    g->programs = p;
}

static void list_remove(struct program *p)
{
    if (p->prev)
        p->prev->next = p->next;
    else if (p->guest->programs == p)
        p->guest->programs = p->next;
    if (p->next)
        p->next->prev = p->prev;
}

/* `spec` is the caller's again when it fails. */
static int start(struct program *p, struct err *e)
{
    struct guest *g = p->guest;
    int r = users_apply(&g->files, &p->spec, e);
    r = r < 0 ? r : script_start(&p->script, &p->spec, g, e);
    if (r < 0)
        return r;
    p->pid = g->next_pid++;
    p->rows = p->spec.pty_rows;
    p->cols = p->spec.pty_cols;
    p->start_us = clock_mono_us();
    if (p->spec.timeout_ms)
        p->limit_us = p->start_us + p->spec.timeout_ms * 1000;
    list_add(p);
    script_next(&p->script, &p->event);
    return 0;
}

int program_start(struct guest *g, struct exec_spec *spec, struct program **ret, struct err *e)
{
    struct program *p = calloc(1, sizeof(*p));
    if (!p)
        return err_errno(e, -ENOMEM, "start the program");
    p->guest = g;
    p->spec = *spec;
    int r = start(p, e);
    *spec = r < 0 ? p->spec : (struct exec_spec){0};
    if (r < 0) {
        script_done(&p->script);
        free(p);
        return r;
    }
    *ret = p;
    return 0;
}

void program_free(struct program *p)
{
    if (!p->ended)
        end_program(p, 0, SIGKILL);
    list_remove(p);
    script_done(&p->script);
    exec_spec_done(&p->spec);
    buf_done(&p->staged);
    buf_done(&p->in);
    free(p);
}

void program_orphan(struct program *p)
{
    p->owner = PROGRAM_ORPHAN;
    p->stream = NULL;
}

void programs_settle(struct guest *g, bool keep)
{
    for (struct program *p = g->programs, *next; p; p = next) {
        next = p->next;
        if (p->owner != PROGRAM_ORPHAN)
            continue;
        if (!keep) {
            program_free(p);
            continue;
        }
        p->owner = PROGRAM_LET_GO;
        p->in_ended = true;
        buf_done(&p->staged);
    }
}

void programs_kill_all(struct guest *g)
{
    while (g->programs)
        program_free(g->programs);
}

/* --- input --- */

/* A shell drops the line that was begun; any other program ends. */
static void interrupt(struct program *p)
{
    if (p->event.op != SCRIPT_READ) {
        program_signal(p, SIGINT);
        return;
    }
    stage(p, FRAME_STDOUT, "^C\n", 3);
    take_input(p, p->in.len);
    p->script.is_asking = false;
    script_next(&p->script, &p->event);
}

static int take_key(struct program *p, char key)
{
    if (key == KEY_INTERRUPT) {
        interrupt(p);
        return 0;
    }
    if (key == KEY_END) {
        p->in_ended = true;
        return 0;
    }
    key = key == '\r' ? '\n' : key;
    stage(p, FRAME_STDOUT, &key, 1);
    return p->in.len < PIPE_BYTES ? buf_append(&p->in, &key, 1) : 0;
}

static int take_keys(struct program *p, const char *keys, size_t len)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < len && !p->ended; i++)
        r = take_key(p, keys[i]);
    return r;
}

ssize_t program_input(struct program *p, const void *data, size_t len)
{
    bool is_kept = p->spec.has_stdin && !p->spec.pty_rows;
    int r = 0;
    if (p->ended)
        return 0;
    if (p->spec.pty_rows)
        r = take_keys(p, data, len);
    else if (is_kept)
        r = buf_append(&p->in, data, len);
    program_poke(p);
    return r < 0 ? r : is_kept ? (ssize_t)len : 0;
}

void program_end_input(struct program *p)
{
    p->in_ended = true;
    if (p->spec.pty_rows)
        program_signal(p, SIGHUP);
    program_poke(p);
}

/* A program of this language has no handlers: each signal does what it does by default. */
void program_signal(struct program *p, int sig)
{
    if (p->ended || sig == SIGCHLD || sig == SIGCONT || sig == SIGURG || sig == SIGWINCH ||
        sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU)
        return;
    end_program(p, 0, sig);
    program_poke(p);
}

/* --- time --- */

static int64_t timer_us(const struct program *p)
{
    if (!p->wake_us || !p->limit_us)
        return p->wake_us + p->limit_us;
    return p->wake_us < p->limit_us ? p->wake_us : p->limit_us;
}

/* One that only had its turn goes on at once. */
static int64_t due_us(const struct program *p)
{
    bool is_driven = p->owner == PROGRAM_LET_GO || p->owner == PROGRAM_JOB;
    return is_driven && p->has_more ? 1 : timer_us(p);
}

int64_t programs_due_us(const struct guest *g)
{
    int64_t first_us = 0;
    for (const struct program *p = g->programs; p; p = p->next) {
        int64_t us = due_us(p);
        if (us && (!first_us || us < first_us))
            first_us = us;
    }
    return first_us;
}

/* `name.gap` is the longest time, on the host's clock, in which there was no tick. */
static void note_gap(struct program *p, const char *name, int64_t now_us)
{
    char gap_name[VARS_NAME_MAX_BYTES + 1], text[24];
    struct vars *v = &p->guest->vars;
    if (path_printf(gap_name, sizeof(gap_name), "%s.gap", name) < 0)
        return;
    const char *old = vars_get(v, gap_name);
    if (old && strtoll(old, NULL, 10) >= now_us - p->tick_us)
        return;
    snprintf(text, sizeof(text), "%" PRId64, now_us - p->tick_us);
    (void)vars_set(v, gap_name, text);
}

static void tick(struct program *p, int64_t now_us)
{
    int64_t period_us = p->event.number * 1000, total;
    int64_t n = (now_us - p->wake_us) / period_us + 1;
    (void)vars_add(&p->guest->vars, p->event.data, n, &total);
    note_gap(p, p->event.data, now_us);
    p->tick_us = now_us;
    p->wake_us += n * period_us;
}

static void come_due(struct program *p, int64_t now_us)
{
    if (p->limit_us && p->limit_us <= now_us) {
        p->exit.timed_out = true;
        end_program(p, 0, SIGKILL);
    } else if (p->event.op == SCRIPT_TICK) {
        tick(p, now_us);
        return;
    } else {
        /* The sleep is over now, also when the client's window keeps us from being called for
         * long. */
        stop_computing(p, p->wake_us);
        p->wake_us = 0;
        p->event.number = 0;
        p->event.op = SCRIPT_SLEEP;
    }
    program_poke(p);
}

static void run_alone(struct program *p)
{
    program_run(p, p->owner == PROGRAM_ORPHAN ? PIPE_BYTES : TURN_BYTES);
    if (p->owner == PROGRAM_JOB) {
        jobs_collect(p);
    } else if (p->owner == PROGRAM_LET_GO) {
        buf_clear(&p->staged);
        if (p->ended)
            program_free(p);
    }
}

void programs_wake(struct guest *g)
{
    int64_t now_us = g->programs ? clock_mono_us() : 0;
    for (struct program *p = g->programs, *next; p; p = next) {
        next = p->next;
        int64_t us = timer_us(p);
        if (us && us <= now_us)
            come_due(p, now_us);
        if (p->owner != PROGRAM_ATTACHED)
            run_alone(p);
    }
}

void programs_skip(struct guest *g, int64_t us)
{
    for (struct program *p = g->programs; p; p = p->next) {
        p->start_us += us;
        p->wake_us += p->wake_us ? us : 0;
        p->limit_us += p->limit_us ? us : 0;
        p->busy_us += p->busy_us ? us : 0;
    }
}

int64_t programs_cpu_us(const struct guest *g, int64_t now_us)
{
    int64_t sum_us = 0;
    for (const struct program *p = g->programs; p; p = p->next)
        if (p->busy_us)
            sum_us += (now_us < p->wake_us ? now_us : p->wake_us) - p->busy_us;
    return sum_us;
}
