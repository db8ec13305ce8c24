/* SPDX-License-Identifier: Apache-2.0 */

/* VMs over HTTP: what is passed on to the host, what comes back, what is refused. */

#include "api/native/test_util.h"
#include "base/limits.h"

#define GET(p)                  \
    &(struct call)              \
    {                           \
        "GET", p, .status = 200 \
    }
#define POST(p, b)                  \
    &(struct call)                  \
    {                               \
        "POST", p, b, .status = 200 \
    }
#define LAUNCH(b)                           \
    &(struct call)                          \
    {                                       \
        "POST", "/v1/vms", b, .status = 201 \
    }
#define REFUSED(m, p, b, s)  \
    &(struct call)           \
    {                        \
        m, p, b, .status = s \
    }

/* ---- launch ---- */

static void test_object(void **state)
{
    static const char *const always[] = {"id",          "name",
                                         "orgId",       "status",
                                         "cpu",         "memoryMiB",
                                         "diskGiB",     "createdAt",
                                         "machineName", "sourceName",
                                         "metadata",    "envVars",
                                         "firewall",    "effectiveFirewall",
                                         "ttl",         "pausedAt",
                                         "deletedAt",   "machineType",
                                         "image"};
    auto_reply struct reply r = {0};
    vm_call(*state, GET(""), &r);
    for (size_t i = 0; i < ARRAY_SIZE(always); i++)
        value_at(r.json, always[i]);
    assert_string_equal(text_at(&r, "status"), "running");
    assert_string_equal(text_at(&r, "machineName"), "c1m0.25");
    assert_string_equal(text_at(&r, "sourceName"), "bash");
    assert_int_equal(number_at(&r, "memoryMiB"), 256);
    assert_int_equal(number_at(&r, "diskGiB"), 2);
    assert_true(json_is_null(value_at(r.json, "ttl")) &&
                json_is_null(value_at(r.json, "pausedAt")));
    assert_true(json_is_null(value_at(r.json, "deletedAt")));
    assert_false(is_there(&r, "expiresAtMs") || is_there(&r, "ttlRemainingMs"));
    assert_false(is_there(&r, "idle") || is_there(&r, "detail") || is_there(&r, "forkedFrom"));
    assert_string_equal(reply_header(&r, "Content-Type"), "application/json");
    json_t *firewall = value_at(r.json, "firewall");
    assert_true(json_equal(firewall, value_at(r.json, "effectiveFirewall")));
    assert_string_equal(text_at(&r, "firewall.egress.default"), "allow");
}

static void test_launch_fields(void **state)
{
    auto_reply struct reply r = {0};
    native_call(*state,
                LAUNCH("{\"machineType\":\"c2m4\",\"image\":\"python\",\"name\":\"dev\","
                       "\"metadata\":{\"a\":\"1\"},\"envVars\":{\"PATH_X\":\"y z\"},"
                       "\"firewall\":{\"egress\":{\"default\":\"deny\",\"rules\":[]}},"
                       "\"diskGiB\":3.5,\"ttl\":{\"seconds\":60,\"action\":\"delete\"},"
                       "\"idle\":{\"seconds\":30,\"action\":\"suspend\"}}"),
                &r);
    assert_string_equal(text_at(&r, "name"), "dev");
    assert_int_equal(number_at(&r, "cpu"), 2);
    assert_int_equal(number_at(&r, "memoryMiB"), 4096);
    assert_string_equal(text_at(&r, "image"), "python");
    assert_true(json_real_value(value_at(r.json, "diskGiB")) == 3.5);
    assert_string_equal(text_at(&r, "metadata.a"), "1");
    assert_string_equal(text_at(&r, "envVars.PATH_X"), "y z");
    assert_string_equal(text_at(&r, "firewall.egress.default"), "deny");
    assert_int_equal(number_at(&r, "ttl.seconds"), 60);
    assert_string_equal(text_at(&r, "ttl.action"), "delete");
    assert_string_equal(text_at(&r, "idle.action"), "suspend");
    assert_true(number_at(&r, "expiresAtMs") > 1700000000000);
    assert_true(number_at(&r, "idleForMs") >= 0);
    native_call(*state, LAUNCH("{\"cpu\":3,\"memoryMiB\":640}"), &r);
    assert_int_equal(number_at(&r, "cpu"), 3);
    assert_int_equal(number_at(&r, "memoryMiB"), 640);
    /* What clients send for nothing is nothing; the older shape of a policy is passed on. */
    native_call(*state,
                LAUNCH("{\"firewall\":null,\"ttl\":null,\"idle\":null,\"metadata\":null,"
                       "\"snapshotId\":null,\"name\":\"\"}"),
                &r);
    native_call(*state, LAUNCH("{\"firewall\":{\"mode\":\"restricted\",\"ingress\":[]}}"), &r);
    native_call(*state, &(struct call){"POST", "/v1/vms", .status = 201}, &r);
    assert_string_equal(text_at(&r, "machineType"), "c1m0.25");
}

