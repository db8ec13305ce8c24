/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"

#include "api/nearest.h"

static void test_distance_counts_mistakes(void **state)
{
    assert_int_equal(nearest_distance("python", "python"), 0);
    assert_int_equal(nearest_distance("Python", "pYTHON"), 0);
    assert_int_equal(nearest_distance("pyton", "python"), 1);
    assert_int_equal(nearest_distance("pyhton", "python"), 1);
    assert_int_equal(nearest_distance("pyython", "python"), 1);
    assert_int_equal(nearest_distance("", "abc"), 3);
    assert_int_equal(nearest_distance("abc", ""), 3);
    assert_int_equal(nearest_distance("kitten", "sitting"), 3);
    char longer[65] = {0};
    memset(longer, 'a', 64);
    assert_true(nearest_distance(longer, longer) == SIZE_MAX);
}

static const char *best(const char *word)
{
    struct nearest n = {.word = word, .best_distance = SIZE_MAX};
    static const char *const all[] = {"python", "perl", "c", "bash", "nodejs"};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        nearest_offer(&n, all[i]);
    return n.best;
}

static void test_only_near_ones_are_meant(void **state)
{
    assert_string_equal(best("pyhton"), "python");
    assert_string_equal(best("node.js"), "nodejs");
    assert_string_equal(best("bsh"), "bash");
    assert_null(best("ruby"));
    assert_null(best("brainfuck"));
    assert_string_equal(best(""), "c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance_counts_mistakes),
        cmocka_unit_test(test_only_near_ones_are_meant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
