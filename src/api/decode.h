/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* From the bytes of a request body to a C struct, by a field table. Every mistake is an
 * ERR_INVALID (ERR_TOO_LARGE for a bound) with a sentence and the name of the field, with its path
 * ("ttl.seconds") where it is nested. Any thread. */

#include <jansson.h>

#include "api/field.h"

/* Parses text into an object or array. Refused, with the place: what is not JSON, bytes that are
 * not UTF-8, more than JSON_DEPTH_MAX levels, a key that comes twice (named in e->field); as
 * ERR_TOO_LARGE: more than JSON_VALUES_MAX values. U+0000 in a string is kept. The caller owns
 * `*ret`. */
int decode_json(const char *text, size_t len, json_t **ret, struct err *e);

/* Fills the fields of `ret` that `object` gives; the others keep their values, as does a field that
 * is null and neither required nor nullable. Strings are borrowed from `object`. On failure `ret`
 * holds nothing that is owned. `ret` comes in with no owned arrays. */
int decode_fields(const json_t *object, const struct field *fields, void *ret, struct err *e);

/* decode_fields for what is called otherwise than "field" in its errors. */
int decode_named(const char *noun, const json_t *object, const struct field *fields, void *ret,
                 struct err *e);

/* Frees the arrays decode_fields made. */
void decode_done(const struct field *fields, void *data);

/* Something decoded: the C struct and the JSON that its strings live in. Zero-initialised is empty.
 * Moved by plain assignment; the source is then cleared. */
struct input {
    json_t *json;
    void *data; /* of route.input_bytes, or route.query_bytes */
    const struct field *fields;
};

/* How a row wants something decoded. */
struct input_shape {
    const char *noun; /* "field", "parameter" */
    const struct field *fields;
    size_t bytes;
    const void *defaults; /* NULL: zeros */
    bool is_open;         /* what is no field is not looked at, at any level */
};

/* Decodes into `in`, which is empty; takes `object`. On failure `in` stays empty. */
int input_decode(struct input *in, json_t *object, const struct input_shape *shape, struct err *e);
void input_done(struct input *in);
