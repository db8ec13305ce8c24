/* SPDX-License-Identifier: Apache-2.0 */
#include "api/native/test_util.h"

#define CALL(m, p, b, s) (&(struct call){m, p, b, .status = s})
#define BUILDS "/v1/builds"

static void test_a_build(void **state)
{
    struct native *n = *state;
    auto_reply struct reply r = {0};
    char path[96], log[128];
    native_call(n,
                CALL("POST", BUILDS,
                     "{\"name\":\"python\",\"sizeMib\":512,\"force\":true,\"toolchain\":\"/x\","
                     "\"sha256\":\"00\"}",
                     202),
                &r);
    assert_string_equal(text_at(&r, "kind"), "image");
    snprintf(path, sizeof(path), BUILDS "/%s", text_at(&r, "id"));
    snprintf(log, sizeof(log), "%s/log", path);
    native_call(n, CALL("GET", path, NULL, 200), &r);
    assert_string_equal(text_at(&r, "state"), "running");
    assert_string_equal(text_at(&r, "step"), "install packages");
    assert_int_equal(number_at(&r, "done"), 1);
    assert_int_equal(number_at(&r, "total"), 3);
    assert_string_equal(text_at(&r, "detail"), "size=512 force=1 toolchain=/x");
    assert_true(json_is_null(value_at(r.json, "endedAt")));
    native_call(n, CALL("GET", log, NULL, 200), &r);
    assert_string_equal(r.body.data, "== install packages\nof python\n");
    assert_string_equal(reply_header(&r, "Content-Type"), "text/plain; charset=utf-8");
    native_call(n, CALL("POST", BUILDS, "{\"name\":\"python\"}", 409), &r);
    native_call(n, CALL("DELETE", path, NULL, 200), &r);
    assert_string_equal(text_at(&r, "state"), "cancelled");
    native_call(n, CALL("DELETE", path, NULL, 409), &r);
    native_call(n, CALL("POST", BUILDS, "{\"name\":\"c\"}", 202), &r);
    native_call(n, CALL("GET", BUILDS, NULL, 200), &r);
    assert_int_equal(json_array_size(r.json), 2);
    assert_string_equal(text_at(&r, "0.name"), "c");
    assert_string_equal(text_at(&r, "1.name"), "python");
}

static void test_what_is_uploaded(void **state)
{
    struct native *n = *state;
    auto_reply struct reply r = {0};
    native_call(n, CALL("PUT", BUILDS "/oci?name=one", "bytes", 202), &r);
    assert_string_equal(text_at(&r, "kind"), "oci");
    assert_string_equal(text_at(&r, "name"), "one");
    native_call(n, CALL("PUT", BUILDS "/dockerfile?name=two&sizeMib=99", "bytes", 202), &r);
    assert_string_equal(text_at(&r, "kind"), "dockerfile");
    native_call(n, CALL("PUT", BUILDS "/oci?name=three", "bad", 400), &r);
    assert_error(&r, "invalid", "");
    native_call(n, CALL("PUT", BUILDS "/oci?name=a%2fb", "bytes", 400), &r);
    assert_error(&r, "invalid", "name");
}

static void test_what_is_refused(void **state)
{
    struct native *n = *state;
    static const struct {
        const char *method, *path, *body;
        int status;
        const char *code, *field;
    } cases[] = {
        {"POST", BUILDS, "{}", 400, "invalid", "name"},
        {"POST", BUILDS, "{\"name\":\"ruby2\"}", 404, "not_found", "name"},
        {"POST", BUILDS, "{\"name\":\"c\",\"sizeMib\":15}", 400, "invalid", "sizeMib"},
        {"POST", BUILDS, "{\"name\":\"c\",\"sizeMib\":65537}", 400, "invalid", "sizeMib"},
        {"POST", BUILDS, "{\"name\":\"c\",\"force\":1}", 400, "invalid", "force"},
        {"POST", BUILDS, "{\"name\":\"c\",\"fast\":true}", 400, "invalid", "fast"},
        {"POST", BUILDS, "{\"name\":\"c\",\"toolchain\":\"/x\"}", 400, "invalid", "sha256"},
        {"PUT", BUILDS "/oci", "x", 400, "invalid", "name"},
        {"PUT", BUILDS "/oci?name=x&sizeMib=1", "x", 400, "invalid", "sizeMib"},
        {"PUT", BUILDS "/oci?name=x&path=/etc", "x", 400, "invalid", "path"},
        {"GET", BUILDS "/nonsense", NULL, 404, "not_found", ""},
        {"GET", BUILDS "/nonsense/log", NULL, 404, "not_found", ""},
        {"PATCH", BUILDS, "{}", 405, "method_not_allowed", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        auto_reply struct reply r = {0};
        native_call(n, CALL(cases[i].method, cases[i].path, cases[i].body, cases[i].status), &r);
        assert_error(&r, cases[i].code, cases[i].field);
    }
}

static void test_only_admins(void **state)
{
    struct native *n = *state;
    static const struct {
        const char *method, *path, *body;
    } cases[] = {
        {"GET", BUILDS, NULL},
        {"POST", BUILDS, "{\"name\":\"c\"}"},
        {"PUT", BUILDS "/oci?name=x", "x"},
        {"PUT", BUILDS "/dockerfile?name=x", "x"},
        {"GET", BUILDS "/00000000-0000-4000-8000-000000000000", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        auto_reply struct reply r = {0};
        native_call(n,
                    &(struct call){cases[i].method, cases[i].path, cases[i].body,
                                   .key = STUB_BOB_KEY, .status = 403},
                    &r);
        native_call(
            n,
            &(struct call){cases[i].method, cases[i].path, cases[i].body, .key = "", .status = 401},
            &r);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, native_setup, native_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_build),
        TEST(test_what_is_uploaded),
        TEST(test_what_is_refused),
        TEST(test_only_admins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
