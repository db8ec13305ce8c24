/* SPDX-License-Identifier: Apache-2.0 */
#include "host/vm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/guest.h"
#include "host/host_priv.h"
#include "host/net.h"
#include "host/vm_kernel.h"
#include "host/vm_words.h"

/* With less than this a guest cannot even boot. */
#define DISK_FULL_BYTES (16 * MIB)

#define KILL_TIMEOUT_MS 5000

/* One that waited in the pool answers at once or has something wrong with it. */
#define ADOPT_TIMEOUT_S 5

/* As long as one that boots may take with others beside it, before these have their turn. */
#define START_TURN_MS 15000

static void end(struct host *h, struct vm *vm, bool keep_dir);

static int vm_path(const struct host *h, const char *id, char *ret, size_t size, struct err *e)
{
    int r = path_printf(ret, size, "%s/vms/%s", h->config->data_dir, id);
    return r < 0 ? err_errno(e, r, "vm %s: data_dir is too long", id) : 0;
}

/* A former monitor that could not be ended may still write to the disk. */
static int check_unknown(struct host *h, const char *id, struct err *e)
{
    bool known = false;
    int r = store_vm_known(h->store, id, &known, e);
    if (r == 0 && known)
        r = err_set(e, ERR_UNAVAILABLE, "its former monitor has not ended yet: see the log");
    return r;
}

/* Grant, directory and record: from here on a leftover can be found. */
static int vm_new(struct host *h, const struct vm_plan *plan, struct vm **ret, struct err *e)
{
    auto_free struct vm *vm = calloc(1, sizeof(*vm));
    if (!vm)
        return err_errno(e, -ENOMEM, "new vm");
    vm->net_slot = -1;
    vm->lang = plan->lang;
    if (plan->id)
        path_printf(vm->record.id, sizeof(vm->record.id), "%s", plan->id);
    else
        id_new(vm->record.id);
    int r = vm_path(h, vm->record.id, vm->dir, sizeof(vm->dir), e);
    if (r == 0)
        r = check_unknown(h, vm->record.id, e);
    if (r == 0)
        r = admission_take(&h->admission, &plan->shape, plan->wait, &vm->record.uid, e);
    if (r < 0)
        return r;
    vm->record.state = VM_STARTING;
    vm->record.shape = plan->shape;
    vm->record.used = plan->lives;
    vm->record.created_real_ns = clock_real_ns();
    path_printf(vm->record.image, sizeof(vm->record.image), "%s", plan->image);
    path_printf(vm->record.language, sizeof(vm->record.language), "%s",
                plan->lang ? plan->lang->name : "");
    r = store_vm_put(h->store, &vm->record, e);
    if (r == 0) {
        r = dir_make(vm->dir, 0700);
        if (r < 0)
            err_errno(e, r, "make %s", vm->dir);
    }
    if (r < 0) {
        end(h, TAKE_PTR(vm), plan->keep_dir);
        return r;
    }
    *ret = TAKE_PTR(vm);
    return 0;
}

static int connect_agent(struct host *h, struct vm *vm, int timeout_ms, struct link **ret,
                         struct err *e)
{
    int fd = engine_connect_agent(h->engine, &vm->monitor, e);
    if (fd < 0)
        return fd;
    return link_open(h->links, fd, timeout_ms, ret, e);
}

static bool is_ending(void *arg)
{
    const struct host *h = arg;
    return h->aborting;
}

/* A monitor that ended is noticed by the link's end. */
static int greet(struct host *h, struct link *l, const struct guest_identity *who,
                 int64_t deadline_ms, struct err *e)
{
    struct link_wait w = {.deadline_ms = deadline_ms, .cancelled = is_ending, .arg = h};
    return guest_restored(l, &w, who, NULL, e);
}

/* While a guest starts it needs a CPU; one that says nothing for so long needs none, and must not
 * keep others from starting. That it said nothing is noticed by who asks it next. */
static void await_hello(struct host *h, struct vm *vm, int64_t deadline_ms)
{
    int64_t until_ms = clock_mono_ms() + START_TURN_MS;
    struct link_wait w = {.deadline_ms = until_ms < deadline_ms ? until_ms : deadline_ms,
                          .cancelled = is_ending,
                          .arg = h};
    (void)link_wait_open(vm->link, &w, NULL);
}

