/* SPDX-License-Identifier: Apache-2.0 */

/* Launching. What can start at once does so on the caller's thread; what has to wait - for a
 * template of its shape, for room on the host - is started by the launchers, in the order it came.
 */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/console.h"
#include "host/images_priv.h"
#include "host/snapshots.h"
#include "host/vm_pool.h"
#include "host/vms_priv.h"

#define LAUNCH_AGAIN_MS 200

/* --- starting a monitor for an instance --- */

/* What a host name may hold. */
static void hostname_of(const char *name, char ret[64])
{
    size_t n = 0;
    for (const char *p = name; *p && n < 63; p++) {
        if (isalnum((unsigned char)*p) && (unsigned char)*p < 0x80)
            ret[n++] = (char)tolower((unsigned char)*p);
        else if (n && ret[n - 1] != '-')
            ret[n++] = '-';
    }
    while (n && ret[n - 1] == '-')
        n--;
    ret[n] = '\0';
    if (!n)
        strcpy(ret, "vm");
}

/* From where, and how large the disk is there. */
struct source {
    char template_dir[PATH_MAX / 4]; /* "": boot from its own disk */
    int64_t disk_bytes;
    struct image_use use; /* of an image's template */
};

static int find_source(struct instances *s, const struct instance *inst, const char *fork_dir,
                       struct source *ret, struct err *e)
{
    const struct vm_info *info = &inst->record.info;
    *ret = (struct source){.disk_bytes = info->disk_bytes};
    switch (inst->record.origin) {
    case ORIGIN_IMAGE: {
        const struct image_ask ask = {info->image, &info->shape, info->account};
        int r = image_ready(s->host->images, &ask, &ret->use, e);
        if (r < 0)
            return r;
        ret->disk_bytes = ret->use.disk_bytes;
        memcpy(ret->template_dir, ret->use.template_dir, sizeof(ret->template_dir));
        return 0;
    }
    case ORIGIN_SNAPSHOT:
        return snapshots_source(s->host->snapshots, info->snapshot, ret->template_dir,
                                &ret->disk_bytes, e);
    case ORIGIN_FORK:
        path_printf(ret->template_dir, sizeof(ret->template_dir), "%s", fork_dir);
        return 0;
    case ORIGIN_DISK:
        ret->disk_bytes = 0; /* the guest looks at each boot */
        return 0;
    }
    return err_set(e, ERR_INTERNAL, "vm %s has no origin", info->id);
}

/* The disk is larger than what it was made from: tell the monitor, then the guest. */
static int grow(struct host *h, struct vm *vm, int64_t bytes, struct err *e)
{
    int r = engine_resize_disk(h->engine, &vm->monitor, (uint64_t)bytes, e);
    return r < 0 ? r : guest_grow(vm->link, bytes, clock_mono_ms() + GUEST_GROW_TIMEOUT_MS, e);
}

/* What the engine says of a template that it refuses. That of an image is made anew; a snapshot is
 * what it is. */
static void note_refusal(struct instances *s, struct instance *inst, struct err *e)
{
    const struct vm_info *info = &inst->record.info;
    if (e->class != ERR_CONFLICT && e->class != ERR_NOT_FOUND && e->class != ERR_INVALID)
        return;
    if (inst->record.origin == ORIGIN_IMAGE) {
        if (e->class == ERR_INVALID) /* there is no room for its shape on this host */
            return;
        image_distrust(s->host->images, &(struct image_ask){info->image, &info->shape}, e->text);
        err_set(e, ERR_FULL, "image %s is being prepared anew", info->image);
    } else {
        e->class = ERR_CONFLICT;
        e->field[0] = '\0';
    }
}

int vms_start_vm(struct host *h, const struct vm_plan *plan, struct vm **ret, struct err *e)
{
    int r = vm_start(h, plan, ret, e);
    while (r < 0 && e->class == ERR_FULL &&
           (vm_pool_give_way(h->vm_pool) || pool_give_way(h->pool, NULL)))
        r = vm_start(h, plan, ret, e);
    return r;
}

