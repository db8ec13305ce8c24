/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How many VMs of each language are to wait in the pool.
 *
 * A language that [pool] names has its size always. Of the others, those that are used have
 * pool.default: the ones whose images are built by default, which a first user is likely to ask
 * for, and what was run in the last POOL_USED_MS; of all these at most pool.languages_max, the last
 * used first. So forty languages do not take the memory of forty pools. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POOL_USED_MS (10 * 60 * 1000)

struct pool_want {
    int size;        /* what it has if it has any */
    bool is_named;   /* in the configuration */
    bool is_default; /* its image is built by default */
    int64_t used_ms; /* CLOCK_MONOTONIC of its last run; 0: none yet */
};

/* ret: one for each of the n wants. */
void pool_targets(const struct pool_want *w, size_t n, int languages_max, int64_t now_ms, int *ret);
