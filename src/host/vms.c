/* SPDX-License-Identifier: Apache-2.0 */

/* Looking at VMs that live, and changing what is said about them. */

#include "host/vms.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/accounts.h"
#include "host/activity.h"
#include "host/instance.h"
#include "host/vms_priv.h"

#define ALL_STATES (~(1u << VM_DELETING))
#define UNTOLD (1u << 31) /* of a patch: clients do it all the time, it is no event */

int host_vm_get(struct host *h, const char *account, const char *id, struct vm_info *ret,
                struct err *e)
{
    struct instance *inst = NULL;
    int r = instance_find(h->instances, account, id, &inst, e);
    if (r < 0)
        return r;
    instance_get_info(h->instances, inst, ret);
    instance_unref(h->instances, inst);
    return 0;
}

#define AWAIT_ASK_MS 100

/* Why not to wait any longer; 0: there is no reason. */
static int await_ends(struct host *h, const struct vm_wait *w, int64_t until_ms, struct err *e)
{
    if (w->cancelled && w->cancelled(w->arg))
        return err_set(e, ERR_UNAVAILABLE, "nobody waits for the vm any more");
    if (h->aborting || clock_mono_ms() >= until_ms)
        return err_set(e, ERR_FULL, "the vm still waits for its start");
    return 0;
}

int host_vm_await(struct host *h, const char *account, const char *id, const struct vm_wait *w,
                  struct vm_info *ret, struct err *e)
{
    struct instances *s = h->instances;
    struct instance *inst = NULL;
    int64_t until_ms = clock_mono_ms() + w->timeout_ms;
    int r = instance_find(s, account, id, &inst, e);
    if (r < 0)
        return r;
    pthread_mutex_lock(&s->lock);
    while (r == 0 && !inst->gone && inst->record.info.state == VM_STARTING) {
        link_cond_wait(&s->changed, &s->lock, clock_mono_ms() + AWAIT_ASK_MS);
        pthread_mutex_unlock(&s->lock);
        r = await_ends(h, w, until_ms, e);
        pthread_mutex_lock(&s->lock);
    }
    if (r == 0 && inst->gone)
        r = err_set(e, ERR_NOT_FOUND, "there is no such vm");
    pthread_mutex_unlock(&s->lock);
    if (r == 0)
        instance_get_info(s, inst, ret);
    instance_unref(s, inst);
    return r;
}

int host_vm_list(struct host *h, const char *account, struct vm_list *ret, struct err *e)
{
    struct instances *s = h->instances;
    AUTO_LOCK(&s->lock);
    size_t n = 0;
    for (struct instance *i = s->first; i; i = i->next)
        n += strcmp(i->record.info.account, account) == 0;
    struct vm_list list = {.items = calloc(n + 1, sizeof(*list.items))};
    if (!list.items)
        return err_errno(e, -ENOMEM, "list vms");
    for (struct instance *i = s->first; i; i = i->next) {
        if (strcmp(i->record.info.account, account) == 0)
            instance_copy_info(i, &list.items[list.n++]);
    }
    *ret = list;
    return 0;
}

int host_vm_stats(struct host *h, const char *account, const char *id, struct vm_stats *ret,
                  struct err *e)
{
    struct instances *s = h->instances;
    struct instance *inst = NULL;
    int r = instance_find(s, account, id, &inst, e);
    if (r < 0)
        return r;
    struct vm_stats stats = {0};
    r = instance_hold(s, inst, ALL_STATES, "be looked at", e);
    if (r == 0) {
        r = vms_stats(s, inst, &stats, e);
        instance_let_go(s, inst);
    }
    instance_unref(s, inst);
    if (r == 0)
        *ret = stats;
    return r;
}

int vms_stats(struct instances *s, struct instance *inst, struct vm_stats *ret, struct err *e)
{
    struct net_stats net = {0};
    ret->execs = inst->execs;
    if (!inst->vm)
        return 0;
    int r = engine_stats(s->host->engine, &inst->vm->monitor, &ret->monitor, e);
    if (r == 0 && inst->vm->net_slot >= 0)
        r = net_get_stats(s->host->net, inst->vm->net_slot, &net, e);
    ret->net_rx_bytes = net.rx_bytes;
    ret->net_tx_bytes = net.tx_bytes;
    memcpy(ret->host_address, net.host_address, sizeof(ret->host_address));
    return r;
}

/* --- changes --- */

static void replace_json(json_t **at, json_t *with)
{
    json_decref(*at);
    *at = json_incref(with);
}

