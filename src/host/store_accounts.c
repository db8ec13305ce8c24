/* SPDX-License-Identifier: Apache-2.0 */
#include "host/store_accounts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/store_priv.h"

int store_account_put(struct store *s, const struct account_info *a, struct err *e)
{
    /* Not REPLACE, which deletes the row first, and the keys that refer to it. */
    static const char sql[] =
        "INSERT INTO accounts (id, name, admin, vcpus, memory_mib, disk_bytes, snapshots,"
        " created_real_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
        " ON CONFLICT (id) DO UPDATE SET name = ?2, admin = ?3, vcpus = ?4, memory_mib = ?5,"
        " disk_bytes = ?6, snapshots = ?7";
    AUTO_LOCK(&s->lock);
    auto_stmt sqlite3_stmt *st = store_prepare(s, sql, e);
    if (!st)
        return -EIO;
    sqlite3_bind_text(st, 1, a->id, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, a->name, -1, SQLITE_STATIC);
    sqlite3_bind_int(st, 3, a->admin);
    sqlite3_bind_int64(st, 4, a->limits.vcpus);
    sqlite3_bind_int64(st, 5, a->limits.memory_mib);
    sqlite3_bind_int64(st, 6, a->limits.disk_bytes);
    sqlite3_bind_int64(st, 7, a->limits.snapshots);
    sqlite3_bind_int64(st, 8, a->created_ns);
    return store_step(s, st, e);
}

static int run_with_id(struct store *s, const char *sql, const char *id, struct err *e)
{
    AUTO_LOCK(&s->lock);
    auto_stmt sqlite3_stmt *st = store_prepare(s, sql, e);
    if (!st)
        return -EIO;
    sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
    return store_step_durable(s, st, e);
}

int store_account_delete(struct store *s, const char *id, struct err *e)
{
    /* What it did is of no use to anybody. */
    int r = run_with_id(s, "DELETE FROM activity WHERE account = ?", id, e);
    return r < 0 ? r : run_with_id(s, "DELETE FROM accounts WHERE id = ?", id, e);
}

int store_key_put(struct store *s, const struct key_record *k, struct err *e)
{
    static const char sql[] =
        "INSERT OR REPLACE INTO keys (id, account, name, prefix, hash, created_real_ns,"
        " last_used_real_ns, expires_real_ns, revoked_real_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    AUTO_LOCK(&s->lock);
    auto_stmt sqlite3_stmt *st = store_prepare(s, sql, e);
    if (!st)
        return -EIO;
    sqlite3_bind_text(st, 1, k->info.id, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, k->info.account, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 3, k->info.name, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 4, k->info.prefix, -1, SQLITE_STATIC);
    sqlite3_bind_blob(st, 5, k->hash, sizeof(k->hash), SQLITE_STATIC);
    sqlite3_bind_int64(st, 6, k->info.created_ns);
    sqlite3_bind_int64(st, 7, k->info.last_used_ns);
    sqlite3_bind_int64(st, 8, k->info.expires_ns);
    sqlite3_bind_int64(st, 9, k->info.revoked_ns);
    return store_step_durable(s, st, e);
}

int store_key_used(struct store *s, const char *id, int64_t last_used_ns, struct err *e)
{
    AUTO_LOCK(&s->lock);
    auto_stmt sqlite3_stmt *st =
        store_prepare(s, "UPDATE keys SET last_used_real_ns = ? WHERE id = ?", e);
    if (!st)
        return -EIO;
    sqlite3_bind_int64(st, 1, last_used_ns);
    sqlite3_bind_text(st, 2, id, -1, SQLITE_STATIC);
    return store_step(s, st, e);
}

int store_key_delete(struct store *s, const char *id, struct err *e)
{
    return run_with_id(s, "DELETE FROM keys WHERE id = ?", id, e);
}

/* Rows of one size, as many as come. */
struct rows {
    const char *sql;
    size_t size;
    void (*read)(sqlite3_stmt *st, void *ret);
};

static int read_rows(struct store *s, const struct rows *rows, void **ret, size_t *ret_n,
                     struct err *e)
{
    AUTO_LOCK(&s->lock);
    auto_stmt sqlite3_stmt *st = store_prepare(s, rows->sql, e);
    if (!st)
        return -EIO;
    auto_free char *list = NULL;
    size_t n = 0, cap = 0;
    int code;
    while ((code = sqlite3_step(st)) == SQLITE_ROW) {
        if (n == cap) {
            cap = cap ? 2 * cap : 16;
            char *more = reallocarray(list, cap, rows->size);
            if (!more)
                return err_errno(e, -ENOMEM, "read the database");
            list = more;
        }
        void *row = list + n++ * rows->size;
        memset(row, 0, rows->size);
        rows->read(st, row);
    }
    if (code != SQLITE_DONE)
        return store_error(s, e, "read");
    *ret = TAKE_PTR(list);
    *ret_n = n;
    return 0;
}

static void read_account(sqlite3_stmt *st, void *ret)
{
    struct account_info *a = ret;
    store_copy_text(a->id, sizeof(a->id), st, 0);
    store_copy_text(a->name, sizeof(a->name), st, 1);
    a->admin = sqlite3_column_int(st, 2) != 0;
    a->limits = (struct quota){
        .vcpus = sqlite3_column_int64(st, 3),
        .memory_mib = sqlite3_column_int64(st, 4),
        .disk_bytes = sqlite3_column_int64(st, 5),
        .snapshots = sqlite3_column_int64(st, 6),
    };
    a->created_ns = sqlite3_column_int64(st, 7);
}

int store_account_list(struct store *s, struct account_info **ret, size_t *ret_n, struct err *e)
{
    static const struct rows rows = {
        "SELECT id, name, admin, vcpus, memory_mib, disk_bytes, snapshots, created_real_ns"
        " FROM accounts ORDER BY created_real_ns, id",
        sizeof(struct account_info),
        read_account,
    };
    void *list = NULL;
    int r = read_rows(s, &rows, &list, ret_n, e);
    if (r == 0)
        *ret = list;
    return r;
}

static void read_key(sqlite3_stmt *st, void *ret)
{
    struct key_record *k = ret;
    store_copy_text(k->info.id, sizeof(k->info.id), st, 0);
    store_copy_text(k->info.account, sizeof(k->info.account), st, 1);
    store_copy_text(k->info.name, sizeof(k->info.name), st, 2);
    store_copy_text(k->info.prefix, sizeof(k->info.prefix), st, 3);
    if (sqlite3_column_bytes(st, 4) == KEY_HASH_BYTES)
        memcpy(k->hash, sqlite3_column_blob(st, 4), KEY_HASH_BYTES);
    k->info.created_ns = sqlite3_column_int64(st, 5);
    k->info.last_used_ns = sqlite3_column_int64(st, 6);
    k->info.expires_ns = sqlite3_column_int64(st, 7);
    k->info.revoked_ns = sqlite3_column_int64(st, 8);
}

int store_key_list(struct store *s, struct key_record **ret, size_t *ret_n, struct err *e)
{
    static const struct rows rows = {
        "SELECT id, account, name, prefix, hash, created_real_ns, last_used_real_ns,"
        " expires_real_ns, revoked_real_ns FROM keys ORDER BY created_real_ns, id",
        sizeof(struct key_record),
        read_key,
    };
    void *list = NULL;
    int r = read_rows(s, &rows, &list, ret_n, e);
    if (r == 0)
        *ret = list;
    return r;
}
