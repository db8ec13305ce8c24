/* SPDX-License-Identifier: Apache-2.0 */

/* What happens to VMs by itself: the TTL's and the idle policy's actions, the end of a monitor, the
 * work that a capture leaves behind. One thread, once a second and when it is woken. */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/console.h"
#include "host/vms_priv.h"

#define LOOK_MS 1000
#define SWEEP_MS 60000         /* of staged objects whose time is over */
#define FLATTEN_AT_CAPTURES 24 /* so many at the most without having looked at the layers */
#define STOP_GRACE_MS 30000

/* An idle guest's own life: its kernel's ticks, its init. Beyond this it is doing something. */
#define IDLE_CPU_PERCENT 5
#define IDLE_IO_BYTES (64 * KIB)
#define IDLE_NET_BYTES (4 * KIB)

/* --- after captures --- */

static int flatten(struct instances *s, struct instance *inst, struct err *e)
{
    int r = engine_flatten(s->host->engine, &inst->vm->monitor, e);
    if (r == 0)
        inst->captures = 0;
    return r;
}

int vms_capture(struct instances *s, struct instance *inst, const char *dir, enum capture_kind kind,
                struct capture_times *ret, struct err *e)
{
    /* One capture after the other gives the timers no time between them. */
    int r = inst->captures >= FLATTEN_AT_CAPTURES ? flatten(s, inst, e) : 0;
    if (r == 0)
        r = engine_capture(s->host->engine, &inst->vm->monitor, dir, kind, ret, e);
    if (r < 0)
        return r;
    inst->captures++;
    AUTO_LOCK(&s->lock);
    inst->was_captured = true;
    pthread_cond_broadcast(&s->changed);
    return 0;
}

static void look_after_capture(struct instances *s, struct instance *inst)
{
    struct err e = ERR_INIT;
    int r = instance_hold(s, inst, 1u << VM_RUNNING | 1u << VM_PAUSED, "be looked after", NULL);
    if (r < 0)
        return;
    if (inst->record.info.state == VM_RUNNING)
        r = vm_greet(s->host, inst->vm, true, &e);
    if (r == 0)
        r = flatten(s, inst, &e);
    if (r < 0)
        log_warn("vms", "vm=%s after a capture: %s", inst->record.info.id, e.text);
    instance_let_go(s, inst);
}

/* --- monitors that ended --- */

/* A guest that shut itself down is stopped; anything else is a loss. */
static void see_end(struct instances *s, struct instance *inst)
{
    enum monitor_state state = MONITOR_RUNNING;
    struct err e = ERR_INIT;
    int status = -1;
    if (instance_hold(s, inst, 1u << VM_RUNNING | 1u << VM_PAUSED, "end", NULL) < 0)
        return;
    auto_close int pidfd = proc_ref_open(&inst->vm->monitor.proc);
    if (pidfd >= 0 && proc_wait(pidfd, 0, &status) < 0) {
        instance_let_go(s, inst);
        return;
    }
    (void)engine_state(s->host->engine, &inst->vm->monitor, &state, &e);
    console_detach(s->host->consoles, inst->record.info.id);
    vm_end_keeping_disk(s->host, instance_take_vm(s, inst));
    if (status == 0) {
        log_info("vms", "vm=%s has shut itself down", inst->record.info.id);
        instance_mark(s, inst, VM_STOPPED, NULL);
        instance_release_compute(s, inst);
        instance_let_go(s, inst);
        return;
    }
    instance_lose(s, inst, "its monitor ended by itself");
}

static bool has_ended(struct instances *s, struct instance *inst)
{
    AUTO_LOCK(&s->lock);
    struct vm *vm = inst->vm;
    if (!vm || inst->busy)
        return false;
    return vm->link ? link_ended(vm->link, NULL) : proc_has_ended(&vm->monitor.proc);
}

/* --- time and idleness --- */

static void act(struct instances *s, struct instance *inst, enum vm_action action, const char *why)
{
    struct err e = ERR_INIT;
    const char *account = inst->record.info.account, *id = inst->record.info.id;
    int r = 0;
    switch (action) {
    case VM_ACTION_NONE:
        return;
    case VM_ACTION_PAUSE:
        r = host_vm_pause(s->host, account, id, NULL, &e);
        break;
    case VM_ACTION_SUSPEND:
        r = host_vm_suspend(s->host, account, id, NULL, &e);
        break;
    case VM_ACTION_STOP:
        r = host_vm_stop(s->host, account, id, STOP_GRACE_MS, NULL, &e);
        break;
    case VM_ACTION_DELETE:
        r = host_vm_delete(s->host, account, id, &e);
        break;
    }
    if (r < 0)
        log_warn("vms", "vm=%s %s: %s", id, why, e.text);
    else
        log_info("vms", "vm=%s %s", id, why);
}