static int start_vm(struct instances *s, struct instance *inst, const struct source *src,
                    struct vm **ret, struct err *e)
{
    const struct vm_info *info = &inst->record.info;
    const struct config *c = s->host->config;
    bool boots = inst->record.origin == ORIGIN_DISK;
    char hostname[64];
    hostname_of(info->name, hostname);
    struct vm_plan plan = {
        .id = info->id,
        .image = info->image,
        .shape = info->shape,
        .template_dir = boots ? NULL : src->template_dir,
        .disk_bytes = boots ? info->disk_bytes : 0,
        .policy = inst->policy,
        .who = {.id = info->id, .hostname = hostname, .keep = !boots},
        .lives = true,
        .keep_dir = boots,
        .timeout_s = boots ? c->boot_timeout_s : c->restore_timeout_s,
    };
    int r = vms_start_vm(s->host, &plan, ret, e);
    if (r < 0)
        note_refusal(s, inst, e);
    return r;
}

int instance_start(struct instances *s, struct instance *inst, const char *fork_dir, struct err *e)
{
    struct source src;
    struct vm *vm = NULL;
    const struct vm_info *info = &inst->record.info;
    int r = find_source(s, inst, fork_dir, &src, e);
    if (r == 0)
        r = start_vm(s, inst, &src, &vm, e);
    image_release(s->host->images, &src.use);
    if (r < 0)
        return r;
    if (info->disk_bytes > src.disk_bytes || inst->record.grows)
        r = grow(s->host, vm, info->disk_bytes, e);
    if (r < 0) {
        if (inst->record.origin == ORIGIN_DISK)
            vm_end_keeping_disk(s->host, vm);
        else
            vm_end(s->host, vm);
        return err_wrap(e, r, "grow the disk");
    }
    instance_set_vm(s, inst, vm);
    inst->record.grows = false;
    console_attach(s->host->consoles, s->host->engine, &vm->monitor);
    return 0;
}

/* --- the launchers --- */

static bool is_waiting(const struct instance *inst)
{
    return inst->record.info.state == VM_STARTING && !inst->busy;
}

/* The first that is due, held and referenced; NULL: *ret_until_ms says when to look again. Lock
 * held. */
static struct instance *next_waiting(struct instances *s, int64_t *ret_until_ms)
{
    int64_t now = clock_mono_ms();
    *ret_until_ms = now + 60000;
    for (struct instance *inst = s->first; inst; inst = inst->next) {
        if (!is_waiting(inst))
            continue;
        if (inst->due_ms <= now) {
            inst->busy = true;
            inst->refs++;
            return inst;
        }
        if (inst->due_ms < *ret_until_ms)
            *ret_until_ms = inst->due_ms;
    }
    return NULL;
}

static void launch_waiting(struct instances *s, struct instance *inst)
{
    struct err e = ERR_INIT;
    int r = instance_start(s, inst, NULL, &e);
    if (r == 0)
        r = instances_run_all(s, &inst, 1, &e);
    if (r == 0) {
        vms_note(s, inst, "vm.started", NULL);
        instance_unref(s, inst);
        return;
    }
    struct vm *vm = instance_take_vm(s, inst);
    if (vm) {
        console_detach(s->host->consoles, inst->record.info.id);
        vm_end(s->host, vm);
    }
    if (e.class == ERR_FULL || s->host->aborting) {
        inst->due_ms = clock_mono_ms() + LAUNCH_AGAIN_MS;
        instance_let_go(s, inst);
    } else {
        instance_lose(s, inst, e.text);
    }
    instance_unref(s, inst);
}

void *instances_launcher(void *arg)
{
    struct instances *s = arg;
    AUTO_LOCK(&s->lock);
    while (!s->stopping) {
        int64_t until_ms;
        struct instance *inst = next_waiting(s, &until_ms);
        if (!inst) {
            link_cond_wait(&s->changed, &s->lock, until_ms);
            continue;
        }
        pthread_mutex_unlock(&s->lock);
        launch_waiting(s, inst);
        pthread_mutex_lock(&s->lock);
    }
    return NULL;
}

