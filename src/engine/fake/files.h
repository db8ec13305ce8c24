/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The fake guest's disk: a table of files in memory, sorted by path, and its form on the host's
 * disk, which is what a template holds.
 *
 * There are no directories: a path is only a name. Contents are shared and never change once they
 * are in the table, so that a program may go on printing a file that was replaced meanwhile.
 * Thread: the monitor's only one. */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct blob {
    int refs;
    size_t len;
    char data[];
};

/* NULL when there is no memory. One reference is the caller's. */
struct blob *blob_new(const void *data, size_t len);
struct blob *blob_ref(struct blob *b);
void blob_unref(struct blob *b); /* NULL is fine */

struct file {
    char *path;
    struct blob *content;
};

/* Zero-initialised is empty. */
struct files {
    struct file *list;
    size_t n, cap;
    size_t bytes;
};

void files_done(struct files *f);

/* Writes the path that `name` means in `cwd` (absolute; NULL: "/"), without ".", ".." and repeated
 * slashes. -ENAMETOOLONG; -EINVAL for an empty name and for the root itself. */
int files_resolve(const char *cwd, const char *name, char *ret, size_t size);

/* Finds by a path that files_resolve made. Borrowed; NULL: none. */
struct blob *files_find(const struct files *f, const char *path);

/* Adds or replaces. -ENOSPC beyond the bounds, -ENOMEM. */
int files_put(struct files *f, const char *path, const void *data, size_t len);

/* Appends the table's form on disk. */
int files_save(const struct files *f, struct buf *out);

/* Fills the empty table from it. The text is treated as hostile; on failure the table is empty. */
int files_load(struct files *f, const void *data, size_t len, struct err *e);
