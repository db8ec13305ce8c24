/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Endpoints as rows. From a row come dispatch, decoding of query and body, who may call it, the
 * answer to a wrong method, the OpenAPI document, the metrics' labels, and the list the tests walk.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "api/field.h"
#include "base/err.h"

struct request;
struct answer;
struct upload;
struct websocket_session;

enum route_method {
    ROUTE_GET,
    ROUTE_POST,
    ROUTE_PUT,
    ROUTE_PATCH,
    ROUTE_DELETE,
    ROUTE_METHOD_COUNT,
};

enum {
    ROUTE_STATIC = 1 << 0,  /* the answer never changes: made once, when it is first asked for */
    ROUTE_OPEN = 1 << 1,    /* needs no key, on no listener */
    ROUTE_STREAMS = 1 << 2, /* answers with NDJSON events when the client accepts them */
    ROUTE_ACCOUNT = 1 << 3, /* needs a key on every listener; request.account is whose it is */
    ROUTE_ADMIN = 1 << 4,   /* likewise, of an admin account */
    /* Its URL is its own proof (it is signed, or holds a token): it needs no key, and Host and
     * Origin are not looked at. */
    ROUTE_SIGNED = 1 << 5,
    ROUTE_BODY_OPTIONAL = 1 << 6, /* no body is as good as {} */
    ROUTE_LIST = 1 << 7,          /* answers with an array of `response`; without one, of strings */
    ROUTE_GUEST = 1 << 8,         /* may be called from inside of VMs */
    ROUTE_RANGES = 1 << 9,        /* answers a Range: 416 when it begins beyond the end */
    ROUTE_BATCH = 1 << 10, /* answers with `response`, or an array of it to a list of inputs */
};

#define ROUTE_PARAMS_MAX 3

/* One of the published APIs, in the words of which the core is spoken to. */
struct dialect {
    const char *name; /* /openapi/NAME.json */
    const char *title;
    const char *doc;
    const char *prefix; /* "/v1/": what is not found below it is told in this dialect's words */
    /* "/native": its paths lead to it behind this as well, on every listener, also where another
     * dialect is mounted over them. NULL: no such. */
    const char *alias;
    /* An error in its own shape; NULL: no memory. */
    json_t *(*error)(const struct err *e);
    const struct field *error_fields;
    bool says_no_retry;  /* each 409 has "x-should-retry: false" */
    int rate_per_min;    /* requests of one caller to all its rows; 0: no bound */
    bool is_open;        /* what a body or query has besides the row's fields is not looked at */
    bool has_openapi_30; /* its document is of OpenAPI 3.0, not 3.1 */
    const char *body_too_large; /* its words for that; NULL: the common ones */
};

/* One more way to succeed, for the OpenAPI document. */
struct route_success {
    int status;
    const struct field *response; /* NULL: not described */
    const char *content_type;     /* NULL: application/json; "": no body */
    const char *doc;
};

struct route {
    enum route_method method;
    const char *path;      /* "/api/v1/languages/{lang}": a piece in braces is a parameter */
    const char *operation; /* its id in OpenAPI, metrics and log */
    const struct dialect *dialect;

    /* One of the three.
     *
     * handler: fills the answer, or returns a negative errno and an error (headers that it put into
     * the answer are sent with the error). Called by the connection's thread when the body is
     * there; may block. A ROUTE_STATIC handler is called once a listener, without a host.
     *
     * upload: the body is taken as it comes (request.h). Called when the headers are there; what it
     * refuses is answered without the body being kept.
     *
     * websocket: the connection becomes a WebSocket (websocket.h). Called when the handshake is
     * right; what it refuses is an ordinary answer. ROUTE_GET only. */
    int (*handler)(struct request *rq, struct answer *ret, struct err *e);
    int (*upload)(struct request *rq, struct upload *ret, struct err *e);
    int (*websocket)(struct request *rq, struct websocket_session *ret, struct err *e);

    const struct field *query;  /* NULL: what comes is not looked at; no rows: nothing may come */
    size_t query_bytes;         /* the struct that `query` decodes into */
    const void *query_defaults; /* what it holds before; NULL: zeros */

    const struct field *request; /* NULL: takes no body; one that comes is dropped */
    size_t input_bytes;
    const void *input_defaults;

    const struct field *response; /* of a JSON answer */
    const char *content_type;     /* NULL: application/json; "": no body (then success is 204) */
    int success;                  /* 0: 200 */
    const struct route_success *others; /* ends with status 0; or NULL */
    const int *errors;                  /* statuses it may fail with; ends with 0 */
    int rate_per_min; /* requests of one caller to this row: then 429; 0: no bound */
    /* Upload rows: what is to come, for the OpenAPI document; ends with NULL. NULL: any. */
    const char *const *upload_types;
    unsigned flags;
    const char *doc; /* one line */
};

/* Just one for upload_types. */
#define UPLOAD_TYPE(type) ((const char *const[]){type, NULL})

/* All rows; the first dialect's rows come first. */
const struct route *route_at(size_t index); /* NULL beyond the end */
/* Rows besides, which end with one without path: for the tests of what no dialect has yet. Before
 * anything else here is called. */
void route_add_rows(const struct route *rows);
const char *route_method_name(enum route_method m);

/* In whose words to speak of a path that is not found: the dialect with the longest prefix of it,
 * else the first one. */
const struct dialect *route_dialect(const char *path);

/* All dialects that have rows, each once, in the order of their rows; NULL beyond the end. */
const struct dialect *route_dialect_at(size_t index);
/* NULL: there is none of that name. */
const struct dialect *route_dialect_find(const char *name);

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

/* A row whose path is spelled nearly like this one; NULL: none. */
const struct route *route_nearest(const char *path);
