/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/tar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "wire/ustar.h"

#define NAME_MAX_BYTES 255 /* of one component, as file systems have it */

static int invalid(struct err *e, const char *what)
{
    return err_set(e, ERR_INVALID, "a tar in it is refused: %s", what);
}

/* --- numbers and names --- */

/* Octal, or binary as GNU has it when it is too large for that. */
static int number(const char *field, size_t size, uint64_t *ret, struct err *e)
{
    const unsigned char *p = (const unsigned char *)field;
    uint64_t n = 0;
    size_t i = 0;
    if (*p & 0x80) {
        if (*p & 0x40)
            return invalid(e, "a negative number");
        n = *p & 0x3f;
        for (i = 1; i < size; i++) {
            if (n >> 55)
                return invalid(e, "a number that is too large");
            n = n << 8 | p[i];
        }
        *ret = n;
        return 0;
    }
    while (i < size && p[i] == ' ')
        i++;
    for (; i < size && p[i] >= '0' && p[i] <= '7'; i++)
        n = n << 3 | (uint64_t)(p[i] - '0');
    for (; i < size; i++) {
        if (p[i] != ' ' && p[i] != '\0')
            return invalid(e, "a number that is none");
    }
    *ret = n;
    return 0;
}

int tar_clean(const char *name, size_t len, char ret[TAR_PATH_SIZE], struct err *e)
{
    size_t at = 0;
    if (memchr(name, '\0', len))
        return invalid(e, "a name with a NUL");
    for (size_t i = 0; i < len;) {
        size_t n = 0;
        while (i + n < len && name[i + n] != '/')
            n++;
        bool is_dot = n == 1 && name[i] == '.';
        if (n == 2 && name[i] == '.' && name[i + 1] == '.')
            return invalid(e, "a name with \"..\"");
        if (n > NAME_MAX_BYTES || at + n + 2 > TAR_PATH_SIZE)
            return invalid(e, "a name that is too long");
        if (n && !is_dot) {
            if (at)
                ret[at++] = '/';
            memcpy(ret + at, name + i, n);
            at += n;
        }
        i += n + 1;
    }
    ret[at] = '\0';
    return 0;
}

/* --- bytes --- */

static int read_all(struct tar *t, void *buf, size_t len, struct err *e)
{
    ssize_t n = t->read(t->arg, buf, len, e);
    if (n < 0)
        return (int)n;
    return (size_t)n == len ? 0 : invalid(e, "it is cut off");
}

static int skip(struct tar *t, uint64_t len, struct err *e)
{
    char scrap[8192];
    while (len) {
        size_t n = len < sizeof(scrap) ? (size_t)len : sizeof(scrap);
        int r = read_all(t, scrap, n, e);
        if (r < 0)
            return r;
        len -= n;
    }
    return 0;
}

ssize_t tar_read(struct tar *t, void *buf, size_t len, struct err *e)
{
    size_t n = t->left < len ? (size_t)t->left : len;
    int r = n ? read_all(t, buf, n, e) : 0;
    if (r < 0)
        return r;
    t->left -= n;
    return (ssize_t)n;
}

/* --- what stands before an entry's own header --- */

struct extra {
    struct buf name, link;
    bool has_name, has_link, has_size, has_mtime, has_uid, has_gid;
    uint64_t size, uid, gid;
    int64_t mtime_s;
};

static void extra_done(struct extra *x)
{
    buf_done(&x->name);
    buf_done(&x->link);
}

static int keep(struct buf *to, bool *ret_has, const char *text, size_t len)
{
    buf_clear(to);
    *ret_has = true;
    return buf_append(to, text, len);
}

static int pax_number(const char *text, size_t len, uint64_t *ret, struct err *e)
{
    char digits[24];
    if (len == 0 || len >= sizeof(digits) || strspn(text, "0123456789") < len)
        return invalid(e, "a pax number that is none");
    memcpy(digits, text, len);
    digits[len] = '\0';
    errno = 0;
    *ret = strtoull(digits, NULL, 10);
    return errno ? invalid(e, "a pax number that is too large") : 0;
}

/* Seconds with a fraction, perhaps before 1970. */
static int64_t pax_time(const char *text)
{
    return strtoll(text, NULL, 10);
}

