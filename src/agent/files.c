/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/files.h"

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
#include "base/fd.h"
#include "base/id.h"
#include "base/limits.h"

struct put {
    char path[AGENT_PATH_MAX_BYTES];
    char *name; /* the last component, in `path` */
    mode_t mode;
    uid_t uid;
    gid_t gid;
    bool parents;
    bool in_place;
    int dir_fd;
    int fd;
    char temp[ID_SIZE + 8]; /* "": there is none (any more), `fd` is the file itself */
    struct bulk *bulk;      /* once the file has become large; NULL: not, or others have it */
    uint64_t bytes;         /* received */
};

struct get {
    int fd;
    int64_t offset;
    int64_t left;      /* bytes still to send; the file may end before */
    struct bulk *bulk; /* NULL: it is small, or others have it */
};

static int decode_put(const struct call *c, struct put *p, struct err *e)
{
    static const char *const names[] = {"path", "mode", "uid", "gid", "parents", "in_place", NULL};
    int64_t mode = 0644, uid = 0, gid = 0, parents = 0, in_place = 0;
    int r = call_params_only(c, names, e);
    r = r < 0 ? r : path_param(c, p->path, e);
    r = r < 0 ? r : call_octal(c, "mode", 07777, &mode, e);
    r = r < 0 ? r : call_number(c, "uid", UINT32_MAX - 1, &uid, e);
    r = r < 0 ? r : call_number(c, "gid", UINT32_MAX - 1, &gid, e);
    r = r < 0 ? r : call_number(c, "parents", 1, &parents, e);
    r = r < 0 ? r : call_number(c, "in_place", 1, &in_place, e);
    if (r < 0)
        return r;
    p->mode = (mode_t)mode;
    p->uid = (uid_t)uid;
    p->gid = (gid_t)gid;
    p->parents = parents;
    p->in_place = in_place;
    p->name = strrchr(p->path, '/') + 1;
    if (p->name[0] == '\0' || strcmp(p->name, ".") == 0 || strcmp(p->name, "..") == 0)
        return err_field(e, "path", "path must end with the name of a file");
    return 0;
}

