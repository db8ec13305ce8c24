/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/pack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/bulk.h"
#include "agent/path.h"
#include "base/cleanup.h"
#include "wire/ustar.h"

#define LEVELS_OPEN 16 /* directories that are open at the same time, of however many */

/* A directory on the way down to the entry at hand. */
struct level {
    DIR *dir;        /* NULL: closed for now; it goes on at `at` */
    long at;         /* of telldir */
    size_t path_len; /* of its path in pack.path */
};

struct pack {
    struct agent *agent;
    int top_fd; /* the directory that is packed; negative: it is one file */
    struct level *levels;
    size_t n_levels, cap_levels;
    char path[AGENT_PATH_MAX_BYTES]; /* "./a/b": of the entry at hand */

    struct buf out; /* headers and padding */
    size_t out_at;
    int fd; /* of the file whose content comes */
    int64_t offset;
    uint64_t left;
    struct bulk *bulk;
    bool ended;
};

/* --- directories --- */

static const char *below_top(const struct pack *p)
{
    return p->path[1] ? p->path + 2 : "";
}

/* Takes `fd`. */
static int push_level(struct pack *p, int fd)
{
    auto_close int owned = fd;
    if (p->n_levels == p->cap_levels) {
        size_t cap = p->cap_levels ? 2 * p->cap_levels : 16;
        struct level *levels = realloc(p->levels, cap * sizeof(*levels));
        if (!levels)
            return -ENOMEM;
        p->levels = levels;
        p->cap_levels = cap;
    }
    DIR *dir = fdopendir(owned);
    if (!dir)
        return -errno;
    TAKE_FD(owned);
    /* However deep it goes, few are open. */
    struct level *far = p->n_levels < LEVELS_OPEN ? NULL : &p->levels[p->n_levels - LEVELS_OPEN];
    if (far && far->dir) {
        far->at = telldir(far->dir);
        closedir(far->dir);
        far->dir = NULL;
    }
    p->levels[p->n_levels++] = (struct level){.dir = dir, .path_len = strlen(p->path)};
    return 0;
}

static void pop_level(struct pack *p)
{
    struct level *l = &p->levels[--p->n_levels];
    if (l->dir)
        closedir(l->dir);
}

/* One that was closed meanwhile. False: it is not there any more. */
static bool reopen_level(struct pack *p, struct level *l)
{
    int fd = path_open_beneath(p->top_fd, below_top(p), O_RDONLY | O_DIRECTORY);
    l->dir = fd < 0 ? NULL : fdopendir(fd);
    if (!l->dir) {
        cleanup_close(&fd);
        return false;
    }
    seekdir(l->dir, l->at);
    return true;
}

/* The next name of the innermost directory; NULL with 0: that was its last. */
static int next_name(struct pack *p, const char **ret)
{
    struct level *l = &p->levels[p->n_levels - 1];
    struct dirent *de;
    p->path[l->path_len] = '\0';
    *ret = NULL;
    if (!l->dir && !reopen_level(p, l))
        return 0;
    do {
        errno = 0;
        de = readdir(l->dir);
    } while (de && (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0));
    if (!de)
        return -errno;
    if (l->path_len + 1 + strlen(de->d_name) >= sizeof(p->path))
        return -ENAMETOOLONG;
    snprintf(p->path + l->path_len, sizeof(p->path) - l->path_len, "/%s", de->d_name);
    *ret = p->path + l->path_len + 1;
    return 0;
}

/* --- entries --- */

static int put_header(struct pack *p, const struct stat *st, const char *name, const char *link)
{
    bool is_file = S_ISREG(st->st_mode);
    const struct ustar_entry en = {
        .type = S_ISDIR(st->st_mode) ? USTAR_DIR
                : is_file            ? USTAR_FILE
                                     : USTAR_LINK,
        .name = name,
        .link = link,
        .mode = st->st_mode & 07777,
        .uid = st->st_uid,
        .gid = st->st_gid,
        .size = is_file ? (uint64_t)st->st_size : 0,
        .mtime_s = st->st_mtime,
    };
    return ustar_put(&p->out, &en);
}

/* Takes `fd`. */
static int begin_file(struct pack *p, int fd, const struct stat *st, const char *name)
{
    p->fd = fd;
    p->offset = 0;
    p->left = (uint64_t)st->st_size;
    if (st->st_size >= BULK_FROM_BYTES)
        p->bulk = bulk_take(&p->agent->bulk, fd);
    return put_header(p, st, name, NULL);
}

static void end_file(struct pack *p)
{
    bulk_drop(TAKE_PTR(p->bulk));
    cleanup_close(&p->fd);
    p->fd = -EBADF;
    ustar_put_zeros(&p->out, ustar_padding((uint64_t)p->offset));
}

static int put_link(struct pack *p, int dir_fd, const char *name, const struct stat *st)
{
    char to[AGENT_PATH_MAX_BYTES];
    ssize_t n = readlinkat(dir_fd, name, to, sizeof(to) - 1);
    if (n < 0)
        return errno == EINVAL ? -ENOENT : -errno; /* it is no link any more */
    to[n] = '\0';
    return put_header(p, st, p->path, to);
}

