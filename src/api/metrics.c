/* SPDX-License-Identifier: Apache-2.0 */
#include "api/metrics.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "api/route.h"
#include "base/cleanup.h"

#define SHARDS 16

static const int statuses[] = {200, 202, 204, 400, 401, 403, 404, 405, 409,
                               413, 414, 415, 500, 502, 503, 504, 0};
#define N_STATUSES (ARRAY_SIZE(statuses) + 1) /* the last: any other */

static const int64_t bounds_us[] = {100,      500,      1000,     5000,     10000,   50000,
                                    100000,   250000,   500000,   1000000,  2500000, 5000000,
                                    10000000, 30000000, 60000000, 300000000};
#define N_BUCKETS (ARRAY_SIZE(bounds_us) + 1)

/* Each is written with relaxed order: they are sums, nothing is derived from their order. `running`
 * alone is read for a decision (server_stop), and is sequentially consistent. */
struct route_counts {
    atomic_ullong by_status[N_STATUSES];
    atomic_ullong by_bucket[N_BUCKETS];
    atomic_ullong total_us;
};

struct shard {
    _Alignas(64) atomic_llong running;
    struct route_counts *routes;
};

struct metrics {
    size_t n_rows;
    struct shard shards[SHARDS];
};

int metrics_new(size_t n_routes, struct metrics **ret)
{
    struct metrics *m = aligned_alloc(64, sizeof(*m));
    if (!m)
        return -ENOMEM;
    *m = (struct metrics){.n_rows = n_routes + 1};
    for (size_t i = 0; i < SHARDS; i++) {
        m->shards[i].routes = calloc(m->n_rows, sizeof(struct route_counts));
        if (!m->shards[i].routes) {
            metrics_free(m);
            return -ENOMEM;
        }
    }
    *ret = m;
    return 0;
}

void metrics_free(struct metrics *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < SHARDS; i++)
        free(m->shards[i].routes);
    free(m);
}

void metrics_begin(struct metrics *m, unsigned shard)
{
    atomic_fetch_add(&m->shards[shard % SHARDS].running, 1);
}

static void add(atomic_ullong *n, unsigned long long by)
{
    atomic_fetch_add_explicit(n, by, memory_order_relaxed);
}

void metrics_end(struct metrics *m, unsigned shard, size_t route, int status, int64_t took_us)
{
    struct shard *s = &m->shards[shard % SHARDS];
    struct route_counts *c = &s->routes[route];
    size_t i = 0, b = 0;
    while (i < ARRAY_SIZE(statuses) && statuses[i] != status)
        i++;
    while (b < ARRAY_SIZE(bounds_us) && took_us > bounds_us[b])
        b++;
    add(&c->by_status[i], 1);
    add(&c->by_bucket[b], 1);
    add(&c->total_us, (unsigned long long)(took_us < 0 ? 0 : took_us));
    atomic_fetch_sub(&s->running, 1);
}

int64_t metrics_running(const struct metrics *m)
{
    int64_t n = 0;
    for (size_t i = 0; i < SHARDS; i++)
        n += atomic_load(&m->shards[i].running);
    return n;
}

/* The sum over all shards of the counter at `offset` in a row's counts. */
static unsigned long long sum(const struct metrics *m, size_t row, size_t offset)
{
    unsigned long long n = 0;
    for (size_t i = 0; i < SHARDS; i++) {
        const char *counts = (const char *)&m->shards[i].routes[row];
        n += atomic_load_explicit((const atomic_ullong *)(counts + offset), memory_order_relaxed);
    }
    return n;
}

#define OFFSET_OF(member, i) (offsetof(struct route_counts, member) + (i) * sizeof(atomic_ullong))

static void row_labels(size_t row, struct buf *ret)
{
    const struct route *r = route_at(row);
    buf_clear(ret);
    buf_printf(ret, "route=\"%s\",method=\"%s\"", r ? r->operation : "none",
               r ? route_method_name(r->method) : "any");
}

static void write_requests(const struct metrics *m, struct buf *ret)
{
    auto_buf struct buf labels = {0};
    buf_append_str(ret, "# HELP holm_http_requests_total Requests answered; status 0: the client "
                        "left first.\n# TYPE holm_http_requests_total counter\n");
    for (size_t row = 0; row < m->n_rows; row++) {
        row_labels(row, &labels);
        for (size_t i = 0; i < N_STATUSES; i++) {
            unsigned long long n = sum(m, row, OFFSET_OF(by_status, i));
            if (!n)
                continue;
            buf_printf(ret, "holm_http_requests_total{%s,status=\"", buf_str(&labels));
            if (i < ARRAY_SIZE(statuses))
                buf_printf(ret, "%d\"} %llu\n", statuses[i], n);
            else
                buf_printf(ret, "other\"} %llu\n", n);
        }
    }
}

static void write_durations(const struct metrics *m, struct buf *ret)
{
    static const char name[] = "holm_http_request_duration_seconds";
    auto_buf struct buf labels = {0};
    buf_printf(ret, "# HELP %s From a request's headers until its answer was sent.\n", name);
    buf_printf(ret, "# TYPE %s histogram\n", name);
    for (size_t row = 0; row < m->n_rows; row++) {
        unsigned long long n = 0;
        row_labels(row, &labels);
        const char *l = buf_str(&labels);
        for (size_t b = 0; b < ARRAY_SIZE(bounds_us); b++) {
            n += sum(m, row, OFFSET_OF(by_bucket, b));
            buf_printf(ret, "%s_bucket{%s,le=\"%g\"} %llu\n", name, l, (double)bounds_us[b] / 1e6,
                       n);
        }
        n += sum(m, row, OFFSET_OF(by_bucket, N_BUCKETS - 1));
        buf_printf(ret, "%s_bucket{%s,le=\"+Inf\"} %llu\n", name, l, n);
        buf_printf(ret, "%s_sum{%s} %.6f\n", name, l,
                   (double)sum(m, row, OFFSET_OF(total_us, 0)) / 1e6);
        buf_printf(ret, "%s_count{%s} %llu\n", name, l, n);
    }
}

void metrics_write(const struct metrics *m, struct buf *ret)
{
    buf_append_str(ret, "# HELP holm_http_requests_running Requests being answered.\n"
                        "# TYPE holm_http_requests_running gauge\n");
    buf_printf(ret, "holm_http_requests_running %lld\n", (long long)metrics_running(m));
    write_requests(m, ret);
    write_durations(m, ret);
}
