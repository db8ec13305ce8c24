/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who may start a VM: a bound on VMs, on their memory, on the uids for them, and a gate that lets
 * only so many start at the same time. A VM that has no grant does not exist; what is refused was
 * never begun.
 *
 * Threads: any; one leaf lock inside. */

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "engine/engine.h"

struct admission {
    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t start_ended;
    int vms, vms_max;
    int memory_mib, memory_max_mib;
    int starting, starts_max;
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
};

int admission_init(struct admission *a, const struct admission_limits *limits, struct err *e);
void admission_done(struct admission *a);

/* Grants one VM of this shape and a uid of its own, or refuses with ERR_FULL and a time to retry
 * after. */
int admission_take(struct admission *a, const struct machine_shape *shape, uid_t *ret_uid,
                   struct err *e);

/* Grants a VM that already runs under `uid` (adopted from a former daemon); ERR_FULL when the uid
 * is taken or not ours. */
int admission_adopt(struct admission *a, const struct machine_shape *shape, uid_t uid,
                    struct err *e);

void admission_give_back(struct admission *a, const struct machine_shape *shape, uid_t uid);

/* Around the start of a monitor; enter waits until fewer than starts_max are inside. */
void admission_start_enter(struct admission *a);
void admission_start_leave(struct admission *a);
