/* SPDX-License-Identifier: Apache-2.0 */

/* A caller is an entry of a hash table and of a list in the order of use, with all its buckets in
 * it: there are only a few things that are bounded. Tokens are counted in parts of which there are
 * 60,000 to a token, so that a bound of N a minute is N parts a millisecond, without fractions. */

#include "api/rate.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/route.h"
#include "base/cleanup.h"
#include "base/limits.h"

#define TOKEN 60000
#define NAME_SIZE 64
#define SLOTS 4096 /* of the hash table: a power of two */
#define UNBOUNDED SIZE_MAX

struct bucket {
    int64_t parts;
    int64_t at_ms; /* when it held these; 0: never used, so it is full */
};

struct caller {
    char name[NAME_SIZE];
    struct caller *next_in_slot;
    struct caller *newer, *older;
    struct bucket buckets[];
};

struct rate {
    size_t *row_bucket, *dialect_bucket; /* by row: which bucket; UNBOUNDED: none */
    int *per_min;                        /* by bucket */
    size_t n_buckets;

    pthread_mutex_t lock; /* of all below */
    struct caller *slots[SLOTS];
    struct caller *newest, *oldest;
    size_t n_callers;
};

DEFINE_AUTO(struct rate *, rate_free)

/* ---- what is bounded ---- */

static size_t add_bucket(struct rate *rate, int per_min)
{
    if (!per_min)
        return UNBOUNDED;
    rate->per_min[rate->n_buckets] = per_min;
    return rate->n_buckets++;
}

/* The bucket of a dialect that an earlier row has, or a new one. */
static size_t dialect_bucket(struct rate *rate, size_t row)
{
    const struct dialect *d = route_at(row)->dialect;
    for (size_t i = 0; i < row; i++) {
        if (route_at(i)->dialect == d)
            return rate->dialect_bucket[i];
    }
    return add_bucket(rate, d->rate_per_min);
}

int rate_new(struct rate **ret)
{
    CLEANUP(rate_freep) struct rate *rate = calloc(1, sizeof(*rate));
    if (!rate)
        return -ENOMEM;
    pthread_mutex_init(&rate->lock, NULL);
    size_t n = 0;
    while (route_at(n))
        n++;
    rate->row_bucket = calloc(n, sizeof(size_t));
    rate->dialect_bucket = calloc(n, sizeof(size_t));
    rate->per_min = calloc(2 * n, sizeof(int));
    if (!rate->row_bucket || !rate->dialect_bucket || !rate->per_min)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        rate->row_bucket[i] = add_bucket(rate, route_at(i)->rate_per_min);
        rate->dialect_bucket[i] = dialect_bucket(rate, i);
    }
    *ret = TAKE_PTR(rate);
    return 0;
}

void rate_free(struct rate *rate)
{
    if (!rate)
        return;
    for (struct caller *c = rate->newest, *older; c; c = older) {
        older = c->older;
        free(c);
    }
    free(rate->row_bucket);
    free(rate->dialect_bucket);
    free(rate->per_min);
    pthread_mutex_destroy(&rate->lock);
    free(rate);
}

/* ---- callers ---- */

static struct caller **slot_of(struct rate *rate, const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    return &rate->slots[(h ^ h >> 32) & (SLOTS - 1)];
}

static void unlist(struct rate *rate, struct caller *c)
{
    *(c->newer ? &c->newer->older : &rate->newest) = c->older;
    *(c->older ? &c->older->newer : &rate->oldest) = c->newer;
}

static void list_newest(struct rate *rate, struct caller *c)
{
    c->newer = NULL;
    c->older = rate->newest;
    *(c->older ? &c->older->newer : &rate->oldest) = c;
    rate->newest = c;
}

static void forget_oldest(struct rate *rate)
{
    struct caller *c = rate->oldest;
    struct caller **at = slot_of(rate, c->name);
    while (*at != c)
        at = &(*at)->next_in_slot;
    *at = c->next_in_slot;
    unlist(rate, c);
    free(c);
    rate->n_callers--;
}

static struct caller *caller_get(struct rate *rate, const char *name)
{
    struct caller **slot = slot_of(rate, name), *c = *slot;
    while (c && strcmp(c->name, name) != 0)
        c = c->next_in_slot;
    if (c) {
        unlist(rate, c);
        list_newest(rate, c);
        return c;
    }
    if (rate->n_callers == RATE_CALLERS_MAX)
        forget_oldest(rate);
    c = calloc(1, sizeof(*c) + rate->n_buckets * sizeof(struct bucket));
    if (!c)
        return NULL;
    snprintf(c->name, sizeof(c->name), "%s", name);
    c->next_in_slot = *slot;
    *slot = c;
    list_newest(rate, c);
    rate->n_callers++;
    return c;
}

/* ---- buckets ---- */

/* Brings it up to now. Returns how many seconds until it has a token; 0: it has one. */
static int wait_s(struct bucket *b, int per_min, int64_t now_ms)
{
    int64_t full = (int64_t)per_min * TOKEN, passed = now_ms - b->at_ms;
    if (!b->at_ms || passed >= TOKEN)
        b->parts = full;
    else if (passed > 0)
        b->parts = b->parts + passed * per_min < full ? b->parts + passed * per_min : full;
    b->at_ms = now_ms;
    int64_t lack = TOKEN - b->parts;
    return lack <= 0 ? 0 : (int)((lack + per_min * 1000LL - 1) / (per_min * 1000LL));
}

int rate_take(struct rate *rate, const char *caller, size_t row, int64_t now_ms,
              struct rate_refusal *ret)
{
    const size_t wanted[] = {rate->row_bucket[row], rate->dialect_bucket[row]};
    if (wanted[0] == UNBOUNDED && wanted[1] == UNBOUNDED)
        return 0;
    AUTO_LOCK(&rate->lock);
    char name[NAME_SIZE];
    snprintf(name, sizeof(name), "%s", caller);
    struct caller *c = caller_get(rate, name);
    struct rate_refusal worst = {0};
    for (size_t i = 0; c && i < ARRAY_SIZE(wanted); i++) {
        int per_min = wanted[i] == UNBOUNDED ? 0 : rate->per_min[wanted[i]];
        int s = per_min ? wait_s(&c->buckets[wanted[i]], per_min, now_ms) : 0;
        if (s > worst.retry_after_s)
            worst = (struct rate_refusal){per_min, s, i == 0};
    }
    if (worst.retry_after_s) {
        *ret = worst;
        return -EAGAIN;
    }
    for (size_t i = 0; c && i < ARRAY_SIZE(wanted); i++) {
        if (wanted[i] != UNBOUNDED)
            c->buckets[wanted[i]].parts -= TOKEN;
    }
    return 0;
}
