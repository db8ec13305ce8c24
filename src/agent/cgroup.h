/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A control group (v2) for each program, so that all it started can be killed, also what left its
 * process group, and so that it can be bounded and what it used be told. In a guest only; where
 * there is no writable cgroup2, everything here does nothing and the process group has to do. */

#include <stdbool.h>
#include <stdint.h>

#include "wire/exec_spec.h"

struct cgroup_left;

struct cgroups {
    int dir_fd; /* /sys/fs/cgroup/holm; negative: none */
    uint64_t serial;
    struct cgroup_left *left; /* groups whose programs' background children still run */
};

struct cgroup {
    int fd; /* negative: none */
    uint64_t serial;
};

void cgroup_init(struct cgroups *cs, bool enabled);
void cgroup_done(struct cgroups *cs);

/* Makes a group; ret->fd is negative when there is none to be had. */
void cgroup_new(struct cgroups *cs, struct cgroup *ret);

/* Bounds memory and processes of what is in it and what will be; a bound of 0 changes nothing.
 * ERR_INVALID naming "limits" where that cannot be done. */
int cgroup_limit(struct cgroups *cs, const struct cgroup *cg, const struct exec_limits *limits,
                 struct err *e);

/* Bounds the size of files of all processes that are in it now; what they start has the same. */
void cgroup_bound_files(const struct cgroup *cg, int64_t bytes);

/* What it has used until now: sets cpu_us, memory_peak_bytes and oom, each only if it can be told:
 * the last two once any program's memory was bounded. */
void cgroup_account(const struct cgroup *cg, struct exec_exit *x);

/* SIGKILL to everything in it. */
void cgroup_kill(const struct cgroup *cg);

/* Removes it, now or as soon as it is empty. */
void cgroup_free(struct cgroups *cs, struct cgroup *cg);

/* Removes the groups that have become empty; to be called when children have ended. */
void cgroup_sweep(struct cgroups *cs);
