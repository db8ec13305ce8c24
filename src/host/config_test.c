/* SPDX-License-Identifier: Apache-2.0 */
#include "host/config.h"

#include <errno.h>

#include "base/test.h"

static int read_text(struct config *c, const char *text, struct err *e)
{
    auto_test_dir char *dir = test_dir_make();
    char path[PATH_MAX];
    path_printf(path, sizeof(path), "%s/holm.conf", dir);
    assert_int_equal(file_write_atomic(path, text, strlen(text), 0600), 0);
    return config_read(c, path, e);
}

static void test_defaults(void **state)
{
    struct config c;
    config_init(&c);
    assert_string_equal(c.listen, "127.0.0.1:8080");
    assert_string_equal(c.engine, "qemu");
    assert_true(c.jail);
    assert_int_equal(c.vms_max, 64);
    assert_int_equal(config_pool_size(&c, "python"), c.pool_default);
}

/* The printed file holds every default, so reading it changes nothing. */
static void test_print_is_readable(void **state)
{
    struct config c, d;
    struct err e = ERR_INIT;
    auto_buf struct buf b = {0};
    config_init(&c);
    d = c;
    config_print(&b);
    assert_non_null(strstr(buf_str(&b), "[server]"));
    assert_non_null(strstr(buf_str(&b), "vms_max = 64"));
    assert_int_equal(read_text(&c, buf_str(&b), &e), 0);
    assert_memory_equal(&c, &d, sizeof(c));
}

static void test_file(void **state)
{
    struct config c;
    config_init(&c);
    assert_int_equal(
        read_text(
            &c, "; hi\n[limits]\nvms_max = 3\n[engine]\njail=no\n[pool]\npython = 7\npython = 8\n",
            NULL),
        0);
    assert_int_equal(c.vms_max, 3);
    assert_false(c.jail);
    assert_int_equal(config_pool_size(&c, "python"), 8);
    assert_int_equal(config_pool_size(&c, "bash"), c.pool_default);
    assert_int_equal(c.n_pools, 1);
}

static void test_errors(void **state)
{
    static const struct {
        const char *text, *expect, *field;
    } rows[] = {
        {"[limits]\nvms_max = 0\n",
         "holm.conf:2: limits.vms_max must be a whole number from 1 to 65536", "vms_max"},
        {"[limits]\nvms_max = many\n", "must be a whole number", "vms_max"},
        {"[limits]\nvms_max = 3x\n", "must be a whole number", "vms_max"},
        {"[limits]\nvms_max = 99999999999999999999\n", "must be a whole number", "vms_max"},
        {"[engine]\njail = maybe\n", "must be yes or no", "jail"},
        {"[server]\nlisen = x\n", "there is no option server.lisen", "lisen"},
        {"[pool]\npython = -1\n", "pool.python must be", "python"},
        {"just words\n", "neither [section] nor key = value", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct config c, before;
        struct err e = ERR_INIT;
        config_init(&c);
        before = c;
        assert_true(read_text(&c, rows[i].text, &e) < 0);
        if (!strstr(e.text, rows[i].expect))
            fail_msg("\"%s\" is not in \"%s\"", rows[i].expect, e.text);
        assert_memory_equal(&c, &before, sizeof(c));
    }
    struct config c;
    struct err e = ERR_INIT;
    config_init(&c);
    assert_int_equal(config_read(&c, "/nowhere/holm.conf", &e), -ENOENT);
}

static void test_set(void **state)
{
    struct config c;
    struct err e = ERR_INIT;
    config_init(&c);
    assert_int_equal(config_set(&c, "server.listen=127.0.0.1:1 unix:/a=b", &e), 0);
    assert_string_equal(c.listen, "127.0.0.1:1 unix:/a=b");
    assert_int_equal(config_set(&c, "pool.c=0", &e), 0);
    assert_int_equal(config_pool_size(&c, "c"), 0);
    assert_int_equal(config_set(&c, "nonsense", &e), -EINVAL);
    assert_int_equal(config_set(&c, "a=b.c", &e), -EINVAL);
    assert_int_equal(config_set(&c, "x.y=z", &e), -EINVAL);
    char longtext[1000];
    memset(longtext, 'a', sizeof(longtext) - 1);
    longtext[sizeof(longtext) - 1] = '\0';
    assert_int_equal(config_set(&c, longtext, &e), -EINVAL);
    memcpy(longtext, "server.listen=", 14);
    longtext[400] = '\0';
    assert_int_equal(config_set(&c, longtext, &e), -EINVAL);
    assert_string_equal(e.field, "listen");
}

/* It counts more than what was set, and nobody finds it there afterwards. */
static void test_environment(void **state)
{
    struct config c;
    struct err e = ERR_INIT;
    config_init(&c);
    assert_int_equal(config_set(&c, "admin.email=a@b", &e), 0);
    assert_int_equal(config_set(&c, "admin.password=old", &e), 0);
    setenv("ADMIN_PASSWORD", "new=word", 1);
    setenv("API_KEY", "", 1);
    const char *inside = getenv("ADMIN_PASSWORD");
    assert_int_equal(config_read_environment(&c, &e), 0);
    assert_string_equal(c.admin_email, "a@b");
    assert_string_equal(c.admin_password, "new=word");
    assert_string_equal(c.rds_api_key, "");
    assert_string_equal(inside, "");
    assert_null(getenv("ADMIN_PASSWORD"));
    assert_null(getenv("API_KEY"));
    char longtext[1000] = "";
    memset(longtext, 'a', sizeof(longtext) - 1);
    setenv("API_KEY", longtext, 1);
    assert_int_equal(config_read_environment(&c, &e), -EINVAL);
    assert_non_null(strstr(e.text, "API_KEY: rds.api_key is longer"));
    assert_null(strstr(e.text, "aaaa"));
    unsetenv("API_KEY");
    config_wipe_secrets(&c);
    assert_string_equal(c.admin_password, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_print_is_readable),
        cmocka_unit_test(test_file),     cmocka_unit_test(test_errors),
        cmocka_unit_test(test_set),      cmocka_unit_test(test_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
