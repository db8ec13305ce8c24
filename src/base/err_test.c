/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>

#include "base/test.h"

static void test_set(void **state)
{
    struct err e = ERR_INIT;
    assert_int_equal(err_set(&e, ERR_NOT_FOUND, "no vm %s", "x"), -ENOENT);
    assert_int_equal(e.class, ERR_NOT_FOUND);
    assert_string_equal(e.text, "no vm x");
    assert_string_equal(e.field, "");
    assert_int_equal(err_set(NULL, ERR_FULL, "unheard"), -EAGAIN);
}

static void test_field(void **state)
{
    struct err e = ERR_INIT;
    assert_int_equal(err_field(&e, "timeout", "too %s", "long"), -EINVAL);
    assert_string_equal(e.field, "timeout");
    assert_string_equal(e.text, "too long");
}

static void test_errno(void **state)
{
    struct err e = ERR_INIT;
    assert_int_equal(err_errno(&e, -ENOSPC, "write %s", "disk"), -ENOSPC);
    assert_string_equal(e.text, "write disk: No space left on device");
    assert_int_equal(e.class, ERR_INTERNAL);
}

static void test_wrap(void **state)
{
    struct err e = ERR_INIT;
    int r = err_set(&e, ERR_CONFLICT, "is paused");
    assert_int_equal(err_wrap(&e, r, "exec in vm %d", 7), r);
    assert_string_equal(e.text, "exec in vm 7: is paused");
    assert_int_equal(e.class, ERR_CONFLICT);

    struct err none = ERR_INIT;
    err_wrap(&none, -EIO, "load");
    assert_string_equal(none.text, "load: Input/output error");
}

/* Text that is too long is cut, never written past the end, however often it is wrapped. */
static void test_long(void **state)
{
    char longtext[2000];
    memset(longtext, 'a', sizeof(longtext) - 1);
    longtext[sizeof(longtext) - 1] = '\0';
    struct err e = ERR_INIT;
    err_set(&e, ERR_INVALID, "%s", longtext);
    for (int i = 0; i < 5; i++)
        err_wrap(&e, -EINVAL, "%s", longtext);
    assert_true(strlen(e.text) < sizeof(e.text));
    err_errno(&e, -EIO, "%s", longtext);
    assert_non_null(strstr(e.text, "Input/output error"));
    err_field(&e, longtext, "x");
    assert_true(strlen(e.field) < sizeof(e.field));
}

static void test_classes(void **state)
{
    for (int c = 0; c < ERR_CLASS_COUNT; c++) {
        assert_non_null(err_class_name((enum err_class)c));
        assert_in_range(err_http_status((enum err_class)c), 400, 599);
    }
    assert_int_equal(err_http_status(ERR_FULL), 503);
    assert_int_equal(err_http_status((enum err_class)999), 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),  cmocka_unit_test(test_field), cmocka_unit_test(test_errno),
        cmocka_unit_test(test_wrap), cmocka_unit_test(test_long),  cmocka_unit_test(test_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
