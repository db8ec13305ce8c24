/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Endpoints as rows. From a row come dispatch, decoding of the body, the answer to a wrong method,
 * the OpenAPI document, the metrics' labels, and the list the tests walk. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "api/field.h"
#include "base/err.h"

struct request;
struct answer;

enum route_method {
    ROUTE_GET,
    ROUTE_POST,
    ROUTE_PUT,
    ROUTE_PATCH,
    ROUTE_DELETE,
    ROUTE_METHOD_COUNT,
};

enum {
    ROUTE_STATIC = 1 << 0,  /* the answer never changes: made once, when the server is made */
    ROUTE_OPEN = 1 << 1,    /* needs no key, on no listener */
    ROUTE_STREAMS = 1 << 2, /* answers with NDJSON events when the client accepts them */
};

#define ROUTE_PARAMS_MAX 3

/* One of the published APIs, in the words of which the core is spoken to. */
struct dialect {
    const char *name; /* /openapi/NAME.json */
    const char *title;
    const char *doc;
    /* An error in its own shape; NULL: no memory. */
    json_t *(*error)(const struct err *e);
    const struct field *error_fields;
};

struct route {
    enum route_method method;
    const char *path;      /* "/api/v1/languages/{lang}": a piece in braces is a parameter */
    const char *operation; /* its id in OpenAPI, metrics and log */
    const struct dialect *dialect;
    /* Fills the answer, or returns a negative errno and an error. Called by the connection's
     * thread; may block. A ROUTE_STATIC handler is called once, by server_new. */
    int (*handler)(struct request *rq, struct answer *ret, struct err *e);

    const struct field *request; /* NULL: takes no body */
    size_t input_bytes;          /* the struct that `request` decodes into */
    const void *input_defaults;  /* what it holds before; NULL: zeros */

    const struct field *response; /* of a JSON answer */
    const char *content_type;     /* NULL: application/json */
    int success;                  /* 0: 200 */
    const int *errors;            /* statuses it may fail with; ends with 0 */
    unsigned flags;
    const char *doc; /* one line */
};

/* All rows; the first dialect's rows come first. */
const struct route *route_at(size_t index); /* NULL beyond the end */
const char *route_method_name(enum route_method m);

/* Rows by path. Made once, then only read: any thread. */
struct route_table;
int route_table_new(struct route_table **ret);
void route_table_free(struct route_table *t);

struct route_match {
    const struct route *by_method[ROUTE_METHOD_COUNT]; /* of this path; NULL: 405 */
    size_t index[ROUTE_METHOD_COUNT];                  /* of the row in route_at */
    struct {
        const char *start; /* still percent-encoded, in the path that was asked for */
        size_t len;
    } params[ROUTE_PARAMS_MAX];
};

/* Finds the rows of a path as it came (percent-encoded, without query); false: there are none. */
bool route_find(const struct route_table *t, const char *path, struct route_match *ret);

/* A path that exists and is spelled nearly like this one; NULL: none. */
const char *route_nearest(const char *path);
