/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/tar.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/fake/bounds.h"

#define NAME_BYTES 100
#define PREFIX_BYTES 155
#define LONG_NAME "././@LongLink"

/* A header as it stands in the archive: text, numbers in octal. */
struct header {
    char name[NAME_BYTES];
    char mode[8], uid[8], gid[8];
    char size[12], mtime[12];
    char sum[8];
    char type;
    char link[NAME_BYTES];
    char magic[8];
    char user[32], group[32];
    char dev_major[8], dev_minor[8];
    char prefix[PREFIX_BYTES];
    char unused[12];
};
_Static_assert(sizeof(struct header) == TAR_BLOCK_BYTES, "a header is one block");

static size_t padding_of(size_t len)
{
    return (TAR_BLOCK_BYTES - len % TAR_BLOCK_BYTES) % TAR_BLOCK_BYTES;
}

/* With spaces in the place of the sum itself. */
static unsigned sum_of(const struct header *h)
{
    const uint8_t *p = (const uint8_t *)h;
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof(*h); i++) {
        bool inside = i >= offsetof(struct header, sum) && i < offsetof(struct header, type);
        sum += inside ? ' ' : p[i];
    }
    return sum;
}

/* --- making --- */

static void put_octal(char *ret, size_t size, uint64_t n)
{
    char text[32];
    snprintf(text, sizeof(text), "%0*" PRIo64, (int)size - 1, n);
    memcpy(ret, text, size - 1);
}

static void put_header(struct buf *out, const char *name, const struct file_attr *attr, size_t size,
                       char type)
{
    struct header h = {.type = type};
    memcpy(h.name, name, strnlen(name, sizeof(h.name)));
    memcpy(h.magic,
           "ustar\0"
           "00",
           sizeof(h.magic));
    put_octal(h.mode, sizeof(h.mode), attr->mode);
    put_octal(h.uid, sizeof(h.uid), attr->uid & 07777777);
    put_octal(h.gid, sizeof(h.gid), attr->gid & 07777777);
    put_octal(h.size, sizeof(h.size), size);
    put_octal(h.mtime, sizeof(h.mtime), attr->mtime_ms < 0 ? 0 : (uint64_t)attr->mtime_ms / 1000);
    snprintf(h.sum, sizeof(h.sum), "%06o", sum_of(&h));
    h.sum[7] = ' ';
    buf_append(out, &h, sizeof(h));
}

static void put_zeros(struct buf *out, size_t len)
{
    char *p = buf_reserve(out, len);
    if (!p)
        return;
    memset(p, 0, len);
    out->len += len;
}

static void put_padded(struct buf *out, const char *data, size_t len)
{
    buf_append(out, data, len);
    put_zeros(out, padding_of(len));
}

static void put_long(struct buf *out, const char *text, char type)
{
    const struct file_attr attr = {0};
    put_header(out, LONG_NAME, &attr, strlen(text) + 1, type);
    put_padded(out, text, strlen(text) + 1);
}

/* "./a/b" as tar itself writes them for ".", with a slash behind a directory. */
static void put_entry(struct buf *out, const struct file *file, const char *dir)
{
    char name[AGENT_PATH_MAX_BYTES + 4];
    const char *rest = file->path + (dir[1] ? strlen(dir) : 0);
    bool is_dir = file->attr.type == FILE_DIR, is_link = file->attr.type == FILE_LINK;
    snprintf(name, sizeof(name), ".%s%s", rest, is_dir ? "/" : "");
    if (strlen(name) > NAME_BYTES)
        put_long(out, name, 'L');
    if (is_link && file->content->len > NAME_BYTES)
        put_long(out, file->content->data, 'K');
    size_t at = out->len;
    put_header(out, name, &file->attr, is_dir || is_link ? 0 : file->content->len,
               is_dir    ? '5'
               : is_link ? '2'
                         : '0');
    if (!is_link || out->failed)
        return;
    struct header *h = (struct header *)(void *)(out->data + at);
    memcpy(h->link, file->content->data, strnlen(file->content->data, sizeof(h->link)));
    snprintf(h->sum, sizeof(h->sum), "%06o", sum_of(h));
    h->sum[7] = ' ';
}

/* The entry after the one at hand; NULL: there is none. The table may have changed meanwhile. */
static const struct file *next_entry(const struct tar *t, const struct files *f)
{
    size_t i = t->cursor[0] ? files_after(f, t->cursor) : files_first_below(f, t->dir);
    return i < f->n && files_below(&f->list[i], t->dir) ? &f->list[i] : NULL;
}

