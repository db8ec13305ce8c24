/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* File descriptors and files. Everything opened here is CLOEXEC from birth. Functions return 0 or a
 * negative errno unless they say otherwise. Any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"

int fd_set_nonblock(int fd, bool on);

/* Writes all of it, over EINTR and short writes; with a non-blocking fd it polls. */
int fd_write_all(int fd, const void *data, size_t len);

/* Reads exactly `len` bytes; -ENODATA when the file ends before. */
int fd_read_all(int fd, void *ret, size_t len);

/* What tells one file from another, and from itself when it has another content. All zero: none. */
struct file_stamp {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime;
};
struct file_stamp file_stamp_of(const struct stat *st);
bool file_stamp_same(const struct file_stamp *a, const struct file_stamp *b);

/* Appends the whole file to `b`, at most `max_bytes`; -E2BIG when it is longer. */
int fd_slurp(int fd, struct buf *b, size_t max_bytes);
int file_read(const char *path, struct buf *b, size_t max_bytes);

/* Replaces `path` by a file with this content: written beside it, fsynced, renamed over it,
 * directory fsynced. */
int file_write_atomic(const char *path, const void *data, size_t len, mode_t mode);

/* Copies `from` to the new file `to` (-EEXIST when it is there), holes kept, by reflink or
 * copy_file_range. */
int file_copy(const char *from, const char *to, mode_t mode);

/* mkdir -p; an existing directory is fine. */
int dir_make(const char *path, mode_t mode);

/* Removes the tree. Never follows a symbolic link, never crosses into another file system. A
 * missing path is fine. */
int dir_remove(const char *path);

/* What the files in a directory have on the disk, without those with more than `links_max` names,
 * which are somebody else's too. 0 when it cannot be read. */
int64_t dir_bytes(const char *path, int links_max);

/* Stream sockets in the file system. `unix_listen` replaces a stale socket file. Return the fd. */
int unix_listen(const char *path, mode_t mode, int backlog);
int unix_connect(const char *path);

/* snprintf that treats truncation as an error: -ENAMETOOLONG, and `ret` is then "". */
int path_printf(char *ret, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
