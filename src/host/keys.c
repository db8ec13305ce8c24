/* SPDX-License-Identifier: Apache-2.0 */

/* Keys. One is found by its hash with a binary search. How long that takes tells something about
 * the hash, which helps nobody to find a key that has it. */

#include "host/accounts_priv.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"

#define KEY_PREFIX "holm_"
#define KEY_RANDOM_CHARS 40

_Static_assert(KEY_SIZE == sizeof(KEY_PREFIX) + KEY_RANDOM_CHARS, "a key fits");
_Static_assert(KEY_HASH_BYTES == crypto_hash_sha256_BYTES, "a hash fits");

/* ---- in memory: with the lock held ---- */

/* Where the key with this hash is, or would be. */
static size_t key_place(const struct accounts *a, const unsigned char hash[KEY_HASH_BYTES])
{
    size_t low = 0, high = a->n_keys;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (memcmp(a->keys[mid].hash, hash, KEY_HASH_BYTES) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct key_record *find_key(struct accounts *a, const char *key)
{
    unsigned char hash[KEY_HASH_BYTES];
    size_t len = strlen(key);
    if (len != KEY_SIZE - 1)
        return NULL;
    crypto_hash_sha256(hash, (const unsigned char *)key, len);
    size_t i = key_place(a, hash);
    bool found = i < a->n_keys && memcmp(a->keys[i].hash, hash, KEY_HASH_BYTES) == 0;
    return found ? &a->keys[i] : NULL;
}

static struct key_record *find_key_id(struct accounts *a, const char *account, const char *id)
{
    for (size_t i = 0; i < a->n_keys; i++) {
        struct key_record *k = &a->keys[i];
        if (strcmp(k->info.id, id) == 0 && (!account || strcmp(k->info.account, account) == 0))
            return k;
    }
    return NULL;
}

static size_t count_keys(const struct accounts *a, const char *account)
{
    size_t n = 0;
    for (size_t i = 0; i < a->n_keys; i++)
        n += strcmp(a->keys[i].info.account, account) == 0;
    return n;
}

int keys_reserve(struct accounts *a)
{
    return accounts_reserve((void **)&a->keys, a->n_keys, &a->cap_keys, sizeof(*a->keys));
}

void keys_insert(struct accounts *a, const struct key_record *k)
{
    size_t i = key_place(a, k->hash);
    memmove(&a->keys[i + 1], &a->keys[i], (a->n_keys - i) * sizeof(*a->keys));
    a->keys[i] = *k;
    a->n_keys++;
}

static void drop_key(struct accounts *a, size_t i)
{
    a->n_keys--;
    memmove(&a->keys[i], &a->keys[i + 1], (a->n_keys - i) * sizeof(*a->keys));
}

void keys_drop_of(struct accounts *a, const char *account)
{
    for (size_t i = a->n_keys; i-- > 0;) {
        if (strcmp(a->keys[i].info.account, account) == 0)
            drop_key(a, i);
    }
}

/* ---- making, using, revoking ---- */

static void new_key_text(char ret[KEY_SIZE])
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    size_t n = strlen(KEY_PREFIX);
    memcpy(ret, KEY_PREFIX, n);
    while (n < KEY_SIZE - 1) {
        unsigned char raw[2 * KEY_RANDOM_CHARS];
        id_random(raw, sizeof(raw));
        /* 248 = 4 * 62: bytes from there on would favour some digits. */
        for (size_t i = 0; i < sizeof(raw) && n < KEY_SIZE - 1; i++) {
            if (raw[i] < 248)
                ret[n++] = digits[raw[i] % 62];
        }
        sodium_memzero(raw, sizeof(raw));
    }
    ret[n] = '\0';
}

/* With `change` held. */
int keys_add(struct accounts *a, const char *account, const char *name, struct key_record *ret,
             char ret_key[KEY_SIZE], struct err *e)
{
    struct key_record k = {.info.created_ns = clock_real_ns()};
    int r = accounts_copy_name(name && *name ? name : "key", k.info.name, e);
    if (r < 0)
        return r;
    {
        AUTO_LOCK(&a->lock);
        if (!accounts_find(a, account))
            return accounts_none(account, e);
        if (count_keys(a, account) >= ACCOUNT_KEYS_MAX)
            return err_set(e, ERR_FORBIDDEN, "the account has %d keys already: revoke one",
                           ACCOUNT_KEYS_MAX);
        r = keys_reserve(a);
        if (r < 0)
            return err_errno(e, r, "create a key");
    }
    char text[KEY_SIZE];
    new_key_text(text);
    id_new(k.info.id);
    snprintf(k.info.account, sizeof(k.info.account), "%s", account);
    snprintf(k.info.prefix, sizeof(k.info.prefix), "%s", text);
    crypto_hash_sha256(k.hash, (const unsigned char *)text, strlen(text));
    r = store_key_add(a->store, &k, e);
    if (r == 0) {
        AUTO_LOCK(&a->lock);
        keys_insert(a, &k);
        memcpy(ret_key, text, KEY_SIZE);
        *ret = k;
    }
    sodium_memzero(text, sizeof(text));
    return r;
}

int host_key_create(struct host *h, const char *account, const char *name, struct key_info *ret,
                    char ret_key[KEY_SIZE], struct err *e)
{
    struct accounts *a = h->accounts;
    struct key_record k;
    AUTO_LOCK(&a->change);
    int r = keys_add(a, account, name, &k, ret_key, e);
    if (r == 0 && ret)
        *ret = k.info;
    return r;
}

int host_key_account(struct host *h, const char *key, char ret_account[ID_SIZE], bool *ret_admin,
                     struct err *e)
{
    struct accounts *a = h->accounts;
    char id[ID_SIZE] = "";
    int64_t now = clock_real_ns();
    {
        AUTO_LOCK(&a->lock);
        struct key_record *k = find_key(a, key);
        const struct account *owner = k ? accounts_find(a, k->info.account) : NULL;
        if (!owner)
            return err_set(e, ERR_UNAUTHORIZED, "the API key is not valid");
        memcpy(ret_account, owner->info.id, ID_SIZE);
        if (ret_admin)
            *ret_admin = owner->info.admin;
        if (now - k->info.last_used_ns >= KEY_USED_INTERVAL_S * 1000000000LL) {
            k->info.last_used_ns = now;
            memcpy(id, k->info.id, ID_SIZE);
        }
    }
    struct err ignored = ERR_INIT;
    static struct log_limit limit;
    /* Nice to know, and no reason to refuse a request. */
    if (*id && store_key_used(a->store, id, now, &ignored) < 0 && log_limit_pass(&limit))
        log_warn("accounts", "key=%s its use was not noted: %s", id, ignored.text);
    return 0;
}

static int by_age(const void *x, const void *y)
{
    const struct key_info *a = x, *b = y;
    if (a->created_ns != b->created_ns)
        return a->created_ns < b->created_ns ? -1 : 1;
    return strcmp(a->id, b->id);
}

int host_key_list(struct host *h, const char *account, struct key_info **ret, size_t *ret_n,
                  struct err *e)
{
    struct accounts *a = h->accounts;
    AUTO_LOCK(&a->lock);
    struct key_info *list = calloc(a->n_keys + 1, sizeof(*list));
    if (!list)
        return err_errno(e, -ENOMEM, "list keys");
    size_t n = 0;
    for (size_t i = 0; i < a->n_keys; i++) {
        if (!account || strcmp(a->keys[i].info.account, account) == 0)
            list[n++] = a->keys[i].info;
    }
    qsort(list, n, sizeof(*list), by_age);
    *ret = list;
    *ret_n = n;
    return 0;
}

int host_key_revoke(struct host *h, const char *account, const char *id, struct err *e)
{
    struct accounts *a = h->accounts;
    AUTO_LOCK(&a->change);
    {
        AUTO_LOCK(&a->lock);
        if (!find_key_id(a, account, id))
            return err_set(e, ERR_NOT_FOUND, "there is no key %.40s", id);
    }
    int r = store_key_delete(a->store, id, e);
    if (r < 0)
        return r;
    AUTO_LOCK(&a->lock);
    drop_key(a, (size_t)(find_key_id(a, account, id) - a->keys));
    return 0;
}
