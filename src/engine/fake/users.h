/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The fake guest's users, from its /etc/passwd, and what a login gives them. Thread: the monitor's
 * only one. */

#include "base/err.h"
#include "engine/fake/files.h"
#include "wire/exec_spec.h"

/* Fills uid, gid, cwd and env of the spec as the agent of a real guest would for a program with
 * this user, login and terminal. ERR_INVALID naming the field user or cwd. */
int users_apply(const struct files *f, struct exec_spec *spec, struct err *e);
