/* SPDX-License-Identifier: Apache-2.0 */

/* The stub host's guests: what runs in a VM. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/stub_host.h"
#include "api/stub_vms.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "host/vms_guest.h"

/* ---- commands ---- */

struct run {
    const struct vm_exec *x;
    struct exec_exit *exit;
    int r; /* of the output so far */
};

static void print(struct run *run, int stream, const char *data, size_t len)
{
    if (run->r == 0 && run->x->output)
        run->r = run->x->output(run->x->arg, stream, data, len);
}

static void print_text(struct run *run, int stream, const char *text)
{
    print(run, stream, text, strlen(text));
}

static void run_echo(struct run *run, int stream)
{
    for (size_t i = 1; i < run->x->n_argv; i++) {
        print_text(run, stream, run->x->argv[i]);
        print_text(run, stream, i + 1 < run->x->n_argv ? " " : "\n");
    }
}

static void run_show(struct run *run)
{
    auto_buf struct buf b = {0};
    char *env = json_dumps(run->x->env, JSON_SORT_KEYS);
    buf_printf(&b, "cwd=%s user=%s env=%s timeout=%lld stdin=", run->x->cwd ? run->x->cwd : "-",
               run->x->user ? run->x->user : "-", env ? env : "-", (long long)run->x->timeout_ms);
    buf_append(&b, run->x->stdin_data, run->x->stdin_len);
    print(run, 1, b.data, b.len);
    free(env);
}

static void run_flood(struct run *run)
{
    static const size_t piece = 64 * KIB;
    auto_free char *data = malloc(piece);
    memset(data, 'x', piece);
    for (size_t i = 0; i < 5 * MIB / piece; i++)
        print(run, 1, data, piece);
    print_text(run, 2, "that was 5 MiB");
}

/* A host asks about ten times a second; so does this one, faster. */
static int run_block(struct run *run, struct err *e)
{
    const struct timespec once_a_while = {.tv_nsec = 1000000};
    sem_post(&stub_started);
    while (!run->x->cancelled || !run->x->cancelled(run->x->arg))
        nanosleep(&once_a_while, NULL);
    sem_post(&stub_cancelled);
    return err_set(e, ERR_UNAVAILABLE, "cancelled");
}

static void end_with(struct run *run, int code, int signal, bool timed_out)
{
    run->exit->code = code;
    run->exit->signal = signal;
    run->exit->timed_out = timed_out;
}

static int run_command(struct run *run, struct err *e)
{
    const char *what = run->x->argv[0];
    if (strcmp(what, "block") == 0)
        return run_block(run, e);
    if (strcmp(what, "none") == 0)
        return err_set(e, ERR_NOT_FOUND, "there is no program \"none\"");
    if (strcmp(what, "half") == 0) {
        print_text(run, 1, "half");
        return err_set(e, ERR_UNAVAILABLE, "the guest is gone");
    }
    if (strcmp(what, "echo") == 0)
        run_echo(run, 1);
    else if (strcmp(what, "err") == 0)
        run_echo(run, 2);
    else if (strcmp(what, "show") == 0)
        run_show(run);
    else if (strcmp(what, "flood") == 0)
        run_flood(run);
    else if (strcmp(what, "bytes") == 0)
        print(run, 1, "a\xff\xc3\xa9\0z", 6);
    else if (strcmp(what, "kill") == 0)
        end_with(run, 128 + 9, 9, false);
    else if (strcmp(what, "timeout") == 0)
        end_with(run, 128 + 9, 9, true);
    else
        end_with(run, run->x->n_argv > 1 ? atoi(run->x->argv[1]) : 127, 0, false);
    return run->r < 0 ? err_set(e, ERR_UNAVAILABLE, "nobody reads") : 0;
}

/* "bash -lc -- 'WORD...'" is as the words themselves; "nobash" is of a guest that has no bash, and
 * below "/missing" is nothing. Deno shows how it was called. */
static int run_shell(struct run *run, struct err *e)
{
    const struct vm_exec *x = run->x;
    bool is_piped = x->n_argv == 4 && strncmp(x->argv[3], "eval", 4) == 0;
    auto_free char *text =
        is_piped ? strndup(x->stdin_data, x->stdin_len) : strdup(x->n_argv == 4 ? x->argv[3] : "");
    const char *words[32] = {""};
    struct vm_exec inner = *x;
    if (x->cwd && strncmp(x->cwd, "/missing", 8) == 0)
        return err_set(e, ERR_INVALID, "cwd \"%s\": No such file or directory", x->cwd);
    if (strcmp(x->argv[0], "bash") == 0 && strncmp(text, "nobash", 6) == 0)
        return err_set(e, ERR_INVALID, "argv[0] \"bash\": not found");
    if (strcmp(x->argv[0], "deno") == 0 && x->stdin_len >= 6 &&
        memcmp(x->stdin_data, "nodeno", 6) == 0)
        return err_set(e, ERR_INVALID, "argv[0] \"deno\": not found");
    inner.n_argv = 0;
    for (char *save, *w = strtok_r(text, " ", &save); w && inner.n_argv < ARRAY_SIZE(words);
         w = strtok_r(NULL, " ", &save))
        words[inner.n_argv++] = w;
    inner.argv = words;
    if (strcmp(x->argv[0], "deno") == 0) {
        run_echo(run, 1);
        words[inner.n_argv++] = "show";
    }
    run->x = &inner;
    int r = run_command(run, e);
    run->x = x;
    return r;
}

