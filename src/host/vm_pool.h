/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* VMs that wait to be launched: clones of the default image with the default machine type, with a
 * network that is closed until they are taken. A launch that asks for just that takes one, and its
 * id, instead of starting one. (pool.h has the VMs that run code.) One thread refills it. Any
 * thread. */

#include <stdbool.h>

#include "base/err.h"

struct host;
struct vm;
struct vm_info;
struct vm_pool;

int vm_pool_new(struct host *h, struct vm_pool **ret, struct err *e);
int vm_pool_start(struct vm_pool *p, struct err *e);
/* Ends the VMs that wait. */
void vm_pool_stop(struct vm_pool *p);
void vm_pool_free(struct vm_pool *p); /* NULL is fine */

/* One that fits what is asked for, the caller's from then on; NULL: there is none. */
struct vm *vm_pool_take(struct vm_pool *p, const struct vm_info *asked);

/* It was not needed after all. */
void vm_pool_give_back(struct vm_pool *p, struct vm *vm);

/* Ends one that waits, to make room; false: there is none. */
bool vm_pool_give_way(struct vm_pool *p);

/* How many wait. */
int vm_pool_count(struct vm_pool *p);