static void begin_entry(struct tar *t, const struct files *f, struct buf *out)
{
    const struct file *file = next_entry(t, f);
    if (!file) {
        put_zeros(out, 2 * TAR_BLOCK_BYTES);
        t->part = TAR_END;
        return;
    }
    snprintf(t->cursor, sizeof(t->cursor), "%s", file->path);
    put_entry(out, file, t->dir);
    t->left = file->attr.type == FILE_REGULAR ? file->content->len : 0;
    if (t->left)
        t->part = TAR_CONTENT;
}

bool tar_next(struct tar *t, const struct files *f, struct buf *out, struct blob **ret)
{
    struct blob *b;
    switch (t->part) {
    case TAR_HEADER:
        begin_entry(t, f, out);
        return true;
    case TAR_CONTENT:
        t->part = TAR_PADDING;
        b = files_find(f, t->cursor);
        if (b && b->len == t->left)
            *ret = blob_ref(b);
        else /* another length than was announced would spoil all that follows */
            put_zeros(out, t->left);
        return true;
    case TAR_PADDING:
        put_zeros(out, padding_of(t->left));
        t->part = TAR_HEADER;
        return true;
    default:
        return false;
    }
}

/* --- reading --- */

static int get_octal(const char *text, size_t size, uint64_t *ret)
{
    uint64_t n = 0;
    size_t i = 0;
    while (i < size && text[i] == ' ')
        i++;
    for (; i < size && text[i] >= '0' && text[i] <= '7'; i++) {
        if (n >> 40)
            return -EINVAL;
        n = n << 3 | (uint64_t)(text[i] - '0');
    }
    if (i < size && text[i] && text[i] != ' ')
        return -EINVAL;
    *ret = n;
    return 0;
}

static int get_name(const struct tar *t, const struct header *h, char ret[AGENT_PATH_MAX_BYTES])
{
    char text[AGENT_PATH_MAX_BYTES];
    bool has_prefix = memcmp(h->magic, "ustar\0", 6) == 0 && h->prefix[0];
    if (t->long_name[0])
        snprintf(text, sizeof(text), "./%.*s", (int)sizeof(text) - 3, t->long_name);
    else if (has_prefix)
        snprintf(text, sizeof(text), "./%.*s/%.*s", PREFIX_BYTES, h->prefix, NAME_BYTES, h->name);
    else
        snprintf(text, sizeof(text), "./%.*s", NAME_BYTES, h->name);
    return files_resolve(t->dir, text, ret, AGENT_PATH_MAX_BYTES);
}

static int get_attr(const struct header *h, struct file_attr *ret)
{
    uint64_t mode, uid, gid, mtime;
    if (get_octal(h->mode, sizeof(h->mode), &mode) < 0 ||
        get_octal(h->uid, sizeof(h->uid), &uid) < 0 ||
        get_octal(h->gid, sizeof(h->gid), &gid) < 0 ||
        get_octal(h->mtime, sizeof(h->mtime), &mtime) < 0)
        return -EINVAL;
    *ret = (struct file_attr){.mode = mode & 07777,
                              .uid = uid & 0xffffff,
                              .gid = gid & 0xffffff,
                              .mtime_ms = (int64_t)mtime * 1000};
    ret->type = h->type == '5' ? FILE_DIR : h->type == '2' ? FILE_LINK : FILE_REGULAR;
    return 0;
}

/* What the next bytes are. */
static int begin_content(struct tar *t, const struct header *h)
{
    uint64_t size;
    int r = get_octal(h->size, sizeof(h->size), &size);
    if (r < 0)
        return r;
    if (size > FAKE_FILES_MAX_BYTES)
        return -ENOSPC;
    t->left = (size_t)size;
    t->padding = padding_of(t->left);
    buf_clear(&t->content);
    return 0;
}

static int finish_content(struct tar *t, struct files *f)
{
    char *name = t->naming;
    if (!name)
        return t->attr.type == FILE_REGULAR
                   ? files_put(f, t->cursor, &t->attr, t->content.data, t->content.len)
                   : 0;
    t->naming = NULL;
    snprintf(name, sizeof(t->long_name), "%s", buf_str(&t->content));
    return t->content.len <= sizeof(t->long_name) ? 0 : -ENAMETOOLONG;
}

static int take_link(struct tar *t, struct files *f, const struct header *h)
{
    const char *to = t->long_link[0] ? t->long_link : h->link;
    size_t len = t->long_link[0] ? strlen(to) : strnlen(to, sizeof(h->link));
    int r = files_put(f, t->cursor, &t->attr, to, len);
    t->long_link[0] = '\0';
    return r;
}

