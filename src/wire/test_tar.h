/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For tests: archives as nobody should make them. */

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "wire/ustar.h"

/* Appends one header of any kind, right in all but what is asked for; the name is cut to its place.
 */
static inline struct ustar_header *test_tar_header(struct buf *out, char type, const char *name,
                                                   size_t size)
{
    struct ustar_header h = {.type = type};
    size_t len = strlen(name);
    memcpy(h.name, name, len < sizeof(h.name) ? len : sizeof(h.name));
    memcpy(h.magic,
           "ustar\0"
           "00",
           sizeof(h.magic));
    snprintf(h.mode, sizeof(h.mode), "%07o", type == '5' ? 0755u : 0644u);
    snprintf(h.uid, sizeof(h.uid), "%07o", 0u);
    snprintf(h.gid, sizeof(h.gid), "%07o", 0u);
    snprintf(h.size, sizeof(h.size), "%011zo", size);
    snprintf(h.mtime, sizeof(h.mtime), "%011o", 1700000000u);
    size_t at = out->len;
    buf_append(out, &h, sizeof(h));
    struct ustar_header *there = (struct ustar_header *)(void *)(out->data + at);
    snprintf(there->sum, sizeof(there->sum), "%06o", ustar_sum(there, NULL));
    return there;
}

/* After a header was changed. */
static inline void test_tar_sum(struct ustar_header *h)
{
    snprintf(h->sum, sizeof(h->sum), "%06o", ustar_sum(h, NULL));
    h->sum[7] = ' ';
}

/* Appends a whole entry. */
static inline void test_tar_add(struct buf *out, char type, const char *name, const void *data,
                                size_t len)
{
    test_tar_header(out, type, name, len);
    buf_append(out, data, len);
    ustar_put_zeros(out, ustar_padding(len));
}

static inline void test_tar_file(struct buf *out, const char *name, const char *text)
{
    test_tar_add(out, '0', name, text, strlen(text));
}

/* A pax header with these records, which are "KEY=VALUE". */
static inline void test_tar_pax(struct buf *out, char type, const char *record)
{
    struct buf text = {0};
    size_t len = strlen(record) + 3, whole;
    do {
        whole = (size_t)snprintf(NULL, 0, "%zu %s\n", len, record);
    } while (whole != len && (len = whole));
    buf_printf(&text, "%zu %s\n", len, record);
    test_tar_add(out, type, "pax", text.data, text.len);
    buf_done(&text);
}

static inline void test_tar_end(struct buf *out)
{
    ustar_put_zeros(out, 2 * USTAR_BLOCK_BYTES);
}