static int count_waiting(struct instances *s)
{
    AUTO_LOCK(&s->lock);
    int n = 0;
    for (struct instance *inst = s->first; inst; inst = inst->next)
        n += is_waiting(inst);
    return n;
}

/* --- the request --- */

/* Bytes of the character at `p`; a broken one is as long as what looks like it. */
static size_t char_bytes(const char *p)
{
    size_t n = 1;
    while (((unsigned char)p[n] & 0xc0) == 0x80 && n < 4)
        n++;
    return n;
}

void host_clean_name(const char *name, char ret[VM_NAME_SIZE])
{
    size_t n = 0, chars = 0;
    bool space = false;
    for (const char *p = name; *p;) {
        size_t bytes = char_bytes(p);
        if ((unsigned char)*p <= ' ' || *p == 0x7f) {
            space = n > 0;
        } else if (chars + space >= VM_NAME_MAX_CHARS) {
            break;
        } else {
            if (space)
                ret[n++] = ' ';
            memcpy(ret + n, p, bytes);
            n += bytes;
            chars += 1 + space;
            space = false;
        }
        p += bytes;
    }
    ret[n] = '\0';
}

void host_cut_name(char *name, size_t chars)
{
    char *p = name;
    while (*p && chars--)
        p += char_bytes(p);
    *p = '\0';
}

bool host_machine_type(struct host *h, size_t index, struct machine_type *ret)
{
    if (index >= (size_t)h->config->n_machine_types)
        return false;
    *ret = h->config->machine_types[index];
    return true;
}

int vms_machine_type(struct host *h, const char *name, struct machine_type *ret, struct err *e)
{
    for (size_t i = 0; host_machine_type(h, i, ret); i++) {
        if (!name || strcmp(ret->name, name) == 0)
            return 0;
    }
    return err_field(e, "machineType",
                     "there is no machine type \"%.40s\": GET /v1/machine-types lists them", name);
}

/* Any shape at all. One that has a name in the configuration goes by that; of others the GiB have
 * as many digits as it takes: every number of MiB is a whole number of 1024ths. */
static int type_of_shape(struct host *h, const struct machine_shape *shape,
                         struct machine_type *ret, struct err *e)
{
    if (shape->vcpus < 1 || shape->vcpus > VM_VCPUS_MAX)
        return err_field(e, "cpu", "a VM has 1 to %d vCPUs, not %d", VM_VCPUS_MAX, shape->vcpus);
    if (shape->memory_mib < VM_MEMORY_MIN_MIB || shape->memory_mib > VM_MEMORY_MAX_MIB)
        return err_field(e, "memory", "a VM has %d to %d MiB of memory, not %d", VM_MEMORY_MIN_MIB,
                         VM_MEMORY_MAX_MIB, shape->memory_mib);
    for (size_t i = 0; host_machine_type(h, i, ret); i++) {
        if (memcmp(&ret->shape, shape, sizeof(*shape)) == 0)
            return 0;
    }
    ret->shape = *shape;
    snprintf(ret->name, sizeof(ret->name), "c%dm%.15g", shape->vcpus, shape->memory_mib / 1024.0);
    return 0;
}

static json_t *given_or(json_t *given, json_t *other)
{
    return given ? json_incref(given) : other ? json_incref(other) : json_object();
}

/* A policy as it is stored: whole, in one shape. */
int vms_policy(json_t *json, json_t **ret, struct err *e)
{
    struct net_policy *p = NULL;
    int r = net_policy_parse(json, &p, e);
    if (r < 0)
        return r;
    *ret = net_policy_json(p);
    net_policy_free(p);
    return *ret ? 0 : err_errno(e, -ENOMEM, "firewall");
}

static int fill_from_image(struct host *h, const struct vm_launch *rq, struct vm_info *v,
                           struct err *e)
{
    struct machine_type type;
    struct image_info image;
    int r = rq->shape.vcpus ? type_of_shape(h, &rq->shape, &type, e)
                            : vms_machine_type(h, rq->machine_type, &type, e);
    if (r == 0)
        r = images_launchable(h, rq->account, rq->image, &image, e);
    if (r < 0)
        return r;
    v->shape = type.shape;
    v->disk_bytes = image.disk_bytes;
    path_printf(v->machine_type, sizeof(v->machine_type), "%s", type.name);
    path_printf(v->image, sizeof(v->image), "%s", image.key);
    path_printf(v->source, sizeof(v->source), "%s", image.name);
    v->metadata = given_or(rq->metadata, NULL);
    v->env = given_or(rq->env, NULL);
    return vms_policy(rq->firewall, &v->firewall, e);
}

