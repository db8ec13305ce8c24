/* SPDX-License-Identifier: Apache-2.0 */
#include "host/store_people.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/store_priv.h"

/* --- sessions --- */

int store_session_put(struct store *s, const struct session_record *r, struct err *e)
{
    static const char sql[] =
        "INSERT OR REPLACE INTO sessions (hash, account, email, key, created_ns, expires_ns)"
        " VALUES (?, ?, ?, ?, ?, ?)";
    AUTO_LOCK(&s->lock);
    auto_stmt sqlite3_stmt *st = store_prepare(s, sql, e);
    if (!st)
        return -EIO;
    sqlite3_bind_blob(st, 1, r->hash, sizeof(r->hash), SQLITE_STATIC);
    sqlite3_bind_text(st, 2, r->account, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 3, r->email, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 4, r->key, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 5, r->created_ns);
    sqlite3_bind_int64(st, 6, r->expires_ns);
    return store_step(s, st, e);
}

int store_session_delete(struct store *s, const unsigned char hash[SESSION_HASH_BYTES],
                         struct err *e)
{
    AUTO_LOCK(&s->lock);
    auto_stmt sqlite3_stmt *st = store_prepare(s, "DELETE FROM sessions WHERE hash = ?", e);
    if (!st)
        return -EIO;
    sqlite3_bind_blob(st, 1, hash, SESSION_HASH_BYTES, SQLITE_STATIC);
    return store_step_durable(s, st, e);
}

static void read_session(sqlite3_stmt *st, struct session_record *r)
{
    *r = (struct session_record){0};
    if (sqlite3_column_bytes(st, 0) == SESSION_HASH_BYTES)
        memcpy(r->hash, sqlite3_column_blob(st, 0), SESSION_HASH_BYTES);
    store_copy_text(r->account, sizeof(r->account), st, 1);
    store_copy_text(r->email, sizeof(r->email), st, 2);
    store_copy_text(r->key, sizeof(r->key), st, 3);
    r->created_ns = sqlite3_column_int64(st, 4);
    r->expires_ns = sqlite3_column_int64(st, 5);
}

/* Room for one more of `size` bytes behind `n` of them; NULL: no memory. */
static void *grow(void **list, size_t n, size_t size)
{
    if (n == 0 || (n >= 16 && (n & (n - 1)) == 0)) {
        void *more = reallocarray(*list, n ? 2 * n : 16, size);
        if (!more)
            return NULL;
        *list = more;
    }
    return (char *)*list + n * size;
}

int store_session_list(struct store *s, struct session_record **ret, size_t *ret_n, struct err *e)
{
    static const char sql[] = "SELECT hash, account, email, key, created_ns, expires_ns"
                              " FROM sessions ORDER BY created_ns";
    AUTO_LOCK(&s->lock);
    auto_stmt sqlite3_stmt *st = store_prepare(s, sql, e);
    auto_free void *list = NULL;
    size_t n = 0;
    int code;
    if (!st)
        return -EIO;
    while ((code = sqlite3_step(st)) == SQLITE_ROW) {
        struct session_record *r = grow(&list, n, sizeof(*r));
        if (!r)
            return err_errno(e, -ENOMEM, "read sessions");
        read_session(st, r);
        n++;
    }
    if (code != SQLITE_DONE)
        return store_error(s, e, "read sessions");
    *ret = TAKE_PTR(list);
    *ret_n = n;
    return 0;
}

/* --- the password --- */

int store_admin_get(struct store *s, struct admin_record *ret, struct err *e)
{
    AUTO_LOCK(&s->lock);
    auto_stmt sqlite3_stmt *st = store_prepare(s, "SELECT email, hash FROM admin", e);
    if (!st)
        return -EIO;
    int code = sqlite3_step(st);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return store_error(s, e, "read admin");
    *ret = (struct admin_record){0};
    if (code == SQLITE_ROW) {
        store_copy_text(ret->email, sizeof(ret->email), st, 0);
        store_copy_text(ret->hash, sizeof(ret->hash), st, 1);
    }
    return 0;
}

