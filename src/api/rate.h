/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Rate limits: a bucket of tokens for each caller and each thing that is bounded (a row, a
 * dialect). A bucket of a bound of N a minute holds N tokens, is full at first, and refills evenly;
 * a request takes one. A request that is refused takes nothing, from no bucket.
 *
 * Callers are remembered up to RATE_CALLERS_MAX; then whoever asked longest ago is forgotten. That
 * loses nothing once a minute has passed, since all its buckets are full again. Any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rate;
struct route;

/* Buckets for all rows and dialects that have a rate_per_min. -ENOMEM. */
int rate_new(struct rate **ret);
void rate_free(struct rate *rate); /* NULL is fine */

/* What to tell whoever is refused. */
struct rate_refusal {
    int per_min;
    int retry_after_s; /* at least 1 */
    bool is_of_row;    /* the row's bound; else the dialect's */
};

/* One request of `caller` (an account's id, an address) to a row, `row` its index in route_at.
 * -EAGAIN: it is refused, with the longer wait of its two bounds. -ENOMEM never: a caller who
 * cannot be remembered is let through. */
int rate_take(struct rate *rate, const char *caller, size_t row, int64_t now_ms,
              struct rate_refusal *ret);
