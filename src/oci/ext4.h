/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Writes a tree into an empty ext4 file system, by libext2fs: no kernel mounts it, and no name of
 * the tree is ever one of the host's. Owners, modes, times, hard links, devices and extended
 * attributes of user, trusted and security are kept; blocks of zeros become holes. Thread: one. */

#include "base/err.h"
#include "oci/layout.h"
#include "oci/tree.h"

/* `fd` is of a file system that mke2fs made, open for reading and writing; nothing else has it. */
int ext4_fill(int fd, const struct oci_image *image, const struct oci_meter *meter,
              const struct tree *t, struct err *e);
