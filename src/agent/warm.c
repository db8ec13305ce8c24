/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/warm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"

#define READY 'R'
#define TAIL_BYTES 256 /* of its standard error, to be told when it fails */
#define READ_BYTES (16 * KIB)

enum warm_state {
    WARM_STARTING, /* until it has said that it waits; `call` is its start */
    WARM_WAITING,  /* may be handed over, or told to rehearse */
    WARM_REHEARSING,
    WARM_ENDING, /* was killed, and is about to be reaped */
};

struct warm_pipe {
    struct loop_watch watch; /* first; fd negative: at its end */
    struct warm *warm;
};

struct warm {
    struct program program; /* first: a pointer to it is a pointer to all */
    struct warm *next;
    char id[EXEC_JOB_ID_MAX_BYTES + 1];
    enum warm_state state;
    struct call *call; /* that waits for it; NULL: none */
    uid_t uid;
    gid_t gid;
    int in_fd;               /* its standard input */
    struct exec_input jobs;  /* its descriptor 3 */
    struct warm_pipe ready;  /* its descriptor 4 */
    struct warm_pipe out[2]; /* its outputs */
    uint64_t written;        /* to them, since it was last told to do something */
    struct loop_timer timeout;
    char tail[TAIL_BYTES + 1];
    char why[64]; /* it was killed; "": it was not */
};

#define WARM_OF(ptr, member) ((struct warm *)((char *)(ptr)-offsetof(struct warm, member)))

static struct warm *find(struct agent *a, const char *id)
{
    struct warm *w = a->warms.first;
    while (w && strcmp(w->id, id) != 0)
        w = w->next;
    return w;
}

static void pipe_close(struct warm_pipe *p)
{
    if (p->watch.fd < 0)
        return;
    loop_unwatch(&p->warm->program.agent->loop, &p->watch);
    close(p->watch.fd);
    p->watch.fd = -EBADF;
}

static void warm_free(struct warm *w)
{
    if (!w)
        return;
    if (w->call)
        w->call->data = NULL;
    loop_timer_stop(&w->program.agent->loop, &w->timeout);
    exec_input_close(&w->jobs);
    pipe_close(&w->ready);
    pipe_close(&w->out[0]);
    pipe_close(&w->out[1]);
    cleanup_close(&w->in_fd);
    program_done(&w->program);
    free(w);
}
DEFINE_AUTO(struct warm *, warm_free)

/* Takes it out of the list. */
static void unlist(struct warm *w)
{
    struct agent *a = w->program.agent;
    struct warm **at = &a->warms.first;
    while (*at && *at != w)
        at = &(*at)->next;
    if (!*at)
        return;
    *at = w->next;
    a->warms.n--;
}

void warms_done(struct agent *a)
{
    while (a->warms.first) {
        struct warm *w = a->warms.first;
        program_kill(&w->program);
        unlist(w);
        warm_free(w);
    }
}

/* --- answers --- */

static void answer(struct warm *w)
{
    auto_buf struct buf json = {0};
    struct call *c = TAKE_PTR(w->call);
    if (!c)
        return;
    c->data = NULL;
    exec_started_encode(w->program.pid, &json);
    if (json.failed)
        agent_server_abort(c->stream);
    else
        call_reply(c, 200, json.data, json.len);
}

/* It is of no use any more: when it has been reaped, whoever waits for it is told why. */
static void put_down(struct warm *w, const char *why)
{
    if (w->state == WARM_ENDING)
        return;
    w->state = WARM_ENDING;
    snprintf(w->why, sizeof(w->why), "%s", why);
    program_kill(&w->program);
}

void warms_dismiss(struct agent *a)
{
    for (struct warm *w = a->warms.first; w; w = w->next)
        put_down(w, "nobody wants it");
}

/* --- what it says --- */

/* Reads once what is there; 0: nothing, or the end. */
static size_t read_some(struct warm_pipe *p, uint8_t *buf, size_t size)
{
    ssize_t n;
    do
        n = p->watch.fd < 0 ? 0 : read(p->watch.fd, buf, size);
    while (n < 0 && errno == EINTR);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        pipe_close(p);
    return n > 0 ? (size_t)n : 0;
}

/* The last bytes of what there was and of what came. */
static void keep_tail(struct warm *w, const uint8_t *data, size_t len)
{
    size_t have = strlen(w->tail), keep = len < TAIL_BYTES ? len : TAIL_BYTES;
    size_t drop = have + keep > TAIL_BYTES ? have + keep - TAIL_BYTES : 0;
    memmove(w->tail, w->tail + drop, have - drop);
    have -= drop;
    for (size_t i = len - keep; i < len; i++)
        w->tail[have++] = data[i] ? (char)data[i] : ' ';
    w->tail[have] = '\0';
}

