/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The bytes of a sparse file: reading those that are no run of zeros, as parts, and writing them
 * back as parts.
 *
 * A file is looked at in grains of 64 KiB; those that are all zero are passed over, whether they
 * are holes or not. Its sum is SHA-256 of the place and the bytes of each grain that is not, and of
 * its length: it does not depend on holes, nor on how parts were cut. */

#include <sodium.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "host/remote_manifest.h"

#define REMOTE_GRAIN_BYTES 65536

struct remote_reader {
    int fd; /* borrowed */
    int64_t bytes;
    int64_t at;           /* everything before has been read */
    unsigned char *block; /* of what is read at a time */
    int64_t block_at;
    size_t block_len;
    crypto_hash_sha256_state sum;
};

int remote_reader_init(struct remote_reader *r, int fd, struct err *e);
void remote_reader_done(struct remote_reader *r);
/* Goes on to `at`, which is where a part has ended. */
int remote_reader_skip(struct remote_reader *r, int64_t at, struct err *e);
/* At the end of the file only. */
void remote_reader_sum(struct remote_reader *r, char ret[REMOTE_SUM_SIZE]);
/* The sum of a file. -ECANCELED when `cancelled` (may be NULL) says so. */
int remote_sum(int fd, const struct s3_wait *w, char ret[REMOTE_SUM_SIZE], struct err *e);

/* Compresses the next part of the file into `ret` (emptied first) and adds it to `f`, which has
 * those before. *ret_any false: there was nothing left. */
int remote_part_make(struct remote_reader *r, struct remote_file *f, struct buf *ret, bool *ret_any,
                     struct err *e);

/* Whether it is what the manifest says. */
bool remote_part_ok(const struct remote_part *p, const void *data, size_t len);
/* Writes what is in the part to its places in `fd`, a file that has nothing but holes there; blocks
 * of zeros stay holes. ERR_UNAVAILABLE: it is not made of what its extents say. */
int remote_part_write(int fd, const struct remote_file *f, const struct remote_part *p,
                      const void *data, size_t len, struct err *e);