/* Makes one missing directory of the chain, owned as the file will be. */
static int make_dir(const struct agent *a, const struct put *p, char *dir)
{
    char *slash = strrchr(dir, '/');
    *slash = '\0';
    auto_close int parent = path_open(a, slash == dir ? "/" : dir, O_PATH | O_DIRECTORY);
    *slash = '/';
    if (parent < 0)
        return parent;
    if (mkdirat(parent, slash + 1, 0755) < 0)
        return errno == EEXIST ? 0 : -errno;
    return fchownat(parent, slash + 1, p->uid, p->gid, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int make_parents(const struct agent *a, const struct put *p, char *dir)
{
    for (char *at = dir + 1; *at; at++) {
        if (*at != '/' || at[-1] == '/')
            continue;
        *at = '\0';
        int r = make_dir(a, p, dir);
        *at = '/';
        if (r < 0)
            return r;
    }
    size_t len = strlen(dir);
    return len > 1 && dir[len - 1] != '/' ? make_dir(a, p, dir) : 0;
}

static int open_parent(const struct agent *a, struct put *p)
{
    char dir[AGENT_PATH_MAX_BYTES];
    size_t len = (size_t)(p->name - p->path);
    while (len > 1 && p->path[len - 1] == '/')
        len--;
    memcpy(dir, p->path, len);
    dir[len] = '\0';
    int fd = path_open(a, dir, O_PATH | O_DIRECTORY);
    if (fd != -ENOENT || !p->parents)
        return fd;
    int r = make_parents(a, p, dir);
    return r < 0 ? r : path_open(a, dir, O_PATH | O_DIRECTORY);
}

static int open_temp(struct put *p)
{
    struct stat st;
    /* Found now rather than after the upload. */
    if (fstatat(p->dir_fd, p->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
        return -EISDIR;
    char id[ID_SIZE];
    id_new(id);
    snprintf(p->temp, sizeof(p->temp), ".holm-%s", id);
    int fd = openat(p->dir_fd, p->temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : fd;
}

/* The file that is there, for who has it open already; -ENOENT: there is none of its kind. */
static int open_there(const struct put *p)
{
    struct stat st;
    auto_close int fd = openat(p->dir_fd, p->name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno != ELOOP && errno != ENXIO)
        return -errno;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return -ENOENT;
    return ftruncate(fd, 0) < 0 ? -errno : TAKE_FD(fd);
}

static void put_free(struct put *p)
{
    if (!p)
        return;
    bulk_drop(p->bulk);
    if (p->temp[0] && p->dir_fd >= 0)
        unlinkat(p->dir_fd, p->temp, 0);
    cleanup_close(&p->fd);
    cleanup_close(&p->dir_fd);
    free(p);
}
DEFINE_AUTO(struct put *, put_free)

static int put_open(const struct agent *a, struct put *p)
{
    p->dir_fd = open_parent(a, p);
    if (p->dir_fd < 0)
        return p->dir_fd;
    p->fd = p->in_place ? open_there(p) : -ENOENT;
    if (p->fd == -ENOENT)
        p->fd = open_temp(p);
    return p->fd < 0 ? p->fd : 0;
}

void files_put_begin(struct call *c)
{
    struct err e = ERR_INIT;
    CLEANUP(put_freep) struct put *p = calloc(1, sizeof(*p));
    if (!p) {
        c->refused = true;
        agent_server_abort(c->stream);
        return;
    }
    p->fd = p->dir_fd = -EBADF;
    int status = 0, r = decode_put(c, p, &e);
    if (r >= 0) {
        r = put_open(c->agent, p);
        status = r < 0 ? call_file_error(r, p->path, &e) : 0;
    }
    if (r < 0)
        call_fail(c, status, &e);
    else
        c->data = TAKE_PTR(p);
    if (r >= 0)
        agent_server_set_window(c->stream, AGENT_FILE_WINDOW_BYTES);
}

static void put_fail(struct call *c, int r)
{
    struct put *p = c->data;
    struct err e = ERR_INIT;
    int status = call_file_error(r, p->path, &e);
    call_fail(c, status, &e);
    c->data = NULL;
    put_free(p);
}

/* A large file goes on by `bulk`, from a multiple of what a disk wants on. */
static int put_write(struct agent *a, struct put *p, const uint8_t *data, size_t len)
{
    size_t plain = p->bulk ? 0 : len;
    if (!p->bulk && p->bytes >= BULK_FROM_BYTES && -p->bytes % BULK_ALIGN_BYTES < len) {
        plain = -p->bytes % BULK_ALIGN_BYTES;
        p->bulk = bulk_take(&a->bulk, p->fd);
        plain = p->bulk ? plain : len;
    }
    p->bytes += len;
    int r = fd_write_all(p->fd, data, plain);
    return r == 0 && p->bulk ? bulk_write(p->bulk, data + plain, len - plain) : r;
}

void files_put_body(struct call *c, const uint8_t *data, size_t len)
{
    struct put *p = c->data;
    int r = put_write(c->agent, p, data, len);
    agent_server_consume(c->stream, len);
    if (r < 0)
        put_fail(c, r);
}

static int put_finish(struct put *p)
{
    struct bulk *bulk = TAKE_PTR(p->bulk);
    int r = bulk ? bulk_finish(bulk) : 0;
    if (r < 0)
        return r;
    /* The owner first: changing it clears set-id bits of the mode. */
    if (fchown(p->fd, p->uid, p->gid) < 0 || fchmod(p->fd, p->mode) < 0)
        return -errno;
    /* Some file systems tell of a full disk only now. */
    int fd = TAKE_FD(p->fd);
    if (close(fd) < 0)
        return -errno;
    if (p->temp[0] && renameat(p->dir_fd, p->temp, p->dir_fd, p->name) < 0)
        return -errno;
    p->temp[0] = '\0';
    return 0;
}

void files_put_end(struct call *c)
{
    int r = put_finish(c->data);
    if (r < 0)
        put_fail(c, r);
    else
        call_reply(c, 201, "{}", 2);
}

void files_put_closed(struct call *c)
{
    put_free(c->data);
}

static ssize_t get_read(const struct get *g, uint8_t *buf, size_t size)
{
    if (g->bulk)
        return bulk_read(g->bulk, buf, size, g->offset);
    ssize_t n;
    do
        n = pread(g->fd, buf, size, g->offset);
    while (n < 0 && errno == EINTR);
    return n;
}

static ssize_t get_pull(struct agent_stream *st, uint8_t *buf, size_t size)
{
    const struct call *c = st->data;
    struct get *g = c->data;
    if ((int64_t)size > g->left)
        size = (size_t)g->left;
    ssize_t n = size ? get_read(g, buf, size) : 0;
    if (n <= 0)
        return n == 0 ? AGENT_PULL_END : AGENT_PULL_ABORT;
    g->offset += n;
    g->left -= n;
    return n;
}

static int get_open(const struct call *c, const char *path, struct err *e, int *ret_status)
{
    /* Not blocking: a FIFO without a writer would hold up everything. */
    auto_close int fd = path_open(c->agent, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    int r = fd < 0 ? fd : fstat(fd, &st) < 0 ? -errno : 0;
    if (r < 0) {
        *ret_status = call_file_error(r, path, e);
        return r;
    }
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_CONFLICT, "%.300s: not a regular file", path);
    return TAKE_FD(fd);
}

static int get_decode(const struct call *c, char path[AGENT_PATH_MAX_BYTES], struct get *g,
                      struct err *e)
{
    static const char *const names[] = {"path", "offset", "length", NULL};
    int r = call_params_only(c, names, e);
    r = r < 0 ? r : path_param(c, path, e);
    r = r < 0 ? r : call_number(c, "offset", INT64_MAX, &g->offset, e);
    return r < 0 ? r : call_number(c, "length", INT64_MAX, &g->left, e);
}

static bool is_large(const struct get *g)
{
    struct stat st;
    return g->left >= BULK_FROM_BYTES && fstat(g->fd, &st) == 0 &&
           st.st_size - g->offset >= BULK_FROM_BYTES;
}

void files_get_begin(struct call *c)
{
    char path[AGENT_PATH_MAX_BYTES];
    struct err e = ERR_INIT;
    struct get get = {.left = INT64_MAX};
    int status = 0;
    int r = get_decode(c, path, &get, &e);
    auto_close int fd = r < 0 ? r : get_open(c, path, &e, &status);
    if (fd < 0) {
        call_fail(c, status, &e);
        return;
    }
    struct get *g = calloc(1, sizeof(*g));
    if (!g) {
        agent_server_abort(c->stream);
        return;
    }
    *g = get;
    g->fd = TAKE_FD(fd);
    c->data = g;
    if (is_large(g))
        g->bulk = bulk_take(&c->agent->bulk, g->fd);
    if (agent_server_respond_pull(c->stream, 200, "application/octet-stream", get_pull) < 0)
        agent_server_abort(c->stream);
}

void files_get_closed(struct call *c)
{
    struct get *g = c->data;
    if (!g)
        return;
    bulk_drop(g->bulk);
    close(g->fd);
    free(g);
}
