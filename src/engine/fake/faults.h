/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Faults on order: what HOLM_FAKE_FAULTS asks for (README.md lists the names). Any thread. */

#include <stdbool.h>

#include "base/err.h"

enum fault {
    FAULT_BOOT_FAIL,
    FAULT_BOOT_AGENT_NEVER,
    FAULT_BOOT_AGENT_GARBAGE,
    FAULT_BOOT_AGENT_SLOW,
    FAULT_BOOT_EXEC_RESET,
    FAULT_BOOT_EXEC_DIE,
    FAULT_BOOT_GROW_FAIL,
    FAULT_BOOT_POWER_IGNORE,
    FAULT_BOOT_WARM_REFUSE,
    FAULT_RESTORE_FAIL,
    FAULT_RESTORE_AGENT_NEVER,
    FAULT_RESTORE_AGENT_GARBAGE,
    FAULT_RESTORE_AGENT_SLOW,
    FAULT_RESTORE_EXEC_RESET,
    FAULT_RESTORE_EXEC_DIE,
    FAULT_RESTORE_GROW_FAIL,
    FAULT_RESTORE_POWER_IGNORE,
    FAULT_RESTORE_WARM_DIE,
    FAULT_CAPTURE_PAUSE_FAIL,
    FAULT_CAPTURE_FAIL,
    FAULT_CAPTURE_ENOSPC,
    FAULT_PAUSE_FAIL,
    FAULT_RESUME_FAIL,
    FAULT_FLATTEN_FAIL,
    FAULT_RESIZE_FAIL,
    FAULT_STATS_FAIL,
    FAULT_CONSOLE_FAIL,
    FAULT_POWER_FAIL,
    FAULT_KILL_FAIL,
    FAULT_COUNT,
};

/* How often each is still to happen; FAULT_ALWAYS: without end. */
#define FAULT_ALWAYS -1

/* Places in the engine's operations. BEGIN: nothing was done. MID: half of it was (README.md says
 * which half). END: all of it was, but the caller does not know. */
enum fault_step {
    STEP_BOOT,
    STEP_RESTORE,
    STEP_PAUSE,
    STEP_RESUME,
    STEP_CAPTURE,
    STEP_FLATTEN,
    STEP_RESIZE,
    STEP_POWER,
    STEP_KILL,
    STEP_COUNT,
};
enum fault_moment { MOMENT_BEGIN, MOMENT_MID, MOMENT_END, MOMENT_COUNT };

/* What is to happen at a place. */
struct fault_point {
    _Atomic int die_at; /* at the so manieth time from now the process gets SIGKILL; 0: never */
    char *wait;         /* NULL: go on; else the FIFO to wait at */
};

struct faults {
    _Atomic int left[FAULT_COUNT];
    struct fault_point points[STEP_COUNT][MOMENT_COUNT];
};

/* Parses "name=value[:argument],..." into a zero-initialised struct; NULL and "" are none. */
int faults_parse(const char *text, struct faults *ret, struct err *e);
void faults_done(struct faults *f);

/* True when the fault is to happen now; counts it. */
bool faults_take(struct faults *f, enum fault which);
/* The same as an error: ERR_INTERNAL, 0 when it is not to happen. */
int faults_fail(struct faults *f, enum fault which, struct err *e);

/* The name as in the environment, without a count. */
const char *faults_name(enum fault which);

/* An operation passes this place: kills the process, waits, or returns. */
void faults_pass(struct faults *f, enum fault_step step, enum fault_moment moment);
