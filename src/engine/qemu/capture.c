/* SPDX-License-Identifier: Apache-2.0 */

/* Saving a VM as a template, while it runs.
 *
 *     before   a new directory; in it a copy of the memory file that the VM was started from;
 *              an empty disk layer, opened by the monitor but not yet used
 *     stopped  device state by QMP; dirty pages over the copy; the disk goes on in the new layer
 *     after    the frozen layers are linked into the directory, all is synced, it gets its name
 *
 * The guest does not take part, and its agent's stream goes on. When a step before the disk's fails
 * nothing has happened. After it, the VM simply has one layer more than before, which the next
 * capture takes along; so a failed capture never needs to be undone inside the VM. */

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
#include "engine/qemu/args.h"
#include "engine/qemu/layers.h"
#include "engine/qemu/memory.h"
#include "engine/qemu/qemu.h"

struct capture {
    const struct monitor *m;
    struct qmp q;
    char dir[PATH_MAX];         /* the directory under its temporary name */
    char base_memory[PATH_MAX]; /* the file that the VM's memory is a private mapping of */
    int memory_fd;
    int state_set;   /* fd sets in the monitor */
    int top;         /* depth of the layer the VM writes now */
    bool no_flush;   /* its disk was started as ephemeral */
    bool running;    /* before; and so it shall be afterwards */
    bool node_added; /* the new layer's nodes exist but are not yet in use */
    bool layer_used; /* the disk has gone on in the new layer */
};

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

/* Asks the monitor which layer it writes: the directory might hold one that a killed daemon made
 * but never put to use. */
static int ask_disk(struct capture *c, struct err *e)
{
    auto_json json_t *blocks = NULL;
    int r = qmp_run(&c->q, "query-block", NULL, &blocks, e);
    if (r < 0)
        return r;
    json_t *inserted = json_object_get(json_array_get(blocks, 0), "inserted");
    const char *node = json_string_value(json_object_get(inserted, "node-name"));
    if (!node || sscanf(node, "l%d", &c->top) != 1 || c->top < 1 || c->top > ENGINE_LAYERS_MAX)
        return err_set(e, ERR_UNAVAILABLE, "the monitor's disk is not what it was started with");
    c->no_flush = json_is_true(json_object_get(json_object_get(inserted, "cache"), "no-flush"));
    return 0;
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
    char copy[PATH_MAX];
    int r =
        path_printf(c->base_memory, sizeof(c->base_memory), "%s/" MANIFEST_MEMORY, c->m->vm_dir);
    if (r == 0)
        r = path_printf(copy, sizeof(copy), "%s/" MANIFEST_MEMORY, c->dir);
    if (r == 0)
        r = file_copy(c->base_memory, copy, 0600);
    if (r < 0)
        return err_errno(e, r, "copy %s", c->base_memory);
    c->memory_fd = open_at(c->dir, MANIFEST_MEMORY, O_RDWR, e);
    return c->memory_fd < 0 ? c->memory_fd : 0;
}

static int prepare_state(struct capture *c, struct err *e)
{
    auto_close int fd = open_at(c->dir, MANIFEST_STATE, O_WRONLY | O_CREAT | O_EXCL, e);
    if (fd < 0)
        return fd;
    c->state_set = qmp_add_fd(&c->q, fd, -1, e);
    return c->state_set < 0 ? c->state_set : 0;
}

static int add_node(struct capture *c, struct argv *text, struct err *e)
{
    json_t *node = text->failed ? NULL : json_loads(text->v[text->n - 1], 0, NULL);
    if (!node)
        return err_errno(e, -ENOMEM, "block node");
    return qmp_run(&c->q, "blockdev-add", node, NULL, e);
}

/* Makes the layer that the VM will go on in and lets the monitor open it. */
static int prepare_layer(struct capture *c, struct err *e)
{
    char path[PATH_MAX];
    int next = c->top + 1;
    int r = layers_make(c->m->vm_dir, next, e);
    if (r == 0)
        r = layers_path(c->m->vm_dir, next, path, e);
    if (r < 0)
        return r;
    auto_close int fd = open(path, O_RDWR | O_CLOEXEC);
    auto_close int read_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read_fd < 0)
        return err_errno(e, -errno, "open %s", path);
    int set = qmp_add_fd(&c->q, fd, -1, e);
    if (set < 0)
        return set;
    r = qmp_add_fd(&c->q, read_fd, set, e);
    auto_argv struct argv nodes = {0};
    if (r >= 0) {
        args_file_node(&nodes, next, set, true, c->no_flush);
        r = add_node(c, &nodes, e);
    }
    if (r < 0)
        return r;
    c->node_added = true;
    args_layer_node(&nodes, next, true, c->no_flush, false);
    return add_node(c, &nodes, e);
}

static int freeze_disk(struct capture *c, struct err *e)
{
    char node[16], overlay[16];
    snprintf(node, sizeof(node), "l%d", c->top);
    snprintf(overlay, sizeof(overlay), "l%d", c->top + 1);
    int r = qmp_run(&c->q, "blockdev-snapshot",
                    json_pack("{s:s s:s}", "node", node, "overlay", overlay), NULL, e);
    /* Without an answer it may have happened; then the new layer stays, and does no harm unused. */
    c->layer_used = r == 0 || r == -ETIMEDOUT;
    return r;
}

