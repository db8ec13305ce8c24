/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reads what a process has changed in its private mapping of a file, without the process's help.
 *
 * A page of a private file mapping that was only read is the page cache's; the first write replaces
 * it by an anonymous page. /proc/PID/pagemap tells them apart: bit 61 is "page of a file or
 * shared", bits 63 and 62 "present" and "swapped". Present or swapped and not of a file: dirty. */

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* Copies the dirty pages of process `pid`'s private mapping of `mapped_path` (the same inode is
 * what counts) over `out_fd`, which holds a copy of that file, at the same offsets. Pages of zeros
 * become holes. The process must stand still. `ret_pages`: how many were dirty. */
int memory_copy_dirty(pid_t pid, const char *mapped_path, int out_fd, uint64_t *ret_pages,
                      struct err *e);
