/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_input.h"

#include "base/limits.h"
#include "base/test.h"

static bool is_text(const char *s)
{
    return run_input_is_text(s, strlen(s));
}

static void test_is_text(void **state)
{
    assert_true(is_text(""));
    assert_true(is_text("a line\twith tabs\r\nand ä 漢\n"));
    assert_false(run_input_is_text("a\0b", 3));
    assert_false(is_text("\033[1m"));
    assert_false(is_text("\xff"));
    assert_false(is_text("cut \xc3"));
    assert_false(is_text("\xed\xa0\x80")); /* a surrogate */
}

/* The body is bounded as a whole, whatever its parts were allowed to be. */
static void test_body_bound(void **state)
{
    struct run_input auto_run_input in = {.request = json_object()};
    auto_buf struct buf body = {0};
    struct err e = ERR_INIT;
    assert_int_equal(run_input_body(&in, &body, &e), 0);
    assert_string_equal(buf_str(&body), "{}");
    size_t len = HTTP_BODY_MAX_BYTES;
    auto_free char *big = malloc(len);
    memset(big, 'x', len);
    json_object_set_new(in.request, "code", json_stringn(big, len));
    auto_buf struct buf too_large = {0};
    assert_true(run_input_body(&in, &too_large, &e) < 0);
    assert_int_equal(e.class, ERR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_text),
        cmocka_unit_test(test_body_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
