/* SPDX-License-Identifier: Apache-2.0 */

/* What happens to VMs by itself: the TTL's and the idle policy's actions, the end of a monitor or
 * of its link, the work that a capture leaves behind. One thread looks at all of them, once a
 * second and when it is woken. What there is to do it gives to a thread for that VM alone: a guest
 * that does not answer, or takes its time to shut down, holds up no other. */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/console.h"
#include "host/vm_kernel.h"
#include "host/vms_priv.h"

#define LOOK_MS 1000
#define SWEEP_MS 60000         /* of staged objects whose time is over */
#define FLATTEN_AT_CAPTURES 24 /* so many at the most without having looked at the layers */
#define TENDERS_MAX 32         /* threads at a time */
#define ACT_AGAIN_MS 30000     /* an action that failed is tried again after so long */
#define RELINK_FIRST_MS 1000
#define RELINK_MAX_MS 60000

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
    vm_kernel_carry(inst->vm->dir, dir);
    inst->captures++;
    vms_log(s->host, inst->record.info.id, "%s",
            kind == CAPTURE_DURABLE ? "snapshot taken" : "copied for a fork");
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
    struct link *link = inst->vm->link;
    if (inst->record.info.state == VM_RUNNING && link && !link_ended(link, NULL))
        r = vm_greet(s->host, inst->vm, &e);
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
    int status = -1;
    if (instance_hold(s, inst, 1u << VM_RUNNING | 1u << VM_PAUSED, "end", NULL) < 0)
        return;
    auto_close int pidfd = proc_ref_open(&inst->vm->monitor.proc);
    if (pidfd >= 0 && proc_wait(pidfd, 0, &status) < 0) {
        instance_let_go(s, inst);
        return;
    }
    console_detach(s->host->consoles, inst->record.info.id);
    vm_end_keeping_disk(s->host, instance_take_vm(s, inst));
    if (status != 0) {
        instance_lose(s, inst, "its monitor ended by itself");
        return;
    }
    log_info("vms", "vm=%s has shut itself down", inst->record.info.id);
    instance_mark(s, inst, VM_STOPPED, NULL);
    instance_release_compute(s, inst);
    instance_let_go(s, inst);
    vms_note(s, inst, "vm.stopped", json_pack("{s:s}", "by", "guest"));
}

/* The monitor lives, but its agent cannot be reached: it was started anew, say, or broke the
 * protocol. Less and less often, since it may never answer again. */
static void relink(struct instances *s, struct instance *inst)
{
    struct err e = ERR_INIT;
    if (instance_hold(s, inst, 1u << VM_RUNNING, "be reached", NULL) < 0)
        return;
    instance_drop_link(s, inst);
    int r = instance_connect(s, inst, &e);
    if (r == 0)
        r = vms_grow(s, inst, &e);
    instance_let_go(s, inst);
    int wait_ms = inst->relink.wait_ms ? 2 * inst->relink.wait_ms : RELINK_FIRST_MS;
    AUTO_LOCK(&s->lock);
    inst->relink.wait_ms = r == 0 ? 0 : wait_ms < RELINK_MAX_MS ? wait_ms : RELINK_MAX_MS;
    inst->relink.at_ms = clock_mono_ms() + inst->relink.wait_ms;
    if (r < 0)
        log_warn("vms", "vm=%s agent is not connected, next try in %d ms: %s", inst->record.info.id,
                 inst->relink.wait_ms, e.text);
    else
        log_info("vms", "vm=%s agent is connected again", inst->record.info.id);
}

/* --- time and idleness --- */

static bool is_expired(const struct instance *inst)
{
    const struct vm_info *v = &inst->record.info;
    return v->state == VM_RUNNING && v->expires_ns && v->expires_ns <= clock_real_ns();
}

static bool is_idle(const struct instance *inst)
{
    const struct vm_info *v = &inst->record.info;
    return v->state == VM_RUNNING && v->idle.seconds && inst->execs == 0 &&
           inst->commands == inst->seen.commands &&
           clock_real_ns() - v->active_ns >= v->idle.seconds * 1000000000;
}

static void act(struct instances *s, struct instance *inst, enum vm_action action,
                bool (*due)(const struct instance *inst))
{
    static const char *const actions[] = {
        [VM_ACTION_NONE] = "none", [VM_ACTION_PAUSE] = "pause",   [VM_ACTION_SUSPEND] = "suspend",
        [VM_ACTION_STOP] = "stop", [VM_ACTION_DELETE] = "delete",
    };
    struct err e = ERR_INIT;
    const char *why = due == is_idle ? "was idle for its time" : "has lived its time";
    int r = vms_act(s, inst, action, due, &e);
    if (r < 0)
        log_warn("vms", "vm=%s %s: %s", inst->record.info.id, why, e.text);
    else if (r == 0)
        log_info("vms", "vm=%s %s", inst->record.info.id, why);
    if (r == 0)
        vms_note(s, inst, due == is_idle ? "vm.idle" : "vm.expired",
                 json_pack("{s:s}", "action", actions[action]));
    AUTO_LOCK(&s->lock);
    inst->act_ms = r < 0 ? clock_mono_ms() + ACT_AGAIN_MS : 0;
}

