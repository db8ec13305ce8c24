/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/untar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define MTIME_MAX_S 0x1ffffffffLL /* eleven octal digits: the year 2242 */
#define SHOWN_BYTES 80            /* of a name in an error */

/* --- names --- */

/* A name for an error: it may be anything, and an answer is text. */
static const char *shown(const char *name, size_t len, char ret[SHOWN_BYTES + 4])
{
    size_t n = len < SHOWN_BYTES ? len : SHOWN_BYTES;
    for (size_t i = 0; i < n; i++)
        ret[i] = name[i] >= ' ' && name[i] < 0x7f && name[i] != '"' ? name[i] : '?';
    memcpy(ret + n, n < len ? "..." : "", n < len ? 4 : 1);
    return ret;
}

static int refuse_name(const char *name, size_t len, const char *why, struct err *e)
{
    char text[SHOWN_BYTES + 4];
    return err_set(e, ERR_INVALID, "Invalid archive: the name \"%s\" %s", shown(name, len, text),
                   why);
}

/* Appends one component; what is wrong with it, NULL: nothing. */
static const char *add_component(const char *part, size_t len, char *ret, size_t *at)
{
    if (len == 0 || (len == 1 && part[0] == '.'))
        return NULL;
    if (len == 2 && part[0] == '.' && part[1] == '.')
        return "leads upwards";
    if (len > UNTAR_COMPONENT_MAX_BYTES || *at + 1 + len >= UNTAR_NAME_SIZE)
        return "is too long";
    if (*at)
        ret[(*at)++] = '/';
    memcpy(ret + *at, part, len);
    *at += len;
    return NULL;
}

int untar_clean(const char *name, size_t len, char ret[UNTAR_NAME_SIZE], struct err *e)
{
    size_t out = 0;
    const char *why = len == 0                  ? "is empty"
                      : name[0] == '/'          ? "is absolute"
                      : memchr(name, '\0', len) ? "has a NUL"
                                                : NULL;
    for (size_t at = 0; !why && at < len;) {
        const char *slash = memchr(name + at, '/', len - at);
        size_t n = slash ? (size_t)(slash - name) - at : len - at;
        why = add_component(name + at, n, ret, &out);
        at += n + 1;
    }
    if (why)
        return refuse_name(name, len, why, e);
    ret[out] = '\0';
    return 0;
}

/* --- numbers --- */

static int malformed(struct err *e, const char *what)
{
    return err_set(e, ERR_INVALID, "Invalid archive: %s", what);
}

/* Octal digits with spaces around them, or binary behind a byte 0x80. -EINVAL: neither, negative,
 * or beyond 63 bits. Nothing but spaces and NULs is 0. */
static int get_number(const char *text, size_t size, uint64_t *ret)
{
    uint64_t n = 0;
    size_t i = 0;
    if ((unsigned char)text[0] == 0x80) {
        for (i = 1; i < size; i++) {
            if (n >> 55)
                return -EINVAL;
            n = n << 8 | (unsigned char)text[i];
        }
        *ret = n;
        return 0;
    }
    while (i < size && text[i] == ' ')
        i++;
    for (; i < size && text[i] >= '0' && text[i] <= '7'; i++) {
        if (n >> 60)
            return -EINVAL;
        n = n << 3 | (uint64_t)(text[i] - '0');
    }
    if (i < size && text[i] && text[i] != ' ')
        return -EINVAL;
    *ret = n;
    return 0;
}

/* Digits only. */
static int get_decimal(const char *text, size_t len, uint64_t *ret)
{
    uint64_t n = 0;
    if (len == 0 || len > 18)
        return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
        n = n * 10 + (uint64_t)(text[i] - '0');
    }
    *ret = n;
    return 0;
}

/* A time that makes no sense is none: no reason to refuse anything. */
static int64_t sane_time(uint64_t s)
{
    return s <= MTIME_MAX_S ? (int64_t)s : 0;
}

