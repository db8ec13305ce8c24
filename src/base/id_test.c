/* SPDX-License-Identifier: Apache-2.0 */
#include "base/id.h"

#include "base/test.h"

static void test_new(void **state)
{
    int seen[256] = {0};
    char last[ID_SIZE] = "";
    for (int i = 0; i < 5000; i++) {
        char id[ID_SIZE];
        id_new(id);
        assert_true(id_valid(id));
        assert_string_not_equal(id, last);
        memcpy(last, id, sizeof(id));
        for (int j = 0; j < ID_LEN; j++)
            seen[(unsigned char)id[j]]++;
    }
    /* 100,000 digits over 36 values: 2,778 each; a draw outside 2,300-3,300 would be nine standard
     * deviations off. */
    for (const char *c = "0123456789abcdefghijklmnopqrstuvwxyz"; *c; c++)
        assert_in_range(seen[(unsigned char)*c], 2300, 3300);
}

static void test_valid(void **state)
{
    assert_true(id_valid("0123456789abcdefghij"));
    assert_false(id_valid(""));
    assert_false(id_valid("0123456789abcdefghi"));
    assert_false(id_valid("0123456789abcdefghijk"));
    assert_false(id_valid("0123456789ABCDEFGHIJ"));
    assert_false(id_valid("../../../etc/passwd/"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_new), cmocka_unit_test(test_valid)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
