/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"

#include <errno.h>

#include "api/text.h"

static void repaired(const char *in, size_t len, const char *want)
{
    auto_buf struct buf b = {0};
    assert_int_equal(text_utf8_repair(in, len, &b), 0);
    assert_string_equal(buf_str(&b), want);
    assert_int_equal(text_utf8_prefix(b.data, b.len), b.len);
}

static void test_valid_text_is_kept(void **state)
{
    static const char *const texts[] = {"",
                                        "plain",
                                        "0123456789abcdef0123456789",
                                        "12345678\xc3\xa9",
                                        "\xe2\x82\xac",
                                        "\xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        assert_int_equal(text_utf8_prefix(texts[i], strlen(texts[i])), strlen(texts[i]));
        if (*texts[i])
            repaired(texts[i], strlen(texts[i]), texts[i]);
    }
}

#define FFFD "\xef\xbf\xbd"

static void test_broken_pieces_become_replacement_characters(void **state)
{
    repaired("a\xff"
             "b",
             3, "a" FFFD "b");
    repaired("\xc3", 1, FFFD);                            /* cut off */
    repaired("\xe2\x82x", 3, FFFD "x");                   /* one piece, one character */
    repaired("\xc0\xaf", 2, FFFD FFFD);                   /* overlong */
    repaired("\xe0\x80\x80", 3, FFFD FFFD FFFD);          /* overlong */
    repaired("\xed\xa0\x80", 3, FFFD FFFD FFFD);          /* a surrogate */
    repaired("\xf4\x90\x80\x80", 4, FFFD FFFD FFFD FFFD); /* beyond U+10FFFF */
    repaired("\xf5", 1, FFFD);
    repaired("1234567\xff"
             "12345678",
             16, "1234567" FFFD "12345678");
}

static void test_json_keeps_nul_and_repairs(void **state)
{
    json_t *j = text_json("a\0b", 3);
    assert_int_equal(json_string_length(j), 3);
    json_decref(j);
    j = text_json("\xff", 1);
    assert_string_equal(json_string_value(j), FFFD);
    json_decref(j);
    j = text_json(NULL, 0);
    assert_string_equal(json_string_value(j), "");
    json_decref(j);
}

static int decode(const char *s, char ret[16])
{
    return text_percent_decode(s, strlen(s), ret, 16);
}

static void test_percent_decode(void **state)
{
    char got[16];
    assert_int_equal(decode("a%2Fb%20c+d", got), 0);
    assert_string_equal(got, "a/b c+d");
    assert_int_equal(decode("%C3%a9", got), 0);
    assert_string_equal(got, "\xc3\xa9");
    assert_int_equal(decode("", got), 0);
    static const char *const bad[] = {"%", "%4", "%4g", "%g4", "a%", "%00", "%ff", "%c3"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(decode(bad[i], got), -EINVAL);
    assert_int_equal(decode("123456789012345", got), 0);
    assert_int_equal(decode("1234567890123456", got), -E2BIG);
}

static void test_time(void **state)
{
    struct err e = ERR_INIT;
    int64_t ns = 7;
    assert_int_equal(text_time("expiresAt", "2030-01-01", &ns, &e), 0);
    assert_int_equal(ns, 1893456000000000000);
    /* Not "never". */
    assert_int_equal(text_time("expiresAt", "1970-01-01", &ns, &e), 0);
    assert_int_equal(ns, 1);
    assert_int_equal(text_time("expiresAt", "tomorrow", &ns, &e), -EINVAL);
    assert_string_equal(e.field, "expiresAt");
    assert_int_equal(ns, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid_text_is_kept),
        cmocka_unit_test(test_broken_pieces_become_replacement_characters),
        cmocka_unit_test(test_json_keeps_nul_and_repairs),
        cmocka_unit_test(test_percent_decode),
        cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
