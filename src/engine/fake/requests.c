/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/requests.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "engine/fake/bounds.h"
#include "engine/fake/call.h"
#include "wire/guest_stat.h"

#define ID_MAX (UINT32_MAX - 1)

struct put {
    char path[AGENT_PATH_MAX_BYTES];
    struct file_attr attr;
    bool has_parents;
};

/* Part of a content, which stays although the file may be replaced meanwhile. */
struct get {
    struct blob *content;
    size_t at, end;
};

static int take_path(const struct call *c, char ret[AGENT_PATH_MAX_BYTES], struct err *e)
{
    char text[AGENT_PATH_MAX_BYTES];
    int r = call_param(c, "path", text, sizeof(text), e);
    if (r < 0)
        return r;
    if (r == 0 || text[0] != '/' || files_resolve(NULL, text, ret, AGENT_PATH_MAX_BYTES) < 0)
        return err_field(e, "path", "path must be an absolute path");
    return 0;
}

/* For requests with no other parameter. NULL: the call was answered. */
static bool take_only_path(struct call *c, char ret[AGENT_PATH_MAX_BYTES])
{
    static const char *const names[] = {"path", NULL};
    struct err e = ERR_INIT;
    int r = call_params_only(c, names, &e);
    r = r < 0 ? r : take_path(c, ret, &e);
    if (r < 0)
        call_fail(c, 0, &e);
    return r == 0;
}

/* --- PUT --- */

static int decode_put(const struct call *c, struct put *p, struct err *e)
{
    static const char *const names[] = {"path", "mode", "uid", "gid", "parents", "in_place", NULL};
    int64_t mode = 0644, uid = 0, gid = 0, parents = 0, in_place = 0;
    int r = call_params_only(c, names, e);
    r = r < 0 ? r : take_path(c, p->path, e);
    r = r < 0 ? r : call_number(c, "mode", 8, 07777, &mode, e);
    r = r < 0 ? r : call_number(c, "uid", 10, ID_MAX, &uid, e);
    r = r < 0 ? r : call_number(c, "gid", 10, ID_MAX, &gid, e);
    r = r < 0 ? r : call_number(c, "parents", 10, 1, &parents, e);
    r = r < 0 ? r : call_number(c, "in_place", 10, 1, &in_place, e); /* nobody holds a file open */
    if (r < 0)
        return r;
    p->attr =
        (struct file_attr){.mode = (unsigned)mode, .uid = (uint32_t)uid, .gid = (uint32_t)gid};
    p->has_parents = parents;
    return 0;
}

static bool has_parent(const struct files *f, const char *path)
{
    char dir[AGENT_PATH_MAX_BYTES];
    memcpy(dir, path, strlen(path) + 1);
    char *slash = strrchr(dir, '/');
    *slash = '\0';
    return slash == dir || files_is_dir(f, dir);
}

/* What is wrong is found before the body comes. */
static int check_place(const struct call *c, const struct put *p)
{
    const struct files *f = &c->guest->files;
    if (files_is_dir(f, p->path))
        return -EISDIR;
    return p->has_parents || has_parent(f, p->path) ? 0 : -ENOENT;
}

void requests_put_begin(struct call *c)
{
    struct err e = ERR_INIT;
    struct put *p = calloc(1, sizeof(*p));
    if (!p) {
        call_abort(c);
        return;
    }
    c->data = p;
    c->body.max_bytes = FAKE_FILES_MAX_BYTES;
    if (decode_put(c, p, &e) < 0) {
        call_fail(c, 0, &e);
        return;
    }
    int r = check_place(c, p);
    if (r < 0)
        call_fail_file(c, r, p->path);
}

void requests_put_end(struct call *c)
{
    struct put *p = c->data;
    p->attr.mtime_ms = guest_real_ms(c->guest);
    int r = files_put(&c->guest->files, p->path, &p->attr, c->body.data, c->body.len);
    if (r < 0)
        call_fail_file(c, r, p->path);
    else
        call_reply(c, 201, "{}", 2);
}

void requests_put_closed(struct call *c)
{
    free(c->data);
}

/* --- GET --- */

static ssize_t pull(struct agent_stream *st, uint8_t *buf, size_t size)
{
    const struct call *c = st->data;
    struct get *g = c->data;
    size_t n = g->end - g->at < size ? g->end - g->at : size;
    if (n == 0)
        return AGENT_PULL_END;
    memcpy(buf, g->content->data + g->at, n);
    g->at += n;
    return (ssize_t)n;
}

