/* SPDX-License-Identifier: Apache-2.0 */

/* A streamed answer as a hostile server could send it: the first byte says in what pieces the rest
 * arrives. Whatever comes, nothing is held beyond the bound, and an event is what its kind says. */

#include <stdint.h>
#include <stdlib.h>

#include "cli/event.h"
#include "cli/ndjson.h"

#define LINE_MAX_BYTES 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_line(void *arg, const char *line, size_t len, struct err *e)
{
    auto_event struct event ev = {0};
    if (len == 0 || len > LINE_MAX_BYTES || line[len] != '\0')
        abort();
    int r = event_parse(line, len, &ev, e);
    if (ev.data.len && ev.kind != EVENT_OUT && ev.kind != EVENT_ERR)
        abort();
    if (ev.exit_code < 0 || ev.exit_code > 255)
        abort();
    /* Bad lines do not end it here, so that what follows them is looked at too. */
    return r < 0 && e->class != ERR_UNAVAILABLE ? r : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    size_t piece = data[0] % 61 + 1;
    struct ndjson CLEANUP(ndjson_done) n = {.max_bytes = LINE_MAX_BYTES, .line_fn = on_line};
    struct err e = ERR_INIT;
    for (size_t i = 1; i < size; i += piece) {
        size_t len = piece < size - i ? piece : size - i;
        if (ndjson_feed(&n, (const char *)data + i, len, &e) < 0)
            return 0;
        if (n.line.len > LINE_MAX_BYTES)
            abort();
    }
    (void)ndjson_end(&n, &e);
    return 0;
}