static int save_devices(struct capture *c, struct err *e)
{
    char name[32];
    snprintf(name, sizeof(name), "/dev/fdset/%d", c->state_set);
    return qmp_run(&c->q, "xen-save-devices-state",
                   json_pack("{s:s s:b}", "filename", name, "live", 0), NULL, e);
}

/* The part during which the guest stands still. Whatever happens, it is let go again. */
static int save_stopped(struct capture *c, struct capture_times *times, struct err *e)
{
    int64_t start_us = clock_mono_us();
    int r = c->running ? qmp_run(&c->q, "stop", NULL, NULL, e) : 0;
    if (r == 0)
        r = save_devices(c, e);
    if (r == 0)
        r = memory_copy_dirty(c->m->proc.pid, c->base_memory, c->memory_fd, &times->dirty_pages, e);
    c->q.deadline_ms = clock_mono_ms() + ENGINE_QMP_TIMEOUT_MS;
    if (r == 0)
        r = freeze_disk(c, e);
    /* Also after a stop that was not answered in time: QEMU takes them in order. */
    c->q.deadline_ms = clock_mono_ms() + ENGINE_QMP_TIMEOUT_MS;
    int k = c->running ? qmp_run(&c->q, "cont", NULL, NULL, r < 0 ? NULL : e) : 0;
    times->pause_us = clock_mono_us() - start_us;
    return r < 0 ? r : k;
}

static int sync_file(const char *dir, const char *name, struct err *e)
{
    auto_close int fd = open_at(dir, name, O_RDONLY, e);
    if (fd < 0)
        return fd;
    return fchmod(fd, 0444) < 0 || fsync(fd) < 0 ? err_errno(e, -errno, "sync %s/%s", dir, name)
                                                 : 0;
}

/* Links the frozen layers and makes the directory durable under its final name. */
static int complete(struct capture *c, const struct qemu *qemu, const char *out_dir, struct err *e)
{
    int r = layers_link(c->m->vm_dir, c->dir, c->top, e);
    char top[PATH_MAX];
    if (r == 0)
        r = layers_path(c->dir, c->top, top, e);
    if (r == 0)
        r = sync_file(c->dir, MANIFEST_MEMORY, e);
    if (r == 0)
        r = sync_file(c->dir, MANIFEST_STATE, e);
    /* Failed captures may have left layers that were not synced then. */
    for (int i = 1; r == 0 && i <= c->top; i++) {
        r = layers_path(c->dir, i, top, e);
        if (r == 0)
            r = sync_file(c->dir, strrchr(top, '/') + 1, e);
    }
    struct manifest manifest = {.shape = c->m->shape, .top_layer = c->top};
    memcpy(manifest.fingerprint, qemu->fingerprint, sizeof(manifest.fingerprint));
    if (r == 0)
        r = manifest_store(c->dir, &manifest, e);
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

/* Removes what a failed capture made: the directory and, when it is not in use, the new layer. */
static void undo(struct capture *c)
{
    int next = c->top + 1;
    char node[16], path[PATH_MAX];
    for (const char *kind = "lf"; c->node_added && !c->layer_used && *kind; kind++) {
        snprintf(node, sizeof(node), "%c%d", *kind, next);
        (void)qmp_run(&c->q, "blockdev-del", json_pack("{s:s}", "node-name", node), NULL, NULL);
    }
    if (c->top > 0 && !c->layer_used && layers_path(c->m->vm_dir, next, path, NULL) == 0)
        unlink(path);
    if (*c->dir)
        (void)dir_remove(c->dir);
}

static int capture_all(struct capture *c, const struct qemu *qemu, const char *out_dir,
                       struct capture_times *times, struct err *e)
{
    struct stat st;
    if (lstat(out_dir, &st) == 0)
        return err_set(e, ERR_CONFLICT, "%s exists already", out_dir);
    int r = qemu_connect(c->m, &c->q, e);
    if (r == 0)
        r = ask_running(c, e);
    if (r == 0)
        r = ask_disk(c, e);
    if (r == 0)
        r = path_printf(c->dir, sizeof(c->dir), "%s.part", out_dir);
    if (r == 0)
        r = dir_remove(c->dir); /* of a daemon that was killed meanwhile */
    if (r == 0 && mkdir(c->dir, 0700) < 0)
        r = err_errno(e, -errno, "make %s", c->dir);
    if (r == 0)
        r = prepare_memory(c, e);
    /* Copying may have taken long; the conversation's time starts anew. */
    c->q.deadline_ms = clock_mono_ms() + ENGINE_QMP_TIMEOUT_MS;
    if (r == 0)
        r = prepare_state(c, e);
    if (r == 0)
        r = prepare_layer(c, e);
    if (r == 0)
        r = save_stopped(c, times, e);
    if (r == 0)
        r = complete(c, qemu, out_dir, e);
    return r;
}

int capture_run(struct engine *en, const struct monitor *m, const char *out_dir,
                enum capture_kind kind, struct capture_times *ret, struct err *e)
{
    struct capture c = {.m = m, .q = QMP_INIT, .memory_fd = -EBADF};
    struct capture_times times = {0};
    int r = capture_all(&c, en->data, out_dir, &times, e);
    if (r < 0)
        undo(&c);
    else
        sync_parent_of(out_dir);
    cleanup_close(&c.memory_fd);
    qmp_done(&c.q);
    if (r < 0)
        return err_wrap(e, r, "capture");
    *ret = times;
    return 0;
}