static void test_queued_and_lost(void **state)
{
    auto_reply struct reply r = {0};
    native_call(*state, &(struct call){"POST", "/v1/vms", "{\"name\":\"queued\"}", .status = 202},
                &r);
    assert_string_equal(text_at(&r, "status"), "provisioning");
    native_call(*state, &(struct call){"POST", "/v1/vms", "{\"name\":\"lost\"}", .status = 202},
                &r);
    assert_string_equal(text_at(&r, "status"), "error");
    assert_string_equal(text_at(&r, "detail"), "its monitor ended");
}

static void test_launch_from_snapshot(void **state)
{
    struct native *n = *state;
    auto_reply struct reply r = {0};
    char body[256];
    snprintf(body, sizeof(body), "{\"vmId\":\"%s\",\"name\":\"base\"}", n->vm);
    native_call(n, &(struct call){"POST", "/v1/snapshots", body, .status = 201}, &r);
    snprintf(body, sizeof(body), "{\"snapshotId\":\"%s\"}", text_at(&r, "id"));
    char id[UUID_SIZE];
    snprintf(id, sizeof(id), "%s", text_at(&r, "id"));
    native_call(n, LAUNCH(body), &r);
    assert_string_equal(text_at(&r, "snapshotId"), id);
    assert_string_equal(text_at(&r, "sourceName"), "base");
    snprintf(body, sizeof(body), "{\"snapshotId\":\"%s\",\"image\":\"bash\"}", id);
    native_call(n, REFUSED("POST", "/v1/vms", body, 400), &r);
    assert_error(&r, "invalid", "image");
    native_call(n, REFUSED("POST", "/v1/vms", "{\"snapshotId\":\"snp_1\"}", 404), &r);
    assert_error(&r, "not_found", "");
}

/* A map of one entry, or of many. */
static void launch_map(struct native *n, const char *field, json_t *map, struct reply *r)
{
    json_t *body = json_pack("{s:o}", field, map);
    char *text = json_dumps(body, 0);
    native_call(n, &(struct call){"POST", "/v1/vms", text}, r);
    json_decref(body);
    free(text);
}

static json_t *one_entry(size_t key_bytes, size_t value_bytes)
{
    auto_free char *key = malloc(key_bytes + 1), *value = malloc(value_bytes + 1);
    memset(key, 'k', key_bytes);
    memset(value, 'v', value_bytes);
    key[key_bytes] = value[value_bytes] = '\0';
    return json_pack("{s:s}", key, value);
}

static json_t *many_entries(int count, size_t value_bytes)
{
    auto_free char *value = malloc(value_bytes + 1);
    memset(value, 'v', value_bytes);
    value[value_bytes] = '\0';
    json_t *map = json_object();
    for (int i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        json_object_set_new(map, key, json_string(value));
    }
    return map;
}

static void test_metadata_bounds(void **state)
{
    static const struct {
        size_t key, value;
        int status;
    } entries[] = {{256, 4096, 201}, {257, 1, 413}, {1, 4097, 413}, {0, 1, 400}};
    auto_reply struct reply r = {0};
    for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
        launch_map(*state, "metadata", one_entry(entries[i].key, entries[i].value), &r);
        assert_int_equal(r.status, entries[i].status);
        if (r.status != 201)
            assert_int_equal(strncmp(text_at(&r, "error.field"), "metadata[\"", 10), 0);
    }
    launch_map(*state, "metadata", many_entries(256, 1), &r);
    assert_int_equal(r.status, 201);
    launch_map(*state, "metadata", many_entries(257, 1), &r);
    assert_int_equal(r.status, 413);
    assert_error(&r, "too_large", "metadata");
    launch_map(*state, "metadata", many_entries(20, 4000), &r);
    assert_int_equal(r.status, 413);
    assert_error(&r, "too_large", "metadata");
}

