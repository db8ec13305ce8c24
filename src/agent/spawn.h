/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Starting a program: pipes or a terminal, identity, limits, and the errors of the child told in
 * the parent. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/err.h"

/* What children get back that the agent changed for itself. */
#define SPAWN_EXTRA 2

struct spawn_context {
    struct rlimit open_files;
    bool reset_oom; /* the agent is exempt from the OOM killer, children must not be */
};

/* Borrowed for the call. */
struct spawn_request {
    const struct spawn_context *context;
    const char *file; /* what to execute; without a slash it is searched in env's PATH,
                       * then in LOGIN_DEFAULT_PATH */
    char *const *argv;
    char *const *env;
    const char *cwd;
    bool cwd_may_miss; /* "/" then */
    uid_t uid;
    gid_t gid;
    const gid_t *groups;
    size_t n_groups;
    int in_fd;          /* standard input; negative: a pipe of its own. Not with a terminal. */
    int rows, cols;     /* of a terminal of its own; 0: none */
    int tty_fd;         /* this terminal is all three streams; negative: none */
    int cgroup_fd;      /* the child is born in this group; negative: none */
    int64_t file_bytes; /* it can write no file longer than this; 0: any */
    /* What it gets besides, as descriptors 3 and 4; NULL: nothing. */
    const int *extra;
};

/* The parent's ends, non-blocking. in_fd is negative when it was given, err_fd with a terminal, of
 * which both others are the other side; all three with one that was given. */
struct spawn_result {
    pid_t pid;
    int in_fd, out_fd, err_fd;
};

/* Remembers the process's limits and raises its own bound of open files. */
void spawn_context_init(struct spawn_context *ctx);

/* Starts the program as leader of a session and process group of its own; returns when it runs.
 * ERR_INVALID with field "argv", "cwd", "uid" or "gid" for what the request is to blame for. */
int spawn_start(const struct spawn_request *q, struct spawn_result *ret, struct err *e);
