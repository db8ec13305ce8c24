/* SPDX-License-Identifier: Apache-2.0 */
#include "host/accounts_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "host/activity.h"
#include "host/image_rows.h"
#include "host/webhooks.h"

_Static_assert(ACCOUNT_NAME_SIZE == ACCOUNT_NAME_MAX_BYTES + 1, "a name fits");

/* ---- looking: with the lock held ---- */

struct account *accounts_find(struct accounts *a, const char *id)
{
    for (size_t i = 0; i < a->n_accounts; i++) {
        if (strcmp(a->accounts[i].info.id, id) == 0)
            return &a->accounts[i];
    }
    return NULL;
}

int accounts_none(const char *id, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "there is no account %.40s", id);
}

/* ---- adding, in memory: with both locks held ---- */

int accounts_reserve(void **list, size_t n, size_t *cap, size_t size)
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

int accounts_reserve_account(struct accounts *a)
{
    return accounts_reserve((void **)&a->accounts, a->n_accounts, &a->cap_accounts,
                            sizeof(*a->accounts));
}

/* ---- names ---- */

int accounts_copy_name(const char *name, char ret[ACCOUNT_NAME_SIZE], struct err *e)
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
int accounts_add(struct accounts *a, const struct account_info *fresh, struct err *e)
{
    {
        AUTO_LOCK(&a->lock);
        if (a->n_accounts >= ACCOUNTS_MAX)
            return err_set(e, ERR_FORBIDDEN, "there are %d accounts already", ACCOUNTS_MAX);
        int r = accounts_reserve_account(a);
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

/* Told to the admin: it is he who does it. */
static void note(struct host *h, const char *type, const struct account_info *about)
{
    char admin[ID_SIZE];
    accounts_first_admin(h->accounts, admin);
    const struct activity_note n = {
        .account = admin, .type = type, .entity = about->id, .name = about->name};
    host_note(h, &n);
}

int host_account_create(struct host *h, const char *name, const struct quota *limits,
                        struct account_info *ret, struct err *e)
{
    struct accounts *a = h->accounts;
    struct account_info fresh = {.limits = a->defaults, .created_ns = clock_real_ns()};
    int r = accounts_copy_name(name ? name : "", fresh.name, e);
    if (r < 0)
        return r;
    id_new(fresh.id);
    if (limits)
        merge_limits(&fresh.limits, limits);
    {
        AUTO_LOCK(&a->change);
        r = accounts_add(a, &fresh, e);
    }
    if (r < 0)
        return r;
    note(h, "account.created", &fresh);
    if (ret)
        *ret = fresh;
    return 0;
}

int host_account_get(struct host *h, const char *id, struct account_info *ret, struct err *e)
{
    struct accounts *a = h->accounts;
    AUTO_LOCK(&a->lock);
    const struct account *found = accounts_find(a, id);
    if (!found)
        return accounts_none(id, e);
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

static int update(struct host *h, const char *id, const char *name, const struct quota *limits,
                  struct account_info *ret, struct err *e)
{
    struct accounts *a = h->accounts;
    struct account_info changed;
    AUTO_LOCK(&a->change);
    int r = host_account_get(h, id, &changed, e);
    if (r == 0 && name)
        r = accounts_copy_name(name, changed.name, e);
    if (r == 0 && limits)
        merge_limits(&changed.limits, limits);
    if (r == 0)
        r = store_account_put(a->store, &changed, e);
    if (r < 0)
        return r;
    AUTO_LOCK(&a->lock);
    struct account_info *there = &accounts_find(a, id)->info;
    memcpy(there->name, changed.name, sizeof(there->name));
    there->limits = changed.limits;
    *ret = *there;
    return 0;
}

int host_account_update(struct host *h, const char *id, const char *name,
                        const struct quota *limits, struct account_info *ret, struct err *e)
{
    struct account_info changed;
    int r = update(h, id, name, limits, &changed, e);
    if (r < 0)
        return r;
    note(h, "account.updated", &changed);
    if (ret)
        *ret = changed;
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
static int close_account(struct accounts *a, const char *id, struct account_info *ret,
                         struct err *e)
{
    AUTO_LOCK(&a->lock);
    struct account *found = accounts_find(a, id);
    if (!found)
        return accounts_none(id, e);
    if (uses_something(&found->info.usage))
        return err_set(e, ERR_CONFLICT,
                       "the account \"%s\" still has VMs, snapshots or images: delete these first",
                       found->info.name);
    if (found->info.admin && count_admins(a) == 1)
        return err_set(e, ERR_CONFLICT, "the account \"%s\" is the only admin's", found->info.name);
    found->is_closing = true;
    *ret = found->info;
    return 0;
}

static void drop_account(struct accounts *a, const char *id)
{
    keys_drop_of(a, id);
    struct account *found = accounts_find(a, id);
    a->n_accounts--;
    memmove(found, found + 1, (size_t)(&a->accounts[a->n_accounts] - found) * sizeof(*found));
}

static int delete_account(struct host *h, const char *id, struct account_info *ret, struct err *e)
{
    struct accounts *a = h->accounts;
    AUTO_LOCK(&a->change);
    int r = close_account(a, id, ret, e);
    if (r < 0)
        return r;
    /* What is made from here on finds it closing. */
    if (image_rows_count(h->image_rows, id) > 0)
        r = err_set(e, ERR_CONFLICT, "the account still has images: delete these first");
    if (h->activities) /* what is noted by now is written then, and goes too */
        (void)activities_newest(h->activities);
    r = r < 0 ? r : store_account_delete(a->store, id, e);
    AUTO_LOCK(&a->lock);
    if (r == 0)
        drop_account(a, id);
    else
        accounts_find(a, id)->is_closing = false;
    return r;
}

int host_account_delete(struct host *h, const char *id, struct err *e)
{
    struct account_info was;
    int r = delete_account(h, id, &was, e);
    if (r < 0)
        return r;
    webhooks_drop_of(h->webhooks, id);
    note(h, "account.deleted", &was);
    return 0;
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
    struct account *found = accounts_find(a, account);
    if (!found || found->is_closing)
        return accounts_none(account, e);
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
    struct account *found = accounts_find(a, account);
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