/* Named besides a snapshot, it must be the one that the snapshot was made from. */
static int check_image(struct host *h, const struct vm_launch *rq, const char *key, struct err *e)
{
    struct image_info image;
    int r = images_launchable(h, rq->account, rq->image, &image, e);
    if (r == 0 && strcmp(image.key, key) != 0)
        r = err_field(e, "image", "the snapshot is of image %s, not of %s", key, image.key);
    return r;
}

static int fill_from_snapshot(struct host *h, const struct vm_launch *rq, struct vm_info *v,
                              struct err *e)
{
    struct snapshot_info snap = {0};
    int r = host_snapshot_get(h, rq->account, rq->snapshot, &snap, e);
    if (r < 0)
        return r;
    if (snap.state != SNAPSHOT_READY)
        r = err_set(e, ERR_CONFLICT, "snapshot %s is not ready", snap.name);
    else if (rq->machine_type && *rq->machine_type &&
             strcmp(rq->machine_type, snap.machine_type) != 0)
        r = err_field(e, "machineType", "the snapshot is of a %s and cannot become a %.40s",
                      snap.machine_type, rq->machine_type);
    else if (rq->shape.vcpus && memcmp(&rq->shape, &snap.shape, sizeof(snap.shape)) != 0)
        r = err_field(e, rq->shape.vcpus == snap.shape.vcpus ? "memory" : "cpu",
                      "the snapshot has %d vCPUs and %d MiB of memory and cannot have others",
                      snap.shape.vcpus, snap.shape.memory_mib);
    else if (rq->image && *rq->image)
        r = check_image(h, rq, snap.image, e);
    v->shape = snap.shape;
    v->disk_bytes = snap.disk_bytes;
    memcpy(v->machine_type, snap.machine_type, sizeof(v->machine_type));
    memcpy(v->image, snap.image, sizeof(v->image));
    memcpy(v->source, snap.name, sizeof(v->source));
    memcpy(v->snapshot, snap.id, sizeof(v->snapshot));
    v->metadata = given_or(rq->metadata, snap.metadata);
    v->env = given_or(rq->env, snap.env);
    if (r == 0)
        r = vms_policy(rq->firewall ? rq->firewall : snap.firewall, &v->firewall, e);
    snapshot_info_done(&snap);
    return r;
}

/* *ret_had_bytes: the size of the disk that it is made from. */
static int fill(struct host *h, const struct vm_launch *rq, struct instance_record *rec,
                int64_t *ret_had_bytes, struct err *e)
{
    struct vm_info *v = &rec->info;
    bool from_snapshot = rq->snapshot && *rq->snapshot;
    path_printf(v->account, sizeof(v->account), "%s", rq->account);
    host_clean_name(rq->name ? rq->name : "", v->name);
    v->state = VM_STARTING;
    v->created_ns = clock_real_ns();
    v->ttl = rq->ttl;
    v->idle = rq->idle;
    instance_clock_reset(v, v->created_ns);
    rec->origin = from_snapshot ? ORIGIN_SNAPSHOT : ORIGIN_IMAGE;
    int r = from_snapshot ? fill_from_snapshot(h, rq, v, e) : fill_from_image(h, rq, v, e);
    *ret_had_bytes = v->disk_bytes;
    if (r < 0 || !rq->disk_bytes)
        return r;
    if (rq->disk_bytes < v->disk_bytes)
        return err_field(e, "diskGiB", "the disk cannot be smaller than the %lld MiB it has",
                         (long long)(v->disk_bytes >> 20));
    if (rq->disk_bytes > (int64_t)VM_DISK_MAX_BYTES)
        return err_field(e, "diskGiB", "the disk cannot be larger than %llu GiB",
                         VM_DISK_MAX_BYTES / GIB);
    v->disk_bytes = rq->disk_bytes;
    return 0;
}

