/* SPDX-License-Identifier: Apache-2.0 */

/* The rows of root file systems and snapshots, over a socket. */

#include "api/api_test.h"

#include <stdlib.h>

#include "api/stub_vms.h"
#include "api/uuid.h"
#include "base/limits.h"
#include "host/accounts.h"
#include "host/builds.h"

static void post(struct test_server *ts, const char *path, const char *body, struct reply *r)
{
    reply_done(r);
    request(ts, "POST", path, "Content-Type: application/json\r\n", body, r);
}

static const json_t *first(const struct reply *r, const char *list)
{
    const json_t *all = json_object_get(r->json, list);
    assert_int_equal(json_array_size(all), 1);
    return json_array_get(all, 0);
}

static const char *text(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static json_int_t number(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static void test_rootfs(void **state)
{
    auto_reply struct reply r = {0};
    request(*state, "GET", "/api/v1/rootfs", NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    const json_t *f = first(&r, "rootfs");
    assert_string_equal(text(f, "language"), "python");
    assert_int_equal(number(f, "size"), 2 * (int64_t)GIB);
    assert_string_equal(text(f, "path"), "/data/images/python/rootfs.ext4");
    assert_string_equal(text(f, "source"), "local");
    assert_string_equal(text(f, "status"), "ready");
    assert_int_equal(number(f, "allocated"), 100 * (int64_t)MIB);
    assert_int_equal(json_array_size(json_object_get(f, "shared_with")), 0);
    post(*state, "/api/v1/rootfs", "{\"language\":\"py\",\"size_mb\":1024}", &r);
    assert_int_equal(r.status, 202);
    static const char begin[] =
        "{\"message\":\"rootfs creation started\",\"language\":\"python\",\"build\":\"";
    assert_memory_equal(r.body.data, begin, strlen(begin));
    char id[UUID_SIZE];
    snprintf(id, sizeof(id), "%s", reply_string(&r, "build"));
    post(*state, "/api/v1/rootfs", "{\"language\":\"python\"}", &r);
    assert_int_equal(r.status, 409);
    reply_done(&r);
    request(*state, "GET", "/api/v1/rootfs?remote=false", NULL, NULL, &r);
    f = first(&r, "rootfs");
    assert_string_equal(text(f, "status"), "building");
    assert_string_equal(text(json_object_get(f, "last_build"), "id"), id);
    assert_string_equal(text(json_object_get(f, "last_build"), "status"), "running");
}

/* A language that has none is in the list while it is being made. */
static void test_a_first_rootfs(void **state)
{
    auto_reply struct reply r = {0};
    post(*state, "/api/v1/rootfs", "{\"language\":\"c\"}", &r);
    assert_int_equal(r.status, 202);
    char id[ID_SIZE];
    assert_true(uuid_to_id(reply_string(&r, "build"), id));
    reply_done(&r);
    request(*state, "GET", "/api/v1/rootfs", NULL, NULL, &r);
    const json_t *all = json_object_get(r.json, "rootfs");
    assert_int_equal(json_array_size(all), 2);
    const json_t *c = json_array_get(all, 1);
    assert_string_equal(text(c, "language"), "c");
    assert_int_equal(number(c, "size"), 0);
    assert_string_equal(text(c, "path"), "/data/images/c/rootfs.ext4");
    assert_string_equal(text(c, "status"), "building");
    struct build_info b;
    assert_int_equal(0, host_build_cancel(NULL, id, &b, NULL));
    reply_done(&r);
    request(*state, "GET", "/api/v1/rootfs", NULL, NULL, &r);
    assert_null(json_object_get(first(&r, "rootfs"), "last_build"));
}

static void test_snapshots(void **state)
{
    auto_reply struct reply r = {0};
    request(*state, "GET", "/api/v1/snapshots", NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    const json_t *s = first(&r, "snapshots");
    assert_string_equal(text(s, "language"), "python");
    assert_int_equal(number(s, "vmstate_size"), 13516);
    assert_int_equal(number(s, "mem_size"), 536870912);
    assert_string_equal(text(s, "path"), "/data/templates/x");
    post(*state, "/api/v1/snapshots", "{\"language\":\"python\",\"mem_mb\":512,\"vcpus\":1}", &r);
    assert_int_equal(r.status, 202);
    assert_string_equal(r.body.data,
                        "{\"message\":\"snapshot creation started\",\"language\":\"python\"}\n");
}

static void test_what_is_refused(void **state)
{
    static const struct {
        const char *method, *path, *body;
        int status;
        const char *field, *text;
    } cases[] = {
        {"POST", "/api/v1/rootfs", "{}", 400, "language", "language"},
        {"POST", "/api/v1/rootfs", "{\"language\":\"ruby2\"}", 404, "language",
         "language not found: ruby2"},
        {"POST", "/api/v1/rootfs", "{\"language\":\"pyton\"}", 404, "language",
         "language not found: pyton"},
        {"POST", "/api/v1/rootfs", "{\"language\":\"gone\"}", 404, "language", "no recipe"},
        {"POST", "/api/v1/rootfs", "{\"language\":\"c\",\"size_mb\":15}", 400, "size_mb", "16"},
        {"POST", "/api/v1/rootfs", "{\"language\":\"c\",\"size_mb\":65537}", 400, "size_mb",
         "65536"},
        {"POST", "/api/v1/rootfs", "{\"language\":\"c\",\"size_mb\":\"1\"}", 400, "size_mb", ""},
        {"POST", "/api/v1/rootfs", "{\"language\":\"c\",\"sise\":1}", 400, "sise", ""},
        {"POST", "/api/v1/snapshots", "{\"language\":\"ruby2\"}", 404, "language", "ruby2"},
        {"POST", "/api/v1/snapshots", "{\"language\":\"slow\"}", 409, NULL, "already"},
        {"POST", "/api/v1/snapshots", "{\"language\":\"c\",\"mem_mb\":1}", 400, "mem_mb", "64"},
        {"POST", "/api/v1/snapshots", "{\"language\":\"c\",\"mem_mb\":9999}", 400, "mem_mb",
         "at most"},
        {"POST", "/api/v1/snapshots", "{\"language\":\"c\",\"vcpus\":65}", 400, "vcpus", "64"},
        {"GET", "/api/v1/rootfs?remote=true", NULL, 400, "remote", "no S3 store is configured"},
        {"GET", "/api/v1/snapshots?remote=true", NULL, 400, "remote", "no S3 store"},
        {"GET", "/api/v1/rootfs?remote=maybe", NULL, 400, "remote", ""},
        {"GET", "/api/v1/rootfs?bucket=x", NULL, 400, "bucket", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        auto_reply struct reply r = {0};
        request(*state, cases[i].method, cases[i].path,
                cases[i].body ? "Content-Type: application/json\r\n" : NULL, cases[i].body, &r);
        if (r.status != cases[i].status)
            fail_msg("%s %s: %d %s", cases[i].path, cases[i].body, r.status, buf_str(&r.body));
        if (cases[i].field)
            assert_string_equal(reply_string(&r, "field"), cases[i].field);
        assert_non_null(strstr(reply_string(&r, "error"), cases[i].text));
    }
}

/* ---- where keys are needed ---- */

static int whose(void *arg, const char *key, char ret_account[ID_SIZE], bool *ret_admin,
                 struct err *e)
{
    return host_key_account(arg, key, ret_account, ret_admin, e);
}

static int setup_keys(void **state)
{
    static const struct listener_config listener = {.address = "127.0.0.1:0",
                                                    .trust = LISTENER_KEY};
    const struct server_config config = {
        .listeners = &listener, .n_listeners = 1, .key_account = whose};
    struct test_server *ts = calloc(1, sizeof(*ts));
    test_server_start(ts, &config);
    *state = ts;
    return 0;
}

static void test_only_admins_make_them(void **state)
{
    static const char *const paths[] = {"/api/v1/rootfs", "/api/v1/snapshots"};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        auto_reply struct reply none = {0}, bob = {0}, admin = {0};
        const char *body = "{\"language\":\"python\"}";
        request(*state, "POST", paths[i], "Content-Type: application/json\r\n", body, &none);
        assert_int_equal(none.status, 401);
        request(*state, "POST", paths[i],
                "Content-Type: application/json\r\nX-API-Key: " STUB_BOB_KEY "\r\n", body, &bob);
        assert_int_equal(bob.status, 403);
        assert_string_equal(reply_string(&bob, "error"), "this needs a key of an admin account");
        request(*state, "POST", paths[i],
                "Content-Type: application/json\r\nX-API-Key: " STUB_ADMIN_KEY "\r\n", body,
                &admin);
        assert_int_equal(admin.status, 202);
        reply_done(&bob);
        request(*state, "GET", paths[i], "X-API-Key: " STUB_BOB_KEY "\r\n", NULL, &bob);
        assert_int_equal(bob.status, 200);
    }
}

/* Why may have paths of the host and addresses in it. */
static void test_only_admins_are_told_why(void **state)
{
    static const struct {
        const char *key, *error;
    } rows[] = {{STUB_ADMIN_KEY, "no such wheel"}, {STUB_BOB_KEY, NULL}};
    auto_reply struct reply r = {0};
    request(*state, "POST", "/api/v1/rootfs",
            "Content-Type: application/json\r\nX-API-Key: " STUB_ADMIN_KEY "\r\n",
            "{\"language\":\"python\"}", &r);
    assert_int_equal(r.status, 202);
    stub_builds_fail();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char header[128];
        snprintf(header, sizeof(header), "X-API-Key: %s\r\n", rows[i].key);
        reply_done(&r);
        request(*state, "GET", "/api/v1/rootfs", header, NULL, &r);
        const json_t *f = first(&r, "rootfs"), *last = json_object_get(f, "last_build");
        assert_string_equal(text(f, "status"), "ready");
        assert_string_equal(text(last, "status"), "failed");
        assert_true(rows[i].error ? json_is_string(json_object_get(last, "error"))
                                  : !json_object_get(last, "error"));
        if (rows[i].error)
            assert_string_equal(text(last, "error"), rows[i].error);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, test_setup, test_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_rootfs),
        TEST(test_a_first_rootfs),
        TEST(test_snapshots),
        TEST(test_what_is_refused),
        cmocka_unit_test_setup_teardown(test_only_admins_make_them, setup_keys, test_teardown),
        cmocka_unit_test_setup_teardown(test_only_admins_are_told_why, setup_keys, test_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
