/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who signs in, what happened, and to whom it is told, as they are remembered. Threads and errors
 * as in store.h. */

#include "host/accounts.h"
#include "host/activity.h"
#include "host/sessions.h"
#include "host/store.h"
#include "host/webhooks.h"

#define SESSION_HASH_BYTES 32

struct session_record {
    unsigned char hash[SESSION_HASH_BYTES]; /* SHA-256 of the token */
    char account[ID_SIZE];
    char email[SESSION_EMAIL_SIZE]; /* "" when it was made with a key */
    char key[KEY_REF_SIZE];         /* that key, by accounts_find_key; "" with a password */
    int64_t created_ns;
    int64_t expires_ns;
};

/* Inserts it, or replaces the one of the same hash. */
int store_session_put(struct store *s, const struct session_record *r, struct err *e);
int store_session_delete(struct store *s, const unsigned char hash[SESSION_HASH_BYTES],
                         struct err *e); /* absent is fine */
/* The newest last. The caller frees *ret, an array of *ret_n. */
int store_session_list(struct store *s, struct session_record **ret, size_t *ret_n, struct err *e);

/* Who may sign in with a password: "" and "" when nobody may. */
struct admin_record {
    char email[SESSION_EMAIL_SIZE];
    char hash[128]; /* as crypto_pwhash_str makes it */
};
int store_admin_get(struct store *s, struct admin_record *ret, struct err *e);
/* All sessions that were made with a password end with the former one. */
int store_admin_put(struct store *s, const struct admin_record *r, struct err *e);

/* An event that is to be written; borrowed. */
struct activity_row {
    int64_t at_ns;
    const char *account, *type, *entity, *name, *text, *data;
};
/* All or none, with growing numbers; *ret_last is that of the last. */
int store_activity_add(struct store *s, const struct activity_row *rows, size_t n,
                       int64_t *ret_last, struct err *e);
/* Leaves the newest `keep` of an account. */
int store_activity_trim(struct store *s, const char *account, int keep, struct err *e);
/* Of the newest there has ever been; 0: none. */
int store_activity_newest(struct store *s, int64_t *ret, struct err *e);

struct activity_query {
    const char *account; /* NULL: of all */
    int64_t from;        /* those before it, newest first; or those after it, oldest first */
    bool after;
    int limit;
};
int store_activity_list(struct store *s, const struct activity_query *q, struct activity_list *ret,
                        struct err *e);

/* Inserts or replaces. */
int store_webhook_put(struct store *s, const struct webhook_info *w, struct err *e);
int store_webhook_delete(struct store *s, const char *id, struct err *e);
/* `row` is a struct webhook_info; in order of creation. */
int store_webhooks_each(struct store *s, int (*each)(void *arg, const void *row), void *arg,
                        struct err *e);
