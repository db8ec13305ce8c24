/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The fake guest's disk on the host: what survives the end of its monitor, whichever way that came.
 *
 * A disk is two files in the VM's directory: `disk.base`, never written in place, and `disk.log`,
 * to which every change of the file table is appended before it counts. A template has the one file
 * `disk`, of which a clone's base is a hard link. Both are sequences of records; a log may end in a
 * torn one. Thread: the monitor's only one. */

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "engine/fake/files.h"

struct disk_shape {
    int64_t device_bytes;
    int64_t fs_bytes; /* what the file system fills of it */
    int64_t layers;   /* as the real engine would have them: a capture adds one */
};

/* Zero-initialised: no disk, but a shape. */
struct disk {
    struct disk_shape shape;
    char dir[PATH_MAX / 4]; /* the VM's; "" when there is no disk */
    int log_fd;
    size_t log_bytes;
};

/* A new, empty one of this shape in the place of what is there. The table is to be empty, as below;
 * from now on its changes are noted. */
int disk_create(struct disk *d, const char *vm_dir, struct files *f, struct err *e);
/* The disk that is there already: ERR_NOT_FOUND when there is none. */
int disk_open(struct disk *d, const char *vm_dir, struct files *f, struct err *e);
/* A new one on a template's, with a layer more. */
int disk_clone(struct disk *d, const char *vm_dir, const char *template_dir, struct files *f,
               struct err *e);
void disk_done(struct disk *d);

/* Changes the shape, on the host as well if there is a disk. */
int disk_reshape(struct disk *d, const struct disk_shape *shape);

/* Makes one file of base and log; to be called when log_bytes has become large. */
int disk_compact(struct disk *d, const struct files *f);

/* For files.c. */
int disk_note_put(struct disk *d, const struct file *file);
int disk_note_remove(struct disk *d, const char *path);

/* The one file of a template. Loading treats it as hostile; on failure the table is empty. */
int disk_save(const struct disk_shape *shape, const struct files *f, struct buf *out);
int disk_load(struct disk_shape *shape, struct files *f, const struct buf *data, struct err *e);
