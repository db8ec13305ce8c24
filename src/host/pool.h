/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* VMs that wait for work: for each language some that were restored, ran the language's hello
 * program once (so that an emulated CPU has already translated its code) and have never seen
 * anybody's code.
 *
 * Filler threads refill it in the background. They hold back while as many programs run as there
 * are CPUs: at such a time warming a VM costs a request more than it gives to a later one. A
 * request that finds the pool empty restores a VM of its own. When there is no room for that, idle
 * VMs of other languages give way, then the request waits in the admission's line.
 *
 * Threads: any; one leaf lock inside. */

#include <stdbool.h>

#include "base/err.h"

struct host;
struct language;
struct pool;
struct vm;

int pool_new(struct host *h, struct pool **ret, struct err *e);
/* Starts the fillers. */
int pool_start(struct pool *p, struct err *e);
/* Ends the fillers and gives every pooled VM to the reaper. */
void pool_stop(struct pool *p);
void pool_free(struct pool *p); /* after pool_stop; NULL is fine */

struct pool_request {
    const struct language *lang;
    bool never_pooled;            /* restore it, whatever waits */
    bool (*cancelled)(void *arg); /* whether a caller that waits for room still wants it */
    void *arg;
    bool from_pool; /* out */
};

/* A VM for one run, from the pool or else restored now, which may have to wait for room; the caller
 * owns it. */
int pool_take(struct pool *p, struct pool_request *rq, struct vm **ret, struct err *e);

/* Ends the idle VM that is missed least, but none of `lang` (may be NULL); false when there is
 * none. */
bool pool_give_way(struct pool *p, const struct language *lang);

/* Ends the idle VMs of a language: they are clones of a template that is no longer right. */
void pool_drop(struct pool *p, const struct language *lang);

/* Gives an adopted VM to the pool, which owns it from then on. */
void pool_adopt(struct pool *p, struct vm *vm);

/* How many wait, of one language or (NULL) of all. */
int pool_count(struct pool *p, const struct language *lang);

/* Tells the fillers to look again: an image has become ready, a run has ended. */
void pool_wake(struct pool *p);
