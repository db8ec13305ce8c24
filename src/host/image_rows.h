/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Uploaded images: what is known of each, for image*.c. They are few and asked about at every
 * launch: held in memory behind one leaf lock; the store is written first.
 *
 * The files are the truth about files: an upload counts from the instant at which it is renamed
 * into place, and what the store says of size and time is made to fit when the daemon starts. What
 * a killed daemon left - an upload half way, the directory of an image that is no more - is removed
 * then. */

#include <limits.h>
#include <stdbool.h>

#include "host/images.h"

struct accounts;
struct host;
struct image_rows;

struct image_row {
    struct image_row *next; /* in order of creation */
    struct image_info info; /* without state and detail */
    bool uploading[2];      /* by enum image_part: nobody else does, and it is not deleted */
    bool busy;              /* its row is being written, or it is being deleted: likewise */
    bool hidden;            /* it is being deleted, and cannot be found any more */
};

/* What of its account's quota of disk its files take. */
static inline int64_t image_bytes(const struct image_info *i)
{
    return i->kernel_bytes + i->disk_bytes;
}

/* Needs the store and the configuration. */
int image_rows_new(struct host *h, struct image_rows **ret, struct err *e);
/* Adds what there is to the accounts' usage: once, when the accounts are there and before anything
 * is asked. */
void image_rows_charge(struct image_rows *s, struct accounts *a);
void image_rows_free(struct image_rows *s); /* NULL is fine */

/* DATA/images/KEY, or a file in it ("": the directory); PATH_MAX bytes. */
void image_path(const struct host *h, const char *key, const char *file, char *ret);

/* Whether there is an uploaded image of this key, whoever owns it. */
bool image_rows_has(struct image_rows *s, const char *key);
/* The same, also while it is being deleted: then the directory of that name is no built-in one's.
 */
bool image_rows_own(struct image_rows *s, const char *key);
/* By id or, when just one of the account's has it, by name. ERR_NOT_FOUND; ERR_CONFLICT: several
 * have that name. */
int image_rows_get(struct image_rows *s, const char *account, const char *ref,
                   struct image_info *ret, struct err *e);
/* The account's; the caller frees. */
int image_rows_list(struct image_rows *s, const char *account, struct image_info **ret,
                    size_t *ret_n, struct err *e);

/* How many an account has; `s` NULL: none. */
size_t image_rows_count(struct image_rows *s, const char *account);

/* ERR_FORBIDDEN: the account has IMAGES_ACCOUNT_MAX. */
int image_rows_add(struct image_rows *s, const struct image_info *info, struct err *e);

/* The account's, for one who changes it: nobody else does until image_rows_end. `part` negative:
 * the row itself, while nothing is uploaded. ERR_CONFLICT: somebody does already. */
int image_rows_begin(struct image_rows *s, const char *account, const char *id, int part,
                     struct image_info *ret, struct err *e);
/* With what is new about it, which has been stored; NULL: nothing. */
void image_rows_end(struct image_rows *s, const char *id, int part, const struct image_info *next);
/* It is being deleted: from now on it cannot be found. Begun with part -1. */
void image_rows_hide(struct image_rows *s, const char *id, bool hide);
/* Gone. */
void image_rows_remove(struct image_rows *s, const char *id);

/* Of an account; "": the configuration's. */
void image_rows_default(struct image_rows *s, const char *account, char ret[IMAGE_KEY_SIZE]);
int image_rows_set_default(struct image_rows *s, const char *account, const char *key,
                           struct err *e);
