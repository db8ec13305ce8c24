/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/files.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "engine/fake/bounds.h"
#include "engine/fake/disk.h"
#include "engine/fake/pack.h"

struct blob *blob_new(const void *data, size_t len)
{
    struct blob *b = malloc(sizeof(*b) + len + 1);
    if (!b)
        return NULL;
    *b = (struct blob){.refs = 1, .len = len};
    if (len)
        memcpy(b->data, data, len);
    b->data[len] = '\0';
    return b;
}

struct blob *blob_ref(struct blob *b)
{
    b->refs++;
    return b;
}

void blob_unref(struct blob *b)
{
    if (b && --b->refs == 0)
        free(b);
}
DEFINE_AUTO(struct blob *, blob_unref)

static void file_done(struct file *file)
{
    free(file->path);
    blob_unref(file->content);
}

void files_done(struct files *f)
{
    for (size_t i = 0; i < f->n; i++)
        file_done(&f->list[i]);
    free(f->list);
    *f = (struct files){0};
}

/* --- names --- */

/* Drops the last component of a path of `len` bytes; returns the new length. */
static size_t parent(const char *path, size_t len)
{
    while (len && path[len - 1] != '/')
        len--;
    return len ? len - 1 : 0;
}

/* Appends the components of `part` to the path of `*len` bytes. */
static int append(char *ret, size_t size, size_t *len, const char *part)
{
    while (*part) {
        size_t n = strcspn(part, "/");
        if (n == 2 && memcmp(part, "..", 2) == 0) {
            *len = parent(ret, *len);
        } else if (n && !(n == 1 && part[0] == '.')) {
            if (*len + 1 + n >= size)
                return -ENAMETOOLONG;
            ret[(*len)++] = '/';
            memcpy(ret + *len, part, n);
            *len += n;
        }
        part += n + (part[n] == '/');
    }
    ret[*len] = '\0';
    return 0;
}

int files_resolve(const char *cwd, const char *name, char *ret, size_t size)
{
    size_t len = 0;
    if (!name[0])
        return -EINVAL;
    int r = name[0] == '/' || !cwd ? 0 : append(ret, size, &len, cwd);
    r = r < 0 ? r : append(ret, size, &len, name);
    if (r == 0 && len == 0)
        memcpy(ret, "/", 2);
    return r;
}

/* --- looking --- */