static void test_env_bounds(void **state)
{
    static const struct {
        const char *body, *field;
        int status;
    } bad[] = {
        {"{\"envVars\":{\"1A\":\"x\"}}", "envVars[\"1A\"]", 400},
        {"{\"envVars\":{\"A-B\":\"x\"}}", "envVars[\"A-B\"]", 400},
        {"{\"envVars\":{\"\":\"x\"}}", "envVars[\"\"]", 400},
        {"{\"envVars\":{\"A\":\"x\\ny\"}}", "envVars[\"A\"]", 400},
        {"{\"envVars\":{\"A\":\"x\\ry\"}}", "envVars[\"A\"]", 400},
        {"{\"envVars\":{\"A\":\"x\\u0000y\"}}", "envVars[\"A\"]", 400},
        {"{\"envVars\":{\"A\":1}}", "envVars[\"A\"]", 400},
        {"{\"envVars\":[]}", "envVars", 400},
        {"{\"cpu\":2}", "memoryMiB", 400},
        {"{\"memoryMiB\":512}", "cpu", 400},
        {"{\"cpu\":0,\"memoryMiB\":512}", "cpu", 400},
        {"{\"cpu\":2,\"memoryMiB\":63}", "memoryMiB", 400},
        {"{\"cpu\":2,\"memoryMiB\":512,\"machineType\":\"c2m4\"}", "cpu", 400},
    };
    auto_reply struct reply r = {0};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        native_call(*state, REFUSED("POST", "/v1/vms", bad[i].body, bad[i].status), &r);
        assert_error(&r, "invalid", bad[i].field);
    }
    launch_map(*state, "envVars", one_entry(256, 5000), &r);
    assert_int_equal(r.status, 201);
    launch_map(*state, "envVars", one_entry(257, 1), &r);
    assert_int_equal(r.status, 413);
    launch_map(*state, "envVars", one_entry(1, 65536), &r);
    assert_int_equal(r.status, 413);
    assert_error(&r, "too_large", "envVars");
}

/* ---- list ---- */

static size_t count_listed(struct native *n, const char *path, struct reply *r)
{
    native_call(n, &(struct call){"GET", path, .status = 200}, r);
    assert_true(json_is_array(r->json));
    return json_array_size(r->json);
}

static void test_list(void **state)
{
    auto_reply struct reply r = {0};
    native_call(*state, LAUNCH("{\"name\":\"b\",\"metadata\":{\"team\":\"x y\",\"n\":\"1\"}}"), &r);
    native_call(*state, LAUNCH("{\"name\":\"c\",\"metadata\":{\"team\":\"z\",\"n\":\"1\"}}"), &r);
    assert_int_equal(count_listed(*state, "/v1/vms", &r), 3);
    assert_string_equal(text_at(&r, "1.name"), "b");
    assert_string_equal(text_at(&r, "2.name"), "c");
    assert_int_equal(count_listed(*state, "/v1/vms?status=running", &r), 3);
    assert_int_equal(count_listed(*state, "/v1/vms?status=paused", &r), 0);
    assert_int_equal(count_listed(*state, "/v1/vms?status=never-heard", &r), 0);
    assert_int_equal(count_listed(*state, "/v1/vms?metadata.n=1", &r), 2);
    assert_int_equal(count_listed(*state, "/v1/vms?metadata.n=1&metadata.team=x%20y", &r), 1);
    assert_int_equal(count_listed(*state, "/v1/vms?metadata.n=1&metadata.m=1", &r), 0);
    native_call(*state, REFUSED("GET", "/v1/vms?statu=running", NULL, 400), &r);
    assert_error(&r, "invalid", "statu");
    native_call(*state, &(struct call){"GET", "/v1/vms", .key = STUB_BOB_KEY, .status = 200}, &r);
    assert_int_equal(json_array_size(r.json), 0);
}

/* ---- change ---- */