int vm_connect(struct host *h, struct vm *vm, struct link **ret, struct err *e)
{
    const struct guest_identity who = {.keep = false};
    struct link *link = NULL;
    int r = connect_agent(h, vm, 2 * ADOPT_TIMEOUT_S * 1000, &link, e);
    if (r < 0)
        return r;
    r = greet(h, link, &who, clock_mono_ms() + ADOPT_TIMEOUT_S * 1000, e);
    if (r < 0)
        link_close(link);
    else
        *ret = link;
    return r;
}

int vm_greet(struct host *h, struct vm *vm, struct err *e)
{
    const struct guest_identity who = {.keep = true};
    return greet(h, vm->link, &who, clock_mono_ms() + ADOPT_TIMEOUT_S * 1000, e);
}

/* A host that cannot make networks runs VMs without: the doctor and the log say so. */
static int take_network(struct host *h, struct vm *vm, const struct net_policy *policy,
                        int *ret_tap, struct err *e)
{
    if (!h->net || !policy)
        return 0;
    int slot = (int)(vm->record.uid - h->admission.uid_first);
    int r = net_take(h->net, slot, policy, ret_tap, e);
    if (r == 0)
        vm->net_slot = slot;
    return r;
}

/* By some classes it is known that a template was refused, which is the engine's to say: a guest or
 * a network that fails must not have a good template thrown away. */
static int not_the_template(int r, struct err *e)
{
    if (r < 0 && e &&
        (e->class == ERR_CONFLICT || e->class == ERR_NOT_FOUND || e->class == ERR_INVALID))
        e->class = ERR_INTERNAL;
    return r;
}

static int start_monitor(struct host *h, struct vm *vm, const struct vm_plan *plan, struct err *e)
{
    if (h->aborting) {
        err_set(e, ERR_UNAVAILABLE, "holmd is ending");
        return -ECANCELED;
    }
    CLEANUP(vm_kernel_done) struct vm_kernel k = VM_KERNEL_INIT;
    auto_close int tap = -EBADF;
    int r = not_the_template(take_network(h, vm, plan->policy, &tap, e), e);
    if (r == 0 && plan->template_dir)
        vm_kernel_carry(plan->template_dir, vm->dir);
    else if (r == 0 && plan->kernel_dir)
        vm_kernel_carry(plan->kernel_dir, vm->dir);
    if (r == 0 && !plan->template_dir)
        r = not_the_template(vm_kernel_find(h, plan->image, vm->dir, &k, e), e);
    if (r < 0)
        return r;
    struct vm_spec spec = {
        .id = vm->record.id,
        .vm_dir = vm->dir,
        .shape = vm->record.shape,
        .uid = vm->record.uid,
        .ephemeral = plan->ephemeral,
        .template_dir = plan->template_dir,
        .rootfs = plan->rootfs,
        .disk_bytes = (uint64_t)plan->disk_bytes,
        .kernel = k.kernel,
        .initrd = k.initrd,
        .tap_fd = tap > 0 ? tap : 0,
    };
    return plan->template_dir ? engine_restore(h->engine, &spec, &vm->monitor, e)
                              : engine_boot(h->engine, &spec, &vm->monitor, e);
}

/* A monitor that cannot write its memory or disk is killed by the kernel, which leaves no better
 * word than a broken connection: say what is the likely cause. */
static void explain(const struct host *h, struct err *e)
{
    struct statvfs v;
    if (statvfs(h->config->data_dir, &v) < 0 || v.f_bavail * v.f_frsize >= DISK_FULL_BYTES)
        return;
    char text[256];
    snprintf(text, sizeof(text), "%s", e->text);
    err_set(e, ERR_INTERNAL, "no space left in %s: free some (%s)", h->config->data_dir, text);
}

/* A guest that never came up before may not be made for this: its console tells. */
static void add_words(struct host *h, struct vm *vm, struct err *e)
{
    char words[VM_WORDS_SIZE];
    if (h->aborting || !vm->monitor.proc.pid)
        return;
    vm_words_take(h, vm, words);
    char text[256];
    snprintf(text, sizeof(text), "%s", e->text);
    snprintf(e->text, sizeof(e->text), "%s%s%s", *words ? words : "it said nothing on its console",
             *text ? " - " : "", text);
}

