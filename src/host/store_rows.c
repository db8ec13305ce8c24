/* SPDX-License-Identifier: Apache-2.0 */

/* Structs as rows: the SQL is made from the table of columns. */

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "host/store_priv.h"

static const void *at(const struct store_column *c, const void *row)
{
    return (const char *)row + c->offset;
}

static int bind_json(sqlite3_stmt *st, int i, json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
    return text ? sqlite3_bind_text(st, i, text, -1, free) : sqlite3_bind_null(st, i);
}

static int bind_column(sqlite3_stmt *st, int i, const struct store_column *c, const void *row)
{
    const void *p = at(c, row);
    switch (c->kind) {
    case STORE_TEXT:
        return sqlite3_bind_text(st, i, p, -1, SQLITE_STATIC);
    case STORE_I64:
        return sqlite3_bind_int64(st, i, *(const int64_t *)p);
    case STORE_INT:
        return sqlite3_bind_int(st, i, *(const int *)p);
    case STORE_BOOL:
        return sqlite3_bind_int(st, i, *(const bool *)p);
    case STORE_JSON:
        return bind_json(st, i, *(json_t *const *)p);
    }
    return SQLITE_MISUSE;
}

static void read_column(sqlite3_stmt *st, int i, const struct store_column *c, void *row)
{
    void *p = (char *)row + c->offset;
    const char *text = (const char *)sqlite3_column_text(st, i);
    switch (c->kind) {
    case STORE_TEXT:
        snprintf(p, c->size, "%s", text ? text : "");
        break;
    case STORE_I64:
        *(int64_t *)p = sqlite3_column_int64(st, i);
        break;
    case STORE_INT:
        *(int *)p = sqlite3_column_int(st, i);
        break;
    case STORE_BOOL:
        *(bool *)p = sqlite3_column_int(st, i) != 0;
        break;
    case STORE_JSON:
        *(json_t **)p = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
        break;
    }
}

static void names(const struct store_table *t, struct buf *b)
{
    for (size_t i = 0; i < t->n_columns; i++)
        buf_printf(b, "%s%s", i ? ", " : "", t->columns[i].name);
}

static int prepare(struct store *s, const struct buf *sql, sqlite3_stmt **ret, struct err *e)
{
    if (sql->failed)
        return err_errno(e, -ENOMEM, "database");
    if (sqlite3_prepare_v3(s->db, buf_str(sql), -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) !=
        SQLITE_OK)
        return store_error(s, e, "prepare");
    return 0;
}

static int put_statement(struct store *s, const struct store_table *t, sqlite3_stmt **ret,
                         struct err *e)
{
    auto_buf struct buf sql = {0};
    int r = 0;
    if (!s->put[t->id]) {
        buf_printf(&sql, "INSERT OR REPLACE INTO %s (", t->name);
        names(t, &sql);
        buf_append_str(&sql, ") VALUES (");
        for (size_t i = 0; i < t->n_columns; i++)
            buf_append_str(&sql, i ? ", ?" : "?");
        buf_append_str(&sql, ")");
        r = prepare(s, &sql, &s->put[t->id], e);
    }
    *ret = s->put[t->id];
    return r;
}

/* Runs a prepared statement that gives no rows, and makes it ready for the next time. */
static int step(struct store *s, sqlite3_stmt *st, struct err *e)
{
    int r = sqlite3_step(st) == SQLITE_DONE ? 0 : store_error(s, e, "write");
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    return r;
}

static int put_one(struct store *s, const struct store_table *t, const void *row, struct err *e)
{
    sqlite3_stmt *st;
    int r = put_statement(s, t, &st, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < t->n_columns; i++) {
        if (bind_column(st, (int)i + 1, &t->columns[i], row) != SQLITE_OK) {
            sqlite3_clear_bindings(st);
            return store_error(s, e, "bind");
        }
    }
    return step(s, st, e);
}

static int run_text(struct store *s, const char *sql, struct err *e)
{
    if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return store_error(s, e, sql);
    return 0;
}

static int put_all(struct store *s, const struct store_table *t, const void *const *rows, size_t n,
                   struct err *e)
{
    int r = n > 1 ? run_text(s, "BEGIN IMMEDIATE", e) : 0;
    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < n; i++) {
        store_before_write(s);
        r = put_one(s, t, rows[i], e);
    }
    if (n > 1 && r == 0)
        r = run_text(s, "COMMIT", e);
    if (n > 1 && r < 0)
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return r;
}

int store_rows_put(struct store *s, const struct store_table *t, const void *const *rows, size_t n,
                   struct err *e)
{
    AUTO_LOCK(&s->lock);
    int r = t->durable ? store_set_durable(s, true, e) : 0;
    if (r < 0)
        return r;
    r = put_all(s, t, rows, n, e);
    if (t->durable)
        (void)store_set_durable(s, false, NULL);
    return r;
}

int store_row_delete(struct store *s, const struct store_table *t, const char *key, struct err *e)
{
    AUTO_LOCK(&s->lock);
    int r = 0;
    if (!s->remove[t->id]) {
        auto_buf struct buf sql = {0};
        buf_printf(&sql, "DELETE FROM %s WHERE %s = ?", t->name, t->columns[0].name);
        r = prepare(s, &sql, &s->remove[t->id], e);
    }
    if (r < 0)
        return r;
    sqlite3_bind_text(s->remove[t->id], 1, key, -1, SQLITE_STATIC);
    store_before_write(s);
    return step(s, s->remove[t->id], e);
}

/* All rows, one behind the other. */
static int read_all(struct store *s, const struct store_table *t, struct buf *ret, struct err *e)
{
    AUTO_LOCK(&s->lock);
    auto_buf struct buf sql = {0};
    buf_append_str(&sql, "SELECT ");
    names(t, &sql);
    buf_printf(&sql, " FROM %s ORDER BY %s", t->name, t->order);
    sqlite3_stmt *st = NULL;
    int r = prepare(s, &sql, &st, e);
    int code = SQLITE_DONE;
    while (r == 0 && (code = sqlite3_step(st)) == SQLITE_ROW) {
        char *row = buf_reserve(ret, t->row_bytes);
        if (!row) {
            r = err_errno(e, -ENOMEM, "read %s", t->name);
            break;
        }
        memset(row, 0, t->row_bytes);
        ret->len += t->row_bytes;
        for (size_t i = 0; i < t->n_columns; i++)
            read_column(st, (int)i, &t->columns[i], row);
    }
    if (r == 0 && code != SQLITE_DONE)
        r = store_error(s, e, "read");
    sqlite3_finalize(st);
    return r;
}

int store_rows_each(struct store *s, const struct store_table *t,
                    int (*each)(void *arg, const void *row), void *arg, struct err *e)
{
    auto_buf struct buf rows = {0};
    int r = read_all(s, t, &rows, e);
    for (size_t i = 0; r == 0 && i < rows.len; i += t->row_bytes) {
        /* The buffer promises no alignment. */
        auto_free void *row = malloc(t->row_bytes);
        if (!row)
            return err_errno(e, -ENOMEM, "read %s", t->name);
        memcpy(row, rows.data + i, t->row_bytes);
        r = each(arg, row);
    }
    return r;
}
