/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Accounts from the inside, for accounts.c, keys.c and accounts_load.c.
 *
 * All accounts and keys are in memory. Who changes them holds `change` from the look at what there
 * is until store and memory are changed; who only reads holds the leaf lock, never over the store.
 * Memory for what is added is there before the store is written, so that both change or none. */

#include "host/accounts.h"
#include "host/host_priv.h"
#include "host/store_accounts.h"

struct account {
    struct account_info info;
    bool is_closing; /* being deleted: uses nothing, and cannot begin to */
};

struct accounts {
    struct store *store;
    struct quota defaults;
    pthread_mutex_t change;   /* serialises changes; taken before `lock`, held over the store */
    pthread_mutex_t lock;     /* leaf; guards everything below */
    struct account *accounts; /* in order of creation */
    size_t n_accounts, cap_accounts;
    struct key_record *keys; /* by hash */
    size_t n_keys, cap_keys;

    /* The configuration's; constant once requests come. */
    bool has_set_key;
    unsigned char set_key[KEY_HASH_BYTES];
};

/* --- with the lock held --- */

struct account *accounts_find(struct accounts *a, const char *id); /* NULL: there is none */
/* Room for one more. -ENOMEM. */
int accounts_reserve(void **list, size_t n, size_t *cap, size_t size);
int accounts_reserve_account(struct accounts *a);
int keys_reserve(struct accounts *a);
void keys_insert(struct accounts *a, const struct key_record *k);
/* Forgets all of an account's. */
void keys_drop_of(struct accounts *a, const char *account);

/* --- with `change` held --- */

int accounts_add(struct accounts *a, const struct account_info *fresh, struct err *e);
int keys_add(struct accounts *a, const struct key_wish *w, struct key_record *ret,
             char ret_key[KEY_SIZE], struct err *e);

/* ERR_NOT_FOUND. */
int accounts_none(const char *id, struct err *e);
/* Checks and copies the name of an account or key; ERR_INVALID. */
int accounts_copy_name(const char *name, char ret[ACCOUNT_NAME_SIZE], struct err *e);
