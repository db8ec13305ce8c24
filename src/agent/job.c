/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/job_priv.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "wire/guest_job.h"

/* How long outputs may stay open after the program's end. */
#define GRACE_MS 100
#define READ_BYTES (64 * KIB)

struct job *job_find(struct agent *a, const char *id)
{
    struct job *j = a->jobs.first;
    while (j && strcmp(j->id, id) != 0)
        j = j->next;
    return j;
}

static void pipe_close(struct job_pipe *p)
{
    if (p->watch.fd < 0)
        return;
    loop_unwatch(&p->job->program.agent->loop, &p->watch);
    close(p->watch.fd);
    p->watch.fd = -EBADF;
}

static void job_free(struct job *j)
{
    if (!j)
        return;
    job_readers_drop(j);
    loop_timer_stop(&j->program.agent->loop, &j->grace);
    pipe_close(&j->pipes[0]);
    pipe_close(&j->pipes[1]);
    program_done(&j->program);
    spool_done(&j->spool);
    json_decref(j->argv);
    free(j);
}
DEFINE_AUTO(struct job *, job_free)

void job_drop(struct agent *a, struct job *j)
{
    struct job **at = &a->jobs.first;
    while (*at != j)
        at = &(*at)->next;
    *at = j->next;
    a->jobs.n--;
    job_free(j);
}

void jobs_done(struct agent *a)
{
    while (a->jobs.first) {
        program_kill(&a->jobs.first->program);
        job_drop(a, a->jobs.first);
    }
}

/* --- output --- */

static void try_end(struct job *j)
{
    if (j->ended || !j->program.reaped || j->pipes[0].watch.fd >= 0 || j->pipes[1].watch.fd >= 0)
        return;
    j->ended = true;
    j->program.exit.stdout_bytes = j->pipes[0].bytes;
    j->program.exit.stderr_bytes = j->pipes[1].bytes;
    loop_timer_stop(&j->program.agent->loop, &j->grace);
    /* The number is free for others now. */
    program_done(&j->program);
    job_readers_wake(j);
}

/* Reads once, at most `max` bytes. False: there is nothing, or it was the end. */
static bool pipe_read(struct job_pipe *p, size_t max)
{
    static uint8_t in[READ_BYTES]; /* one thread, and never used across calls */
    struct job *j = p->job;
    ssize_t n;
    do
        n = read(p->watch.fd, in, max < sizeof(in) ? max : sizeof(in));
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n <= 0) {
        pipe_close(p);
        return false;
    }
    spool_append(&j->spool, p->type, in, (size_t)n);
    p->bytes += n;
    return true;
}

/* Level-triggered: a program that floods gets one turn as everybody else does. */
static void on_output(struct loop_watch *w, uint32_t events)
{
    struct job_pipe *p = (struct job_pipe *)w;
    if (pipe_read(p, READ_BYTES))
        job_readers_wake(p->job);
    else
        try_end(p->job);
}

/* The program has ended but something still holds its outputs. */
static void on_grace(struct loop_timer *t)
{
    struct job *j = (struct job *)((char *)t - offsetof(struct job, grace));
    program_kill(&j->program);
    for (int i = 0; i < 2; i++) {
        int left = 0;
        if (j->pipes[i].watch.fd < 0 || ioctl(j->pipes[i].watch.fd, FIONREAD, &left) < 0)
            left = 0;
        while (left > 0 && pipe_read(&j->pipes[i], (size_t)left))
            left -= left < (int)READ_BYTES ? left : (int)READ_BYTES;
        pipe_close(&j->pipes[i]);
    }
    job_readers_wake(j);
    try_end(j);
}

static void on_program_ended(struct program *p)
{
    struct job *j = (struct job *)p;
    loop_timer_start(&p->agent->loop, &j->grace, GRACE_MS);
    try_end(j);
}

/* --- start --- */

int job_input_open(struct agent *a, int *ret_fd, struct err *e)
{
    int fd = spool_file_open(a->options.jobs_dir);
    if (fd < 0)
        return err_errno(e, fd, "keep the job's input");
    *ret_fd = fd;
    return 0;
}

