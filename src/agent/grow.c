/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/grow.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/cleanup.h"
#include "base/fd.h"

/* Of the kernel's fs/ext4/ext4.h; no header for programs has it. */
#define EXT4_IOC_RESIZE_FS _IOW('f', 16, uint64_t)
#define SECTOR_BYTES 512

/* Growing by gigabytes takes its time; a child makes the call so that other requests go on. */
struct growth {
    struct agent_task task; /* first: a pointer to it is a pointer to all */
    struct call *call;      /* NULL: nobody waits any more */
    uint64_t blocks;
    uint64_t bytes;
};

static int device_bytes(int fd, uint64_t *ret)
{
    struct stat st;
    char path[64];
    auto_buf struct buf text = {0};
    if (fstat(fd, &st) < 0)
        return -errno;
    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/size", major(st.st_dev), minor(st.st_dev));
    int r = file_read(path, &text, 64);
    if (r < 0)
        return r == -ENOENT ? -EOPNOTSUPP : r;
    *ret = strtoull(buf_str(&text), NULL, 10) * SECTOR_BYTES;
    return 0;
}

static int grow(struct agent_task *task)
{
    struct growth *g = (struct growth *)task;
    return ioctl(task->fd, EXT4_IOC_RESIZE_FS, &g->blocks) < 0 ? -errno : 0;
}

static void growth_free(struct growth *g)
{
    if (g)
        cleanup_close(&g->task.fd);
    free(g);
}
DEFINE_AUTO(struct growth *, growth_free)

static void fail(struct call *c, int r)
{
    struct err e = ERR_INIT;
    if (r == -ENOTTY || r == -EOPNOTSUPP)
        err_set(&e, ERR_CONFLICT, "the root file system cannot grow");
    else
        err_errno(&e, r, "grow the root file system");
    call_fail(c, 0, &e);
}

static void on_grown(struct agent_task *task, int result)
{
    CLEANUP(growth_freep) struct growth *g = (struct growth *)task;
    auto_buf struct buf json = {0};
    if (!g->call)
        return;
    g->call->data = NULL;
    buf_printf(&json, "{\"bytes\":%" PRIu64 "}", g->bytes);
    if (result < 0)
        fail(g->call, result);
    else
        call_reply(g->call, 200, json.data, json.len);
}

static int growth_init(struct growth *g)
{
    struct statfs fs;
    uint64_t bytes = 0;
    g->task.fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (g->task.fd < 0 || fstatfs(g->task.fd, &fs) < 0)
        return -errno;
    int r = device_bytes(g->task.fd, &bytes);
    if (r < 0)
        return r;
    g->blocks = bytes / (uint64_t)fs.f_bsize;
    g->bytes = g->blocks * (uint64_t)fs.f_bsize;
    return 0;
}

void grow_begin(struct call *c)
{
    struct err e = ERR_INIT;
    if (!c->agent->options.guest) {
        err_set(&e, ERR_CONFLICT, "this agent does not run in a guest of its own");
        call_fail(c, 0, &e);
        return;
    }
    CLEANUP(growth_freep) struct growth *g = calloc(1, sizeof(*g));
    if (!g) {
        agent_server_abort(c->stream);
        return;
    }
    g->task = (struct agent_task){.run = grow, .ended = on_grown, .fd = -EBADF};
    g->call = c;
    int r = growth_init(g);
    r = r < 0 ? r : agent_task_start(c->agent, &g->task);
    if (r < 0)
        fail(c, r);
    else
        c->data = TAKE_PTR(g);
}

void grow_closed(struct call *c)
{
    struct growth *g = c->data;
    if (g)
        g->call = NULL;
}
