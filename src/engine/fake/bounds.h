/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Bounds of the fake guest. They are no part of Holm's limits: no user ever meets them. */

#include "base/limits.h"

#define FAKE_FILES_MAX 16384            /* directories among them */
#define FAKE_FILES_MAX_BYTES (64 * MIB) /* all together */
#define FAKE_DISK_MAX_BYTES (80 * MIB)  /* the same with names and attributes */
#define FAKE_DISK_LOG_MAX_BYTES (128 * MIB)
#define FAKE_STATE_MAX_BYTES (256 * MIB) /* memory: programs and their output, variables */
#define FAKE_CONTROL_MAX_BYTES 4096      /* one line of the control socket, either way */
#define FAKE_CONTROL_TIMEOUT_MS 30000
#define FAKE_CONSOLE_MAX_BYTES (64 * KIB) /* that the console's reader has not taken */
