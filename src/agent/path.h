/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Paths that a client names. */

#include "agent/call.h"
#include "base/limits.h"

struct agent;

/* Decodes the parameter `path`, which must be absolute. */
int path_param(const struct call *c, char ret[AGENT_PATH_MAX_BYTES], struct err *e);

/* Decodes `root`, which must be absolute, and `path`, which is relative to it; "" when missing. */
int path_params_beneath(const struct call *c, char root[AGENT_PATH_MAX_BYTES],
                        char path[AGENT_PATH_MAX_BYTES], struct err *e);

/* Like openat, but neither ".." nor a symbolic link leads out of the agent's root for files.
 * Returns the fd or a negative errno. */
int path_open(const struct agent *a, const char *path, int flags);

/* Like openat, for what must lie below `dir_fd`: no symbolic link on the way is followed, not even
 * one that leads back (-ELOOP), and ".." does not lead out (-EXDEV). "" is the directory itself. */
int path_open_beneath(int dir_fd, const char *path, int flags);
/* The directory that such paths must lie below, by its absolute path; likewise without links. */
int path_open_root(const struct agent *a, const char *path);
/* call_file_error, with sentences for what the two above refuse. */
int path_error(int r, const char *what, struct err *e);

/* Opens the directory that holds `path`, O_PATH; *ret_name is the last component, in `path`, which
 * is cut. -EINVAL when there is none, or only "." or "..". */
int path_open_parent(const struct agent *a, char *path, const char **ret_name);
