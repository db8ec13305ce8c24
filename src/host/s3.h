/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A client of object stores that speak S3: requests signed with AWS Signature Version 4 (libcurl),
 * tried again with growing waits when the store is busy, broken or cut off, and given up with a
 * sentence that says what to change when it refuses.
 *
 * What is sent carries its SHA-256 (x-amz-content-sha256), which is signed, so that a store refuses
 * a body that was damaged on the way.
 *
 * Errors: ERR_NOT_FOUND (-ENOENT): no such object, or upload. ERR_UNSUPPORTED (-EOPNOTSUPP): the
 * store does not know the call. ERR_UNAVAILABLE: everything else that is the store's or the
 * network's. -ECANCELED: the caller's wish.
 *
 * A struct s3 has one connection and belongs to one thread at a time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define S3_TEXT_SIZE 256
#define S3_ETAG_SIZE 96
#define S3_UPLOAD_ID_SIZE 1025

struct s3_config {
    char endpoint[S3_TEXT_SIZE]; /* "http://127.0.0.1:9000"; "": Amazon's in the region */
    char region[S3_TEXT_SIZE];
    char bucket[S3_TEXT_SIZE];
    char access_key[S3_TEXT_SIZE];
    char secret_key[S3_TEXT_SIZE];
    bool path_style; /* ENDPOINT/BUCKET/KEY instead of BUCKET.ENDPOINT/KEY */
    int retry_ms;    /* before the second try; doubled each time */
    int stall_s;     /* with hardly a byte in either direction, then it is tried again */
};

/* Asked about several times a second while a call lasts. */
struct s3_wait {
    bool (*cancelled)(void *arg); /* may be NULL */
    void *arg;
};

struct s3;

/* ERR_INVALID names what of the configuration is missing or wrong ("s3.bucket is not set"). */
int s3_check(const struct s3_config *c, struct err *e);

/* `c` is borrowed for its life, `w` copied. */
int s3_new(const struct s3_config *c, const struct s3_wait *w, struct s3 **ret, struct err *e);
void s3_free(struct s3 *s); /* NULL is fine */

struct s3_range {
    int64_t at, bytes;
};

/* Appends the object, or a part of it (`range` NULL: all of it); ret->max_bytes bounds it. */
int s3_get(struct s3 *s, const char *key, const struct s3_range *range, struct buf *ret,
           struct err *e);
int s3_put(struct s3 *s, const char *key, const void *data, size_t len, struct err *e);
int s3_delete(struct s3 *s, const char *key, struct err *e); /* absent is fine */
int s3_size(struct s3 *s, const char *key, int64_t *ret, struct err *e);

struct s3_object {
    const char *key;
    int64_t bytes;
    int64_t modified_ns;
};

/* Every object below a prefix, in order of keys; at most S3_LIST_MAX. A negative return of `each`
 * ends it and is returned. */
int s3_list(struct s3 *s, const char *prefix, int (*each)(void *arg, const struct s3_object *o),
            void *arg, struct err *e);

/* --- uploads in parts --- */

struct s3_upload {
    const char *key, *id; /* borrowed */
};

struct s3_part {
    int number; /* from 1 */
    int64_t bytes;
    char etag[S3_ETAG_SIZE];
};

int s3_upload_begin(struct s3 *s, const char *key, char ret_id[S3_UPLOAD_ID_SIZE], struct err *e);
/* `part` has the number; gets size and ETag. */
int s3_upload_part(struct s3 *s, const struct s3_upload *u, const struct buf *data,
                   struct s3_part *part, struct err *e);
/* The parts that the store has, by number. */
int s3_upload_list(struct s3 *s, const struct s3_upload *u,
                   int (*each)(void *arg, const struct s3_part *part), void *arg, struct err *e);
/* All parts, by number. When an answer was lost the store may know the upload no more, or fail
 * otherwise, although the object is there. */
int s3_upload_complete(struct s3 *s, const struct s3_upload *u, const struct s3_part *parts,
                       size_t n, struct err *e);
int s3_upload_abort(struct s3 *s, const struct s3_upload *u, struct err *e);
