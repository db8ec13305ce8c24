/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/term.h"

#include <locale.h>

#include "base/test.h"

static void test_safe(void **state)
{
    static const char *const rows[][2] = {
        {"plain ä 漢", "plain ä 漢"},
        {"\033[2Jx\a", "?[2Jx?"},
        {"a\nb\tc\rd", "a b c d"},
        {"\x7f\xc2\x9b", "??"},            /* DEL, and CSI as one character */
        {"\xff\xc3", "??"},                /* not UTF-8, and cut off */
        {"\xc0\xaf\xed\xa0\x80", "?????"}, /* overlong, and a surrogate */
        {"\xf4\x90\x80\x80", "????"},      /* beyond Unicode */
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_buf struct buf b = {0};
        term_safe(&b, rows[i][0]);
        assert_string_equal(buf_str(&b), rows[i][1]);
    }
}

static void test_columns(void **state)
{
    assert_int_equal(term_columns("abc", 3), 3);
    assert_int_equal(term_columns("ä", 2), 1);
    assert_int_equal(term_columns("漢字", 6), 4);
    assert_int_equal(term_columns("e\xcc\x81", 3), 1); /* a combining accent */
    assert_int_equal(term_columns("", 0), 0);
}

static void check_break(const char *text, int width, size_t len, size_t next)
{
    size_t got_len, got_next;
    term_break(text, width, &got_len, &got_next);
    assert_int_equal(got_len, len);
    assert_int_equal(got_next, next);
}

static void test_break(void **state)
{
    check_break("hello world", 20, 11, 11);
    check_break("hello world", 11, 11, 11);
    check_break("hello world", 10, 5, 6);
    check_break("hello world", 5, 5, 6);
    check_break("hello   world", 6, 5, 8);
    check_break("hello world", 3, 3, 3); /* no space: inside the word */
    check_break("ab 漢字漢字", 6, 2, 3);
    check_break("漢字", 1, 3, 3); /* always goes on */
    check_break("", 5, 0, 0);
}

static void test_fill(void **state)
{
    auto_free char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    const struct term t = {.file = f, .width = 24};
    term_fill(&t, 2, "one two three four five six\nseven");
    fclose(f);
    assert_string_equal(text, "  one two three four\n  five six\n  seven\n");
}

/* A file is no terminal: no colour whatever the environment says. */
static void test_init(void **state)
{
    FILE *f = tmpfile();
    struct term t;
    term_init(&t, f);
    assert_false(t.tty || t.colour);
    assert_int_equal(t.width, 0);
    assert_string_equal(term_on(&t, STYLE_BAD), "");
    fclose(f);
}

int main(void)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safe), cmocka_unit_test(test_columns), cmocka_unit_test(test_break),
        cmocka_unit_test(test_fill), cmocka_unit_test(test_init),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
