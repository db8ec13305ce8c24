/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/suggest.h"

#include "base/test.h"

static size_t distance(const char *a, const char *b)
{
    return suggest_distance(a, strlen(a), b, strlen(b));
}

static void test_distance(void **state)
{
    assert_int_equal(distance("", ""), 0);
    assert_int_equal(distance("", "abc"), 3);
    assert_int_equal(distance("abc", "abc"), 0);
    assert_int_equal(distance("abc", "acb"), 1);
    assert_int_equal(distance("kitten", "sitting"), 3);
    assert_int_equal(distance("a", "an unreasonably long word, which nobody types"),
                     SUGGEST_MAX_CHARS + 1);
}

static void test_nearest(void **state)
{
    static const char *const names[] = {"python", "nodejs", "typescript", "bash", "c", "perl"};
    static const char *const rows[][2] = {
        {"pyhton", "python"}, {"pyton", "python"}, {"py", "python"},
        {"nodesj", "nodejs"}, {"node", "nodejs"},  {"tyepscript", "typescript"},
        {"bahs", "bash"},     {"prel", "perl"},    {"ruby", NULL},
        {"x", NULL},          {"", NULL},          {"java", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct suggest s = {.word = rows[i][0], .len = strlen(rows[i][0])};
        for (size_t n = 0; n < ARRAY_SIZE(names); n++)
            suggest_offer(&s, names[n]);
        if (rows[i][1])
            assert_string_equal(s.best ? s.best : "nothing", rows[i][1]);
        else
            assert_null(s.best);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
