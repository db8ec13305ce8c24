/* SPDX-License-Identifier: Apache-2.0 */

/* The stub host's accounts and keys. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/stub_vms.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "host/accounts.h"
#include "host/staging.h"

#define ACCOUNTS 8
#define KEYS 16

static struct account_info accounts[ACCOUNTS];
static size_t n_accounts;
static struct {
    struct key_info info;
    char key[KEY_SIZE];
} keys[KEYS];
static size_t n_keys;
static struct staging *staging;
static char staging_dir[] = "/tmp/holm-stub-XXXXXX";

static void add_account(const char *id, const char *name, bool admin)
{
    struct account_info *a = &accounts[n_accounts++];
    *a = (struct account_info){
        .admin = admin,
        .created_ns = 1700000000000000000,
        .limits = {.vcpus = 8, .memory_mib = 0, .disk_bytes = 10 * (int64_t)GIB, .snapshots = 2},
        .usage = {.vcpus = 1, .memory_mib = 256, .disk_bytes = (int64_t)GIB / 2}};
    snprintf(a->id, sizeof(a->id), "%s", id);
    snprintf(a->name, sizeof(a->name), "%s", name);
}

static void add_key(const char *account, const char *name, const char *key)
{
    struct key_info *k = &keys[n_keys].info;
    *k = (struct key_info){.created_ns = 1700000000000000000};
    id_new(k->id);
    snprintf(k->account, sizeof(k->account), "%s", account);
    snprintf(k->name, sizeof(k->name), "%s", name);
    snprintf(k->prefix, sizeof(k->prefix), "%s", key);
    snprintf(keys[n_keys++].key, KEY_SIZE, "%s", key);
}

void stub_accounts_reset(void)
{
    n_accounts = n_keys = 0;
    add_account(STUB_ADMIN, "default", true);
    add_account(STUB_BOB, "bob", false);
    add_key(STUB_ADMIN, "admin.key", STUB_ADMIN_KEY);
    add_key(STUB_BOB, "laptop", STUB_BOB_KEY);
    if (staging) {
        staging_free(staging);
        dir_remove(staging_dir);
        strcpy(staging_dir + strlen(staging_dir) - 6, "XXXXXX");
    }
    staging = NULL;
}

/* Made when it is first asked for. */
struct staging *host_staging(struct host *h)
{
    if (!staging && mkdtemp(staging_dir))
        staging_new(staging_dir, &staging, NULL);
    return staging;
}

static struct account_info *find(const char *id)
{
    for (size_t i = 0; i < n_accounts; i++) {
        if (strcmp(accounts[i].id, id) == 0)
            return &accounts[i];
    }
    return NULL;
}

static int none(const char *id, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "there is no account %s", id);
}

int stub_charge_snapshot(const char *account, struct err *e)
{
    struct account_info *a = find(account);
    if (a->usage.snapshots == a->limits.snapshots)
        return err_set(e, ERR_FORBIDDEN, "the quota of snapshots is exhausted");
    a->usage.snapshots++;
    return 0;
}

/* Not counted as a call that may fail: every request makes it. */
int host_key_account(struct host *h, const char *key, char ret_account[ID_SIZE], bool *ret_admin,
                     struct err *e)
{
    for (size_t i = 0; i < n_keys; i++) {
        if (strcmp(keys[i].key, key) != 0 || !key_is_live(&keys[i].info, clock_real_ns()))
            continue;
        strcpy(ret_account, keys[i].info.account);
        if (ret_admin)
            *ret_admin = find(ret_account)->admin;
        return 0;
    }
    return err_set(e, ERR_UNAUTHORIZED, "the API key is not valid");
}

int host_key_create(struct host *h, const struct key_wish *w, struct key_info *ret,
                    char ret_key[KEY_SIZE], struct err *e)
{
    STUB_MAY_FAIL(e);
    char text[KEY_SIZE];
    if (w->expires_ns && w->expires_ns < clock_real_ns())
        return err_field(e, "expiresAt", "field \"expiresAt\" must be in the future");
    snprintf(text, sizeof(text), "%s_new%zu", w->form == KEY_FORM_RDS ? "rds" : "holm", n_keys);
    add_key(w->account, w->name ? w->name : "key", text);
    keys[n_keys - 1].info.expires_ns = w->expires_ns;
    *ret = keys[n_keys - 1].info;
    strcpy(ret_key, text);
    return 0;
}

int host_key_list(struct host *h, const char *account, struct key_info **ret, size_t *ret_n,
                  struct err *e)
{
    STUB_MAY_FAIL(e);
    *ret = calloc(KEYS, sizeof(**ret));
    for (size_t i = 0; i < n_keys; i++) {
        if (!account || strcmp(keys[i].info.account, account) == 0)
            (*ret)[(*ret_n)++] = keys[i].info;
    }
    return 0;
}

int host_key_revoke(struct host *h, const char *account, const char *id, struct err *e)
{
    STUB_MAY_FAIL(e);
    for (size_t i = 0; i < n_keys; i++) {
        if (strcmp(keys[i].info.id, id) != 0 ||
            (account && strcmp(keys[i].info.account, account) != 0))
            continue;
        if (keys[i].info.revoked_ns)
            return 1;
        keys[i].info.revoked_ns = clock_real_ns();
        return 0;
    }
    return err_set(e, ERR_NOT_FOUND, "there is no key %s", id);
}

static void merge(struct quota *q, const struct quota *given)
{
    q->vcpus = given->vcpus < 0 ? q->vcpus : given->vcpus;
    q->memory_mib = given->memory_mib < 0 ? q->memory_mib : given->memory_mib;
    q->disk_bytes = given->disk_bytes < 0 ? q->disk_bytes : given->disk_bytes;
    q->snapshots = given->snapshots < 0 ? q->snapshots : given->snapshots;
}

int host_account_create(struct host *h, const char *name, const struct quota *limits,
                        struct account_info *ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    char id[ID_SIZE];
    id_new(id);
    if (n_accounts == ACCOUNTS)
        return err_set(e, ERR_FORBIDDEN, "too many accounts");
    add_account(id, name, false);
    struct account_info *a = &accounts[n_accounts - 1];
    a->usage = (struct quota){0};
    merge(&a->limits, limits);
    *ret = *a;
    return 0;
}

int host_account_get(struct host *h, const char *id, struct account_info *ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    const struct account_info *a = find(id);
    if (!a)
        return none(id, e);
    *ret = *a;
    return 0;
}

int host_account_list(struct host *h, struct account_info **ret, size_t *ret_n, struct err *e)
{
    STUB_MAY_FAIL(e);
    *ret = calloc(ACCOUNTS, sizeof(**ret));
    memcpy(*ret, accounts, n_accounts * sizeof(**ret));
    *ret_n = n_accounts;
    return 0;
}

int host_account_update(struct host *h, const char *id, const char *name,
                        const struct quota *limits, struct account_info *ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    struct account_info *a = find(id);
    if (!a)
        return none(id, e);
    if (name)
        snprintf(a->name, sizeof(a->name), "%s", name);
    merge(&a->limits, limits);
    *ret = *a;
    return 0;
}

int host_account_delete(struct host *h, const char *id, struct err *e)
{
    STUB_MAY_FAIL(e);
    struct account_info *a = find(id);
    if (!a)
        return none(id, e);
    if (a->usage.vcpus)
        return err_set(e, ERR_CONFLICT, "the account still has VMs");
    *a = accounts[--n_accounts];
    return 0;
}
