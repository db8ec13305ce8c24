/* SPDX-License-Identifier: Apache-2.0 */
#include "host/store.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "host/store_priv.h"

enum statement { PUT_VM, DELETE_VM, KNOWN_VM, LIST_VMS, STATEMENT_COUNT };

static const char *const sql[STATEMENT_COUNT] = {
    [PUT_VM] = "INSERT OR REPLACE INTO vms (id, state, image, language, used, uid, vcpus, "
               "memory_mib, pid, start_ticks,"
               " created_real_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [DELETE_VM] = "DELETE FROM vms WHERE id = ?",
    [KNOWN_VM] = "SELECT 1 FROM vms WHERE id = ?",
    [LIST_VMS] = "SELECT id, state, image, language, used, uid, vcpus, memory_mib, pid, "
                 "start_ticks, created_real_ns"
                 " FROM vms ORDER BY created_real_ns, id",
};

/* migrations[n] takes the schema from version n to n + 1. Never change one that was released: add
 * another. */
static const char *const migrations[] = {
    "CREATE TABLE vms ("
    " id TEXT PRIMARY KEY NOT NULL,"
    " state TEXT NOT NULL,"
    " image TEXT NOT NULL,"
    " language TEXT NOT NULL,"
    " used INTEGER NOT NULL,"
    " uid INTEGER NOT NULL,"
    " vcpus INTEGER NOT NULL,"
    " memory_mib INTEGER NOT NULL,"
    " pid INTEGER NOT NULL,"
    " start_ticks INTEGER NOT NULL,"
    " created_real_ns INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;",
    "CREATE TABLE accounts ("
    " id TEXT PRIMARY KEY NOT NULL,"
    " name TEXT NOT NULL,"
    " admin INTEGER NOT NULL,"
    " vcpus INTEGER NOT NULL,"
    " memory_mib INTEGER NOT NULL,"
    " disk_bytes INTEGER NOT NULL,"
    " snapshots INTEGER NOT NULL,"
    " created_real_ns INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE keys ("
    " id TEXT PRIMARY KEY NOT NULL,"
    " account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,"
    " name TEXT NOT NULL,"
    " prefix TEXT NOT NULL,"
    " hash BLOB NOT NULL UNIQUE,"
    " created_real_ns INTEGER NOT NULL,"
    " last_used_real_ns INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX keys_account ON keys (account);",

    "CREATE TABLE instances ("
    " id TEXT PRIMARY KEY NOT NULL, account TEXT NOT NULL, name TEXT NOT NULL,"
    " state INTEGER NOT NULL, origin INTEGER NOT NULL, detail TEXT NOT NULL, image TEXT NOT NULL,"
    " source TEXT NOT NULL, snapshot TEXT NOT NULL, forked_from TEXT NOT NULL,"
    " machine_type TEXT NOT NULL, next_machine_type TEXT NOT NULL, vcpus INTEGER NOT NULL,"
    " memory_mib INTEGER NOT NULL, disk_bytes INTEGER NOT NULL, metadata TEXT NOT NULL,"
    " env TEXT NOT NULL, firewall TEXT NOT NULL, ttl_seconds INTEGER NOT NULL,"
    " ttl_action INTEGER NOT NULL, idle_seconds INTEGER NOT NULL, idle_action INTEGER NOT NULL,"
    " created_ns INTEGER NOT NULL, paused_ns INTEGER NOT NULL, expires_ns INTEGER NOT NULL,"
    " ttl_remaining_ns INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE snapshots ("
    " id TEXT PRIMARY KEY NOT NULL, account TEXT NOT NULL, vm TEXT NOT NULL, name TEXT NOT NULL,"
    " state INTEGER NOT NULL, image TEXT NOT NULL, machine_type TEXT NOT NULL,"
    " vcpus INTEGER NOT NULL, memory_mib INTEGER NOT NULL, disk_bytes INTEGER NOT NULL,"
    " size_bytes INTEGER NOT NULL, pause_us INTEGER NOT NULL, metadata TEXT NOT NULL,"
    " env TEXT NOT NULL, firewall TEXT NOT NULL, created_ns INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;",

    "ALTER TABLE instances ADD COLUMN grows INTEGER NOT NULL DEFAULT 0;",

    "ALTER TABLE accounts ADD COLUMN default_image TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE keys ADD COLUMN expires_real_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE keys ADD COLUMN revoked_real_ns INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE images ("
    " id TEXT PRIMARY KEY NOT NULL, account TEXT NOT NULL, name TEXT NOT NULL,"
    " description TEXT NOT NULL, created_ns INTEGER NOT NULL,"
    " kernel_uploaded_ns INTEGER NOT NULL, rootfs_uploaded_ns INTEGER NOT NULL,"
    " kernel_bytes INTEGER NOT NULL, disk_bytes INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE admin (email TEXT PRIMARY KEY NOT NULL, hash TEXT NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE sessions ("
    " hash BLOB PRIMARY KEY NOT NULL, account TEXT NOT NULL, email TEXT NOT NULL,"
    " key TEXT NOT NULL, created_ns INTEGER NOT NULL, expires_ns INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE activity ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, at_ns INTEGER NOT NULL, account TEXT NOT NULL,"
    " type TEXT NOT NULL, entity TEXT NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL,"
    " data TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX activity_account ON activity (account, id);"
    "CREATE TABLE webhooks ("
    " id TEXT PRIMARY KEY NOT NULL, account TEXT NOT NULL, name TEXT NOT NULL, url TEXT NOT NULL,"
    " types TEXT NOT NULL, secret TEXT NOT NULL, enabled INTEGER NOT NULL,"
    " created_ns INTEGER NOT NULL, updated_ns INTEGER NOT NULL, last_tried_ns INTEGER NOT NULL,"
    " last_status INTEGER NOT NULL, last_error TEXT NOT NULL, delivered_id INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;",
};

