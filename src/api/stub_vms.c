/* SPDX-License-Identifier: Apache-2.0 */
#include "api/stub_vms.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"

#define VMS_MAX 256
#define SNAPSHOTS_MAX 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct vm_info vms[VMS_MAX];
static size_t n_vms;
static struct snapshot_info snapshots[SNAPSHOTS_MAX];
static size_t n_snapshots;
static _Atomic int failing;

/* ---- tests ---- */

void stub_vms_reset(void)
{
    for (size_t i = 0; i < n_vms; i++)
        vm_info_done(&vms[i]);
    for (size_t i = 0; i < n_snapshots; i++)
        snapshot_info_done(&snapshots[i]);
    n_vms = n_snapshots = 0;
    atomic_store(&failing, ERR_NONE);
    stub_guest_reset();
    stub_accounts_reset();
    stub_images_reset();
    stub_builds_reset();
    stub_people_reset();
}

void stub_fail_next(enum err_class class)
{
    atomic_store(&failing, (int)class);
}

bool stub_fails(struct err *e)
{
    enum err_class class = (enum err_class)atomic_exchange(&failing, ERR_NONE);
    if (class == ERR_NONE)
        return false;
    err_set(e, class, "the stub fails as it was told");
    e->retry_after_s = class == ERR_FULL ? 3 : 0;
    return true;
}

/* ---- infos ---- */

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

void vm_fork_result_done(struct vm_fork_result *r)
{
    vm_list_done(&r->children);
    free(r->ready_us);
    *r = (struct vm_fork_result){0};
}

void snapshot_info_done(struct snapshot_info *s)
{
    json_decref(s->metadata);
    json_decref(s->env);
    json_decref(s->firewall);
    *s = (struct snapshot_info){0};
}

void snapshot_list_done(struct snapshot_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        snapshot_info_done(&l->items[i]);
    free(l->items);
    *l = (struct snapshot_list){0};
}

static void copy_vm(const struct vm_info *v, struct vm_info *ret)
{
    if (!ret)
        return;
    *ret = *v;
    json_incref(ret->metadata);
    json_incref(ret->env);
    json_incref(ret->firewall);
}

static void copy_snapshot(const struct snapshot_info *s, struct snapshot_info *ret)
{
    *ret = *s;
    json_incref(ret->metadata);
    json_incref(ret->env);
    json_incref(ret->firewall);
}

void host_clean_name(const char *name, char ret[VM_NAME_SIZE])
{
    snprintf(ret, VM_NAME_SIZE, "%s", name);
}

static json_t *open_policy(void)
{
    return json_pack("{s:{s:s, s:[]}, s:{s:s, s:[]}, s:{s:s, s:[], s:b}}", "ingress", "default",
                     "deny", "rules", "egress", "default", "allow", "rules", "dns", "mode", "deny",
                     "domains", "blockBypass", false);
}

/* A policy that is an array, or has an axis that is no object, is none; "mode" is taken for what
 * it is. Lock held. */
static int set_firewall(struct vm_info *v, json_t *given, struct err *e)
{
    static const char *const axes[] = {"ingress", "egress", "dns"};
    json_t *p = open_policy();
    for (size_t i = 0; i < ARRAY_SIZE(axes); i++) {
        json_t *axis = json_object_get(given, axes[i]);
        char field[64];
        snprintf(field, sizeof(field), "firewall.%s", axes[i]);
        if (axis && !json_is_object(axis) && !json_object_get(given, "mode")) {
            json_decref(p);
            return err_field(e, field, "field \"%s\" must be an object", field);
        }
        if (json_is_object(axis))
            json_object_set(p, axes[i], axis);
    }
    json_decref(v->firewall);
    v->firewall = p;
    return 0;
}

/* ---- the set: with the lock held ---- */

static int find(const char *account, const char *id, struct vm_info **ret, struct err *e)
{
    *ret = NULL;
    for (size_t i = 0; i < n_vms; i++) {
        if (strcmp(vms[i].id, id) == 0 && strcmp(vms[i].account, account) == 0) {
            *ret = &vms[i];
            return 0;
        }
    }
    return err_set(e, ERR_NOT_FOUND, "there is no VM %s", id);
}

