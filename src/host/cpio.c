/* SPDX-License-Identifier: Apache-2.0 */
#include "host/cpio.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAGIC "070701"
#define HEADER_BYTES 110 /* the magic and thirteen numbers of eight hexadecimal digits */
#define TRAILER "TRAILER!!!"
#define BLOCK_BYTES 512

enum { FIELD_MODE = 1, FIELD_SIZE = 6, FIELD_NAME_SIZE = 11 };

static size_t up4(size_t n)
{
    return (n + 3) & ~(size_t)3;
}

static int fill(struct buf *b, size_t to)
{
    static const char zeros[BLOCK_BYTES];
    return to > b->len ? buf_append(b, zeros, to - b->len) : 0;
}

int cpio_add(struct buf *b, const char *name, mode_t mode, const void *data, size_t len)
{
    unsigned type = data ? S_IFREG : S_IFDIR;
    size_t name_size = strlen(name) + 1;
    if (len > UINT32_MAX)
        return -EFBIG;
    /* Inode, mode, uid, gid, links, time, size, four device numbers, length of the name, sum. */
    buf_printf(b, MAGIC "%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", 0u,
               (unsigned)(type | mode), 0u, 0u, 1u, 0u, len, 0u, 0u, 0u, 0u, name_size, 0u);
    buf_append(b, name, name_size);
    fill(b, up4(b->len));
    if (len)
        buf_append(b, data, len);
    return fill(b, up4(b->len)) < 0 || b->failed ? -ENOMEM : 0;
}

int cpio_end(struct buf *b)
{
    int r = cpio_add(b, TRAILER, 0, "", 0);
    return r < 0 ? r : fill(b, (b->len + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES);
}

/* The number of a field; false: no digits. */
static bool number(const char *header, int field, size_t *ret)
{
    *ret = 0;
    for (int i = 0; i < 8; i++) {
        char c = header[6 + 8 * field + i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                                : 16;
        if (digit > 15)
            return false;
        *ret = *ret << 4 | digit;
    }
    return true;
}

bool cpio_find(const void *archive, size_t bytes, const char *name, const void **ret,
               size_t *ret_len)
{
    const char *p = archive;
    size_t mode, size, name_size, at = 0;
    while (bytes - at >= HEADER_BYTES) {
        const char *header = p + at;
        if (memcmp(header, MAGIC, 6) != 0 || !number(header, FIELD_MODE, &mode) ||
            !number(header, FIELD_SIZE, &size) || !number(header, FIELD_NAME_SIZE, &name_size))
            return false;
        size_t data_at = up4(at + HEADER_BYTES + name_size); /* 32-bit numbers: no overflow */
        if (name_size == 0 || data_at > bytes || size > bytes - data_at)
            return false;
        const char *entry = header + HEADER_BYTES;
        if (entry[name_size - 1] != '\0')
            return false;
        if (strcmp(entry, name) == 0 && S_ISREG(mode)) {
            *ret = p + data_at;
            *ret_len = size;
            return true;
        }
        at = up4(data_at + size);
        if (at > bytes)
            return false;
    }
    return false;
}
