/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Starting a program: pipes, identity, limits, and the errors of the child told in the parent. */

#include <sys/resource.h>
#include <sys/types.h>

#include "base/err.h"
#include "wire/exec_spec.h"

/* What children get back that the agent changed for itself. */
struct spawn_context {
    struct rlimit open_files;
    bool reset_oom; /* the agent is exempt from the OOM killer, children must not be */
};

struct spawn_request {
    const struct exec_spec *spec;
    const struct spawn_context *context;
    int null_fd;
    int cgroup_fd; /* the child is born in this group; negative: none */
};

/* The parent's ends of the pipes, non-blocking. in_fd is negative without standard input. */
struct spawn_result {
    pid_t pid;
    int in_fd, out_fd, err_fd;
};

/* Remembers the process's limits and raises its own bound of open files. */
void spawn_context_init(struct spawn_context *ctx);

/* Starts the program as leader of a session and process group of its own; returns when it runs.
 * ERR_INVALID with field "argv", "cwd", "uid" or "gid" for what the spec is to blame for. */
int spawn_start(const struct spawn_request *q, struct spawn_result *ret, struct err *e);
