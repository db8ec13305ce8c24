/* SPDX-License-Identifier: Apache-2.0 */

/* All accounts and keys are in memory. Who changes them holds `change` from the look at what there
 * is until store and memory are changed; who only reads holds the leaf lock, never over the store.
 * Memory for what is added is there before the store is written, so that both change or none.
 *
 * A key is found by its hash with a binary search. How long that takes tells something about the
 * hash, which helps nobody to find a key that has it. */

#include "host/accounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/host_priv.h"
#include "host/store_accounts.h"

#define KEY_PREFIX "holm_"
#define KEY_RANDOM_CHARS 40

_Static_assert(KEY_SIZE == sizeof(KEY_PREFIX) + KEY_RANDOM_CHARS, "a key fits");
_Static_assert(KEY_HASH_BYTES == crypto_hash_sha256_BYTES, "a hash fits");
_Static_assert(ACCOUNT_NAME_SIZE == ACCOUNT_NAME_MAX_BYTES + 1, "a name fits");

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
};

/* ---- looking: with the lock held ---- */

static struct account *find_account(struct accounts *a, const char *id)
{
    for (size_t i = 0; i < a->n_accounts; i++) {
        if (strcmp(a->accounts[i].info.id, id) == 0)
            return &a->accounts[i];
    }
    return NULL;
}

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

static int no_account(const char *id, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "there is no account %.40s", id);
}

/* ---- adding, in memory: with both locks held ---- */

static int reserve(void **list, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return 0;
    size_t more = *cap ? 2 * *cap : 16;
    void *p = reallocarray(*list, more, size);
    if (!p)
        return -ENOMEM;
    *list = p;
    *cap = more;
    return 0;
}

static int reserve_account(struct accounts *a)
{
    return reserve((void **)&a->accounts, a->n_accounts, &a->cap_accounts, sizeof(*a->accounts));
}

static int reserve_key(struct accounts *a)
{
    return reserve((void **)&a->keys, a->n_keys, &a->cap_keys, sizeof(*a->keys));
}

static void insert_key(struct accounts *a, const struct key_record *k)
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

/* ---- names ---- */

static int copy_name(const char *name, char ret[ACCOUNT_NAME_SIZE], struct err *e)
{
    size_t len = strlen(name);
    if (!len || len > ACCOUNT_NAME_MAX_BYTES)
        return err_field(e, "name", "field \"name\" must have 1 to %d bytes",
                         ACCOUNT_NAME_MAX_BYTES);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
            return err_field(e, "name", "field \"name\" holds a control character");
    }
    memcpy(ret, name, len + 1);
    return 0;
}

