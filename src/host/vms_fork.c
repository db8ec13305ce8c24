/* SPDX-License-Identifier: Apache-2.0 */

/* Forking a VM that runs: it is captured into a template of a moment, and its children are clones
 * of that. The template goes when the children are there: they hold what they need of it.
 *
 * All or none. The children are `starting` in the store until every one has answered, and become
 * running in one transaction; a daemon that finds some still starting removes them. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/console.h"
#include "host/vms_priv.h"

#define CAN_FORK (1u << VM_RUNNING | 1u << VM_PAUSED)

struct child {
    struct instance *inst;
    struct fork *fork;
    int64_t ready_us;
    int r;
    struct err err;
};

struct fork {
    struct instances *s;
    int64_t start_us;
    char dir[PATH_MAX / 4];
    struct child children[VM_FORK_MAX];
    int n;
    int next; /* the child that the next thread takes; the set's lock */
};

void vm_fork_result_done(struct vm_fork_result *r)
{
    vm_list_done(&r->children);
    free(r->ready_us);
    *r = (struct vm_fork_result){0};
}

/* --- the children's records --- */

/* `name` has the source's. The number has its place however long the rest is. */
static void name_child(const struct vm_fork *rq, int i, char name[VM_NAME_SIZE])
{
    char base[VM_NAME_SIZE], number[8];
    bool is_named = rq->name && *rq->name;
    host_clean_name(is_named ? rq->name : name, base);
    if (rq->count == 1 && is_named) {
        memcpy(name, base, sizeof(base));
        return;
    }
    path_printf(number, sizeof(number), "-%d", i + 1);
    host_cut_name(base, VM_NAME_MAX_CHARS - strlen(number));
    path_printf(name, VM_NAME_SIZE, "%s%s", base, number);
}

static void describe(struct fork *f, struct instance *source, const struct vm_fork *rq, int i,
                     struct instance_record *ret)
{
    vms_copy_record(f->s, source, ret);
    struct vm_info *v = &ret->info;
    memcpy(v->forked_from, v->id, sizeof(v->forked_from));
    id_new(v->id);
    path_printf(v->source, sizeof(v->source), "%s", v->name);
    name_child(rq, i, v->name);
    if (rq->metadata) {
        json_decref(v->metadata);
        v->metadata = json_incref(rq->metadata);
    }
    v->state = VM_STARTING;
    v->created_ns = clock_real_ns();
    v->paused_ns = 0;
    instance_clock_reset(v, v->created_ns);
    ret->origin = ORIGIN_FORK;
}

static int add_children(struct fork *f, struct instance *source, const struct vm_fork *rq,
                        struct err *e)
{
    int r = 0;
    for (int i = 0; r == 0 && i < rq->count; i++) {
        struct instance_record rec;
        describe(f, source, rq, i, &rec);
        r = instance_add(f->s, &rec, &f->children[i].inst, e);
        if (r == 0)
            f->n++;
    }
    return r;
}

/* --- starting them --- */

static struct child *take_next(struct fork *f)
{
    AUTO_LOCK(&f->s->lock);
    return f->next < f->n ? &f->children[f->next++] : NULL;
}

static void *start_children(void *arg)
{
    struct fork *f = arg;
    struct child *c;
    while ((c = take_next(f))) {
        c->r = instance_start(f->s, c->inst, f->dir, &c->err);
        c->ready_us = clock_mono_us() - f->start_us;
    }
    return NULL;
}

/* On as many threads as monitors may start at once, this one among them. */
static int start_all(struct fork *f, struct err *e)
{
    pthread_t threads[VM_FORK_MAX];
    int want = f->s->host->admission.starts_max, n = 0;
    want = want < f->n ? want : f->n;
    while (n < want - 1 && pthread_create(&threads[n], NULL, start_children, f) == 0)
        n++;
    start_children(f);
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < f->n; i++) {
        if (f->children[i].r < 0) {
            *e = f->children[i].err;
            return err_wrap(e, f->children[i].r, "child %d of %d", i + 1, f->n);
        }
    }
    return 0;
}

/* --- the source --- */

