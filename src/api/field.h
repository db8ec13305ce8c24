/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Fields of requests and answers as rows. From one table come the decoding of a body into a C
 * struct (decode.h), the sentence for each mistake, and the schema in the OpenAPI document
 * (openapi.h). A table ends with a row without a name. */

#include <stddef.h>
#include <stdint.h>

#include "host/host.h"

enum field_type {
    FIELD_TEXT,    /* struct field_text */
    FIELD_INTEGER, /* int64_t, from `min` to `max` */
    FIELD_BOOL,    /* bool */
    FIELD_CHOICE,  /* int: index of the string in `choices` */
    FIELD_TEXTS,   /* struct field_texts: an array of strings */
    FIELD_MAP,     /* struct field_pairs: an object of strings */
    FIELD_FILES,   /* struct field_pairs: as FIELD_MAP, or an array of {name, content} */
    FIELD_OBJECT,  /* answers only: an object of `fields` */
    FIELD_OBJECTS, /* answers only: an array of objects of `fields` */
};

enum {
    FIELD_REQUIRED = 1 << 0, /* in a request: must be there; in an answer: always is */
    FIELD_NUL = 1 << 1,      /* text may hold U+0000 (programs and data may, names may not) */
};

struct field {
    const char *name;
    enum field_type type;
    unsigned flags;
    size_t offset;      /* of the value in the C struct; requests only */
    int64_t min;        /* FIELD_INTEGER */
    int64_t max;        /* FIELD_INTEGER; arrays and objects: how many, 0: no bound */
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
    const char **items; /* owned array, borrowed strings */
    size_t n;
};

struct field_pairs {
    struct run_pair *items; /* owned array, borrowed strings */
    size_t n;
};
