/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Writes empty qcow2 overlays without running qemu-img, which would cost more than the rest of a
 * restore. Only what QEMU itself will go on with: version 3, 64 KiB clusters, nothing allocated. */

#include <stdint.h>

#include "base/err.h"

#define QCOW2_BACKING_MAX_BYTES 1023

/* Makes the new file `path` (-EEXIST is an error) of a disk of `disk_bytes` (a multiple of 512),
 * all of it still on `backing` of format "raw" or "qcow2". */
int qcow2_create(const char *path, uint64_t disk_bytes, const char *backing,
                 const char *backing_format, struct err *e);
