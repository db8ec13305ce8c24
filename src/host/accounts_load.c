/* SPDX-License-Identifier: Apache-2.0 */

/* Accounts and keys when the daemon starts: what the store has, and the admin's. */

#include "host/accounts_priv.h"

#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"

static int load_accounts(struct accounts *a, struct err *e)
{
    auto_free struct account_info *list = NULL;
    size_t n = 0;
    int r = store_account_list(a->store, &list, &n, e);
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = accounts_reserve_account(a);
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
        r = keys_reserve(a);
        if (r == 0)
            keys_insert(a, &list[i]);
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
    return first_admin(a) ? 0 : accounts_add(a, &admin, e);
}

static bool has_admin_key(struct accounts *a)
{
    for (size_t i = 0; i < a->n_keys; i++) {
        const struct account *owner = accounts_find(a, a->keys[i].info.account);
        if (owner && owner->info.admin && key_is_live(&a->keys[i].info, clock_real_ns()))
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
    const struct key_wish w = {.account = first_admin(a)->id, .name = "admin.key"};
    int r = keys_add(a, &w, &k, text, e);
    if (r < 0)
        return r;
    size_t len = strlen(text);
    text[len] = '\n';
    r = file_write_atomic(path, text, len + 1, 0600);
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

void accounts_first_admin(struct accounts *a, char ret[ID_SIZE])
{
    AUTO_LOCK(&a->lock);
    const struct account_info *admin = first_admin(a);
    memcpy(ret, admin ? admin->id : "", admin ? ID_SIZE : 1);
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
