/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A program of a client, from its start until it was reaped: identity, process, group, timeout. Its
 * streams are its owner's. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "agent/cgroup.h"
#include "agent/loop.h"
#include "agent/spawn.h"
#include "wire/exec_spec.h"

struct agent;

/* Zero-initialise, set `agent` and `ended`. */
struct program {
    struct agent *agent;
    void (*ended)(struct program *p); /* it was reaped, `exit` is filled but for bytes */
    struct program *prev, *next;      /* in agent->programs, once it was started */
    pid_t pid;                        /* 0: not started */
    struct cgroup cgroup;
    struct loop_timer timeout;
    int64_t start_us;
    int64_t own_user_us, own_system_us; /* by program_note_cpu */
    struct exec_exit exit;
    int64_t cpu_before_us; /* of its group; likewise */
    bool kill_rest;        /* nothing of it outlives program_done */
    bool reaped;
};

/* What it gets instead of streams of its own, as in struct spawn_request; negative: none. */
struct program_fds {
    int in, tty;
    const int *extra;
};

/* Starts it. ERR_INVALID names the spec's field. */
int program_start(struct program *p, const struct exec_spec *spec, const struct program_fds *fds,
                  struct spawn_result *ret, struct err *e);

/* What it has used until now is not to be counted. */
void program_note_cpu(struct program *p);

/* The running program of `from` becomes that of `to`, which is initialised and not started: its
 * time and its timeout (0: none) begin now. */
void program_hand_over(struct program *from, struct program *to, int64_t timeout_ms);
/* Bounds it, its memory and processes by its group. program_start does it for what it starts; this
 * is for a program that runs. */
int program_limit(struct program *p, const struct exec_limits *limits, struct err *e);

/* SIGKILL to all that it started and that can be found. */
void program_kill(struct program *p);

/* To its process group; nothing once it was reaped. */
void program_signal(struct program *p, int sig);

/* Forgets it. What still runs of it is reaped as a stranger. */
void program_done(struct program *p);

/* A child of the agent was reaped; it need not be a program. */
void program_child_ended(struct agent *a, pid_t pid, int status, const struct rusage *usage);
