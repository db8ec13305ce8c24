/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The output of a program, kept in files without names.
 *
 * Both streams stand in one order, as frames (wire/frame.h), in two segments that take turns: when
 * the newer is full, the older is emptied and goes on as the newer. An offset counts bytes of
 * output of both streams together. A sparse index leads to it; from there on frames are walked.
 *
 * What cannot be written (a full disk) is lost together with all that was kept: readers see a jump
 * of the offset, the program sees nothing. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/limits.h"
#include "wire/frame.h"

#define SPOOL_INDEX_STEP_BYTES (256 * KIB)
#define SPOOL_INDEX_MAX (AGENT_JOB_SEGMENT_BYTES / SPOOL_INDEX_STEP_BYTES + 1)

struct spool_mark {
    int64_t offset; /* of the first byte of the frame at `at` */
    int64_t at;
};

struct spool_segment {
    int fd;
    uint64_t serial;        /* changes whenever it is emptied */
    int64_t start;          /* offset of its first byte */
    int64_t size;           /* of the file */
    struct spool_mark last; /* the newest frame; at < 0: none */
    enum frame_type last_type;
    size_t last_len;
    struct spool_mark index[SPOOL_INDEX_MAX];
    size_t n_index;
};

struct spool {
    const char *dir;
    struct spool_segment *segments; /* two; [0] is the older */
    uint64_t serial;
    int64_t end; /* offset of what comes next */
};

/* Where a reader is. Zero-initialised with `offset` set. */
struct spool_cursor {
    int64_t offset;
    uint64_t serial; /* of the segment that `frame` is in; 0: none */
    struct spool_mark frame;
};

/* What a read found. */
struct spool_piece {
    enum frame_type type;
    int64_t offset; /* of its first byte */
};

/* A file without a name in `dir`, or with NULL in the first directory that can be written to.
 * Returns the fd or a negative errno. */
int spool_file_open(const char *dir);

/* `dir` is borrowed. */
int spool_init(struct spool *s, const char *dir);
void spool_done(struct spool *s);

void spool_append(struct spool *s, enum frame_type type, const void *data, size_t len);

/* Offset of the first byte that is still kept. */
int64_t spool_first(const struct spool *s);

/* Reads up to `size` bytes of one stream at the cursor, which is moved on, and forward first when
 * what it points to is no longer kept. 0: there is nothing more (yet). */
ssize_t spool_read(const struct spool *s, struct spool_cursor *c, void *buf, size_t size,
                   struct spool_piece *ret);
