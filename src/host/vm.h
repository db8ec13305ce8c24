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
#include "host/guest.h"
#include "host/lifecycle.h"
#include "host/store.h"

struct admission_wait;
struct host;
struct link;
struct language;
struct net_policy;

/* The nice value of what nobody waits for: filling the pool, ending VMs. */
#define VM_BACKGROUND_NICE 10

struct vm {
    struct vm_record record; /* what the store knows */
    struct monitor monitor;
    struct link *link; /* NULL until the agent is connected */
    const struct language *lang;
    char dir[PATH_MAX / 4];
    int net_slot;    /* -1: it has no network */
    struct vm *next; /* in the pool's or the reaper's list */
};

/* How to start one. Strings are borrowed. */
struct vm_plan {
    const char *id;    /* NULL: a new one */
    const char *image; /* its key, for the record, and for its kernel when that is its own */
    struct machine_shape shape;
    const char *template_dir;    /* to restore; NULL: to boot */
    const char *rootfs;          /* boot: an image's; NULL: the disk that is in its directory */
    const char *kernel_dir;      /* boot: where its kernel is; NULL: in its directory, or Holm's */
    int64_t disk_bytes;          /* boot: at least; 0: as it is */
    const struct language *lang; /* of the pool it is for; or NULL */
    const struct net_policy *policy; /* NULL: no network */
    struct guest_identity who;
    bool ephemeral;     /* as vm_spec's */
    bool lives;         /* belongs to an instance; not one of the pool */
    bool keep_dir;      /* its directory was there before, and stays when this fails */
    bool is_first_boot; /* of an image: when it does not come up, the error has its last words */
    int timeout_s;      /* until its agent has answered */
    const struct admission_wait *wait; /* for room; NULL: none is no */
};

/* Starts a VM and returns when its agent has answered, its clock is right and its random generator
 * reseeded. On failure nothing of it is left. */
int vm_start(struct host *h, const struct vm_plan *plan, struct vm **ret, struct err *e);

/* From the template of a language's image; `wait` as for admission_take. */
int vm_restore(struct host *h, const struct language *lang, const struct admission_wait *wait,
               struct vm **ret, struct err *e);

/* Notes in the store that it ran, or is about to run, somebody's code. */
int vm_mark_used(struct host *h, struct vm *vm, struct err *e);

/* Finds the VM of a record of a former daemon again: its monitor lives, running or paused;
 * *ret_state stays as it was for one that lives and does not answer. It is not connected yet. On
 * failure nothing has changed; the caller reaps it. */
int vm_adopt(struct host *h, const struct vm_record *record, const struct net_policy *policy,
             struct vm **ret, enum monitor_state *ret_state, struct err *e);

/* Connects to the agent of a guest that runs and tells it the time. What ran in former sessions is
 * ended. The caller puts the link in. */
int vm_connect(struct host *h, struct vm *vm, struct link **ret, struct err *e);

/* Tells the guest, which is connected, the time; its programs go on. */
int vm_greet(struct host *h, struct vm *vm, struct err *e);

/* Closes the agent link only. */
void vm_hang_up(struct vm *vm);

/* Ends the monitor, removes every trace, gives the grant back, frees `vm`. What could not be
 * removed is logged, stays in the store and is tried again at the next start. */
void vm_end(struct host *h, struct vm *vm);

/* The same, but its directory stays: the disk of a stopped VM. */
void vm_end_keeping_disk(struct host *h, struct vm *vm);

/* vm_end for a record whose VM was not adopted; its directory may stay. */
void vm_reap(struct host *h, const struct vm_record *record, bool keep_disk);

/* Ends VMs in the background, so that an answer does not wait for it. */
struct reaper;
int reaper_new(struct host *h, struct reaper **ret, struct err *e);
void reaper_free(struct reaper *r);               /* ends all that is queued first */
void reaper_add(struct reaper *r, struct vm *vm); /* takes vm */
