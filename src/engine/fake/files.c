/* SPDX-License-Identifier: Apache-2.0 */

/* On disk: the magic, the number of files, then for each the lengths of path and content and both.
 * Numbers have 4 bytes, little endian. */

#include "engine/fake/files.h"

#include <errno.h>
#include <string.h>

#include "engine/fake/bounds.h"

static const char magic[8] = "HOLMFK1\n";

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

void files_done(struct files *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->list[i].path);
        blob_unref(f->list[i].content);
    }
    free(f->list);
    *f = (struct files){0};
}

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
    return r == 0 && len == 0 ? -EINVAL : r;
}

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

struct blob *files_find(const struct files *f, const char *path)
{
    struct file *file = file_at(f, position(f, path), path);
    return file ? file->content : NULL;
}

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
static int insert(struct files *f, size_t at, const char *path, struct blob *content)
{
    if (f->n == FAKE_FILES_MAX)
        return -ENOSPC;
    auto_free char *own = strdup(path);
    if (!own || grow(f) < 0)
        return -ENOMEM;
    memmove(f->list + at + 1, f->list + at, (f->n - at) * sizeof(*f->list));
    f->list[at] = (struct file){.path = TAKE_PTR(own), .content = content};
    f->n++;
    return 0;
}

int files_put(struct files *f, const char *path, const void *data, size_t len)
{
    size_t at = position(f, path);
    struct file *old = file_at(f, at, path);
    size_t freed = old ? old->content->len : 0;
    if (len > FAKE_FILES_MAX_BYTES - (f->bytes - freed))
        return -ENOSPC;
    struct blob *content = blob_new(data, len);
    if (!content)
        return -ENOMEM;
    if (old) {
        blob_unref(old->content);
        old->content = content;
    } else {
        int r = insert(f, at, path, content);
        if (r < 0) {
            blob_unref(content);
            return r;
        }
    }
    f->bytes += len - freed;
    return 0;
}

/* --- the form on disk --- */

static void put_number(struct buf *out, size_t n)
{
    uint8_t b[4] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), (uint8_t)(n >> 24)};
    buf_append(out, b, sizeof(b));
}

int files_save(const struct files *f, struct buf *out)
{
    buf_append(out, magic, sizeof(magic));
    put_number(out, f->n);
    for (size_t i = 0; i < f->n; i++) {
        size_t path_len = strlen(f->list[i].path);
        put_number(out, path_len);
        put_number(out, f->list[i].content->len);
        buf_append(out, f->list[i].path, path_len);
        buf_append(out, f->list[i].content->data, f->list[i].content->len);
    }
    return out->failed ? -ENOMEM : 0;
}

struct reader {
    const uint8_t *at;
    size_t left;
};

/* Returns the next `len` bytes, NULL when there are not as many. */
static const uint8_t *take(struct reader *rd, size_t len)
{
    if (len > rd->left)
        return NULL;
    const uint8_t *p = rd->at;
    rd->at += len;
    rd->left -= len;
    return p;
}

static int take_number(struct reader *rd, size_t *ret)
{
    const uint8_t *p = take(rd, 4);
    if (!p)
        return -EINVAL;
    *ret = p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
    return 0;
}

static int load_file(struct files *f, struct reader *rd)
{
    size_t path_len, data_len;
    char path[AGENT_PATH_MAX_BYTES], plain[AGENT_PATH_MAX_BYTES];
    if (take_number(rd, &path_len) < 0 || take_number(rd, &data_len) < 0)
        return -EINVAL;
    const uint8_t *name = take(rd, path_len);
    const uint8_t *data = take(rd, data_len);
    if (!name || !data || path_len >= sizeof(path) || memchr(name, '\0', path_len))
        return -EINVAL;
    memcpy(path, name, path_len);
    path[path_len] = '\0';
    if (files_resolve(NULL, path, plain, sizeof(plain)) < 0 || strcmp(path, plain) != 0)
        return -EINVAL;
    return files_find(f, path) ? -EINVAL : files_put(f, path, data, data_len);
}

int files_load(struct files *f, const void *data, size_t len, struct err *e)
{
    struct reader rd = {.at = data, .left = len};
    size_t n = 0;
    const uint8_t *head = take(&rd, sizeof(magic));
    int r = head && memcmp(head, magic, sizeof(magic)) == 0 ? take_number(&rd, &n) : -EINVAL;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = load_file(f, &rd);
    if (r == 0 && rd.left == 0)
        return 0;
    files_done(f);
    if (r == -ENOMEM)
        return err_errno(e, r, "load the state");
    return err_set(e, ERR_INVALID, "the saved state is damaged");
}
