/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Writes empty qcow2 overlays without running qemu-img, which would cost more than the rest of a
 * restore, and reads from a header what an overlay stands on. Only what QEMU itself will go on
 * with: version 3, 64 KiB clusters, nothing allocated. */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define QCOW2_BACKING_MAX_BYTES 1023
#define QCOW2_HEADER_MAX_BYTES 4096 /* of a file, all that is looked at */

struct qcow2_info {
    uint64_t disk_bytes;
    char backing[QCOW2_BACKING_MAX_BYTES + 1];
};

/* Makes the new file `path` (-EEXIST is an error) of a disk of `disk_bytes` (a multiple of 512),
 * all of it still on `backing` of format "raw" or "qcow2". */
int qcow2_create(const char *path, uint64_t disk_bytes, const char *backing,
                 const char *backing_format, struct err *e);

/* Parses the first bytes of a file. ERR_CONFLICT when it is not a whole qcow2 header. The file may
 * have been written by a monitor that was broken into. Exported for the fuzzer. */
int qcow2_parse(const void *data, size_t len, struct qcow2_info *ret, struct err *e);
int qcow2_read(const char *path, struct qcow2_info *ret, struct err *e);