/* Reads once and throws away; false when there is nothing. */
static bool discard(struct warm_pipe *p)
{
    static uint8_t in[READ_BYTES]; /* one thread, and never used across calls */
    struct warm *w = p->warm;
    size_t n = read_some(p, in, sizeof(in));
    if (n && p == &w->out[1])
        keep_tail(w, in, n);
    w->written += n;
    return n > 0;
}

/* Level-triggered: one that floods gets one turn as everybody else does. */
static void on_output(struct loop_watch *watch, uint32_t events)
{
    struct warm_pipe *p = (struct warm_pipe *)watch;
    if (discard(p) && p->warm->written > AGENT_WARM_OUTPUT_MAX_BYTES)
        put_down(p->warm, "it writes without end");
}

/* What is in the pipes, which hold no more than this. */
static void discard_rest(struct warm *w)
{
    for (int i = 0; i < 2; i++)
        for (size_t left = 64 * KIB; left > 0 && discard(&w->out[i]); left -= READ_BYTES)
            ;
}

static void on_ready(struct loop_watch *watch, uint32_t events)
{
    struct warm_pipe *p = (struct warm_pipe *)watch;
    struct warm *w = p->warm;
    uint8_t said[2];
    size_t n = read_some(p, said, sizeof(said));
    if (n == 0)
        return; /* when it has let go of the pipe, its end or the timeout comes */
    if (n != 1 || said[0] != READY || (w->state != WARM_STARTING && w->state != WARM_REHEARSING)) {
        put_down(w, "it does not keep to the protocol");
        return;
    }
    w->state = WARM_WAITING;
    loop_timer_stop(&w->program.agent->loop, &w->timeout);
    program_note_cpu(&w->program);
    answer(w);
}

static void on_timeout(struct loop_timer *t)
{
    put_down(WARM_OF(t, timeout), "it was not ready in time");
}

static void on_program_ended(struct program *p)
{
    struct warm *w = (struct warm *)p;
    struct err e = ERR_INIT;
    program_kill(p); /* what it has started */
    discard_rest(w);
    if (!w->why[0])
        snprintf(w->why, sizeof(w->why), "it ended with code %d", p->exit.code);
    struct call *c = TAKE_PTR(w->call);
    if (c) {
        err_set(&e, ERR_CONFLICT, "waiting program %s: %s%s%s", w->id, w->why,
                w->tail[0] ? ": " : "", w->tail);
        c->data = NULL;
        call_fail(c, 0, &e);
    }
    unlist(w);
    warm_free(w);
}

/* --- the start --- */

static int watch(struct warm *w, struct warm_pipe *p, int fd,
                 void (*ready)(struct loop_watch *w, uint32_t events))
{
    p->watch.fd = fd;
    p->watch.ready = ready;
    return fd < 0 ? 0 : loop_watch(&w->program.agent->loop, &p->watch, EPOLLIN);
}

/* The ends of a pipe. */
struct pair {
    int fd[2];
};

static void pair_done(struct pair *p)
{
    cleanup_close(&p->fd[0]);
    cleanup_close(&p->fd[1]);
}

static int start(struct warm *w, const struct exec_spec *spec, struct err *e)
{
    CLEANUP(pair_done) struct pair jobs = {{-1, -1}};
    CLEANUP(pair_done) struct pair ready = {{-1, -1}};
    if (pipe2(jobs.fd, O_CLOEXEC) < 0 || pipe2(ready.fd, O_CLOEXEC) < 0)
        return err_errno(e, -errno, "make pipes");
    int r = fd_set_nonblock(jobs.fd[1], true);
    r = r < 0 ? r : fd_set_nonblock(ready.fd[0], true);
    if (r < 0)
        return err_errno(e, r, "make pipes");
    struct spawn_result child;
    const int extra[SPAWN_EXTRA] = {jobs.fd[0], ready.fd[1]};
    const struct program_fds fds = {.in = -1, .tty = -1, .extra = extra};
    r = program_start(&w->program, spec, &fds, &child, e);
    if (r < 0)
        return r;
    w->in_fd = child.in_fd;
    r = watch(w, &w->out[0], child.out_fd, on_output);
    int r2 = watch(w, &w->out[1], child.err_fd, on_output);
    int r3 = watch(w, &w->ready, TAKE_FD(ready.fd[0]), on_ready);
    int r4 = exec_input_open(&w->jobs, TAKE_FD(jobs.fd[1]));
    r = r < 0 ? r : r2 < 0 ? r2 : r3 < 0 ? r3 : r4;
    if (r < 0)
        program_kill(&w->program);
    return r < 0 ? err_errno(e, r, "watch the program") : 0;
}

