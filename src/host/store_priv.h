/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The store's inside, for store*.c only: one connection under one lock. */

#include <pthread.h>
#include <sqlite3.h>

#include "base/cleanup.h"
#include "host/store.h"

#define STORE_STATEMENTS_MAX 32

struct store {
    pthread_mutex_t lock; /* guards everything below */
    sqlite3 *db;
    sqlite3_stmt *stmt[STORE_STATEMENTS_MAX]; /* prepared once; by store.c's enum statement */
};

/* The connection's last error as an ERR_INTERNAL. With the lock held, as all that follow. */
int store_error(struct store *s, struct err *e, const char *what);

/* A statement of the moment, for what is done rarely; NULL: an error was set. */
sqlite3_stmt *store_prepare(struct store *s, const char *sql, struct err *e);
/* Runs one that gives no rows. */
int store_step(struct store *s, sqlite3_stmt *st, struct err *e);

/* Copies a column, cut to `size`; "" for NULL. */
void store_copy_text(char *ret, size_t size, sqlite3_stmt *st, int column);

static inline void store_finalizep(sqlite3_stmt **st)
{
    sqlite3_finalize(*st);
}
#define auto_stmt CLEANUP(store_finalizep)
