/* SPDX-License-Identifier: Apache-2.0 */

/* Paths: finding a row, percent-decoding its parameters, the hint for what is not found; and the
 * repair of text that is not UTF-8. */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/route.h"
#include "api/text.h"

static void check_params(const struct route_match *m, const char *path)
{
    char decoded[64];
    for (size_t i = 0; i < ROUTE_PARAMS_MAX && m->params[i].start; i++) {
        const char *start = m->params[i].start;
        assert(start > path && start + m->params[i].len <= path + strlen(path));
        assert(m->params[i].len && !memchr(start, '/', m->params[i].len));
        if (text_percent_decode(start, m->params[i].len, decoded, sizeof(decoded)) == 0)
            assert(text_utf8_prefix(decoded, strlen(decoded)) == strlen(decoded));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct route_table *table;
    if (!table && route_table_new(&table) < 0)
        return 0;
    auto_buf struct buf repaired = {0}, path = {0};
    if (text_utf8_repair((const char *)data, size, &repaired) < 0)
        return 0;
    assert(text_utf8_prefix(buf_str(&repaired), repaired.len) == repaired.len);
    buf_append(&path, data, size);
    struct route_match m;
    if (route_find(table, buf_str(&path), &m))
        check_params(&m, path.data);
    else
        route_nearest(buf_str(&path));
    char all[256];
    text_percent_decode((const char *)data, size, all, sizeof(all));
    return 0;
}
