/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <errno.h>

#include "base/test.h"

static void test_append(void **state)
{
    auto_buf struct buf b = {0};
    assert_string_equal(buf_str(&b), "");
    for (int i = 0; i < 1000; i++)
        assert_int_equal(buf_printf(&b, "%d,", i), 0);
    assert_int_equal(b.len, 3890);
    assert_int_equal(b.data[b.len], '\0');
    assert_int_equal(buf_append(&b, "a\0b", 3), 0);
    assert_memory_equal(b.data + b.len - 3, "a\0b", 3);
}

static void test_bound(void **state)
{
    auto_buf struct buf b = {.max_bytes = 4};
    assert_int_equal(buf_append_str(&b, "abc"), 0);
    assert_int_equal(buf_append_str(&b, "de"), -E2BIG);
    assert_true(b.failed);
    assert_string_equal(buf_str(&b), "abc");
    assert_int_equal(buf_printf(&b, "%s", "xy"), -E2BIG);
    assert_int_equal(buf_append_str(&b, "d"), 0);
    buf_clear(&b);
    assert_false(b.failed);
    assert_int_equal(b.len, 0);
    assert_int_equal(b.max_bytes, 4);
    assert_null(buf_reserve(&b, SIZE_MAX));
}

static void test_consume(void **state)
{
    auto_buf struct buf b = {0};
    buf_append_str(&b, "hello world");
    buf_consume(&b, 6);
    assert_string_equal(buf_str(&b), "world");
    buf_consume(&b, 5);
    assert_string_equal(buf_str(&b), "");
    buf_consume(&b, 0);
}

static void test_take(void **state)
{
    auto_buf struct buf b = {0};
    assert_null(buf_take(&b));
    buf_append_str(&b, "mine");
    auto_free char *s = buf_take(&b);
    assert_string_equal(s, "mine");
    assert_int_equal(b.len, 0);
    assert_null(b.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_consume),
        cmocka_unit_test(test_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
