/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "host/pool_targets.h"

#define NOW ((int64_t)10 * POOL_USED_MS)

static void test_at_start(void **state)
{
    const struct pool_want w[] = {
        {.size = 2, .is_default = true}, {.size = 2}, {.size = 5, .is_named = true}, {.size = 2}};
    int t[4];
    pool_targets(w, 4, 8, NOW, t);
    assert_int_equal(t[0], 2);
    assert_int_equal(t[1], 0);
    assert_int_equal(t[2], 5);
    assert_int_equal(t[3], 0);
}

static void test_used_lately(void **state)
{
    const struct pool_want w[] = {{.size = 2, .used_ms = NOW - POOL_USED_MS},
                                  {.size = 2, .used_ms = NOW - POOL_USED_MS - 1},
                                  {.size = 0, .used_ms = NOW},
                                  {.size = 0, .is_named = true, .used_ms = NOW}};
    int t[4];
    pool_targets(w, 4, 8, NOW, t);
    assert_int_equal(t[0], 2);
    assert_int_equal(t[1], 0);
    assert_int_equal(t[2], 0);
    assert_int_equal(t[3], 0);
}

/* The one that was not used for longest gives way; those of the configuration take no place. */
static void test_least_recently_used(void **state)
{
    struct pool_want w[] = {{.size = 1, .is_default = true},
                            {.size = 1, .is_default = true, .used_ms = NOW - 3},
                            {.size = 3, .is_named = true, .used_ms = NOW},
                            {.size = 1, .used_ms = NOW - 2},
                            {.size = 1, .is_default = true}};
    int t[5];
    pool_targets(w, 5, 3, NOW, t);
    assert_true(t[0] == 1 && t[1] == 1 && t[2] == 3 && t[3] == 1 && t[4] == 0);
    w[4].used_ms = NOW - 1;
    pool_targets(w, 5, 3, NOW, t);
    assert_true(t[0] == 0 && t[1] == 1 && t[2] == 3 && t[3] == 1 && t[4] == 1);
    pool_targets(w, 5, 0, NOW, t);
    assert_true(t[0] == 0 && t[1] == 0 && t[2] == 3 && t[3] == 0 && t[4] == 0);
    /* It comes back when what took its place is used no more. */
    pool_targets(w, 5, 3, NOW + POOL_USED_MS, t);
    assert_true(t[0] == 1 && t[1] == 1 && t[2] == 3 && t[3] == 0 && t[4] == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_at_start),
                                       cmocka_unit_test(test_used_lately),
                                       cmocka_unit_test(test_least_recently_used)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
