/* SPDX-License-Identifier: Apache-2.0 */
#include "host/instance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/accounts.h"
#include "host/vms_priv.h"

void instance_path(const struct host *h, const char *kind, const char *id, char *ret)
{
    path_printf(ret, PATH_MAX / 4, "%s/%s/%s", h->config->data_dir, kind, id);
}

void instance_drop_dir(const struct host *h, const char *kind, const char *id)
{
    char dir[PATH_MAX / 4];
    instance_path(h, kind, id, dir);
    int r = dir_remove(dir);
    if (r < 0)
        log_error("vms", "path=%s cannot be removed: %s", dir, strerror(-r));
}

/* --- time --- */

void instance_clock_run(struct vm_info *info, int64_t now_ns)
{
    if (!info->ttl.seconds || info->expires_ns)
        return;
    info->expires_ns = now_ns + info->ttl_remaining_ns;
    info->ttl_remaining_ns = 0;
}

void instance_clock_stop(struct vm_info *info, int64_t now_ns)
{
    if (!info->ttl.seconds || !info->expires_ns)
        return;
    int64_t left = info->expires_ns - now_ns;
    info->ttl_remaining_ns = left > 0 ? left : info->ttl.seconds * 1000000000;
    info->expires_ns = 0;
}

void instance_clock_reset(struct vm_info *info, int64_t now_ns)
{
    info->expires_ns = 0;
    info->ttl_remaining_ns = info->ttl.seconds * 1000000000;
    if (info->state == VM_RUNNING)
        instance_clock_run(info, now_ns);
}

/* --- infos --- */

void vm_info_done(struct vm_info *v)
{
    json_decref(v->metadata);
    json_decref(v->env);
    json_decref(v->firewall);
    *v = (struct vm_info){0};
}

void vm_list_done(struct vm_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        vm_info_done(&l->items[i]);
    free(l->items);
    *l = (struct vm_list){0};
}

/* JSON that was given is never changed, so a copy is one more reference. */
void instance_copy_info(const struct instance *inst, struct vm_info *ret)
{
    *ret = inst->record.info;
    json_incref(ret->metadata);
    json_incref(ret->env);
    json_incref(ret->firewall);
}

void instance_get_info(struct instances *s, const struct instance *inst, struct vm_info *ret)
{
    if (!ret)
        return;
    AUTO_LOCK(&s->lock);
    instance_copy_info(inst, ret);
}

/* --- the list --- */

static struct instance *find(struct instances *s, const char *id)
{
    struct instance *inst = s->first;
    while (inst && strcmp(inst->record.info.id, id) != 0)
        inst = inst->next;
    return inst;
}

int instance_find(struct instances *s, const char *account, const char *id, struct instance **ret,
                  struct err *e)
{
    AUTO_LOCK(&s->lock);
    struct instance *inst = find(s, id);
    if (!inst || strcmp(inst->record.info.account, account) != 0)
        return err_set(e, ERR_NOT_FOUND, "there is no such vm");
    inst->refs++;
    *ret = inst;
    return 0;
}

void instance_destroy(struct instance *inst)
{
    net_policy_free(inst->policy);
    vm_info_done(&inst->record.info);
    free(inst);
}

static void unref_locked(struct instance *inst)
{
    if (--inst->refs == 0)
        instance_destroy(inst);
}

void instance_unref(struct instances *s, struct instance *inst)
{
    if (!inst)
        return;
    AUTO_LOCK(&s->lock);
    unref_locked(inst);
}

/* Takes `record`; the list's reference and the caller's. */
static int insert(struct instances *s, struct instance_record *record, bool busy,
                  struct instance **ret, struct err *e)
{
    struct instance *inst = calloc(1, sizeof(*inst));
    if (!inst) {
        vm_info_done(&record->info);
        return err_errno(e, -ENOMEM, "new vm");
    }
    inst->record = *record;
    *record = (struct instance_record){0};
    int r = net_policy_parse(inst->record.info.firewall, &inst->policy, e);
    if (r < 0) {
        instance_destroy(inst);
        return r;
    }
    inst->busy = busy;
    inst->refs = 1 + (ret != NULL);
    AUTO_LOCK(&s->lock);
    *s->end = inst;
    s->end = &inst->next;
    if (ret)
        *ret = inst;
    return 0;
}

static void remove_from_list(struct instances *s, struct instance *inst)
{
    AUTO_LOCK(&s->lock);
    struct instance **p = &s->first;
    while (*p != inst)
        p = &(*p)->next;
    *p = inst->next;
    if (s->end == &inst->next)
        s->end = p;
    inst->next = NULL;
    inst->gone = true;
    inst->busy = false;
    pthread_cond_broadcast(&s->changed);
    unref_locked(inst);
}