_Static_assert(STATEMENT_COUNT <= STORE_STATEMENTS_MAX, "store_priv.h has room for all");

int store_error(struct store *s, struct err *e, const char *what)
{
    int code = sqlite3_extended_errcode(s->db);
    const char *hint = (code & 0xff) == SQLITE_FULL ? " (the disk is full: free some space)" : "";
    return err_set(e, ERR_INTERNAL, "database: %s: %s%s", what, sqlite3_errmsg(s->db), hint);
}

static int exec(struct store *s, const char *text, struct err *e)
{
    if (sqlite3_exec(s->db, text, NULL, NULL, NULL) != SQLITE_OK)
        return store_error(s, e, text);
    return 0;
}

static int schema_version(struct store *s, int *ret, struct err *e)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &st, NULL) != SQLITE_OK)
        return store_error(s, e, "read schema version");
    int r = sqlite3_step(st) == SQLITE_ROW ? 0 : store_error(s, e, "read schema version");
    if (r == 0)
        *ret = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    return r;
}

/* One transaction for each step, the version in it: a crash leaves the schema at one version or the
 * next. */
static int migrate_step(struct store *s, int version, struct err *e)
{
    char done[64];
    snprintf(done, sizeof(done), "PRAGMA user_version = %d; COMMIT", version + 1);
    int r = exec(s, "BEGIN IMMEDIATE", e);
    if (r == 0)
        r = exec(s, migrations[version], e);
    if (r == 0)
        r = exec(s, done, e);
    if (r < 0)
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return r;
}

static int migrate(struct store *s, struct err *e)
{
    int version = 0;
    int r = schema_version(s, &version, e);
    if (r < 0)
        return r;
    int newest = (int)ARRAY_SIZE(migrations);
    if (version > newest)
        return err_set(
            e, ERR_CONFLICT,
            "the database has schema version %d, this holmd knows up to %d: use a newer holmd",
            version, newest);
    for (; version < newest; version++) {
        r = migrate_step(s, version, e);
        if (r < 0)
            return err_wrap(e, r, "migrate schema from version %d", version);
    }
    return 0;
}

