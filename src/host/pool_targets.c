/* SPDX-License-Identifier: Apache-2.0 */
#include "host/pool_targets.h"

static bool is_candidate(const struct pool_want *w, int64_t now_ms)
{
    return !w->is_named && w->size > 0 &&
           (w->is_default || (w->used_ms && now_ms - w->used_ms <= POOL_USED_MS));
}

/* Of two that were used at the same time the first of the table; never used is longest ago. */
static int count_before(const struct pool_want *w, size_t n, size_t which, int64_t now_ms)
{
    int before = 0;
    for (size_t i = 0; i < n; i++) {
        bool is_later =
            w[i].used_ms > w[which].used_ms || (w[i].used_ms == w[which].used_ms && i < which);
        before += i != which && is_later && is_candidate(&w[i], now_ms);
    }
    return before;
}

void pool_targets(const struct pool_want *w, size_t n, int languages_max, int64_t now_ms, int *ret)
{
    for (size_t i = 0; i < n; i++) {
        bool has = w[i].is_named ||
                   (is_candidate(&w[i], now_ms) && count_before(w, n, i, now_ms) < languages_max);
        ret[i] = has ? w[i].size : 0;
    }
}
