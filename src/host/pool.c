/* SPDX-License-Identifier: Apache-2.0 */
#include "host/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/host_priv.h"
#include "host/pool_targets.h"
#include "host/program.h"

/* After a failed fill the language rests, twice as long each time, up to this. */
#define BACKOFF_FIRST_MS 500
#define BACKOFF_MAX_MS 60000

/* The pooled VMs of one language. */
struct shelf {
    const struct language *lang; /* constant */
    int target;                  /* see pool_targets.h */
    int64_t used_ms;             /* its last run; 0: none yet */
    struct vm *first; /* oldest first: the longest wait has had the most time to settle */
    int count;
    int filling;
    int drops; /* how often all were dropped: who fills sees that its VM is not wanted any more */
    int backoff_ms;
    int64_t rest_until_ms;
};

struct pool {
    struct host *host;
    pthread_mutex_t lock; /* guards the shelves */
    pthread_cond_t changed;
    struct shelf shelves[LANGUAGES_MAX];
    int n_shelves;
    atomic_bool stopping;
    int cpus;
    pthread_t *fillers;
    int n_fillers;
};

static struct shelf *shelf_of(struct pool *p, const struct language *lang)
{
    for (int i = 0; i < p->n_shelves; i++) {
        if (p->shelves[i].lang == lang)
            return &p->shelves[i];
    }
    return NULL;
}

static struct vm *pop(struct shelf *s)
{
    struct vm *vm = s->first;
    if (vm) {
        s->first = vm->next;
        vm->next = NULL;
        s->count--;
    }
    return vm;
}

static void push(struct shelf *s, struct vm *vm)
{
    struct vm **end = &s->first;
    while (*end)
        end = &(*end)->next;
    *end = vm;
    s->count++;
}

/* Runs that wait for room count too, so what becomes free is theirs; those that wait for their
 * language to be prepared do not. */
static bool host_is_busy(struct pool *p)
{
    return p->host->runs - p->host->runs_unprepared >= p->cpus || p->host->admission.waiting > 0;
}

/* Who uses what changes, and so do the targets. */
static void set_targets(struct pool *p)
{
    struct pool_want wants[LANGUAGES_MAX];
    int targets[LANGUAGES_MAX];
    for (int i = 0; i < p->n_shelves; i++) {
        const struct shelf *s = &p->shelves[i];
        wants[i] = (struct pool_want){
            .size = config_pool_size(p->host->config, s->lang->name),
            .is_named = config_pool_is_named(p->host->config, s->lang->name),
            .is_default = s->lang->is_default,
            .used_ms = s->used_ms,
        };
    }
    pool_targets(wants, (size_t)p->n_shelves, p->host->config->pool_languages_max, clock_mono_ms(),
                 targets);
    for (int i = 0; i < p->n_shelves; i++)
        p->shelves[i].target = targets[i];
}

/* Gives the VMs of a list to the reaper. */
static void reap_list(struct pool *p, struct vm *list)
{
    while (list) {
        struct vm *vm = list;
        list = vm->next;
        reaper_add(p->host->reaper, vm);
    }
}

/* VMs of languages that are used no more, and those that a former daemon left beyond the target. */
static struct vm *take_surplus(struct pool *p)
{
    struct vm *list = NULL;
    for (int i = 0; i < p->n_shelves; i++) {
        struct shelf *s = &p->shelves[i];
        struct vm *vm;
        while (s->count > s->target && (vm = pop(s))) {
            log_debug("pool", "language=%s vm=%s is one too many", s->lang->name, vm->record.id);
            vm->next = list;
            list = vm;
        }
    }
    return list;
}

/* The lock is held before and after, not meanwhile. */
static void drop_surplus(struct pool *p)
{
    struct vm *list = take_surplus(p);
    if (!list)
        return;
    pthread_mutex_unlock(&p->lock);
    reap_list(p, list);
    pthread_mutex_lock(&p->lock);
}

/* The shelf that most needs a VM, NULL when none does. */
static struct shelf *neediest(struct pool *p)
{
    struct shelf *best = NULL;
    int best_missing = 0;
    int64_t now = clock_mono_ms();
    for (int i = 0; i < p->n_shelves; i++) {
        struct shelf *s = &p->shelves[i];
        int missing = s->target - s->count - s->filling;
        if (missing <= best_missing || now < s->rest_until_ms)
            continue;
        if (image_state(p->host->images, s->lang, NULL) != LANGUAGE_READY)
            continue;
        best = s;
        best_missing = missing;
    }
    return best;
}

/* When the next resting shelf may be tried again, as CLOCK_REALTIME for pthread_cond_timedwait; at
 * most a minute off. */
