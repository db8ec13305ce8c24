/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Bounds of the fake guest. They are no part of Holm's limits: no user ever meets them. */

#include "base/limits.h"

#define FAKE_FILES_MAX 4096
#define FAKE_FILES_MAX_BYTES (64 * MIB) /* all together */
#define FAKE_STATE_MAX_BYTES (80 * MIB) /* the same with names and headers */
#define FAKE_CONTROL_MAX_BYTES 4096     /* one line of the control socket, either way */
#define FAKE_CONTROL_TIMEOUT_MS 30000
