/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Staged objects: files that wait between a client and a VM. An upload and a download URL are
 * signed (HMAC-SHA-256 over method, object, bound and expiry, with a key that only this host has),
 * so that whoever has the URL needs no API key. An object is there once it was uploaded to the end;
 * until then a download is ERR_NOT_FOUND. Uploading again replaces it. All are gone a day after
 * they were signed. Any thread. */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"

struct host;
struct staging;

/* The host's; borrowed for its life. */
struct staging *host_staging(struct host *h);

#define STAGING_QUERY_SIZE 256

/* `dir` is made when missing; the signing key lives in it. */
int staging_new(const char *dir, struct staging **ret, struct err *e);
void staging_free(struct staging *s);

struct staging_ticket {
    char object[ID_SIZE];
    char upload_query[STAGING_QUERY_SIZE]; /* what follows "/v1/staging/OBJECT?" */
    char download_query[STAGING_QUERY_SIZE];
    int expires_s;
};
/* A new object of at most max_bytes, for one VM of one account. */
int staging_sign(struct staging *s, const char *account, uint64_t max_bytes,
                 struct staging_ticket *ret, struct err *e);

/* ERR_FORBIDDEN: the signature is wrong, or its time is over. `query` as it came. */
int staging_check(struct staging *s, bool upload, const char *object, const char *query,
                  uint64_t *ret_max_bytes, struct err *e);

/* Writing: an fd of a new unnamed file; commit gives it the object's name. */
int staging_create(struct staging *s, int *ret_fd, struct err *e);
int staging_commit(struct staging *s, const char *object, int fd, struct err *e);
/* A new descriptor for reading. */
int staging_open(struct staging *s, const char *object, int *ret_fd, uint64_t *ret_bytes,
                 struct err *e);
/* Whose object it is: ERR_NOT_FOUND for another account's. */
int staging_check_owner(struct staging *s, const char *account, const char *object, struct err *e);

/* Removes what is older than a day; called once a minute. */
void staging_sweep(struct staging *s);
