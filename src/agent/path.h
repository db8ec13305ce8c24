/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Paths that a client names. */

#include "agent/call.h"
#include "base/limits.h"

struct agent;

/* Decodes the parameter `path`, which must be absolute. */
int path_param(const struct call *c, char ret[AGENT_PATH_MAX_BYTES], struct err *e);

/* Like openat, but neither ".." nor a symbolic link leads out of the agent's root for files.
 * Returns the fd or a negative errno. */
int path_open(const struct agent *a, const char *path, int flags);

/* Opens the directory that holds `path`, O_PATH; *ret_name is the last component, in `path`, which
 * is cut. -EINVAL when there is none, or only "." or "..". */
int path_open_parent(const struct agent *a, char *path, const char **ret_name);