static int find_snapshot(const char *account, const char *id, struct snapshot_info **ret,
                         struct err *e)
{
    *ret = NULL;
    for (size_t i = 0; i < n_snapshots; i++) {
        if (strcmp(snapshots[i].id, id) == 0 && strcmp(snapshots[i].account, account) == 0) {
            *ret = &snapshots[i];
            return 0;
        }
    }
    return err_set(e, ERR_NOT_FOUND, "there is no snapshot %s", id);
}

static int illegal(const struct vm_info *v, struct err *e)
{
    return err_set(e, ERR_CONFLICT, "the VM is %s", lifecycle_state_name(v->state));
}

/* Moves it from one of `from` (a mask) to `to`, in which it may be already. */
static int move(const char *account, const char *id, unsigned from, enum vm_state to,
                struct vm_info *ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    struct vm_info *v;
    int r = find(account, id, &v, e);
    if (r < 0)
        return r;
    if (v->state != to && !(from & 1u << v->state))
        return illegal(v, e);
    v->state = to;
    v->paused_ns = to == VM_PAUSED ? clock_real_ns() : 0;
    v->ttl_remaining_ns = to == VM_RUNNING ? 0 : v->ttl.seconds * 1000000000;
    v->expires_ns = to == VM_RUNNING && v->ttl.seconds ? clock_real_ns() + 1000000000 : 0;
    copy_vm(v, ret);
    return 0;
}

int stub_running(const char *account, const char *id, struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    struct vm_info *v;
    int r = find(account, id, &v, e);
    return r == 0 && v->state != VM_RUNNING ? illegal(v, e) : r;
}

/* ---- VMs ---- */

static const struct machine_type types[] = {
    {"c1m0.25", {.vcpus = 1, .memory_mib = 256}},
    {"c2m4", {.vcpus = 2, .memory_mib = 4096}},
};

bool host_machine_type(struct host *h, size_t index, struct machine_type *ret)
{
    if (index >= ARRAY_SIZE(types))
        return false;
    *ret = types[index];
    return true;
}

static int set_type(struct vm_info *v, const char *name, struct err *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        if (strcmp(types[i].name, name) == 0) {
            snprintf(v->machine_type, sizeof(v->machine_type), "%s", name);
            v->shape = types[i].shape;
            return 0;
        }
    }
    return err_field(e, "machineType", "there is no machine type \"%s\"", name);
}

static json_t *own(json_t *given)
{
    return given ? json_incref(given) : json_object();
}

static int fill(struct vm_info *v, const struct vm_launch *rq, struct err *e)
{
    *v = (struct vm_info){
        .state = VM_RUNNING, .created_ns = clock_real_ns(), .active_ns = clock_real_ns()};
    id_new(v->id);
    snprintf(v->account, sizeof(v->account), "%s", rq->account);
    host_clean_name(rq->name && *rq->name ? rq->name : "vm-12345678", v->name);
    if (strcmp(v->name, "queued") == 0)
        v->state = VM_STARTING;
    if (strcmp(v->name, "lost") == 0) {
        v->state = VM_LOST;
        strcpy(v->detail, "its monitor ended");
    }
    snprintf(v->image, sizeof(v->image), "%s", rq->image ? rq->image : "bash");
    snprintf(v->source, sizeof(v->source), "%s", v->image);
    v->disk_bytes = rq->disk_bytes ? rq->disk_bytes : 2 * (int64_t)GIB;
    v->metadata = own(rq->metadata);
    v->env = own(rq->env);
    v->ttl = rq->ttl;
    v->idle = rq->idle;
    v->expires_ns = v->ttl.seconds ? v->created_ns + v->ttl.seconds * 1000000000 : 0;
    int r = set_type(v, rq->machine_type ? rq->machine_type : types[0].name, e);
    if (rq->shape.vcpus)
        v->shape = rq->shape;
    return r < 0 ? r : set_firewall(v, rq->firewall, e);
}

int host_vm_launch(struct host *h, const struct vm_launch *rq, struct vm_info *ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    struct snapshot_info *s = NULL;
    int r = rq->snapshot ? find_snapshot(rq->account, rq->snapshot, &s, e) : 0;
    if (r < 0)
        return r;
    struct vm_info v = {0};
    r = n_vms == VMS_MAX ? err_set(e, ERR_FULL, "full") : fill(&v, rq, e);
    if (r < 0) {
        vm_info_done(&v);
        return r;
    }
    if (s) {
        strcpy(v.snapshot, s->id);
        strcpy(v.source, s->name);
    }
    vms[n_vms] = v;
    copy_vm(&vms[n_vms++], ret);
    return 0;
}

