/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which pages of a guest's memory a template's file `delta` holds; the rest is in `memory`. The
 * file `extents` is an array of these in the host's byte order, in the order of the pages; in
 * `delta` each page stands where it stands in memory, so no other numbers are needed.
 *
 * Also included by the preload library, hence all of it inline. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXTENTS_PAGE_BYTES 4096
/* Each costs the monitor two mappings, of which Linux by default grants 65,530 a process. */
#define EXTENTS_MAX 4096

struct extent {
    uint32_t page;
    uint32_t pages;
};

/* Whether the extents are ordered, apart and within memory. */
static inline bool extents_valid(const struct extent *v, size_t n, uint64_t memory_pages)
{
    uint64_t end = 0;
    if (n > EXTENTS_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (v[i].page < end || v[i].pages == 0)
            return false;
        end = (uint64_t)v[i].page + v[i].pages;
    }
    return end <= memory_pages;
}