/* --- quota --- */

static struct quota compute_quota(const struct instance *inst)
{
    const struct machine_shape *shape = &inst->record.info.shape;
    return (struct quota){.vcpus = shape->vcpus, .memory_mib = shape->memory_mib};
}

static struct quota disk_quota(const struct instance *inst)
{
    return (struct quota){.disk_bytes = inst->record.info.disk_bytes};
}

int instance_charge_compute(struct instances *s, struct instance *inst, struct err *e)
{
    if (inst->charged.compute)
        return 0;
    struct quota q = compute_quota(inst);
    int r = accounts_charge(s->host->accounts, inst->record.info.account, &q, e);
    inst->charged.compute = r == 0;
    return r;
}

void instance_release_compute(struct instances *s, struct instance *inst)
{
    if (!inst->charged.compute)
        return;
    struct quota q = compute_quota(inst);
    accounts_release(s->host->accounts, inst->record.info.account, &q);
    inst->charged.compute = false;
}

static int charge_disk(struct instances *s, struct instance *inst, struct err *e)
{
    struct quota q = disk_quota(inst);
    int r = accounts_charge(s->host->accounts, inst->record.info.account, &q, e);
    inst->charged.disk = r == 0;
    return r;
}

static void release_all(struct instances *s, struct instance *inst)
{
    instance_release_compute(s, inst);
    if (!inst->charged.disk)
        return;
    struct quota q = disk_quota(inst);
    accounts_release(s->host->accounts, inst->record.info.account, &q);
    inst->charged.disk = false;
}

/* --- coming and going --- */

static int put(struct instances *s, const struct instance_record *record, struct err *e)
{
    return store_instances_put(s->host->store, &record, 1, e);
}

int instance_add(struct instances *s, struct instance_record *record, struct instance **ret,
                 struct err *e)
{
    struct instance *inst = NULL;
    int r = insert(s, record, true, &inst, e);
    if (r < 0)
        return r;
    r = charge_disk(s, inst, e);
    if (r == 0)
        r = instance_charge_compute(s, inst, e);
    if (r == 0)
        r = put(s, &inst->record, e);
    if (r < 0) {
        release_all(s, inst);
        remove_from_list(s, inst);
        instance_unref(s, inst);
        return r;
    }
    const struct vm_info *v = &inst->record.info;
    vms_log(s->host, v->id, "created %s=%s image=%s cpus=%d memory_mib=%lld disk_mib=%lld",
            v->forked_from[0] ? "fork_of" : "snapshot",
            v->forked_from[0] ? v->forked_from : (v->snapshot[0] ? v->snapshot : "none"), v->image,
            (int)v->shape.vcpus, (long long)v->shape.memory_mib,
            (long long)(v->disk_bytes / (int64_t)MIB));
    *ret = inst;
    return 0;
}

void instance_remove(struct instances *s, struct instance *inst)
{
    struct err e = ERR_INIT;
    /* A record that stays is that of a VM without monitor and disk: the next daemon sees it lost.
     */
    if (store_instance_delete(s->host->store, inst->record.info.id, &e) < 0)
        log_error("vms", "vm=%s record cannot be removed: %s", inst->record.info.id, e.text);
    release_all(s, inst);
    remove_from_list(s, inst);
}

/* --- moves --- */

/* Lock held before and after. */
static int await_turn(struct instances *s, struct instance *inst, struct err *e)
{
    while (inst->busy)
        pthread_cond_wait(&s->changed, &s->lock);
    return inst->gone ? err_set(e, ERR_NOT_FOUND, "there is no such vm") : 0;
}

/* What a state brings with it. A move that began in pause keeps the time of it until its end: that
 * tells the next daemon what it was before. */
static void enter_state(struct instance_record *record, enum vm_state state)
{
    struct vm_info *info = &record->info;
    int64_t now = clock_real_ns();
    bool moves = state == VM_RESUMING || state == VM_SUSPENDING || state == VM_STOPPING;
    if (state == VM_RUNNING)
        instance_clock_run(info, now);
    else if (info->state == VM_RUNNING)
        instance_clock_stop(info, now);
    if (state == VM_RUNNING) {
        info->active_ns = now;
        record->origin = ORIGIN_DISK; /* wherever it came from, it has its own by now */
    }
    if (state == VM_PAUSED && !info->paused_ns)
        info->paused_ns = now;
    else if (state != VM_PAUSED && !moves)
        info->paused_ns = 0;
    if (state != VM_LOST)
        info->detail[0] = '\0';
    info->state = state;
}