/* A kind that is not known (a global header, a device) has its content dropped. */
static int take_header(struct tar *t, struct files *f, const struct header *h)
{
    uint64_t sum;
    static const struct header zeros;
    if (memcmp(h, &zeros, sizeof(*h)) == 0) {
        t->ended = true;
        return 0;
    }
    if (get_octal(h->sum, sizeof(h->sum), &sum) < 0 || sum != sum_of(h))
        return -EINVAL;
    int r = begin_content(t, h);
    t->attr.type = FILE_TYPE_COUNT;
    t->naming = h->type == 'L' ? t->long_name : h->type == 'K' ? t->long_link : NULL;
    if (r < 0 || !strchr("025", h->type ? h->type : '0'))
        return r < 0 || t->left ? r : finish_content(t, f);
    r = get_name(t, h, t->cursor);
    t->long_name[0] = '\0';
    r = r < 0 ? r : get_attr(h, &t->attr);
    if (r < 0 || (t->attr.type == FILE_REGULAR && t->left))
        return r;
    if (t->attr.type == FILE_LINK)
        return take_link(t, f, h);
    return files_put(f, t->cursor, &t->attr, "", 0);
}

static ssize_t take_content(struct tar *t, struct files *f, const char *data, size_t len)
{
    size_t n = len < t->left ? len : t->left;
    bool is_wanted = t->attr.type != FILE_TYPE_COUNT || t->naming;
    if (is_wanted && buf_append(&t->content, data, n) < 0)
        return -ENOMEM;
    t->left -= n;
    int r = t->left ? 0 : finish_content(t, f);
    return r < 0 ? r : (ssize_t)n;
}

ssize_t tar_take(struct tar *t, struct files *f, const char *data, size_t len)
{
    struct header h;
    if (t->ended)
        return (ssize_t)len;
    if (t->left)
        return take_content(t, f, data, len);
    if (t->padding) {
        size_t n = len < t->padding ? len : t->padding;
        t->padding -= n;
        return (ssize_t)n;
    }
    if (len < sizeof(h))
        return 0;
    memcpy(&h, data, sizeof(h));
    int r = take_header(t, f, &h);
    return r < 0 ? r : (ssize_t)sizeof(h);
}

/* --- both --- */

void tar_done(struct tar *t)
{
    buf_done(&t->content);
}

void tar_save(const struct tar *t, struct buf *out)
{
    pack_str(out, t->dir);
    pack_str(out, t->cursor);
    pack_str(out, t->long_name);
    pack_i64(out, t->part);
    pack_i64(out, t->attr.type);
    pack_i64(out, t->attr.mode);
    pack_i64(out, t->attr.uid);
    pack_i64(out, t->attr.gid);
    pack_i64(out, t->attr.mtime_ms);
    pack_str(out, t->long_link);
    pack_i64(out, !t->naming ? 0 : t->naming == t->long_name ? 1 : 2);
    pack_i64(out, (int64_t)t->left);
    pack_i64(out, (int64_t)t->padding);
    pack_i64(out, t->ended);
    pack_bytes(out, t->content.data, t->content.len);
}

int tar_load(struct tar *t, struct unpack *u)
{
    size_t len;
    unpack_str(u, t->dir, sizeof(t->dir));
    unpack_str(u, t->cursor, sizeof(t->cursor));
    unpack_str(u, t->long_name, sizeof(t->long_name));
    t->part = (enum tar_part)unpack_range(u, 0, TAR_PART_COUNT - 1);
    t->attr.type = (enum file_type)unpack_range(u, 0, FILE_TYPE_COUNT);
    t->attr.mode = (unsigned)unpack_range(u, 0, 07777);
    t->attr.uid = (uint32_t)unpack_range(u, 0, UINT32_MAX - 1);
    t->attr.gid = (uint32_t)unpack_range(u, 0, UINT32_MAX - 1);
    t->attr.mtime_ms = unpack_i64(u);
    unpack_str(u, t->long_link, sizeof(t->long_link));
    int64_t naming = unpack_range(u, 0, 2);
    t->naming = naming == 1 ? t->long_name : naming == 2 ? t->long_link : NULL;
    t->left = (size_t)unpack_range(u, 0, FAKE_FILES_MAX_BYTES);
    t->padding = (size_t)unpack_range(u, 0, TAR_BLOCK_BYTES);
    t->ended = unpack_range(u, 0, 1);
    const char *content = unpack_bytes(u, &len);
    if (u->failed || len > FAKE_FILES_MAX_BYTES)
        return -EINVAL;
    if (t->dir[0] && t->dir[0] != '/')
        return -EINVAL;
    return buf_append(&t->content, content, len);
}
