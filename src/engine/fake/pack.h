/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The bytes of a saved fake guest: numbers in little endian, texts behind their lengths. Reading
 * treats them as hostile: what is not there reads as 0 or NULL and marks the reader `failed`, so
 * that a chain of reads may be checked once at its end. Any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

void pack_u32(struct buf *out, size_t n);
void pack_i64(struct buf *out, int64_t n);
/* NULL is as "". */
void pack_bytes(struct buf *out, const void *data, size_t len);
void pack_str(struct buf *out, const char *s);

struct unpack {
    const uint8_t *at;
    size_t left;
    bool failed;
};

size_t unpack_u32(struct unpack *u);
int64_t unpack_i64(struct unpack *u);
/* A number from `min` to `max`; otherwise the reader has failed and it is `min`. */
int64_t unpack_range(struct unpack *u, int64_t min, int64_t max);
/* Borrowed; NULL when it failed. */
const char *unpack_bytes(struct unpack *u, size_t *ret_len);
/* A text of at most size - 1 bytes without NUL; "" when it failed. */
void unpack_str(struct unpack *u, char *ret, size_t size);

/* FNV-1a of 64 bits; goes on from `hash`, which begins as PACK_HASH_START. */
#define PACK_HASH_START UINT64_C(0xcbf29ce484222325)
uint64_t pack_hash(uint64_t hash, const void *data, size_t len);
