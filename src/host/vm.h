/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One VM from its grant to its last file.
 *
 * Ownership: a struct vm has one owner at a time - the thread that starts it, then the pool, then
 * the request that took it, then the reaper - and only the owner touches it; it is handed over
 * through the pool's and the reaper's locks. */

#include <stdbool.h>

#include "base/err.h"
#include "engine/engine.h"
#include "host/lifecycle.h"
#include "host/store.h"

struct host;
struct image;
struct link;
struct language;

/* The nice value of what nobody waits for: filling the pool, ending VMs. */
#define VM_BACKGROUND_NICE 10

struct vm {
    struct vm_record record; /* what the store knows */
    struct monitor monitor;
    struct link *link; /* NULL until the agent is connected */
    const struct language *lang;
    char dir[PATH_MAX / 4];
    bool warm;
    struct vm *next; /* in the pool's or the reaper's list */
};

/* Starts a VM from the template of a language's image and returns when its agent has answered, its
 * clock is right and its random generator reseeded. On failure nothing of it is left. */
int vm_restore(struct host *h, const struct language *lang, struct vm **ret, struct err *e);

/* Boots an image from its kernel; otherwise like vm_restore. */
int vm_boot(struct host *h, const struct image *image, const struct machine_shape *shape,
            struct vm **ret, struct err *e);

/* Notes in the store that it ran, or is about to run, somebody's code. */
int vm_mark_used(struct host *h, struct vm *vm, struct err *e);

/* Finds the VM of a record of a former daemon again: monitor alive, agent answers. -ESRCH when it
 * must be reaped. */
int vm_adopt(struct host *h, const struct vm_record *record, struct vm **ret, struct err *e);

/* Closes the agent link only. */
void vm_hang_up(struct vm *vm);

/* Ends the monitor, removes every trace, gives the grant back, frees `vm`. What could not be
 * removed is logged, stays in the store and is tried again at the next start. */
void vm_end(struct host *h, struct vm *vm);

/* The same for a record whose VM was not adopted. */
void vm_reap(struct host *h, const struct vm_record *record);

/* Ends VMs in the background, so that an answer does not wait for it. */
struct reaper;
int reaper_new(struct host *h, struct reaper **ret, struct err *e);
void reaper_free(struct reaper *r);               /* ends all that is queued first */
void reaper_add(struct reaper *r, struct vm *vm); /* takes vm */
