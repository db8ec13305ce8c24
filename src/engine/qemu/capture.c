/* SPDX-License-Identifier: Apache-2.0 */

/* Saving a VM as a template, while it runs.
 *
 *     before   a new directory; the monitor's memory is found and room made for its dirty pages; an
 *              empty disk layer, opened by the monitor but not yet used
 *     stopped  dirty pages are copied into the room, while the monitor puts the disk on the new
 *              layer; then it saves its device state
 *     after    memory is written to files, the frozen layers are linked into the directory, all is
 *              synced and summed (not when transient), the directory gets its name
 *
 * The guest does not take part, and its agent's stream goes on. What the host sends to the guest
 * meanwhile may still change its memory; that is why memory is read before the device state is
 * saved: a buffer that the guest's memory does not yet show as used is merely lost to the clone,
 * while the other way round the device state could not be loaded.
 *
 * When a step before the disk's fails nothing has happened. After it, the VM simply has one layer
 * more than before, which the next capture takes along; so a failed capture never needs to be
 * undone inside the VM. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "engine/qemu/disk.h"
#include "engine/qemu/extents.h"
#include "engine/qemu/memory.h"
#include "engine/qemu/pages.h"
#include "engine/qemu/qemu.h"

struct capture {
    const struct monitor *m;
    enum capture_kind kind;
    struct qmp q;
    struct disk disk;
    char dir[PATH_MAX];    /* the directory under its temporary name */
    char memory[PATH_MAX]; /* the file that dirty pages go to, under its temporary name */
    int memory_fd;
    struct memory_view view;
    struct memory_dirty dirty;
    struct pages base; /* what the VM's memory is a private mapping of */
    int state_set;     /* fd set in the monitor */
    bool running;      /* before; and so it shall be afterwards */
    bool stopped;      /* by us, and not yet let go */
    int64_t step_us;   /* when the last step ended */
};

/* One debug line for each step: where the time goes. */
static void trace(struct capture *c, const char *step)
{
    int64_t now_us = clock_mono_us();
    log_debug("engine", "capture vm=%s step=%s us=%lld", c->m->id, step,
              (long long)(now_us - c->step_us));
    c->step_us = now_us;
}

/* Copying may take long; then the conversation's time starts anew. */
static void more_time(struct capture *c)
{
    c->q.deadline_ms = clock_mono_ms() + ENGINE_QMP_TIMEOUT_MS;
}

/* Finds out whether the VM runs. A monitor still loading its device state is waited for. */
static int ask_running(struct capture *c, struct err *e)
{
    for (;;) {
        auto_json json_t *status = NULL;
        int r = qmp_run(&c->q, "query-status", NULL, &status, e);
        if (r < 0)
            return r;
        const char *word = json_string_value(json_object_get(status, "status"));
        if (!word || strcmp(word, "inmigrate") != 0) {
            c->running = json_is_true(json_object_get(status, "running"));
            return 0;
        }
        if (clock_left_ms(c->q.deadline_ms) == 0)
            return err_set(e, ERR_TIMEOUT, "the VM's state has not been loaded yet");
        poll(NULL, 0, 1);
    }
}

