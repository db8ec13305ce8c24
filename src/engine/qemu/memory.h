/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reads what a monitor has changed in its private mappings of the files of its memory, without its
 * help.
 *
 * A page of a private file mapping that was only read is the page cache's; the first write replaces
 * it by an anonymous page. /proc/PID/pagemap tells them apart: bit 61 is "page of a file or
 * shared", bits 63 and 62 "present" and "swapped". Present or swapped and not of a file: dirty.
 *
 * The guest stands still while its dirty pages are read, so all that can be done is done before and
 * after: where the memory is and about how many pages there are is found out before, room for them
 * is made and touched; during the pause they are only copied there, and written to a file after it.
 * Thread: the caller's. */

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* Where a process has its guest's memory: one range of addresses, of one or of many mappings. */
struct memory_view {
    pid_t pid;
    uint64_t address;
    uint64_t pages;
};

/* Pages that were dirty when memory_take looked. */
struct memory_dirty {
    uint64_t *bits; /* one a page of the guest's memory */
    uint64_t pages; /* how many are set */
    char *room;     /* holds pages of these, in order, from the one numbered `first` on */
    uint64_t room_pages;
    uint64_t first; /* those before are in the file already, since the room was too small */
    uint64_t held;
};

/* Finds the memory by the inodes of the files it maps, `delta_path` may be NULL. All of it must be
 * there, in one piece and in order; else ERR_INTERNAL. */
int memory_find(pid_t pid, const char *base_path, const char *delta_path, struct memory_view *ret,
                struct err *e);

/* Makes room for about as many pages as are dirty now, at most ENGINE_STAGING_MAX_BYTES. */
int memory_prepare(const struct memory_view *view, struct memory_dirty *ret, struct err *e);
void memory_done(struct memory_dirty *d);

/* Copies all pages that are dirty now; the process must stand still. What the room cannot hold goes
 * to `out_fd`, each page at its place in memory. */
int memory_take(const struct memory_view *view, struct memory_dirty *d, int out_fd, struct err *e);

/* Writes what is still in the room to `out_fd`. Pages of zeros are left out: they stay holes. */
int memory_flush(struct memory_dirty *d, int out_fd, struct err *e);
