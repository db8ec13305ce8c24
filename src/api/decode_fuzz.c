/* SPDX-License-Identifier: Apache-2.0 */

/* Request bodies against the field tables of all rows, those of the tests too. What is accepted
 * must keep to its table. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_test.h"
#include "api/decode.h"

static void check_text(const struct field *f, const struct field_text *t)
{
    assert(!t->data || t->data[t->len] == '\0');
    assert(!f->max_bytes || t->len <= f->max_bytes);
    assert(f->flags & FIELD_NUL || !t->data || strlen(t->data) == t->len);
    assert(!(f->flags & FIELD_REQUIRED) || t->data);
}

static void check_fields(const struct field *fields, const void *data);

static bool count_fits(const struct field *f, size_t n)
{
    return !f->max || n <= (size_t)f->max;
}

static void check_field(const struct field *f, const void *data)
{
    const void *at = (const char *)data + f->offset;
    const struct field_pairs *pairs = at;
    const struct field_texts *texts = at;
    const struct field_given *given = at;
    if (f->type == FIELD_TEXT)
        check_text(f, at);
    if (f->type == FIELD_INTEGER)
        assert(!*(const int64_t *)at ||
               (*(const int64_t *)at >= f->min && *(const int64_t *)at <= f->max));
    if (f->type == FIELD_TEXTS) {
        assert(count_fits(f, texts->n));
        for (size_t i = 0; i < texts->n; i++)
            assert(texts->items[i]);
    }
    const struct field_inputs *inputs = at;
    if (f->type == FIELD_INPUTS) {
        assert(count_fits(f, inputs->n) && (inputs->is_list || inputs->n <= 1));
        for (size_t i = 0; i < inputs->n; i++)
            assert(inputs->items[i].data[inputs->items[i].len] == '\0');
    }
    if (f->type == FIELD_OBJECT && given->is_given && !given->is_null)
        check_fields(f->fields, at);
    if (f->type == FIELD_MAP || f->type == FIELD_FILES) {
        assert(count_fits(f, pairs->n));
        for (size_t i = 0; i < pairs->n; i++)
            assert(pairs->items[i].name && pairs->items[i].data[pairs->items[i].len] == '\0');
    }
}

static void check_fields(const struct field *fields, const void *data)
{
    for (const struct field *f = fields; f->name; f++)
        check_field(f, data);
}

static void check_row(const struct route *r, const json_t *json)
{
    struct err e = ERR_INIT;
    void *data = calloc(1, r->input_bytes);
    if (r->input_defaults)
        memcpy(data, r->input_defaults, r->input_bytes);
    if (decode_fields(json, r->request, data, &e) == 0) {
        check_fields(r->request, data);
    } else {
        assert(e.text[0]);
    }
    decode_done(r->request, data);
    free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    route_add_rows(test_rows);
    json_t *json = NULL;
    struct err e = ERR_INIT;
    if (decode_json((const char *)data, size, &json, &e) < 0) {
        assert(!json && (e.class == ERR_INVALID || e.class == ERR_TOO_LARGE) && e.text[0]);
        return 0;
    }
    const struct route *r;
    for (size_t i = 0; (r = route_at(i)); i++) {
        if (r->request)
            check_row(r, json);
    }
    json_decref(json);
    return 0;
}