static struct timespec next_try(struct pool *p)
{
    int64_t now = clock_mono_ms(), wait_ms = BACKOFF_MAX_MS;
    for (int i = 0; i < p->n_shelves; i++) {
        int64_t left = p->shelves[i].rest_until_ms - now;
        if (left > 0 && left < wait_ms)
            wait_ms = left;
    }
    int64_t at = clock_real_ns() + (wait_ms + 1) * 1000000;
    return (struct timespec){.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000};
}

static bool is_stopping(void *arg)
{
    struct pool *p = arg;
    return p->stopping;
}

static int make_warm(struct host *h, const struct language *lang, struct vm **ret, struct err *e)
{
    struct vm *vm = NULL;
    int r = vm_restore(h, lang, NULL, &vm, e);
    if (r < 0)
        return r;
    if (h->config->pool_warm) {
        struct program_wait wait = {.cancelled = is_stopping, .arg = h->pool};
        r = program_exercise(vm, lang, &wait, e);
        if (r < 0) {
            vm_end(h, vm);
            return err_wrap(e, r, "warm up %s", lang->name);
        }
    }
    *ret = vm;
    return 0;
}

static void fill_failed(struct shelf *s, const struct err *e)
{
    if (e->class == ERR_FULL) {
        s->rest_until_ms = clock_mono_ms() + BACKOFF_FIRST_MS;
        log_debug("pool", "language=%s waits: %s", s->lang->name, e->text);
        return;
    }
    s->backoff_ms = s->backoff_ms ? s->backoff_ms * 2 : BACKOFF_FIRST_MS;
    if (s->backoff_ms > BACKOFF_MAX_MS)
        s->backoff_ms = BACKOFF_MAX_MS;
    s->rest_until_ms = clock_mono_ms() + s->backoff_ms;
    log_warn("pool", "language=%s fill failed, next try in %d ms: %s", s->lang->name, s->backoff_ms,
             e->text);
}

/* Fills one place of the shelf; the lock is held before and after, not meanwhile. */
static void fill(struct pool *p, struct shelf *s)
{
    struct err e = ERR_INIT;
    struct vm *vm = NULL;
    int drops = s->drops;
    s->filling++;
    pthread_mutex_unlock(&p->lock);
    int r = make_warm(p->host, s->lang, &vm, &e);
    pthread_mutex_lock(&p->lock);
    s->filling--;
    if (r < 0) {
        if (!p->stopping)
            fill_failed(s, &e);
        return;
    }
    if (drops != s->drops) { /* of a former template */
        pthread_mutex_unlock(&p->lock);
        reaper_add(p->host->reaper, vm);
        pthread_mutex_lock(&p->lock);
        return;
    }
    s->backoff_ms = 0;
    push(s, vm);
    log_debug("pool", "language=%s vm=%s count=%d", s->lang->name, vm->record.id, s->count);
}

static void *filler(void *arg)
{
    struct pool *p = arg;
    proc_set_own_nice(VM_BACKGROUND_NICE);
    AUTO_LOCK(&p->lock);
    while (!p->stopping) {
        set_targets(p);
        drop_surplus(p);
        if (p->stopping)
            break;
        struct shelf *s = host_is_busy(p) ? NULL : neediest(p);
        if (s) {
            fill(p, s);
            continue;
        }
        struct timespec until = next_try(p);
        pthread_cond_timedwait(&p->changed, &p->lock, &until);
    }
    return NULL;
}

static void add_shelves(struct pool *p)
{
    const struct language *lang;
    for (size_t i = 0; (lang = host_language(i)) && p->n_shelves < LANGUAGES_MAX; i++) {
        p->shelves[p->n_shelves++] = (struct shelf){.lang = lang};
    }
}

int pool_new(struct host *h, struct pool **ret, struct err *e)
{
    struct pool *p = calloc(1, sizeof(*p));
    if (!p)
        return err_errno(e, -ENOMEM, "pool");
    p->host = h;
    p->cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    add_shelves(p);
    *ret = p;
    return 0;
}

int pool_start(struct pool *p, struct err *e)
{
    int want = p->host->config->fillers ? p->host->config->fillers : p->cpus;
    p->fillers = calloc((size_t)want, sizeof(*p->fillers));
    if (!p->fillers)
        return err_errno(e, -ENOMEM, "pool");
    for (; p->n_fillers < want; p->n_fillers++) {
        if (pthread_create(&p->fillers[p->n_fillers], NULL, filler, p) != 0)
            return err_set(e, ERR_INTERNAL, "pool: cannot start %d threads", want);
    }
    return 0;
}

