/* SPDX-License-Identifier: Apache-2.0 */

/* The moves of the life cycle. Each is: find, begin (the transitional state is stored), do, end.
 * What fails puts the VM back to where it was. */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/console.h"
#include "host/vm_kernel.h"
#include "host/vms_priv.h"

#define POWER_TIMEOUT_MS 5000
#define LOOK_MS 500
#define STOP_GRACE_MS 30000 /* of what stops by itself */

/* What the public calls have in common. */
struct move {
    enum vm_event event;
    int already; /* the state in which there is nothing to do; -1: none */
    /* The VM is busy; ends the move. */
    int (*run)(struct instances *s, struct instance *inst, const struct move *m, struct err *e);
    int timeout_ms; /* stop */
};

/* 1: there was nothing to do. */
static int run_move(struct instances *s, struct instance *inst, const struct move *m,
                    bool (*due)(const struct instance *inst), struct err *e)
{
    struct instance_wish w = {.event = m->event, .already = m->already, .due = due};
    int r = instance_begin(s, inst, &w, e);
    if (r == 0)
        r = m->run(s, inst, m, e);
    return r;
}

static int make_move(struct host *h, const char *account, const char *id, const struct move *m,
                     struct vm_info *ret, struct err *e)
{
    struct err own = ERR_INIT;
    struct instances *s = h->instances;
    struct instance *inst = NULL;
    e = e ? e : &own;
    int r = instance_find(s, account, id, &inst, e);
    if (r < 0)
        return r;
    r = run_move(s, inst, m, NULL, e);
    if (r >= 0)
        instance_get_info(s, inst, ret);
    instance_unref(s, inst);
    return r < 0 ? r : 0;
}

/* Whether a failure was because the monitor is no more; then the VM is lost. */
static bool lost(struct instances *s, struct instance *inst, const struct err *e)
{
    enum monitor_state state = MONITOR_RUNNING;
    if (engine_state(s->host->engine, &inst->vm->monitor, &state, NULL) < 0 ||
        state != MONITOR_GONE)
        return false;
    console_detach(s->host->consoles, inst->record.info.id);
    vm_end_keeping_disk(s->host, instance_take_vm(s, inst));
    instance_lose(s, inst, e->text);
    return true;
}

/* --- pause, resume --- */

static int run_pause(struct instances *s, struct instance *inst, const struct move *m,
                     struct err *e)
{
    int r = engine_pause(s->host->engine, &inst->vm->monitor, e);
    if (r < 0 && lost(s, inst, e))
        return r;
    if (r < 0) /* who knows how far it came */
        (void)engine_resume(s->host->engine, &inst->vm->monitor, NULL);
    instance_end(s, inst, r < 0 ? VM_RUNNING : VM_PAUSED);
    if (r == 0)
        vms_note(s, inst, "vm.paused", NULL);
    return r;
}

int host_vm_pause(struct host *h, const char *account, const char *id, struct vm_info *ret,
                  struct err *e)
{
    struct move m = {VM_EV_PAUSE, VM_PAUSED, run_pause, 0};
    return make_move(h, account, id, &m, ret, e);
}

/* It goes on, and so does what waited for that. */
static void go_on(struct instances *s, struct instance *inst)
{
    struct err e = ERR_INIT;
    if (vms_grow(s, inst, &e) < 0)
        log_warn("vms", "vm=%s disk has not grown: %s", inst->record.info.id, e.text);
    instance_let_go(s, inst);
}

/* The guest stood still; its clock did too. */
static int reach(struct instances *s, struct instance *inst, struct err *e)
{
    struct link *link = inst->vm->link;
    if (link && !link_ended(link, NULL))
        return vm_greet(s->host, inst->vm, e);
    instance_drop_link(s, inst);
    return instance_connect(s, inst, e);
}

static int resume_memory(struct instances *s, struct instance *inst, struct err *e)
{
    struct vm *vm = inst->vm;
    int r = engine_resume(s->host->engine, &vm->monitor, e);
    if (r == 0)
        r = reach(s, inst, e);
    if (r < 0 && lost(s, inst, e))
        return r;
    if (r == 0) {
        instance_mark(s, inst, VM_RUNNING, NULL);
        go_on(s, inst);
        return 0;
    }
    (void)engine_pause(s->host->engine, &vm->monitor, NULL);
    instance_end(s, inst, VM_PAUSED);
    return r;
}

