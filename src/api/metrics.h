/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Counters of HTTP requests, by row and status, and how long they took. Counted without locks: a
 * connection counts in the shard it was given, on cache lines few others write to; reading adds the
 * shards up. Any thread. */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct metrics;

/* `n_routes` rows, and one more for what matched no row (index n_routes). */
int metrics_new(size_t n_routes, struct metrics **ret);
void metrics_free(struct metrics *m);

/* `shard` is any number. metrics_end counts a finished request; a status of 0 means that the client
 * left before it had the answer. */
void metrics_begin(struct metrics *m, unsigned shard);
void metrics_end(struct metrics *m, unsigned shard, size_t route, int status, int64_t took_us);

/* Requests begun and not ended. Exact once no new ones begin. */
int64_t metrics_running(const struct metrics *m);

/* Appends everything as Prometheus text. */
void metrics_write(const struct metrics *m, struct buf *ret);
