/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Accounts, their API keys and quotas. The store has only a key's SHA-256 (the key itself is
 * random, so nothing slower is needed), which is also how it is found. Accounts and keys are few
 * and asked about at every request: they are held in memory, behind one leaf lock; what changes is
 * in the store before the call returns. Any thread. */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "engine/engine.h"

struct host;
struct store;
struct accounts;

#define ACCOUNT_NAME_SIZE 129
#define KEY_SIZE 61 /* of the longest form, with its NUL */

enum key_form {
    KEY_FORM_HOLM, /* "holm_" and 40 letters and digits */
    KEY_FORM_RDS,  /* "rds_", 12 hexadecimal digits, "_", 43 characters of base64url */
};

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
    int64_t expires_ns;   /* from then on it is worth nothing; 0: never */
    int64_t revoked_ns;   /* when it was revoked; 0: it was not */
};

/* Whether it is worth something at that moment. */
static inline bool key_is_live(const struct key_info *k, int64_t now_ns)
{
    return !k->revoked_ns && (!k->expires_ns || now_ns < k->expires_ns);
}

struct key_wish {
    const char *account;
    const char *name; /* NULL or "": "key" */
    enum key_form form;
    int64_t expires_ns; /* 0: never */
};

/* Whose key it is; ERR_UNAUTHORIZED, also when it has expired or was revoked. `ret_admin` may be
 * NULL. The key of the configuration (rds.api_key) is the first admin account's; it is in no list.
 */
int host_key_account(struct host *h, const char *key, char ret_account[ID_SIZE], bool *ret_admin,
                     struct err *e);

/* ret_key: shown once, nowhere else. */
int host_key_create(struct host *h, const struct key_wish *w, struct key_info *ret,
                    char ret_key[KEY_SIZE], struct err *e);
/* In order of creation, those that are worth nothing any more too: the newest ACCOUNT_KEYS_MAX
 * revoked ones of an account are kept. `account` NULL: of all accounts. *ret is an array of *ret_n;
 * the caller frees. */
int host_key_list(struct host *h, const char *account, struct key_info **ret, size_t *ret_n,
                  struct err *e);
/* At once. 1: it was revoked before. */
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

/* One more key of the admin, 8 to KEY_CONFIGURED_MAX_BYTES characters, of which only the hash is
 * kept, in memory; before anything is asked. */
int accounts_set_key(struct accounts *a, const char *key, struct err *e);

#define KEY_REF_SIZE (ID_SIZE + 1)
/* A live key's owner and a text by which accounts_key_lives knows it again. */
int accounts_find_key(struct accounts *a, const char *key, char ret_account[ID_SIZE],
                      char ret_ref[KEY_REF_SIZE], struct err *e);
bool accounts_key_lives(struct accounts *a, const char *ref);
/* False: there is no such account. */
bool accounts_is_admin(struct accounts *a, const char *account, bool *ret_admin);
/* The oldest account of an admin. */
void accounts_first_admin(struct accounts *a, char ret[ID_SIZE]);

/* Adds to what an account uses, or refuses (ERR_FORBIDDEN: which quota, its limit, what is used;
 * ERR_NOT_FOUND: the account has been deleted) and adds nothing. Members may be 0. */
int accounts_charge(struct accounts *a, const char *account, const struct quota *delta,
                    struct err *e);
/* Adds without looking at limits: what was there before the daemon started. */
void accounts_count(struct accounts *a, const char *account, const struct quota *delta);
void accounts_release(struct accounts *a, const char *account, const struct quota *delta);
