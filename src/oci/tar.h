/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reads a tar of any kind of entry, one after the other, as layers of containers' images are: old,
 * POSIX (ustar, pax) and GNU formats, with long names, large numbers and extended attributes.
 * wire/untar.h, which takes files and directories only, is for what is unpacked into a living
 * guest; here nothing is unpacked by names, so links and devices are fine.
 *
 * Refused are wrong checksums and numbers, sparse files and unknown kinds, names with a NUL, empty
 * ones and too long ones, and ".." in a name (but not where a symbolic link leads to).
 * Thread: the owner's. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

#define TAR_PATH_SIZE 4096

enum tar_type { TAR_FILE, TAR_HARD, TAR_SYM, TAR_CHAR, TAR_BLOCK, TAR_DIR, TAR_FIFO };

struct tar_entry {
    enum tar_type type;
    char name[TAR_PATH_SIZE]; /* relative, without "." and repeated slashes; "": the root itself */
    char link[TAR_PATH_SIZE]; /* as it stands there; of a hard link: clean as a name */
    unsigned mode;            /* twelve bits */
    uint32_t uid, gid;
    uint32_t major, minor;
    uint64_t size; /* of the content that tar_read gives */
    int64_t mtime_s;
    struct buf xattrs; /* for each: name, NUL, uint32_t length, value */
};

struct tar {
    /* Fills `buf` to `len`, less at the end only. */
    ssize_t (*read)(void *arg, void *buf, size_t len, struct err *e);
    void *arg;

    uint64_t left; /* of the content of the entry at hand, not read yet */
    size_t padding;
    bool ended;
};

/* 1: there is one; 0: that was all; or negative. What was not read of the last one is skipped. The
 * entry is zeros at first, and tar_entry_done after the last. */
int tar_next(struct tar *t, struct tar_entry *ret, struct err *e);
/* Content of the entry at hand; 0: that was all. */
ssize_t tar_read(struct tar *t, void *buf, size_t len, struct err *e);
void tar_entry_done(struct tar_entry *en);

/* A name in the way that tar_entry.name is; ERR_INVALID. */
int tar_clean(const char *name, size_t len, char ret[TAR_PATH_SIZE], struct err *e);
