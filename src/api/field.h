/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Fields of requests and answers as rows. From one table come the decoding of a body or a query
 * into a C struct (decode.h, query.h), the sentence for each mistake, and the schema in the OpenAPI
 * document (openapi.h). A table ends with a row without a name. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/host.h"

enum field_type {
    FIELD_TEXT,    /* struct field_text */
    FIELD_INTEGER, /* int64_t, from `min` to `max` */
    FIELD_NUMBER,  /* double, from `min` to `max` */
    FIELD_BOOL,    /* bool */
    FIELD_CHOICE,  /* int: index of the string in `choices` */
    FIELD_TEXTS,   /* struct field_texts: an array of strings */
    FIELD_MAP,     /* struct field_pairs: an object of strings; in a query, NAME.KEY=VALUE */
    FIELD_FILES,   /* struct field_pairs: as FIELD_MAP, or an array of {name, content} */
    FIELD_INPUTS,  /* struct field_inputs: a string, or an array of strings, whose bounds are theirs
                    */
    FIELD_OBJECT,  /* an object of `fields`: a C struct whose first member is a struct field_given;
                      their offsets are in that struct */
    FIELD_OBJECTS, /* answers only: an array of objects of `fields` */
    FIELD_JSON,    /* json_t *: any value, as it is; `fields` only describe it (or NULL) */
};

enum {
    FIELD_REQUIRED = 1 << 0, /* in a request: must be there; in an answer: always is */
    FIELD_NUL = 1 << 1,      /* text may hold U+0000 (programs and data may, names may not) */
    /* null is a value, of which FIELD_OBJECT and FIELD_JSON tell. For all others null is as good as
     * not given (but not for required ones). */
    FIELD_NULLABLE = 1 << 2,
};

struct field {
    const char *name;
    enum field_type type;
    unsigned flags;
    size_t offset; /* of the value in the C struct; requests only */
    int64_t min;   /* FIELD_INTEGER, FIELD_NUMBER; text, arrays and maps: at least so many bytes or
                      elements */
    int64_t max;   /* FIELD_INTEGER, FIELD_NUMBER; arrays and objects: how many, 0: no bound */
    uint64_t max_bytes; /* text: its bytes; arrays and objects: of all names and values together;
                           0: no bound but the body's */
    const char *const *choices; /* FIELD_CHOICE; ends with NULL */
    const struct field *fields;
    const char *doc;
};

/* Strings are borrowed from the decoded JSON; they are NUL-terminated besides their length. */
struct field_text {
    const char *data; /* NULL when the field was not given */
    size_t len;
};

struct field_texts {
    const char **items; /* owned array, borrowed strings; NULL when the field was not given */
    size_t n;
};

struct field_inputs {
    struct field_text *items; /* as in field_texts */
    size_t n;                 /* 1 for a string */
    bool is_list;
};

struct field_pairs {
    struct run_pair *items; /* as in field_texts */
    size_t n;
    json_t *object; /* what the pairs came from, borrowed; NULL when not given or an array */
};

struct field_given {
    bool is_given; /* also when it is null */
    bool is_null;
};