/* Monitor and agent, while it has its turn. */
static int start_and_connect(struct host *h, struct vm *vm, const struct vm_plan *plan,
                             int64_t *ret_deadline_ms, struct err *e)
{
    admission_start_enter(&h->admission);
    int r = start_monitor(h, vm, plan, e);
    if (r == 0 && plan->is_first_boot)
        vm_words_begin(h, vm);
    if (r == 0) {
        vm->record.proc = vm->monitor.proc;
        r = store_vm_put(h->store, &vm->record, e);
    }
    /* The deadline of the request comes before the hello's, so that a silent agent is always a
     * timeout. */
    *ret_deadline_ms = clock_mono_ms() + plan->timeout_s * 1000;
    if (r == 0)
        r = connect_agent(h, vm, 2 * plan->timeout_s * 1000, &vm->link, e);
    if (r == 0)
        await_hello(h, vm, *ret_deadline_ms);
    admission_start_leave(&h->admission);
    return r;
}

/* Monitor, agent, state. */
static int bring_up(struct host *h, struct vm *vm, const struct vm_plan *plan, struct err *e)
{
    int64_t deadline_ms = 0;
    int r = start_and_connect(h, vm, plan, &deadline_ms, e);
    if (r == 0)
        r = not_the_template(greet(h, vm->link, &plan->who, deadline_ms, e), e);
    if (r == 0)
        r = lifecycle_move(&vm->record.state, VM_EV_READY, vm->record.id, e);
    return r == 0 ? store_vm_put(h->store, &vm->record, e) : r;
}

int vm_start(struct host *h, const struct vm_plan *plan, struct vm **ret, struct err *e)
{
    struct vm *vm = NULL;
    int r = vm_new(h, plan, &vm, e);
    if (r < 0)
        return r;
    int64_t t0 = clock_mono_us();
    r = bring_up(h, vm, plan, e);
    if (r < 0) {
        h->metrics.vms_failed++;
        explain(h, e);
        if (plan->is_first_boot) {
            add_words(h, vm, e);
            vm_words_end(h, vm);
        }
        err_wrap(e, r, "%s vm %s", plan->template_dir ? "restore" : "boot", vm->record.id);
        end(h, vm, plan->keep_dir);
        return r;
    }
    if (plan->is_first_boot)
        vm_words_end(h, vm);
    h->metrics.vms_started++;
    if (plan->template_dir)
        histogram_add(&h->metrics.restore, clock_mono_us() - t0);
    log_debug("vm", "vm=%s image=%s ready_ms=%lld", vm->record.id, vm->record.image,
              (long long)(clock_mono_us() - t0) / 1000);
    *ret = vm;
    return 0;
}

/* The engine refused the template. */
static int distrust(struct host *h, const struct image_ask *ask, struct err *e)
{
    image_distrust(h->images, ask, e->text);
    err_set(e, ERR_FULL, "language %s is being prepared anew; try again in 5 s", ask->lang->name);
    e->retry_after_s = 5;
    return -EINPROGRESS;
}

int vm_restore(struct host *h, const struct language *lang, const struct admission_wait *wait,
               struct vm **ret, struct err *e)
{
    struct image_use use;
    const struct image_ask ask = image_of_language(lang);
    int r = image_ready(h->images, &ask, &use, e);
    if (r < 0)
        return r;
    struct vm_plan plan = {
        .image = use.key,
        .shape = use.shape,
        .template_dir = use.template_dir,
        .lang = lang,
        .ephemeral = true,
        .timeout_s = h->config->restore_timeout_s,
        .wait = wait,
    };
    r = vm_start(h, &plan, ret, e);
    image_release(h->images, &use);
    if (r < 0 && r != -EALREADY && r != -ECANCELED &&
        (e->class == ERR_CONFLICT || e->class == ERR_NOT_FOUND || e->class == ERR_INVALID))
        r = distrust(h, &ask, e);
    return r;
}

int vm_mark_used(struct host *h, struct vm *vm, struct err *e)
{
    vm->record.used = true;
    return store_vm_put(h->store, &vm->record, e);
}