/* --- pax headers: "LENGTH KEY=VALUE\n", the length counting all of it --- */

struct record {
    const char *key, *value;
    size_t key_len, value_len;
};

static bool is_key(const struct record *rec, const char *key)
{
    return strlen(key) == rec->key_len && memcmp(rec->key, key, rec->key_len) == 0;
}

static int set_name(struct untar *u, const char *name, size_t len, struct err *e)
{
    if (u->has_name)
        return malformed(e, "an entry's name is given twice");
    u->has_name = true;
    buf_clear(&u->name);
    return buf_append(&u->name, name, len) < 0 ? err_errno(e, -ENOMEM, "read the archive") : 0;
}

static int take_size(struct untar *u, const struct record *rec, struct err *e)
{
    if (u->has_size || get_decimal(rec->value, rec->value_len, &u->size) < 0)
        return malformed(e, "an entry's size in a pax header is no number");
    u->has_size = true;
    return 0;
}

static int take_time(struct untar *u, const struct record *rec)
{
    const char *dot = memchr(rec->value, '.', rec->value_len);
    size_t len = dot ? (size_t)(dot - rec->value) : rec->value_len;
    uint64_t s = 0;
    u->has_mtime = true;
    u->mtime_s = get_decimal(rec->value, len, &s) < 0 ? 0 : sane_time(s);
    return 0;
}

static int take_record(struct untar *u, const struct record *rec, bool is_global, struct err *e)
{
    bool is_sparse = rec->key_len > 11 && memcmp(rec->key, "GNU.sparse.", 11) == 0;
    bool changes = is_key(rec, "path") || is_key(rec, "size") || is_key(rec, "linkpath");
    if (is_sparse)
        return malformed(e, "sparse files are not taken");
    if (is_global)
        return changes ? malformed(e, "a global header gives a path or size") : 0;
    if (is_key(rec, "path"))
        return set_name(u, rec->value, rec->value_len, e);
    if (is_key(rec, "size"))
        return take_size(u, rec, e);
    return is_key(rec, "mtime") ? take_time(u, rec) : 0;
}

/* The record at the beginning of `text`; its length or -EINVAL. */
static ssize_t next_record(const char *text, size_t len, struct record *ret)
{
    const char *space = memchr(text, ' ', len < 20 ? len : 20);
    uint64_t whole;
    if (!space || get_decimal(text, (size_t)(space - text), &whole) < 0)
        return -EINVAL;
    size_t head = (size_t)(space - text) + 1;
    if (whole > len || whole <= head || text[whole - 1] != '\n')
        return -EINVAL;
    const char *equals = memchr(space + 1, '=', whole - head - 1);
    if (!equals || equals == space + 1)
        return -EINVAL;
    ret->key = space + 1;
    ret->key_len = (size_t)(equals - ret->key);
    ret->value = equals + 1;
    ret->value_len = whole - 1 - (size_t)(ret->value - text);
    return (ssize_t)whole;
}

static int take_pax(struct untar *u, bool is_global, struct err *e)
{
    if (!is_global && u->has_pax)
        return malformed(e, "an entry has two pax headers");
    u->has_pax |= !is_global;
    for (size_t at = 0; at < u->extra.len;) {
        struct record rec;
        ssize_t n = next_record(u->extra.data + at, u->extra.len - at, &rec);
        if (n < 0)
            return malformed(e, "a pax header is malformed");
        int r = take_record(u, &rec, is_global, e);
        if (r < 0)
            return r;
        at += (size_t)n;
    }
    return 0;
}

/* --- headers --- */

/* What no entry of this kind may be; NULL: it may. */
static const char *refused_type(char type)
{
    switch (type) {
    case '\0':
    case '0':
    case '5':
    case '7': /* "contiguous": a file like any, and so others read it */
        return NULL;
    case '1':
        return "a hard link";
    case '2':
        return "a symbolic link";
    case '3':
    case '4':
        return "a device";
    case '6':
        return "a FIFO";
    case 'S':
        return "a sparse file";
    default:
        return "of an unknown kind";
    }
}