static bool is_active(struct instance *inst, const struct vm_stats *st, int64_t now_us)
{
    uint64_t net = st->net_rx_bytes + st->net_tx_bytes;
    int64_t wall = now_us - inst->seen.at_us;
    unsigned commands = inst->commands;
    bool first = !inst->seen.at_us;
    bool active =
        st->execs > 0 || commands != inst->seen.commands ||
        (int64_t)(st->monitor.cpu_us - inst->seen.cpu_us) * 100 > wall * IDLE_CPU_PERCENT ||
        st->monitor.io_bytes - inst->seen.io_bytes > IDLE_IO_BYTES ||
        net - inst->seen.net_bytes > IDLE_NET_BYTES;
    inst->seen.commands = commands;
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
    bool active = r < 0 || is_active(inst, &st, clock_mono_us()), idle;
    enum vm_action action;
    {
        AUTO_LOCK(&s->lock);
        if (active)
            inst->record.info.active_ns = clock_real_ns();
        idle = is_idle(inst);
        action = inst->record.info.idle.action;
    }
    instance_let_go(s, inst);
    if (idle)
        act(s, inst, action, is_idle);
}

/* --- errands --- */

enum errand { ERRAND_NONE, ERRAND_END, ERRAND_RELINK, ERRAND_TTL, ERRAND_CAPTURED, ERRAND_IDLE };

struct tender {
    struct instances *s;
    struct instance *inst; /* referenced */
    enum errand errand;
    enum vm_action action; /* TTL */
};

/* What there is to do. Lock held. */
static enum errand errand_of(const struct instance *inst, int64_t now_ms)
{
    const struct vm_info *v = &inst->record.info;
    const struct vm *vm = inst->vm;
    if (!vm || inst->busy || inst->tended)
        return ERRAND_NONE;
    bool cut = !vm->link || link_ended(vm->link, NULL);
    if (cut && proc_has_ended(&vm->monitor.proc))
        return ERRAND_END;
    if (is_expired(inst) && now_ms >= inst->act_ms)
        return ERRAND_TTL;
    if (cut && v->state == VM_RUNNING && now_ms >= inst->relink.at_ms)
        return ERRAND_RELINK;
    if (inst->was_captured)
        return ERRAND_CAPTURED;
    if (v->state == VM_RUNNING && v->idle.seconds && now_ms >= inst->act_ms)
        return ERRAND_IDLE;
    return ERRAND_NONE;
}

static void *tend(void *arg)
{
    struct tender *t = arg;
    struct instances *s = t->s;
    switch (t->errand) {
    case ERRAND_NONE:
        break;
    case ERRAND_END:
        see_end(s, t->inst);
        break;
    case ERRAND_RELINK:
        relink(s, t->inst);
        break;
    case ERRAND_TTL:
        act(s, t->inst, t->action, is_expired);
        break;
    case ERRAND_CAPTURED:
        look_after_capture(s, t->inst);
        break;
    case ERRAND_IDLE:
        watch_idle(s, t->inst);
        break;
    }
    AUTO_LOCK(&s->lock);
    t->inst->tended = false;
    if (--t->inst->refs == 0)
        instance_destroy(t->inst);
    s->n_tenders--;
    s->n_helpers--;
    pthread_cond_broadcast(&s->changed);
    free(t);
    return NULL;
}

static void look_at(struct instances *s, struct instance *inst)
{
    pthread_t thread;
    auto_free struct tender *t = calloc(1, sizeof(*t));
    AUTO_LOCK(&s->lock);
    enum errand errand = errand_of(inst, clock_mono_ms());
    if (!t || errand == ERRAND_NONE || s->n_tenders == TENDERS_MAX || s->stopping)
        return;
    *t = (struct tender){s, inst, errand, inst->record.info.ttl.action};
    if (errand == ERRAND_CAPTURED)
        inst->was_captured = false;
    if (pthread_create(&thread, NULL, tend, t) != 0)
        return; /* next time, or after the next capture */
    pthread_detach(thread);
    TAKE_PTR(t);
    inst->tended = true;
    inst->refs++;
    s->n_tenders++;
    s->n_helpers++;
}

/* --- the thread --- */

static bool any_captured(struct instances *s)
{
    for (struct instance *i = s->first; i; i = i->next) {
        if (i->was_captured && !i->busy && !i->tended && i->vm && s->n_tenders < TENDERS_MAX)
            return true;
    }
    return false;
}

static bool is_stopping(struct instances *s)
{
    AUTO_LOCK(&s->lock);
    return s->stopping;
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
    while (!is_stopping(s)) {
        if (clock_mono_ms() >= sweep_ms) {
            staging_sweep(s->host->staging);
            sweep_ms = clock_mono_ms() + SWEEP_MS;
        }
        struct instance *inst = NULL;
        while ((inst = step(s, inst)))
            look_at(s, inst);
        wait_turn(s);
    }
    return NULL;
}
