/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Bytes out of a part of a file, unpacked on the way and checked at their end: the layers of a
 * container's image. Whether they are compressed, and how (gzip, zstd), is told by how they begin.
 * Thread: the owner's. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define SOURCE_DIGEST_BYTES 32

struct source;

struct source_part {
    int fd; /* borrowed */
    uint64_t offset, size;
    const uint8_t *digest;  /* sha256 of the part as it is, checked at its end; NULL: not known */
    const uint8_t *diff_id; /* the same of what it unpacks to */
};

int source_new(const struct source_part *part, struct source **ret, struct err *e);
void source_free(struct source *s); /* NULL is fine */

/* Fills `buf` as far as there is something; less than `len` only at the end. ERR_INVALID: it is
 * damaged; ERR_TOO_LARGE: it unpacks to more than OCI_UNPACKED_MAX_BYTES. */
ssize_t source_read(struct source *s, void *buf, size_t len, struct err *e);

/* Reads on to the end and compares the digests. ERR_INVALID: they differ. */
int source_finish(struct source *s, struct err *e);

/* How much of the part has been read. */
uint64_t source_at(const struct source *s);