void vm_hang_up(struct vm *vm)
{
    link_close(TAKE_PTR(vm->link));
}

/* Ends a monitor that the record does not name: the daemon died between starting it and writing it
 * down. Every monitor has, from its first instant and with any engine, a log in the VM's directory
 * as its standard error. */
static bool kill_unknown_once(const char *dir)
{
    size_t dir_len = strlen(dir);
    bool found = false;
    auto_closedir DIR *proc = opendir("/proc");
    for (struct dirent *de; proc && (de = readdir(proc));) {
        char link[64], target[PATH_MAX];
        struct proc_ref ref;
        int pid = atoi(de->d_name);
        if (pid <= 1 || proc_ref_of(pid, &ref) < 0)
            continue;
        path_printf(link, sizeof(link), "/proc/%d/fd/2", pid);
        ssize_t n = readlink(link, target, sizeof(target) - 1);
        if (n <= (ssize_t)dir_len || memcmp(target, dir, dir_len) != 0 || target[dir_len] != '/')
            continue;
        auto_close int fd = proc_ref_open(&ref);
        if (fd >= 0 && proc_kill_wait(fd, KILL_TIMEOUT_MS) == 0)
            found = true;
        else if (fd >= 0)
            log_error("vm", "pid=%d of %s cannot be killed", pid, dir);
    }
    return found;
}

/* Again until none is found: a launcher may be making its child at this moment. */
static void kill_unknown(const char *dir)
{
    char real[PATH_MAX]; /* as /proc shows it */
    if (!realpath(dir, real))
        return; /* no directory: nothing was started in it */
    while (kill_unknown_once(real))
        ;
}

/* Monitor, directory (if given), record, grant, in this order: what is left after a crash in
 * between is found again. */
static int remove_traces(struct host *h, const struct monitor *m, const char *dir, struct err *e)
{
    int r = engine_kill(h->engine, m, e);
    if (r < 0)
        return r;
    r = dir ? dir_remove(dir) : 0;
    if (r < 0)
        return err_errno(e, r, "remove %s", dir);
    return store_vm_delete(h->store, m->id, e);
}

/* A monitor that never got as far as being filled in by the engine still needs its id for
 * engine_kill. */
static void complete_monitor(struct monitor *m, const struct vm_record *r, const char *dir)
{
    path_printf(m->id, sizeof(m->id), "%s", r->id);
    path_printf(m->vm_dir, sizeof(m->vm_dir), "%s", dir);
    m->uid = r->uid;
    m->shape = r->shape;
    if (!m->proc.pid)
        m->proc = r->proc;
}

static void end(struct host *h, struct vm *vm, bool keep_dir)
{
    struct err e = ERR_INIT;
    vm_hang_up(vm);
    complete_monitor(&vm->monitor, &vm->record, vm->dir);
    if (!vm->monitor.proc.pid)
        kill_unknown(vm->dir);
    int r = remove_traces(h, &vm->monitor, keep_dir ? NULL : vm->dir, &e);
    if (r < 0) {
        /* Its uid and memory may still be in use: the grant stays taken. */
        log_error("vm", "vm=%s cannot be removed whole, next start tries again: %s", vm->record.id,
                  e.text);
        free(vm);
        return;
    }
    h->metrics.vms_ended++;
    if (vm->net_slot >= 0)
        net_give_back(h->net, vm->net_slot);
    admission_give_back(&h->admission, &vm->record.shape, vm->record.uid);
    free(vm);
}

void vm_end(struct host *h, struct vm *vm)
{
    end(h, vm, false);
}

void vm_end_keeping_disk(struct host *h, struct vm *vm)
{
    end(h, vm, true);
}

void vm_reap(struct host *h, const struct vm_record *record, bool keep_disk)
{
    struct err e = ERR_INIT;
    struct monitor m = {0};
    char dir[PATH_MAX / 4];
    int r = vm_path(h, record->id, dir, sizeof(dir), &e);
    if (r == 0) {
        complete_monitor(&m, record, dir);
        if (!record->proc.pid)
            kill_unknown(dir);
        r = remove_traces(h, &m, keep_disk ? NULL : dir, &e);
    }
    if (r < 0) {
        log_error("vm", "vm=%s of a former daemon cannot be removed: %s", record->id, e.text);
        if (record->uid)
            admission_adopt(&h->admission, &record->shape, record->uid, NULL);
        return;
    }
    h->metrics.vms_reaped++;
    log_info("vm", "vm=%s of a former daemon ended state=%s", record->id,
             lifecycle_state_name(record->state));
}

