/* SPDX-License-Identifier: Apache-2.0 */

/* Queries and Range headers. What is accepted must keep to its table. */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "api/query.h"
#include "api/range.h"
#include "api/text.h"

struct thing {
    struct field_text text;
    int64_t number;
    double ratio;
    bool on;
    struct field_pairs map;
};

static const struct field fields[] = {
    {"t", FIELD_TEXT, 0, offsetof(struct thing, text), .max_bytes = 16},
    {"n", FIELD_INTEGER, 0, offsetof(struct thing, number), .min = -9, .max = 9},
    {"r", FIELD_NUMBER, 0, offsetof(struct thing, ratio), .min = -1, .max = 1},
    {"b", FIELD_BOOL, 0, offsetof(struct thing, on)},
    {"m", FIELD_MAP, 0, offsetof(struct thing, map), .max = 3, .max_bytes = 64},
    {0},
};

static void check_query(const char *query)
{
    const struct input_shape shape = {"parameter", fields, sizeof(struct thing), NULL};
    struct input in = {0};
    struct err e = ERR_INIT;
    if (query_decode(query, &shape, &in, &e) < 0) {
        assert(!in.data && !in.json && e.text[0]);
        return;
    }
    const struct thing *t = in.data;
    assert(t->number >= -9 && t->number <= 9 && t->ratio >= -1 && t->ratio <= 1);
    assert(t->text.len <= 16 && t->map.n <= 3);
    if (t->text.data)
        assert(text_utf8_prefix(t->text.data, t->text.len) == t->text.len);
    input_done(&in);
}

static void check_range(const char *header, uint64_t total)
{
    struct byte_range range = {0};
    int r = range_parse(header, total, &range);
    assert(r == 0 || r == 1 || r == -ERANGE);
    if (r == 1)
        assert(range.length && range.offset < total && range.length <= total - range.offset);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_buf struct buf text = {0};
    if (buf_append(&text, data, size) < 0)
        return 0;
    check_query(buf_str(&text));
    check_range(buf_str(&text), 0);
    check_range(buf_str(&text), 1000);
    check_range(buf_str(&text), UINT64_MAX);
    return 0;
}
