/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

#include "base/id.h"
#include "base/test.h"

/* The test vectors of RFC 4648, section 10. */
static void test_vectors(void **state)
{
    static const char *const rows[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_buf struct buf text = {0};
        auto_buf struct buf back = {0};
        assert_int_equal(base64_encode(rows[i][0], strlen(rows[i][0]), &text), 0);
        assert_string_equal(buf_str(&text), rows[i][1]);
        assert_int_equal(base64_decode(rows[i][1], strlen(rows[i][1]), &back), 0);
        assert_string_equal(buf_str(&back), rows[i][0]);
    }
}

static void test_refuses(void **state)
{
    static const char *const bad[] = {"Z",      "Zg=",  "Zg",       "Z===", "====", "Zg==Zg==",
                                      "Zm9v\n", "Zm 9", "Zm9vY-==", "Zh==", "Zm9=", "=m9v"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        auto_buf struct buf b = {0};
        buf_append_str(&b, "kept");
        assert_int_equal(base64_decode(bad[i], strlen(bad[i]), &b), -EINVAL);
        assert_string_equal(buf_str(&b), "kept");
    }
}

static void test_round_trip_appends(void **state)
{
    uint8_t bytes[300];
    id_random(bytes, sizeof(bytes));
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        auto_buf struct buf text = {0};
        auto_buf struct buf back = {0};
        buf_append_str(&back, "x");
        assert_int_equal(base64_encode(bytes, len, &text), 0);
        assert_int_equal(text.len, base64_size(len));
        assert_int_equal(base64_decode(buf_str(&text), text.len, &back), 0);
        assert_int_equal(back.len, len + 1);
        assert_memory_equal(back.data + 1, bytes, len);
    }
}

static void test_bound(void **state)
{
    auto_buf struct buf b = {.max_bytes = 7};
    assert_int_equal(base64_encode("foobar", 6, &b), -E2BIG);
    assert_int_equal(b.len, 0);
    assert_int_equal(base64_decode("Zm9vYmFyZm9v", 12, &b), -E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_round_trip_appends),
        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
