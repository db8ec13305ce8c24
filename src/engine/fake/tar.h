/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The fake guest's tar: ustar, with GNU's long names, of files, directories and links. Making one
 * yields block after block; reading one takes what comes. Both are plain data that can be saved in
 * between. The archive is hostile. Thread: the monitor's only one. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/limits.h"
#include "engine/fake/files.h"
#include "engine/fake/pack.h"

#define TAR_BLOCK_BYTES 512

/* What comes next of an archive that is made. */
enum tar_part { TAR_HEADER, TAR_CONTENT, TAR_PADDING, TAR_END, TAR_PART_COUNT };

/* Zero-initialised, tar_done is fine. */
struct tar {
    char dir[AGENT_PATH_MAX_BYTES];    /* what is packed, or unpacked into */
    char cursor[AGENT_PATH_MAX_BYTES]; /* making: the entry at hand; "": before the first.
                                        * Reading: the file whose content comes */
    enum tar_part part;
    struct file_attr attr; /* reading: of that file; type FILE_TYPE_COUNT: to be dropped */
    char long_name[AGENT_PATH_MAX_BYTES]; /* reading: for the next header; "": none */
    char long_link[AGENT_PATH_MAX_BYTES];
    char *naming;   /* reading: which of the two the content is; NULL: none */
    size_t left;    /* reading: of the content */
    size_t padding; /* reading: behind it */
    struct buf content;
    bool ended;
};

/* Making: appends the next blocks to `out`, or hands out a content (one reference is the caller's).
 * False: that was all. */
bool tar_next(struct tar *t, const struct files *f, struct buf *out, struct blob **ret);

/* Reading: takes from the front of `data`; returns how much, 0 when it needs more, or a negative
 * errno of the files or -EINVAL for what is no tar. */
ssize_t tar_take(struct tar *t, struct files *f, const char *data, size_t len);

void tar_done(struct tar *t);
void tar_save(const struct tar *t, struct buf *out);
int tar_load(struct tar *t, struct unpack *u);
