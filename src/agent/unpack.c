/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/bulk.h"
#include "agent/path.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"
#include "wire/untar.h"

struct unpack {
    struct agent *agent;
    struct untar tar;
    uid_t uid;
    gid_t gid;
    int dest_fd;

    /* The directory of the last entry, which is mostly that of the next. */
    char parent[UNTAR_NAME_SIZE];
    int parent_fd; /* negative: none yet */

    /* The entry at hand. */
    char name[UNTAR_NAME_SIZE];
    bool is_dir;
    int64_t mtime_s;
    int fd;            /* of a file */
    struct bulk *bulk; /* it is large; NULL: it is not, or others have it */
    int status;        /* of the answer to a failure; 0: by its class */

    /* The rights are the user's now; whose they were. */
    bool has_rights;
    uid_t own_uid;
    gid_t own_gid;
    mode_t mask;
};

/* --- whose rights --- */

/* The file system rights of this thread, the only one, become the user's: with another fsuid than
 * root's the kernel drops the capabilities that override permissions, too. No masked bits: modes
 * are the archive's. For every step that names a file; what is open needs no rights any more, and
 * changing them costs as much as writing a piece does. */
static int rights_take(struct unpack *p)
{
    if (p->has_rights)
        return 0;
    p->has_rights = true;
    p->mask = umask(0);
    p->own_gid = (gid_t)setfsgid(p->gid);
    p->own_uid = (uid_t)setfsuid(p->uid);
    bool taken = (uid_t)setfsuid((uid_t)-1) == p->uid && (gid_t)setfsgid((gid_t)-1) == p->gid;
    return taken ? 0 : -EPERM;
}

/* Before the agent does anything else. */
static void rights_restore(struct unpack *p)
{
    if (!p->has_rights)
        return;
    p->has_rights = false;
    setfsuid(p->own_uid);
    setfsgid(p->own_gid);
    umask(p->mask);
}

/* --- directories --- */

/* One that is missing, below `at_fd`; one that is there is fine. */
static int make_dir(int at_fd, const char *name, mode_t mode)
{
    return mkdirat(at_fd, name, mode) < 0 && errno != EEXIST ? -errno : 0;
}

/* Opens `path` below `top_fd` and makes what is missing of it. */
static int open_dir(int top_fd, const char *path)
{
    int found = path_open_beneath(top_fd, path, O_PATH | O_DIRECTORY);
    if (found != -ENOENT)
        return found;
    auto_close int fd = path_open_beneath(top_fd, "", O_PATH | O_DIRECTORY);
    for (const char *at = path; fd >= 0 && *at;) {
        char part[UNTAR_COMPONENT_MAX_BYTES + 1];
        size_t len = strcspn(at, "/");
        if (len >= sizeof(part))
            return -ENAMETOOLONG;
        snprintf(part, sizeof(part), "%.*s", (int)len, at);
        int r = make_dir(fd, part, 0755);
        int next = r < 0 ? r : path_open_beneath(fd, part, O_PATH | O_DIRECTORY);
        cleanup_close(&fd);
        fd = next;
        at += len + strspn(at + len, "/");
    }
    return TAKE_FD(fd);
}

/* Opens the directory of an entry; *ret_name is its last component. */
static int enter_parent(struct unpack *p, const char **ret_name)
{
    const char *slash = strrchr(p->name, '/');
    size_t len = slash ? (size_t)(slash - p->name) : 0;
    *ret_name = slash ? slash + 1 : p->name;
    bool is_same =
        p->parent_fd >= 0 && strlen(p->parent) == len && memcmp(p->parent, p->name, len) == 0;
    if (is_same)
        return 0;
    cleanup_close(&p->parent_fd);
    memcpy(p->parent, p->name, len);
    p->parent[len] = '\0';
    p->parent_fd = open_dir(p->dest_fd, p->parent);
    return p->parent_fd < 0 ? p->parent_fd : 0;
}

static int put_dir(struct unpack *p, const char *name, mode_t mode)
{
    struct stat st;
    if (mkdirat(p->parent_fd, name, mode) == 0)
        return 0;
    if (errno != EEXIST)
        return -errno;
    if (fstatat(p->parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (S_ISLNK(st.st_mode))
        return -ELOOP;
    if (!S_ISDIR(st.st_mode))
        return -ENOTDIR;
    /* That of somebody else keeps what it has. */
    if (st.st_uid != p->uid || (st.st_mode & 0777) == mode)
        return 0;
    return fchmodat(p->parent_fd, name, mode | (st.st_mode & 07000), 0) < 0 ? -errno : 0;
}

/* --- files --- */

/* What is there under this name is unlinked first, so a link is replaced and not followed, and a
 * program that runs from the old file keeps it. */
static int create_file(const struct unpack *p, const char *name, mode_t mode)
{
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(p->parent_fd, name, flags, mode);
    if (fd >= 0 || errno != EEXIST)
        return fd < 0 ? -errno : fd;
    if (unlinkat(p->parent_fd, name, 0) < 0 && errno != ENOENT)
        return -errno;
    fd = openat(p->parent_fd, name, flags, mode);
    return fd < 0 ? -errno : fd;
}

static int put_file(struct unpack *p, const char *name, const struct ustar_entry *en)
{
    p->fd = create_file(p, name, en->mode & 0777);
    if (p->fd < 0)
        return p->fd;
    if (en->size >= BULK_FROM_BYTES)
        p->bulk = bulk_take(&p->agent->bulk, p->fd);
    return 0;
}

static int close_file(struct unpack *p)
{
    const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = p->mtime_s}};
    struct bulk *bulk = TAKE_PTR(p->bulk);
    int r = bulk ? bulk_finish(bulk) : 0;
    if (r == 0 && futimens(p->fd, times) < 0)
        r = -errno;
    int fd = TAKE_FD(p->fd);
    /* Some file systems tell of a full disk only now. */
    return close(fd) < 0 && r == 0 ? -errno : r;
}

