/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ndjson.h"

#include <string.h>

int ndjson_end(struct ndjson *n, struct err *e)
{
    size_t len = n->line.len;
    if (len && n->line.data[len - 1] == '\r')
        n->line.data[--len] = '\0';
    int r = len ? n->line_fn(n->arg, n->line.data, len, e) : 0;
    buf_clear(&n->line);
    return r;
}

int ndjson_feed(struct ndjson *n, const char *data, size_t len, struct err *e)
{
    while (len) {
        const char *nl = memchr(data, '\n', len);
        size_t part = nl ? (size_t)(nl - data) : len;
        if (part > n->max_bytes - n->line.len)
            return err_set(e, ERR_TOO_LARGE, "a line of the answer is longer than %zu bytes",
                           n->max_bytes);
        if (buf_append(&n->line, data, part) < 0)
            return err_errno(e, -ENOMEM, "read the answer");
        data += part;
        len -= part;
        if (!nl)
            return 0;
        data++;
        len--;
        int r = ndjson_end(n, e);
        if (r < 0)
            return r;
    }
    return 0;
}

void ndjson_done(struct ndjson *n)
{
    buf_done(&n->line);
}
