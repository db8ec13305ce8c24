/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Cuts a byte stream into lines (NDJSON: one JSON value a line), however the bytes come in pieces,
 * and never holds more than `max_bytes` of them. Thread: the caller's. */

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct ndjson {
    struct buf line; /* the beginning of a line whose end has not come */
    size_t max_bytes;
    /* Gets each line that is not empty, without its end (\n or \r\n), NUL-terminated. A negative
     * return ends the feed. */
    int (*line_fn)(void *arg, const char *line, size_t len, struct err *e);
    void *arg;
};

/* ERR_TOO_LARGE when a line is longer than the bound; else what line_fn says. */
int ndjson_feed(struct ndjson *n, const char *data, size_t len, struct err *e);

/* The stream has ended: gives a last line that has no end. */
int ndjson_end(struct ndjson *n, struct err *e);

void ndjson_done(struct ndjson *n);
