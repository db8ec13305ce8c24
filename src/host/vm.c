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

/* With less than this a guest cannot even boot. */
#define DISK_FULL_BYTES (16 * MIB)

#define KILL_TIMEOUT_MS 5000

/* One that waited in the pool answers at once or has something wrong with it. */
#define ADOPT_TIMEOUT_S 5

static int vm_path(const struct host *h, const char *id, char *ret, size_t size, struct err *e)
{
    int r = path_printf(ret, size, "%s/vms/%s", h->config->data_dir, id);
    return r < 0 ? err_errno(e, r, "vm %s: data_dir is too long", id) : 0;
}

/* Grant, directory and record: from here on a leftover can be found. */
static int vm_new(struct host *h, const char *image, const struct machine_shape *shape,
                  struct vm **ret, struct err *e)
{
    auto_free struct vm *vm = calloc(1, sizeof(*vm));
    if (!vm)
        return err_errno(e, -ENOMEM, "new vm");
    id_new(vm->record.id);
    int r = vm_path(h, vm->record.id, vm->dir, sizeof(vm->dir), e);
    if (r == 0)
        r = admission_take(&h->admission, shape, &vm->record.uid, e);
    if (r < 0)
        return r;
    vm->record.state = VM_STARTING;
    vm->record.shape = *shape;
    vm->record.created_real_ns = clock_real_ns();
    path_printf(vm->record.image, sizeof(vm->record.image), "%s", image);
    r = store_vm_put(h->store, &vm->record, e);
    if (r == 0) {
        r = dir_make(vm->dir, 0700);
        if (r < 0)
            err_errno(e, r, "make %s", vm->dir);
    }
    if (r < 0) {
        vm_end(h, TAKE_PTR(vm));
        return r;
    }
    *ret = TAKE_PTR(vm);
    return 0;
}

static int connect_agent(struct host *h, struct vm *vm, int timeout_ms, struct err *e)
{
    int fd = engine_connect_agent(h->engine, &vm->monitor, e);
    if (fd < 0)
        return fd;
    return link_open(h->links, fd, timeout_ms, &vm->link, e);
}

static bool is_ending(void *arg)
{
    const struct host *h = arg;
    return h->aborting;
}

/* Waits for the agent; a monitor that ended is noticed by the link's end. */
static int await_agent(struct host *h, struct vm *vm, int timeout_s, struct err *e)
{
    struct link_wait w = {
        .deadline_ms = clock_mono_ms() + timeout_s * 1000, .cancelled = is_ending, .arg = h};
    /* The deadline of the request comes first, so that a silent agent is always a timeout. */
    int r = connect_agent(h, vm, 2 * timeout_s * 1000, e);
    if (r == 0)
        r = guest_restored(vm->link, &w, NULL, NULL, e);
    return r;
}