/* What needs no more than to be remembered. */
static int apply_words(struct host *h, const struct vm_patch *p, struct instance_record *next,
                       struct err *e)
{
    struct vm_info *v = &next->info;
    if (p->what & VM_PATCH_NAME) {
        char name[VM_NAME_SIZE];
        host_clean_name(p->name, name);
        if (!*name)
            return err_field(e, "name", "the name must not be empty");
        memcpy(v->name, name, sizeof(name));
    }
    if (p->what & VM_PATCH_METADATA)
        replace_json(&v->metadata, p->metadata);
    if (p->what & VM_PATCH_TTL) {
        v->ttl = p->ttl;
        instance_clock_reset(v, clock_real_ns());
    }
    if (p->what & VM_PATCH_IDLE) {
        v->idle = p->idle;
        v->active_ns = clock_real_ns();
    }
    if (p->what & VM_PATCH_MACHINE_TYPE) {
        struct machine_type type;
        int r = vms_machine_type(h, p->machine_type, &type, e);
        if (r < 0)
            return r;
        bool same = strcmp(type.name, v->machine_type) == 0;
        path_printf(v->next_machine_type, sizeof(v->next_machine_type), "%s",
                    same ? "" : type.name);
    }
    return 0;
}

static int apply_firewall(const struct instance *inst, const struct vm_patch *p,
                          struct instance_record *next, struct err *e)
{
    struct net_policy *policy = NULL;
    int r = 0;
    if (p->what & VM_PATCH_FIREWALL)
        r = net_policy_parse(p->firewall, &policy, e);
    else if (p->what & VM_PATCH_FIREWALL_AXES)
        r = net_policy_merge(inst->policy, p->firewall, &policy, e);
    if (r < 0 || !policy)
        return r;
    json_t *json = net_policy_json(policy);
    net_policy_free(policy);
    if (!json)
        return err_errno(e, -ENOMEM, "firewall");
    json_decref(next->info.firewall);
    next->info.firewall = json;
    return 0;
}

/* Charged for; the record says so before the disk is larger, so that the next daemon can end what
 * this one began. */
static int apply_disk(struct instances *s, const struct vm_patch *p, struct instance_record *next,
                      struct err *e)
{
    if (!(p->what & VM_PATCH_DISK) || p->disk_bytes == next->info.disk_bytes)
        return 0;
    if (p->disk_bytes < next->info.disk_bytes)
        return err_field(e, "diskGiB", "a disk can only grow: it has %lld MiB",
                         (long long)(next->info.disk_bytes >> 20));
    if (p->disk_bytes > (int64_t)VM_DISK_MAX_BYTES)
        return err_field(e, "diskGiB", "the disk cannot be larger than %llu GiB",
                         VM_DISK_MAX_BYTES / GIB);
    if (next->info.state == VM_SUSPENDED)
        return err_set(e, ERR_CONFLICT, "vm %s is suspended: resume it to grow its disk",
                       next->info.name);
    struct quota more = {.disk_bytes = p->disk_bytes - next->info.disk_bytes};
    int r = accounts_charge(s->host->accounts, next->info.account, &more, e);
    if (r < 0)
        return r;
    next->info.disk_bytes = p->disk_bytes;
    next->grows = true;
    return 0;
}

static void uncharge_disk(struct instances *s, struct instance *inst, int64_t bytes)
{
    struct quota less = {.disk_bytes = bytes};
    accounts_release(s->host->accounts, inst->record.info.account, &less);
}

/* The disk stays as it was. */
static void shrink_back(struct instances *s, struct instance *inst, int64_t had_bytes)
{
    struct instance_record next;
    struct err e = ERR_INIT;
    int64_t more_bytes = inst->record.info.disk_bytes - had_bytes;
    vms_copy_record(s, inst, &next);
    next.info.disk_bytes = had_bytes;
    next.grows = false;
    if (instance_change(s, inst, &next, &e) == 0)
        uncharge_disk(s, inst, more_bytes);
    else
        log_error("vms", "vm=%s disk is not as large as stored: %s", inst->record.info.id, e.text);
}

int vms_grow(struct instances *s, struct instance *inst, struct err *e)
{
    struct instance_record next;
    struct vm *vm = inst->vm;
    int r = 0;
    if (!inst->record.grows || !vm)
        return 0;
    r = engine_resize_disk(s->host->engine, &vm->monitor, (uint64_t)inst->record.info.disk_bytes,
                           e);
    /* A guest that stands still grows its file system when it goes on. */
    if (r < 0 || inst->record.info.state != VM_RUNNING || !vm->link)
        return r;
    r = guest_grow(vm->link, inst->record.info.disk_bytes, clock_mono_ms() + GUEST_GROW_TIMEOUT_MS,
                   e);
    if (r < 0)
        return r;
    vms_copy_record(s, inst, &next);
    next.grows = false;
    return instance_change(s, inst, &next, e);
}