/* A range beyond the end is what there is of it. */
static int open_range(struct call *c, struct blob *b, int64_t offset, int64_t length)
{
    struct get *g = calloc(1, sizeof(*g));
    if (!g)
        return -ENOMEM;
    g->content = blob_ref(b);
    g->at = offset < (int64_t)b->len ? (size_t)offset : b->len;
    g->end = length < (int64_t)(b->len - g->at) ? g->at + (size_t)length : b->len;
    c->data = g;
    return agent_server_respond_pull(c->stream, 200, "application/octet-stream", pull);
}

void requests_get(struct call *c)
{
    static const char *const names[] = {"path", "offset", "length", NULL};
    struct err e = ERR_INIT;
    char path[AGENT_PATH_MAX_BYTES];
    int64_t offset = 0, length = INT64_MAX;
    int r = call_params_only(c, names, &e);
    r = r < 0 ? r : take_path(c, path, &e);
    r = r < 0 ? r : call_number(c, "offset", 10, INT64_MAX, &offset, &e);
    r = r < 0 ? r : call_number(c, "length", 10, INT64_MAX, &length, &e);
    if (r < 0) {
        call_fail(c, 0, &e);
        return;
    }
    struct blob *b = files_find(&c->guest->files, path);
    const struct file *file = files_at(&c->guest->files, path);
    if (!b && (file || !path[1]))
        err_set(&e, ERR_CONFLICT, "%.300s: not a regular file", path);
    else if (!b)
        err_set(&e, ERR_NOT_FOUND, "%.300s: no such file or directory", path);
    if (!b)
        call_fail(c, 0, &e);
    else if (open_range(c, b, offset, length) < 0)
        call_abort(c);
}

void requests_get_closed(struct call *c)
{
    struct get *g = c->data;
    if (g)
        blob_unref(g->content);
    free(g);
}

/* --- stat, list, DELETE --- */

static int encode(const struct file *file, const char *name, struct buf *out)
{
    static const enum guest_file_type types[] = {
        [FILE_REGULAR] = GUEST_FILE, [FILE_DIR] = GUEST_DIR, [FILE_LINK] = GUEST_LINK};
    struct guest_stat st = {.type = GUEST_DIR, .mode = 0755}; /* of the root, which is no entry */
    if (file)
        st = (struct guest_stat){
            .type = types[file->attr.type],
            .size = (int64_t)file->content->len,
            .mode = file->attr.mode,
            .uid = file->attr.uid,
            .gid = file->attr.gid,
            .mtime_ms = file->attr.mtime_ms,
        };
    return guest_stat_encode(&st, name, out);
}

void requests_stat(struct call *c)
{
    char path[AGENT_PATH_MAX_BYTES];
    auto_buf struct buf json = {0};
    if (!take_only_path(c, path))
        return;
    const struct file *file = files_at(&c->guest->files, path);
    if (!file && path[1])
        call_fail_file(c, -ENOENT, path);
    else if (encode(file, NULL, &json) < 0)
        call_abort(c);
    else
        call_reply(c, 200, json.data, json.len);
}

/* Returns how many entries there are, or a negative errno. */
static int encode_list(const struct files *f, const char *dir, struct buf *out)
{
    size_t skip = dir[1] ? strlen(dir) + 1 : 1;
    int n = 0, r = buf_append_str(out, "{\"entries\":[");
    for (size_t i = files_first_below(f, dir); i < f->n && files_below(&f->list[i], dir); i++) {
        const char *name = f->list[i].path + skip;
        if (strchr(name, '/'))
            continue;
        if (n++)
            buf_append_str(out, ",");
        r = r < 0 ? r : encode(&f->list[i], name, out);
    }
    buf_append_str(out, "]}");
    return r < 0 || out->failed ? -ENOMEM : n;
}

void requests_list(struct call *c)
{
    char path[AGENT_PATH_MAX_BYTES];
    auto_buf struct buf json = {0};
    struct err e = ERR_INIT;
    const struct files *f = &c->guest->files;
    if (!take_only_path(c, path))
        return;
    if (!files_is_dir(f, path)) {
        call_fail_file(c, files_at(f, path) ? -ENOTDIR : -ENOENT, path);
        return;
    }
    int n = encode_list(f, path, &json);
    if (n < 0) {
        call_abort(c);
    } else if (n > AGENT_LIST_MAX) {
        err_set(&e, ERR_TOO_LARGE, "%.300s has more than %d entries", path, AGENT_LIST_MAX);
        call_fail(c, 0, &e);
    } else {
        call_reply(c, 200, json.data, json.len);
    }
}

void requests_remove(struct call *c)
{
    char path[AGENT_PATH_MAX_BYTES];
    if (!take_only_path(c, path))
        return;
    int r = files_remove(&c->guest->files, path);
    if (r < 0)
        call_fail_file(c, r, path);
    else
        call_reply(c, 200, "{}", 2);
}