/* A file or directory that was looked at; it may be something else by now. */
static int put_opened(struct pack *p, int dir_fd, const char *name)
{
    struct stat st;
    auto_close int fd =
        openat(dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (S_ISREG(st.st_mode))
        return begin_file(p, TAKE_FD(fd), &st, p->path);
    if (!S_ISDIR(st.st_mode))
        return 0;
    int r = put_header(p, &st, p->path, NULL);
    return r < 0 ? r : push_level(p, TAKE_FD(fd));
}

static int put_entry(struct pack *p, const char *name)
{
    struct stat st;
    int dir_fd = dirfd(p->levels[p->n_levels - 1].dir);
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (S_ISLNK(st.st_mode))
        return put_link(p, dir_fd, name, &st);
    return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ? put_opened(p, dir_fd, name) : 0;
}

/* What has vanished since it was listed is left out. */
static int next_entry(struct pack *p)
{
    const char *name;
    if (p->n_levels == 0) {
        p->ended = true;
        return ustar_put_zeros(&p->out, 2 * USTAR_BLOCK_BYTES);
    }
    int r = next_name(p, &name);
    if (r < 0)
        return r;
    if (!name) {
        pop_level(p);
        return 0;
    }
    r = put_entry(p, name);
    return r == -ENOENT || r == -ELOOP ? 0 : r;
}

/* --- the stream --- */

static ssize_t take_out(struct pack *p, uint8_t *buf, size_t size)
{
    size_t n = p->out.len - p->out_at < size ? p->out.len - p->out_at : size;
    memcpy(buf, p->out.data + p->out_at, n);
    p->out_at += n;
    if (p->out_at == p->out.len) {
        buf_clear(&p->out);
        p->out_at = 0;
    }
    return (ssize_t)n;
}

static ssize_t take_content(struct pack *p, uint8_t *buf, size_t size)
{
    ssize_t n;
    size = size < p->left ? size : (size_t)p->left;
    if (p->bulk)
        n = bulk_read(p->bulk, buf, size, p->offset);
    else
        n = pread(p->fd, buf, size, p->offset);
    if (n < 0)
        return errno == EINTR && !p->bulk ? 0 : -1;
    if (n == 0) { /* it has become shorter */
        memset(buf, 0, size);
        n = (ssize_t)size;
    }
    p->offset += n;
    p->left -= (uint64_t)n;
    return n;
}

/* The next bytes, 0 for a step without any, negative for a failure. */
static ssize_t step(struct pack *p, uint8_t *buf, size_t size)
{
    if (p->out.len)
        return take_out(p, buf, size);
    if (p->left)
        return take_content(p, buf, size);
    if (p->fd >= 0) {
        end_file(p);
        return 0;
    }
    return next_entry(p);
}

static ssize_t pull(struct agent_stream *st, uint8_t *buf, size_t size)
{
    const struct call *c = st->data;
    struct pack *p = c->data;
    size_t at = 0;
    while (at < size && !(p->ended && !p->out.len)) {
        ssize_t n = step(p, buf + at, size - at);
        if (n < 0)
            return AGENT_PULL_ABORT;
        at += (size_t)n;
    }
    return at ? (ssize_t)at : AGENT_PULL_END;
}

/* --- the request --- */

static void pack_free(struct pack *p)
{
    if (!p)
        return;
    while (p->n_levels)
        pop_level(p);
    free(p->levels);
    bulk_drop(p->bulk);
    cleanup_close(&p->fd);
    cleanup_close(&p->top_fd);
    buf_done(&p->out);
    free(p);
}
DEFINE_AUTO(struct pack *, pack_free)

/* What is packed: the directory itself, or the one file. */
static int open_top(struct pack *p, int fd, const char *path, struct err *e)
{
    auto_close int owned = fd;
    struct stat st;
    if (fstat(owned, &st) < 0)
        return err_errno(e, -errno, "%s", path);
    if (S_ISREG(st.st_mode)) {
        const char *slash = strrchr(path, '/');
        return begin_file(p, TAKE_FD(owned), &st, slash ? slash + 1 : path);
    }
    if (!S_ISDIR(st.st_mode))
        return err_set(e, ERR_CONFLICT, "%s is neither a file nor a directory", path);
    p->top_fd = path_open_beneath(owned, "", O_PATH | O_DIRECTORY);
    int r = p->top_fd < 0 ? p->top_fd : put_header(p, &st, p->path, NULL);
    return r < 0 ? r : push_level(p, TAKE_FD(owned));
}

static int begin(const struct call *c, struct pack *p, int *ret_status, struct err *e)
{
    static const char *const names[] = {"root", "path", NULL};
    char root[AGENT_PATH_MAX_BYTES], path[AGENT_PATH_MAX_BYTES];
    int r = call_params_only(c, names, e);
    r = r < 0 ? r : path_params_beneath(c, root, path, e);
    if (r < 0)
        return r;
    auto_close int root_fd = path_open_root(c->agent, root);
    int fd =
        root_fd < 0 ? root_fd : path_open_beneath(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        *ret_status = path_error(fd, path[0] ? path : root, e);
        return fd;
    }
    r = open_top(p, fd, path[0] ? path : root, e);
    return r < 0 && e->class == ERR_NONE ? err_errno(e, r, "pack") : r;
}

void pack_begin(struct call *c)
{
    struct err e = ERR_INIT;
    int status = 0;
    CLEANUP(pack_freep) struct pack *p = calloc(1, sizeof(*p));
    if (!p) {
        agent_server_abort(c->stream);
        return;
    }
    p->agent = c->agent;
    p->fd = p->top_fd = -EBADF;
    p->path[0] = '.';
    if (begin(c, p, &status, &e) < 0) {
        call_fail(c, status, &e);
        return;
    }
    c->data = TAKE_PTR(p);
    if (agent_server_respond_pull(c->stream, 200, "application/x-tar", pull) < 0)
        agent_server_abort(c->stream);
}

void pack_closed(struct call *c)
{
    pack_free(c->data);
}