static int pax_xattr(struct tar_entry *en, const char *name, const char *value, uint32_t len)
{
    buf_append(&en->xattrs, name, strlen(name) + 1);
    buf_append(&en->xattrs, &len, sizeof(len));
    buf_append(&en->xattrs, value, len);
    return en->xattrs.failed ? -ENOMEM : 0;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* One "key=value"; `value` has a newline behind its end. */
static int pax_record(struct extra *x, struct tar_entry *en, const char *key, const char *value,
                      size_t len, struct err *e)
{
    static const char xattr[] = "SCHILY.xattr.";
    int r = 0;
    if (strcmp(key, "path") == 0)
        r = keep(&x->name, &x->has_name, value, len);
    else if (strcmp(key, "linkpath") == 0)
        r = keep(&x->link, &x->has_link, value, len);
    else if (strcmp(key, "size") == 0 && (x->has_size = true))
        return pax_number(value, len, &x->size, e);
    else if (strcmp(key, "uid") == 0 && (x->has_uid = true))
        return pax_number(value, len, &x->uid, e);
    else if (strcmp(key, "gid") == 0 && (x->has_gid = true))
        return pax_number(value, len, &x->gid, e);
    else if (strcmp(key, "mtime") == 0 && (x->has_mtime = true))
        x->mtime_s = pax_time(value);
    else if (begins(key, xattr) && key[sizeof(xattr) - 1])
        r = pax_xattr(en, key + sizeof(xattr) - 1, value, (uint32_t)len);
    else if (begins(key, "GNU.sparse."))
        return invalid(e, "a sparse file");
    return r < 0 ? err_errno(e, r, "read a layer") : 0;
}

/* Records of "LENGTH key=value\n". */
static int pax_read(struct extra *x, struct tar_entry *en, char *text, size_t size, struct err *e)
{
    for (size_t at = 0; at < size;) {
        size_t len = 0, i = at;
        while (i < size && text[i] >= '0' && text[i] <= '9' && len <= size)
            len = len * 10 + (size_t)(text[i++] - '0');
        char *key = text + i + 1;
        if (i == at || i >= size || text[i] != ' ' || len > size - at || len < i - at + 4 ||
            text[at + len - 1] != '\n')
            return invalid(e, "a pax header that is none");
        char *eq = memchr(key, '=', (size_t)(text + at + len - key));
        if (!eq)
            return invalid(e, "a pax header that is none");
        *eq = '\0';
        if (strlen(key) != (size_t)(eq - key))
            return invalid(e, "a pax name with a NUL");
        int r = pax_record(x, en, key, eq + 1, (size_t)(text + at + len - 1 - (eq + 1)), e);
        if (r < 0)
            return r;
        at += len;
    }
    return 0;
}

static int read_extra(struct tar *t, char type, uint64_t size, struct extra *x,
                      struct tar_entry *en, struct err *e)
{
    if (size > OCI_EXTRA_MAX_BYTES)
        return invalid(e, "a header that is too long");
    auto_free char *text = calloc(1, (size_t)size + 1);
    if (!text)
        return err_errno(e, -ENOMEM, "read a layer");
    int r = read_all(t, text, (size_t)size, e);
    if (r == 0)
        r = skip(t, ustar_padding(size), e);
    if (r < 0 || type == 'g') /* of what is global nothing changes what is read here */
        return r;
    if (type == 'x')
        return pax_read(x, en, text, (size_t)size, e);
    r = type == 'L' ? keep(&x->name, &x->has_name, text, strlen(text))
                    : keep(&x->link, &x->has_link, text, strlen(text));
    return r < 0 ? err_errno(e, r, "read a layer") : 0;
}

/* --- headers --- */

static bool is_zeros(const struct ustar_header *h)
{
    const char *p = (const char *)h;
    return p[0] == 0 && memcmp(p, p + 1, sizeof(*h) - 1) == 0;
}

/* 1: an entry's; 0: the end. */
static int read_header(struct tar *t, struct ustar_header *h, struct err *e)
{
    ssize_t n = t->read(t->arg, h, sizeof(*h), e);
    if (n < 0)
        return (int)n;
    if (n == 0 || (n == sizeof(*h) && is_zeros(h)))
        return 0; /* some writers leave the two blocks of zeros out */
    if (n != sizeof(*h))
        return invalid(e, "it is cut off");
    uint64_t sum;
    int its_signed;
    int r = number(h->sum, sizeof(h->sum), &sum, e);
    if (r < 0)
        return r;
    unsigned its = ustar_sum(h, &its_signed);
    return sum == its || (int64_t)sum == its_signed ? 1 : invalid(e, "a wrong checksum");
}

static int take_type(const struct ustar_header *h, const char *name, struct tar_entry *ret,
                     struct err *e)
{
    static const char letters[] = {
        [TAR_FILE] = '0',  [TAR_HARD] = '1', [TAR_SYM] = '2', [TAR_CHAR] = '3',
        [TAR_BLOCK] = '4', [TAR_DIR] = '5',  [TAR_FIFO] = '6'};
    size_t len = strlen(name);
    char type = h->type == '\0' || h->type == '7' ? '0' : h->type;
    if (type == '0' && len && name[len - 1] == '/')
        type = '5'; /* as it was before there were types */
    const char *p = memchr(letters, type, sizeof(letters));
    if (!p)
        return invalid(e, h->type == 'S' ? "a sparse file" : "an unknown kind of entry");
    ret->type = (enum tar_type)(p - letters);
    return 0;
}

static void header_name(const struct ustar_header *h, char ret[260])
{
    bool posix = memcmp(h->magic, "ustar\0", 6) == 0;
    if (posix && h->prefix[0])
        snprintf(ret, 260, "%.155s/%.100s", h->prefix, h->name);
    else
        snprintf(ret, 260, "%.100s", h->name);
}

static int take_numbers(const struct ustar_header *h, const struct extra *x, struct tar_entry *ret,
                        struct err *e)
{
    uint64_t mode = 0, uid = 0, gid = 0, size = 0, mtime = 0, major = 0, minor = 0;
    int r = number(h->mode, sizeof(h->mode), &mode, e);
    r = r < 0 ? r : number(h->uid, sizeof(h->uid), &uid, e);
    r = r < 0 ? r : number(h->gid, sizeof(h->gid), &gid, e);
    r = r < 0 ? r : number(h->size, sizeof(h->size), &size, e);
    /* Times before 1970 are negative numbers; they are of no interest. */
    if (r == 0 && number(h->mtime, sizeof(h->mtime), &mtime, NULL) < 0)
        mtime = 0;
    if (r == 0 && (ret->type == TAR_CHAR || ret->type == TAR_BLOCK)) {
        r = number(h->dev_major, sizeof(h->dev_major), &major, e);
        r = r < 0 ? r : number(h->dev_minor, sizeof(h->dev_minor), &minor, e);
    }
    if (r < 0)
        return r;
    uid = x->has_uid ? x->uid : uid;
    gid = x->has_gid ? x->gid : gid;
    if (uid >= UINT32_MAX || gid >= UINT32_MAX || major > 4095 || minor > 0xfffff)
        return invalid(e, "an owner or device that cannot be");
    ret->mode = mode & 07777;
    ret->uid = (uint32_t)uid;
    ret->gid = (uint32_t)gid;
    ret->major = (uint32_t)major;
    ret->minor = (uint32_t)minor;
    ret->size = x->has_size ? x->size : size;
    ret->mtime_s = x->has_mtime ? x->mtime_s : (int64_t)mtime;
    if (ret->size > OCI_UNPACKED_MAX_BYTES)
        return err_set(e, ERR_TOO_LARGE, "a file in it has more than %llu GiB",
                       OCI_UNPACKED_MAX_BYTES >> 30);
    return 0;
}

static int take_link(const struct ustar_header *h, const struct extra *x, struct tar_entry *ret,
                     struct err *e)
{
    char own[101];
    snprintf(own, sizeof(own), "%.100s", h->link);
    const char *link = x->has_link ? buf_str(&x->link) : own;
    size_t len = x->has_link ? x->link.len : strlen(own);
    ret->link[0] = '\0';
    if (ret->type != TAR_HARD && ret->type != TAR_SYM)
        return 0;
    if (len == 0 || len >= TAR_PATH_SIZE || memchr(link, '\0', len))
        return invalid(e, "a link that leads nowhere");
    if (ret->type == TAR_HARD)
        return tar_clean(link, len, ret->link, e);
    memcpy(ret->link, link, len + 1);
    return 0;
}

static int take_entry(struct tar *t, const struct ustar_header *h, const struct extra *x,
                      struct tar_entry *ret, struct err *e)
{
    char own[260];
    header_name(h, own);
    const char *name = x->has_name ? buf_str(&x->name) : own;
    size_t len = x->has_name ? x->name.len : strlen(own);
    if (len == 0)
        return invalid(e, "an empty name");
    int r = tar_clean(name, len, ret->name, e);
    if (r == 0)
        r = take_type(h, name, ret, e);
    if (r == 0)
        r = take_numbers(h, x, ret, e);
    if (r == 0)
        r = take_link(h, x, ret, e);
    if (r < 0)
        return r;
    if (ret->type == TAR_DIR && ret->size && h->type != '5')
        return invalid(e, "a directory with content");
    /* Links and directories have a size in some archives, but no content. */
    if (ret->type != TAR_FILE)
        ret->size = 0;
    t->left = ret->size;
    t->padding = ustar_padding(ret->size);
    return 1;
}

int tar_next(struct tar *t, struct tar_entry *ret, struct err *e)
{
    CLEANUP(extra_done)
    struct extra x = {.name.max_bytes = OCI_EXTRA_MAX_BYTES, .link.max_bytes = OCI_EXTRA_MAX_BYTES};
    int r = t->ended ? 0 : skip(t, t->left + t->padding, e);
    t->left = t->padding = 0;
    ret->xattrs.max_bytes = OCI_EXTRA_MAX_BYTES;
    buf_clear(&ret->xattrs);
    while (r == 0 && !t->ended) {
        struct ustar_header h;
        uint64_t size;
        r = read_header(t, &h, e);
        if (r <= 0) {
            t->ended = true;
            return r;
        }
        if (!strchr("LKxg", h.type) || h.type == '\0')
            return take_entry(t, &h, &x, ret, e);
        r = number(h.size, sizeof(h.size), &size, e);
        if (r == 0)
            r = read_extra(t, h.type, size, &x, ret, e);
    }
    return r;
}

void tar_entry_done(struct tar_entry *en)
{
    buf_done(&en->xattrs);
}
