/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Accounts and keys as they are remembered. Threads and errors as in store.h. */

#include "host/accounts.h"
#include "host/store.h"

#define KEY_HASH_BYTES 32

struct key_record {
    struct key_info info;
    unsigned char hash[KEY_HASH_BYTES]; /* SHA-256 of the key */
};

/* Inserts it, or replaces the one of the same id; `usage` is not stored. */
int store_account_put(struct store *s, const struct account_info *a, struct err *e);
int store_account_delete(struct store *s, const char *id,
                         struct err *e); /* with its keys and activity */
/* In order of creation. The caller frees *ret, an array of *ret_n. */
int store_account_list(struct store *s, struct account_info **ret, size_t *ret_n, struct err *e);

/* Inserts it, or replaces the one of the same id. */
int store_key_put(struct store *s, const struct key_record *k, struct err *e);
int store_key_used(struct store *s, const char *id, int64_t last_used_ns, struct err *e);
int store_key_delete(struct store *s, const char *id, struct err *e);
int store_key_list(struct store *s, struct key_record **ret, size_t *ret_n, struct err *e);
