/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The Range header: which part of something is asked for. Any thread. */

#include <stdint.h>

struct byte_range {
    uint64_t offset;
    uint64_t length;
};

/* Returns 1 and the part for one range of bytes ("bytes=5-9", "bytes=5-", "bytes=-5"), cut at
 * `total`; 0 for what a server is to ignore: other units, several ranges, nonsense. -ERANGE: it
 * begins at or behind the end, or is the last 0 bytes. */
int range_parse(const char *header, uint64_t total, struct byte_range *ret);
