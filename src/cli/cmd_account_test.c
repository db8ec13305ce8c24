/* SPDX-License-Identifier: Apache-2.0 */

/* Accounts, keys, quotas; and where the key of a request comes from. */

#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/test_cmd.h"

#define QUOTAS(vcpu) "{\"vcpu\":" vcpu ",\"memoryMiB\":16384,\"diskGiB\":100,\"snapshotCount\":0}"
#define USAGE "{\"vcpu\":2,\"memoryMiB\":512,\"diskGiB\":4.5,\"snapshotCount\":1}"
#define ACCOUNT(id, name, admin)                                                  \
    "{\"id\":\"" id "\",\"name\":\"" name "\",\"admin\":" admin ",\"createdAt\":" \
    "\"2020-01-01T00:00:00Z\",\"quotas\":" QUOTAS("8") ",\"usage\":" USAGE "}"
#define ACCOUNTS \
    OK("/v1/accounts", "[" ACCOUNT(ID_A, "admin", "true") "," ACCOUNT(ID_B, "ada", "false") "]")

static void test_accounts(void **state)
{
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(ACCOUNTS, CALL("POST", "/v1/accounts", 201, ACCOUNT(ID_B, "ada", "false")),
                OK("/v1/accounts/" ID_B, ACCOUNT(ID_B, "ada", "false")),
                CALL("PATCH", "/v1/accounts/" ID_B, 200, ACCOUNT(ID_B, "ada", "false")),
                CALL("DELETE", "/v1/accounts/" ID_B, 200, "{}")));
    test_expect(
        s, ARGV("account", "create", "ada", "--vcpu", "8", "--memory", "1.5", "--snapshots", "0"),
        0, ID_B "\n", "");
    assert_string_equal(test_server_body(s),
                        "{\"name\":\"ada\",\"quotas\":{\"vcpu\":8,\"memoryMiB\":"
                        "1536,\"snapshotCount\":0}}");
    auto_test_ran struct test_ran list;
    test_holm(s, &(struct test_run){.argv = ARGV("account", "list")}, &list);
    test_has(&list.out,
             "admin  " ID_A "  admin  2 of 8  512 MiB of 16 GiB  4.5 GiB of 100 GiB  1  ");
    auto_test_ran struct test_ran show;
    test_holm(s, &(struct test_run){.argv = ARGV("account", "show", "ada")}, &show);
    test_has(&show.out, "name       ada\n");
    test_has(&show.out, "memory     512 MiB   16 GiB\n");
    test_has(&show.out, "snapshots        1     none\n");
    test_expect(s, ARGV("account", "quota", "ada", "--disk", "7"), 0, "", "");
    assert_string_equal(test_server_body(s), "{\"quotas\":{\"diskGiB\":7}}");
    test_expect(s, ARGV("account", "delete", "ada"), 0, "", "");
    auto_buf struct buf no = {0};
    assert_int_equal(test_on_terminal(s, ARGV("account", "delete", "ada"), "\n", &no), 125);
    test_has(&no, "Delete the account ada and its keys? [y/N] ");
    assert_int_equal(test_server_count(s, "/v1/accounts/" ID_B), 3);
    test_expect_error(s, ARGV("account", "quota", "ada"), 2,
                      "which quota? --vcpu, --memory, --disk");
    test_expect_error(s, ARGV("account", "create", "x", "--vcpu", "1.5"), 2,
                      "--vcpu takes a number of 0 to 1000000, not '1.5'");
    test_expect_error(s, ARGV("account", "create"), 2, "what shall the account be called?");
    test_expect_error(s, ARGV("account", "show", "adda"), 125,
                      "there is no account 'adda' (did you mean 'ada'?); 'holm account list'");
}

