/* SPDX-License-Identifier: Apache-2.0 */
#include "host/accounts.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "base/test.h"
#include "host/host_priv.h"
#include "host/store_priv.h"

#define HOLM_KEY_LEN 45
#define S INT64_C(1000000000)

/* The clock is the tests' (--wrap). */
static int64_t the_time = 1700000000 * S;

int64_t __wrap_clock_real_ns(void);
int64_t __wrap_clock_real_ns(void)
{
    return the_time++;
}

/* Accounts over a store in a directory of its own; may be opened again. */
struct world {
    char *dir;
    struct host host;
};

static const struct quota some = {
    .vcpus = 4, .memory_mib = 4096, .disk_bytes = 40 * (int64_t)GIB, .snapshots = 2};

static void world_open(struct world *w)
{
    char path[PATH_MAX];
    path_printf(path, sizeof(path), "%s/holm.db", w->dir);
    assert_int_equal(store_open(path, &w->host.store, NULL), 0);
    assert_int_equal(accounts_new(w->host.store, w->dir, &some, &w->host.accounts, NULL), 0);
}

static void world_close(struct world *w)
{
    accounts_free(TAKE_PTR(w->host.accounts));
    store_close(TAKE_PTR(w->host.store));
}

static void world_again(struct world *w)
{
    world_close(w);
    world_open(w);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    w->dir = test_dir_make();
    world_open(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    world_close(w);
    test_dir_drop(&w->dir);
    free(w);
    return 0;
}

static void key_path(const struct world *w, char ret[PATH_MAX])
{
    path_printf(ret, PATH_MAX, "%s/admin.key", w->dir);
}

static void read_key_file(const struct world *w, char ret[KEY_SIZE])
{
    char path[PATH_MAX];
    auto_buf struct buf b = {0};
    key_path(w, path);
    assert_int_equal(file_read(path, &b, 1000), 0);
    assert_int_equal(b.len, HOLM_KEY_LEN + 1);
    assert_int_equal(b.data[HOLM_KEY_LEN], '\n');
    memcpy(ret, b.data, HOLM_KEY_LEN);
    ret[HOLM_KEY_LEN] = '\0';
}

static void admin_of(struct world *w, char ret[ID_SIZE])
{
    auto_free struct account_info *list = NULL;
    size_t n = 0;
    assert_int_equal(host_account_list(&w->host, &list, &n, NULL), 0);
    assert_true(n >= 1 && list[0].admin);
    memcpy(ret, list[0].id, ID_SIZE);
}

static void drop_all_keys(struct world *w)
{
    auto_free struct key_info *list = NULL;
    size_t n = 0;
    assert_int_equal(host_key_list(&w->host, NULL, &list, &n, NULL), 0);
    for (size_t i = 0; i < n; i++)
        assert_true(host_key_revoke(&w->host, NULL, list[i].id, NULL) >= 0);
}

static void test_first_start(void **state)
{
    struct world *w = *state;
    char key[KEY_SIZE], again[KEY_SIZE], account[ID_SIZE], admin_id[ID_SIZE], path[PATH_MAX];
    bool admin = false;
    struct stat st;
    read_key_file(w, key);
    key_path(w, path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(host_key_account(&w->host, key, account, &admin, NULL), 0);
    assert_true(admin);
    admin_of(w, admin_id);
    assert_string_equal(account, admin_id);
    world_again(w);
    read_key_file(w, again);
    assert_string_equal(again, key);
    assert_int_equal(host_key_account(&w->host, key, account, NULL, NULL), 0);
    assert_string_equal(account, admin_id);
}

/* What the operator loses is made anew; what he took away on purpose is not. */
static void test_admin_key_again(void **state)
{
    struct world *w = *state;
    char first[KEY_SIZE], second[KEY_SIZE], other[KEY_SIZE], account[ID_SIZE], path[PATH_MAX];
    struct key_info k;
    read_key_file(w, first);
    key_path(w, path);
    assert_int_equal(unlink(path), 0);
    world_again(w);
    read_key_file(w, second);
    assert_string_not_equal(first, second);
    assert_int_equal(host_key_account(&w->host, first, account, NULL, NULL), 0);

    drop_all_keys(w);
    world_again(w);
    read_key_file(w, first);
    assert_string_not_equal(first, second);

    assert_int_equal(host_key_account(&w->host, first, account, NULL, NULL), 0);
    drop_all_keys(w);
    assert_int_equal(
        host_key_create(&w->host, &(struct key_wish){account, "mine"}, &k, other, NULL), 0);
    world_again(w);
    read_key_file(w, second);
    assert_string_equal(first, second);
    assert_int_equal(host_key_account(&w->host, first, account, NULL, NULL), -EACCES);
    assert_int_equal(host_key_account(&w->host, other, account, NULL, NULL), 0);
}

static void test_keys(void **state)
{
    struct world *w = *state;
    char admin[ID_SIZE], account[ID_SIZE], key[KEY_SIZE], wrong[KEY_SIZE];
    struct account_info a;
    struct key_info k;
    bool is_admin = true;
    struct err e = ERR_INIT;
    admin_of(w, admin);
    assert_int_equal(host_account_create(&w->host, "ann", NULL, &a, NULL), 0);
    assert_int_equal(host_key_create(&w->host, &(struct key_wish){a.id, "laptop"}, &k, key, NULL),
                     0);
    assert_string_equal(k.name, "laptop");
    assert_string_equal(k.account, a.id);
    assert_int_equal(strncmp(key, "holm_", 5), 0);
    assert_int_equal(strlen(key), HOLM_KEY_LEN);
    assert_int_equal(strlen(k.prefix), 12);
    assert_int_equal(strncmp(key, k.prefix, 12), 0);
    assert_int_equal(host_key_account(&w->host, key, account, &is_admin, NULL), 0);
    assert_false(is_admin);
    assert_string_equal(account, a.id);

    strcpy(wrong, key);
    wrong[HOLM_KEY_LEN - 1] = wrong[HOLM_KEY_LEN - 1] == 'a' ? 'b' : 'a';
    const char *const bad[] = {wrong, "", "holm_", "x", k.prefix};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(host_key_account(&w->host, bad[i], account, NULL, &e), -EACCES);
        assert_int_equal(e.class, ERR_UNAUTHORIZED);
    }

    assert_int_equal(host_key_revoke(&w->host, admin, k.id, &e), -ENOENT);
    assert_int_equal(e.class, ERR_NOT_FOUND);
    world_again(w);
    assert_int_equal(host_key_account(&w->host, key, account, NULL, NULL), 0);
    assert_int_equal(host_key_revoke(&w->host, a.id, k.id, NULL), 0);
    assert_int_equal(host_key_account(&w->host, key, account, NULL, NULL), -EACCES);
    assert_int_equal(host_key_revoke(&w->host, a.id, k.id, NULL), 1);
    world_again(w);
    assert_int_equal(host_key_revoke(&w->host, a.id, k.id, NULL), 1);
    assert_int_equal(host_key_account(&w->host, key, account, NULL, NULL), -EACCES);
}

static void test_many_keys(void **state)
{
    struct world *w = *state;
    static char keys[ACCOUNT_KEYS_MAX][KEY_SIZE];
    char account[ID_SIZE], more[KEY_SIZE];
    struct account_info a;
    struct err e = ERR_INIT;
    assert_int_equal(host_account_create(&w->host, "ann", NULL, &a, NULL), 0);
    for (int i = 0; i < ACCOUNT_KEYS_MAX; i++)
        assert_int_equal(
            host_key_create(&w->host, &(struct key_wish){a.id, NULL}, NULL, keys[i], NULL), 0);
    assert_int_equal(host_key_create(&w->host, &(struct key_wish){a.id, NULL}, NULL, more, &e),
                     -EPERM);
    assert_non_null(strstr(e.text, "revoke one"));
    for (int i = 0; i < ACCOUNT_KEYS_MAX; i++)
        assert_int_equal(host_key_account(&w->host, keys[i], account, NULL, NULL), 0);
    auto_free struct key_info *list = NULL;
    size_t n = 0;
    assert_int_equal(host_key_list(&w->host, a.id, &list, &n, NULL), 0);
    assert_int_equal(n, ACCOUNT_KEYS_MAX);
    for (int i = 0; i < ACCOUNT_KEYS_MAX; i++)
        assert_int_equal(strncmp(list[i].prefix, keys[i], 12), 0);
}

static size_t count_keys(struct world *w, const char *account, bool revoked)
{
    auto_free struct key_info *list = NULL;
    size_t n = 0, count = 0;
    assert_int_equal(host_key_list(&w->host, account, &list, &n, NULL), 0);
    for (size_t i = 0; i < n; i++)
        count += (list[i].revoked_ns != 0) == revoked;
    return count;
}

/* They are remembered, but not for ever, and take nobody's place. */
static void test_many_revoked(void **state)
{
    struct world *w = *state;
    struct account_info a;
    struct key_info k, first = {0};
    char key[KEY_SIZE];
    assert_int_equal(host_account_create(&w->host, "ann", NULL, &a, NULL), 0);
    for (int i = 0; i < ACCOUNT_KEYS_MAX + 2; i++) {
        assert_int_equal(host_key_create(&w->host, &(struct key_wish){a.id, NULL}, &k, key, NULL),
                         0);
        assert_int_equal(host_key_revoke(&w->host, a.id, k.id, NULL), 0);
        if (i == 0)
            first = k;
    }
    assert_int_equal(count_keys(w, a.id, true), ACCOUNT_KEYS_MAX);
    assert_int_equal(count_keys(w, a.id, false), 0);
    assert_int_equal(host_key_revoke(&w->host, a.id, first.id, NULL), -ENOENT);
    world_again(w);
    assert_int_equal(count_keys(w, a.id, true), ACCOUNT_KEYS_MAX);
}

static void test_key_forms(void **state)
{
    struct world *w = *state;
    char admin[ID_SIZE], account[ID_SIZE], key[KEY_SIZE];
    struct key_info k;
    admin_of(w, admin);
    const struct key_wish wish = {.account = admin, .form = KEY_FORM_RDS};
    assert_int_equal(host_key_create(&w->host, &wish, &k, key, NULL), 0);
    assert_int_equal(strlen(key), KEY_SIZE - 1);
    assert_int_equal(strspn(key + 4, "0123456789abcdef"), 12);
    assert_int_equal(strncmp(key, "rds_", 4), 0);
    assert_int_equal(key[16], '_');
    assert_int_equal(strncmp(key, k.prefix, 12), 0);
    assert_string_equal(k.name, "key");
    assert_int_equal(host_key_account(&w->host, key, account, NULL, NULL), 0);
    world_again(w);
    assert_int_equal(host_key_account(&w->host, key, account, NULL, NULL), 0);
    assert_string_equal(account, admin);
}

static void test_key_expires(void **state)
{
    struct world *w = *state;
    char admin[ID_SIZE], account[ID_SIZE], key[KEY_SIZE], ref[KEY_REF_SIZE];
    struct key_info k;
    struct err e = ERR_INIT;
    admin_of(w, admin);
    struct key_wish wish = {.account = admin, .expires_ns = the_time + 10 * S};
    assert_int_equal(host_key_create(&w->host, &wish, &k, key, NULL), 0);
    assert_int_equal(k.expires_ns, wish.expires_ns);
    assert_int_equal(accounts_find_key(w->host.accounts, key, account, ref, NULL), 0);
    world_again(w);
    assert_int_equal(host_key_account(&w->host, key, account, NULL, NULL), 0);
    assert_true(accounts_key_lives(w->host.accounts, ref));
    the_time = wish.expires_ns;
    assert_int_equal(host_key_account(&w->host, key, account, NULL, &e), -EACCES);
    assert_int_equal(e.class, ERR_UNAUTHORIZED);
    assert_false(accounts_key_lives(w->host.accounts, ref));
    assert_int_equal(host_key_create(&w->host, &wish, &k, key, &e), -EINVAL);
    assert_string_equal(e.field, "expiresAt");
}

/* The one that the configuration gives. */
static void test_set_key(void **state)
{
    struct world *w = *state;
    char admin[ID_SIZE], account[ID_SIZE], ref[KEY_REF_SIZE], again[KEY_REF_SIZE];
    bool is_admin = false;
    struct err e = ERR_INIT;
    const char *key = "correct horse battery";
    admin_of(w, admin);
    assert_int_equal(accounts_set_key(w->host.accounts, "7 chars", &e), -EINVAL);
    assert_int_equal(host_key_account(&w->host, "7 chars", account, NULL, NULL), -EACCES);
    assert_int_equal(accounts_set_key(w->host.accounts, key, NULL), 0);
    assert_int_equal(host_key_account(&w->host, key, account, &is_admin, NULL), 0);
    assert_true(is_admin);
    assert_string_equal(account, admin);
    assert_int_equal(count_keys(w, NULL, false), 1); /* admin.key */
    assert_int_equal(accounts_find_key(w->host.accounts, key, account, ref, NULL), 0);
    assert_true(accounts_key_lives(w->host.accounts, ref));
    world_again(w);
    assert_int_equal(host_key_account(&w->host, key, account, NULL, NULL), -EACCES);
    assert_false(accounts_key_lives(w->host.accounts, ref));
    assert_int_equal(accounts_set_key(w->host.accounts, "another one", NULL), 0);
    assert_int_equal(accounts_find_key(w->host.accounts, "another one", account, again, NULL), 0);
    assert_string_not_equal(ref, again);
    assert_false(accounts_key_lives(w->host.accounts, ref));
}

static int64_t last_used(struct world *w)
{
    auto_free struct key_info *list = NULL;
    size_t n = 0;
    assert_int_equal(host_key_list(&w->host, NULL, &list, &n, NULL), 0);
    assert_int_equal(n, 1);
    return list[0].last_used_ns;
}

static void test_last_used(void **state)
{
    struct world *w = *state;
    char key[KEY_SIZE], account[ID_SIZE];
    assert_int_equal(last_used(w), 0);
    read_key_file(w, key);
    assert_int_equal(host_key_account(&w->host, key, account, NULL, NULL), 0);
    int64_t used = last_used(w);
    assert_true(used > 0);
    assert_int_equal(host_key_account(&w->host, key, account, NULL, NULL), 0);
    assert_int_equal(last_used(w), used);
    world_again(w);
    assert_int_equal(last_used(w), used);
}

static void test_account_changes(void **state)
{
    struct world *w = *state;
    struct account_info a, b;
    struct err e = ERR_INIT;
    const struct quota given = {.vcpus = 8, .memory_mib = -1, .disk_bytes = -1, .snapshots = 0};
    assert_int_equal(host_account_create(&w->host, "ann", &given, &a, NULL), 0);
    assert_int_equal(a.limits.vcpus, 8);
    assert_int_equal(a.limits.memory_mib, some.memory_mib);
    assert_int_equal(a.limits.snapshots, 0);
    const struct quota more = {.vcpus = -1, .memory_mib = -1, .disk_bytes = 1, .snapshots = -1};
    assert_int_equal(host_account_update(&w->host, a.id, "anna", &more, &b, NULL), 0);
    assert_string_equal(b.name, "anna");
    world_again(w);
    assert_int_equal(host_account_get(&w->host, a.id, &b, NULL), 0);
    assert_string_equal(b.name, "anna");
    assert_int_equal(b.limits.vcpus, 8);
    assert_int_equal(b.limits.disk_bytes, 1);
    assert_false(b.admin);

    assert_int_equal(host_account_create(&w->host, "", NULL, &b, &e), -EINVAL);
    assert_string_equal(e.field, "name");
    assert_int_equal(host_account_create(&w->host, "a\nb", NULL, &b, &e), -EINVAL);
    assert_non_null(strstr(e.text, "control character"));
    char longname[ACCOUNT_NAME_SIZE + 1] = "";
    memset(longname, 'x', ACCOUNT_NAME_SIZE);
    assert_int_equal(host_account_update(&w->host, a.id, longname, NULL, NULL, &e), -EINVAL);
    assert_string_equal(e.field, "name");
    assert_int_equal(host_account_update(&w->host, "nobody", NULL, NULL, NULL, &e), -ENOENT);
    assert_int_equal(host_account_get(&w->host, "nobody", &b, &e), -ENOENT);
    assert_int_equal(host_key_create(&w->host, &(struct key_wish){"nobody", NULL}, NULL, NULL, &e),
                     -ENOENT);
}

static void test_account_delete(void **state)
{
    struct world *w = *state;
    struct accounts *as = w->host.accounts;
    char admin[ID_SIZE], key[KEY_SIZE], admin_key[KEY_SIZE], account[ID_SIZE];
    struct account_info a;
    struct err e = ERR_INIT;
    admin_of(w, admin);
    assert_int_equal(host_account_delete(&w->host, admin, &e), -EBUSY);
    assert_non_null(strstr(e.text, "only admin"));
    assert_int_equal(host_account_create(&w->host, "ann", NULL, &a, NULL), 0);
    assert_int_equal(host_key_create(&w->host, &(struct key_wish){a.id, NULL}, NULL, key, NULL), 0);
    const struct quota disk = {.disk_bytes = 1};
    assert_int_equal(accounts_charge(as, a.id, &disk, NULL), 0);
    assert_int_equal(host_account_delete(&w->host, a.id, &e), -EBUSY);
    assert_non_null(strstr(e.text, "still has VMs"));
    accounts_release(as, a.id, &disk);
    assert_int_equal(host_account_delete(&w->host, a.id, NULL), 0);
    assert_int_equal(host_account_delete(&w->host, a.id, &e), -ENOENT);
    assert_int_equal(accounts_charge(as, a.id, &disk, &e), -ENOENT);
    assert_int_equal(host_key_account(&w->host, key, account, NULL, NULL), -EACCES);
    world_again(w);
    assert_int_equal(host_key_account(&w->host, key, account, NULL, NULL), -EACCES);
    read_key_file(w, admin_key);
    assert_int_equal(host_key_account(&w->host, admin_key, account, NULL, NULL), 0);
}

static void test_quota(void **state)
{
    struct world *w = *state;
    struct accounts *as = w->host.accounts;
    char admin[ID_SIZE];
    struct account_info a;
    struct err e = ERR_INIT;
    admin_of(w, admin);
    const struct quota vm = {
        .vcpus = 2, .memory_mib = 1024, .disk_bytes = 10 * (int64_t)GIB, .snapshots = 0};
    assert_int_equal(accounts_charge(as, admin, &vm, NULL), 0);
    assert_int_equal(accounts_charge(as, admin, &vm, NULL), 0);
    assert_int_equal(accounts_charge(as, admin, &vm, &e), -EPERM);
    assert_int_equal(e.class, ERR_FORBIDDEN);
    assert_non_null(strstr(e.text, "vCPUs is exhausted: 4 of 4 are used, 2 more"));
    const struct quota memory = {.memory_mib = 2049};
    assert_int_equal(accounts_charge(as, admin, &memory, &e), -EPERM);
    assert_non_null(strstr(e.text, "memory (MiB) is exhausted: 2048 of 4096 are used, 2049 more"));
    const struct quota disk = {.disk_bytes = 25 * (int64_t)GIB};
    assert_int_equal(accounts_charge(as, admin, &disk, &e), -EPERM);
    assert_non_null(strstr(e.text, "disk is exhausted: 20.0 of 40.0 GiB are used, 25.0 more"));
    const struct quota snapshots = {.snapshots = 3};
    assert_int_equal(accounts_charge(as, admin, &snapshots, &e), -EPERM);
    assert_non_null(strstr(e.text, "snapshots is exhausted: 0 of 2 are used, 3 more"));
    assert_int_equal(host_account_get(&w->host, admin, &a, NULL), 0);
    assert_int_equal(a.usage.vcpus, 4);
    assert_int_equal(a.usage.disk_bytes, 20 * (int64_t)GIB);
    assert_int_equal(a.usage.snapshots, 0);

    /* Beyond the limit already, as after it was lowered: what is no more is no question. */
    accounts_count(as, admin, &vm);
    const struct quota only_disk = {.disk_bytes = (int64_t)GIB};
    assert_int_equal(accounts_charge(as, admin, &only_disk, NULL), 0);
    const struct quota no_bound = {0};
    assert_int_equal(host_account_update(&w->host, admin, NULL, &no_bound, NULL, NULL), 0);
    assert_int_equal(accounts_charge(as, admin, &vm, NULL), 0);
    const struct quota all = {.vcpus = INT64_MAX / 2};
    assert_int_equal(accounts_charge(as, admin, &all, NULL), 0);
}

/* A store that does not write: nothing is half done. */
static void test_store_fails(void **state)
{
    struct world *w = *state;
    char key[KEY_SIZE], account[ID_SIZE], admin[ID_SIZE];
    struct account_info a, b;
    struct key_info k;
    struct err e = ERR_INIT;
    admin_of(w, admin);
    assert_int_equal(host_account_create(&w->host, "ann", NULL, &a, NULL), 0);
    assert_int_equal(host_key_create(&w->host, &(struct key_wish){a.id, NULL}, &k, key, NULL), 0);
    sqlite3_exec(w->host.store->db, "PRAGMA query_only = ON", NULL, NULL, NULL);
    assert_int_equal(host_account_create(&w->host, "bob", NULL, &b, &e), -EIO);
    assert_int_equal(e.class, ERR_INTERNAL);
    assert_int_equal(host_account_update(&w->host, a.id, "anna", NULL, NULL, &e), -EIO);
    assert_int_equal(host_account_delete(&w->host, a.id, &e), -EIO);
    assert_int_equal(host_key_create(&w->host, &(struct key_wish){a.id, NULL}, NULL, key, &e),
                     -EIO);
    assert_int_equal(host_key_revoke(&w->host, a.id, k.id, &e), -EIO);
    assert_int_equal(host_key_account(&w->host, key, account, NULL, &e), 0);
    const struct quota vm = {.vcpus = 1};
    assert_int_equal(accounts_charge(w->host.accounts, a.id, &vm, &e), 0);
    assert_int_equal(host_account_get(&w->host, a.id, &b, NULL), 0);
    assert_string_equal(b.name, "ann");
    auto_free struct account_info *list = NULL;
    size_t n = 0;
    assert_int_equal(host_account_list(&w->host, &list, &n, NULL), 0);
    assert_int_equal(n, 2);
}

/* The database of a former daemon, without its key file, in a directory that cannot be written. */
static void test_key_file_fails(void **state)
{
    struct world *w = *state;
    struct accounts *a = NULL;
    struct err e = ERR_INIT;
    assert_int_equal(accounts_new(w->host.store, "/nowhere", &some, &a, &e), -ENOENT);
    assert_non_null(strstr(e.text, "/nowhere/admin.key"));
    assert_null(a);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_many_revoked),   TEST(test_key_forms),
        TEST(test_key_expires),    TEST(test_set_key),
        TEST(test_first_start),    TEST(test_admin_key_again),
        TEST(test_keys),           TEST(test_many_keys),
        TEST(test_last_used),      TEST(test_account_changes),
        TEST(test_account_delete), TEST(test_quota),
        TEST(test_store_fails),    TEST(test_key_file_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