_Static_assert(sizeof(((struct ustar_header *)0)->prefix) +
                       sizeof(((struct ustar_header *)0)->name) + 2 ==
                   sizeof(((struct untar *)0)->header_name),
               "a slash and a NUL besides");

static size_t join_name(struct untar *u)
{
    const struct ustar_header *h = &u->header;
    char *ret = u->header_name;
    size_t n = 0, len = strnlen(h->name, sizeof(h->name));
    if (memcmp(h->magic, "ustar\0", 6) == 0 && h->prefix[0]) {
        n = strnlen(h->prefix, sizeof(h->prefix));
        memcpy(ret, h->prefix, n);
        ret[n++] = '/';
    }
    memcpy(ret + n, h->name, len);
    ret[n + len] = '\0';
    return n + len;
}

/* The clean name, and whether it is a directory's: old programs say so by a slash only. */
static int entry_name(struct untar *u, char ret[UNTAR_NAME_SIZE], bool *ret_is_dir, struct err *e)
{
    const char *raw = u->has_name ? buf_str(&u->name) : u->header_name;
    size_t len = u->has_name ? u->name.len : join_name(u);
    const char *refused = refused_type(u->header.type);
    if (refused) {
        char name[SHOWN_BYTES + 4];
        return err_set(e, ERR_INVALID, "Invalid archive: \"%s\" is %s", shown(raw, len, name),
                       refused);
    }
    *ret_is_dir = u->header.type == '5' || (len && raw[len - 1] == '/');
    int r = untar_clean(raw, len, ret, e);
    return r == 0 && !ret[0] && !*ret_is_dir ? refuse_name(raw, len, "is no file's", e) : r;
}

static int entry_numbers(const struct untar *u, struct ustar_entry *en, struct err *e)
{
    const struct ustar_header *h = &u->header;
    uint64_t mode = 0, mtime = 0;
    if (get_number(h->mode, sizeof(h->mode), &mode) < 0 ||
        get_number(h->size, sizeof(h->size), &en->size) < 0)
        return malformed(e, "a number in a header is malformed");
    if (get_number(h->mtime, sizeof(h->mtime), &mtime) < 0)
        mtime = 0;
    en->size = u->has_size ? u->size : en->size;
    en->mtime_s = u->has_mtime ? u->mtime_s : sane_time(mtime);
    en->mode = (unsigned)mode & 07777;
    return 0;
}

static int begin_entry(struct untar *u, struct err *e)
{
    char name[UNTAR_NAME_SIZE];
    struct ustar_entry en = {.name = name};
    bool is_dir = false;
    int r = entry_name(u, name, &is_dir, e);
    r = r < 0 ? r : entry_numbers(u, &en, e);
    if (r < 0)
        return r;
    if (is_dir && en.size)
        return malformed(e, "a directory has a content");
    en.type = is_dir ? USTAR_DIR : USTAR_FILE;
    u->has_name = u->has_size = u->has_mtime = u->has_pax = u->has_link = false;
    u->left = en.size;
    u->padding = ustar_padding(en.size);
    u->state = UNTAR_CONTENT;
    r = u->ops->entry(u->arg, &en, e);
    if (r < 0 || u->left)
        return r;
    u->state = UNTAR_HEADER;
    return u->ops->end(u->arg, e);
}

static int begin_extra(struct untar *u, struct err *e)
{
    uint64_t size = 0;
    if (get_number(u->header.size, sizeof(u->header.size), &size) < 0 || size == 0)
        return malformed(e, "a number in a header is malformed");
    if (size > UNTAR_EXTRA_MAX_BYTES)
        return malformed(e, "a name or pax header is too long");
    buf_clear(&u->extra);
    u->left = size;
    u->padding = ustar_padding(size);
    u->state = UNTAR_EXTRA;
    return 0;
}