static int adopt_into(struct host *h, struct vm *vm, const struct net_policy *policy,
                      enum monitor_state *ret_state, struct err *e)
{
    /* One that is alive and does not answer may have a lot to do: it stays what it was. */
    int r = engine_state(h->engine, &vm->monitor, ret_state, e);
    if (r < 0 && proc_has_ended(&vm->monitor.proc))
        return r;
    if (*ret_state == MONITOR_GONE)
        return err_set(e, ERR_UNAVAILABLE, "its monitor has ended");
    if (h->net && policy) {
        int slot = (int)(vm->record.uid - h->admission.uid_first);
        r = net_adopt(h->net, slot, policy, e);
        if (r < 0)
            return r;
        vm->net_slot = slot;
    }
    return 0;
}

int vm_adopt(struct host *h, const struct vm_record *record, const struct net_policy *policy,
             struct vm **ret, enum monitor_state *ret_state, struct err *e)
{
    auto_free struct vm *vm = calloc(1, sizeof(*vm));
    if (!vm)
        return err_errno(e, -ENOMEM, "adopt");
    vm->record = *record;
    vm->net_slot = -1;
    vm->lang = host_language_find(record->language);
    int r = vm_path(h, record->id, vm->dir, sizeof(vm->dir), e);
    if (r < 0)
        return r;
    complete_monitor(&vm->monitor, record, vm->dir);
    r = admission_adopt(&h->admission, &record->shape, record->uid, e);
    if (r < 0)
        return r;
    r = adopt_into(h, vm, policy, ret_state, e);
    if (r < 0) {
        admission_give_back(&h->admission, &record->shape, record->uid);
        return r;
    }
    h->metrics.vms_adopted++;
    *ret = TAKE_PTR(vm);
    return 0;
}

/* --- The reaper: threads that end VMs in the background. --- */

#define REAPER_THREADS 2 /* ending is mostly waiting for the kernel to free a monitor's memory */

struct reaper {
    struct host *host;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t added;
    struct vm *first;
    bool stopping;
    pthread_t threads[REAPER_THREADS];
    int n_threads;
};

static void *reaper_thread(void *arg)
{
    struct reaper *r = arg;
    proc_set_own_nice(VM_BACKGROUND_NICE);
    for (;;) {
        struct vm *vm;
        {
            AUTO_LOCK(&r->lock);
            while (!r->first && !r->stopping)
                pthread_cond_wait(&r->added, &r->lock);
            vm = r->first;
            if (!vm)
                return NULL;
            r->first = vm->next;
        }
        vm_end(r->host, vm);
        pool_wake(r->host->pool);
    }
}

int reaper_new(struct host *h, struct reaper **ret, struct err *e)
{
    struct reaper *r = calloc(1, sizeof(*r));
    if (!r)
        return err_errno(e, -ENOMEM, "reaper");
    r->host = h;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->added, NULL);
    while (r->n_threads < REAPER_THREADS) {
        if (pthread_create(&r->threads[r->n_threads], NULL, reaper_thread, r) != 0) {
            reaper_free(r);
            return err_set(e, ERR_INTERNAL, "reaper: cannot start a thread");
        }
        r->n_threads++;
    }
    *ret = r;
    return 0;
}

void reaper_free(struct reaper *r)
{
    if (!r)
        return;
    {
        AUTO_LOCK(&r->lock);
        r->stopping = true;
        pthread_cond_broadcast(&r->added);
    }
    for (int i = 0; i < r->n_threads; i++)
        pthread_join(r->threads[i], NULL);
    pthread_cond_destroy(&r->added);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

void reaper_add(struct reaper *r, struct vm *vm)
{
    AUTO_LOCK(&r->lock);
    vm->next = r->first;
    r->first = vm;
    pthread_cond_signal(&r->added);
}
