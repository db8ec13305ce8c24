/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One signed request to an object store and its answer, for s3.c and s3_upload.c. */

#include <curl/curl.h>

#include "host/s3.h"

struct s3 {
    const struct s3_config *config;
    struct s3_wait wait;
    CURL *easy;
};

struct s3_call {
    const char *method;
    const char *key;   /* "": the bucket */
    const char *query; /* encoded, its names sorted; NULL: none */
    const void *body;  /* NULL: none; "" with `body_len` 0 is an empty one */
    size_t body_len;
    int64_t at, len;    /* of a part of the object; `len` 0: all */
    struct buf *answer; /* appended to, bounded; NULL: what comes is dropped */

    /* out */
    long status;
    char etag[S3_ETAG_SIZE];
    int64_t object_bytes; /* HEAD: of the object */
    int tries;
};

/* With retries. */
int s3_request(struct s3 *s, struct s3_call *c, struct err *e);

/* Appends what may stand in a query: everything but letters, digits and "-._~" as %XX; "/" stays
 * with `keep_slash`. */
void s3_encode(struct buf *b, const char *text, bool keep_slash);

/* A whole number of an answer, from 0. -EINVAL. */
int s3_number(const char *text, int64_t max, int64_t *ret);

/* --- s3_error.c --- */

/* What a store says of a request that it did not carry out. */
struct s3_refusal {
    long status;
    char code[64], message[256], region[64];
};

/* Out of an answer's body; what is no XML leaves code and message empty. True: it is an Error. */
bool s3_refusal_read(const char *body, size_t len, struct s3_refusal *ret);
/* It may go better the next time. */
bool s3_refusal_is_passing(const struct s3_refusal *f);
/* As an error that says what to change. */
int s3_refused(const struct s3 *s, const struct s3_call *c, const struct s3_refusal *f,
               struct err *e);
