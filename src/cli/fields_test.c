/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/fields.h"

#include "base/test.h"
#include "cli/json.h"

static char *print(const char *json, const char *const *except)
{
    auto_json json_t *o = json_loads(json, JSON_ALLOW_NUL, NULL);
    assert_non_null(o);
    auto_table struct table t = {.n_columns = 2};
    fields_add(&t, o, except);
    char *text = NULL;
    size_t len = 0;
    struct term term = {.file = open_memstream(&text, &len)};
    table_print(&t, &term);
    fclose(term.file);
    return text;
}

static void test_every_type(void **state)
{
    auto_free char *text =
        print("{\"a_name\":\"x\",\"n\":-3,\"r\":1.5,\"yes\":true,\"no\":false,\"nil\":null,"
              "\"list\":[1,\"two\",true],\"empty\":[],\"none\":\"\",\"in\":{\"side\":2}}",
              NULL);
    assert_string_equal(text, "a name   x\n"
                              "n        -3\n"
                              "r        1.5\n"
                              "yes      yes\n"
                              "no       no\n"
                              "list     1, two, yes\n"
                              "in side  2\n");
}

static void test_except(void **state)
{
    auto_free char *text =
        print("{\"a\":1,\"b\":2,\"c\":3}", (const char *const[]){"b", "z", NULL});
    assert_string_equal(text, "a  1\nc  3\n");
}

/* What a server says cannot drive the terminal, by names or by values. */
static void test_hostile(void **state)
{
    auto_free char *text = print("{\"a\\u001b[2J\":\"b\\u0007\\nc\"}", NULL);
    assert_string_equal(text, "a?[2J  b? c\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_except),
        cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