static int wake(struct instances *s, struct instance *inst, struct vm **ret, struct err *e)
{
    const struct vm_info *info = &inst->record.info;
    char dir[PATH_MAX / 4];
    instance_path(s->host, "suspended", info->id, dir);
    struct vm_plan plan = {
        .id = info->id,
        .image = info->image,
        .shape = info->shape,
        .template_dir = dir,
        .policy = inst->policy,
        .who = {.keep = true},
        .lives = true,
        .timeout_s = s->host->config->restore_timeout_s,
    };
    int r = instance_charge_compute(s, inst, e);
    return r < 0 ? r : vms_start_vm(s->host, &plan, ret, e);
}

static int resume_disk(struct instances *s, struct instance *inst, struct err *e)
{
    struct vm *vm = NULL;
    int r = wake(s, inst, &vm, e);
    if (r < 0) {
        instance_release_compute(s, inst);
        instance_end(s, inst, VM_SUSPENDED);
        return r;
    }
    instance_set_vm(s, inst, vm);
    console_attach(s->host->consoles, s->host->engine, &vm->monitor);
    instance_mark(s, inst, VM_RUNNING, NULL);
    instance_drop_dir(s->host, "suspended", inst->record.info.id);
    go_on(s, inst);
    return 0;
}

static int run_resume(struct instances *s, struct instance *inst, const struct move *m,
                      struct err *e)
{
    int r = inst->vm ? resume_memory(s, inst, e) : resume_disk(s, inst, e);
    if (r == 0)
        vms_note(s, inst, "vm.resumed", NULL);
    return r;
}

int host_vm_resume(struct host *h, const char *account, const char *id, struct vm_info *ret,
                   struct err *e)
{
    struct move m = {VM_EV_RESUME, VM_RUNNING, run_resume, 0};
    return make_move(h, account, id, &m, ret, e);
}

/* --- suspend --- */

static int run_suspend(struct instances *s, struct instance *inst, const struct move *m,
                       struct err *e)
{
    const char *id = inst->record.info.id;
    char dir[PATH_MAX / 4];
    instance_path(s->host, "suspended", id, dir);
    instance_drop_dir(s->host, "suspended", id); /* of a former time, that could not be removed */
    int r = engine_capture(s->host->engine, &inst->vm->monitor, dir, CAPTURE_SUSPEND, NULL, e);
    if (r < 0 && lost(s, inst, e))
        return r;
    if (r < 0) {
        if (inst->before == VM_PAUSED)
            (void)engine_pause(s->host->engine, &inst->vm->monitor, NULL);
        instance_end(s, inst, inst->before);
        return r;
    }
    vm_kernel_carry(inst->vm->dir, dir);
    /* From here on it is what is on the disk that counts. */
    instance_mark(s, inst, VM_SUSPENDED, NULL);
    console_detach(s->host->consoles, id);
    vm_end(s->host, instance_take_vm(s, inst));
    instance_release_compute(s, inst);
    instance_let_go(s, inst);
    vms_note(s, inst, "vm.suspended", NULL);
    return 0;
}

int host_vm_suspend(struct host *h, const char *account, const char *id, struct vm_info *ret,
                    struct err *e)
{
    struct move m = {VM_EV_SUSPEND, VM_SUSPENDED, run_suspend, 0};
    return make_move(h, account, id, &m, ret, e);
}

/* --- stop, start --- */

static int resume_for_stop(struct instances *s, struct instance *inst)
{
    int r = engine_resume(s->host->engine, &inst->vm->monitor, NULL);
    return r < 0 ? r : reach(s, inst, NULL);
}

/* Asks the system to shut down and waits for the monitor's end, but does not hold up the end of the
 * daemon. */
static void power_off(struct instances *s, struct instance *inst, int timeout_ms)
{
    struct vm *vm = inst->vm;
    int64_t until_ms = clock_mono_ms() + timeout_ms;
    auto_close int pidfd = proc_ref_open(&vm->monitor.proc);
    if (pidfd < 0)
        return;
    if (inst->before == VM_PAUSED && resume_for_stop(s, inst) < 0)
        return;
    /* Both: a system with an init of its own acts on the button, one without it on its agent. */
    (void)engine_power_button(s->host->engine, &vm->monitor, NULL);
    int64_t ask_ms = clock_mono_ms() + POWER_TIMEOUT_MS;
    if (vm->link)
        (void)guest_power(vm->link, false, ask_ms < until_ms ? ask_ms : until_ms, NULL);
    int left_ms = clock_left_ms(until_ms);
    while (left_ms > 0 && !s->host->aborting &&
           proc_wait(pidfd, left_ms < LOOK_MS ? left_ms : LOOK_MS, NULL) == -ETIMEDOUT)
        left_ms = clock_left_ms(until_ms);
}

