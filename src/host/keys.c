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
#include "host/activity.h"

#define HOLM_PREFIX "holm_"
#define HOLM_RANDOM_CHARS 40
#define HOLM_KEY_LEN (sizeof(HOLM_PREFIX) - 1 + HOLM_RANDOM_CHARS)
#define RDS_PREFIX "rds_"
#define RDS_NAME_BYTES 6 /* of its first part, which tells keys apart */
#define RDS_RANDOM_BYTES 32

_Static_assert(HOLM_KEY_LEN < KEY_SIZE, "a key fits");
_Static_assert(KEY_SIZE == sizeof(RDS_PREFIX) + 2 * RDS_NAME_BYTES + 1 + 43, "the longest fits");
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

static struct key_record *find_key(struct accounts *a, const unsigned char hash[KEY_HASH_BYTES])
{
    size_t i = key_place(a, hash);
    bool found = i < a->n_keys && memcmp(a->keys[i].hash, hash, KEY_HASH_BYTES) == 0;
    return found && key_is_live(&a->keys[i].info, clock_real_ns()) ? &a->keys[i] : NULL;
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

/* Those that count against the bound, or those that are only remembered. */
static size_t count_keys(const struct accounts *a, const char *account, bool revoked)
{
    size_t n = 0;
    for (size_t i = 0; i < a->n_keys; i++)
        n += strcmp(a->keys[i].info.account, account) == 0 &&
             (a->keys[i].info.revoked_ns != 0) == revoked;
    return n;
}

static struct key_record *oldest_revoked(struct accounts *a, const char *account)
{
    struct key_record *oldest = NULL;
    for (size_t i = 0; i < a->n_keys; i++) {
        struct key_record *k = &a->keys[i];
        if (k->info.revoked_ns && strcmp(k->info.account, account) == 0 &&
            (!oldest || k->info.revoked_ns < oldest->info.revoked_ns))
            oldest = k;
    }
    return oldest;
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

static void holm_key_text(char ret[KEY_SIZE])
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    size_t n = strlen(HOLM_PREFIX);
    memcpy(ret, HOLM_PREFIX, n);
    while (n < HOLM_KEY_LEN) {
        unsigned char raw[2 * HOLM_RANDOM_CHARS];
        id_random(raw, sizeof(raw));
        /* 248 = 4 * 62: bytes from there on would favour some digits. */
        for (size_t i = 0; i < sizeof(raw) && n < HOLM_KEY_LEN; i++) {
            if (raw[i] < 248)
                ret[n++] = digits[raw[i] % 62];
        }
        sodium_memzero(raw, sizeof(raw));
    }
    ret[n] = '\0';
}

static void rds_key_text(char ret[KEY_SIZE])
{
    unsigned char raw[RDS_NAME_BYTES + RDS_RANDOM_BYTES];
    char *p = stpcpy(ret, RDS_PREFIX);
    id_random(raw, sizeof(raw));
    sodium_bin2hex(p, 2 * RDS_NAME_BYTES + 1, raw, RDS_NAME_BYTES);
    p += 2 * RDS_NAME_BYTES;
    *p++ = '_';
    sodium_bin2base64(p, (size_t)(ret + KEY_SIZE - p), raw + RDS_NAME_BYTES, RDS_RANDOM_BYTES,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(raw, sizeof(raw));
}

/* Room for one more, in the account's number of keys and in memory. */
static int make_room(struct accounts *a, const char *account, struct err *e)
{
    AUTO_LOCK(&a->lock);
    if (!accounts_find(a, account))
        return accounts_none(account, e);
    if (count_keys(a, account, false) >= ACCOUNT_KEYS_MAX)
        return err_set(e, ERR_FORBIDDEN, "the account has %d keys already: revoke one",
                       ACCOUNT_KEYS_MAX);
    int r = keys_reserve(a);
    return r < 0 ? err_errno(e, r, "create a key") : 0;
}

/* With `change` held. */
int keys_add(struct accounts *a, const struct key_wish *w, struct key_record *ret,
             char ret_key[KEY_SIZE], struct err *e)
{
    struct key_record k = {
        .info.created_ns = clock_real_ns(),
        .info.expires_ns = w->expires_ns,
    };
    int r = accounts_copy_name(w->name && *w->name ? w->name : "key", k.info.name, e);
    if (r == 0 && w->expires_ns && w->expires_ns <= k.info.created_ns)
        r = err_field(e, "expiresAt", "field \"expiresAt\" must be in the future");
    if (r == 0)
        r = make_room(a, w->account, e);
    if (r < 0)
        return r;
    char text[KEY_SIZE];
    if (w->form == KEY_FORM_RDS)
        rds_key_text(text);
    else
        holm_key_text(text);
    id_new(k.info.id);
    snprintf(k.info.account, sizeof(k.info.account), "%s", w->account);
    snprintf(k.info.prefix, sizeof(k.info.prefix), "%s", text);
    crypto_hash_sha256(k.hash, (const unsigned char *)text, strlen(text));
    r = store_key_put(a->store, &k, e);
    if (r == 0) {
        AUTO_LOCK(&a->lock);
        keys_insert(a, &k);
        memcpy(ret_key, text, KEY_SIZE);
        *ret = k;
    }
    sodium_memzero(text, sizeof(text));
    return r;
}

static void note_key(struct host *h, const char *type, const struct key_info *k)
{
    const struct activity_note n = {
        .account = k->account, .type = type, .entity = k->id, .name = k->name};
    host_note(h, &n);
}

int host_key_create(struct host *h, const struct key_wish *w, struct key_info *ret,
                    char ret_key[KEY_SIZE], struct err *e)
{
    struct accounts *a = h->accounts;
    struct key_record k;
    int r;
    {
        AUTO_LOCK(&a->change);
        r = keys_add(a, w, &k, ret_key, e);
    }
    if (r < 0)
        return r;
    note_key(h, "key.created", &k.info);
    if (ret)
        *ret = k.info;
    return 0;
}

/* ---- the configuration's key ---- */

int accounts_set_key(struct accounts *a, const char *key, struct err *e)
{
    size_t len = strlen(key);
    if (len < KEY_CONFIGURED_MIN_BYTES || len > KEY_CONFIGURED_MAX_BYTES)
        return err_field(e, "api_key", "rds.api_key (API_KEY) must have %d to %d characters",
                         KEY_CONFIGURED_MIN_BYTES, KEY_CONFIGURED_MAX_BYTES);
    crypto_hash_sha256(a->set_key, (const unsigned char *)key, len);
    a->has_set_key = true;
    return 0;
}

/* No id begins like this. */
static void set_key_ref(const struct accounts *a, char ret[KEY_REF_SIZE])
{
    char hex[2 * KEY_HASH_BYTES + 1];
    sodium_bin2hex(hex, sizeof(hex), a->set_key, KEY_HASH_BYTES);
    snprintf(ret, KEY_REF_SIZE, "~%.20s", hex);
}

/* ---- whose it is ---- */

/* Lock held. NULL: nobody's. */
static const struct account *owner_of(struct accounts *a, const char *key, struct key_record **ret)
{
    unsigned char hash[KEY_HASH_BYTES];
    size_t len = strnlen(key, KEY_CONFIGURED_MAX_BYTES + 1);
    *ret = NULL;
    if (len > KEY_CONFIGURED_MAX_BYTES)
        return NULL;
    crypto_hash_sha256(hash, (const unsigned char *)key, len);
    *ret = find_key(a, hash);
    if (*ret)
        return accounts_find(a, (*ret)->info.account);
    if (!a->has_set_key || sodium_memcmp(hash, a->set_key, sizeof(hash)) != 0)
        return NULL;
    for (size_t i = 0; i < a->n_accounts; i++) {
        if (a->accounts[i].info.admin)
            return &a->accounts[i];
    }
    return NULL;
}

static int no_key(struct err *e)
{
    return err_set(e, ERR_UNAUTHORIZED, "the API key is not valid");
}

int host_key_account(struct host *h, const char *key, char ret_account[ID_SIZE], bool *ret_admin,
                     struct err *e)
{
    struct accounts *a = h->accounts;
    char id[ID_SIZE] = "";
    int64_t now = clock_real_ns();
    {
        AUTO_LOCK(&a->lock);
        struct key_record *k;
        const struct account *owner = owner_of(a, key, &k);
        if (!owner)
            return no_key(e);
        memcpy(ret_account, owner->info.id, ID_SIZE);
        if (ret_admin)
            *ret_admin = owner->info.admin;
        if (k && now - k->info.last_used_ns >= KEY_USED_INTERVAL_S * 1000000000LL) {
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

int accounts_find_key(struct accounts *a, const char *key, char ret_account[ID_SIZE],
                      char ret_ref[KEY_REF_SIZE], struct err *e)
{
    AUTO_LOCK(&a->lock);
    struct key_record *k;
    const struct account *owner = owner_of(a, key, &k);
    if (!owner)
        return no_key(e);
    memcpy(ret_account, owner->info.id, ID_SIZE);
    if (k)
        memcpy(ret_ref, k->info.id, ID_SIZE);
    else
        set_key_ref(a, ret_ref);
    return 0;
}

bool accounts_key_lives(struct accounts *a, const char *ref)
{
    char set[KEY_REF_SIZE];
    AUTO_LOCK(&a->lock);
    if (*ref == '~') {
        set_key_ref(a, set);
        return a->has_set_key && strcmp(ref, set) == 0;
    }
    const struct key_record *k = find_key_id(a, NULL, ref);
    return k && key_is_live(&k->info, clock_real_ns());
}

bool accounts_is_admin(struct accounts *a, const char *account, bool *ret_admin)
{
    AUTO_LOCK(&a->lock);
    const struct account *found = accounts_find(a, account);
    if (found)
        *ret_admin = found->info.admin;
    return found != NULL;
}

/* ---- looking, revoking ---- */

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

/* Of those that are only remembered, the oldest makes room. With `change` held. */
static void forget_one(struct accounts *a, const char *account)
{
    char id[ID_SIZE] = "";
    struct err e = ERR_INIT;
    {
        AUTO_LOCK(&a->lock);
        const struct key_record *k = oldest_revoked(a, account);
        if (count_keys(a, account, true) > ACCOUNT_KEYS_MAX && k)
            memcpy(id, k->info.id, ID_SIZE);
    }
    if (!*id)
        return;
    if (store_key_delete(a->store, id, &e) < 0) {
        log_warn("accounts", "key=%s is revoked and cannot be forgotten: %s", id, e.text);
        return;
    }
    AUTO_LOCK(&a->lock);
    drop_key(a, (size_t)(find_key_id(a, NULL, id) - a->keys));
}

static int revoke_key(struct accounts *a, const char *account, const char *id,
                      struct key_record *ret, struct err *e)
{
    AUTO_LOCK(&a->change);
    {
        AUTO_LOCK(&a->lock);
        const struct key_record *k = find_key_id(a, account, id);
        if (!k)
            return err_set(e, ERR_NOT_FOUND, "there is no key %.40s", id);
        *ret = *k;
    }
    if (ret->info.revoked_ns)
        return 1;
    ret->info.revoked_ns = clock_real_ns();
    int r = store_key_put(a->store, ret, e);
    if (r < 0)
        return r;
    {
        AUTO_LOCK(&a->lock);
        find_key_id(a, account, id)->info.revoked_ns = ret->info.revoked_ns;
    }
    forget_one(a, ret->info.account);
    return 0;
}

int host_key_revoke(struct host *h, const char *account, const char *id, struct err *e)
{
    struct key_record k;
    int r = revoke_key(h->accounts, account, id, &k, e);
    if (r == 0)
        note_key(h, "key.revoked", &k.info);
    return r;
}
