/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Archives as the kernel unpacks them for an initramfs: cpio's newc form (Linux's
 * Documentation/driver-api/early-userspace/buffer-format.rst). Written into memory; of those that
 * exist only single files are looked up. Several archives behind one another are one to the kernel.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"

/* Appends a file or, with `data` NULL, a directory of this name and mode. */
int cpio_add(struct buf *b, const char *name, mode_t mode, const void *data, size_t len);

/* Ends an archive, and fills it up so that another may follow. */
int cpio_end(struct buf *b);

/* The content of a regular file, borrowed; false: there is none of that name, or the archive is
 * broken before it. */
bool cpio_find(const void *archive, size_t bytes, const char *name, const void **ret,
               size_t *ret_len);
