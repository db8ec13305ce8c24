/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/ustar.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LONG_NAME "././@LongLink"

unsigned ustar_sum(const struct ustar_header *h, int *ret_signed)
{
    const unsigned char *p = (const unsigned char *)h;
    unsigned sum = 0;
    int other = 0;
    for (size_t i = 0; i < sizeof(*h); i++) {
        bool inside =
            i >= offsetof(struct ustar_header, sum) && i < offsetof(struct ustar_header, type);
        sum += inside ? ' ' : p[i];
        other += inside ? ' ' : (signed char)p[i];
    }
    if (ret_signed)
        *ret_signed = other;
    return sum;
}

/* Octal digits, or what does not fit in binary behind a byte 0x80. */
static void put_number(char *ret, size_t size, uint64_t n)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "%0*" PRIo64, (int)size - 1, n);
    if (len == (int)size - 1) {
        memcpy(ret, text, size - 1);
        return;
    }
    for (size_t i = 0; i < size; i++)
        ret[size - 1 - i] = (char)(i < sizeof(n) ? n >> (8 * i) : 0);
    ret[0] = (char)0x80;
}

static int put_header(struct buf *out, const struct ustar_entry *en, char type)
{
    struct ustar_header h = {.type = type};
    bool is_dir = en->type == USTAR_DIR;
    size_t len = strnlen(en->name, sizeof(h.name));
    memcpy(h.name, en->name, len);
    if (is_dir && len < sizeof(h.name))
        h.name[len] = '/';
    if (en->link)
        memcpy(h.link, en->link, strnlen(en->link, sizeof(h.link)));
    memcpy(h.magic, "ustar  ", sizeof(h.magic));
    put_number(h.mode, sizeof(h.mode), en->mode);
    put_number(h.uid, sizeof(h.uid), en->uid);
    put_number(h.gid, sizeof(h.gid), en->gid);
    put_number(h.size, sizeof(h.size), en->size);
    put_number(h.mtime, sizeof(h.mtime), en->mtime_s < 0 ? 0 : (uint64_t)en->mtime_s);
    snprintf(h.sum, sizeof(h.sum), "%06o", ustar_sum(&h, NULL));
    h.sum[7] = ' ';
    buf_append(out, &h, sizeof(h));
    return out->failed ? -ENOMEM : 0;
}

/* A text that is too long for its place in the header, as the content of an entry before it. */
static int put_long(struct buf *out, const char *text, const char *end, char type)
{
    const struct ustar_entry en = {.name = LONG_NAME, .size = strlen(text) + strlen(end) + 1};
    put_header(out, &en, type);
    buf_append_str(out, text);
    buf_append(out, end, strlen(end) + 1);
    return ustar_put_zeros(out, ustar_padding(en.size));
}

int ustar_put(struct buf *out, const struct ustar_entry *en)
{
    static const char types[] = {[USTAR_FILE] = '0', [USTAR_DIR] = '5', [USTAR_LINK] = '2'};
    bool is_dir = en->type == USTAR_DIR;
    if (strlen(en->name) + is_dir > sizeof(((struct ustar_header *)0)->name))
        put_long(out, en->name, is_dir ? "/" : "", 'L');
    if (en->link && strlen(en->link) > sizeof(((struct ustar_header *)0)->link))
        put_long(out, en->link, "", 'K');
    return put_header(out, en, types[en->type]);
}

int ustar_put_zeros(struct buf *out, size_t len)
{
    char *p = len ? buf_reserve(out, len) : NULL;
    if (p) {
        memset(p, 0, len);
        out->len += len;
    }
    return out->failed ? -ENOMEM : 0;
}
