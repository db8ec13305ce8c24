/* SPDX-License-Identifier: Apache-2.0 */

/* Keys, accounts, quotas, snapshots, and what may be launched. */

#include "api/native/test_util.h"
#include "base/limits.h"

#define CALL(m, p, b, s)     \
    &(struct call)           \
    {                        \
        m, p, b, .status = s \
    }
#define AS_BOB(m, p, b, s)                        \
    &(struct call)                                \
    {                                             \
        m, p, b, .key = STUB_BOB_KEY, .status = s \
    }

static void uuid_of(const char *id, char ret[UUID_SIZE])
{
    uuid_from_id(id, ret);
}

static void test_keys(void **state)
{
    struct native *n = *state;
    auto_reply struct reply r = {0};
    char key[KEY_SIZE], id[UUID_SIZE], bob[UUID_SIZE], path[128], body[128];
    uuid_of(STUB_BOB, bob);
    native_call(n, AS_BOB("GET", "/v1/keys", NULL, 200), &r);
    assert_int_equal(json_array_size(r.json), 1);
    assert_string_equal(text_at(&r, "0.accountId"), bob);
    assert_string_equal(text_at(&r, "0.prefix"), "holm_bob");
    assert_true(json_is_null(value_at(r.json, "0.lastUsedAt")));
    assert_null(json_object_get(value_at(r.json, "0"), "key"));

    native_call(n, AS_BOB("POST", "/v1/keys", "{\"name\":\"ci\"}", 201), &r);
    snprintf(key, sizeof(key), "%s", text_at(&r, "key"));
    snprintf(id, sizeof(id), "%s", text_at(&r, "id"));
    assert_string_equal(text_at(&r, "name"), "ci");
    assert_string_equal(text_at(&r, "accountId"), bob);
    native_call(n, &(struct call){"GET", "/v1/vms", .key = key, .status = 200}, &r);
    char bearer[128];
    snprintf(bearer, sizeof(bearer), "Authorization: Bearer %s\r\n", key);
    native_call(n, &(struct call){"GET", "/v1/vms", .key = "", .headers = bearer, .status = 200},
                &r);

    snprintf(path, sizeof(path), "/v1/keys/%s", id);
    native_call(n, AS_BOB("DELETE", path, NULL, 200), &r);
    native_call(n, &(struct call){"GET", "/v1/vms", .key = key, .status = 401}, &r);
    assert_error(&r, "unauthorized", "");
    native_call(n, AS_BOB("DELETE", path, NULL, 404), &r);

    /* The admin makes one for bob, and takes it away. */
    snprintf(body, sizeof(body), "{\"accountId\":\"%s\"}", bob);
    native_call(n, CALL("POST", "/v1/keys", body, 201), &r);
    assert_string_equal(text_at(&r, "accountId"), bob);
    snprintf(path, sizeof(path), "/v1/keys/%s", text_at(&r, "id"));
    native_call(n, CALL("DELETE", path, NULL, 200), &r);
    native_call(n, CALL("POST", "/v1/keys", NULL, 201), &r);
    snprintf(path, sizeof(path), "/v1/keys?accountId=%s", bob);
    native_call(n, CALL("GET", path, NULL, 200), &r);
    assert_int_equal(json_array_size(r.json), 1);
}

/* What is another's is 404, and that there is one is not told. */
static void test_keys_of_others(void **state)
{
    struct native *n = *state;
    auto_reply struct reply r = {0};
    char admin[UUID_SIZE], path[128], body[128];
    uuid_of(STUB_ADMIN, admin);
    native_call(n, CALL("GET", "/v1/keys", NULL, 200), &r);
    snprintf(path, sizeof(path), "/v1/keys/%s", text_at(&r, "0.id"));
    native_call(n, AS_BOB("DELETE", path, NULL, 404), &r);
    snprintf(body, sizeof(body), "{\"accountId\":\"%s\"}", admin);
    native_call(n, AS_BOB("POST", "/v1/keys", body, 403), &r);
    native_call(n, AS_BOB("POST", "/v1/keys", "{\"accountId\":\"x\"}", 403), &r);
    snprintf(path, sizeof(path), "/v1/keys?accountId=%s", admin);
    native_call(n, AS_BOB("GET", path, NULL, 403), &r);
    assert_error(&r, "forbidden", "");
    native_call(n, CALL("POST", "/v1/keys", "{\"accountId\":\"x\"}", 404), &r);
    native_call(n, CALL("GET", "/v1/keys?accountId=x", NULL, 404), &r);
}