int host_vm_get(struct host *h, const char *account, const char *id, struct vm_info *ret,
                struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    struct vm_info *v;
    int r = find(account, id, &v, e);
    if (r == 0)
        copy_vm(v, ret);
    return r;
}

int host_vm_list(struct host *h, const char *account, struct vm_list *ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    ret->items = calloc(n_vms + 1, sizeof(*ret->items));
    for (size_t i = 0; i < n_vms; i++) {
        if (strcmp(vms[i].account, account) == 0)
            copy_vm(&vms[i], &ret->items[ret->n++]);
    }
    return 0;
}

static int apply(struct vm_info *v, const struct vm_patch *p, struct err *e)
{
    int r = 0;
    if (p->what & (VM_PATCH_FIREWALL | VM_PATCH_FIREWALL_AXES))
        r = set_firewall(v, p->firewall, e);
    if (r == 0 && p->what & VM_PATCH_DISK && p->disk_bytes < v->disk_bytes)
        r = err_field(e, "diskGiB", "a disk cannot shrink");
    if (r < 0)
        return r;
    if (p->what & VM_PATCH_MACHINE_TYPE)
        snprintf(v->next_machine_type, sizeof(v->next_machine_type), "%s", p->machine_type);
    if (p->what & VM_PATCH_DISK)
        v->disk_bytes = p->disk_bytes;
    if (p->what & VM_PATCH_NAME)
        host_clean_name(p->name, v->name);
    if (p->what & VM_PATCH_METADATA) {
        json_decref(v->metadata);
        v->metadata = json_incref(p->metadata);
    }
    if (p->what & VM_PATCH_TTL) {
        v->ttl = p->ttl;
        v->expires_ns = p->ttl.seconds ? clock_real_ns() : 0;
    }
    if (p->what & VM_PATCH_IDLE)
        v->idle = p->idle;
    return 0;
}

int host_vm_patch(struct host *h, const char *account, const char *id, const struct vm_patch *p,
                  struct vm_info *ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    struct vm_info *v;
    int r = find(account, id, &v, e);
    if (r == 0)
        r = apply(v, p, e);
    if (r == 0)
        copy_vm(v, ret);
    return r;
}

int host_vm_pause(struct host *h, const char *account, const char *id, struct vm_info *ret,
                  struct err *e)
{
    return move(account, id, 1u << VM_RUNNING, VM_PAUSED, ret, e);
}

int host_vm_resume(struct host *h, const char *account, const char *id, struct vm_info *ret,
                   struct err *e)
{
    return move(account, id, 1u << VM_PAUSED | 1u << VM_SUSPENDED, VM_RUNNING, ret, e);
}

int host_vm_suspend(struct host *h, const char *account, const char *id, struct vm_info *ret,
                    struct err *e)
{
    return move(account, id, 1u << VM_PAUSED | 1u << VM_RUNNING, VM_SUSPENDED, ret, e);
}

/* Without time for it, it is as lost. */
int host_vm_stop(struct host *h, const char *account, const char *id, int timeout_ms,
                 struct vm_info *ret, struct err *e)
{
    if (timeout_ms == 12345000)
        return err_set(e, ERR_TIMEOUT, "it does not stop");
    int r = move(account, id, 1u << VM_PAUSED | 1u << VM_RUNNING, VM_STOPPED, ret, e);
    if (r == 0 && !timeout_ms)
        snprintf(ret->name, sizeof(ret->name), "turned off");
    return r;
}

int host_vm_start(struct host *h, const char *account, const char *id, struct vm_info *ret,
                  struct err *e)
{
    return move(account, id, 1u << VM_STOPPED | 1u << VM_LOST, VM_RUNNING, ret, e);
}

int host_vm_delete(struct host *h, const char *account, const char *id, struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    struct vm_info *v;
    int r = find(account, id, &v, e);
    if (r < 0)
        return r;
    vm_info_done(v);
    n_vms--;
    memmove(v, v + 1, (size_t)(&vms[n_vms] - v) * sizeof(*v));
    return 0;
}

int host_vm_refresh_ttl(struct host *h, const char *account, const char *id, struct vm_info *ret,
                        struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    struct vm_info *v;
    int r = find(account, id, &v, e);
    if (r == 0 && !v->ttl.seconds)
        return err_set(e, ERR_CONFLICT, "the VM has no TTL");
    if (r == 0)
        copy_vm(v, ret);
    return r;
}