/* ---- keys ---- */

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
static int add_key(struct accounts *a, const char *account, const char *name,
                   struct key_record *ret, char ret_key[KEY_SIZE], struct err *e)
{
    struct key_record k = {.info.created_ns = clock_real_ns()};
    int r = copy_name(name && *name ? name : "key", k.info.name, e);
    if (r < 0)
        return r;
    {
        AUTO_LOCK(&a->lock);
        if (!find_account(a, account))
            return no_account(account, e);
        if (count_keys(a, account) >= ACCOUNT_KEYS_MAX)
            return err_set(e, ERR_FORBIDDEN, "the account has %d keys already: revoke one",
                           ACCOUNT_KEYS_MAX);
        r = reserve_key(a);
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
        insert_key(a, &k);
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
    int r = add_key(a, account, name, &k, ret_key, e);
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
        const struct account *owner = k ? find_account(a, k->info.account) : NULL;
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

/* ---- accounts ---- */

static void merge_limits(struct quota *limits, const struct quota *given)
{
    if (given->vcpus >= 0)
        limits->vcpus = given->vcpus;
    if (given->memory_mib >= 0)
        limits->memory_mib = given->memory_mib;
    if (given->disk_bytes >= 0)
        limits->disk_bytes = given->disk_bytes;
    if (given->snapshots >= 0)
        limits->snapshots = given->snapshots;
}

/* With `change` held. */
static int add_account(struct accounts *a, const struct account_info *fresh, struct err *e)
{
    {
        AUTO_LOCK(&a->lock);
        if (a->n_accounts >= ACCOUNTS_MAX)
            return err_set(e, ERR_FORBIDDEN, "there are %d accounts already", ACCOUNTS_MAX);
        int r = reserve_account(a);
        if (r < 0)
            return err_errno(e, r, "create an account");
    }
    int r = store_account_put(a->store, fresh, e);
    if (r < 0)
        return r;
    AUTO_LOCK(&a->lock);
    a->accounts[a->n_accounts++] = (struct account){.info = *fresh};
    return 0;
}

int host_account_create(struct host *h, const char *name, const struct quota *limits,
                        struct account_info *ret, struct err *e)
{
    struct accounts *a = h->accounts;
    struct account_info fresh = {.limits = a->defaults, .created_ns = clock_real_ns()};
    int r = copy_name(name ? name : "", fresh.name, e);
    if (r < 0)
        return r;
    id_new(fresh.id);
    if (limits)
        merge_limits(&fresh.limits, limits);
    AUTO_LOCK(&a->change);
    r = add_account(a, &fresh, e);
    if (r == 0 && ret)
        *ret = fresh;
    return r;
}

int host_account_get(struct host *h, const char *id, struct account_info *ret, struct err *e)
{
    struct accounts *a = h->accounts;
    AUTO_LOCK(&a->lock);
    const struct account *found = find_account(a, id);
    if (!found)
        return no_account(id, e);
    *ret = found->info;
    return 0;
}

int host_account_list(struct host *h, struct account_info **ret, size_t *ret_n, struct err *e)
{
    struct accounts *a = h->accounts;
    AUTO_LOCK(&a->lock);
    struct account_info *list = calloc(a->n_accounts + 1, sizeof(*list));
    if (!list)
        return err_errno(e, -ENOMEM, "list accounts");
    for (size_t i = 0; i < a->n_accounts; i++)
        list[i] = a->accounts[i].info;
    *ret = list;
    *ret_n = a->n_accounts;
    return 0;
}

int host_account_update(struct host *h, const char *id, const char *name,
                        const struct quota *limits, struct account_info *ret, struct err *e)
{
    struct accounts *a = h->accounts;
    struct account_info changed;
    AUTO_LOCK(&a->change);
    int r = host_account_get(h, id, &changed, e);
    if (r == 0 && name)
        r = copy_name(name, changed.name, e);
    if (r == 0 && limits)
        merge_limits(&changed.limits, limits);
    if (r == 0)
        r = store_account_put(a->store, &changed, e);
    if (r < 0)
        return r;
    AUTO_LOCK(&a->lock);
    struct account_info *there = &find_account(a, id)->info;
    memcpy(there->name, changed.name, sizeof(there->name));
    there->limits = changed.limits;
    if (ret)
        *ret = *there;
    return 0;
}

static bool uses_something(const struct quota *q)
{
    return q->vcpus || q->memory_mib || q->disk_bytes || q->snapshots;
}

static size_t count_admins(const struct accounts *a)
{
    size_t n = 0;
    for (size_t i = 0; i < a->n_accounts; i++)
        n += a->accounts[i].info.admin;
    return n;
}

/* From here on nothing is charged to it. */
static int close_account(struct accounts *a, const char *id, struct err *e)
{
    AUTO_LOCK(&a->lock);
    struct account *found = find_account(a, id);
    if (!found)
        return no_account(id, e);
    if (uses_something(&found->info.usage))
        return err_set(e, ERR_CONFLICT,
                       "the account \"%s\" still has VMs or snapshots: delete these first",
                       found->info.name);
    if (found->info.admin && count_admins(a) == 1)
        return err_set(e, ERR_CONFLICT, "the account \"%s\" is the only admin's", found->info.name);
    found->is_closing = true;
    return 0;
}

static void drop_account(struct accounts *a, const char *id)
{
    for (size_t i = a->n_keys; i-- > 0;) {
        if (strcmp(a->keys[i].info.account, id) == 0)
            drop_key(a, i);
    }
    struct account *found = find_account(a, id);
    a->n_accounts--;
    memmove(found, found + 1, (size_t)(&a->accounts[a->n_accounts] - found) * sizeof(*found));
}

int host_account_delete(struct host *h, const char *id, struct err *e)
{
    struct accounts *a = h->accounts;
    AUTO_LOCK(&a->change);
    int r = close_account(a, id, e);
    if (r < 0)
        return r;
    r = store_account_delete(a->store, id, e);
    AUTO_LOCK(&a->lock);
    if (r == 0)
        drop_account(a, id);
    else
        find_account(a, id)->is_closing = false;
    return r;
}

/* ---- quotas ---- */

static int check_one(const char *what, int64_t limit, int64_t used, int64_t more, struct err *e)
{
    if (more <= 0 || !limit || more <= limit - used)
        return 0;
    return err_set(e, ERR_FORBIDDEN,
                   "the account's quota of %s is exhausted: %lld of %lld are used, %lld more were "
                   "asked for",
                   what, (long long)used, (long long)limit, (long long)more);
}

static double gib(int64_t bytes)
{
    return (double)bytes / (double)GIB;
}

static int check_disk(int64_t limit, int64_t used, int64_t more, struct err *e)
{
    if (more <= 0 || !limit || more <= limit - used)
        return 0;
    return err_set(e, ERR_FORBIDDEN,
                   "the account's quota of disk is exhausted: %.1f of %.1f GiB are used, %.1f more "
                   "were asked for",
                   gib(used), gib(limit), gib(more));
}

static void add(struct quota *usage, const struct quota *delta, int sign)
{
    usage->vcpus += sign * delta->vcpus;
    usage->memory_mib += sign * delta->memory_mib;
    usage->disk_bytes += sign * delta->disk_bytes;
    usage->snapshots += sign * delta->snapshots;
}

int accounts_charge(struct accounts *a, const char *account, const struct quota *delta,
                    struct err *e)
{
    AUTO_LOCK(&a->lock);
    struct account *found = find_account(a, account);
    if (!found || found->is_closing)
        return no_account(account, e);
    const struct quota *limits = &found->info.limits, *used = &found->info.usage;
    int r = check_one("vCPUs", limits->vcpus, used->vcpus, delta->vcpus, e);
    if (r == 0)
        r = check_one("memory (MiB)", limits->memory_mib, used->memory_mib, delta->memory_mib, e);
    if (r == 0)
        r = check_disk(limits->disk_bytes, used->disk_bytes, delta->disk_bytes, e);
    if (r == 0)
        r = check_one("snapshots", limits->snapshots, used->snapshots, delta->snapshots, e);
    if (r == 0)
        add(&found->info.usage, delta, 1);
    return r;
}

static void count(struct accounts *a, const char *account, const struct quota *delta, int sign)
{
    AUTO_LOCK(&a->lock);
    struct account *found = find_account(a, account);
    if (found)
        add(&found->info.usage, delta, sign);
}

void accounts_count(struct accounts *a, const char *account, const struct quota *delta)
{
    count(a, account, delta, 1);
}

void accounts_release(struct accounts *a, const char *account, const struct quota *delta)
{
    count(a, account, delta, -1);
}

/* ---- start ---- */

static int load_accounts(struct accounts *a, struct err *e)
{
    auto_free struct account_info *list = NULL;
    size_t n = 0;
    int r = store_account_list(a->store, &list, &n, e);
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = reserve_account(a);
        if (r == 0)
            a->accounts[a->n_accounts++] = (struct account){.info = list[i]};
    }
    return r;
}

static int load_keys(struct accounts *a, struct err *e)
{
    auto_free struct key_record *list = NULL;
    size_t n = 0;
    int r = store_key_list(a->store, &list, &n, e);
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = reserve_key(a);
        if (r == 0)
            insert_key(a, &list[i]);
    }
    return r;
}

