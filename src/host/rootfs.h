/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The files behind languages and images: root file systems, and the snapshots of languages that
 * programs are started from. Any thread. */

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "host/host.h"

struct rootfs_info {
    char path[PATH_MAX];
    int64_t size_bytes;      /* what the guest sees */
    int64_t allocated_bytes; /* what it has on the host's disk */
    int64_t shared_bytes;    /* of these, in extents that other files have too (reflinks) */
    int names;               /* of the file: templates and snapshots have it by hard links */
};

/* Of an image, by its key; false: it has none, and only the path is set, where one would be. */
bool host_rootfs(struct host *h, const char *image, struct rootfs_info *ret);

struct language_snapshot {
    char path[PATH_MAX / 4];
    int vcpus, memory_mib;
    int64_t state_bytes; /* of its devices */
    int64_t disk_bytes;  /* all that it has on the disk and nothing else has */
};

/* What a language's programs are started from; false: there is none now. */
bool host_language_snapshot(struct host *h, const struct language *lang,
                            struct language_snapshot *ret);

/* Makes it anew, in another machine; 0: as many, as much as now. Languages of one image share it.
 * ERR_INVALID (fields "mem_mb", "vcpus"), ERR_CONFLICT. */
int host_language_reshape(struct host *h, const struct language *lang, int vcpus, int memory_mib,
                          struct err *e);
