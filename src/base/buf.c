/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>

static int fail(struct buf *b, int r)
{
    b->failed = true;
    return r;
}

static int grow(struct buf *b, size_t more)
{
    size_t need;
    if (__builtin_add_overflow(b->len, more, &need) || need == SIZE_MAX)
        return fail(b, -E2BIG);
    if (b->max_bytes && need > b->max_bytes)
        return fail(b, -E2BIG);
    if (need < b->cap)
        return 0;
    size_t cap = b->cap ? b->cap : 64;
    while (cap <= need) {
        if (__builtin_mul_overflow(cap, (size_t)2, &cap))
            return fail(b, -E2BIG);
    }
    char *data = realloc(b->data, cap);
    if (!data)
        return fail(b, -ENOMEM);
    b->data = data;
    b->cap = cap;
    return 0;
}

char *buf_reserve(struct buf *b, size_t len)
{
    return grow(b, len) < 0 ? NULL : b->data + b->len;
}

int buf_append(struct buf *b, const void *data, size_t len)
{
    int r = grow(b, len);
    if (r < 0)
        return r;
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
    return 0;
}

int buf_append_str(struct buf *b, const char *s)
{
    return buf_append(b, s, strlen(s));
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return fail(b, -EINVAL);
    int r = grow(b, (size_t)n);
    if (r < 0)
        return r;
    va_start(ap, fmt);
    vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
    return 0;
}

void buf_consume(struct buf *b, size_t len)
{
    if (!len)
        return;
    memmove(b->data, b->data + len, b->len - len);
    b->len -= len;
    b->data[b->len] = '\0';
}

const char *buf_str(const struct buf *b)
{
    return b->len ? b->data : "";
}

char *buf_take(struct buf *b)
{
    char *data = b->len ? TAKE_PTR(b->data) : NULL;
    buf_done(b);
    return data;
}

void buf_done(struct buf *b)
{
    size_t max_bytes = b->max_bytes;
    free(b->data);
    *b = (struct buf){.max_bytes = max_bytes};
}
