/* SPDX-License-Identifier: Apache-2.0 */
#include "holmd/keys.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/test.h"

static int read_text(struct keys *k, const char *text, mode_t mode, struct err *e)
{
    auto_test_dir char *dir = test_dir_make();
    char path[PATH_MAX];
    path_printf(path, sizeof(path), "%s/keys", dir);
    assert_int_equal(file_write_atomic(path, text, strlen(text), mode), 0);
    *k = (struct keys){0};
    return keys_read(k, path, e);
}

static void test_match(void **state)
{
    struct keys k;
    assert_int_equal(
        read_text(&k, "# mine\n0123456789abcdef\r\n\nfedcba9876543210XYZ\n", 0600, NULL), 0);
    assert_int_equal(keys_count(&k), 2);
    assert_true(keys_match(&k, "0123456789abcdef"));
    assert_true(keys_match(&k, "fedcba9876543210XYZ"));
    assert_false(keys_match(&k, "0123456789abcde"));
    assert_false(keys_match(&k, "0123456789abcdef0"));
    assert_false(keys_match(&k, ""));
    char longkey[KEY_MAX_BYTES + 10];
    memset(longkey, 'a', sizeof(longkey) - 1);
    longkey[sizeof(longkey) - 1] = '\0';
    assert_false(keys_match(&k, longkey));
    keys_done(&k);
    assert_false(keys_match(&k, "0123456789abcdef"));
}

static void test_long_key_prefix(void **state)
{
    struct keys k;
    char key[KEY_MAX_BYTES + 2];
    memset(key, 'k', sizeof(key));
    key[KEY_MAX_BYTES] = '\0';
    assert_int_equal(read_text(&k, key, 0600, NULL), 0);
    assert_true(keys_match(&k, key));
    key[KEY_MAX_BYTES] = 'k';
    key[KEY_MAX_BYTES + 1] = '\0';
    assert_false(keys_match(&k, key));
}

static void test_errors(void **state)
{
    struct keys k;
    struct err e = ERR_INIT;
    assert_int_equal(read_text(&k, "0123456789abcdef\n", 0644, &e), -EINVAL);
    assert_non_null(strstr(e.text, "chmod 600"));
    assert_int_equal(read_text(&k, "short\n", 0600, &e), -EINVAL);
    assert_non_null(strstr(e.text, "16 to 128"));
    assert_int_equal(read_text(&k, "# nothing\n", 0600, &e), -EINVAL);
    assert_non_null(strstr(e.text, "has no key"));
    assert_int_equal(keys_read(&k, "/nowhere/keys", &e), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_long_key_prefix),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