void pool_stop(struct pool *p)
{
    {
        AUTO_LOCK(&p->lock);
        p->stopping = true;
        pthread_cond_broadcast(&p->changed);
    }
    for (int i = 0; i < p->n_fillers; i++)
        pthread_join(p->fillers[i], NULL);
    p->n_fillers = 0;
    for (int i = 0; i < p->n_shelves; i++) {
        struct vm *vm;
        while ((vm = pop(&p->shelves[i])))
            reaper_add(p->host->reaper, vm);
    }
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p->fillers);
    free(p);
}

void pool_wake(struct pool *p)
{
    AUTO_LOCK(&p->lock);
    pthread_cond_broadcast(&p->changed);
}

int pool_count(struct pool *p, const struct language *lang)
{
    AUTO_LOCK(&p->lock);
    int n = 0;
    for (int i = 0; i < p->n_shelves; i++) {
        if (!lang || p->shelves[i].lang == lang)
            n += p->shelves[i].count;
    }
    return n;
}

void pool_adopt(struct pool *p, struct vm *vm)
{
    AUTO_LOCK(&p->lock);
    push(shelf_of(p, vm->lang), vm);
}

/* The idle VM that is missed least: one of the fullest shelf, but not of `lang`. */
static struct vm *evict(struct pool *p, const struct language *lang)
{
    AUTO_LOCK(&p->lock);
    struct shelf *fullest = NULL;
    for (int i = 0; i < p->n_shelves; i++) {
        struct shelf *s = &p->shelves[i];
        if (s->lang != lang && s->count && (!fullest || s->count > fullest->count))
            fullest = s;
    }
    return fullest ? pop(fullest) : NULL;
}

bool pool_give_way(struct pool *p, const struct language *lang)
{
    struct vm *idle = evict(p, lang);
    if (!idle)
        return false;
    log_debug("pool", "vm=%s language=%s gives way", idle->record.id, idle->lang->name);
    vm_end(p->host, idle);
    return true;
}

void pool_drop(struct pool *p, const struct language *lang)
{
    struct vm *vm, *dropped = NULL;
    {
        AUTO_LOCK(&p->lock);
        struct shelf *s = shelf_of(p, lang);
        s->drops++;
        while ((vm = pop(s))) {
            vm->next = dropped;
            dropped = vm;
        }
    }
    reap_list(p, dropped);
}

/* The oldest of its language that lives; NULL: there is none. */
static struct vm *take_pooled(struct pool *p, const struct language *lang)
{
    struct vm *vm, *dead = NULL;
    {
        AUTO_LOCK(&p->lock);
        struct shelf *s = shelf_of(p, lang);
        s->used_ms = clock_mono_ms();
        while ((vm = pop(s)) && link_ended(vm->link, NULL)) {
            vm->next = dead;
            dead = vm;
        }
        pthread_cond_broadcast(&p->changed);
    }
    reap_list(p, dead);
    if (vm)
        proc_set_nice(vm->monitor.proc.pid, 0);
    return vm;
}

/* A request that has found no room. */
struct no_room {
    struct pool *pool;
    struct pool_request *rq;
    struct vm *vm; /* one that has come into the pool meanwhile */
};

static enum admission_next on_full(void *arg)
{
    struct no_room *nr = arg;
    nr->vm = nr->rq->never_pooled ? NULL : take_pooled(nr->pool, nr->rq->lang);
    if (nr->vm)
        return ADMISSION_LEAVE;
    return pool_give_way(nr->pool, nr->rq->lang) ? ADMISSION_LOOK : ADMISSION_WAIT;
}

static bool is_unwanted(void *arg)
{
    const struct no_room *nr = arg;
    return nr->rq->cancelled && nr->rq->cancelled(nr->rq->arg);
}

int pool_take(struct pool *p, struct pool_request *rq, struct vm **ret, struct err *e)
{
    struct no_room nr = {.pool = p, .rq = rq};
    nr.vm = rq->never_pooled ? NULL : take_pooled(p, rq->lang);
    struct admission_wait wait = {
        .deadline_ms = clock_mono_ms() + p->host->config->run_wait_s * 1000LL,
        .cancelled = is_unwanted,
        .full = on_full,
        .arg = &nr,
    };
    struct vm *fresh = NULL;
    int r = nr.vm ? 0 : vm_restore(p->host, rq->lang, &wait, &fresh, e);
    if (r < 0 && r != -EALREADY)
        return r;
    rq->from_pool = nr.vm != NULL;
    *ret = nr.vm ? nr.vm : fresh;
    return 0;
}
