/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/report.h"

#include <errno.h>

#include "base/test.h"

#define BOOT_ID "4d1f4f3e-5b0c-4b8e-9d0a-0123456789ab"
#define GOOD                                                                          \
    "\"agent\":\"0.1.0\",\"protocol\":1,\"boot_id\":\"" BOOT_ID "\",\"uptime_ms\":5," \
    "\"real_time_ns\":6,\"init\":\"image\",\"clock_step_ms\":-7,\"reseeded\":true,"

static void test_round_trip(void **state)
{
    struct agent_report in = {
        .version = "0.1.0~x",
        .protocol = 1,
        .boot_id = BOOT_ID,
        .uptime_ms = 1,
        .real_time_ns = INT64_MAX,
        .init = REPORT_INIT_AGENT,
        .clock_step_ms = -12345,
        .reseeded = true,
        .random = "00112233445566778899aabbccddeeff",
    };
    struct agent_report out = {0};
    auto_buf struct buf json = {0};
    assert_int_equal(0, report_encode(&in, &json));
    assert_int_equal(0, report_decode(json.data, json.len, &out, NULL));
    assert_string_equal(in.version, out.version);
    assert_int_equal(1, out.protocol);
    assert_string_equal(in.boot_id, out.boot_id);
    assert_int_equal(1, out.uptime_ms);
    assert_true(out.real_time_ns == INT64_MAX);
    assert_int_equal(REPORT_INIT_AGENT, out.init);
    assert_int_equal(-12345, out.clock_step_ms);
    assert_true(out.reseeded);
    assert_string_equal(in.random, out.random);
}

static void test_newer_agent(void **state)
{
    static const char json[] = "{" GOOD "\"random\":\"00\",\"news\":[1]}";
    struct agent_report out;
    assert_int_equal(0, report_decode(json, strlen(json), &out, NULL));
    assert_int_equal(REPORT_INIT_IMAGE, out.init);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *json;
        const char *field;
    } rows[] = {
        {"{" GOOD "\"random\":\"xyz\"}", "random"},
        {"{" GOOD "\"random\":\"00112233445566778899aabbccddeeff0\"}", "random"},
        {"{" GOOD "\"x\":1}", "random"},
        {"{\"agent\":\"a\\nb\"}", "agent"},
        {"{\"agent\":\"\\\"\"}", "agent"},
        {"{\"agent\":1}", "agent"},
        {"{\"agent\":\"a\",\"protocol\":0}", "protocol"},
        {"{\"agent\":\"a\",\"protocol\":1,\"boot_id\":\"../../etc\"}", "boot_id"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct agent_report out;
        struct err e = ERR_INIT;
        assert_int_equal(-EINVAL, report_decode(rows[i].json, strlen(rows[i].json), &out, &e));
        assert_string_equal(rows[i].field, e.field);
    }
}

static void test_restored(void **state)
{
    struct restored_request in = {.real_time_ns = 123, .entropy_len = 32}, out;
    auto_buf struct buf json = {0};
    memset(in.entropy, 0xa5, sizeof(in.entropy));
    assert_int_equal(0, report_restored_encode(&in, &json));
    assert_int_equal(0, report_restored_decode(json.data, json.len, &out, NULL));
    assert_int_equal(123, out.real_time_ns);
    assert_int_equal(32, out.entropy_len);
    assert_memory_equal(in.entropy, out.entropy, 32);
    assert_false(out.keep);
    assert_string_equal("", out.id);
    assert_string_equal("", out.hostname);

    in.keep = true;
    snprintf(in.id, sizeof(in.id), "Ab-9");
    snprintf(in.hostname, sizeof(in.hostname), "my-host");
    buf_clear(&json);
    assert_int_equal(0, report_restored_encode(&in, &json));
    assert_int_equal(0, report_restored_decode(json.data, json.len, &out, NULL));
    assert_true(out.keep);
    assert_string_equal("Ab-9", out.id);
    assert_string_equal("my-host", out.hostname);
}

static void test_restored_refusals(void **state)
{
    static const struct {
        size_t entropy_len;
        const char *json;
        const char *field;
    } rows[] = {
        {31, NULL, "entropy"},
        {0, "{\"real_time_ns\":-1,\"entropy\":\"\"}", "real_time_ns"},
        {0, "{\"real_time_ns\":1,\"entropy\":\"0g\"}", "entropy"},
        {0, "{\"real_time_ns\":1}", "entropy"},
        {0, "{\"real_time_ns\":1,\"entropy\":\"\",\"x\":0}", "x"},
        {0, "{\"real_time_ns\":1,\"keep\":1}", "keep"},
        {0, "{\"real_time_ns\":1,\"id\":\"\"}", "id"},
        {0, "{\"real_time_ns\":1,\"id\":\"a\\\"b\"}", "id"},
        {0, "{\"real_time_ns\":1,\"hostname\":\"a.b\"}", "hostname"},
        {0, "{\"real_time_ns\":1,\"hostname\":\"-a\"}", "hostname"},
        {0, "{\"real_time_ns\":1,\"hostname\":\"a-\"}", "hostname"},
        {0, "{\"real_time_ns\":1,\"hostname\":\"Host\"}", "hostname"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct restored_request in = {.entropy_len = rows[i].entropy_len}, out;
        auto_buf struct buf json = {0};
        struct err e = ERR_INIT;
        if (rows[i].json)
            buf_append_str(&json, rows[i].json);
        else
            report_restored_encode(&in, &json);
        assert_int_equal(-EINVAL, report_restored_decode(json.data, json.len, &out, &e));
        assert_string_equal(rows[i].field, e.field);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),        cmocka_unit_test(test_newer_agent),
        cmocka_unit_test(test_refusals),          cmocka_unit_test(test_restored),
        cmocka_unit_test(test_restored_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