static void test_patch(void **state)
{
    auto_reply struct reply r = {0};
#define PATCH(b) &(struct call){"PATCH", "", b, .status = 200}
    vm_call(*state,
            PATCH("{\"name\":\"new\",\"metadata\":{\"k\":\"v\"},"
                  "\"ttl\":{\"seconds\":9,\"action\":\"stop\"},"
                  "\"idle\":{\"seconds\":8,\"action\":\"pause\"}}"),
            &r);
    assert_string_equal(text_at(&r, "name"), "new");
    assert_string_equal(text_at(&r, "ttl.action"), "stop");
    vm_call(*state, PATCH("{}"), &r);
    assert_string_equal(text_at(&r, "metadata.k"), "v");
    assert_int_equal(number_at(&r, "ttl.seconds"), 9);
    vm_call(*state, PATCH("{\"ttl\":null,\"metadata\":{}}"), &r);
    assert_true(json_is_null(value_at(r.json, "ttl")));
    assert_int_equal(json_object_size(value_at(r.json, "metadata")), 0);
    assert_int_equal(number_at(&r, "idle.seconds"), 8);
    vm_call(*state, PATCH("{\"idle\":null}"), &r);
    assert_false(is_there(&r, "idle"));
    vm_call(*state, REFUSED("PATCH", "", "{\"ttl\":{\"seconds\":0,\"action\":\"stop\"}}", 400), &r);
    assert_error(&r, "invalid", "ttl.seconds");
    vm_call(*state, REFUSED("PATCH", "", "{\"ttl\":{\"seconds\":1}}", 400), &r);
    assert_error(&r, "invalid", "ttl.action");
    vm_call(*state, REFUSED("PATCH", "", "{\"metadata\":{\"k\":1}}", 400), &r);
    assert_error(&r, "invalid", "metadata[\"k\"]");
}

static void test_moves(void **state)
{
    auto_reply struct reply r = {0};
    static const struct {
        const char *move, *status;
    } moves[] = {{"/pause", "paused"},   {"/pause", "paused"},      {"/resume", "running"},
                 {"/resume", "running"}, {"/suspend", "suspended"}, {"/suspend", "suspended"},
                 {"/resume", "running"}, {"/stop", "stopped"},      {"/start", "running"}};
    for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
        vm_call(*state, &(struct call){"POST", moves[i].move, .status = 200}, &r);
        assert_string_equal(text_at(&r, "status"), moves[i].status);
        assert_int_equal(json_is_string(value_at(r.json, "pausedAt")),
                         strcmp(moves[i].status, "paused") == 0);
    }
    vm_call(*state, POST("/stop", "{\"force\":true}"), &r);
    assert_string_equal(text_at(&r, "name"), "turned off");
    vm_call(*state, REFUSED("POST", "/pause", NULL, 409), &r);
    assert_error(&r, "conflict", "");
    assert_string_equal(reply_header(&r, "x-should-retry"), "false");
    vm_call(*state, REFUSED("POST", "/stop", "{\"timeoutSec\":12345}", 400), &r);
    assert_error(&r, "invalid", "timeoutSec");
    vm_call(*state, &(struct call){"DELETE", "", .status = 200}, &r);
    assert_string_equal(text_at(&r, "id"), ((struct native *)*state)->vm);
    assert_true(json_is_true(value_at(r.json, "deleted")));
    vm_call(*state, REFUSED("GET", "", NULL, 404), &r);
}

static void test_ttl(void **state)
{
    auto_reply struct reply r = {0};
    vm_call(*state, REFUSED("POST", "/ttl/refresh", NULL, 409), &r);
    assert_error(&r, "conflict", "");
    vm_call(*state, PATCH("{\"ttl\":{\"seconds\":9,\"action\":\"pause\"}}"), &r);
    vm_call(*state, POST("/ttl/refresh", NULL), &r);
    assert_int_equal(number_at(&r, "ttl.seconds"), 9);
    assert_true(is_there(&r, "expiresAtMs") && !is_there(&r, "ttlRemainingMs"));
    vm_call(*state, POST("/pause", NULL), &r);
    assert_int_equal(number_at(&r, "ttlRemainingMs"), 9000);
    assert_false(is_there(&r, "expiresAtMs"));
}

