/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/firewall.h"

#include "base/test.h"
#include "cli/json.h"

static void test_rules(void **state)
{
    static const struct {
        const char *text, *kind, *value, *protocol, *ports;
    } rows[] = {
        {"10.0.0.0/8", "cidr", "10.0.0.0/8", "any", "any"},
        {"192.0.2.7:443", "cidr", "192.0.2.7", "tcp", "443"},
        {"192.0.2.0/24:8000-8080", "cidr", "192.0.2.0/24", "tcp", "8000-8080"},
        {"192.0.2.7:53/udp", "cidr", "192.0.2.7", "udp", "53"},
        {"192.0.2.7:53/tcp", "cidr", "192.0.2.7", "tcp", "53"},
        {"fd00::/8", "cidr", "fd00::/8", "any", "any"},
        {"[fd00::1]", "cidr", "fd00::1", "any", "any"},
        {"[fd00::/8]:22", "cidr", "fd00::/8", "tcp", "22"},
        {"example.com", "fqdn", "example.com", "any", "any"},
        {"*.example.com:443", "fqdn", "*.example.com", "tcp", "443"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_json json_t *rules = json_array();
        assert_int_equal(firewall_add_rules(rules, rows[i].text, NULL), 0);
        assert_int_equal(json_array_size(rules), 1);
        const json_t *rule = json_array_get(rules, 0);
        assert_string_equal(json_text(rule, "action"), "allow");
        assert_string_equal(json_text(rule, "kind"), rows[i].kind);
        assert_string_equal(json_text(rule, "value"), rows[i].value);
        assert_string_equal(json_text(rule, "protocol"), rows[i].protocol);
        assert_string_equal(json_text(rule, "ports"), rows[i].ports);
    }
}

static void test_several_ports(void **state)
{
    auto_json json_t *rules = json_array();
    assert_int_equal(firewall_add_rules(rules, "a.b:80,443,90-99", NULL), 0);
    assert_int_equal(json_array_size(rules), 3);
    assert_string_equal(json_text(json_array_get(rules, 2), "ports"), "90-99");
}

static void test_mistakes(void **state)
{
    static const char *const bad[] = {"",      ":80",    "a:",     "a:x",    "a:80/icmp",
                                      "a:80-", "a:80-x", "a:80 ",  "[a]:",   "[]:80",
                                      "a b",   "[a:80",  "a:80,x", "a:/udp", "a:,"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        auto_json json_t *rules = json_array();
        struct err e = ERR_INIT;
        if (firewall_add_rules(rules, bad[i], &e) == 0)
            fail_msg("'%s' was taken", bad[i]);
        assert_int_equal(e.class, ERR_INVALID);
        assert_non_null(strstr(e.text, "is not CIDR[:PORTS]"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_several_ports),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
