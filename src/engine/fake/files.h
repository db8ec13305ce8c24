/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The fake guest's file system: a table in memory, sorted by path; every directory is an entry of
 * its own. A path begins with a slash and ends with none; "/" is there without being in the table.
 *
 * Contents are shared and never change once they are in the table, so that a program may go on
 * printing a file that was replaced meanwhile. What is changed is written to the disk (disk.h)
 * before it counts. Thread: the monitor's only one. */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct disk;

struct blob {
    int refs;
    size_t len;
    char data[];
};

/* NULL when there is no memory. One reference is the caller's. */
struct blob *blob_new(const void *data, size_t len);
struct blob *blob_ref(struct blob *b);
void blob_unref(struct blob *b); /* NULL is fine */

enum file_type { FILE_REGULAR, FILE_DIR, FILE_LINK, FILE_TYPE_COUNT };

struct file_attr {
    enum file_type type;
    unsigned mode; /* permission bits */
    uint32_t uid, gid;
    int64_t mtime_ms;
};

struct file {
    char *path;
    struct file_attr attr;
    struct blob *content; /* of a link: where it leads; of a directory: empty */
};

/* Zero-initialised is empty. */
struct files {
    struct file *list;
    size_t n, cap;
    size_t bytes;
    uint64_t written_bytes; /* since the start */
    struct disk *disk;      /* borrowed; NULL: none */
};

void files_done(struct files *f);

/* Writes the path that `name` means in `cwd` (absolute; NULL: "/"), without ".", ".." and repeated
 * slashes. -ENAMETOOLONG; -EINVAL for an empty name. */
int files_resolve(const char *cwd, const char *name, char *ret, size_t size);

/* By a path that files_resolve made. Borrowed; NULL: none, also for "/". */
const struct file *files_at(const struct files *f, const char *path);
bool files_is_dir(const struct files *f, const char *path);
/* The content of a regular file. */
struct blob *files_find(const struct files *f, const char *path);

/* Where the entries of a directory begin in the table: they and those below them follow one another
 * for as long as files_below says so. Returns the index. */
size_t files_first_below(const struct files *f, const char *dir);
bool files_below(const struct file *file, const char *dir);
/* The index of the first path after this one, which need not be there. */
size_t files_after(const struct files *f, const char *path);

/* Adds or replaces, and makes the directories that are missing, with the same owner. -ENOSPC beyond
 * the bounds, -ENOMEM, -EISDIR, -ENOTDIR; a directory that is there already keeps what it has. */
int files_put(struct files *f, const char *path, const struct file_attr *attr, const void *data,
              size_t len);
/* The same with the attributes of a new file of root. */
int files_write(struct files *f, const char *path, const void *data, size_t len);
int files_make_dir(struct files *f, const char *path);

/* With all that is below. -ENOENT; -EBUSY for "/". */
int files_remove(struct files *f, const char *path);

/* Goes on from `hash` (pack.h) over names, modes and contents of all but what is below `without`
 * (NULL: all). */
uint64_t files_hash(const struct files *f, const char *without, uint64_t hash);
