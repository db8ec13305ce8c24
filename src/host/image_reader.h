/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Files out of a root file system that somebody uploaded, read in a jail (image_modules.h says
 * why). One process a call; each has IMAGE_READ_TIMEOUT_MS, and all together
 * IMAGE_READ_ALL_TIMEOUT_MS: other images wait for the thread that reads. What is not there is no
 * error: nothing comes. The thread that opened it uses it. */

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

struct host;

struct image_reader {
    struct host *host;
    char rootfs[PATH_MAX];  /* "": not open */
    char scratch[PATH_MAX]; /* the jail's mount point and log */
    uid_t uid;              /* of the admission's; 0: none */
    int64_t deadline_ms;    /* of all that is read; the clock's since boot */
};

/* `dir` has rootfs.ext4. ERR_FULL: no uid now. */
int image_reader_open(struct image_reader *r, struct host *h, const char *dir, struct err *e);
void image_reader_close(struct image_reader *r);

/* Appends a file's content. `path` has no character that means something to debugfs or a shell. */
int image_reader_cat(struct image_reader *r, const char *path, struct buf *ret, struct err *e);
/* The same, unpacked by the end of its name: .xz, .zst, .gz. */
int image_reader_unpack(struct image_reader *r, const char *path, struct buf *ret, struct err *e);
/* The names in a directory, a line each, without those that begin with a dot. */
int image_reader_list(struct image_reader *r, const char *path, struct buf *ret, struct err *e);