static struct warm *warm_new(struct call *c, const char *id, const struct exec_spec *spec)
{
    struct warm *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->program =
        (struct program){.agent = c->agent, .ended = on_program_ended, .cgroup.fd = -EBADF};
    w->timeout.fire = on_timeout;
    w->in_fd = w->ready.watch.fd = w->out[0].watch.fd = w->out[1].watch.fd = -EBADF;
    w->ready.warm = w->out[0].warm = w->out[1].warm = w;
    w->uid = spec->uid;
    w->gid = spec->gid;
    exec_input_init(&w->jobs, c);
    w->jobs.call = NULL; /* nobody's window waits for it */
    w->jobs.held.max_bytes = AGENT_SPEC_MAX_BYTES;
    snprintf(w->id, sizeof(w->id), "%s", id);
    return w;
}

static int get_id(const struct call *c, char ret[EXEC_JOB_ID_MAX_BYTES + 1], struct err *e)
{
    static const char *const names[] = {"id", NULL};
    int r = call_params_only(c, names, e);
    r = r < 0 ? r : call_param(c, "id", ret, EXEC_JOB_ID_MAX_BYTES + 1, e);
    if (r < 0)
        return r;
    if (r == 0 || !exec_job_id_is_valid(ret))
        return err_field(e, "id", "id must be 1 to %d characters of 0-9a-z", EXEC_JOB_ID_MAX_BYTES);
    return 0;
}

/* What only a program of a client can have. */
static int check(const struct exec_spec *spec, struct err *e)
{
    if (spec->kill_rest)
        return err_field(e, "kill_rest", "this is said by who takes a waiting program over");
    if (spec->job || spec->login || spec->pty_rows || spec->user)
        return err_field(e,
                         spec->job        ? "job"
                         : spec->login    ? "login"
                         : spec->pty_rows ? "pty"
                                          : "user",
                         "a waiting program is no job, and has no terminal, login or user");
    return 0;
}

static int get_start(const struct call *c, char ret_id[EXEC_JOB_ID_MAX_BYTES + 1],
                     struct exec_spec *ret, struct err *e)
{
    int r = get_id(c, ret_id, e);
    r = r < 0 ? r : exec_spec_decode(buf_str(&c->body), c->body.len, ret, e);
    if (r == 0 && ret->warm)
        r = err_field(e, "warm", "this is how one is started");
    return r < 0 ? r : check(ret, e);
}

/* Its arguments may be none, as those of an exec that takes a program over. */
static int get_rehearsal(const struct call *c, struct exec_spec *ret, struct err *e)
{
    static const char *const names[] = {NULL};
    int r = call_params_only(c, names, e);
    r = r < 0 ? r : exec_spec_decode(buf_str(&c->body), c->body.len, ret, e);
    if (r == 0 && !ret->warm)
        r = err_field(e, "warm", "warm must say which program rehearses");
    return r < 0 ? r : check(ret, e);
}

static int start_new(struct call *c, const char *id, const struct exec_spec *spec, struct err *e)
{
    struct agent *a = c->agent;
    if (find(a, id))
        return err_set(e, ERR_CONFLICT, "there is a waiting program %s already", id);
    if (a->warms.n >= AGENT_WARM_MAX)
        return err_set(e, ERR_CONFLICT, "%d programs wait already", AGENT_WARM_MAX);
    CLEANUP(warm_freep) struct warm *w = warm_new(c, id, spec);
    if (!w)
        return err_errno(e, -ENOMEM, "waiting program");
    int r = start(w, spec, e);
    if (r < 0)
        return r;
    /* Not the program's own timeout: that ends with the hand-over. */
    loop_timer_stop(&a->loop, &w->program.timeout);
    if (spec->timeout_ms)
        loop_timer_start(&a->loop, &w->timeout, spec->timeout_ms);
    w->call = c;
    c->data = w;
    w->next = a->warms.first;
    a->warms.first = TAKE_PTR(w);
    a->warms.n++;
    return 0;
}

void warm_start(struct call *c)
{
    char id[EXEC_JOB_ID_MAX_BYTES + 1];
    struct err e = ERR_INIT;
    CLEANUP(exec_spec_done) struct exec_spec spec = {0};
    int r = get_start(c, id, &spec, &e);
    r = r < 0 ? r : start_new(c, id, &spec, &e);
    if (r < 0)
        call_fail(c, 0, &e);
}

/* Who is gone needs none that is not ready yet; one that rehearses comes to its end by itself. */
void warm_closed(struct call *c)
{
    struct warm *w = c->data;
    if (!w)
        return;
    w->call = NULL;
    c->data = NULL;
    if (w->state == WARM_STARTING)
        put_down(w, "nobody wants it");
}

/* --- what it is told --- */