static int end_extra(struct untar *u, struct err *e)
{
    u->state = u->padding ? UNTAR_PADDING : UNTAR_HEADER;
    switch (u->header.type) {
    case 'L':
        /* It ends with a NUL, or with several. */
        while (u->extra.len && u->extra.data[u->extra.len - 1] == '\0')
            u->extra.len--;
        return set_name(u, u->extra.data, u->extra.len, e);
    case 'K':
        u->has_link = true; /* of a link, which will be refused */
        return 0;
    default:
        return take_pax(u, u->header.type == 'g', e);
    }
}

static int take_header(struct untar *u, struct err *e)
{
    static const struct ustar_header zeros;
    const struct ustar_header *h = &u->header;
    int other = 0;
    uint64_t sum = 0;
    u->have = 0;
    if (memcmp(h, &zeros, sizeof(*h)) == 0) {
        u->state = UNTAR_ENDED;
        return u->has_name || u->has_pax || u->has_link
                   ? malformed(e, "a header of an entry that does not come")
                   : 0;
    }
    unsigned want = ustar_sum(h, &other);
    if (get_number(h->sum, sizeof(h->sum), &sum) < 0 || (sum != want && (int)sum != other))
        return malformed(e, u->any ? "a header is damaged" : "it is no tar");
    u->any = true;
    return h->type && strchr("LKxg", h->type) ? begin_extra(u, e) : begin_entry(u, e);
}

/* --- the whole --- */

static int take_content(struct untar *u, const char *data, size_t len, struct err *e)
{
    int r;
    if (u->state == UNTAR_EXTRA)
        r = buf_append(&u->extra, data, len) < 0 ? err_errno(e, -ENOMEM, "read the archive") : 0;
    else
        r = u->ops->content(u->arg, data, len, e);
    u->left -= len;
    if (r < 0 || u->left)
        return r;
    if (u->state == UNTAR_EXTRA)
        return end_extra(u, e);
    u->state = u->padding ? UNTAR_PADDING : UNTAR_HEADER;
    return u->ops->end(u->arg, e);
}

static bool is_zero(const char *data, size_t len)
{
    return len == 0 || (data[0] == 0 && memcmp(data, data + 1, len - 1) == 0);
}

/* Takes from the front of `data`: how much, or a negative errno. */
static ssize_t take(struct untar *u, const char *data, size_t len, struct err *e)
{
    size_t n = len;
    int r = 0;
    switch (u->state) {
    case UNTAR_HEADER:
        n = n < sizeof(u->header) - u->have ? n : sizeof(u->header) - u->have;
        memcpy((char *)&u->header + u->have, data, n);
        u->have += n;
        r = u->have == sizeof(u->header) ? take_header(u, e) : 0;
        break;
    case UNTAR_EXTRA:
    case UNTAR_CONTENT:
        n = n < u->left ? n : (size_t)u->left;
        r = take_content(u, data, n, e);
        break;
    case UNTAR_PADDING:
        n = n < u->padding ? n : u->padding;
        u->padding -= n;
        u->state = u->padding ? UNTAR_PADDING : UNTAR_HEADER;
        break;
    case UNTAR_ENDED:
        r = is_zero(data, len) ? 0 : malformed(e, "something follows its end");
        break;
    }
    return r < 0 ? r : (ssize_t)n;
}

int untar_feed(struct untar *u, const void *data, size_t len, struct err *e)
{
    const char *p = data;
    while (len) {
        ssize_t n = take(u, p, len, e);
        if (n < 0)
            return (int)n;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

int untar_finish(struct untar *u, struct err *e)
{
    if (u->state == UNTAR_ENDED)
        return 0;
    return malformed(e, u->any || u->have == 0 ? "it is cut off" : "it is no tar");
}

void untar_done(struct untar *u)
{
    buf_done(&u->extra);
    buf_done(&u->name);
}