/* --- what comes of the archive --- */

static int failed(struct unpack *p, int r, struct err *e)
{
    p->status = path_error(r, p->name, e);
    return r;
}

static int on_entry(void *arg, const struct ustar_entry *en, struct err *e)
{
    struct unpack *p = arg;
    const char *name;
    snprintf(p->name, sizeof(p->name), "%s", en->name);
    p->is_dir = en->type == USTAR_DIR;
    p->mtime_s = en->mtime_s;
    if (!p->name[0])
        return 0;
    int r = rights_take(p);
    r = r < 0 ? r : enter_parent(p, &name);
    if (r == 0)
        r = p->is_dir ? put_dir(p, name, en->mode & 0777) : put_file(p, name, en);
    return r < 0 ? failed(p, r, e) : 0;
}

static int on_content(void *arg, const void *data, size_t len, struct err *e)
{
    struct unpack *p = arg;
    int r = p->bulk ? bulk_write(p->bulk, data, len) : fd_write_all(p->fd, data, len);
    return r < 0 ? failed(p, r, e) : 0;
}

static int on_end(void *arg, struct err *e)
{
    struct unpack *p = arg;
    int r = p->is_dir ? 0 : close_file(p);
    return r < 0 ? failed(p, r, e) : 0;
}

static const struct untar_ops tar_ops = {on_entry, on_content, on_end};

/* --- the request --- */

static void unpack_free(struct unpack *p)
{
    if (!p)
        return;
    bulk_drop(p->bulk);
    cleanup_close(&p->fd);
    cleanup_close(&p->parent_fd);
    cleanup_close(&p->dest_fd);
    untar_done(&p->tar);
    free(p);
}
DEFINE_AUTO(struct unpack *, unpack_free)

struct place {
    char root[AGENT_PATH_MAX_BYTES], path[AGENT_PATH_MAX_BYTES];
};

static int decode(const struct call *c, struct unpack *p, struct place *ret, struct err *e)
{
    static const char *const names[] = {"root", "path", "uid", "gid", NULL};
    int64_t uid = 0, gid = 0;
    int r = call_params_only(c, names, e);
    r = r < 0 ? r : path_params_beneath(c, ret->root, ret->path, e);
    r = r < 0 ? r : call_number(c, "uid", UINT32_MAX - 1, &uid, e);
    r = r < 0 ? r : call_number(c, "gid", UINT32_MAX - 1, &gid, e);
    if (r < 0)
        return r;
    p->uid = (uid_t)uid;
    p->gid = (gid_t)gid;
    return 0;
}

/* The directory that all must lie below is made for the user when it is missing; he could not. */
static int open_root(const struct agent *a, const struct unpack *p, const char *root)
{
    int fd = path_open_root(a, root);
    if (fd != -ENOENT)
        return fd;
    char copy[AGENT_PATH_MAX_BYTES];
    const char *name;
    snprintf(copy, sizeof(copy), "%s", root);
    auto_close int at_fd = path_open_parent(a, copy, &name);
    if (at_fd < 0)
        return at_fd;
    if (mkdirat(at_fd, name, 0755) < 0 ||
        fchownat(at_fd, name, p->uid, p->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return path_open_root(a, root);
}

static int open_dest(struct unpack *p, const struct place *at, struct err *e)
{
    auto_close int root_fd = open_root(p->agent, p, at->root);
    if (root_fd < 0) {
        p->status = path_error(root_fd, at->root, e);
        return root_fd;
    }
    int r = rights_take(p);
    p->dest_fd = r < 0 ? r : open_dir(root_fd, at->path);
    rights_restore(p);
    if (p->dest_fd < 0)
        p->status = path_error(p->dest_fd, at->path, e);
    return p->dest_fd < 0 ? p->dest_fd : 0;
}

void unpack_begin(struct call *c)
{
    struct err e = ERR_INIT;
    struct place at;
    CLEANUP(unpack_freep) struct unpack *p = calloc(1, sizeof(*p));
    if (!p) {
        c->refused = true;
        agent_server_abort(c->stream);
        return;
    }
    p->agent = c->agent;
    p->fd = p->dest_fd = p->parent_fd = -EBADF;
    p->tar.ops = &tar_ops;
    p->tar.arg = p;
    int r = decode(c, p, &at, &e);
    r = r < 0 ? r : open_dest(p, &at, &e);
    if (r < 0) {
        call_fail(c, p->status, &e);
        return;
    }
    c->data = TAKE_PTR(p);
    agent_server_set_window(c->stream, AGENT_FILE_WINDOW_BYTES);
}

static void fail(struct call *c, const struct err *e)
{
    struct unpack *p = c->data;
    c->data = NULL;
    call_fail(c, p->status, e);
    unpack_free(p);
}

void unpack_body(struct call *c, const uint8_t *data, size_t len)
{
    struct unpack *p = c->data;
    struct err e = ERR_INIT;
    int r = untar_feed(&p->tar, data, len, &e);
    rights_restore(p);
    agent_server_consume(c->stream, len);
    if (r < 0)
        fail(c, &e);
}

void unpack_body_end(struct call *c)
{
    struct unpack *p = c->data;
    struct err e = ERR_INIT;
    if (untar_finish(&p->tar, &e) < 0)
        fail(c, &e);
    else
        call_reply(c, 201, "{}", 2);
}

void unpack_closed(struct call *c)
{
    unpack_free(c->data);
}
