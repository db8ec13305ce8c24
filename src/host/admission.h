/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who may start a VM: a bound on VMs, on their memory, on the uids for them, and a gate that lets
 * only so many start at the same time. A VM that has no grant does not exist; what is refused was
 * never begun.
 *
 * Who finds no room may wait for it, in a line: first come, first served, and only the first in it
 * looks. Who does not want to wait does not stand behind those who do. Whoever is sent away is told
 * when it is worth coming again, by how fast places became free lately.
 *
 * Threads: any; one leaf lock inside. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "engine/engine.h"

/* The last times at which a VM gave its place back, for telling how fast that goes. */
#define ADMISSION_PACE_MAX 32

struct admission_waiter {
    struct admission_waiter *next;
};

struct admission {
    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t start_ended, changed;
    int vms, vms_max;
    int memory_mib, memory_max_mib;
    unsigned long starts_came, starts_ended; /* the gate's tickets: first come, first served */
    int starts_max;
    struct admission_waiter *first; /* the line */
    atomic_int waiting;             /* in it; may be read without the lock */
    int waiting_max;
    int64_t freed_ms[ADMISSION_PACE_MAX]; /* a ring */
    unsigned long freed;                  /* how many there were; the next one's place */
    uid_t uid_first;
    int uid_count;
    bool *uid_taken;       /* uid_count of them */
    unsigned long refused; /* for metrics */
};

struct admission_limits {
    int vms_max;
    int memory_max_mib; /* 0: three quarters of this host's */
    int starts_max;     /* 0: twice the CPUs */
    uid_t uid_first;
    int uid_count;
    int waiting_max; /* how many may stand in the line */
};

int admission_init(struct admission *a, const struct admission_limits *limits, struct err *e);
void admission_done(struct admission *a);

/* What the first in the line does when there is still no room. */
enum admission_next {
    ADMISSION_WAIT,  /* nothing more can be done */
    ADMISSION_LOOK,  /* something was ended: look again */
    ADMISSION_LEAVE, /* it has what it wanted: -EALREADY, without a grant */
};

struct admission_wait {
    int64_t deadline_ms;          /* clock_mono_ms */
    bool (*cancelled)(void *arg); /* asked once a while: -ECANCELED */
    /* Asked without the lock, of the first in the line only; it may take its time. May be NULL. */
    enum admission_next (*full)(void *arg);
    void *arg;
};

/* Grants one VM of this shape and a uid of its own. Where there is no room: waits for it when `w`
 * is given, and there are not more in the line already; else, or when it has waited long enough,
 * refuses with ERR_FULL and a time to retry after. */
int admission_take(struct admission *a, const struct machine_shape *shape,
                   const struct admission_wait *w, uid_t *ret_uid, struct err *e);

/* Grants a VM that already runs under `uid` (adopted from a former daemon); ERR_FULL when the uid
 * is taken or not ours. */
int admission_adopt(struct admission *a, const struct machine_shape *shape, uid_t uid,
                    struct err *e);

void admission_give_back(struct admission *a, const struct machine_shape *shape, uid_t uid);

/* Around the start of a monitor; enter waits until fewer than starts_max are inside, first come,
 * first served. */
void admission_start_enter(struct admission *a);
void admission_start_leave(struct admission *a);