/* 1: `already` there. Lock taken. */
static int claim(struct instances *s, struct instance *inst, const struct instance_wish *w,
                 struct instance_record *ret_next, struct err *e)
{
    AUTO_LOCK(&s->lock);
    int r = await_turn(s, inst, e);
    enum vm_state state = inst->record.info.state;
    if (r == 0 && ((int)state == w->already || (w->due && !w->due(inst))))
        return 1;
    if (r == 0)
        r = lifecycle_move(&state, w->event, inst->record.info.name, e);
    if (r < 0)
        return r;
    inst->busy = true;
    inst->before = inst->record.info.state;
    *ret_next = inst->record;
    enter_state(ret_next, state);
    return 0;
}

int instance_begin(struct instances *s, struct instance *inst, const struct instance_wish *w,
                   struct err *e)
{
    struct instance_record next;
    int r = claim(s, inst, w, &next, e);
    if (r != 0)
        return r;
    r = put(s, &next, e);
    if (r == 0)
        vms_log(s->host, next.info.id, "%s", lifecycle_state_name(next.info.state));
    AUTO_LOCK(&s->lock);
    if (r == 0)
        inst->record = next;
    else
        inst->busy = false;
    pthread_cond_broadcast(&s->changed);
    return r;
}

int instance_hold(struct instances *s, struct instance *inst, unsigned states, const char *what,
                  struct err *e)
{
    AUTO_LOCK(&s->lock);
    int r = await_turn(s, inst, e);
    if (r < 0)
        return r;
    if (!(states & 1u << inst->record.info.state))
        return err_set(e, ERR_CONFLICT, "vm %s is %s and cannot %s now", inst->record.info.name,
                       lifecycle_state_name(inst->record.info.state), what);
    inst->busy = true;
    return 0;
}

void instance_let_go(struct instances *s, struct instance *inst)
{
    AUTO_LOCK(&s->lock);
    inst->busy = false;
    pthread_cond_broadcast(&s->changed);
}

/* The busy thread is the only one that changes the record, so it may be read without the lock. */
void instance_mark(struct instances *s, struct instance *inst, enum vm_state state, const char *why)
{
    struct err e = ERR_INIT;
    struct instance_record next = inst->record;
    enter_state(&next, state);
    if (why)
        snprintf(next.info.detail, sizeof(next.info.detail), "%s", why);
    if (put(s, &next, &e) < 0)
        log_error("vms", "vm=%s state=%s cannot be stored: %s", next.info.id,
                  lifecycle_state_name(state), e.text);
    vms_log(s->host, next.info.id, "%s%s%s", lifecycle_state_name(state), why ? ": " : "",
            why ? why : "");
    AUTO_LOCK(&s->lock);
    inst->record = next;
    pthread_cond_broadcast(&s->changed);
}

void instance_end(struct instances *s, struct instance *inst, enum vm_state state)
{
    instance_mark(s, inst, state, NULL);
    instance_let_go(s, inst);
}

void instance_lose(struct instances *s, struct instance *inst, const char *why)
{
    log_warn("vms", "vm=%s lost: %s", inst->record.info.id, why);
    instance_mark(s, inst, VM_LOST, why);
    instance_release_compute(s, inst);
    instance_let_go(s, inst);
    vms_note(s, inst, "vm.lost", json_pack("{s:s}", "reason", why));
}

int instances_run_all(struct instances *s, struct instance *const *list, size_t n, struct err *e)
{
    auto_free struct instance_record *next = calloc(n, sizeof(*next));
    auto_free const struct instance_record **rows = calloc(n, sizeof(*rows));
    if (!next || !rows)
        return err_errno(e, -ENOMEM, "run vms");
    for (size_t i = 0; i < n; i++) {
        next[i] = list[i]->record;
        enter_state(&next[i], VM_RUNNING);
        rows[i] = &next[i];
    }
    int r = store_instances_put(s->host->store, rows, n, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++)
        vms_log(s->host, next[i].info.id, "%s", lifecycle_state_name(VM_RUNNING));
    AUTO_LOCK(&s->lock);
    for (size_t i = 0; i < n; i++) {
        list[i]->record = next[i];
        list[i]->busy = false;
    }
    pthread_cond_broadcast(&s->changed);
    return 0;
}

