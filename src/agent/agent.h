/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The agent: one event loop that serves any number of links (byte streams with a session each) and
 * owns all child processes.
 *
 * Theory of operation. Everything is driven by events; nothing but a start of a program and file
 * I/O ever blocks. Data flows by back-pressure alone: what a program writes stays in its pipe until
 * the client's window has room, what a client sends to a program that does not read stays in the
 * stream's window. So the agent's memory does not depend on how much is transferred.
 *
 * Thread: the loop's; nothing here is safe elsewhere. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "agent/bulk.h"
#include "agent/cgroup.h"
#include "agent/job.h"
#include "agent/loop.h"
#include "agent/orphan.h"
#include "agent/spawn.h"
#include "agent/warm.h"
#include "wire/agent_server.h"
#include "wire/report.h"

struct acceptor;
struct link;
struct agent_task;

/* What may be replaced in tests and fuzzers. */
struct agent_options {
    /* A guest's clock, random generator and power are the agent's to touch; on a host in tests they
     * are not. */
    bool guest;
    enum report_init init;
    /* All file requests stay below this directory, also through symbolic links. NULL: "/". */
    const char *files_root;
    /* Where passwd, group and environment are. NULL: "/etc". */
    const char *etc_dir;
    /* Where the output of jobs is kept. NULL: the first of a few that can be written to. */
    const char *jobs_dir;
    /* How long programs live without a session; 0: AGENT_ORPHAN_TIMEOUT_MS. */
    int64_t orphan_ms;
    /* Starts programs; NULL: spawn_start. */
    int (*spawn)(const struct spawn_request *q, struct spawn_result *ret, struct err *e);
    /* Runs in a child of its own; NULL: sync(2). */
    int (*sync)(struct agent_task *t);
};

/* A child that is not a program of a client: it runs one function of ours. */
struct agent_task {
    pid_t pid;
    /* In the child; what it returns is its result. Of all descriptors it has 0 to 2 and `fd`. */
    int (*run)(struct agent_task *t);
    int fd; /* negative: none */
    void (*ended)(struct agent_task *t, int result);
    struct agent_task *next;
};

struct agent {
    struct agent_options options;
    struct loop loop;
    struct loop_watch signals;
    struct spawn_context spawn;
    struct cgroups cgroups;
    long long oom_kills; /* as /proc/vmstat had them last */
    int files_root_fd;
    int null_fd;
    struct link *links;
    struct program *programs;
    struct orphans orphans;
    struct jobs jobs;
    struct warms warms;
    struct acceptor *acceptors;
    struct bulk bulk;
    struct agent_task *tasks;
    int64_t clock_step_ms; /* by the last `restored` */
    bool reseeded;
    bool stop_without_links; /* leave the loop when the last link has died */
    struct loop_timer power;
    int power_command; /* for reboot(2) when `power` fires */
};

int agent_init(struct agent *a, const struct agent_options *options, struct err *e);
void agent_done(struct agent *a);

/* Runs until something sets a->loop.stop. */
int agent_run(struct agent *a);

/* One round after a batch of events: sends what is to be sent, frees what has ended. agent_run does
 * it; fuzzers call it themselves. */
void agent_settle(struct agent *a);

/* Runs t->run in a child, for calls that may block for long and that a short-lived copy of this
 * single-threaded process can make. `t` is borrowed until `ended` is called, with what `run`
 * returned (0 or a negative errno), -ECHILD when the child was killed or the agent ends before. */
int agent_task_start(struct agent *a, struct agent_task *t);
