/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Paths of this dialect: absolute, or relative to /workspace. What the guest's symbolic links make
 * of them is looked at in the guest. */

#include <stdbool.h>

#include "base/err.h"
#include "base/limits.h"

#define RDS_WORKSPACE "/workspace"
#define RDS_USER 1000 /* uid and gid of all that this dialect runs and writes */

/* An absolute path of a directory or file as the client gave it: what is relative is below the
 * workspace; "." and ".." are resolved. ERR_INVALID: `field` is too long. */
int rds_path(const char *given, const char *field, char ret[AGENT_PATH_MAX_BYTES + 1],
             struct err *e);
/* Whether such a path is the workspace or below. */
bool rds_path_is_inside(const char *path);

/* `text` without ".", ".." and repeated slashes, relative to RDS_WORKSPACE; "" is that itself.
 * ERR_INVALID with `field`: it is empty, too long, or leads elsewhere. */
int rds_workspace_path(const char *field, const char *text, char ret[AGENT_PATH_MAX_BYTES],
                       struct err *e);