static void test_firewall(void **state)
{
    auto_reply struct reply r = {0};
    vm_call(*state,
            &(struct call){"PUT", "/firewall", "{\"ingress\":{\"default\":\"allow\",\"rules\":[]}}",
                           .status = 200},
            &r);
    assert_string_equal(text_at(&r, "firewall.ingress.default"), "allow");
    vm_call(*state,
            &(struct call){"PUT", "/firewall", "{\"mode\":\"open\",\"ingress\":[]}", .status = 200},
            &r);
    vm_call(*state, REFUSED("PATCH", "/firewall", "{\"egress\":\"no\"}", 400), &r);
    assert_error(&r, "invalid", "egress");
    vm_call(*state, REFUSED("PATCH", "/firewall", "{\"egres\":{}}", 400), &r);
    assert_error(&r, "invalid", "egres");
    native_call(*state, REFUSED("POST", "/v1/vms", "{\"firewall\":{\"dns\":1}}", 400), &r);
    assert_error(&r, "invalid", "firewall.dns");
}

static void test_resize(void **state)
{
    auto_reply struct reply r = {0};
    vm_call(*state, POST("/resize", "{\"diskGiB\":5,\"machineType\":\"c2m4\"}"), &r);
    assert_int_equal(number_at(&r, "diskGiB"), 5);
    assert_string_equal(text_at(&r, "nextMachineType"), "c2m4");
    assert_string_equal(text_at(&r, "machineType"), "c1m0.25");
    vm_call(*state, REFUSED("POST", "/resize", "{\"diskGiB\":4}", 400), &r);
    assert_error(&r, "invalid", "diskGiB");
    vm_call(*state, REFUSED("POST", "/resize", "{}", 400), &r);
    assert_error(&r, "invalid", "diskGiB");
}

static void test_fork(void **state)
{
    struct native *n = *state;
    auto_reply struct reply r = {0};
    vm_call(n,
            &(struct call){"POST", "/fork",
                           "{\"count\":3,\"name\":\"try\",\"metadata\":{\"a\":\"b\"}}",
                           .status = 201},
            &r);
    assert_string_equal(text_at(&r, "vmId"), n->vm);
    assert_true(json_real_value(value_at(r.json, "pauseMs")) == 14.2);
    assert_int_equal(json_array_size(value_at(r.json, "forks")), 3);
    assert_string_equal(text_at(&r, "forks.2.vm.name"), "try-3");
    assert_string_equal(text_at(&r, "forks.2.vm.forkedFrom"), n->vm);
    assert_string_equal(text_at(&r, "forks.2.vm.metadata.a"), "b");
    assert_string_equal(text_at(&r, "forks.2.id"), text_at(&r, "forks.2.vm.id"));
    assert_true(json_real_value(value_at(r.json, "forks.0.readyMs")) == 231.0);
    vm_call(n, &(struct call){"POST", "/fork", .status = 201}, &r);
    assert_int_equal(json_array_size(value_at(r.json, "forks")), 1);
    vm_call(n, REFUSED("POST", "/fork", "{\"count\":65}", 400), &r);
    assert_error(&r, "invalid", "count");
}

static void test_stats(void **state)
{
    auto_reply struct reply r = {0};
    vm_call(*state, GET("/stats"), &r);
    assert_int_equal(number_at(&r, "cpuTimeMs"), 5);
    assert_int_equal(number_at(&r, "memoryBytes"), 6);
    assert_int_equal(number_at(&r, "commands"), 12);
    assert_string_equal(text_at(&r, "hostAddress"), "10.201.0.2");
    vm_call(*state, POST("/pause", NULL), &r);
    vm_call(*state, GET("/stats"), &r);
    assert_true(json_is_null(value_at(r.json, "hostAddress")));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, native_setup, native_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_object),
        TEST(test_launch_fields),
        TEST(test_queued_and_lost),
        TEST(test_launch_from_snapshot),
        TEST(test_metadata_bounds),
        TEST(test_env_bounds),
        TEST(test_list),
        TEST(test_patch),
        TEST(test_moves),
        TEST(test_ttl),
        TEST(test_firewall),
        TEST(test_resize),
        TEST(test_fork),
        TEST(test_stats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