static int prepare_all(struct store *s, struct err *e)
{
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        if (sqlite3_prepare_v3(s->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &s->stmt[i], NULL) !=
            SQLITE_OK)
            return store_error(s, e, "prepare");
    }
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    for (int i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(s->stmt[i]);
    for (int i = 0; i < STORE_TABLES; i++) {
        sqlite3_finalize(s->put[i]);
        sqlite3_finalize(s->remove[i]);
    }
    sqlite3_close(s->db);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

DEFINE_AUTO(struct store *, store_close)

int store_open(const char *path, struct store **ret, struct err *e)
{
    CLEANUP(store_closep) struct store *s = calloc(1, sizeof(*s));
    if (!s)
        return err_errno(e, -ENOMEM, "open database");
    pthread_mutex_init(&s->lock, NULL);
    s->die_file = getenv("HOLM_STORE_DIE");
    if (sqlite3_open_v2(path, &s->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK)
        return err_wrap(e, store_error(s, e, "open"), "%s", path);
    sqlite3_busy_timeout(s->db, 5000);
    int r = exec(
        s, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON", e);
    if (r == 0)
        r = migrate(s, e);
    if (r == 0)
        r = prepare_all(s, e);
    if (r < 0)
        return err_wrap(e, r, "%s", path);
    *ret = TAKE_PTR(s);
    return 0;
}

sqlite3_stmt *store_prepare(struct store *s, const char *text, struct err *e)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(s->db, text, -1, &st, NULL) != SQLITE_OK)
        store_error(s, e, "prepare");
    return st;
}

int store_step(struct store *s, sqlite3_stmt *st, struct err *e)
{
    return sqlite3_step(st) == SQLITE_DONE ? 0 : store_error(s, e, "write");
}

int store_set_durable(struct store *s, bool durable, struct err *e)
{
    return exec(s, durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL", e);
}

int store_step_durable(struct store *s, sqlite3_stmt *st, struct err *e)
{
    int r = store_set_durable(s, true, e);
    if (r < 0)
        return r;
    r = store_step(s, st, e);
    (void)store_set_durable(s, false, NULL);
    return r;
}

void store_before_write(struct store *s)
{
    auto_buf struct buf number = {0};
    if (!s->die_file)
        return;
    if (file_read(s->die_file, &number, 16) < 0)
        s->writes = 0;
    else if (++s->writes == atoi(buf_str(&number)))
        raise(SIGKILL);
}

/* Runs a statement that gives no rows. */
static int run(struct store *s, enum statement which, struct err *e)
{
    sqlite3_stmt *st = s->stmt[which];
    store_before_write(s);
    int r = store_step(s, st, e);
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    return r;
}

int store_vm_put(struct store *s, const struct vm_record *v, struct err *e)
{
    AUTO_LOCK(&s->lock);
    sqlite3_stmt *st = s->stmt[PUT_VM];
    sqlite3_bind_text(st, 1, v->id, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, lifecycle_state_name(v->state), -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 3, v->image, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 4, v->language, -1, SQLITE_STATIC);
    sqlite3_bind_int(st, 5, v->used);
    sqlite3_bind_int64(st, 6, v->uid);
    sqlite3_bind_int(st, 7, v->shape.vcpus);
    sqlite3_bind_int(st, 8, v->shape.memory_mib);
    sqlite3_bind_int(st, 9, v->proc.pid);
    sqlite3_bind_int64(st, 10, (sqlite3_int64)v->proc.start_ticks);
    sqlite3_bind_int64(st, 11, v->created_real_ns);
    return run(s, PUT_VM, e);
}

int store_vm_delete(struct store *s, const char *id, struct err *e)
{
    AUTO_LOCK(&s->lock);
    sqlite3_bind_text(s->stmt[DELETE_VM], 1, id, -1, SQLITE_STATIC);
    return run(s, DELETE_VM, e);
}

int store_vm_known(struct store *s, const char *id, bool *ret, struct err *e)
{
    AUTO_LOCK(&s->lock);
    sqlite3_stmt *st = s->stmt[KNOWN_VM];
    sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
    int code = sqlite3_step(st);
    int r = code == SQLITE_ROW || code == SQLITE_DONE ? 0 : store_error(s, e, "read");
    if (r == 0)
        *ret = code == SQLITE_ROW;
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    return r;
}

void store_copy_text(char *ret, size_t size, sqlite3_stmt *st, int column)
{
    const unsigned char *text = sqlite3_column_text(st, column);
    snprintf(ret, size, "%s", text ? (const char *)text : "");
}

static void read_vm(sqlite3_stmt *st, struct vm_record *v)
{
    char state[32];
    *v = (struct vm_record){.state = VM_LOST};
    store_copy_text(v->id, sizeof(v->id), st, 0);
    store_copy_text(state, sizeof(state), st, 1);
    lifecycle_state_parse(state, &v->state);
    store_copy_text(v->image, sizeof(v->image), st, 2);
    store_copy_text(v->language, sizeof(v->language), st, 3);
    v->used = sqlite3_column_int(st, 4) != 0;
    v->uid = (uid_t)sqlite3_column_int64(st, 5);
    v->shape.vcpus = sqlite3_column_int(st, 6);
    v->shape.memory_mib = sqlite3_column_int(st, 7);
    v->proc.pid = sqlite3_column_int(st, 8);
    v->proc.start_ticks = (uint64_t)sqlite3_column_int64(st, 9);
    v->created_real_ns = sqlite3_column_int64(st, 10);
}

static int read_vms(struct store *s, struct vm_record **ret, size_t *ret_n, struct err *e)
{
    AUTO_LOCK(&s->lock);
    auto_free struct vm_record *list = NULL;
    size_t n = 0, cap = 0;
    sqlite3_stmt *st = s->stmt[LIST_VMS];
    int code;
    while ((code = sqlite3_step(st)) == SQLITE_ROW) {
        if (n == cap) {
            cap = cap ? 2 * cap : 16;
            struct vm_record *more = reallocarray(list, cap, sizeof(*list));
            if (!more)
                break;
            list = more;
        }
        read_vm(st, &list[n++]);
    }
    int r = code == SQLITE_DONE  ? 0
            : code == SQLITE_ROW ? err_errno(e, -ENOMEM, "list vms")
                                 : store_error(s, e, "list vms");
    sqlite3_reset(st);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(list);
    *ret_n = n;
    return 0;
}

int store_vm_each(struct store *s, int (*each)(void *arg, const struct vm_record *r), void *arg,
                  struct err *e)
{
    auto_free struct vm_record *list = NULL;
    size_t n = 0;
    int r = read_vms(s, &list, &n, e);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = each(arg, &list[i]);
    return r;
}
