/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Archives (tar.gz) that a client sends to have them unpacked in a VM, and those that it gets of
 * what is in one.
 *
 * In: the compressed bytes are held until all of them are there, ARCHIVE_MAX_BYTES at most, and
 * looked at as they come, so that a bad archive is refused as early as it shows. One that is whole
 * and good is read a second time and packed anew (archive_repack), so that no byte of a header that
 * the client made reaches the guest. Reading twice costs less than the 60 MiB of memory that
 * keeping what is unpacked would. Exactly one gzip member is taken, with nothing behind it; what
 * the tar in it may be is untar.h's.
 *
 * Out: what the guest packs is compressed as it comes, with a few hundred KiB of memory.
 *
 * Thread: each object is its owner's. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/limits.h"

struct vm_stream;

/* --- in --- */

struct archive;

/* One that will be unpacked into a directory whose path has `dest_bytes` bytes. */
int archive_new(size_t dest_bytes, struct archive **ret, struct err *e);
void archive_free(struct archive *a); /* NULL is fine */
DEFINE_AUTO(struct archive *, archive_free)
#define auto_archive CLEANUP(archive_freep)

/* Takes the next bytes. ERR_INVALID says what is wrong with the archive; ERR_TOO_LARGE: it is
 * beyond ARCHIVE_MAX_BYTES, unpacks to more than ARCHIVE_UNPACKED_MAX_BYTES or ARCHIVE_ENTRIES_MAX,
 * or has names beyond ARCHIVE_NAMES_MAX_BYTES; ERR_FULL: all archives that are held together are
 * beyond ARCHIVES_MAX_BYTES. No more calls but archive_free after a failure. */
int archive_add(struct archive *a, const void *data, size_t len, struct err *e);

/* That was all. 0: it may be unpacked; errors as above. */
int archive_finish(struct archive *a, struct err *e);

/* Writes it as a clean tar, after archive_finish: files and directories with permission bits and
 * time only, readable and writable for their owner. Ends with the first failure of `write`. */
struct archive_sink {
    int (*write)(void *arg, const void *data, size_t len, struct err *e);
    void *arg;
};
int archive_repack(const struct archive *a, const struct archive_sink *sink, struct err *e);

/* --- out --- */

struct archive_reader;

/* Compresses what is read from `s`, which is borrowed and outlives it. */
int archive_reader_new(struct vm_stream *s, struct archive_reader **ret, struct err *e);
void archive_reader_free(struct archive_reader *ar); /* NULL is fine */
DEFINE_AUTO(struct archive_reader *, archive_reader_free)

/* Bytes (never 0), 0 at the end, or what vm_stream_read failed with. */
ssize_t archive_read(struct archive_reader *ar, void *buf, size_t max, struct err *e);
