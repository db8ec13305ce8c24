/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A control group (v2) for each program, so that all it started can be killed, also what left its
 * process group. In a guest only; where there is no writable cgroup2, everything here does nothing
 * and the process group has to do. */

#include <stdbool.h>
#include <stdint.h>

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

/* SIGKILL to everything in it. */
void cgroup_kill(const struct cgroup *cg);

/* Removes it, now or as soon as it is empty. */
void cgroup_free(struct cgroups *cs, struct cgroup *cg);

/* Removes the groups that have become empty; to be called when children have ended. */
void cgroup_sweep(struct cgroups *cs);
