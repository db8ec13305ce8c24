/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"

#include "api/route.h"

static int setup(void **state)
{
    struct route_table *t;
    assert_int_equal(route_table_new(&t), 0);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    route_table_free(*state);
    return 0;
}

static void test_every_row_is_complete_and_found(void **state)
{
    const struct route *r;
    for (size_t i = 0; (r = route_at(i)); i++) {
        assert_int_equal(!!r->handler + !!r->upload + !!r->websocket, 1);
        assert_non_null(r->dialect);
        assert_true(r->operation[0] && r->doc[0] && r->path[0] == '/');
        assert_int_equal(r->request != NULL, r->input_bytes > 0);
        struct route_match m;
        assert_true(route_find(*state, r->path, &m));
        assert_ptr_equal(m.by_method[r->method], r);
        assert_int_equal(m.index[r->method], i);
        const struct route *other;
        for (size_t j = 0; j < i && (other = route_at(j)); j++)
            assert_string_not_equal(other->operation, r->operation);
    }
}

static void test_parameters(void **state)
{
    struct route_match m;
    assert_true(route_find(*state, "/api/v1/languages/a%2Fb", &m));
    assert_string_equal(m.by_method[ROUTE_GET]->operation, "getLanguage");
    assert_int_equal(m.params[0].len, 5);
    assert_memory_equal(m.params[0].start, "a%2Fb", 5);
    assert_null(m.params[1].start);
}

static void test_other_paths_are_not_found(void **state)
{
    static const char *const paths[] = {"",
                                        "/healt",
                                        "/healthzz",
                                        "/health/",
                                        "//health",
                                        "/api/v1/languages/",
                                        "/api/v1/languages/a/b",
                                        "/api/v1/languages//",
                                        "*",
                                        "/api/v1",
                                        "/Health"};
    struct route_match m;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        assert_false(route_find(*state, paths[i], &m));
}

static void test_nearest(void **state)
{
    assert_string_equal(route_nearest("/helth")->path, "/health");
    assert_string_equal(route_nearest("/api/v1/excute")->path, "/api/v1/execute");
    assert_null(route_nearest("/nothing/like/it"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_is_complete_and_found),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_other_paths_are_not_found),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
