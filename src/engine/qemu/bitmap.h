/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A bit for each page of a guest's memory. Plain functions over an array of words; the bits beyond
 * the last page are zero. */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

static inline uint64_t *bitmap_new(uint64_t bits)
{
    return calloc(bits / 64 + 1, sizeof(uint64_t));
}

static inline bool bitmap_get(const uint64_t *map, uint64_t i)
{
    return map[i / 64] >> (i % 64) & 1;
}

/* Sets bits from `start` to before `end`. */
static inline void bitmap_set(uint64_t *map, uint64_t start, uint64_t end)
{
    for (uint64_t i = start; i < end;) {
        if (i % 64 == 0 && end - i >= 64) {
            map[i / 64] = UINT64_MAX;
            i += 64;
        } else {
            map[i / 64] |= UINT64_C(1) << (i % 64);
            i++;
        }
    }
}

/* The first bit at or after `i` that is `value`, at most `end`. */
static inline uint64_t bitmap_find(const uint64_t *map, uint64_t i, uint64_t end, bool value)
{
    while (i < end) {
        uint64_t word = (value ? map[i / 64] : ~map[i / 64]) >> (i % 64);
        if (word) {
            i += (uint64_t)__builtin_ctzll(word);
            return i < end ? i : end;
        }
        i = (i / 64 + 1) * 64;
    }
    return end;
}