static int run(struct store *s, const char *sql, struct err *e)
{
    auto_stmt sqlite3_stmt *st = store_prepare(s, sql, e);
    return st ? store_step(s, st, e) : -EIO;
}

static int insert_admin(struct store *s, const struct admin_record *r, struct err *e)
{
    auto_stmt sqlite3_stmt *st =
        store_prepare(s, "INSERT INTO admin (email, hash) VALUES (?, ?)", e);
    if (!st)
        return -EIO;
    sqlite3_bind_text(st, 1, r->email, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, r->hash, -1, SQLITE_STATIC);
    return store_step(s, st, e);
}

/* Ends a transaction that was begun: with what it did, or with nothing. */
static int finish(struct store *s, int r, struct err *e)
{
    if (r == 0)
        r = run(s, "COMMIT", e);
    if (r < 0)
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return r;
}

static int replace_admin(struct store *s, const struct admin_record *rec, struct err *e)
{
    int r = run(s, "BEGIN IMMEDIATE", e);
    if (r < 0)
        return r;
    r = run(s, "DELETE FROM admin", e);
    if (r == 0)
        r = run(s, "DELETE FROM sessions WHERE email <> ''", e);
    if (r == 0 && rec->email[0])
        r = insert_admin(s, rec, e);
    return finish(s, r, e);
}

int store_admin_put(struct store *s, const struct admin_record *rec, struct err *e)
{
    AUTO_LOCK(&s->lock);
    int r = store_set_durable(s, true, e);
    if (r < 0)
        return r;
    r = replace_admin(s, rec, e);
    (void)store_set_durable(s, false, NULL);
    return r;
}

/* --- activity --- */

static int add_row(struct store *s, sqlite3_stmt *st, const struct activity_row *row, struct err *e)
{
    sqlite3_bind_int64(st, 1, row->at_ns);
    sqlite3_bind_text(st, 2, row->account, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 3, row->type, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 4, row->entity, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 5, row->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 6, row->text, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 7, row->data, -1, SQLITE_STATIC);
    int r = store_step(s, st, e);
    sqlite3_reset(st);
    return r;
}

int store_activity_add(struct store *s, const struct activity_row *rows, size_t n,
                       int64_t *ret_last, struct err *e)
{
    static const char sql[] =
        "INSERT INTO activity (at_ns, account, type, entity, name, text, data)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)";
    AUTO_LOCK(&s->lock);
    auto_stmt sqlite3_stmt *st = store_prepare(s, sql, e);
    int r = st ? run(s, "BEGIN IMMEDIATE", e) : -EIO;
    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = add_row(s, st, &rows[i], e);
    int64_t last = sqlite3_last_insert_rowid(s->db);
    r = finish(s, r, e);
    if (r == 0)
        *ret_last = last;
    return r;
}

int store_activity_trim(struct store *s, const char *account, int keep, struct err *e)
{
    static const char sql[] =
        "DELETE FROM activity WHERE account = ?1 AND id <= (SELECT id FROM activity"
        " WHERE account = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";
    AUTO_LOCK(&s->lock);
    auto_stmt sqlite3_stmt *st = store_prepare(s, sql, e);
    if (!st)
        return -EIO;
    sqlite3_bind_text(st, 1, account, -1, SQLITE_STATIC);
    sqlite3_bind_int(st, 2, keep);
    return store_step(s, st, e);
}

int store_activity_newest(struct store *s, int64_t *ret, struct err *e)
{
    AUTO_LOCK(&s->lock);
    auto_stmt sqlite3_stmt *st =
        store_prepare(s, "SELECT seq FROM sqlite_sequence WHERE name = 'activity'", e);
    if (!st)
        return -EIO;
    int code = sqlite3_step(st);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return store_error(s, e, "read activity");
    *ret = code == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    return 0;
}

static char *column_text(sqlite3_stmt *st, int i)
{
    const char *text = (const char *)sqlite3_column_text(st, i);
    return strdup(text ? text : "");
}

