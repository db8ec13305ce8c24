/* SPDX-License-Identifier: Apache-2.0 */

/* Directories in and out as tar, as the real agent does it: nothing leads out of `root`, and no
 * link is followed. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "engine/fake/call.h"
#include "engine/fake/requests.h"
#include "engine/fake/tar.h"
#include "wire/untar.h"

#define ID_MAX (UINT32_MAX - 1)

struct place {
    char root[AGENT_PATH_MAX_BYTES], path[AGENT_PATH_MAX_BYTES];
    char all[AGENT_PATH_MAX_BYTES]; /* both */
};

struct transfer {
    struct call *call;
    char dest[AGENT_PATH_MAX_BYTES];
    struct untar untar;
    struct file_attr attr; /* of the entry at hand, or of directories that are made */
    char path[AGENT_PATH_MAX_BYTES];
    struct buf content; /* of it; going out: what was packed */
    size_t at;          /* going out */
};

/* A link among the parents of `path` or, with `itself`, at it. */
static bool passes_link(const struct files *f, const char *path, bool itself)
{
    char part[AGENT_PATH_MAX_BYTES];
    for (const char *at = path; *at; at += 1 + strcspn(at + 1, "/")) {
        const char *end = at + 1 + strcspn(at + 1, "/");
        snprintf(part, sizeof(part), "%.*s", (int)(end - path), path);
        const struct file *file = files_at(f, part);
        if ((*end || itself) && file && file->attr.type == FILE_LINK)
            return true;
    }
    return false;
}

static int fail_file(int r, const char *path, struct err *e)
{
    if (r == -ELOOP)
        return err_set(e, ERR_INVALID, "%.300s: a symbolic link, which is not followed", path);
    if (r == -ENOENT)
        return err_set(e, ERR_NOT_FOUND, "%.300s: no such file or directory", path);
    if (r == -ENOSPC)
        return err_set(e, ERR_TOO_LARGE, "%.300s: no space left in the guest", path);
    return err_set(e, ERR_CONFLICT, "%.300s: %s", path, strerror(-r));
}

static int decode(const struct call *c, struct place *p, struct err *e)
{
    int r = call_param(c, "root", p->root, sizeof(p->root), e);
    if (r >= 0 && (r == 0 || p->root[0] != '/'))
        return err_field(e, "root", "root must be an absolute path");
    r = r < 0 ? r : call_param(c, "path", p->path, sizeof(p->path), e);
    if (r >= 0 && p->path[0] == '/')
        return err_field(e, "path", "path must be relative to root");
    if (r < 0)
        return r;
    size_t len = strlen(p->root);
    bool is_below =
        files_resolve(p->root, p->path[0] ? p->path : ".", p->all, sizeof(p->all)) == 0 &&
        strncmp(p->all, p->root, len) == 0 && (!p->all[len] || p->all[len] == '/');
    if (!is_below)
        return err_field(e, "path", "%.300s: leads out of where it must be", p->path);
    return passes_link(&c->guest->files, p->all, true) ? fail_file(-ELOOP, p->path, e) : 0;
}

/* --- in --- */

static int on_entry(void *arg, const struct ustar_entry *en, struct err *e)
{
    struct transfer *t = arg;
    const struct files *f = &t->call->guest->files;
    bool is_dir = en->type == USTAR_DIR;
    if (path_printf(t->path, sizeof(t->path), "%s/%s", t->dest, en->name) < 0)
        return fail_file(-ENAMETOOLONG, en->name, e);
    if (!en->name[0])
        t->path[strlen(t->path) - 1] = '\0';
    const struct file *there = files_at(f, t->path);
    if (passes_link(f, t->path, is_dir))
        return fail_file(-ELOOP, en->name, e);
    if (is_dir && there && there->attr.type != FILE_DIR)
        return fail_file(-ENOTDIR, en->name, e);
    t->attr.type = is_dir ? FILE_DIR : FILE_REGULAR;
    t->attr.mode = en->mode & 0777;
    t->attr.mtime_ms = en->mtime_s * 1000;
    buf_clear(&t->content);
    return 0;
}

static int on_content(void *arg, const void *data, size_t len, struct err *e)
{
    struct transfer *t = arg;
    return buf_append(&t->content, data, len) < 0 ? err_errno(e, -ENOMEM, "unpack") : 0;
}

static int on_end(void *arg, struct err *e)
{
    struct transfer *t = arg;
    int r = files_put(&t->call->guest->files, t->path, &t->attr, t->content.data, t->content.len);
    return r < 0 ? fail_file(r, t->path, e) : 0;
}

