/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Tar archives as they are made here: GNU's format (a header of 512 bytes an entry, long names in
 * an entry of their own before it, large numbers in binary), which every tar reads. No state and no
 * I/O: the caller puts the content and its padding behind the header. untar.h is the way back. */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define USTAR_BLOCK_BYTES 512

enum ustar_type { USTAR_FILE, USTAR_DIR, USTAR_LINK };

/* One entry. The strings are borrowed. */
struct ustar_entry {
    enum ustar_type type;
    const char *name; /* relative, without a slash at its end */
    const char *link; /* where a link leads; NULL for others */
    unsigned mode;    /* permission bits */
    uint32_t uid, gid;
    uint64_t size; /* of a file's content; 0 for others */
    int64_t mtime_s;
};

/* Appends the entry's header, and before it those of a long name or link. The name gets its slash
 * when it is a directory's. -ENOMEM. */
int ustar_put(struct buf *out, const struct ustar_entry *en);

/* How many zeros come behind a content of this size. */
static inline size_t ustar_padding(uint64_t size)
{
    return (size_t)(-size % USTAR_BLOCK_BYTES);
}

/* Appends zeros: a padding, or 2 * USTAR_BLOCK_BYTES, with which an archive ends. -ENOMEM. */
int ustar_put_zeros(struct buf *out, size_t len);

/* --- the header as it stands in an archive; shared with untar.c --- */

struct ustar_header {
    char name[100];
    char mode[8], uid[8], gid[8];
    char size[12], mtime[12];
    char sum[8];
    char type;
    char link[100];
    char magic[8];
    char user[32], group[32];
    char dev_major[8], dev_minor[8];
    char prefix[155];
    char unused[12];
};
_Static_assert(sizeof(struct ustar_header) == USTAR_BLOCK_BYTES, "a header is one block");

/* The sum of its bytes, with spaces in the place of the sum itself; as unsigned characters, and as
 * the signed ones that some old programs took. */
unsigned ustar_sum(const struct ustar_header *h, int *ret_signed);
