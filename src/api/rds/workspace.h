/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Paths of this dialect: below /workspace, absolute or relative to it. */

#include "base/err.h"
#include "base/limits.h"

#define RDS_WORKSPACE "/workspace"
#define RDS_USER 1000 /* uid and gid of all that this dialect runs and writes */

/* `text` without ".", ".." and repeated slashes, relative to RDS_WORKSPACE; "" is that itself.
 * ERR_INVALID with `field`: it is empty, too long, or leads elsewhere. What the guest's symbolic
 * links make of it is looked at in the guest. */
int rds_workspace_path(const char *field, const char *text, char ret[AGENT_PATH_MAX_BYTES],
                       struct err *e);