static bool is_active(struct instance *inst, const struct vm_stats *st, int64_t now_us)
{
    uint64_t net = st->net_rx_bytes + st->net_tx_bytes;
    int64_t wall = now_us - inst->seen.at_us;
    bool first = !inst->seen.at_us;
    bool active =
        st->execs > 0 ||
        (int64_t)(st->monitor.cpu_us - inst->seen.cpu_us) * 100 > wall * IDLE_CPU_PERCENT ||
        st->monitor.io_bytes - inst->seen.io_bytes > IDLE_IO_BYTES ||
        net - inst->seen.net_bytes > IDLE_NET_BYTES;
    inst->seen.cpu_us = st->monitor.cpu_us;
    inst->seen.io_bytes = st->monitor.io_bytes;
    inst->seen.net_bytes = net;
    inst->seen.at_us = now_us;
    return active || first;
}

static void watch_idle(struct instances *s, struct instance *inst)
{
    struct vm_stats st = {0};
    if (instance_hold(s, inst, 1u << VM_RUNNING, "be watched", NULL) < 0)
        return;
    int r = vms_stats(s, inst, &st, NULL);
    bool active = r < 0 || is_active(inst, &st, clock_mono_us());
    instance_let_go(s, inst);
    int64_t now = clock_real_ns(), idle_ns;
    {
        AUTO_LOCK(&s->lock);
        if (active)
            inst->record.info.active_ns = now;
        idle_ns = now - inst->record.info.active_ns;
    }
    if (idle_ns >= inst->record.info.idle.seconds * 1000000000)
        act(s, inst, inst->record.info.idle.action, "was idle for its time");
}

static void look_at(struct instances *s, struct instance *inst)
{
    bool captured, expired, idles;
    {
        AUTO_LOCK(&s->lock);
        const struct vm_info *v = &inst->record.info;
        captured = inst->was_captured;
        inst->was_captured = false;
        expired = v->state == VM_RUNNING && v->expires_ns && v->expires_ns <= clock_real_ns();
        idles = v->state == VM_RUNNING && v->idle.seconds && !inst->busy;
    }
    if (has_ended(s, inst))
        see_end(s, inst);
    else if (expired)
        act(s, inst, inst->record.info.ttl.action, "has lived its time");
    else if (captured)
        look_after_capture(s, inst);
    else if (idles)
        watch_idle(s, inst);
}

/* --- the thread --- */

static bool any_captured(struct instances *s)
{
    for (struct instance *i = s->first; i; i = i->next) {
        if (i->was_captured)
            return true;
    }
    return false;
}

/* The one after `inst` (which is given back), referenced. */
static struct instance *step(struct instances *s, struct instance *inst)
{
    AUTO_LOCK(&s->lock);
    struct instance *next = inst ? inst->next : s->first;
    if (inst && inst->gone)
        next = NULL; /* out of the list: the rest has its turn next time */
    if (next)
        next->refs++;
    if (inst && --inst->refs == 0)
        instance_destroy(inst);
    return next;
}

static void wait_turn(struct instances *s)
{
    int64_t until_ms = clock_mono_ms() + LOOK_MS;
    AUTO_LOCK(&s->lock);
    while (!s->stopping && !any_captured(s) && clock_mono_ms() < until_ms)
        link_cond_wait(&s->changed, &s->lock, until_ms);
}

void *instances_timer(void *arg)
{
    struct instances *s = arg;
    int64_t sweep_ms = 0;
    while (!s->stopping) {
        if (clock_mono_ms() >= sweep_ms) {
            staging_sweep(s->host->staging);
            sweep_ms = clock_mono_ms() + SWEEP_MS;
        }
        struct instance *inst = NULL;
        while ((inst = step(s, inst)) && !s->stopping)
            look_at(s, inst);
        instance_unref(s, inst);
        wait_turn(s);
    }
    return NULL;
}