static int start_monitor(struct host *h, struct vm *vm, const struct vm_spec *spec, struct err *e)
{
    if (h->aborting) {
        err_set(e, ERR_UNAVAILABLE, "holmd is ending");
        return -ECANCELED;
    }
    return spec->template_dir ? engine_restore(h->engine, spec, &vm->monitor, e)
                              : engine_boot(h->engine, spec, &vm->monitor, e);
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

/* What vm_boot and vm_restore share: monitor, agent, state. Ends the VM when it fails. */
static int vm_start(struct host *h, struct vm *vm, struct vm_spec *spec, int timeout_s,
                    struct err *e)
{
    spec->id = vm->record.id;
    spec->vm_dir = vm->dir;
    spec->shape = vm->record.shape;
    spec->uid = vm->record.uid;
    int64_t t0 = clock_mono_us();
    admission_start_enter(&h->admission);
    int r = start_monitor(h, vm, spec, e);
    if (r == 0) {
        vm->record.proc = vm->monitor.proc;
        r = store_vm_put(h->store, &vm->record, e);
    }
    if (r == 0)
        r = await_agent(h, vm, timeout_s, e);
    admission_start_leave(&h->admission);
    if (r == 0)
        r = lifecycle_move(&vm->record.state, VM_EV_READY, vm->record.id, e);
    if (r == 0)
        r = store_vm_put(h->store, &vm->record, e);
    if (r < 0) {
        h->metrics.vms_failed++;
        explain(h, e);
        err_wrap(e, r, "%s vm %s", spec->template_dir ? "restore" : "boot", vm->record.id);
        vm_end(h, vm);
        return r;
    }
    h->metrics.vms_started++;
    if (spec->template_dir)
        histogram_add(&h->metrics.restore, clock_mono_us() - t0);
    log_debug("vm", "vm=%s image=%s ready_ms=%lld", vm->record.id, vm->record.image,
              (long long)(clock_mono_us() - t0) / 1000);
    return 0;
}

/* The engine refused the template. */
static int distrust(struct host *h, const char *image, struct err *e)
{
    image_distrust(h->images, image, e->text);
    err_set(e, ERR_FULL, "image %s is being prepared anew; try again in 5 s", image);
    e->retry_after_s = 5;
    return -EINPROGRESS;
}

int vm_restore(struct host *h, const struct language *lang, struct vm **ret, struct err *e)
{
    const struct image *image;
    char template_dir[PATH_MAX / 4];
    int r = image_ready(h->images, lang->image, &image, template_dir, e);
    if (r < 0)
        return r;
    struct vm *vm = NULL;
    r = vm_new(h, image->name, &image->shape, &vm, e);
    if (r < 0)
        return r;
    vm->lang = lang;
    path_printf(vm->record.language, sizeof(vm->record.language), "%s", lang->name);
    struct vm_spec spec = {.template_dir = template_dir, .ephemeral = true};
    r = vm_start(h, vm, &spec, h->config->restore_timeout_s, e);
    if (r == 0)
        *ret = vm;
    else if (e->class == ERR_CONFLICT || e->class == ERR_NOT_FOUND || e->class == ERR_INVALID)
        r = distrust(h, image->name, e);
    return r;
}

int vm_boot(struct host *h, const struct image *image, const struct machine_shape *shape,
            struct vm **ret, struct err *e)
{
    char kernel[PATH_MAX / 4], initrd[PATH_MAX / 4];
    if (path_printf(kernel, sizeof(kernel), "%s/kernel/vmlinuz", h->config->data_dir) < 0 ||
        path_printf(initrd, sizeof(initrd), "%s/kernel/initrd.img", h->config->data_dir) < 0)
        return err_set(e, ERR_INTERNAL, "data_dir is too long");
    struct vm *vm = NULL;
    int r = vm_new(h, image->name, shape, &vm, e);
    if (r < 0)
        return r;
    struct vm_spec spec = {.rootfs = image->rootfs, .kernel = kernel, .initrd = initrd};
    r = vm_start(h, vm, &spec, h->config->boot_timeout_s, e);
    if (r == 0)
        *ret = vm;
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

/* Monitor, directory, record, grant, in this order: what is left after a crash in between is found
 * again. */
static int remove_traces(struct host *h, const struct monitor *m, const char *dir, struct err *e)
{
    int r = engine_kill(h->engine, m, e);
    if (r < 0)
        return r;
    r = dir_remove(dir);
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

void vm_end(struct host *h, struct vm *vm)
{
    struct err e = ERR_INIT;
    vm_hang_up(vm);
    complete_monitor(&vm->monitor, &vm->record, vm->dir);
    if (!vm->monitor.proc.pid)
        kill_unknown(vm->dir);
    int r = remove_traces(h, &vm->monitor, vm->dir, &e);
    if (r < 0) {
        /* Its uid and memory may still be in use: the grant stays taken. */
        log_error("vm", "vm=%s cannot be removed whole, next start tries again: %s", vm->record.id,
                  e.text);
        free(vm);
        return;
    }
    h->metrics.vms_ended++;
    admission_give_back(&h->admission, &vm->record.shape, vm->record.uid);
    free(vm);
}

void vm_reap(struct host *h, const struct vm_record *record)
{
    struct err e = ERR_INIT;
    struct monitor m = {0};
    char dir[PATH_MAX / 4];
    int r = vm_path(h, record->id, dir, sizeof(dir), &e);
    if (r == 0) {
        complete_monitor(&m, record, dir);
        if (!record->proc.pid)
            kill_unknown(dir);
        r = remove_traces(h, &m, dir, &e);
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

static int adopt_into(struct host *h, struct vm *vm, struct err *e)
{
    enum monitor_state state = MONITOR_GONE;
    int r = engine_state(h->engine, &vm->monitor, &state, e);
    if (r < 0)
        return r;
    if (state != MONITOR_RUNNING)
        return err_set(e, ERR_UNAVAILABLE, "its monitor has ended");
    return await_agent(h, vm, ADOPT_TIMEOUT_S, e);
}

int vm_adopt(struct host *h, const struct vm_record *record, struct vm **ret, struct err *e)
{
    auto_free struct vm *vm = calloc(1, sizeof(*vm));
    if (!vm)
        return err_errno(e, -ENOMEM, "adopt");
    vm->record = *record;
    vm->lang = host_language_find(record->language);
    int r = vm_path(h, record->id, vm->dir, sizeof(vm->dir), e);
    if (r < 0)
        return r;
    complete_monitor(&vm->monitor, record, vm->dir);
    r = admission_adopt(&h->admission, &record->shape, record->uid, e);
    if (r < 0)
        return r;
    r = adopt_into(h, vm, e);
    if (r < 0) {
        vm_hang_up(vm);
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