static void test_quota(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(
        OK("/v1/org/quotas", "{\"orgId\":\"x\",\"limits\":" QUOTAS("2") ",\"usage\":" USAGE "}")));
    test_expect(s, ARGV("quota"), 0,
                "RESOURCE      USED    LIMIT\n"
                "CPUs             2        2\n"
                "memory     512 MiB   16 GiB\n"
                "disk       4.5 GiB  100 GiB\n"
                "snapshots        1     none\n",
                "");
    auto_test_ran struct test_ran json;
    test_holm(s, &(struct test_run){.argv = ARGV("quota", "--json")}, &json);
    auto_json json_t *o = json_loads(buf_str(&json.out), 0, NULL);
    assert_string_equal(json_text(o, "orgId"), "x");
}

#define KEY_JSON(more)                                                                            \
    "{\"id\":\"" ID_C "\",\"name\":\"laptop\",\"accountId\":\"" ID_A "\",\"prefix\":\"holm_ab\"," \
    "\"createdAt\":\"2020-01-01T00:00:00Z\",\"lastUsedAt\":null,"                                 \
    "\"expiresAt\":\"2199-01-01T00:00:00Z\"" more "}"

static void test_keys(void **state)
{
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(ACCOUNTS, OK("/v1/keys", "[" KEY_JSON("") "]"),
                CALL("POST", "/v1/keys", 201, KEY_JSON(",\"key\":\"holm_abSECRET\"")),
                CALL("DELETE", "/v1/keys/" ID_C, 200, "{}")));
    test_expect(s, ARGV("key", "create", "laptop", "--account", "ada"), 0, "holm_abSECRET\n", "");
    assert_string_equal(test_server_body(s), "{\"name\":\"laptop\",\"accountId\":\"" ID_B "\"}");
    test_expect(s, ARGV("key", "create", "--expires", "30d"), 0, "holm_abSECRET\n", "");
    auto_json json_t *body = json_loads(test_server_body(s), 0, NULL);
    int64_t expires_ns = 0, now_ns = clock_real_ns(), days_ns = INT64_C(86400000000000);
    assert_int_equal(clock_parse_rfc3339(json_text(body, "expiresAt"), &expires_ns), 0);
    assert_true(expires_ns > now_ns + 29 * days_ns && expires_ns <= now_ns + 30 * days_ns);
    test_expect_error(s, ARGV("key", "create", "--expires", "soon"), 2, "soon");
    auto_buf struct buf shown = {0};
    assert_int_equal(test_on_terminal(s, ARGV("key", "create"), NULL, &shown), 0);
    test_has(&shown, "holm_abSECRET\nholm: this is the only time it is shown; keep it in");
    auto_test_ran struct test_ran list;
    test_holm(s, &(struct test_run){.argv = ARGV("key", "list")}, &list);
    test_has(&list.out, "laptop  " ID_C "  holm_ab  " ID_A "  ");
    test_has(&list.out, "  never  2199-01-01\n");
    test_expect(s, ARGV("key", "revoke", "laptop"), 0, "", "");
    assert_int_equal(test_server_count(s, "/v1/keys/" ID_C), 1);
    test_expect_error(s, ARGV("key", "revoke"), 2, "which key? 'holm key list' shows all");
}

static void write_key(const char *dir, const char *name, const char *text, mode_t mode)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(file_write_atomic(path, text, strlen(text), mode), 0);
    assert_int_equal(chmod(path, mode), 0);
}

/* Runs `holm vm list` and says which key came. */
static const char *key_of(struct test_server *s, const char *const *env)
{
    auto_test_ran struct test_ran r;
    test_holm(s, &(struct test_run){.argv = ARGV("vm", "list"), .env = env}, &r);
    assert_string_equal(buf_str(&r.err), "");
    assert_int_equal(r.code, 0);
    return test_server_key(s);
}