int host_vm_stats(struct host *h, const char *account, const char *id, struct vm_stats *ret,
                  struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    struct vm_info *v;
    int r = find(account, id, &v, e);
    if (r < 0)
        return r;
    *ret = (struct vm_stats){
        .monitor = {5000, 6, 7, 8, 9}, .net_rx_bytes = 10, .net_tx_bytes = 11, .execs = 12};
    if (v->state == VM_RUNNING)
        strcpy(ret->host_address, "10.201.0.2");
    return 0;
}

int host_vm_fork(struct host *h, const char *account, const char *id, const struct vm_fork *rq,
                 struct vm_fork_result *ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    struct vm_info *v;
    int r = find(account, id, &v, e);
    if (r < 0)
        return r;
    if (v->state != VM_RUNNING && v->state != VM_PAUSED)
        return illegal(v, e);
    ret->pause_us = 14200;
    ret->children.items = calloc((size_t)rq->count, sizeof(struct vm_info));
    ret->ready_us = calloc((size_t)rq->count, sizeof(int64_t));
    for (int i = 0; i < rq->count; i++) {
        struct vm_info *child = &ret->children.items[ret->children.n++];
        copy_vm(v, child);
        id_new(child->id);
        strcpy(child->forked_from, v->id);
        snprintf(child->name, sizeof(child->name), "%.200s-%d", rq->name ? rq->name : v->name,
                 i + 1);
        if (rq->metadata) {
            json_decref(child->metadata);
            child->metadata = json_incref(rq->metadata);
        }
        ret->ready_us[i] = 231000 + i;
        copy_vm(child, &vms[n_vms++]);
    }
    return 0;
}

/* ---- snapshots ---- */

int host_snapshot_create(struct host *h, const char *account, const char *vm, const char *name,
                         struct snapshot_info *ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    struct vm_info *v;
    int r = find(account, vm, &v, e);
    if (r == 0 && v->state != VM_RUNNING && v->state != VM_PAUSED)
        r = illegal(v, e);
    if (r == 0)
        r = stub_charge_snapshot(account, e);
    if (r < 0)
        return r;
    struct snapshot_info *s = &snapshots[n_snapshots++];
    *s = (struct snapshot_info){.state = SNAPSHOT_READY,
                                .shape = v->shape,
                                .disk_bytes = v->disk_bytes,
                                .size_bytes = 1234,
                                .pause_us = 5600,
                                .metadata = json_incref(v->metadata),
                                .env = json_incref(v->env),
                                .firewall = json_incref(v->firewall),
                                .created_ns = clock_real_ns()};
    id_new(s->id);
    strcpy(s->account, account);
    strcpy(s->vm, vm);
    strcpy(s->image, v->image);
    strcpy(s->machine_type, v->machine_type);
    host_clean_name(name && *name ? name : "snapshot-12345678", s->name);
    copy_snapshot(s, ret);
    return 0;
}

int host_snapshot_get(struct host *h, const char *account, const char *id,
                      struct snapshot_info *ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    struct snapshot_info *s;
    int r = find_snapshot(account, id, &s, e);
    if (r == 0)
        copy_snapshot(s, ret);
    return r;
}

int host_snapshot_list(struct host *h, const char *account, struct snapshot_list *ret,
                       struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    ret->items = calloc(n_snapshots + 1, sizeof(*ret->items));
    for (size_t i = 0; i < n_snapshots; i++) {
        if (strcmp(snapshots[i].account, account) == 0)
            copy_snapshot(&snapshots[i], &ret->items[ret->n++]);
    }
    return 0;
}

int host_snapshot_rename(struct host *h, const char *account, const char *id, const char *name,
                         struct snapshot_info *ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    struct snapshot_info *s;
    int r = find_snapshot(account, id, &s, e);
    if (r < 0)
        return r;
    host_clean_name(name, s->name);
    copy_snapshot(s, ret);
    return 0;
}

int host_snapshot_delete(struct host *h, const char *account, const char *id, struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    struct snapshot_info *s;
    int r = find_snapshot(account, id, &s, e);
    if (r < 0)
        return r;
    snapshot_info_done(s);
    n_snapshots--;
    memmove(s, s + 1, (size_t)(&snapshots[n_snapshots] - s) * sizeof(*s));
    return 0;
}