static size_t count(char *const *v)
{
    size_t n = 0;
    while (v && v[n])
        n++;
    return n;
}

static void append_field(struct buf *b, const char *text)
{
    buf_append(b, text, strlen(text) + 1);
}

static void append_list(struct buf *b, char *const *v)
{
    char n[24];
    snprintf(n, sizeof(n), "%zu", count(v));
    append_field(b, n);
    for (size_t i = 0; v && v[i]; i++)
        append_field(b, v[i]);
}

static int tell(struct exec_input *to, const char *verb, const struct exec_spec *spec,
                struct err *e)
{
    auto_buf struct buf body = {0};
    auto_buf struct buf job = {0};
    append_field(&body, verb);
    append_field(&body, spec->cwd);
    append_list(&body, spec->argv);
    append_list(&body, spec->env);
    buf_printf(&job, "%zu\n", body.len);
    buf_append(&job, body.data, body.len);
    if (body.failed || job.failed || exec_input_take(to, (uint8_t *)job.data, job.len) < 0)
        return err_errno(e, -ENOMEM, "waiting program");
    return to->watch.fd < 0 ? err_set(e, ERR_CONFLICT, "waiting program %s is gone", spec->warm)
                            : 0;
}

/* Also when it was not reaped yet. */
static bool has_ended(const struct warm *w)
{
    siginfo_t si = {0};
    return waitid(P_PID, (id_t)w->program.pid, &si, WEXITED | WNOHANG | WNOWAIT) == 0 && si.si_pid;
}

static int find_waiting(struct agent *a, const char *id, struct warm **ret, struct err *e)
{
    struct warm *w = find(a, id);
    if (!w || w->state == WARM_ENDING || (w->state == WARM_WAITING && has_ended(w)))
        return err_set(e, ERR_CONFLICT, "no program %s waits", id);
    if (w->state != WARM_WAITING)
        return err_set(e, ERR_CONFLICT, "the waiting program %s is not ready", id);
    *ret = w;
    return 0;
}

void warm_rehearse(struct call *c)
{
    struct err e = ERR_INIT;
    struct warm *w;
    CLEANUP(exec_spec_done) struct exec_spec spec = {0};
    int r = get_rehearsal(c, &spec, &e);
    r = r < 0 ? r : find_waiting(c->agent, spec.warm, &w, &e);
    if (r == 0) {
        w->written = 0;
        w->tail[0] = '\0';
        r = tell(&w->jobs, "rehearse", &spec, &e);
    }
    if (r < 0) {
        call_fail(c, 0, &e);
        return;
    }
    w->state = WARM_REHEARSING;
    w->call = c;
    c->data = w;
    if (spec.timeout_ms)
        loop_timer_start(&c->agent->loop, &w->timeout, spec.timeout_ms);
}

/* --- the hand-over --- */

/* The pipe goes on as the exec's. */
static int move_jobs(struct warm *w, struct exec_input *to)
{
    loop_unwatch(&w->program.agent->loop, &w->jobs.watch);
    to->held.max_bytes = w->jobs.held.max_bytes;
    to->call = NULL;
    return exec_input_open(to, TAKE_FD(w->jobs.watch.fd));
}

static int take_pipe(struct warm_pipe *p)
{
    loop_unwatch(&p->warm->program.agent->loop, &p->watch);
    return TAKE_FD(p->watch.fd);
}

int warm_take(struct agent *a, const struct exec_spec *spec, struct program *to,
              struct exec_input *job, struct spawn_result *ret, struct err *e)
{
    struct warm *w;
    int r = find_waiting(a, spec->warm, &w, e);
    if (r < 0)
        return r;
    if (spec->uid != w->uid || spec->gid != w->gid)
        return err_set(e, ERR_CONFLICT, "the waiting program %s is another user's", spec->warm);
    if (w->jobs.watch.fd < 0)
        return err_set(e, ERR_CONFLICT, "waiting program %s is gone", spec->warm);
    discard_rest(w);
    r = move_jobs(w, job);
    r = r < 0 ? err_errno(e, r, "watch the program") : program_limit(&w->program, &spec->limits, e);
    r = r < 0 ? r : tell(job, "run", spec, e);
    if (r < 0) {
        put_down(w, "it could not be handed over");
        exec_input_close(job);
        return r;
    }
    exec_input_end(job);
    *ret = (struct spawn_result){
        .pid = w->program.pid,
        .in_fd = TAKE_FD(w->in_fd),
        .out_fd = take_pipe(&w->out[0]),
        .err_fd = take_pipe(&w->out[1]),
    };
    unlist(w);
    program_hand_over(&w->program, to, spec->timeout_ms);
    to->kill_rest = spec->kill_rest;
    warm_free(w);
    return 0;
}
