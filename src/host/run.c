/* SPDX-License-Identifier: Apache-2.0 */

/* host_run: a VM from the pool, the program in it, the VM thrown away. */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "host/host_priv.h"
#include "host/program.h"

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

/* One VM, one program. *again, when it comes back: the VM was dead before the program could begin;
 * when it goes in: that has happened, and this one shall not come from the pool. */
static int attempt(struct host *h, const struct language *lang, const struct run_request *rq,
                   struct run_result *ret, bool *again, struct err *e)
{
    struct cancel cancel = {.host = h, .rq = rq};
    struct program_wait wait = {.cancelled = is_cancelled, .arg = &cancel};
    struct vm *vm = NULL;
    int r = *again ? pool_restore(h->pool, lang, &vm, e)
                   : pool_take(h->pool, lang, &vm, &ret->from_pool, e);
    *again = false;
    if (r < 0)
        return r == -ECANCELED ? stopping(e) : r;
    r = vm_mark_used(h, vm, e);
    ret->load_us = clock_mono_us() - ret->load_us;
    if (r == 0)
        r = program_run(vm, rq, &wait, ret, e);
    if (r < 0 && e->class == ERR_UNAVAILABLE && r != -ECANCELED) {
        *again = !wait.started && r != -ETIMEDOUT;
        log_warn("run", "vm=%s language=%s started=%d failed: %s", vm->record.id, lang->name,
                 wait.started, e->text);
    }
    reaper_add(h->reaper, vm);
    return r == -ECANCELED && h->aborting ? stopping(e) : r;
}

static void count(struct host *h, const struct run_result *ret, int r, const struct err *e)
{
    struct metrics *m = &h->metrics;
    if (r == -ECANCELED) {
        m->runs_cancelled++;
    } else if (r < 0) {
        e->class == ERR_FULL ? m->runs_refused++ : m->runs_failed++;
    } else {
        ret->timed_out ? m->runs_timed_out++ : m->runs_ok++;
        ret->from_pool ? m->pool_hits++ : m->pool_misses++;
        histogram_add(&m->load, ret->load_us);
        histogram_add(&m->exec, ret->exec_us);
    }
}

static int run_attempts(struct host *h, const struct language *lang, const struct run_request *rq,
                        struct run_result *ret, struct err *e)
{
    int64_t t0 = clock_mono_us();
    bool again = false;
    for (int i = 1;; i++) {
        *ret = (struct run_result){.load_us = t0};
        int r = attempt(h, lang, rq, ret, &again, e);
        if (r < 0)
            run_result_done(ret);
        if (r == 0 || !again || i == ATTEMPTS_MAX)
            return r;
    }
}

int host_run(struct host *h, const struct run_request *rq, struct run_result *ret, struct err *e)
{
    struct err own = ERR_INIT;
    if (!e)
        e = &own;
    const struct language *lang;
    int r = program_check(rq, &lang, e);
    if (r < 0)
        return r;
    r = run_begin(h, e);
    if (r < 0)
        return r;
    r = run_attempts(h, lang, rq, ret, e);
    count(h, ret, r, e);
    run_end(h);
    return r;
}
