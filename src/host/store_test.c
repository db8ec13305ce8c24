/* SPDX-License-Identifier: Apache-2.0 */
#include "host/store.h"

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"
#include "host/store_accounts.h"
#include "host/store_people.h"

DEFINE_AUTO(struct store *, store_close)
#define auto_store CLEANUP(store_closep)

static struct vm_record sample(const char *id)
{
    struct vm_record r = {
        .state = VM_RUNNING,
        .image = "python",
        .language = "python",
        .used = true,
        .uid = 1990000001,
        .shape = {.vcpus = 1, .memory_mib = 256},
        .proc = {.pid = 4711, .start_ticks = 1234567890123},
        .created_real_ns = 1700000000123456789,
    };
    strcpy(r.id, id);
    return r;
}

struct seen {
    struct vm_record last;
    int n;
};

static int note(void *arg, const struct vm_record *r)
{
    struct seen *s = arg;
    s->last = *r;
    s->n++;
    return 0;
}

static struct store *open_in(const char *dir, struct err *e)
{
    char path[PATH_MAX];
    struct store *s = NULL;
    path_printf(path, sizeof(path), "%s/holm.db", dir);
    store_open(path, &s, e);
    return s;
}

static void test_round_trip(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    auto_store struct store *s = open_in(dir, NULL);
    assert_non_null(s);
    struct vm_record a = sample("aaaaaaaaaaaaaaaaaaaa"), b = sample("bbbbbbbbbbbbbbbbbbbb");
    b.created_real_ns++;
    assert_int_equal(store_vm_put(s, &b, NULL), 0);
    assert_int_equal(store_vm_put(s, &a, NULL), 0);
    b.state = VM_LOST;
    assert_int_equal(store_vm_put(s, &b, NULL), 0);
    struct seen seen = {0};
    assert_int_equal(store_vm_each(s, note, &seen, NULL), 0);
    assert_int_equal(seen.n, 2);
    assert_memory_equal(&seen.last, &b, sizeof(b));
    bool known = false;
    assert_int_equal(store_vm_known(s, a.id, &known, NULL), 0);
    assert_true(known);
    assert_int_equal(store_vm_delete(s, a.id, NULL), 0);
    assert_int_equal(store_vm_delete(s, a.id, NULL), 0);
    assert_int_equal(store_vm_known(s, a.id, &known, NULL), 0);
    assert_false(known);
}

/* A process that is killed right after a put returned leaves the record behind. */
static void test_killed(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    pid_t pid = fork();
    if (pid == 0) {
        struct store *mine = open_in(dir, NULL);
        struct vm_record r = sample("cccccccccccccccccccc");
        if (mine && store_vm_put(mine, &r, NULL) == 0)
            raise(SIGKILL);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    auto_store struct store *s = open_in(dir, NULL);
    struct seen seen = {0};
    assert_int_equal(store_vm_each(s, note, &seen, NULL), 0);
    assert_int_equal(seen.n, 1);
    assert_string_equal(seen.last.id, "cccccccccccccccccccc");
}

static void set_version(const char *dir, const char *pragma)
{
    char path[PATH_MAX];
    sqlite3 *db = NULL;
    path_printf(path, sizeof(path), "%s/holm.db", dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, pragma, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void test_newer_schema_is_refused(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    struct err e = ERR_INIT;
    set_version(dir, "PRAGMA user_version = 999");
    assert_null(open_in(dir, &e));
    assert_int_equal(e.class, ERR_CONFLICT);
    assert_non_null(strstr(e.text, "use a newer holmd"));
}

static void test_not_a_database(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    struct err e = ERR_INIT;
    char path[PATH_MAX], junk[8192];
    memset(junk, 'x', sizeof(junk));
    path_printf(path, sizeof(path), "%s/holm.db", dir);
    assert_int_equal(file_write_atomic(path, junk, sizeof(junk), 0600), 0);
    assert_null(open_in(dir, &e));
    assert_non_null(strstr(e.text, "not a database"));
    assert_null(open_in("/nowhere", &e));
    assert_non_null(strstr(e.text, "/nowhere/holm.db"));
}

/* A failed migration leaves version and schema as they were. */
static void test_migration_is_atomic(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    struct err e = ERR_INIT;
    set_version(dir, "CREATE TABLE vms (wrong INTEGER)");
    assert_null(open_in(dir, &e));
    assert_non_null(strstr(e.text, "migrate schema from version 0"));
    set_version(dir, "DROP TABLE vms");
    auto_store struct store *s = open_in(dir, &e);
    assert_non_null(s);
}

static int stop_at_once(void *arg, const struct vm_record *r)
{
    return -EINTR;
}

static void test_each_can_stop(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    auto_store struct store *s = open_in(dir, NULL);
    struct vm_record r = sample("dddddddddddddddddddd");
    assert_int_equal(store_vm_put(s, &r, NULL), 0);
    assert_int_equal(store_vm_each(s, stop_at_once, NULL, NULL), -EINTR);
}

/* Of this process, SQLite's too: those that wait for the disk. */
static _Atomic int n_syncs;

int fsync(int fd)
{
    n_syncs++;
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    n_syncs++;
    return (int)syscall(SYS_fdatasync, fd);
}

#define ASSERT_SYNCS(call)               \
    do {                                 \
        int n_before = n_syncs;          \
        assert_int_equal(call, 0);       \
        assert_true(n_syncs > n_before); \
    } while (0)

/* What must not come back after a loss of power; and nothing else pays for that. */
static void test_what_is_durable(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    auto_store struct store *s = open_in(dir, NULL);
    struct vm_record r = sample("dddddddddddddddddddd");
    const struct account_info account = {.id = "aaaaaaaaaaaaaaaaaaaa", .name = "a"};
    const struct session_record session = {.hash = "x", .account = "aaaaaaaaaaaaaaaaaaaa"};
    const struct admin_record admin = {.email = "a@example.org", .hash = "x"};
    struct key_record key = {.info = {.id = "kkkkkkkkkkkkkkkkkkkk", .name = "k"}};
    memcpy(key.info.account, account.id, sizeof(account.id));
    assert_int_equal(store_account_put(s, &account, NULL), 0);
    ASSERT_SYNCS(store_key_put(s, &key, NULL));
    key.info.revoked_ns = 1;
    ASSERT_SYNCS(store_key_put(s, &key, NULL));
    assert_int_equal(store_session_put(s, &session, NULL), 0);
    ASSERT_SYNCS(store_session_delete(s, session.hash, NULL));
    ASSERT_SYNCS(store_admin_put(s, &admin, NULL));
    ASSERT_SYNCS(store_account_delete(s, account.id, NULL));
    int n_before = n_syncs;
    assert_int_equal(store_vm_put(s, &r, NULL), 0);
    assert_int_equal(store_session_put(s, &session, NULL), 0);
    assert_int_equal(n_syncs, n_before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_newer_schema_is_refused),
        cmocka_unit_test(test_not_a_database),
        cmocka_unit_test(test_migration_is_atomic),
        cmocka_unit_test(test_each_can_stop),
        cmocka_unit_test(test_what_is_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
