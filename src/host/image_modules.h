/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an uploaded kernel needs before the root file system can be mounted and the agent's port be
 * found, and has not built in: modules out of the root file system's /lib/modules/RELEASE.
 *
 * The file system is hostile. It is never mounted on the host: debugfs reads it, in the jail that
 * monitors have (holm-jail), as a uid that nothing else has, without a network, with bounds on
 * memory and time; decompressors run there too. What comes out is bytes and bounded text.
 *
 * Threads: any. */

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct host;

#define IMAGE_MODULES_MAX 64
#define IMAGE_MODULE_PATH_SIZE 256

/* Where modules come from; what is read is not trusted. */
struct image_module_source {
    const char *paths;   /* a line a module that there is, relative to /lib/modules/RELEASE; what
                            stands behind a colon is not looked at: modules.order, modules.dep */
    const char *builtin; /* the same of what the kernel has built in; "": not known, and then what
                            is missing is taken to be built in */
    /* Appends a module, unpacked; nothing when there is none at that path. */
    int (*read)(void *arg, const char *path, struct buf *ret, struct err *e);
    void *arg;
};

/* Appends to an archive what a VM needs of them and what that needs in turn, which each module
 * tells itself, as modules/NN-NAME.ko in the order in which they are to be loaded. ERR_INVALID: a
 * driver without which nothing works is not there. */
int image_modules_pack(const struct image_module_source *src, struct buf *archive,
                       size_t *ret_count, struct err *e);

/* What image_modules_make works on; all borrowed. */
struct image_modules {
    struct host *host;
    const char *dir;     /* of the image: rootfs.ext4 is read */
    const char *to;      /* the directory to write to */
    const char *release; /* of its kernel; "": not known, the only one there is is taken */
};

/* Writes to/modules.cpio: an archive of modules/NN-NAME.ko, as the agent loads them. It is empty
 * when the root file system has none for this kernel. A kernel of the same release as Holm's own
 * gets the modules of that. */
int image_modules_make(const struct image_modules *m, struct err *e);
