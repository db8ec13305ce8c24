/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Accounts, their API keys and quotas. A key is "holm_" and 40 characters; the store has only its
 * SHA-256 (the key itself is random, so nothing slower is needed), which is also how it is found.
 * Accounts and keys are few and asked about at every request: they are held in memory, behind one
 * leaf lock; what changes is in the store before the call returns. Any thread. */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "engine/engine.h"

struct host;
struct store;
struct accounts;

#define ACCOUNT_NAME_SIZE 129
#define KEY_SIZE 46 /* with its NUL */

struct quota {
    int64_t vcpus;
    int64_t memory_mib;
    int64_t disk_bytes;
    int64_t snapshots;
};

struct account_info {
    char id[ID_SIZE];
    char name[ACCOUNT_NAME_SIZE];
    bool admin; /* may manage accounts and others' keys */
    int64_t created_ns;
    struct quota limits; /* a member that is 0: no bound */
    struct quota usage;
};

struct key_info {
    char id[ID_SIZE];
    char account[ID_SIZE];
    char name[ACCOUNT_NAME_SIZE];
    char prefix[13]; /* the first characters, to tell keys apart */
    int64_t created_ns;
    int64_t last_used_ns; /* to the minute; 0: never */
};

/* Whose key it is; ERR_UNAUTHORIZED. `ret_admin` may be NULL. */
int host_key_account(struct host *h, const char *key, char ret_account[ID_SIZE], bool *ret_admin,
                     struct err *e);

/* ret_key: shown once, nowhere else. */
int host_key_create(struct host *h, const char *account, const char *name, struct key_info *ret,
                    char ret_key[KEY_SIZE], struct err *e);
/* `account` NULL: of all accounts. *ret is an array of *ret_n; the caller frees. */
int host_key_list(struct host *h, const char *account, struct key_info **ret, size_t *ret_n,
                  struct err *e);
int host_key_revoke(struct host *h, const char *account, const char *id, struct err *e);

/* A member of `limits` that is negative is the default of the configuration, or stays as it is.
 * `limits` NULL: all of them. */
int host_account_create(struct host *h, const char *name, const struct quota *limits,
                        struct account_info *ret, struct err *e);
int host_account_get(struct host *h, const char *id, struct account_info *ret, struct err *e);
int host_account_list(struct host *h, struct account_info **ret, size_t *ret_n, struct err *e);
/* `name`, `limits`: NULL leaves it. */
int host_account_update(struct host *h, const char *id, const char *name,
                        const struct quota *limits, struct account_info *ret, struct err *e);
/* With its keys; ERR_CONFLICT while it has VMs, snapshots or images, or is the last admin. */
int host_account_delete(struct host *h, const char *id, struct err *e);

/* --- for the host's own files: host->accounts --- */

/* Reads all from the store, which is borrowed. `defaults` are the limits of new accounts. When
 * there is no account it makes one, "default", for the admin; whenever DATA/admin.key is not there,
 * or no key of an admin is left, it makes a key for that and writes it there, readable by root
 * only. */
int accounts_new(struct store *s, const char *data_dir, const struct quota *defaults,
                 struct accounts **ret, struct err *e);
void accounts_free(struct accounts *a); /* NULL is fine */

/* Adds to what an account uses, or refuses (ERR_FORBIDDEN: which quota, its limit, what is used;
 * ERR_NOT_FOUND: the account has been deleted) and adds nothing. Members may be 0. */
int accounts_charge(struct accounts *a, const char *account, const struct quota *delta,
                    struct err *e);
/* Adds without looking at limits: what was there before the daemon started. */
void accounts_count(struct accounts *a, const char *account, const struct quota *delta);
void accounts_release(struct accounts *a, const char *account, const struct quota *delta);
