/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* From paths as clients ask for them to paths as rows have them, and back. There are three ways to
 * a row:
 *
 *     its own path       /rds/v1/vms        on every listener that does not mount another dialect
 *                                           over it
 *     a mounted dialect  /v1/vms            for /rds/v1/vms, where "rds" is mounted
 *     an alias           /native/v1/vms     for /v1/vms, on every listener
 *
 * A mounted dialect takes whatever begins with the same piece as one of its rows ("/v1/",
 * "/auth/"): below these nothing of another dialect is found. A wrong path is told in its words,
 * unless it begins as another dialect's do ("/api/v1/"). */

#include <stddef.h>

#include "api/route.h"
#include "base/buf.h"

/* Longest path of a row as clients see it. */
#define MOUNT_PATH_SIZE 160

struct mount_target {
    const char *path;            /* as rows have it: of the path asked for, or in `*space` */
    const char *behind;          /* what of the path is no part of the row's: "/native"; or "" */
    const struct dialect *only;  /* only its rows are meant; NULL: any */
    const struct dialect *words; /* in whose words to say that there is nothing */
};

/* `mount`: the dialect that is mounted at this listener; NULL: none. -ENOMEM. */
int mount_resolve(const struct dialect *mount, const char *path, struct buf *space,
                  struct mount_target *ret);

/* The path by which clients of a listener reach a row. */
void mount_path(const struct dialect *mount, const struct route *row, char ret[MOUNT_PATH_SIZE]);