int instance_change(struct instances *s, struct instance *inst, struct instance_record *next,
                    struct err *e)
{
    struct net_policy *policy = NULL;
    int r = net_policy_parse(next->info.firewall, &policy, e);
    if (r == 0)
        r = put(s, next, e);
    if (r < 0) {
        net_policy_free(policy);
        vm_info_done(&next->info);
        return r;
    }
    AUTO_LOCK(&s->lock);
    struct vm_info old = inst->record.info;
    net_policy_free(inst->policy);
    inst->policy = policy;
    inst->record = *next;
    vm_info_done(&old);
    pthread_cond_broadcast(&s->changed);
    return 0;
}

/* --- the set --- */

int instances_new(struct host *h, struct instances **ret, struct err *e)
{
    struct instances *s = calloc(1, sizeof(*s));
    if (!s)
        return err_errno(e, -ENOMEM, "vms");
    s->host = h;
    s->end = &s->first;
    pthread_mutex_init(&s->lock, NULL);
    link_cond_init(&s->changed);
    *ret = s;
    return 0;
}

static bool uses_compute(enum vm_state state)
{
    return state != VM_SUSPENDED && state != VM_STOPPED && state != VM_LOST && state != VM_DELETING;
}

static int load_one(void *arg, const void *row)
{
    struct instances *s = arg;
    struct instance_record record = *(const struct instance_record *)row;
    struct instance *inst = NULL;
    struct err e = ERR_INIT;
    char id[ID_SIZE];
    memcpy(id, record.info.id, sizeof(id));
    if (insert(s, &record, true, &inst, &e) < 0) {
        log_error("vms", "vm=%s cannot be loaded: %s", id, e.text);
        return 0;
    }
    /* What it has it keeps, whatever the quota is by now. */
    struct quota q = disk_quota(inst);
    accounts_count(s->host->accounts, inst->record.info.account, &q);
    inst->charged.disk = true;
    if (uses_compute(inst->record.info.state)) {
        q = compute_quota(inst);
        accounts_count(s->host->accounts, inst->record.info.account, &q);
        inst->charged.compute = true;
    }
    instance_unref(s, inst);
    return 0;
}

int instances_load(struct instances *s, struct err *e)
{
    return store_instances_each(s->host->store, load_one, s, e);
}

/* Whether DATA/vms/ID is an instance's. */
bool instances_want_dir(struct instances *s, const char *id)
{
    AUTO_LOCK(&s->lock);
    const struct instance *inst = find(s, id);
    if (!inst)
        return false;
    enum vm_state state = inst->record.info.state;
    return inst->vm || state == VM_STOPPED || state == VM_LOST ||
           (state == VM_STARTING && inst->record.origin == ORIGIN_DISK);
}

struct instance *instances_peek(struct instances *s, const char *id)
{
    AUTO_LOCK(&s->lock);
    return find(s, id);
}

size_t instances_of_image(struct instances *s, const char *key)
{
    AUTO_LOCK(&s->lock);
    size_t n = 0;
    for (const struct instance *inst = s->first; inst; inst = inst->next)
        n += strcmp(inst->record.info.image, key) == 0;
    return n;
}

void instances_count(struct instances *s, int ret[VM_STATE_COUNT])
{
    AUTO_LOCK(&s->lock);
    memset(ret, 0, VM_STATE_COUNT * sizeof(*ret));
    for (const struct instance *i = s->first; i; i = i->next)
        ret[i->record.info.state]++;
}

int instances_start(struct instances *s, struct err *e)
{
    static void *(*const mains[])(void *) = {instances_launcher, instances_launcher,
                                             instances_timer};
    for (size_t i = 0; i < ARRAY_SIZE(mains); i++) {
        if (pthread_create(&s->threads[s->n_threads], NULL, mains[i], s) != 0)
            return err_set(e, ERR_INTERNAL, "vms: cannot start a thread");
        s->n_threads++;
    }
    return 0;
}

void instances_stop(struct instances *s)
{
    {
        AUTO_LOCK(&s->lock);
        s->stopping = true;
        pthread_cond_broadcast(&s->changed);
    }
    for (int i = 0; i < s->n_threads; i++)
        pthread_join(s->threads[i], NULL);
    s->n_threads = 0;
    AUTO_LOCK(&s->lock);
    while (s->n_helpers > 0) /* they look whether the host ends */
        pthread_cond_wait(&s->changed, &s->lock);
}

/* Monitors run on; only what this process has of them goes. */
void instances_free(struct instances *s)
{
    if (!s)
        return;
    while (s->first) {
        struct instance *inst = s->first;
        if (inst->vm) {
            vm_hang_up(inst->vm);
            free(inst->vm);
        }
        s->first = inst->next;
        instance_destroy(inst);
    }
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
