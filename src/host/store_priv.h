/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The store's inside, for the files store*.c only: the connection, and rows of any struct by a
 * table of columns. */

#include <pthread.h>
#include <sqlite3.h>
#include <stddef.h>

#include "host/store.h"

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

enum store_table_id { STORE_INSTANCES, STORE_SNAPSHOTS, STORE_ACCOUNTS, STORE_KEYS, STORE_TABLES };

/* A table of the database whose rows are structs. The first column is its primary key, a text. */
struct store_table {
    enum store_table_id id;
    const char *name;
    const char *order; /* columns */
    const struct store_column *columns;
    size_t n_columns;
    size_t row_bytes;
};

#define STORE_TEXT_COLUMN(type, member)                                          \
    {                                                                            \
#member, STORE_TEXT, offsetof(type, member), sizeof(((type *)0)->member) \
    }
#define STORE_COLUMN(kind, type, member, name) \
    {                                          \
        name, kind, offsetof(type, member), 0  \
    }

enum store_statement {
    STORE_PUT_VM,
    STORE_DELETE_VM,
    STORE_KNOWN_VM,
    STORE_LIST_VMS,
    STORE_STATEMENTS
};

struct store {
    pthread_mutex_t lock; /* guards everything below */
    sqlite3 *db;
    sqlite3_stmt *stmt[STORE_STATEMENTS];
    sqlite3_stmt *put[STORE_TABLES]; /* made when first needed; likewise */
    sqlite3_stmt *remove[STORE_TABLES];
};

/* Says what the database says; ERR_INTERNAL. */
int store_db_error(struct store *s, struct err *e, const char *what);

/* Inserts or replaces `n` rows (pointers to structs) in one transaction. */
int store_rows_put(struct store *s, const struct store_table *t, const void *const *rows, size_t n,
                   struct err *e);
/* Absent is fine. */
int store_row_delete(struct store *s, const struct store_table *t, const char *key, struct err *e);
/* Calls `each` with every row, a zeroed struct filled in; what it holds is then each's. The lock is
 * not held meanwhile. A negative return ends it. */
int store_rows_each(struct store *s, const struct store_table *t,
                    int (*each)(void *arg, const void *row), void *arg, struct err *e);