static void test_where_the_key_is(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(VMS));
    auto_test_dir char *dir = test_dir_make();
    char config[PATH_MAX], home[PATH_MAX], data[PATH_MAX], path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/holm", dir);
    assert_int_equal(dir_make(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/home/.config/holm", dir);
    assert_int_equal(dir_make(path, 0700), 0);
    snprintf(config, sizeof(config), "XDG_CONFIG_HOME=%s", dir);
    snprintf(home, sizeof(home), "HOME=%s/home", dir);
    snprintf(data, sizeof(data), "HOLM_DATA=%s", dir);
    assert_string_equal(key_of(s, ARGV(config, home, data)), "");
    write_key(dir, "admin.key", "of-the-daemon\n", 0600);
    assert_string_equal(key_of(s, ARGV(config, home, data)), "of-the-daemon");
    write_key(dir, "home/.config/holm/key", "  of-the-user \nanother\n", 0600);
    assert_string_equal(key_of(s, ARGV(config, home, data)), "of-the-daemon");
    assert_string_equal(key_of(s, ARGV(home, data)), "of-the-user");
    write_key(dir, "holm/key", "of-xdg", 0600);
    assert_string_equal(key_of(s, ARGV(config, home, data)), "of-xdg");
    assert_string_equal(key_of(s, ARGV("HOLM_API_KEY=of-env", config, home, data)), "of-env");
}

static void test_bad_key_files(void **state)
{
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(CALL("GET", "/v1/vms", 401, "{\"error\":{\"message\":\"that key is wrong\"}}")));
    auto_test_dir char *dir = test_dir_make();
    char config[PATH_MAX], path[PATH_MAX], want[2 * PATH_MAX];
    snprintf(path, sizeof(path), "%s/holm", dir);
    assert_int_equal(dir_make(path, 0700), 0);
    snprintf(config, sizeof(config), "XDG_CONFIG_HOME=%s", dir);
    static const struct {
        const char *text;
        mode_t mode;
        const char *before, *after;
    } rows[] = {
        {"k", 0640, "holm: the key in ", "/holm/key can be read by others; chmod 600 that file\n"},
        {"\n\n", 0600, "holm: ", "/holm/key holds no key; write one into it, or remove it\n"},
        {"a\001b", 0600, "control characters; check ", "/holm/key\n"},
        {"k", 0600, "holm: that key is wrong; the key is from ", "/holm/key: give another one"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_test_ran struct test_ran r;
        write_key(dir, "holm/key", rows[i].text, rows[i].mode);
        test_holm(s, &(struct test_run){.argv = ARGV("vm", "list"), .env = ARGV(config)}, &r);
        snprintf(want, sizeof(want), "%s%s%s", rows[i].before, dir, rows[i].after);
        test_has(&r.err, want);
        assert_true(r.code == 125 || r.code == 2);
    }
}

/* This machine's own key is for nobody else. The name looks like loopback and is none. */
static void test_admin_key_stays_here(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char data[PATH_MAX], proxy[160];
    snprintf(data, sizeof(data), "HOLM_DATA=%s", dir);
    write_key(dir, "admin.key", "secret", 0600);
    auto_test_server struct test_server *s = test_server_new(
        REPLIES({.path = "http://127.0.0.1.example.com:80/v1/vms", .status = 200, .steps = {"[]"}},
                {.path = "/v1/vms", .status = 200, .steps = {"[]"}}));
    snprintf(proxy, sizeof(proxy), "http_proxy=%s", test_server_url(s));
    auto_test_ran struct test_ran r;
    test_holm(
        NULL,
        &(struct test_run){.argv = ARGV("vm", "list", "--url", "http://127.0.0.1.example.com:80"),
                           .env = ARGV(data, proxy)},
        &r);
    assert_non_null(strstr(test_server_log(s), "/v1/vms\n"));
    assert_string_equal(test_server_key(s), "");
}

int main(int argc, char **argv)
{
    assert_true(argc > 1);
    test_holm_set(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accounts),      cmocka_unit_test(test_quota),
        cmocka_unit_test(test_keys),          cmocka_unit_test(test_where_the_key_is),
        cmocka_unit_test(test_bad_key_files), cmocka_unit_test(test_admin_key_stays_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
