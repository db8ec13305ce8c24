/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The memory of a template as files. Either `memory` alone holds all of it, or `memory` is another
 * template's (a hard link) and `delta` holds the pages that differ, listed in `extents`:
 *
 *     boot            memory = a hole                       the VM's dirty pages make it whole
 *     its template    memory                                nothing else
 *     a clone's       memory (shared), delta                what the clone wrote
 *     a grandchild's  memory (shared), delta                what the clone and its clone wrote
 *
 * So a capture writes what was dirtied since the last whole file and never copies that file, until
 * the delta would be more than half of the memory: then there is a new whole file. A page of zeros
 * is a hole in either file; a hole of `delta` within an extent covers what `memory` has there. */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/qemu/memory.h"

#define PAGES_MEMORY "memory"
#define PAGES_DELTA "delta"
#define PAGES_EXTENTS "extents"

/* The files that a VM's memory stands on. */
struct pages {
    int memory_fd;
    int delta_fd;         /* -EBADF: there is none */
    uint64_t *delta_bits; /* which pages it holds */
    uint64_t n;           /* pages of memory */
    bool hole;            /* memory is empty */
};

int pages_open(const char *dir, struct pages *ret, struct err *e);
void pages_done(struct pages *p);

/* Completes the files in `dir` for the memory that is `from` with the dirty pages over it. These
 * are in the file `out_fd`, which has the name `out_path` and becomes `memory` or `delta`; `memory`
 * may be linked from `from_dir`. `ret_delta`: which it was. */
struct pages_target {
    const char *from_dir, *dir, *out_path;
    int out_fd;
};
int pages_complete(const struct pages *from, const struct memory_dirty *dirty,
                   const struct pages_target *to, bool *ret_delta, struct err *e);