static int begin_put(struct call *c, struct transfer *t, struct err *e)
{
    static const char *const names[] = {"root", "path", "uid", "gid", NULL};
    struct place p = {0};
    int64_t uid = 0, gid = 0;
    int r = call_params_only(c, names, e);
    r = r < 0 ? r : decode(c, &p, e);
    r = r < 0 ? r : call_number(c, "uid", 10, ID_MAX, &uid, e);
    r = r < 0 ? r : call_number(c, "gid", 10, ID_MAX, &gid, e);
    if (r < 0)
        return r;
    t->attr = (struct file_attr){
        .type = FILE_DIR, .mode = 0755, .uid = (uint32_t)uid, .gid = (uint32_t)gid};
    memcpy(t->dest, p.all, sizeof(t->dest));
    const struct file *there = files_at(&c->guest->files, p.all);
    r = there && there->attr.type != FILE_DIR ? -ENOTDIR : 0;
    r = r < 0 ? r : files_put(&c->guest->files, p.all, &t->attr, "", 0);
    return r < 0 ? fail_file(r, p.all, e) : 0;
}

void requests_tar_put_begin(struct call *c)
{
    static const struct untar_ops ops = {on_entry, on_content, on_end};
    struct err e = ERR_INIT;
    struct transfer *t = calloc(1, sizeof(*t));
    if (!t) {
        call_abort(c);
        return;
    }
    c->data = t;
    t->call = c;
    t->untar.ops = &ops;
    t->untar.arg = t;
    if (begin_put(c, t, &e) < 0)
        call_fail(c, 0, &e);
}

void requests_tar_put_body(struct call *c, const uint8_t *data, size_t len)
{
    struct transfer *t = c->data;
    struct err e = ERR_INIT;
    int r = untar_feed(&t->untar, data, len, &e);
    agent_server_consume(c->stream, len);
    if (r < 0)
        call_fail(c, 0, &e);
}

void requests_tar_put_end(struct call *c)
{
    struct transfer *t = c->data;
    struct err e = ERR_INIT;
    if (untar_finish(&t->untar, &e) < 0)
        call_fail(c, 0, &e);
    else
        call_reply(c, 201, "{}", 2);
}

/* --- out --- */

static ssize_t pull(struct agent_stream *st, uint8_t *buf, size_t size)
{
    const struct call *c = st->data;
    struct transfer *t = c->data;
    size_t n = t->content.len - t->at < size ? t->content.len - t->at : size;
    memcpy(buf, t->content.data + t->at, n);
    t->at += n;
    return n ? (ssize_t)n : AGENT_PULL_END;
}

static int pack_file(const struct file *file, struct buf *out)
{
    const struct ustar_entry en = {
        .type = USTAR_FILE,
        .name = strrchr(file->path, '/') + 1,
        .mode = file->attr.mode,
        .uid = file->attr.uid,
        .gid = file->attr.gid,
        .size = file->content->len,
        .mtime_s = file->attr.mtime_ms / 1000,
    };
    ustar_put(out, &en);
    buf_append(out, file->content->data, file->content->len);
    ustar_put_zeros(out, ustar_padding(en.size));
    return ustar_put_zeros(out, 2 * USTAR_BLOCK_BYTES);
}

static int pack_dir(const struct files *f, const char *dir, struct buf *out)
{
    auto_free struct tar *t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    snprintf(t->dir, sizeof(t->dir), "%s", dir);
    for (struct blob *b = NULL; tar_next(t, f, out, &b); b = NULL) {
        if (b)
            buf_append(out, b->data, b->len);
        blob_unref(b);
    }
    tar_done(t);
    return out->failed ? -ENOMEM : 0;
}

static int pack(struct call *c, struct transfer *t, struct err *e)
{
    static const char *const names[] = {"root", "path", NULL};
    struct place p = {0};
    const struct files *f = &c->guest->files;
    int r = call_params_only(c, names, e);
    r = r < 0 ? r : decode(c, &p, e);
    if (r < 0)
        return r;
    const struct file *file = files_at(f, p.all);
    if (!file)
        return fail_file(-ENOENT, p.all, e);
    r = file->attr.type == FILE_DIR ? pack_dir(f, p.all, &t->content)
                                    : pack_file(file, &t->content);
    return r < 0 ? err_errno(e, r, "pack %.300s", p.all) : 0;
}

void requests_tar_get(struct call *c)
{
    struct err e = ERR_INIT;
    struct transfer *t = calloc(1, sizeof(*t));
    if (!t) {
        call_abort(c);
        return;
    }
    c->data = t;
    if (pack(c, t, &e) < 0)
        call_fail(c, 0, &e);
    else if (agent_server_respond_pull(c->stream, 200, "application/x-tar", pull) < 0)
        call_abort(c);
}

void requests_tar_closed(struct call *c)
{
    struct transfer *t = c->data;
    if (!t)
        return;
    untar_done(&t->untar);
    buf_done(&t->content);
    free(t);
}
