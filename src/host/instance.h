/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The set of VMs that live (vms.h), for the files of src/host only.
 *
 * An instance is what the store remembers of a VM that lives, and the monitor it has at the moment.
 * Its record says at every instant what the next daemon has to do should this one die:
 *
 *     starting                the monitor, if there is one, is ended, and it is started again from
 *                             where it came from (`origin`); a fork's child is removed: the fork
 *                             was not answered
 *     running                 the monitor is adopted; a capture that held it still is over. None:
 *                             lost
 *     pausing, paused         the monitor is adopted as it is found; none: lost
 *     suspending              the monitor is adopted, as it was before; none: suspended if the
 *                             capture is whole, else lost
 *     resuming                from disk: suspended again, as before; from memory: as it is found
 *     stopping                the monitor is adopted, as it was before; none: stopped
 *     deleting                is removed
 *
 * What was before a move that begins in pause as well as in run is told by `paused_ns`.
 *
 * A *move* is an operation that takes an instance from one state to another, or that keeps its
 * engine busy (a snapshot): one at a time. It begins with the transitional state in the store and
 * ends with the final one; what was begun and not ended is undone by the table above.
 *
 * Locks: `instances.lock` is a leaf; it guards the list, each instance's `info`, `busy`, `refs`,
 * `users` and `vm`. Whoever has `busy` may use `vm` without it. Anyone else who wants the guest is
 * a user: the link is not closed under it, it only fails. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "host/host_priv.h"
#include "host/net.h"
#include "host/vms.h"

/* Where an instance that is starting comes from. One that has ever run comes from its own disk. */
enum instance_origin { ORIGIN_IMAGE, ORIGIN_SNAPSHOT, ORIGIN_FORK, ORIGIN_DISK };

/* What the store has of it. */
struct instance_record {
    struct vm_info info;
    enum instance_origin origin;
    bool grows; /* the disk is to be as large as `info` says; maybe it is not yet */
};

struct instance {
    struct instance *next; /* in order of creation */
    struct instance_record record;
    struct net_policy *policy; /* of record.info.firewall, parsed; owned */
    struct vm *vm;             /* NULL while no monitor runs */
    bool busy;                 /* a move is under way */
    bool gone;                 /* deleted: out of the list */
    enum vm_state before;      /* a move: the state it began in */
    int64_t due_ms;            /* a launch that waits: not before */
    int captures;              /* since the disk was looked at for flattening; busy */
    bool was_captured;         /* the timers' thread has something to do for it */
    int refs;
    int users;            /* threads that use vm->link */
    atomic_int execs;     /* commands and terminals */
    atomic_uint commands; /* how many have been started, jobs too */
    bool tended;          /* a thread of the timers' is at it */
    int64_t act_ms;       /* its TTL and idle policy: not before */
    struct {              /* the next try to reach its agent again; who tends it */
        int64_t at_ms;
        int wait_ms;
    } relink;
    struct forward *forwards; /* vms_forward.c */
    struct quota_use {        /* what the account was charged for it */
        bool compute;         /* vCPUs and memory */
        bool disk;
    } charged;
    struct { /* the idle watch's: who tends it */
        unsigned commands;
        uint64_t cpu_us, io_bytes, net_bytes;
        int64_t at_us;
    } seen;
};

struct instances {
    struct host *host;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* busy, users, state; something to launch */
    struct instance *first, **end;
    bool stopping;
    int64_t reach_until_ms; /* vms_recover.c */
    int n_tenders;          /* threads of the timers' */
    int n_helpers;          /* threads of vms_forward.c, and of the timers' */
    pthread_t threads[8];
    int n_threads;
};

/* --- the set (instance.c; monitors and links: instance_link.c) --- */

int instances_new(struct host *h, struct instances **ret, struct err *e);
/* Takes over what the store knows; before anything is started. `vm_record` of monitors: see
 * instances_inherit. */
int instances_load(struct instances *s, struct err *e);
/* Launchers and timers. */
int instances_start(struct instances *s, struct err *e);
/* Ends the threads. VMs that run, run on. */
void instances_stop(struct instances *s);
void instances_free(struct instances *s);

/* The last reference has gone; lock held or the last thread. */
void instance_destroy(struct instance *inst);
/* Whether DATA/vms/ID is an instance's. */
bool instances_want_dir(struct instances *s, const char *id);
/* How many are in each state. */
void instances_count(struct instances *s, int ret[VM_STATE_COUNT]);
/* How many are made from an image, by its key. */
size_t instances_of_image(struct instances *s, const char *key);
/* By id, whoever owns it, without a reference: while the daemon starts. NULL: none. */
struct instance *instances_peek(struct instances *s, const char *id);

/* --- what a former daemon left (vms_recover.c), after instances_load --- */

