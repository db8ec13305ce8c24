/* SPDX-License-Identifier: Apache-2.0 */
#include "api/rds/workspace.h"

#include "base/test.h"

static void test_paths_within(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"/workspace", ""},
        {"/workspace/", ""},
        {"/workspace/.", ""},
        {"//workspace//a///b/", "a/b"},
        {"/workspace/a/../b/./c", "b/c"},
        {"/workspace/a/b/../../..a/...", "..a/..."},
        {"/workspace/a/..", ""},
        {"a b/c", "a b/c"},
        {"./a/../b", "b"},
        {".", ""},
        {"workspace", "workspace"},
        {"/./workspace/a", "a"},
        {"/tmp/../workspace/a", "a"},
        {"/workspace/../workspace/a", "a"},
        {"../workspace", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char got[AGENT_PATH_MAX_BYTES] = "untouched";
        struct err e = ERR_INIT;
        if (rds_workspace_path("dest", rows[i].text, got, &e) < 0)
            fail_msg("%s: %s", rows[i].text, e.text);
        assert_string_equal(rows[i].want, got);
    }
}

static void test_paths_elsewhere(void **state)
{
    static const char *const texts[] = {"/",
                                        "/etc",
                                        "/workspacex",
                                        "/workspace/..",
                                        "/workspace/../etc",
                                        "/workspace/a/../../etc",
                                        "..",
                                        "a/../..",
                                        "../workspacex"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        char got[AGENT_PATH_MAX_BYTES] = "untouched";
        struct err e = ERR_INIT;
        assert_true(rds_workspace_path("path", texts[i], got, &e) < 0);
        assert_string_equal("path must be within /workspace", e.text);
        assert_string_equal("path", e.field);
        assert_int_equal(ERR_INVALID, e.class);
        assert_string_equal("untouched", got);
    }
}

static void test_paths_that_are_none(void **state)
{
    char text[AGENT_PATH_MAX_BYTES + 1], got[AGENT_PATH_MAX_BYTES];
    struct err e = ERR_INIT;
    assert_true(rds_workspace_path("dest", NULL, got, &e) < 0);
    assert_string_equal("dest is required", e.text);
    assert_true(rds_workspace_path("dest", "", got, &e) < 0);
    assert_string_equal("dest is required", e.text);
    memset(text, 'a', sizeof(text));
    text[AGENT_PATH_MAX_BYTES - sizeof(RDS_WORKSPACE)] = '\0';
    assert_true(rds_workspace_path("dest", text, got, &e) < 0);
    assert_string_equal("dest is too long", e.text);
    text[AGENT_PATH_MAX_BYTES - sizeof(RDS_WORKSPACE) - 1] = '\0';
    assert_int_equal(0, rds_workspace_path("dest", text, got, &e));
    assert_string_equal(text, got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_within),
        cmocka_unit_test(test_paths_elsewhere),
        cmocka_unit_test(test_paths_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
