/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/path.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "wire/guest_stat.h"

static const char *const path_only[] = {"path", NULL};

static int decode(const struct call *c, char path[AGENT_PATH_MAX_BYTES], struct err *e)
{
    int r = call_params_only(c, path_only, e);
    return r < 0 ? r : path_param(c, path, e);
}

static void fill(const struct stat *st, struct guest_stat *ret)
{
    *ret = (struct guest_stat){
        .type = S_ISREG(st->st_mode)   ? GUEST_FILE
                : S_ISDIR(st->st_mode) ? GUEST_DIR
                : S_ISLNK(st->st_mode) ? GUEST_LINK
                                       : GUEST_OTHER,
        .size = st->st_size,
        .mode = st->st_mode & 07777,
        .uid = st->st_uid,
        .gid = st->st_gid,
        .mtime_ms = st->st_mtim.tv_sec * 1000LL + st->st_mtim.tv_nsec / 1000000,
    };
}

static void fail(struct call *c, int r, const char *path, struct err *e)
{
    int status = e->class == ERR_NONE ? call_file_error(r, path, e) : 0;
    call_fail(c, status, e);
}

void tree_stat(struct call *c)
{
    char path[AGENT_PATH_MAX_BYTES] = "";
    struct err e = ERR_INIT;
    struct stat st;
    struct guest_stat gs;
    auto_buf struct buf json = {0};
    int r = decode(c, path, &e);
    auto_close int fd = r < 0 ? r : path_open(c->agent, path, O_PATH | O_NOFOLLOW);
    r = fd < 0 ? fd : fstat(fd, &st) < 0 ? -errno : 0;
    if (r == 0) {
        fill(&st, &gs);
        r = guest_stat_encode(&gs, NULL, &json);
    }
    if (r < 0)
        fail(c, r, path, &e);
    else
        call_reply(c, 200, json.data, json.len);
}

/* --- list --- */

/* What has vanished since readdir is left out. */
static int list_entry(int dir_fd, const char *name, struct buf *json)
{
    struct stat st;
    struct guest_stat gs;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return 0;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    fill(&st, &gs);
    if (json->data[json->len - 1] == '}')
        buf_append_str(json, ",");
    int r = guest_stat_encode(&gs, name, json);
    return r < 0 ? r : 1;
}

static int list(DIR *d, struct buf *json, struct err *e)
{
    int count = 0;
    buf_append_str(json, "{\"entries\":[");
    for (struct dirent *de; !json->failed && (errno = 0, de = readdir(d));) {
        int r = list_entry(dirfd(d), de->d_name, json);
        if (r < 0)
            return r;
        count += r;
        if (count > AGENT_LIST_MAX)
            return err_set(e, ERR_TOO_LARGE, "the directory has more than %d entries",
                           AGENT_LIST_MAX);
    }
    return errno ? -errno : buf_append_str(json, "]}");
}

void tree_list(struct call *c)
{
    char path[AGENT_PATH_MAX_BYTES] = "";
    struct err e = ERR_INIT;
    auto_buf struct buf json = {0};
    int r = decode(c, path, &e);
    auto_close int fd = r < 0 ? r : path_open(c->agent, path, O_RDONLY | O_DIRECTORY);
    auto_closedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        fail(c, fd < 0 ? fd : -errno, path, &e);
        return;
    }
    TAKE_FD(fd);
    r = list(d, &json, &e);
    if (r < 0)
        fail(c, r, path, &e);
    else
        call_reply(c, 200, json.data, json.len);
}

/* --- remove --- */

/* A tree may take seconds; a child removes it so that other requests go on meanwhile. It goes on
 * when nobody waits for it any more. */
struct removal {
    struct agent_task task; /* first: a pointer to it is a pointer to all */
    struct call *call;      /* NULL: nobody waits any more */
    char path[AGENT_PATH_MAX_BYTES];
    const char *name; /* in task.fd */
    char copy[AGENT_PATH_MAX_BYTES];
};

static void removal_free(struct removal *t)
{
    if (t)
        cleanup_close(&t->task.fd);
    free(t);
}
DEFINE_AUTO(struct removal *, removal_free)

static int remove_tree(struct agent_task *task)
{
    const struct removal *t = (const struct removal *)task;
    if (fchdir(task->fd) < 0)
        return -errno;
    return dir_remove(t->name);
}

static void on_removed(struct agent_task *task, int result)
{
    CLEANUP(removal_freep) struct removal *t = (struct removal *)task;
    struct err e = ERR_INIT;
    if (!t->call)
        return;
    t->call->data = NULL;
    if (result < 0)
        fail(t->call, result, t->path, &e);
    else
        call_reply(t->call, 200, "{}", 2);
}

/* 1: it is a directory, and a child's work; 0: it is gone. */
static int remove_one(struct agent *a, struct removal *t)
{
    struct stat dir, st;
    memcpy(t->copy, t->path, sizeof(t->copy));
    t->task.fd = path_open_parent(a, t->copy, &t->name);
    if (t->task.fd < 0)
        return t->task.fd;
    if (fstat(t->task.fd, &dir) < 0 || fstatat(t->task.fd, t->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        return unlinkat(t->task.fd, t->name, 0) < 0 ? -errno : 0;
    /* What is in a mounted file system is not "in" the directory. */
    return st.st_dev == dir.st_dev ? 1 : -EBUSY;
}

void tree_remove(struct call *c)
{
    struct err e = ERR_INIT;
    CLEANUP(removal_freep) struct removal *t = calloc(1, sizeof(*t));
    if (!t) {
        agent_server_abort(c->stream);
        return;
    }
    t->task = (struct agent_task){.run = remove_tree, .ended = on_removed, .fd = -EBADF};
    t->call = c;
    int r = decode(c, t->path, &e);
    r = r < 0 ? r : remove_one(c->agent, t);
    if (r > 0)
        r = agent_task_start(c->agent, &t->task) < 0 ? -ENOMEM : 1;
    if (r < 0)
        fail(c, r, t->path, &e);
    else if (r == 0)
        call_reply(c, 200, "{}", 2);
    else
        c->data = TAKE_PTR(t);
}

void tree_remove_closed(struct call *c)
{
    struct removal *t = c->data;
    if (t)
        t->call = NULL;
}