static bool is_shell(const char *word)
{
    return strcmp(word, "bash") == 0 || strcmp(word, "sh") == 0 || strcmp(word, "deno") == 0;
}

int host_vm_exec(struct host *h, const char *account, const char *id, const struct vm_exec *x,
                 struct exec_exit *ret, struct err *e)
{
    int r = stub_running(account, id, e);
    if (r < 0)
        return r;
    *ret = (struct exec_exit){.wall_us = 45400};
    struct run run = {.x = x, .exit = ret};
    return is_shell(x->argv[0]) ? run_shell(&run, e) : run_command(&run, e);
}

/* ---- jobs: two of every VM, one that runs and one that has ended ---- */

#define RUNNING_JOB "runningrunningrunnin"
#define ENDED_JOB "endedendedendedended"

static int signalled; /* the last signal to the one that runs */

int host_vm_job_start(struct host *h, const char *account, const char *id, const struct vm_exec *x,
                      char ret_job[ID_SIZE], struct err *e)
{
    int r = stub_running(account, id, e);
    if (r == 0 && strcmp(x->argv[0], "none") == 0)
        r = err_set(e, ERR_NOT_FOUND, "there is no program \"none\"");
    if (r == 0)
        strcpy(ret_job, RUNNING_JOB);
    return r;
}

void guest_jobs_done(struct guest_jobs *j)
{
    for (size_t i = 0; i < j->n; i++)
        json_decref(j->items[i].argv);
    free(j->items);
    *j = (struct guest_jobs){0};
}

static int check_job(const char *job, struct err *e)
{
    if (strcmp(job, RUNNING_JOB) == 0 || strcmp(job, ENDED_JOB) == 0)
        return 0;
    return err_set(e, ERR_NOT_FOUND, "there is no such job");
}

static void add_job(struct guest_jobs *l, const char *id)
{
    struct guest_job *j = &l->items[l->n++];
    *j = (struct guest_job){.running = strcmp(id, RUNNING_JOB) == 0,
                            .argv = json_pack("[s, i]", "sleep", signalled),
                            .exit = {.code = 3},
                            .started_ms = 1700000000123,
                            .wall_ms = 42,
                            .output_bytes = 10,
                            .first_offset = 4};
    json_array_set_new(j->argv, 1, json_sprintf("%d", signalled));
    strcpy(j->id, id);
}

int host_vm_jobs(struct host *h, const char *account, const char *id, const char *job,
                 struct guest_jobs *ret, struct err *e)
{
    int r = stub_running(account, id, e);
    if (r == 0 && job)
        r = check_job(job, e);
    if (r < 0)
        return r;
    ret->items = calloc(2, sizeof(*ret->items));
    if (!job || strcmp(job, RUNNING_JOB) == 0)
        add_job(ret, RUNNING_JOB);
    if (!job || strcmp(job, ENDED_JOB) == 0)
        add_job(ret, ENDED_JOB);
    return 0;
}

/* Ten bytes, of which the first four are no longer there; two streams. */
int host_vm_job_output(struct host *h, const char *account, const char *id, const char *job,
                       struct guest_job_output *o, struct err *e)
{
    int r = stub_running(account, id, e);
    if (r == 0)
        r = check_job(job, e);
    if (r < 0)
        return r;
    if (o->offset < 7)
        r = o->output(o->arg, 1, 4, "abc", 3);
    if (r == 0 && o->offset < 10)
        r = o->output(o->arg, 2, 7, "def", 3);
    if (r < 0)
        return err_set(e, ERR_UNAVAILABLE, "nobody reads");
    o->ended = strcmp(job, ENDED_JOB) == 0;
    o->exit = (struct exec_exit){.code = 3, .wall_us = 42000};
    if (o->ended || !o->follow)
        return 0;
    struct vm_exec x = {.cancelled = o->cancelled, .arg = o->arg};
    struct run run = {.x = &x};
    return run_block(&run, e);
}

int host_vm_job_signal(struct host *h, const char *account, const char *id, const char *job,
                       int signal, struct err *e)
{
    int r = stub_running(account, id, e);
    if (r == 0)
        r = check_job(job, e);
    if (r == 0)
        signalled = signal;
    return r;
}

int host_vm_job_forget(struct host *h, const char *account, const char *id, const char *job,
                       struct err *e)
{
    int r = stub_running(account, id, e);
    if (r == 0)
        r = check_job(job, e);
    if (r == 0 && strcmp(job, RUNNING_JOB) == 0)
        return err_set(e, ERR_CONFLICT, "the command runs");
    return r;
}

void stub_jobs_reset(void)
{
    signalled = 0;
}
