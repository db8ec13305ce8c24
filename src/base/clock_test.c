/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <errno.h>

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

static void test_parse_rfc3339(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {
        {"2024-02-29T12:00:00.123Z", 1709208000123000000},
        {"2024-02-29t12:00:00.1234567899z", 1709208000123456789},
        {"2024-02-29 12:00:00Z", 1709208000000000000},
        {"2024-02-29T14:30:00+02:30", 1709208000000000000},
        {"2024-02-28T23:59:00-12:01", 1709208000000000000},
        {"2024-02-29", 1709164800000000000},
        {"1970-01-01T00:00:00Z", 0},
        {"2016-12-31T23:59:60Z", 1483228800000000000},
        {"2200-12-31T23:59:59Z", 7289654399000000000},
    };
    static const char *const bad[] = {
        "",
        "2024",
        "2024-2-9",
        "2024-02-30",
        "2023-02-29",
        "2024-04-31T00:00:00Z",
        "2024-13-01",
        "2024-00-01",
        "1969-12-31",
        "2201-01-01",
        "2024-02-29T",
        "2024-02-29T12:00Z",
        "2024-02-29T12:00:00",
        "2024-02-29T24:00:00Z",
        "2024-02-29T12:60:00Z",
        "2024-02-29T12:00:61Z",
        "2024-02-29T12:00:00.Z",
        "2024-02-29T12:00:00Zx",
        "2024-02-29T12:00:00+2:00",
        "2024-02-29T12:00:00+0200",
        "2024-02-29T12:00:00+24:00",
        "-2024-02-29",
        "tomorrow",
        " 2024-02-29",
    };
    int64_t ns;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        assert_int_equal(clock_parse_rfc3339(good[i].text, &ns), 0);
        assert_int_equal(ns, good[i].ns);
    }
    ns = 5;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        if (clock_parse_rfc3339(bad[i], &ns) != -EINVAL)
            fail_msg("\"%s\" is no time", bad[i]);
        assert_int_equal(ns, 5);
    }
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
        cmocka_unit_test(test_parse_rfc3339),
        cmocka_unit_test(test_monotonic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
