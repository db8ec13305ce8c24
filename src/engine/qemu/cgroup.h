/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Bounds on a monitor's memory, CPU time and tasks by control groups: version 2 where this host
 * delegates a subtree to us, else those version 1 controllers that we may write, else none. Having
 * none is a weaker host, not an error: the facts tell. Any thread. */

#include <limits.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/id.h"
#include "engine/engine.h"
#include "engine/qemu/argv.h"

enum cgroup_controller { CGROUP_MEMORY, CGROUP_CPU, CGROUP_PIDS, CGROUP_COUNT };

struct cgroup_host {
    int version;                       /* 2, 1, or 0: none usable */
    char base[CGROUP_COUNT][PATH_MAX]; /* where to make groups; "" not usable; v2: all the same */
};

/* Looks where groups can be made. `root` (NULL: find out) is a directory that is a delegated v2
 * group. Moves this process into a group of its own below a delegated v2 group if it must. */
void cgroup_find(const char *root, struct cgroup_host *ret);

/* Finds our v1 group of a controller. Both texts are as in /proc/self. Exported for tests. */
bool cgroup_v1_path(const char *mountinfo, const char *self_cgroup, const char *controller,
                    char ret[PATH_MAX]);

/* Makes a VM's groups and appends their cgroup.procs files to `ret_procs`. What cannot be made or
 * bounded is left out, with a warning in the log. */
void cgroup_make(const struct cgroup_host *host, const char *id, const struct machine_shape *shape,
                 int overhead_mib, struct argv *ret_procs);

/* Removes them; all processes must have ended. Idempotent. */
int cgroup_remove(const struct cgroup_host *host, const char *id, struct err *e);

/* "memory", "cpu", "pids" */
const char *cgroup_name(enum cgroup_controller c);