/* A record of a monitor; true: it is (or was) that of an instance, and has been dealt with. */
bool instances_inherit(struct instances *s, const struct vm_record *record);
/* After all monitors: instances that have none, directories that nobody has. */
void instances_settle(struct instances *s);

/* Finds the account's; takes a reference. */
int instance_find(struct instances *s, const char *account, const char *id, struct instance **ret,
                  struct err *e);
void instance_unref(struct instances *s, struct instance *inst); /* NULL is fine */

/* A new one: quota, record, list. On failure nothing is left. Takes what `record` holds. Comes back
 * busy and referenced. */
int instance_add(struct instances *s, struct instance_record *record, struct instance **ret,
                 struct err *e);
/* Its record, quota, place in the list; it must be busy and have no monitor. */
void instance_remove(struct instances *s, struct instance *inst);

/* Copies the info out, owned. Lock held. */
void instance_copy_info(const struct instance *inst, struct vm_info *ret);
/* The same, taking the lock. */
void instance_get_info(struct instances *s, const struct instance *inst, struct vm_info *ret);

/* --- moves --- */

struct instance_wish {
    enum vm_event event;
    int already; /* the state in which there is nothing to do; -1: none */
    /* Whether it is still wanted, when its turn has come; lock held. NULL: yes. */
    bool (*due)(const struct instance *inst);
};

/* Waits until no other move is under way, then makes the event's state the one in the store. Busy
 * when it returns 0; inst->before is the state it was in. 1: there is nothing to do, and nothing
 * was done. */
int instance_begin(struct instances *s, struct instance *inst, const struct instance_wish *w,
                   struct err *e);
/* Busy, without a change of state; it must be in one of `states` (a mask of 1 << state). */
int instance_hold(struct instances *s, struct instance *inst, unsigned states, const char *what,
                  struct err *e);
/* The next state of a move is stored, and the move goes on. When the store cannot, the state in
 * memory is right and the next daemon finds the one before. `why` is for VM_LOST, else NULL. */
void instance_mark(struct instances *s, struct instance *inst, enum vm_state state,
                   const char *why);
/* Ends a move or a hold. */
void instance_let_go(struct instances *s, struct instance *inst);
/* Both. */
void instance_end(struct instances *s, struct instance *inst, enum vm_state state);
/* Its monitor has ended, or it could not be started. */
void instance_lose(struct instances *s, struct instance *inst, const char *why);
/* Changes a held instance's record to `next` (whose JSON it takes), in the store first; on failure
 * nothing has changed, and `next` is freed too. */
int instance_change(struct instances *s, struct instance *inst, struct instance_record *next,
                    struct err *e);

/* Puts a monitor in or takes it out (waiting for its users); busy. */
void instance_set_vm(struct instances *s, struct instance *inst, struct vm *vm);
struct vm *instance_take_vm(struct instances *s, struct instance *inst);

/* A link that has ended is of no use: closes it (waiting for its users), makes another one and
 * greets the agent. Busy, with a monitor; nobody uses the new one before it is there. */
void instance_drop_link(struct instances *s, struct instance *inst);
int instance_connect(struct instances *s, struct instance *inst, struct err *e);

/* The link of a running VM, for a user. */
int instance_use(struct instances *s, struct instance *inst, struct link **ret, struct err *e);
void instance_unuse(struct instances *s, struct instance *inst);

/* Quota for what it will use, or no longer uses. */
int instance_charge_compute(struct instances *s, struct instance *inst, struct err *e);
void instance_release_compute(struct instances *s, struct instance *inst);

/* Makes busy, starting instances running, all in one transaction, and lets them go. */
int instances_run_all(struct instances *s, struct instance *const *list, size_t n, struct err *e);

/* --- time: the TTL runs while the VM does; under the lock or busy --- */

void instance_clock_run(struct vm_info *info, int64_t now_ns);
void instance_clock_stop(struct vm_info *info, int64_t now_ns);
void instance_clock_reset(struct vm_info *info, int64_t now_ns);

/* --- paths --- */

/* DATA/KIND/ID, PATH_MAX / 4 bytes: "vms", "snapshots", "suspended", "forks". */
void instance_path(const struct host *h, const char *kind, const char *id, char *ret);

/* --- starting (vms_launch.c) --- */

/* Starts the monitor of a busy instance that is starting, from its origin. -EINPROGRESS or
 * ERR_FULL: not now. */
int instance_start(struct instances *s, struct instance *inst, const char *fork_dir, struct err *e);
/* Removes a file tree of an instance or snapshot; what cannot be is logged. */
void instance_drop_dir(const struct host *h, const char *kind, const char *id);
/* The launchers' thread. */
void *instances_launcher(void *arg);
/* The timers' thread (vms_timers.c). */
void *instances_timer(void *arg);