static int read_activity(sqlite3_stmt *st, struct activity *a)
{
    const char *data = (const char *)sqlite3_column_text(st, 7);
    *a = (struct activity){
        .id = sqlite3_column_int64(st, 0),
        .at_ns = sqlite3_column_int64(st, 1),
        .name = column_text(st, 5),
        .text = column_text(st, 6),
        .data = data ? json_loads(data, 0, NULL) : NULL,
    };
    store_copy_text(a->account, sizeof(a->account), st, 2);
    store_copy_text(a->type, sizeof(a->type), st, 3);
    store_copy_text(a->entity, sizeof(a->entity), st, 4);
    if (!a->data)
        a->data = json_object();
    if (a->name && a->text && a->data)
        return 0;
    activity_done(a);
    return -ENOMEM;
}

static int read_list(struct store *s, sqlite3_stmt *st, struct activity_list *ret, struct err *e)
{
    void *items = ret->items;
    int code;
    while ((code = sqlite3_step(st)) == SQLITE_ROW) {
        struct activity *a = grow(&items, ret->n, sizeof(*a));
        ret->items = items;
        if (!a || read_activity(st, a) < 0)
            return err_errno(e, -ENOMEM, "read activity");
        ret->n++;
    }
    return code == SQLITE_DONE ? 0 : store_error(s, e, "read activity");
}

int store_activity_list(struct store *s, const struct activity_query *q, struct activity_list *ret,
                        struct err *e)
{
#define COLUMNS "SELECT id, at_ns, account, type, entity, name, text, data FROM activity WHERE "
    static const char *const sql[2][2] = {
        {COLUMNS "id < ?1 ORDER BY id DESC LIMIT ?2", COLUMNS "id > ?1 ORDER BY id LIMIT ?2"},
        {COLUMNS "account = ?3 AND id < ?1 ORDER BY id DESC LIMIT ?2",
         COLUMNS "account = ?3 AND id > ?1 ORDER BY id LIMIT ?2"},
    };
#undef COLUMNS
    struct activity_list list = {0};
    AUTO_LOCK(&s->lock);
    auto_stmt sqlite3_stmt *st = store_prepare(s, sql[q->account != NULL][q->after], e);
    if (!st)
        return -EIO;
    sqlite3_bind_int64(st, 1, q->from);
    sqlite3_bind_int(st, 2, q->limit);
    if (q->account)
        sqlite3_bind_text(st, 3, q->account, -1, SQLITE_STATIC);
    int r = read_list(s, st, &list, e);
    if (r == 0)
        *ret = list;
    else
        activity_list_done(&list);
    return r;
}

/* --- webhooks --- */

#define W_TEXT(member) STORE_TEXT_COLUMN(struct webhook_info, member)
#define W_COLUMN(kind, member) STORE_COLUMN(kind, struct webhook_info, member, #member)

static const struct store_column webhook_columns[] = {
    W_TEXT(id),
    W_TEXT(account),
    W_TEXT(name),
    W_TEXT(url),
    W_TEXT(types),
    W_TEXT(secret),
    W_COLUMN(STORE_BOOL, enabled),
    W_COLUMN(STORE_I64, created_ns),
    W_COLUMN(STORE_I64, updated_ns),
    W_COLUMN(STORE_I64, last_tried_ns),
    W_COLUMN(STORE_INT, last_status),
    W_TEXT(last_error),
    W_COLUMN(STORE_I64, delivered_id),
};

static const struct store_table webhooks = {
    .id = STORE_WEBHOOKS,
    .name = "webhooks",
    .order = "created_ns, id",
    .columns = webhook_columns,
    .n_columns = ARRAY_SIZE(webhook_columns),
    .row_bytes = sizeof(struct webhook_info),
};

int store_webhook_put(struct store *s, const struct webhook_info *w, struct err *e)
{
    const void *row = w;
    return store_rows_put(s, &webhooks, &row, 1, e);
}

int store_webhook_delete(struct store *s, const char *id, struct err *e)
{
    return store_row_delete(s, &webhooks, id, e);
}

int store_webhooks_each(struct store *s, int (*each)(void *arg, const void *row), void *arg,
                        struct err *e)
{
    return store_rows_each(s, &webhooks, each, arg, e);
}