static int run_stop(struct instances *s, struct instance *inst, const struct move *m, struct err *e)
{
    if (m->timeout_ms > 0)
        power_off(s, inst, m->timeout_ms);
    if (m->timeout_ms > 0 && s->host->aborting) {
        /* The next daemon finds it stopped, or running as before. */
        instance_let_go(s, inst);
        return err_set(e, ERR_UNAVAILABLE, "holmd is ending");
    }
    console_detach(s->host->consoles, inst->record.info.id);
    vm_end_keeping_disk(s->host, instance_take_vm(s, inst));
    instance_mark(s, inst, VM_STOPPED, NULL);
    instance_release_compute(s, inst);
    instance_let_go(s, inst);
    vms_note(s, inst, "vm.stopped", NULL);
    return 0;
}

int host_vm_stop(struct host *h, const char *account, const char *id, int timeout_ms,
                 struct vm_info *ret, struct err *e)
{
    struct move m = {VM_EV_STOP, VM_STOPPED, run_stop, timeout_ms};
    return make_move(h, account, id, &m, ret, e);
}

/* With the machine type that was chosen meanwhile; one that never ran comes from where it should
 * have come from. */
static int prepare_start(struct instances *s, struct instance *inst, struct err *e)
{
    struct instance_record next;
    struct machine_type type;
    vms_copy_record(s, inst, &next);
    if (next.origin == ORIGIN_DISK && next.info.next_machine_type[0] &&
        vms_machine_type(s->host, next.info.next_machine_type, &type, NULL) == 0) {
        next.info.shape = type.shape;
        memcpy(next.info.machine_type, type.name, sizeof(type.name));
        next.info.next_machine_type[0] = '\0';
    }
    int r = instance_change(s, inst, &next, e);
    return r < 0 ? r : instance_charge_compute(s, inst, e);
}

static int run_start(struct instances *s, struct instance *inst, const struct move *m,
                     struct err *e)
{
    int r = prepare_start(s, inst, e);
    if (r == 0)
        r = instance_start(s, inst, NULL, e);
    if (r == 0)
        r = instances_run_all(s, &inst, 1, e);
    if (r == 0) {
        vms_note(s, inst, "vm.started", NULL);
        return 0;
    }
    if (inst->vm) {
        console_detach(s->host->consoles, inst->record.info.id);
        vm_end_keeping_disk(s->host, instance_take_vm(s, inst));
    }
    instance_release_compute(s, inst);
    if (inst->before == VM_LOST)
        instance_lose(s, inst, e->text);
    else
        instance_end(s, inst, inst->before);
    return r;
}

int host_vm_start(struct host *h, const char *account, const char *id, struct vm_info *ret,
                  struct err *e)
{
    struct move m = {VM_EV_START, VM_RUNNING, run_start, 0};
    return make_move(h, account, id, &m, ret, e);
}

/* --- delete --- */

void vms_remove_all(struct instances *s, struct instance *inst)
{
    const char *id = inst->record.info.id;
    console_detach(s->host->consoles, id);
    struct vm *vm = instance_take_vm(s, inst);
    if (vm)
        vm_end(s->host, vm);
    else
        instance_drop_dir(s->host, "vms", id);
    instance_drop_dir(s->host, "suspended", id);
    console_forget(s->host->consoles, id);
    vms_forget_log(s->host, id);
    instance_remove(s, inst);
}

static int run_delete(struct instances *s, struct instance *inst, const struct move *m,
                      struct err *e)
{
    vms_remove_all(s, inst);
    vms_note(s, inst, "vm.deleted", NULL);
    return 0;
}

int host_vm_delete(struct host *h, const char *account, const char *id, struct err *e)
{
    struct move m = {VM_EV_DELETE, -1, run_delete, 0};
    return make_move(h, account, id, &m, NULL, e);
}

/* --- what happens by itself --- */

int vms_act(struct instances *s, struct instance *inst, enum vm_action action,
            bool (*due)(const struct instance *inst), struct err *e)
{
    static const struct move moves[] = {
        [VM_ACTION_PAUSE] = {VM_EV_PAUSE, VM_PAUSED, run_pause, 0},
        [VM_ACTION_SUSPEND] = {VM_EV_SUSPEND, VM_SUSPENDED, run_suspend, 0},
        [VM_ACTION_STOP] = {VM_EV_STOP, VM_STOPPED, run_stop, STOP_GRACE_MS},
        [VM_ACTION_DELETE] = {VM_EV_DELETE, -1, run_delete, 0},
    };
    const struct move *m = &moves[action];
    return m->run ? run_move(s, inst, m, due, e) : 0;
}