static int open_at(const char *dir, const char *name, int flags, struct err *e)
{
    char path[PATH_MAX];
    int r = path_printf(path, sizeof(path), "%s/%s", dir, name);
    int fd = r < 0 ? r : open(path, flags | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(e, r < 0 ? r : -errno, "open %s/%s", dir, name);
    return fd;
}

static int prepare_memory(struct capture *c, struct err *e)
{
    char base[PATH_MAX], delta[PATH_MAX];
    int r = path_printf(base, sizeof(base), "%s/" PAGES_MEMORY, c->m->vm_dir);
    if (r == 0)
        r = path_printf(delta, sizeof(delta), "%s/" PAGES_DELTA, c->m->vm_dir);
    if (r == 0)
        r = path_printf(c->memory, sizeof(c->memory), "%s/pages.part", c->dir);
    if (r < 0)
        return err_errno(e, r, "%s", c->dir);
    r = pages_open(c->m->vm_dir, &c->base, e);
    if (r == 0)
        r = memory_find(c->m->proc.pid, base, c->base.delta_fd >= 0 ? delta : NULL, &c->view, e);
    if (r == 0)
        r = memory_prepare(&c->view, &c->dirty, e);
    if (r < 0)
        return r;
    c->memory_fd = open(c->memory, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    if (c->memory_fd < 0 || ftruncate(c->memory_fd, (off_t)(c->base.n * EXTENTS_PAGE_BYTES)) < 0)
        return err_errno(e, -errno, "make %s", c->memory);
    return 0;
}

static int prepare_state(struct capture *c, struct err *e)
{
    auto_close int fd = open_at(c->dir, MANIFEST_STATE, O_WRONLY | O_CREAT | O_EXCL, e);
    if (fd < 0)
        return fd;
    c->state_set = qmp_add_fd(&c->q, fd, -1, NULL, e);
    return c->state_set < 0 ? c->state_set : 0;
}

/* What the monitor would have to bring to the host's disk when it stops is brought there before. */
static void sync_ahead(const struct capture *c)
{
    char path[PATH_MAX];
    if (c->disk.no_flush ||
        layers_path(c->m->vm_dir, c->disk.chain.number[c->disk.chain.n - 2], path, NULL) < 0)
        return;
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        (void)fdatasync(fd);
}

static int save_devices(struct capture *c, struct err *e)
{
    char name[32];
    snprintf(name, sizeof(name), "/dev/fdset/%d", c->state_set);
    return qmp_send(&c->q, "xen-save-devices-state",
                    json_pack("{s:s s:b}", "filename", name, "live", 0), e);
}

/* Stops the guest and copies its memory while the disk goes on in the new layer. */
static int stop_and_copy(struct capture *c, struct err *e)
{
    int r = c->running ? qmp_send(&c->q, "stop", NULL, e) : 0;
    c->stopped = c->running;
    if (r == 0)
        r = qmp_send(&c->q, "blockdev-snapshot", disk_switch_arguments(&c->disk), e);
    if (r < 0)
        return r;
    /* Without an answer it may have happened; then the new layer stays, and does no harm unused. */
    c->disk.pushed = false;
    r = c->running ? qmp_answer(&c->q, "stop", NULL, e) : 0;
    trace(c, "stop");
    if (r == 0)
        r = memory_take(&c->view, &c->dirty, c->memory_fd, e);
    trace(c, "memory");
    more_time(c);
    int k = qmp_answer(&c->q, "blockdev-snapshot", NULL, r < 0 ? NULL : e);
    trace(c, "disk");
    c->disk.pushed = k < 0 && k != -ETIMEDOUT;
    return r < 0 ? r : k;
}

/* Lets the guest go on. Also after a stop that was not answered in time: QEMU takes them in order.
 */
static int let_go(struct capture *c, struct err *e)
{
    if (!c->stopped)
        return 0;
    c->stopped = false;
    more_time(c);
    return qmp_run(&c->q, "cont", NULL, NULL, e);
}

/* The part during which the guest stands still. */
static int save_stopped(struct capture *c, struct capture_times *times, struct err *e)
{
    bool stays = c->kind == CAPTURE_SUSPEND;
    int64_t start_us = c->step_us;
    int r = stop_and_copy(c, e);
    if (r < 0) {
        (void)let_go(c, NULL);
        return r;
    }
    r = save_devices(c, e);
    bool goes_on = c->stopped && !stays;
    if (r == 0 && goes_on)
        r = qmp_send(&c->q, "cont", NULL, e);
    if (r == 0)
        r = qmp_answer(&c->q, "xen-save-devices-state", NULL, e);
    trace(c, "devices");
    int k = goes_on ? qmp_answer(&c->q, "cont", NULL, r < 0 ? NULL : e) : 0;
    trace(c, "cont");
    c->stopped = c->stopped && (stays || k < 0);
    times->pause_us = c->step_us - start_us;
    times->dirty_pages = c->dirty.pages;
    return r < 0 ? r : k;
}

/* Turns what was copied into the template's files and gives it its name. */
static int complete(struct capture *c, struct qemu *qemu, const char *out_dir, struct err *e)
{
    const struct pages_target to = {c->m->vm_dir, c->dir, c->memory, c->memory_fd};
    struct manifest manifest = {.shape = c->m->shape, .chain = c->disk.chain};
    manifest.chain.n--; /* the last is what the VM writes from now on */
    memcpy(manifest.fingerprint, qemu->fingerprint, sizeof(manifest.fingerprint));
    int r = memory_flush(&c->dirty, c->memory_fd, e);
    trace(c, "flush");
    if (r == 0)
        r = pages_complete(&c->base, &c->dirty, &to, &manifest.delta, e);
    trace(c, "pages");
    if (r == 0)
        r = disk_freeze(&c->q, &c->disk, e);
    if (r == 0)
        r = layers_link(c->m->vm_dir, c->dir, &manifest.chain, e);
    trace(c, "layers");
    if (r == 0)
        r = manifest_store(c->dir, c->kind == CAPTURE_TRANSIENT ? NULL : &qemu->sums, &manifest, e);
    trace(c, "manifest");
    if (r < 0)
        return r;
    if (rename(c->dir, out_dir) < 0)
        return err_errno(e, -errno, "rename to %s", out_dir);
    return 0;
}

/* Makes the rename durable. Too late to undo anything, so a failure only goes to the log. */
static void sync_parent_of(const char *path)
{
    char parent[PATH_MAX];
    if (path_printf(parent, sizeof(parent), "%s", path) < 0)
        return;
    strrchr(parent, '/')[1] = '\0';
    auto_close int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        log_warn("engine", "sync path=%s error=%s", parent, strerror(errno));
}

static int prepare(struct capture *c, const char *out_dir, struct err *e)
{
    struct stat st;
    if (lstat(out_dir, &st) == 0)
        return err_set(e, ERR_CONFLICT, "%s exists already", out_dir);
    int r = qemu_connect(c->m, &c->q, e);
    if (r == 0)
        r = ask_running(c, e);
    if (r == 0)
        r = disk_open(&c->q, c->m->vm_dir, &c->disk, e);
    /* Only when nobody flattened in time. */
    if (r == 0 && c->disk.chain.n > ENGINE_LAYERS_MAX - ENGINE_LAYERS_FLATTEN)
        r = disk_merge(c->m, &c->q, &c->disk, e);
    if (r == 0)
        r = path_printf(c->dir, sizeof(c->dir), "%s.part", out_dir);
    if (r == 0)
        r = dir_remove(c->dir); /* of a daemon that was killed meanwhile */
    if (r == 0 && mkdir(c->dir, 0700) < 0)
        r = err_errno(e, -errno, "make %s", c->dir);
    if (r == 0)
        r = prepare_memory(c, e);
    if (r == 0)
        r = prepare_state(c, e);
    if (r == 0)
        r = disk_push(&c->q, &c->disk, e);
    if (r == 0)
        sync_ahead(c);
    more_time(c);
    trace(c, "prepare");
    return r;
}

/* Removes what a failed capture made: the directory and, when it is not in use, the new layer. The
 * guest goes on. */
static void undo(struct capture *c)
{
    (void)let_go(c, NULL);
    disk_pop(&c->q, &c->disk);
    if (*c->dir)
        (void)dir_remove(c->dir);
}

int capture_run(struct engine *en, const struct monitor *m, const char *out_dir,
                enum capture_kind kind, struct capture_times *ret, struct err *e)
{
    struct capture c = {.m = m,
                        .kind = kind,
                        .q = QMP_INIT,
                        .memory_fd = -EBADF,
                        .base = {.memory_fd = -EBADF, .delta_fd = -EBADF},
                        .step_us = clock_mono_us()};
    struct capture_times times = {0};
    int r = prepare(&c, out_dir, e);
    int64_t stop_us = c.step_us;
    if (r == 0)
        r = save_stopped(&c, &times, e);
    if (r == 0)
        r = complete(&c, en->data, out_dir, e);
    if (r < 0)
        undo(&c);
    else if (kind != CAPTURE_TRANSIENT)
        sync_parent_of(out_dir);
    if (c.stopped)
        times.pause_us = clock_mono_us() - stop_us;
    cleanup_close(&c.memory_fd);
    memory_done(&c.dirty);
    pages_done(&c.base);
    qmp_done(&c.q);
    if (r < 0)
        return err_wrap(e, r, "capture");
    *ret = times;
    return 0;
}
