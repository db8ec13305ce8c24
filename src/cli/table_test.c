/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <locale.h>

#include "base/test.h"

static char *print(const struct table *t, struct term term)
{
    char *text = NULL;
    size_t len = 0;
    term.file = open_memstream(&text, &len);
    table_print(t, &term);
    fclose(term.file);
    return text;
}

static void test_plain(void **state)
{
    static const char *const heads[] = {"NAME", "N", "TITLE"};
    auto_table struct table t = {.n_columns = 3, .heads = heads};
    table_add(&t, (struct table_cell[]){{.text = "漢字漢"}, {.text = "1"}, {.text = "Three"}});
    table_add(&t, (struct table_cell[]){{.text = "a"}, {.text = "10"}, {.text = NULL}});
    table_add(&t, (struct table_cell[]){{.text = "b"}, {.text = ""}, {.text = "x\033y\n"}});
    auto_free char *text = print(&t, (struct term){0});
    assert_string_equal(text, "NAME    N   TITLE\n"
                              "漢字漢  1   Three\n"
                              "a       10\n"
                              "b           x?y \n");
}

static void test_wraps_and_colours(void **state)
{
    auto_table struct table t = {.n_columns = 2};
    table_add(&t, (struct table_cell[]){{.text = "no", .style = STYLE_BAD},
                                        {.text = "twenty letters or so, then more"}});
    auto_free char *text = print(&t, (struct term){.tty = true, .colour = true, .width = 26});
    assert_string_equal(text, "\033[31mno\033[0m  twenty letters or so,\n    then more\n");
}

/* What a server does not tell takes no column. */
static void test_empty_column(void **state)
{
    static const char *const heads[] = {"A", "B", "C", "D"};
    auto_table struct table t = {.n_columns = 4, .heads = heads};
    table_add(&t, (struct table_cell[]){{.text = "1"}, {.text = ""}, {.text = "3"}, {.text = ""}});
    auto_free char *text = print(&t, (struct term){0});
    assert_string_equal(text, "A  C\n1  3\n");
}

static void test_empty(void **state)
{
    auto_table struct table t = {.n_columns = 2};
    auto_free char *text = print(&t, (struct term){0});
    assert_string_equal(text, "");
}

int main(void)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_wraps_and_colours),
        cmocka_unit_test(test_empty_column),
        cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
