/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Faults on order: what HOLM_FAKE_FAULTS asks for (README.md lists the names). Any thread. */

#include <stdbool.h>

#include "base/err.h"

enum fault {
    FAULT_BOOT_FAIL,
    FAULT_BOOT_AGENT_NEVER,
    FAULT_BOOT_AGENT_GARBAGE,
    FAULT_BOOT_EXEC_RESET,
    FAULT_BOOT_EXEC_DIE,
    FAULT_RESTORE_FAIL,
    FAULT_RESTORE_AGENT_NEVER,
    FAULT_RESTORE_AGENT_GARBAGE,
    FAULT_RESTORE_EXEC_RESET,
    FAULT_RESTORE_EXEC_DIE,
    FAULT_CAPTURE_FAIL,
    FAULT_CAPTURE_ENOSPC,
    FAULT_KILL_FAIL,
    FAULT_COUNT,
};

/* How often each is still to happen; FAULT_ALWAYS: without end. */
#define FAULT_ALWAYS -1

struct faults {
    _Atomic int left[FAULT_COUNT];
};

/* Parses "name=value[:count],..."; NULL and "" are none. */
int faults_parse(const char *text, struct faults *ret, struct err *e);

/* True when the fault is to happen now; counts it. */
bool faults_take(struct faults *f, enum fault which);

/* The name as in the environment, without a count. */
const char *faults_name(enum fault which);
