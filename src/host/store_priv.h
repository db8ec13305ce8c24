/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The store's inside, for store*.c only: one connection under one lock; and rows of any struct by a
 * table of columns (store_rows.c). */

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "host/store.h"

#define STORE_STATEMENTS_MAX 32

enum store_kind {
    STORE_TEXT, /* a char array of `size` bytes */
    STORE_I64,  /* int64_t */
    STORE_INT,  /* int, or an enum */
    STORE_BOOL, /* bool */
    STORE_JSON, /* json_t *, owned by the struct */
};

struct store_column {
    const char *name;
    enum store_kind kind;
    size_t offset;
    size_t size; /* STORE_TEXT */
};

enum store_table_id {
    STORE_INSTANCES,
    STORE_SNAPSHOTS,
    STORE_IMAGES,
    STORE_WEBHOOKS,
    STORE_TABLES
};

/* A table of the database whose rows are structs. The first column is its primary key, a text. */
struct store_table {
    enum store_table_id id;
    const char *name;
    const char *order; /* columns */
    const struct store_column *columns;
    size_t n_columns;
    size_t row_bytes;
    bool durable; /* a write survives a loss of power */
};

#define STORE_TEXT_COLUMN(type, member)                                          \
    {                                                                            \
#member, STORE_TEXT, offsetof(type, member), sizeof(((type *)0)->member) \
    }
#define STORE_COLUMN(kind, type, member, name) \
    {                                          \
        name, kind, offsetof(type, member), 0  \
    }

struct store {
    pthread_mutex_t lock; /* guards everything below */
    sqlite3 *db;
    sqlite3_stmt *stmt[STORE_STATEMENTS_MAX]; /* prepared once; by store.c's enum statement */
    sqlite3_stmt *put[STORE_TABLES];          /* made when first needed; likewise */
    sqlite3_stmt *remove[STORE_TABLES];
    const char *die_file; /* NULL but in tests of crashes: see store_before_write */
    int writes;           /* since die_file is there */
};

/* Before each write of VMs, instances and snapshots. A test of crashes gives the daemon
 * HOLM_STORE_DIE, the path of a file: while that is there, the daemon kills itself before the write
 * whose number is in it, counted from 1. */
void store_before_write(struct store *s);

/* The connection's last error as an ERR_INTERNAL. With the lock held, as all that follow. */
int store_error(struct store *s, struct err *e, const char *what);

/* A statement of the moment, for what is done rarely; NULL: an error was set. */
sqlite3_stmt *store_prepare(struct store *s, const char *sql, struct err *e);
/* Runs one that gives no rows. */
int store_step(struct store *s, sqlite3_stmt *st, struct err *e);
/* Likewise, and it survives a loss of power, as all that was written before it. */
int store_step_durable(struct store *s, sqlite3_stmt *st, struct err *e);
/* Whether what is written from here on does; not within a transaction. */
int store_set_durable(struct store *s, bool durable, struct err *e);

/* Copies a column, cut to `size`; "" for NULL. */
void store_copy_text(char *ret, size_t size, sqlite3_stmt *st, int column);

static inline void store_finalizep(sqlite3_stmt **st)
{
    sqlite3_finalize(*st);
}
#define auto_stmt CLEANUP(store_finalizep)

/* --- rows; these take the lock --- */

/* Inserts or replaces `n` rows (pointers to structs) in one transaction. */
int store_rows_put(struct store *s, const struct store_table *t, const void *const *rows, size_t n,
                   struct err *e);
/* Absent is fine. */
int store_row_delete(struct store *s, const struct store_table *t, const char *key, struct err *e);
/* Calls `each` with every row, a zeroed struct filled in; what it holds is then each's. The lock is
 * not held meanwhile. A negative return ends it. */
int store_rows_each(struct store *s, const struct store_table *t,
                    int (*each)(void *arg, const void *row), void *arg, struct err *e);
