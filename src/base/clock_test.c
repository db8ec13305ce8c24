/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <limits.h>

#include "base/test.h"

static void test_left(void **state)
{
    assert_int_equal(clock_left_ms(0), -1);
    assert_int_equal(clock_left_ms(1), 0);
    int left = clock_left_ms(clock_mono_ms() + 3600000);
    assert_in_range(left, 3590000, 3600000);
    assert_int_equal(clock_left_ms(INT64_MAX / 2), INT_MAX);
}

static void test_rfc3339(void **state)
{
    char s[CLOCK_RFC3339_SIZE];
    clock_rfc3339(1709208000123456789, s);
    assert_string_equal(s, "2024-02-29T12:00:00.123Z");
    clock_rfc3339(0, s);
    assert_string_equal(s, "1970-01-01T00:00:00.000Z");
}

static void test_monotonic(void **state)
{
    int64_t a = clock_mono_us(), b = clock_mono_us();
    assert_true(b >= a);
    assert_true(clock_real_ns() > 1700000000000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_left),
        cmocka_unit_test(test_rfc3339),
        cmocka_unit_test(test_monotonic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
