/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A growing byte buffer with a hard bound. Zero-initialised is empty and unbounded; `max_bytes`
 * bounds it. An append that does not fit (or has no memory) changes nothing, returns -E2BIG
 * (-ENOMEM) and marks the buffer `failed`, so a chain of appends may be checked once at its end.
 * `data` is NUL-terminated whenever it is not NULL (the NUL is not counted in `len`). Thread: the
 * owner's. */

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"

struct buf {
    char *data;
    size_t len;
    size_t cap;
    size_t max_bytes; /* 0: no bound */
    bool failed;
};

int buf_append(struct buf *b, const void *data, size_t len);
int buf_append_str(struct buf *b, const char *s);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Makes room for `len` more bytes and returns where they go, NULL when it does not fit. The caller
 * adds to b->len. */
char *buf_reserve(struct buf *b, size_t len);

/* Drops the first `len` bytes (len <= b->len). */
void buf_consume(struct buf *b, size_t len);

/* The text, never NULL: "" for an empty buffer. Borrowed until the next change. */
const char *buf_str(const struct buf *b);

/* Empties it, keeps the memory and the bound. */
static inline void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = '\0';
}

/* Hands the memory over (NULL when empty); the buffer is empty afterwards. The caller frees. */
char *buf_take(struct buf *b);

void buf_done(struct buf *b);

#define auto_buf CLEANUP(buf_done)