static int capture(struct fork *f, struct instance *source, int64_t *ret_pause_us, struct err *e)
{
    struct capture_times times = {0};
    int r = vms_capture(f->s, source, f->dir, CAPTURE_TRANSIENT, &times, e);
    if (r == 0)
        *ret_pause_us = times.pause_us;
    return r;
}

/* --- the call --- */

/* Made before there is anything to undo. */
static int make_answer(struct fork *f, struct vm_fork_result *ret, struct err *e)
{
    ret->children.items = calloc((size_t)f->n, sizeof(*ret->children.items));
    ret->ready_us = calloc((size_t)f->n, sizeof(*ret->ready_us));
    if (!ret->children.items || !ret->ready_us)
        return err_errno(e, -ENOMEM, "fork");
    return 0;
}

static void fill_answer(struct fork *f, struct vm_fork_result *ret)
{
    for (int i = 0; i < f->n; i++) {
        instance_get_info(f->s, f->children[i].inst, &ret->children.items[i]);
        ret->ready_us[i] = f->children[i].ready_us;
    }
    ret->children.n = (size_t)f->n;
}

/* All at one moment. */
static int make_them_run(struct fork *f, struct err *e)
{
    struct instance *list[VM_FORK_MAX];
    for (int i = 0; i < f->n; i++)
        list[i] = f->children[i].inst;
    return instances_run_all(f->s, list, (size_t)f->n, e);
}

static void undo(struct fork *f)
{
    for (int i = 0; i < f->n; i++)
        vms_remove_all(f->s, f->children[i].inst);
}

static void note_all(struct fork *f, struct instance *source)
{
    json_t *ids = json_array();
    for (int i = 0; i < f->n; i++) {
        const struct vm_info *v = &f->children[i].inst->record.info;
        vms_note(f->s, f->children[i].inst, "vm.created",
                 json_pack("{s:s}", "forkedFrom", v->forked_from));
        json_array_append_new(ids, json_string(v->id));
    }
    vms_note(f->s, source, "vm.forked", json_pack("{s:o}", "children", ids));
}

/* The source is held until it is captured. */
static int fork_held(struct fork *f, struct instance *source, const struct vm_fork *rq,
                     struct vm_fork_result *ret, struct err *e)
{
    int r = add_children(f, source, rq, e);
    if (r == 0)
        r = make_answer(f, ret, e);
    return r == 0 ? capture(f, source, &ret->pause_us, e) : r;
}

static int run(struct fork *f, struct instance *source, const struct vm_fork *rq,
               struct vm_fork_result *ret, struct err *e)
{
    struct instances *s = f->s;
    int r = instance_hold(s, source, CAN_FORK, "be forked", e);
    if (r < 0)
        return r;
    r = fork_held(f, source, rq, ret, e);
    instance_let_go(s, source);
    if (r == 0)
        r = start_all(f, e);
    if (r == 0)
        r = make_them_run(f, e);
    if (r == 0) {
        fill_answer(f, ret);
        note_all(f, source);
    } else {
        undo(f);
    }
    dir_remove(f->dir);
    for (int i = 0; i < f->n; i++)
        instance_unref(s, f->children[i].inst);
    return r;
}

int host_vm_fork(struct host *h, const char *account, const char *id, const struct vm_fork *rq,
                 struct vm_fork_result *ret, struct err *e)
{
    struct err own = ERR_INIT;
    struct instances *s = h->instances;
    struct instance *source = NULL;
    struct vm_fork_result result = {0};
    char name[ID_SIZE];
    e = e ? e : &own;
    if (rq->count < 1 || rq->count > VM_FORK_MAX)
        return err_field(e, "count", "count must be from 1 to %d", VM_FORK_MAX);
    int r = instance_find(s, account, id, &source, e);
    if (r < 0)
        return r;
    auto_free struct fork *f = calloc(1, sizeof(*f));
    if (f) {
        f->s = s;
        f->start_us = clock_mono_us();
        id_new(name);
        instance_path(h, "forks", name, f->dir);
        r = run(f, source, rq, &result, e);
    } else {
        r = err_errno(e, -ENOMEM, "fork");
    }
    instance_unref(s, source);
    if (r < 0 || !ret)
        vm_fork_result_done(&result);
    else
        *ret = result;
    return r;
}