static const struct account_info *first_admin(const struct accounts *a)
{
    for (size_t i = 0; i < a->n_accounts; i++) {
        if (a->accounts[i].info.admin)
            return &a->accounts[i].info;
    }
    return NULL;
}

static int make_admin(struct accounts *a, struct err *e)
{
    struct account_info admin = {
        .name = "default", .admin = true, .limits = a->defaults, .created_ns = clock_real_ns()};
    id_new(admin.id);
    return first_admin(a) ? 0 : add_account(a, &admin, e);
}

static bool has_admin_key(struct accounts *a)
{
    for (size_t i = 0; i < a->n_keys; i++) {
        const struct account *owner = find_account(a, a->keys[i].info.account);
        if (owner && owner->info.admin)
            return true;
    }
    return false;
}

/* The key is in the store first: one that nobody knows does no harm, a file with a key that is none
 * would never be replaced. */
static int write_admin_key(struct accounts *a, const char *path, struct err *e)
{
    struct key_record k;
    char text[KEY_SIZE + 1] = "";
    int r = add_key(a, first_admin(a)->id, "admin.key", &k, text, e);
    if (r < 0)
        return r;
    text[KEY_SIZE - 1] = '\n';
    r = file_write_atomic(path, text, KEY_SIZE, 0600);
    sodium_memzero(text, sizeof(text));
    if (r < 0)
        return err_errno(e, r, "write %s", path);
    log_info("accounts", "path=%s has a new key of the admin", path);
    return 0;
}

static int make_admin_key(struct accounts *a, const char *data_dir, struct err *e)
{
    char path[PATH_MAX];
    int r = path_printf(path, sizeof(path), "%s/admin.key", data_dir);
    if (r < 0)
        return err_errno(e, r, "the path of admin.key");
    if (access(path, F_OK) == 0 && has_admin_key(a))
        return 0;
    return write_admin_key(a, path, e);
}

DEFINE_AUTO(struct accounts *, accounts_free)

int accounts_new(struct store *s, const char *data_dir, const struct quota *defaults,
                 struct accounts **ret, struct err *e)
{
    if (sodium_init() < 0)
        return err_set(e, ERR_INTERNAL, "libsodium cannot be used");
    CLEANUP(accounts_freep) struct accounts *a = calloc(1, sizeof(*a));
    if (!a)
        return err_errno(e, -ENOMEM, "accounts");
    pthread_mutex_init(&a->change, NULL);
    pthread_mutex_init(&a->lock, NULL);
    a->store = s;
    a->defaults = *defaults;
    int r = load_accounts(a, e);
    if (r == 0)
        r = load_keys(a, e);
    if (r == 0)
        r = make_admin(a, e);
    if (r == 0)
        r = make_admin_key(a, data_dir, e);
    if (r < 0)
        return err_wrap(e, r, "accounts");
    *ret = TAKE_PTR(a);
    return 0;
}

void accounts_free(struct accounts *a)
{
    if (!a)
        return;
    pthread_mutex_destroy(&a->change);
    pthread_mutex_destroy(&a->lock);
    free(a->accounts);
    free(a->keys);
    free(a);
}
