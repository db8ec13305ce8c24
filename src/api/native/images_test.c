/* SPDX-License-Identifier: Apache-2.0 */
#include "api/native/test_util.h"

#include "base/limits.h"

#define CALL(m, p, b, s) (&(struct call){m, p, b, .status = s})
#define AS_BOB(m, p, b, s) (&(struct call){m, p, b, .key = STUB_BOB_KEY, .status = s})

/* Makes one, and its path. */
static void make(struct native *n, const char *name, char ret[64])
{
    auto_reply struct reply r = {0};
    char body[128];
    snprintf(body, sizeof(body), "{\"name\":\"%s\",\"description\":\"mine\"}", name);
    native_call(n, CALL("POST", "/v1/images", body, 201), &r);
    snprintf(ret, 64, "/v1/images/%s", text_at(&r, "id"));
}

/* Something below an image's path; good until the next call. */
static const char *below(const char *path, const char *part)
{
    static char whole[96];
    snprintf(whole, sizeof(whole), "%s/%s", path, part);
    return whole;
}

static void test_an_image_comes_to_be(void **state)
{
    struct native *n = *state;
    auto_reply struct reply r = {0};
    char path[64], action[96];
    make(n, "mine", path);
    native_call(n, CALL("GET", path, NULL, 200), &r);
    assert_string_equal(text_at(&r, "name"), "mine");
    assert_string_equal(text_at(&r, "state"), "missing");
    assert_true(json_is_null(value_at(r.json, "kernelUploadedAt")));
    assert_true(json_is_false(value_at(r.json, "builtin")));
    snprintf(action, sizeof(action), "%s/set-default", path);
    native_call(n, CALL("POST", action, NULL, 409), &r);
    native_call(n, CALL("PUT", below(path, "kernel"), "a kernel", 200), &r);
    assert_true(json_is_true(value_at(r.json, "hasKernel")));
    assert_int_equal(number_at(&r, "kernelBytes"), 8);
    native_call(n, CALL("PUT", below(path, "rootfs"), "files", 200), &r);
    assert_string_equal(text_at(&r, "state"), "ready");
    native_call(n, CALL("POST", action, NULL, 200), &r);
    assert_true(json_is_true(value_at(r.json, "isDefault")));
    native_call(n, CALL("PATCH", path, "{\"name\":\"other\"}", 200), &r);
    assert_string_equal(text_at(&r, "name"), "other");
    assert_string_equal(text_at(&r, "description"), "mine");
    native_call(n, CALL("GET", "/v1/images/other", NULL, 200), &r);
    native_call(n, CALL("DELETE", "/v1/images/other", NULL, 200), &r);
    assert_true(json_is_true(value_at(r.json, "deleted")));
    native_call(n, CALL("GET", path, NULL, 404), &r);
    assert_error(&r, "not_found", "");
}

static void test_what_is_refused(void **state)
{
    struct native *n = *state;
    auto_reply struct reply r = {0};
    char path[64], used[64], text[256];
    make(n, "one", path);
    make(n, "used", used);
    native_call(n, CALL("PUT", below(path, "kernel"), "bad kernel", 400), &r);
    assert_error(&r, "invalid", "");
    native_call(n, CALL("DELETE", used, NULL, 409), &r);
    assert_string_equal(reply_header(&r, "x-should-retry"), "false");
    native_call(n, CALL("POST", "/v1/images", "{}", 400), &r);
    assert_error(&r, "invalid", "name");
    native_call(n, CALL("POST", "/v1/images", "{\"name\":\"x\",\"size\":1}", 400), &r);
    assert_error(&r, "invalid", "size");
    memset(text, 'x', sizeof(text));
    snprintf(text, 12, "{\"name\":\"%s", "");
    text[9] = 'x';
    memcpy(text + 200, "\"}", 3);
    native_call(n, CALL("POST", "/v1/images", text, 413), &r);
    assert_error(&r, "too_large", "name");
    native_call(n, CALL("PATCH", "/v1/images/bash", "{\"name\":\"x\"}", 403), &r);
    native_call(n, CALL("DELETE", "/v1/images/bash", NULL, 409), &r);
    const struct call bobs = {"DELETE", "/v1/images/python", .key = STUB_BOB_KEY, .status = 403};
    native_call(n, &bobs, &r);
    native_call(n, CALL("DELETE", "/v1/images/python", NULL, 200), &r);
    native_call(n, CALL("GET", "/v1/images/python", NULL, 404), &r);
    native_call(n, CALL("PUT", below("/v1/images/bash", "rootfs"), "x", 403), &r);
    native_call(n, CALL("PUT", below("/v1/images/none", "rootfs"), "x", 404), &r);
    native_call(n, CALL("PUT", path, "x", 405), &r);
}

static void test_others_do_not_see_it(void **state)
{
    struct native *n = *state;
    auto_reply struct reply r = {0};
    char path[64], part[96];
    make(n, "mine", path);
    native_call(n, AS_BOB("GET", path, NULL, 404), &r);
    native_call(n, AS_BOB("PATCH", path, "{\"name\":\"x\"}", 404), &r);
    native_call(n, AS_BOB("DELETE", path, NULL, 404), &r);
    snprintf(part, sizeof(part), "%s/kernel", path);
    native_call(n, AS_BOB("PUT", part, "x", 404), &r);
    native_call(n, AS_BOB("GET", "/v1/images", NULL, 200), &r);
    assert_int_equal(json_array_size(r.json), 2);
    assert_true(json_is_true(value_at(r.json, "0.isDefault")));
    native_call(n, CALL("GET", "/v1/images", NULL, 200), &r);
    assert_int_equal(json_array_size(r.json), 3);
    native_call(n, CALL("POST", "/v1/images/bash/set-default", NULL, 200), &r);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, native_setup, native_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_image_comes_to_be),
        TEST(test_what_is_refused),
        TEST(test_others_do_not_see_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
