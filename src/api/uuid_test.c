/* SPDX-License-Identifier: Apache-2.0 */
#include "api/uuid.h"

#include "base/test.h"

static void test_known(void **state)
{
    char uuid[UUID_SIZE], id[ID_SIZE];
    uuid_from_id("00000000000000000000", uuid);
    assert_string_equal(uuid, "00000000-0000-8000-8000-000000000000");
    uuid_from_id("00000000000000000001", uuid);
    assert_string_equal(uuid, "00000000-0000-8000-8000-000000040000");
    uuid_from_id("zzzzzzzzzzzzzzzzzzzz", uuid);
    assert_true(uuid_to_id(uuid, id));
    assert_string_equal(id, "zzzzzzzzzzzzzzzzzzzz");
    uuid_from_id("", uuid);
    assert_string_equal(uuid, "");
    uuid_from_id("ABCDEFGHIJKLMNOPQRST", uuid);
    assert_string_equal(uuid, "");
}

/* Digit by digit, so that every bit is somebody's. */
static void test_reversible(void **state)
{
    char id[ID_SIZE], back[ID_SIZE], uuid[UUID_SIZE];
    for (int i = 0; i < 2000; i++) {
        id_new(id);
        if (i < 36 * ID_LEN)
            id[i % ID_LEN] = "0123456789abcdefghijklmnopqrstuvwxyz"[i / ID_LEN];
        uuid_from_id(id, uuid);
        assert_int_equal(strlen(uuid), UUID_LEN);
        assert_int_equal(strspn(uuid, "0123456789abcdef-"), UUID_LEN);
        assert_int_equal(uuid[14], '8');
        assert_non_null(strchr("89ab", uuid[19]));
        assert_true(uuid_to_id(uuid, back));
        assert_string_equal(back, id);
        for (char *p = uuid; *p; p++)
            *p = (char)(*p >= 'a' ? *p - 32 : *p);
        assert_true(uuid_to_id(uuid, back));
        assert_string_equal(back, id);
    }
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "00000000000000000001",
        "00000000-0000-8000-8000-00000004000",
        "00000000-0000-8000-8000-0000000400000",
        "00000000-0000-4000-8000-000000040000", /* another version */
        "00000000-0000-8000-c000-000000040000", /* another variant */
        "00000000-0000-8000-0000-000000040000",
        "00000000-0000-8000-8000-000000040001", /* something in the padding */
        "00000000-0000-8000-8000-000000060000",
        "ffffffff-ffff-8fff-bfff-fffffffc0000", /* beyond the last id */
        "00000000+0000-8000-8000-000000040000",
        "0000000000000-8000-8000-000000040000",
        "0000000g-0000-8000-8000-000000040000",
        "{0000000-0000-8000-8000-00000004000}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char id[ID_SIZE] = "same";
        assert_false(uuid_to_id(bad[i], id));
        assert_string_equal(id, "same");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_reversible),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