/* After the record. A network policy or a file system that could not follow does so when the call
 * is repeated, or at the next start. */
static int carry_out(struct instances *s, struct instance *inst, const struct vm_patch *p,
                     int64_t had_bytes, struct err *e)
{
    struct vm *vm = inst->vm;
    int r = 0;
    if (inst->record.info.disk_bytes > had_bytes && vm)
        r = engine_resize_disk(s->host->engine, &vm->monitor,
                               (uint64_t)inst->record.info.disk_bytes, e);
    if (r < 0) {
        shrink_back(s, inst, had_bytes);
        return r;
    }
    if (vm && vm->net_slot >= 0 && p->what & (VM_PATCH_FIREWALL | VM_PATCH_FIREWALL_AXES))
        r = net_apply(s->host->net, vm->net_slot, inst->policy, e);
    return r == 0 && p->what & VM_PATCH_DISK ? vms_grow(s, inst, e) : r;
}

static int patch_held(struct instances *s, struct instance *inst, const struct vm_patch *p,
                      struct err *e)
{
    struct instance_record next;
    int64_t had_bytes = inst->record.info.disk_bytes;
    vms_copy_record(s, inst, &next);
    int r = apply_words(s->host, p, &next, e);
    if (r == 0)
        r = apply_firewall(inst, p, &next, e);
    if (r == 0)
        r = apply_disk(s, p, &next, e);
    if (r < 0) {
        vm_info_done(&next.info);
        return r;
    }
    int64_t more_bytes = next.info.disk_bytes - had_bytes;
    r = instance_change(s, inst, &next, e);
    if (r < 0 && more_bytes)
        uncharge_disk(s, inst, more_bytes);
    return r < 0 ? r : carry_out(s, inst, p, had_bytes, e);
}

static json_t *what_changed(unsigned what)
{
    static const struct {
        unsigned bits;
        const char *word;
    } rows[] = {
        {VM_PATCH_NAME, "name"},
        {VM_PATCH_METADATA, "metadata"},
        {VM_PATCH_TTL, "ttl"},
        {VM_PATCH_IDLE, "idle"},
        {VM_PATCH_FIREWALL | VM_PATCH_FIREWALL_AXES, "firewall"},
        {VM_PATCH_MACHINE_TYPE, "machineType"},
        {VM_PATCH_DISK, "disk"},
    };
    json_t *list = json_array();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (what & rows[i].bits)
            json_array_append_new(list, json_string(rows[i].word));
    }
    return json_pack("{s:o}", "changed", list);
}

int host_vm_patch(struct host *h, const char *account, const char *id, const struct vm_patch *patch,
                  struct vm_info *ret, struct err *e)
{
    struct instances *s = h->instances;
    struct instance *inst = NULL;
    int r = instance_find(s, account, id, &inst, e);
    if (r < 0)
        return r;
    r = instance_hold(s, inst, ALL_STATES, "be changed", e);
    if (r == 0) {
        r = patch_held(s, inst, patch, e);
        instance_let_go(s, inst);
    }
    if (r == 0 && !(patch->what & UNTOLD))
        vms_note(s, inst, "vm.updated", what_changed(patch->what));
    if (r == 0)
        instance_get_info(s, inst, ret);
    instance_unref(s, inst);
    return r;
}

int host_vm_refresh_ttl(struct host *h, const char *account, const char *id, struct vm_info *ret,
                        struct err *e)
{
    struct vm_info now = {0};
    int r = host_vm_get(h, account, id, &now, e);
    if (r < 0)
        return r;
    struct vm_patch p = {.what = VM_PATCH_TTL | UNTOLD, .ttl = now.ttl};
    if (!now.ttl.seconds)
        r = err_set(e, ERR_CONFLICT, "vm %s has no TTL", now.name);
    else
        r = host_vm_patch(h, account, id, &p, ret, e);
    vm_info_done(&now);
    return r;
}

void vms_copy_record(struct instances *s, struct instance *inst, struct instance_record *ret)
{
    AUTO_LOCK(&s->lock);
    *ret = inst->record;
    instance_copy_info(inst, &ret->info);
}

void vms_note(struct instances *s, struct instance *inst, const char *type, json_t *data)
{
    char account[ID_SIZE], id[ID_SIZE], name[VM_NAME_SIZE];
    {
        /* The next move may write the record again, also what never changes in it. */
        AUTO_LOCK(&s->lock);
        memcpy(account, inst->record.info.account, sizeof(account));
        memcpy(id, inst->record.info.id, sizeof(id));
        memcpy(name, inst->record.info.name, sizeof(name));
    }
    const struct activity_note n = {
        .account = account, .type = type, .entity = id, .name = name, .data = data};
    host_note(s->host, &n);
    json_decref(data);
}