static void test_accounts(void **state)
{
    struct native *n = *state;
    auto_reply struct reply r = {0};
    char path[128];
    native_call(n,
                CALL("POST", "/v1/accounts",
                     "{\"name\":\"ann\",\"quotas\":{\"vcpu\":3,\"diskGiB\":2.5,"
                     "\"snapshotCount\":0}}",
                     201),
                &r);
    assert_string_equal(text_at(&r, "name"), "ann");
    assert_true(json_is_false(value_at(r.json, "admin")));
    assert_int_equal(number_at(&r, "quotas.vcpu"), 3);
    assert_true(json_real_value(value_at(r.json, "quotas.diskGiB")) == 2.5);
    assert_int_equal(number_at(&r, "quotas.snapshotCount"), 0);
    assert_int_equal(number_at(&r, "quotas.memoryMiB"), 0);
    assert_int_equal(number_at(&r, "usage.vcpu"), 0);
    snprintf(path, sizeof(path), "/v1/accounts/%s", text_at(&r, "id"));

    native_call(n, CALL("PATCH", path, "{\"name\":\"anna\",\"quotas\":{\"memoryMiB\":512}}", 200),
                &r);
    assert_string_equal(text_at(&r, "name"), "anna");
    assert_int_equal(number_at(&r, "quotas.memoryMiB"), 512);
    assert_int_equal(number_at(&r, "quotas.vcpu"), 3);
    native_call(n, CALL("PATCH", path, "{}", 200), &r);
    assert_string_equal(text_at(&r, "name"), "anna");
    native_call(n, CALL("GET", path, NULL, 200), &r);
    native_call(n, CALL("GET", "/v1/accounts", NULL, 200), &r);
    assert_int_equal(json_array_size(r.json), 3);
    assert_true(json_is_true(value_at(r.json, "0.admin")));
    native_call(n, CALL("DELETE", path, NULL, 200), &r);
    native_call(n, CALL("GET", path, NULL, 404), &r);

    char bob[UUID_SIZE];
    uuid_of(STUB_BOB, bob);
    snprintf(path, sizeof(path), "/v1/accounts/%s", bob);
    native_call(n, CALL("DELETE", path, NULL, 409), &r);
    assert_error(&r, "conflict", "");
    native_call(n, CALL("POST", "/v1/accounts", "{\"name\":\"\"}", 400), &r);
    assert_error(&r, "invalid", "name");
    native_call(n, CALL("POST", "/v1/accounts", "{\"name\":\"x\",\"quotas\":{\"vcpu\":-1}}", 400),
                &r);
    assert_error(&r, "invalid", "quotas.vcpu");
}

static void test_quotas(void **state)
{
    auto_reply struct reply r = {0};
    char bob[UUID_SIZE];
    uuid_of(STUB_BOB, bob);
    native_call(*state, AS_BOB("GET", "/v1/org/quotas", NULL, 200), &r);
    assert_string_equal(text_at(&r, "orgId"), bob);
    assert_int_equal(number_at(&r, "limits.vcpu"), 8);
    assert_int_equal(number_at(&r, "limits.diskGiB"), 10);
    assert_int_equal(number_at(&r, "limits.memoryMiB"), 0);
    assert_int_equal(number_at(&r, "usage.memoryMiB"), 256);
    assert_true(json_real_value(value_at(r.json, "usage.diskGiB")) == 0.5);
}

static void test_what_may_be_launched(void **state)
{
    auto_reply struct reply r = {0};
    native_call(*state, AS_BOB("GET", "/v1/machine-types", NULL, 200), &r);
    assert_string_equal(text_at(&r, "0.name"), "c1m0.25");
    assert_int_equal(number_at(&r, "1.memoryMiB"), 4096);
    native_call(*state, AS_BOB("GET", "/v1/images", NULL, 200), &r);
    assert_string_equal(text_at(&r, "0.state"), "ready");
    assert_int_equal(number_at(&r, "0.diskGiB"), 2);
    assert_string_equal(text_at(&r, "1.detail"), "it never said hello");
    native_call(*state, &(struct call){"GET", "/healthz", .key = "", .status = 200}, &r);
    assert_string_equal(text_at(&r, "status"), "ok");
}

static void test_snapshots(void **state)
{
    struct native *n = *state;
    auto_reply struct reply r = {0};
    char body[128], path[128];
    native_call(n, CALL("GET", "/v1/snapshots", NULL, 200), &r);
    assert_int_equal(json_array_size(r.json), 0);
    snprintf(body, sizeof(body), "{\"vmId\":\"%s\",\"name\":\"one\"}", n->vm);
    native_call(n, CALL("POST", "/v1/snapshots", body, 201), &r);
    static const char *const always[] = {"id",       "orgId",   "createdAt", "firewall",
                                         "metadata", "envVars", "services",  "machineType",
                                         "image",    "cpu"};
    for (size_t i = 0; i < ARRAY_SIZE(always); i++)
        value_at(r.json, always[i]);
    assert_string_equal(text_at(&r, "name"), "one");
    assert_string_equal(text_at(&r, "vmId"), n->vm);
    assert_string_equal(text_at(&r, "status"), "ready");
    assert_int_equal(number_at(&r, "sizeBytes"), 1234);
    assert_true(json_real_value(value_at(r.json, "pauseMs")) == 5.6);
    snprintf(path, sizeof(path), "/v1/snapshots/%s", text_at(&r, "id"));
    native_call(n, CALL("PATCH", path, "{\"name\":\"two\"}", 200), &r);
    assert_string_equal(text_at(&r, "name"), "two");
    native_call(n, CALL("PATCH", path, "{}", 200), &r);
    assert_string_equal(text_at(&r, "name"), "two");
    native_call(n, CALL("GET", path, NULL, 200), &r);
    native_call(n, CALL("GET", "/v1/snapshots", NULL, 200), &r);
    assert_int_equal(json_array_size(r.json), 1);

    snprintf(body, sizeof(body), "{\"vmId\":\"%s\",\"name\":null}", n->vm);
    native_call(n, CALL("POST", "/v1/snapshots", body, 201), &r);
    native_call(n, CALL("POST", "/v1/snapshots", body, 403), &r);
    assert_error(&r, "forbidden", "");
    native_call(n, CALL("POST", "/v1/snapshots", "{\"vmId\":\"x\"}", 404), &r);
    native_call(n, CALL("POST", "/v1/snapshots", "{}", 400), &r);
    assert_error(&r, "invalid", "vmId");
    native_call(n, CALL("DELETE", path, NULL, 200), &r);
    native_call(n, CALL("GET", path, NULL, 404), &r);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, native_setup, native_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_keys),   TEST(test_keys_of_others),       TEST(test_accounts),
        TEST(test_quotas), TEST(test_what_may_be_launched), TEST(test_snapshots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
