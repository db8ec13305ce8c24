/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Asks the daemon's own program what this host can do: `holmd --doctor`. Thread: the main one. */

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

/* Where holmd is: beside this program, in ../libexec or ../sbin, in ../holmd (a build directory),
 * or in PATH. ERR_NOT_FOUND says so. */
int holmd_doctor_find(struct buf *ret_path, struct err *e);

/* Runs it; the answer is an object {"engine","accelerator","facts":[...]} whose "facts" is sure to
 * be an array. Blocks for up to CLI_DOCTOR_TIMEOUT_S. */
int holmd_doctor_ask(const char *holmd, json_t **ret, struct err *e);