/* Returns where the path is, or where it would be put. */
static size_t position(const struct files *f, const char *path)
{
    size_t low = 0, high = f->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (strcmp(f->list[mid].path, path) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct file *file_at(const struct files *f, size_t i, const char *path)
{
    return i < f->n && strcmp(f->list[i].path, path) == 0 ? &f->list[i] : NULL;
}

const struct file *files_at(const struct files *f, const char *path)
{
    return file_at(f, position(f, path), path);
}

bool files_is_dir(const struct files *f, const char *path)
{
    const struct file *file = files_at(f, path);
    return file ? file->attr.type == FILE_DIR : strcmp(path, "/") == 0;
}

struct blob *files_find(const struct files *f, const char *path)
{
    const struct file *file = files_at(f, path);
    return file && file->attr.type == FILE_REGULAR ? file->content : NULL;
}

/* Without the slash of the root, so that a slash may follow. */
static size_t dir_len(const char *dir)
{
    return dir[1] ? strlen(dir) : 0;
}

bool files_below(const struct file *file, const char *dir)
{
    size_t len = dir_len(dir);
    return strncmp(file->path, dir, len) == 0 && file->path[len] == '/';
}

/* "/a-b" stands between "/a" and "/a/b", so it is searched for "/a/". */
size_t files_first_below(const struct files *f, const char *dir)
{
    char text[AGENT_PATH_MAX_BYTES + 2];
    size_t len = dir_len(dir);
    memcpy(text, dir, len);
    memcpy(text + len, "/", 2);
    return position(f, text);
}

size_t files_after(const struct files *f, const char *path)
{
    size_t i = position(f, path);
    return i + (file_at(f, i, path) != NULL);
}

/* --- changing --- */

static int grow(struct files *f)
{
    if (f->n < f->cap)
        return 0;
    size_t cap = f->cap ? 2 * f->cap : 16;
    struct file *more = reallocarray(f->list, cap, sizeof(*more));
    if (!more)
        return -ENOMEM;
    f->list = more;
    f->cap = cap;
    return 0;
}

/* Takes `content` when it succeeds. */
static int insert(struct files *f, size_t at, const struct file *file)
{
    if (f->n == FAKE_FILES_MAX)
        return -ENOSPC;
    auto_free char *own = strdup(file->path);
    if (!own || grow(f) < 0)
        return -ENOMEM;
    int r = f->disk ? disk_note_put(f->disk, file) : 0;
    if (r < 0)
        return r;
    memmove(f->list + at + 1, f->list + at, (f->n - at) * sizeof(*f->list));
    f->list[at] = *file;
    f->list[at].path = TAKE_PTR(own);
    f->n++;
    return 0;
}

static int replace(struct files *f, struct file *old, const struct file *file)
{
    int r = f->disk ? disk_note_put(f->disk, file) : 0;
    if (r < 0)
        return r;
    blob_unref(old->content);
    old->content = file->content;
    old->attr = file->attr;
    return 0;
}

/* Without its parents, which are there. */
static int put_one(struct files *f, const char *path, const struct file_attr *attr,
                   const void *data, size_t len)
{
    size_t at = position(f, path);
    struct file *old = file_at(f, at, path);
    size_t freed = old ? old->content->len : 0;
    if (old && old->attr.type == FILE_DIR)
        return attr->type == FILE_DIR ? 0 : -EISDIR;
    if (old && attr->type == FILE_DIR)
        return -ENOTDIR;
    if (len > FAKE_FILES_MAX_BYTES - (f->bytes - freed))
        return -ENOSPC;
    CLEANUP(blob_unrefp) struct blob *content = blob_new(data, len);
    if (!content)
        return -ENOMEM;
    const struct file file = {.path = (char *)(uintptr_t)path, .attr = *attr, .content = content};
    int r = old ? replace(f, old, &file) : insert(f, at, &file);
    if (r < 0)
        return r;
    content = NULL;
    f->bytes += len - freed;
    f->written_bytes += len;
    return 0;
}

static int put_parents(struct files *f, const char *path, const struct file_attr *attr)
{
    char dir[AGENT_PATH_MAX_BYTES];
    struct file_attr dir_attr = *attr;
    int r = 0;
    dir_attr.type = FILE_DIR;
    dir_attr.mode = 0755;
    for (size_t i = 1; r == 0 && path[i]; i++) {
        if (path[i] != '/')
            continue;
        memcpy(dir, path, i);
        dir[i] = '\0';
        r = put_one(f, dir, &dir_attr, "", 0);
    }
    return r;
}

int files_put(struct files *f, const char *path, const struct file_attr *attr, const void *data,
              size_t len)
{
    if (!path[1])
        return attr->type == FILE_DIR ? 0 : -EISDIR;
    int r = put_parents(f, path, attr);
    return r < 0 ? r : put_one(f, path, attr, data, len);
}

int files_write(struct files *f, const char *path, const void *data, size_t len)
{
    struct file_attr attr = {.mode = 0644, .mtime_ms = clock_real_ns() / 1000000};
    return files_put(f, path, &attr, data, len);
}

int files_make_dir(struct files *f, const char *path)
{
    struct file_attr attr = {.type = FILE_DIR, .mode = 0755, .mtime_ms = clock_real_ns() / 1000000};
    return files_put(f, path, &attr, "", 0);
}

static void drop(struct files *f, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        f->bytes -= f->list[i].content->len;
        file_done(&f->list[i]);
    }
    memmove(f->list + from, f->list + to, (f->n - to) * sizeof(*f->list));
    f->n -= to - from;
}

int files_remove(struct files *f, const char *path)
{
    size_t at = position(f, path);
    if (!path[1])
        return -EBUSY;
    if (!file_at(f, at, path))
        return -ENOENT;
    int r = f->disk ? disk_note_remove(f->disk, path) : 0;
    if (r < 0)
        return r;
    size_t first = files_first_below(f, path), end = first;
    while (end < f->n && files_below(&f->list[end], path))
        end++;
    drop(f, first, end);
    drop(f, at, at + 1);
    return 0;
}

uint64_t files_hash(const struct files *f, const char *without, uint64_t hash)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct file *file = &f->list[i];
        if (without && files_below(file, without))
            continue;
        hash = pack_hash(hash, file->path, strlen(file->path) + 1);
        hash = pack_hash(hash, &file->attr.mode, sizeof(file->attr.mode));
        hash = pack_hash(hash, file->content->data, file->content->len);
    }
    return hash;
}