/* One that waited becomes the instance's; only its network and its name are not right yet. */
static int take_over(struct instances *s, struct instance *inst, struct vm *vm, int64_t had_bytes,
                     struct err *e)
{
    struct host *h = s->host;
    const struct vm_info *info = &inst->record.info;
    char hostname[64];
    hostname_of(info->name, hostname);
    struct guest_identity who = {.id = info->id, .hostname = hostname, .keep = true};
    struct link_wait w = {.deadline_ms = clock_mono_ms() + h->config->restore_timeout_s * 1000};
    int r = vm->net_slot >= 0 ? net_apply(h->net, vm->net_slot, inst->policy, e) : 0;
    if (r == 0)
        r = guest_restored(vm->link, &w, &who, NULL, e);
    if (r == 0 && info->disk_bytes > had_bytes)
        r = grow(h, vm, info->disk_bytes, e);
    if (r < 0) {
        vm_end(h, vm);
        return r;
    }
    instance_set_vm(s, inst, vm);
    console_attach(h->consoles, h->engine, &vm->monitor);
    return 0;
}

/* Starts it now, or leaves it to the launchers. */
static int launch(struct instances *s, struct instance *inst, struct vm *vm, int64_t had_bytes,
                  struct err *e)
{
    int r = vm ? take_over(s, inst, vm, had_bytes, e) : instance_start(s, inst, NULL, e);
    if (r < 0 && vm)
        r = instance_start(s, inst, NULL, e);
    if (r == 0)
        r = instances_run_all(s, &inst, 1, e);
    if (r == 0)
        return 0;
    if (e->class == ERR_FULL && count_waiting(s) < s->host->config->queue_max) {
        *e = (struct err)ERR_INIT;
        inst->due_ms = clock_mono_ms() + LAUNCH_AGAIN_MS;
        instance_let_go(s, inst);
        return 0;
    }
    vms_remove_all(s, inst);
    return r;
}

/* Its id is the VM's if one waited. */
static void identify(struct host *h, struct vm_info *v, struct vm **ret)
{
    *ret = vm_pool_take(h->vm_pool, v);
    if (*ret)
        memcpy(v->id, (*ret)->record.id, sizeof(v->id));
    else
        id_new(v->id);
    if (!*v->name)
        path_printf(v->name, sizeof(v->name), "vm-%.8s", v->id);
}

/* Its image was deleted in this moment. */
static void give_up(struct instances *s, struct instance *inst, struct vm *vm)
{
    if (vm)
        vm_end(s->host, vm);
    vms_remove_all(s, inst);
}

/* These do not change. */
static json_t *origin_json(const struct instance *inst)
{
    const struct vm_info *v = &inst->record.info;
    return v->snapshot[0] ? json_pack("{s:s, s:s}", "image", v->image, "snapshot", v->snapshot)
                          : json_pack("{s:s}", "image", v->image);
}

int host_vm_launch(struct host *h, const struct vm_launch *rq, struct vm_info *ret, struct err *e)
{
    struct err own = ERR_INIT;
    struct instances *s = h->instances;
    struct instance_record rec = {0};
    struct instance *inst = NULL;
    struct vm *vm = NULL;
    int64_t had_bytes = 0;
    e = e ? e : &own;
    int r = fill(h, rq, &rec, &had_bytes, e);
    if (r == 0)
        identify(h, &rec.info, &vm);
    if (r == 0)
        r = instance_add(s, &rec, &inst, e);
    vm_info_done(&rec.info);
    if (r < 0) {
        if (vm)
            vm_pool_give_back(h->vm_pool, vm);
        return r;
    }
    r = images_still_there(h, inst->record.info.image, e);
    if (r == 0)
        r = launch(s, inst, vm, had_bytes, e);
    else
        give_up(s, inst, vm);
    if (r == 0)
        vms_note(s, inst, "vm.created", origin_json(inst));
    if (r == 0)
        instance_get_info(s, inst, ret);
    instance_unref(s, inst);
    return r;
}
