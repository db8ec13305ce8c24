/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/units.h"

#include "base/test.h"
#include "cli/json.h"

static void test_bytes(void **state)
{
    static const struct {
        double bytes;
        const char *text;
    } rows[] = {
        {0, "0 B"},
        {512, "512 B"},
        {999, "999 B"},
        {1000, "1.0 KiB"},
        {1536, "1.5 KiB"},
        {10240, "10 KiB"},
        {1 << 20, "1.0 MiB"},
        {1023 << 20, "1.0 GiB"},
        {2.5 * (1 << 30), "2.5 GiB"},
        {9.96 * 1024, "10 KiB"},
        {1e18, "888 PiB"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char text[UNITS_SIZE];
        units_bytes(rows[i].bytes, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void test_duration(void **state)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } rows[] = {{-5, "0s"},    {0, "0s"},        {59, "59s"},      {60, "1m"},
                {61, "1m 1s"}, {3600, "1h"},     {3659, "1h"},     {7500, "2h 5m"},
                {86400, "1d"}, {90000, "1d 1h"}, {8 * 86400, "8d"}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char text[UNITS_SIZE];
        units_duration(rows[i].seconds, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void test_parse_duration(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } good[] = {{"90", 90},      {"45s", 45},    {"10m", 600},
                {"1h30m", 5400}, {"2d", 172800}, {"1w", 604800}};
    static const char *const bad[] = {"",
                                      "0",
                                      "0s",
                                      "h",
                                      "1x",
                                      "-1",
                                      "1.5h",
                                      " 1",
                                      "1 ",
                                      "1hm",
                                      "99999999999999999999",
                                      "9999999999999999w"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        int64_t seconds = 0;
        assert_int_equal(units_parse_duration(good[i].text, &seconds, NULL), 0);
        assert_int_equal(seconds, good[i].seconds);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct err e = ERR_INIT;
        int64_t seconds = 7;
        assert_true(units_parse_duration(bad[i], &seconds, &e) < 0);
        assert_int_equal(e.class, ERR_INVALID);
        assert_int_equal(seconds, 7);
    }
}

static void test_timer(void **state)
{
    auto_json json_t *plain = NULL;
    auto_json json_t *with = NULL;
    json_t *none = NULL;
    struct err e = ERR_INIT;
    assert_int_equal(units_parse_timer("1h", "--ttl", &plain, &e), 0);
    assert_string_equal(json_text(plain, "action"), "pause");
    assert_int_equal(units_parse_timer("10m:delete", "--ttl", &with, &e), 0);
    assert_int_equal(json_integer_value(json_object_get(with, "seconds")), 600);
    assert_string_equal(json_text(with, "action"), "delete");
    assert_true(units_parse_timer("10m:", "--ttl", &none, &e) < 0);
    assert_string_equal(e.text, "--ttl: '' cannot be done then; it is one of pause, suspend, stop, "
                                "delete");
    assert_true(units_parse_timer(":stop", "--ttl", &none, &e) < 0);
    assert_null(none);
}

static void test_time(void **state)
{
    assert_int_equal(units_parse_time_ms("1970-01-01T00:00:01Z"), 1000);
    assert_int_equal(units_parse_time_ms("2024-02-29T12:00:00.123Z"), 1709208000123);
    assert_int_equal(units_parse_time_ms("2024-02-29T12:00:00.1Z"), 1709208000100);
    assert_int_equal(units_parse_time_ms("2024-02-29T12:00:00.123456+00:00"), 1709208000123);
    assert_int_equal(units_parse_time_ms(""), -1);
    assert_int_equal(units_parse_time_ms("2024-02-29"), -1);
    assert_int_equal(units_parse_time_ms("2024-02-29T12:00:00.Z"), -1);
    assert_int_equal(units_parse_time_ms("2024-02-29T12:00:00+02:00"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),          cmocka_unit_test(test_duration),
        cmocka_unit_test(test_parse_duration), cmocka_unit_test(test_timer),
        cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