int job_input_take(int fd, const void *data, size_t len, struct err *e)
{
    if (fd < 0)
        return 0;
    off_t size = lseek(fd, 0, SEEK_CUR);
    if (size < 0 || len > AGENT_JOB_INPUT_MAX_BYTES - (size_t)size)
        return err_set(e, ERR_TOO_LARGE, "the job's input is larger than %llu bytes",
                       AGENT_JOB_INPUT_MAX_BYTES);
    int r = fd_write_all(fd, data, len);
    return r < 0 ? err_errno(e, r, "keep the job's input") : 0;
}

static int make_room(struct agent *a, const char *id, struct err *e)
{
    if (job_find(a, id))
        return err_set(e, ERR_CONFLICT, "there is a job %s already", id);
    if (a->jobs.n < AGENT_JOBS_MAX)
        return 0;
    struct job *j = a->jobs.first;
    while (j && !j->ended)
        j = j->next;
    if (!j)
        return err_set(e, ERR_CONFLICT, "%d jobs run already", AGENT_JOBS_MAX);
    job_drop(a, j);
    return 0;
}

static int watch_output(struct job *j, const struct spawn_result *child, struct err *e)
{
    const int fds[2] = {child->out_fd, child->err_fd};
    int r = 0;
    for (int i = 0; i < 2; i++)
        j->pipes[i].watch.fd = fds[i];
    for (int i = 0; i < 2 && r == 0; i++) {
        j->pipes[i].watch.ready = on_output;
        r = loop_watch(&j->program.agent->loop, &j->pipes[i].watch, EPOLLIN);
    }
    return r < 0 ? err_errno(e, r, "watch the program") : 0;
}

static struct job *job_new(struct agent *a, const struct exec_spec *spec)
{
    CLEANUP(job_freep) struct job *j = calloc(1, sizeof(*j));
    if (!j)
        return NULL;
    j->program = (struct program){.agent = a, .ended = on_program_ended, .cgroup.fd = -EBADF};
    j->grace.fire = on_grace;
    for (int i = 0; i < 2; i++)
        j->pipes[i] = (struct job_pipe){.watch.fd = -EBADF, .job = j, .type = FRAME_STDOUT};
    j->pipes[1].type = FRAME_STDERR;
    snprintf(j->id, sizeof(j->id), "%s", spec->job);
    j->started_ms = clock_real_ns() / 1000000;
    j->argv = guest_job_argv(spec->argv);
    return j->argv ? TAKE_PTR(j) : NULL;
}

static int append_started(const struct job *j, struct buf *ret)
{
    auto_buf struct buf json = {0};
    uint8_t head[FRAME_HEADER_BYTES];
    exec_started_encode(j->pid, &json);
    frame_header(head, FRAME_STARTED, json.len);
    buf_append(ret, head, sizeof(head));
    buf_append(ret, json.data, json.len);
    return json.failed || ret->failed ? -ENOMEM : 0;
}

int job_start(struct agent *a, const struct exec_spec *spec, int *in_fd, struct buf *ret,
              struct err *e)
{
    struct spawn_result child;
    int r = make_room(a, spec->job, e);
    if (r < 0)
        return r;
    CLEANUP(job_freep) struct job *j = job_new(a, spec);
    if (!j)
        return err_errno(e, -ENOMEM, "job");
    r = spool_init(&j->spool, a->options.jobs_dir);
    if (r < 0)
        return err_errno(e, r, "keep the job's output");
    if (*in_fd >= 0)
        lseek(*in_fd, 0, SEEK_SET);
    const struct program_fds fds = {.in = *in_fd >= 0 ? *in_fd : a->null_fd, .tty = -1};
    r = program_start(&j->program, spec, &fds, &child, e);
    if (r < 0)
        return r;
    j->pid = child.pid;
    r = watch_output(j, &child, e);
    if (r == 0 && append_started(j, ret) < 0)
        r = err_errno(e, -ENOMEM, "job");
    if (r < 0) {
        program_kill(&j->program);
        return r;
    }
    struct job **at = &a->jobs.first;
    while (*at)
        at = &(*at)->next;
    *at = TAKE_PTR(j);
    a->jobs.n++;
    return 0;
}
