/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/pack.h"

#include <string.h>

static void put(struct buf *out, uint64_t n, int bytes)
{
    uint8_t b[8];
    for (int i = 0; i < bytes; i++)
        b[i] = (uint8_t)(n >> (8 * i));
    buf_append(out, b, (size_t)bytes);
}

void pack_u32(struct buf *out, size_t n)
{
    put(out, n, 4);
}

void pack_i64(struct buf *out, int64_t n)
{
    put(out, (uint64_t)n, 8);
}

void pack_bytes(struct buf *out, const void *data, size_t len)
{
    pack_u32(out, len);
    buf_append(out, data, len);
}

void pack_str(struct buf *out, const char *s)
{
    pack_bytes(out, s, s ? strlen(s) : 0);
}

static const uint8_t *take(struct unpack *u, size_t len)
{
    if (u->failed || len > u->left) {
        u->failed = true;
        return NULL;
    }
    const uint8_t *p = u->at;
    u->at += len;
    u->left -= len;
    return p;
}

static uint64_t get(struct unpack *u, int bytes)
{
    const uint8_t *p = take(u, (size_t)bytes);
    uint64_t n = 0;
    for (int i = 0; p && i < bytes; i++)
        n |= (uint64_t)p[i] << (8 * i);
    return n;
}

size_t unpack_u32(struct unpack *u)
{
    return get(u, 4);
}

int64_t unpack_i64(struct unpack *u)
{
    return (int64_t)get(u, 8);
}

int64_t unpack_range(struct unpack *u, int64_t min, int64_t max)
{
    int64_t n = unpack_i64(u);
    if (n >= min && n <= max && !u->failed)
        return n;
    u->failed = true;
    return min;
}

const char *unpack_bytes(struct unpack *u, size_t *ret_len)
{
    size_t len = unpack_u32(u);
    const char *p = (const char *)take(u, len);
    *ret_len = p ? len : 0;
    return p;
}

void unpack_str(struct unpack *u, char *ret, size_t size)
{
    size_t len;
    const char *p = unpack_bytes(u, &len);
    ret[0] = '\0';
    if (!p || len >= size || memchr(p, '\0', len)) {
        u->failed = true;
        return;
    }
    memcpy(ret, p, len);
    ret[len] = '\0';
}

uint64_t pack_hash(uint64_t hash, const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    return hash;
}
