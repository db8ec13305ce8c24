/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reads a tar archive as it comes, piece by piece, without I/O: for the host, which looks at what a
 * client sent, and for the agent, which unpacks.
 *
 * It is strict, because what it lets through is unpacked: an archive that two programs could read
 * differently is refused, not guessed at. It takes regular files and directories of the old, POSIX
 * (ustar, pax) and GNU formats. Refused are links, devices, FIFOs and unknown kinds of entries,
 * sparse files, names that are absolute, empty, have "..", a NUL or are too long, names that are
 * given twice, a global header that would change entries, wrong checksums and numbers, and anything
 * but zeros behind the end. Owners, extended attributes and the like are not looked at. Names are
 * bytes, not text.
 *
 * Its memory is bounded by UNTAR_EXTRA_MAX_BYTES. How much may be in an archive is its user's
 * affair. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "wire/ustar.h"

#define UNTAR_NAME_SIZE AGENT_PATH_MAX_BYTES      /* with its NUL */
#define UNTAR_COMPONENT_MAX_BYTES 255             /* as file systems have it */
#define UNTAR_EXTRA_MAX_BYTES ((size_t)(1 * MIB)) /* of one long name or pax header */

/* Called in the order of the archive; what they return when it is negative ends the reading. */
struct untar_ops {
    /* The name is clean: relative, without "." and repeated slashes; "" is the directory itself
     * that all is relative to. The strings go when the call returns. */
    int (*entry)(void *arg, const struct ustar_entry *en, struct err *e);
    int (*content)(void *arg, const void *data, size_t len, struct err *e);
    int (*end)(void *arg, struct err *e); /* of each entry, also of one without content */
};

enum untar_state { UNTAR_HEADER, UNTAR_EXTRA, UNTAR_CONTENT, UNTAR_PADDING, UNTAR_ENDED };

/* Zero-initialise, set ops and arg; untar_done. */
struct untar {
    const struct untar_ops *ops;
    void *arg;

    enum untar_state state;
    struct ustar_header header; /* the last one; `have` bytes of it while state is UNTAR_HEADER */
    char header_name[257];      /* its prefix and name, joined */
    size_t have;
    uint64_t left; /* of the content, or of what `extra` takes */
    size_t padding;
    struct buf extra; /* a long name or pax header */

    /* What such headers say of the next entry. */
    struct buf name;
    bool has_name, has_size, has_mtime, has_pax, has_link;
    uint64_t size;
    int64_t mtime_s;

    bool any; /* there was something */
};

/* ERR_INVALID (the archive), or what an operation returned; no more calls after a failure. */
int untar_feed(struct untar *u, const void *data, size_t len, struct err *e);
/* That was all: ERR_INVALID when its end did not come. */
int untar_finish(struct untar *u, struct err *e);
void untar_done(struct untar *u);

/* A name in the way that untar_ops.entry says. ERR_INVALID: one that is refused. */
int untar_clean(const char *name, size_t len, char ret[UNTAR_NAME_SIZE], struct err *e);
