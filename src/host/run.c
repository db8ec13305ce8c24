/* SPDX-License-Identifier: Apache-2.0 */

/* host_run: a VM from the pool, the program in it, the VM thrown away. */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "host/host_priv.h"
#include "host/program.h"
#include "host/remote.h"

/* A pooled VM may have died while it waited; a fresh one is started if the program cannot
 * have begun. */
#define ATTEMPTS_MAX 2

void run_result_done(struct run_result *r)
{
    buf_done(&r->out);
    buf_done(&r->err);
}

static void run_end(struct host *h)
{
    {
        AUTO_LOCK(&h->lock);
        h->runs--;
        pthread_cond_broadcast(&h->run_ended);
    }
    pool_wake(h->pool);
}

static int stopping(struct err *e)
{
    int r = err_set(e, ERR_FULL, "holmd is shutting down; try again when it is back");
    e->retry_after_s = 5;
    return r;
}

static int run_begin(struct host *h, struct err *e)
{
    h->runs++;
    if (!h->draining)
        return 0;
    run_end(h);
    return stopping(e);
}

/* The caller's wish to cancel, and the daemon's. */
struct cancel {
    struct host *host;
    const struct run_request *rq;
};

static bool is_cancelled(void *arg)
{
    const struct cancel *c = arg;
    return c->host->aborting || (c->rq->cancelled && c->rq->cancelled(c->rq->arg));
}

/* What a VM is taken for: one program, or one with several inputs. */
struct job {
    const struct language *lang;
    const struct run_request *rq;
    struct program_batch batch; /* n is 0 when it is none: then the result is results[0] */
    struct exec_limits limits;
};

static size_t result_count(const struct job *j)
{
    return j->batch.n ? j->batch.n : 1;
}

static void results_done(const struct job *j)
{
    for (size_t i = 0; i < result_count(j); i++)
        run_result_done(&j->batch.results[i]);
}

static int run_in(struct vm *vm, const struct job *j, struct program_wait *wait, struct err *e)
{
    if (j->batch.n)
        return program_run_batch(vm, j->rq, &j->batch, wait, e);
    return program_run(vm, j->rq, wait, &j->batch.results[0], e);
}

/* One VM, one job. *again, when it comes back: the VM was dead before the program could begin, or
 * its template was damaged; when it goes in: that has happened, and this one shall not come from
 * the pool. */
static int attempt(struct host *h, const struct job *j, bool *again, struct err *e)
{
    struct run_result *first = &j->batch.results[0];
    struct cancel cancel = {.host = h, .rq = j->rq};
    struct program_wait wait = {.cancelled = is_cancelled, .arg = &cancel, .limits = j->limits};
    struct pool_request take = {
        .lang = j->lang,
        .never_pooled = *again,
        .cancelled = is_cancelled,
        .arg = &cancel,
    };
    struct vm *vm = NULL;
    int r = pool_take(h->pool, &take, &vm, e);
    *again = r == -EINPROGRESS;
    if (r < 0)
        return r == -ECANCELED && h->aborting ? stopping(e) : r;
    first->from_pool = take.from_pool;
    r = vm_mark_used(h, vm, e);
    first->load_us = clock_mono_us() - first->load_us;
    if (r == 0)
        r = run_in(vm, j, &wait, e);
    if (r < 0 && e->class == ERR_UNAVAILABLE && r != -ECANCELED) {
        *again = !wait.started && r != -ETIMEDOUT;
        log_warn("run", "vm=%s language=%s started=%d failed: %s", vm->record.id, j->lang->name,
                 wait.started, e->text);
    }
    reaper_add(h->reaper, vm);
    return r == -ECANCELED && h->aborting ? stopping(e) : r;
}

/* An image that is not here may be in an object store, and the first run of a language has its
 * template made. */
static int await_language(struct host *h, const struct job *j, struct err *e)
{
    struct cancel cancel = {.host = h, .rq = j->rq};
    const struct remote_task task = {.cancelled = is_cancelled, .arg = &cancel};
    struct image_wait wait = {.cancelled = is_cancelled, .arg = &cancel};
    int r = 0;
    h->runs_unprepared++;
    if (image_state(h->images, j->lang, NULL) == LANGUAGE_MISSING)
        r = remote_want(h, j->lang->image, &task, e);
    wait.deadline_ms = clock_mono_ms() + h->config->pool_prepare_wait_s * 1000LL;
    if (r == 0 || r == -ENOENT)
        r = image_await(h->images, j->lang, &wait, e);
    h->runs_unprepared--;
    return r == -ECANCELED && h->aborting ? stopping(e) : r;
}

static void count_one(struct metrics *m, const struct run_result *ret)
{
    ret->timed_out ? m->runs_timed_out++ : m->runs_ok++;
    histogram_add(&m->exec, ret->exec_us);
}

static void count(struct host *h, const struct job *j, int r, const struct err *e)
{
    struct metrics *m = &h->metrics;
    if (r == -ECANCELED) {
        m->runs_cancelled++;
    } else if (r < 0) {
        e->class == ERR_FULL ? m->runs_refused++ : m->runs_failed++;
    } else {
        const struct run_result *first = &j->batch.results[0];
        first->from_pool ? m->pool_hits++ : m->pool_misses++;
        m->runs_warm += first->warm;
        histogram_add(&m->load, first->load_us);
        for (size_t i = 0; i < result_count(j); i++)
            count_one(m, &j->batch.results[i]);
    }
}

static int run_attempts(struct host *h, const struct job *j, struct err *e)
{
    int64_t t0 = clock_mono_us();
    bool again = false;
    for (int i = 1;; i++) {
        int r = await_language(h, j, e);
        if (r < 0)
            return r;
        for (size_t k = 0; k < result_count(j); k++)
            j->batch.results[k] = (struct run_result){.load_us = t0};
        r = attempt(h, j, &again, e);
        if (r < 0)
            results_done(j);
        if (r == 0 || !again || i == ATTEMPTS_MAX)
            return r;
    }
}

static int run_job(struct host *h, struct job *j, struct err *e)
{
    int r = program_check(j->rq, &j->lang, e);
    if (r == 0 && j->batch.n)
        r = program_check_batch(j->rq, j->batch.inputs, j->batch.n, e);
    if (r == 0)
        r = program_limits(h->config, j->rq, &j->limits, e);
    if (r == 0)
        r = run_begin(h, e);
    if (r < 0)
        return r;
    r = run_attempts(h, j, e);
    count(h, j, r, e);
    run_end(h);
    return r;
}

int host_run(struct host *h, const struct run_request *rq, struct run_result *ret, struct err *e)
{
    struct err own = ERR_INIT;
    struct job j = {.rq = rq, .batch.results = ret};
    return run_job(h, &j, e ? e : &own);
}

int host_run_batch(struct host *h, const struct run_request *rq, const struct run_input *inputs,
                   size_t n, struct run_result *results, struct err *e)
{
    struct err own = ERR_INIT;
    struct job j = {.rq = rq, .batch = {.inputs = inputs, .n = n, .results = results}};
    if (!n)
        return err_field(e, "stdin", "stdin must not be an empty list");
    return run_job(h, &j, e ? e : &own);
}
