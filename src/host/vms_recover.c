/* SPDX-License-Identifier: Apache-2.0 */

/* What a former daemon left, by the table at the head of instance.h. */

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "host/console.h"
#include "host/vms_priv.h"

#define REACH_ALL_MS 10000

static bool has_dir(struct instances *s, const char *kind, const char *id)
{
    char dir[PATH_MAX / 4];
    instance_path(s->host, kind, id, dir);
    return access(dir, F_OK) == 0;
}

/* Whether it ran before the move that its record tells of, if any. */
static bool was_running(const struct vm_info *info)
{
    bool moves = info->state == VM_SUSPENDING || info->state == VM_STOPPING;
    return info->state == VM_RUNNING || (moves && !info->paused_ns);
}

/* A capture held it still and did not come to its end. */
static enum vm_state let_run(struct instances *s, struct instance *inst, struct vm *vm)
{
    struct err e = ERR_INIT;
    int r = engine_resume(s->host->engine, &vm->monitor, &e);
    enum vm_state state = r < 0 ? VM_PAUSED : VM_RUNNING;
    if (r < 0)
        log_warn("vms", "vm=%s after a capture: %s", inst->record.info.id, e.text);
    return state;
}

/* The state of an instance that was found with this monitor: that before what was not ended. */
static enum vm_state found_state(struct instances *s, struct instance *inst, struct vm *vm,
                                 enum monitor_state monitor)
{
    const struct vm_info *info = &inst->record.info;
    if (monitor == MONITOR_PAUSED)
        return was_running(info) ? let_run(s, inst, vm) : VM_PAUSED;
    /* It was to hear that it should shut down. */
    bool was_paused = info->state == VM_STOPPING && info->paused_ns;
    return was_paused && engine_pause(s->host->engine, &vm->monitor, NULL) == 0 ? VM_PAUSED
                                                                                : VM_RUNNING;
}

/* A guest that does not answer, or not in time, runs all the same: the timers' thread tries again.
 * All together may hold up the daemon's start for only so long. */
static void reach(struct instances *s, struct instance *inst)
{
    struct err e = ERR_INIT;
    int64_t now_ms = clock_mono_ms();
    if (!s->reach_until_ms)
        s->reach_until_ms = now_ms + REACH_ALL_MS;
    int r = now_ms < s->reach_until_ms ? instance_connect(s, inst, &e) : 0;
    if (r == 0 && inst->vm->link)
        r = vms_grow(s, inst, &e);
    if (r < 0)
        log_warn("vms", "vm=%s adopted, but: %s", inst->record.info.id, e.text);
}

static bool adopt(struct instances *s, struct instance *inst, const struct vm_record *record,
                  struct err *e)
{
    struct vm *vm = NULL;
    enum monitor_state monitor = was_running(&inst->record.info) ? MONITOR_RUNNING : MONITOR_PAUSED;
    if (vm_adopt(s->host, record, inst->policy, &vm, &monitor, e) < 0)
        return false;
    instance_set_vm(s, inst, vm);
    console_attach(s->host->consoles, s->host->engine, &vm->monitor);
    enum vm_state state = found_state(s, inst, vm, monitor);
    instance_mark(s, inst, state, NULL);
    if (state == VM_RUNNING)
        reach(s, inst);
    instance_let_go(s, inst);
    instance_drop_dir(s->host, "suspended", inst->record.info.id);
    log_info("vms", "vm=%s adopted state=%s", inst->record.info.id,
             lifecycle_state_name(inst->record.info.state));
    return true;
}

/* What is saved is removed as soon as the VM runs again, so where it is it is what counts, whatever
 * the record says: a host that lost its power may have lost the last records as well. */
static bool is_suspended(struct instances *s, const struct instance *inst)
{
    switch (inst->record.info.state) {
    case VM_RUNNING:
    case VM_PAUSING:
    case VM_PAUSED:
    case VM_SUSPENDING:
    case VM_SUSPENDED:
    case VM_RESUMING:
        return has_dir(s, "suspended", inst->record.info.id);
    default:
        return false;
    }
}

/* Its monitor cannot be adopted, or there is none. */
static void settle(struct instances *s, struct instance *inst, const char *why)
{
    enum vm_state state = inst->record.info.state;
    if (is_suspended(s, inst)) {
        instance_release_compute(s, inst);
        instance_end(s, inst, VM_SUSPENDED);
    } else if (state == VM_DELETING ||
               (state == VM_STARTING && inst->record.origin == ORIGIN_FORK)) {
        vms_remove_all(s, inst);
    } else if (state == VM_STOPPING) {
        instance_release_compute(s, inst);
        instance_end(s, inst, VM_STOPPED);
    } else if (state == VM_STARTING || state == VM_STOPPED || state == VM_LOST) {
        instance_let_go(s, inst);
    } else {
        instance_lose(s, inst, why);
    }
}

static bool is_to_be_adopted(struct instances *s, const struct instance *inst)
{
    switch (inst->record.info.state) {
    case VM_RUNNING:
    case VM_PAUSING:
    case VM_PAUSED:
    case VM_SUSPENDING:
    case VM_STOPPING:
        return true;
    case VM_RESUMING:
        return !has_dir(s, "suspended", inst->record.info.id);
    default:
        return false;
    }
}

/* What is on the disk in the VM's directory is all there is of it. */
static bool needs_disk(struct instances *s, const struct instance *inst)
{
    enum vm_state state = inst->record.info.state;
    if (is_suspended(s, inst) || state == VM_DELETING)
        return false;
    return state != VM_STARTING || inst->record.origin == ORIGIN_DISK;
}

bool instances_inherit(struct instances *s, const struct vm_record *record)
{
    struct err e = ERR_INIT;
    struct instance *inst = instances_peek(s, record->id);
    if (!inst)
        return false;
    if (is_to_be_adopted(s, inst) && adopt(s, inst, record, &e))
        return true;
    if (e.text[0])
        log_info("vms", "vm=%s not adopted: %s", record->id, e.text);
    vm_reap(s->host, record, needs_disk(s, inst));
    settle(s, inst, e.text[0] ? e.text : "its monitor has ended");
    return true;
}

/* Entries of DATA/KIND that nobody has any more. */
static void drop_orphans(struct instances *s, const char *kind)
{
    char top[PATH_MAX / 4];
    instance_path(s->host, kind, "", top);
    auto_closedir DIR *d = opendir(top);
    for (struct dirent *de; d && (de = readdir(d));) {
        if (de->d_name[0] == '.')
            continue;
        struct instance *inst = instances_peek(s, de->d_name);
        bool wanted =
            inst && strcmp(kind, "suspended") == 0 && inst->record.info.state == VM_SUSPENDED;
        if (!wanted)
            instance_drop_dir(s->host, kind, de->d_name);
    }
}

void instances_settle(struct instances *s)
{
    /* Nothing else runs yet, so the list may be walked without the lock. */
    for (struct instance *inst = s->first, *next; inst; inst = next) {
        next = inst->next;
        if (inst->busy)
            settle(s, inst, "its monitor is gone, as after a restart of the host");
    }
    drop_orphans(s, "suspended");
    drop_orphans(s, "forks");
}
