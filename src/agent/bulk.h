/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Large files to and from the disk without the page cache. It would cost the guest a copy, the work
 * for each page, and the evicted programs that it runs; and pieces of the size in which they come
 * and go would be written and read one by one. There is one buffer, for one file at a time: who
 * does not get it reads and writes as usual. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A file that is as large as this is worth it. */
#define BULK_FROM_BYTES (512 * 1024)
/* What a disk wants offsets, lengths and addresses to be multiples of. */
#define BULK_ALIGN_BYTES 4096ULL

struct bulk {
    uint8_t *buf;
    size_t used; /* bytes in it */
    size_t at;   /* of reading: how many of them were given */
    int fd;      /* negative: free */
    bool direct;
};

void bulk_init(struct bulk *b);
void bulk_done(struct bulk *b);

/* NULL when somebody else has it. The fd is borrowed. */
struct bulk *bulk_take(struct bulk *b, int fd);

/* At the file's position, which is a multiple of BULK_ALIGN_BYTES before the first write. */
int bulk_write(struct bulk *b, const void *data, size_t len);
/* Writes what is left and lets go, also on failure. */
int bulk_finish(struct bulk *b);

/* Reads at `offset`, each time where the last read ended; 0 at the file's end. What the page cache
 * has is taken from there. */
ssize_t bulk_read(struct bulk *b, void *out, size_t size, int64_t offset);

/* Lets go; NULL is fine. */
void bulk_drop(struct bulk *b);
