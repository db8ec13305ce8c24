/* SPDX-License-Identifier: Apache-2.0 */

/* allowIps and outboundInternet as a policy, and what policies of all kinds look like here. */

#include "api/rds/policy.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/test.h"

static void assert_json(json_t *json, const char *expected)
{
    auto_free char *text = json_dumps(json, JSON_COMPACT);
    assert_string_equal(text, expected);
    json_decref(json);
}

static void assert_policy(const char *const *ranges, bool internet, const char *expected)
{
    struct field_texts allow = {.items = (const char **)ranges};
    struct err e = ERR_INIT;
    json_t *policy = NULL;
    while (ranges[allow.n])
        allow.n++;
    assert_int_equal(rds_policy_make(&allow, internet, &policy, &e), 0);
    assert_int_equal(rds_policy_internet(policy), internet);
    assert_json(policy, expected);
}

#define RANGES(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
#define EGRESS(rules) "{\"egress\":{\"default\":\"deny\",\"rules\":[" rules "]}}"
#define RULE(action, range) "{\"action\":\"" action "\",\"kind\":\"cidr\",\"value\":\"" range "\""

static void test_make(void **state)
{
    assert_policy(RANGES(), false, EGRESS(""));
    assert_policy(RANGES("10.1.2.3", "10.0.0.0/8", "2001:DB8::1/64"), true,
                  EGRESS(RULE("allow", "10.1.2.3/32") "}," RULE("allow", "10.0.0.0/8") "}," RULE(
                      "allow", "2001:db8::/64") "}"));
    assert_policy(RANGES("172.16.0.1/32"), false,
                  EGRESS(RULE("deny", "172.16.0.1/32") ",\"description\":\"allowIps, without "
                                                       "outboundInternet\"}"));
    assert_policy(RANGES(), true,
                  EGRESS(RULE("deny", "0.0.0.0/0") ",\"description\":\"outboundInternet, without "
                                                   "allowIps\"}"));
}

static void test_make_refuses(void **state)
{
    static const char *const bad[] = {
        "",         "x",           "10.0.0.0/33", "10.0.0", "1.2.3.4/", "::/129", "::ffff:1.2.3.4",
        " 1.2.3.4", "example.com", "1.2.3.4/-1"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        const char *items[] = {"10.0.0.0/8", bad[i]};
        struct field_texts allow = {.items = items, .n = 2};
        struct err e = ERR_INIT;
        json_t *policy = NULL;
        assert_int_equal(rds_policy_make(&allow, true, &policy, &e), -EINVAL);
        assert_int_equal(e.class, ERR_INVALID);
        assert_string_equal(e.field, "allowIps[1]");
        assert_null(policy);
    }
}

/* As vm_info.firewall has it. */
static const struct {
    const char *egress;
    bool internet;
    const char *ranges;
} shown[] = {
    {"{\"default\":\"allow\",\"rules\":[]}", true, "[\"0.0.0.0/0\",\"::/0\"]"},
    {"{\"default\":\"deny\",\"rules\":[]}", false, "[]"},
    {"{\"default\":\"allow\",\"rules\":[" RULE("deny", "10.0.0.0/8") ",\"protocol\":\"any\","
                                                                     "\"ports\":\"any\"}]}",
     true, "[]"},
    {"{\"default\":\"deny\",\"rules\":[" RULE(
         "allow", "10.0.0.0/8") ",\"protocol\":\"any\","
                                "\"ports\":\"any\"}," RULE(
                                    "allow",
                                    "11.0.0.0/8") ",\"protocol\":\"tcp\",\"ports\":\"443\"}"
                                                  "," RULE("deny",
                                                           "12.0.0.0/8") ",\"protocol\":"
                                                                         "\"any\",\"ports\":"
                                                                         "\"any\"}]}",
     true, "[\"10.0.0.0/8\"]"},
    {"{\"default\":\"deny\",\"rules\":[{\"action\":\"allow\",\"kind\":\"fqdn\",\"value\":\"a."
     "b\","
     "\"protocol\":\"any\",\"ports\":\"any\"}]}",
     true, "[]"},
    {"{\"default\":\"deny\",\"rules\":[" RULE(
         "deny", "10.0.0.0/8") ",\"protocol\":\"any\","
                               "\"ports\":\"any\",\"description\":\"allowIps, without "
                               "outboundInternet\"}]}",
     false, "[\"10.0.0.0/8\"]"},
    {"{\"default\":\"deny\",\"rules\":[" RULE(
         "deny", "0.0.0.0/0") ",\"protocol\":\"any\","
                              "\"ports\":\"any\",\"description\":\"outboundInternet, without "
                              "allowIps\"}]}",
     true, "[]"},
};

static void test_shown(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
        json_t *policy = json_pack("{s:o}", "egress", json_loads(shown[i].egress, 0, NULL));
        assert_non_null(policy);
        assert_int_equal(rds_policy_internet(policy), shown[i].internet);
        assert_json(rds_policy_ranges(policy), shown[i].ranges);
        json_decref(policy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_make),
        cmocka_unit_test(test_make_refuses),
        cmocka_unit_test(test_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
