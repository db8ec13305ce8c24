/* SPDX-License-Identifier: Apache-2.0 */
#include "host/netpolicy.h"

#include <errno.h>

#include "base/buf.h"
#include "base/test.h"
#include "host/net_rules.h"

static void json_done(json_t **json)
{
    json_decref(*json);
}
#define auto_json CLEANUP(json_done)

static json_t *load(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!json)
        fail_msg("%s: %s", text, error.text);
    return json;
}

static struct net_policy *parse(const char *text)
{
    auto_json json_t *json = text ? load(text) : NULL;
    struct net_policy *p = NULL;
    struct err e = ERR_INIT;
    if (net_policy_parse(json, &p, &e) < 0)
        fail_msg("%s: %s", text, e.text);
    return p;
}

static void assert_renders(const struct net_policy *p, const char *expected)
{
    auto_json json_t *json = net_policy_json(p), *want = load(expected);
    auto_free char *text = json_dumps(json, 0);
    if (!json_equal(json, want))
        fail_msg("%s is not %s", text, expected);
}

#define DEFAULT_INGRESS "\"ingress\": {\"default\": \"deny\", \"rules\": []}"
#define DEFAULT_EGRESS "\"egress\": {\"default\": \"allow\", \"rules\": []}"
#define DEFAULT_DNS "\"dns\": {\"mode\": \"deny\", \"domains\": [], \"blockBypass\": false}"

static void test_default(void **state)
{
    static const char *const same[] = {
        NULL,
        "null",
        "{}",
        "{\"ingress\": null, \"egress\": null, \"dns\": null}",
        "{\"ingress\": {}, \"egress\": {\"rules\": null}, \"dns\": {\"domains\": null}}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        auto_policy struct net_policy *p = parse(same[i]);
        assert_renders(p, "{" DEFAULT_INGRESS ", " DEFAULT_EGRESS ", " DEFAULT_DNS "}");
    }
}

static void test_normalised(void **state)
{
    auto_policy struct net_policy *p = parse(
        "{\"ingress\": {\"default\": \"allow\", \"rules\": ["
        "{\"action\": \"deny\", \"kind\": \"cidr\", \"value\": \"10.1.2.3/8\", \"protocol\": "
        "\"tcp\", \"ports\": \"443\", \"description\": \"no \\u00e9\"}]},"
        "\"egress\": {\"default\": \"deny\", \"rules\": ["
        "{\"action\": \"allow\", \"value\": \"2001:DB8::1\"},"
        "{\"action\": \"allow\", \"kind\": \"fqdn\", \"value\": \"*.Example.COM.\", \"protocol\": "
        "\"udp\", \"ports\": \"1-65535\", \"description\": \"\"}]},"
        "\"dns\": {\"mode\": \"allow\", \"domains\": [\"*.Example.com\", \"a.b.\"], "
        "\"blockBypass\": true}}");
    assert_renders(
        p, "{\"ingress\": {\"default\": \"allow\", \"rules\": ["
           "{\"action\": \"deny\", \"kind\": \"cidr\", \"value\": \"10.0.0.0/8\", \"protocol\": "
           "\"tcp\", \"ports\": \"443\", \"description\": \"no \\u00e9\"}]},"
           "\"egress\": {\"default\": \"deny\", \"rules\": ["
           "{\"action\": \"allow\", \"kind\": \"cidr\", \"value\": \"2001:db8::1/128\", "
           "\"protocol\": \"any\", \"ports\": \"any\"},"
           "{\"action\": \"allow\", \"kind\": \"fqdn\", \"value\": \"*.example.com\", "
           "\"protocol\": \"udp\", \"ports\": \"1-65535\"}]},"
           "\"dns\": {\"mode\": \"allow\", \"domains\": [\"*.example.com\", \"a.b\"], "
           "\"blockBypass\": true}}");
    auto_json json_t *json = net_policy_json(p);
    auto_policy struct net_policy *again = NULL;
    assert_int_equal(net_policy_parse(json, &again, NULL), 0);
    auto_json json_t *json_again = net_policy_json(again);
    assert_true(json_equal(json, json_again));
}

static void test_old_shape(void **state)
{
    auto_policy struct net_policy *open = parse("{\"mode\": \"open\"}");
    assert_renders(open, "{\"ingress\": {\"default\": \"allow\", \"rules\": []}, " DEFAULT_EGRESS
                         ", " DEFAULT_DNS "}");
    auto_policy struct net_policy *p =
        parse("{\"mode\": \"restricted\", \"ingress\": ["
              "{\"protocol\": \"tcp\", \"portStart\": 22, \"description\": \"ssh\"},"
              "{\"protocol\": \"udp\", \"portStart\": 5000, \"portEnd\": 5010, \"sourceCidrs\": "
              "[\"2001:db8::/32\", \"10.0.0.0/8\"]}]}");
    assert_renders(
        p, "{\"ingress\": {\"default\": \"deny\", \"rules\": ["
           "{\"action\": \"allow\", \"kind\": \"cidr\", \"value\": \"0.0.0.0/0\", \"protocol\": "
           "\"tcp\", \"ports\": \"22\", \"description\": \"ssh\"},"
           "{\"action\": \"allow\", \"kind\": \"cidr\", \"value\": \"::/0\", \"protocol\": "
           "\"tcp\", \"ports\": \"22\", \"description\": \"ssh\"},"
           "{\"action\": \"allow\", \"kind\": \"cidr\", \"value\": \"2001:db8::/32\", "
           "\"protocol\": \"udp\", \"ports\": \"5000-5010\"},"
           "{\"action\": \"allow\", \"kind\": \"cidr\", \"value\": \"10.0.0.0/8\", \"protocol\": "
           "\"udp\", \"ports\": \"5000-5010\"}]}, " DEFAULT_EGRESS ", " DEFAULT_DNS "}");
}

/* --- mistakes --- */

struct mistake {
    const char *json, *field, *says;
};

#define E_RULE(rule) "{\"egress\": {\"rules\": [" rule "]}}"
#define I_RULE(rule) \
    "{\"ingress\": {\"rules\": [{\"action\": \"deny\", \"value\": \"::/0\"}, " rule "]}}"
#define E0 "firewall.egress.rules[0]"
#define I1 "firewall.ingress.rules[1]"
#define O_RULE(rule) "{\"mode\": \"open\", \"ingress\": [" rule "]}"
#define O0 "firewall.ingress[0]"

static const struct mistake mistakes[] = {
    {"[]", "firewall", "must be an object"},
    {"\"open\"", "firewall", "must be an object"},
    {"{\"outgress\": {}}", "firewall.outgress", "no field of that name"},
    {"{\"\\u0007\": {}}", "firewall", "no field of that name"},
    {"{\"egress\": []}", "firewall.egress", "must be an object"},
    {"{\"egress\": {\"default\": \"drop\"}}", "firewall.egress.default",
     "one of \"deny\", \"allow\""},
    {"{\"egress\": {\"default\": true}}", "firewall.egress.default", "one of"},
    {"{\"egress\": {\"rules\": {}}}", "firewall.egress.rules", "must be an array"},
    {"{\"egress\": {\"rule\": []}}", "firewall.egress.rule", "no field"},
    {E_RULE("7"), E0, "must be an object"},
    {E_RULE("{\"value\": \"::/0\"}"), E0 ".action", "is required"},
    {E_RULE("{\"action\": \"reject\", \"value\": \"::/0\"}"), E0 ".action", "one of"},
    {E_RULE("{\"action\": \"allow\", \"kind\": \"ip\", \"value\": \"::/0\"}"), E0 ".kind",
     "\"cidr\", \"fqdn\""},
    {E_RULE("{\"action\": \"allow\"}"), E0 ".value", "range of addresses"},
    {E_RULE("{\"action\": \"allow\", \"value\": 10}"), E0 ".value", "range of addresses"},
    {E_RULE("{\"action\": \"allow\", \"value\": \"10.0.0.0/33\"}"), E0 ".value", "range"},
    {E_RULE("{\"action\": \"allow\", \"value\": \"10.0.0.0/\"}"), E0 ".value", "range"},
    {E_RULE("{\"action\": \"allow\", \"value\": \"10.0.0.0/ 8\"}"), E0 ".value", "range"},
    {E_RULE("{\"action\": \"allow\", \"value\": \"10.0.0.0/08\"}"), E0 ".value", "range"},
    {E_RULE("{\"action\": \"allow\", \"value\": \"10.0.0.0/8\\u0000\"}"), E0 ".value", "range"},
    {E_RULE("{\"action\": \"allow\", \"value\": \"::ffff:10.0.0.0/104\"}"), E0 ".value", "range"},
    {E_RULE("{\"action\": \"allow\", \"value\": \"example.com\"}"), E0 ".value", "range"},
    {E_RULE("{\"action\": \"allow\", \"kind\": \"fqdn\", \"value\": \"*\"}"), E0 ".value",
     "domain name"},
    {E_RULE("{\"action\": \"allow\", \"kind\": \"fqdn\", \"value\": \"*.\"}"), E0 ".value",
     "domain name"},
    {E_RULE("{\"action\": \"allow\", \"kind\": \"fqdn\", \"value\": \"a.*.com\"}"), E0 ".value",
     "domain name"},
    {E_RULE("{\"action\": \"allow\", \"kind\": \"fqdn\", \"value\": \"a..com\"}"), E0 ".value",
     "domain name"},
    {E_RULE("{\"action\": \"allow\", \"kind\": \"fqdn\", \"value\": \"-a.com\"}"), E0 ".value",
     "domain name"},
    {E_RULE("{\"action\": \"allow\", \"kind\": \"fqdn\", \"value\": \"\"}"), E0 ".value",
     "domain name"},
    {E_RULE("{\"action\": \"allow\", \"kind\": \"fqdn\", \"value\": \"b\\u00fccher.de\"}"),
     E0 ".value", "domain name"},
    {I_RULE("{\"action\": \"allow\", \"kind\": \"fqdn\", \"value\": \"a.com\"}"), I1 ".kind",
     "kind must be \"cidr\""},
    {I_RULE("{\"action\": \"allow\", \"value\": \"::/0\", \"protocol\": \"icmp\"}"), I1 ".protocol",
     "\"any\", \"tcp\", \"udp\""},
    {I_RULE("{\"action\": \"allow\", \"value\": \"::/0\", \"ports\": \"80\"}"), I1 ".ports",
     "must be \"any\" when the protocol is \"any\""},
    {I_RULE("{\"action\": \"allow\", \"value\": \"::/0\", \"protocol\": \"tcp\", \"ports\": 80}"),
     I1 ".ports", "a port (\"443\") or a range"},
    {I_RULE("{\"action\": \"allow\", \"value\": \"::/0\", \"protocol\": \"tcp\", \"ports\": "
            "\"0\"}"),
     I1 ".ports", "a port"},
    {I_RULE("{\"action\": \"allow\", \"value\": \"::/0\", \"protocol\": \"tcp\", \"ports\": "
            "\"65536\"}"),
     I1 ".ports", "a port"},
    {I_RULE("{\"action\": \"allow\", \"value\": \"::/0\", \"protocol\": \"tcp\", \"ports\": "
            "\"80-\"}"),
     I1 ".ports", "a port"},
    {I_RULE("{\"action\": \"allow\", \"value\": \"::/0\", \"protocol\": \"tcp\", \"ports\": "
            "\"80,443\"}"),
     I1 ".ports", "a port"},
    {I_RULE("{\"action\": \"allow\", \"value\": \"::/0\", \"protocol\": \"tcp\", \"ports\": "
            "\"90-80\"}"),
     I1 ".ports", "ends before it begins"},
    {I_RULE("{\"action\": \"allow\", \"value\": \"::/0\", \"description\": 1}"), I1 ".description",
     "must be a string"},
    {I_RULE("{\"action\": \"allow\", \"value\": \"::/0\", \"port\": \"80\"}"), I1 ".port",
     "no field"},
    {"{\"dns\": []}", "firewall.dns", "must be an object"},
    {"{\"dns\": {\"mode\": \"block\"}}", "firewall.dns.mode", "one of"},
    {"{\"dns\": {\"domains\": \"a.com\"}}", "firewall.dns.domains", "must be an array"},
    {"{\"dns\": {\"domains\": [\"a.com\", \"*\"]}}", "firewall.dns.domains[1]", "domain name"},
    {"{\"dns\": {\"domains\": [7]}}", "firewall.dns.domains[0]", "domain name"},
    {"{\"dns\": {\"blockBypass\": 1}}", "firewall.dns.blockBypass", "true or false"},
    {"{\"dns\": {\"block\": true}}", "firewall.dns.block", "no field"},
    {"{\"mode\": \"closed\"}", "firewall.mode", "\"restricted\", \"open\""},
    {"{\"mode\": \"open\", \"egress\": {}}", "firewall.egress", "no field"},
    {"{\"mode\": \"open\", \"ingress\": {}}", "firewall.ingress", "must be an array"},
    {O_RULE("{\"portStart\": 1}"), O0 ".protocol", "is required"},
    {O_RULE("{\"protocol\": \"any\", \"portStart\": 1}"), O0 ".protocol", "\"tcp\", \"udp\""},
    {O_RULE("{\"protocol\": \"tcp\"}"), O0 ".portStart", "a port"},
    {O_RULE("{\"protocol\": \"tcp\", \"portStart\": 0}"), O0 ".portStart", "a port"},
    {O_RULE("{\"protocol\": \"tcp\", \"portStart\": 65536}"), O0 ".portStart", "a port"},
    {O_RULE("{\"protocol\": \"tcp\", \"portStart\": \"80\"}"), O0 ".portStart", "a port"},
    {O_RULE("{\"protocol\": \"tcp\", \"portStart\": 80, \"portEnd\": 70}"), O0 ".portEnd",
     "ends before it begins"},
    {O_RULE("{\"protocol\": \"tcp\", \"portStart\": 80, \"sourceCidrs\": \"::/0\"}"),
     O0 ".sourceCidrs", "must be an array"},
    {O_RULE("{\"protocol\": \"tcp\", \"portStart\": 80, \"sourceCidrs\": [\"::/0\", \"x\"]}"),
     O0 ".sourceCidrs[1]", "range of addresses"},
    {O_RULE("{\"protocol\": \"tcp\", \"portStart\": 80, \"ports\": \"80\"}"), O0 ".ports",
     "no field"},
};

static void assert_mistake(json_t *json, const char *field, const char *says)
{
    struct net_policy *p = NULL;
    struct err e = ERR_INIT;
    assert_int_equal(net_policy_parse(json, &p, &e), -EINVAL);
    assert_null(p);
    assert_int_equal(e.class, ERR_INVALID);
    assert_string_equal(e.field, field);
    if (!strstr(e.text, says))
        fail_msg("%s: \"%s\" does not say \"%s\"", field, e.text, says);
}

static void test_mistakes(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
        auto_json json_t *json = load(mistakes[i].json);
        assert_mistake(json, mistakes[i].field, mistakes[i].says);
    }
}

static void test_dead_rules(void **state)
{
#define DEAD(mode, domains, name)                                                                 \
    "{\"dns\": {\"mode\": \"" mode "\", \"domains\": [" domains                                   \
    "]}, \"egress\": {\"rules\": [{\"action\": \"allow\", \"kind\": \"fqdn\", \"value\": \"" name \
    "\"}]}}"
    static const char *const dead[] = {
        DEAD("deny", "\"a.com\"", "a.com"),      DEAD("deny", "\"*.com\"", "a.com"),
        DEAD("deny", "\"*.com\"", "*.a.com"),    DEAD("deny", "\"*.a.com\"", "*.a.com"),
        DEAD("allow", "\"b.com\"", "a.com"),     DEAD("allow", "", "a.com"),
        DEAD("allow", "\"*.a.com\"", "a.com"),   DEAD("allow", "\"a.com\"", "*.a.com"),
        DEAD("allow", "\"*.a.com\"", "*.b.com"),
    };
    static const char *const living[] = {
        DEAD("deny", "\"b.com\"", "a.com"),      DEAD("deny", "\"*.a.com\"", "a.com"),
        DEAD("deny", "\"x.a.com\"", "*.a.com"),  DEAD("deny", "\"*.b.a.com\"", "*.a.com"),
        DEAD("allow", "\"*.a.com\"", "x.a.com"), DEAD("allow", "\"x.a.com\"", "*.a.com"),
        DEAD("allow", "\"*.com\"", "*.a.com"),   DEAD("allow", "\"*.b.a.com\"", "*.a.com"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(dead); i++) {
        auto_json json_t *json = load(dead[i]);
        assert_mistake(json, "firewall.egress.rules[0].value", "can never match");
    }
    for (size_t i = 0; i < ARRAY_SIZE(living); i++)
        net_policy_free(parse(living[i]));
}

static json_t *rules_of(size_t n)
{
    json_t *rules = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(rules, json_pack("{s:s, s:s}", "action", "deny", "value", "::/0"));
    return rules;
}

static void test_bounds(void **state)
{
    auto_json json_t *fits = json_pack("{s:{s:o}}", "egress", "rules", rules_of(NET_RULES_MAX));
    auto_json json_t *more = json_pack("{s:{s:o}}", "egress", "rules", rules_of(NET_RULES_MAX + 1));
    struct net_policy *p = NULL;
    assert_int_equal(net_policy_parse(fits, &p, NULL), 0);
    net_policy_free(p);
    assert_mistake(more, "firewall.egress.rules", "at most 256");
    auto_json json_t *domains = json_array();
    for (int i = 0; i <= NET_DOMAINS_MAX; i++)
        json_array_append_new(domains, json_string("a.com"));
    auto_json json_t *dns = json_pack("{s:{s:O}}", "dns", "domains", domains);
    assert_mistake(dns, "firewall.dns.domains", "at most 1024");
    char text[NET_DESCRIPTION_MAX_BYTES + 2];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    auto_json json_t *long_text = json_pack("{s:{s:[{s:s, s:s, s:s}]}}", "egress", "rules",
                                            "action", "deny", "value", "::/0", "description", text);
    assert_mistake(long_text, "firewall.egress.rules[0].description", "at most 256 bytes");
    /* Two sources each: a rule of the older shape is more than one of ours. */
    auto_json json_t *old = json_array();
    for (int i = 0; i < NET_RULES_MAX / 2 + 1; i++)
        json_array_append_new(old, json_pack("{s:s, s:i}", "protocol", "tcp", "portStart", 80));
    auto_json json_t *old_policy = json_pack("{s:s, s:O}", "mode", "open", "ingress", old);
    assert_mistake(old_policy, "firewall.ingress", "more than 256 sources");
    char name[300];
    memset(name, 'a', sizeof(name));
    for (size_t i = 50; i < sizeof(name); i += 50)
        name[i] = '.';
    name[DNS_NAME_MAX_BYTES + 1] = '\0';
    auto_json json_t *long_name = json_pack("{s:{s:[s]}}", "dns", "domains", name);
    assert_mistake(long_name, "firewall.dns.domains[0]", "domain name");
    name[DNS_NAME_MAX_BYTES] = '\0';
    char clean[DNS_NAME_MAX_BYTES + 1];
    assert_int_equal(net_name_clean(name, false, clean), 0);
    memset(name, 'a', 64);
    name[64] = '\0';
    assert_int_equal(net_name_clean(name, false, clean), -EINVAL);
    assert_int_equal(net_name_clean(name + 1, false, clean), 0);
}

/* --- merging --- */

static struct net_policy *merge(const struct net_policy *p, const char *text)
{
    auto_json json_t *json = load(text);
    struct net_policy *ret = NULL;
    struct err e = ERR_INIT;
    if (net_policy_merge(p, json, &ret, &e) < 0)
        fail_msg("%s: %s", text, e.text);
    return ret;
}

static void test_merge(void **state)
{
    auto_policy struct net_policy *p = parse("{\"ingress\": {\"default\": \"allow\"}, \"egress\": "
                                             "{\"default\": \"deny\"}, \"dns\": {\"mode\": "
                                             "\"allow\", \"domains\": [\"a.com\"]}}");
    auto_policy struct net_policy *same = merge(p, "{}");
    auto_policy struct net_policy *null = merge(p, "{\"egress\": null}");
    auto_json json_t *json = net_policy_json(p), *json_same = net_policy_json(same);
    auto_json json_t *json_null = net_policy_json(null);
    assert_true(json_equal(json, json_same));
    assert_true(json_equal(json, json_null));
    auto_policy struct net_policy *egress = merge(p, "{\"egress\": {}}");
    assert_renders(egress, "{\"ingress\": {\"default\": \"allow\", \"rules\": []}, " DEFAULT_EGRESS
                           ", \"dns\": {\"mode\": \"allow\", \"domains\": [\"a.com\"], "
                           "\"blockBypass\": false}}");
    auto_policy struct net_policy *both =
        merge(p, "{\"ingress\": {\"default\": \"deny\"}, \"dns\": {}}");
    assert_renders(both, "{" DEFAULT_INGRESS ", \"egress\": {\"default\": \"deny\", \"rules\": []}"
                         ", " DEFAULT_DNS "}");
}

static void test_merge_old(void **state)
{
    auto_policy struct net_policy *p =
        parse("{\"mode\": \"open\", \"ingress\": [{\"protocol\": \"tcp\", \"portStart\": 80, "
              "\"sourceCidrs\": [\"::/0\"]}]}");
#define RULE_80                                                                                \
    "{\"action\": \"allow\", \"kind\": \"cidr\", \"value\": \"::/0\", \"protocol\": \"tcp\", " \
    "\"ports\": \"80\"}"
    auto_policy struct net_policy *mode = merge(p, "{\"mode\": \"restricted\"}");
    assert_renders(mode, "{\"ingress\": {\"default\": \"deny\", \"rules\": [" RULE_80
                         "]}, " DEFAULT_EGRESS ", " DEFAULT_DNS "}");
    auto_policy struct net_policy *rules = merge(p, "{\"ingress\": []}");
    assert_renders(rules, "{\"ingress\": {\"default\": \"allow\", \"rules\": []}, " DEFAULT_EGRESS
                          ", " DEFAULT_DNS "}");
}

static void test_merge_mistakes(void **state)
{
    auto_policy struct net_policy *p =
        parse("{\"egress\": {\"rules\": [{\"action\": \"deny\", \"value\": \"::/0\"}, {\"action\": "
              "\"allow\", \"kind\": \"fqdn\", \"value\": \"a.com\"}]}}");
    auto_json json_t *bad = load("{\"ingress\": {\"default\": 7}}");
    auto_json json_t *kills = load("{\"dns\": {\"domains\": [\"a.com\"]}}");
    struct net_policy *ret = NULL;
    struct err e = ERR_INIT;
    assert_int_equal(net_policy_merge(p, bad, &ret, &e), -EINVAL);
    assert_string_equal(e.field, "firewall.ingress.default");
    assert_int_equal(net_policy_merge(p, kills, &ret, &e), -EINVAL);
    assert_string_equal(e.field, "firewall.egress.rules[1].value");
    assert_null(ret);
}

/* --- names --- */

static void test_names(void **state)
{
    assert_true(net_name_matches("a.com", "a.com"));
    assert_false(net_name_matches("a.com", "b.a.com"));
    assert_true(net_name_matches("*.a.com", "b.a.com"));
    assert_true(net_name_matches("*.a.com", "c.b.a.com"));
    assert_false(net_name_matches("*.a.com", "a.com"));
    assert_false(net_name_matches("*.a.com", "ba.com"));
    assert_false(net_name_matches("*.a.com", ".a.com"));
    assert_false(net_name_matches("*.a.com", ""));
    auto_policy struct net_policy *deny = parse("{\"dns\": {\"domains\": [\"*.ads.com\"]}}");
    assert_false(net_policy_name_allowed(deny, "x.ads.com"));
    assert_true(net_policy_name_allowed(deny, "ads.com"));
    assert_true(net_policy_needs_dns(deny));
    auto_policy struct net_policy *allow =
        parse("{\"dns\": {\"mode\": \"allow\", \"domains\": [\"a.com\"]}}");
    assert_true(net_policy_name_allowed(allow, "a.com"));
    assert_false(net_policy_name_allowed(allow, "b.com"));
    auto_policy struct net_policy *standard = parse(NULL);
    assert_true(net_policy_name_useful(standard, "b.com"));
    assert_false(net_policy_needs_dns(standard));
    auto_policy struct net_policy *off =
        parse("{\"egress\": {\"default\": \"deny\", \"rules\": [{\"action\": \"deny\", \"value\": "
              "\"::/0\"}]}}");
    assert_false(net_policy_name_useful(off, "a.com"));
    auto_policy struct net_policy *named =
        parse("{\"egress\": {\"default\": \"deny\", \"rules\": [{\"action\": \"allow\", \"kind\": "
              "\"fqdn\", \"value\": \"*.a.com\"}]}}");
    assert_true(net_policy_name_useful(named, "b.a.com"));
    assert_false(net_policy_name_useful(named, "b.com"));
    auto_policy struct net_policy *ranges =
        parse("{\"egress\": {\"default\": \"deny\", \"rules\": [{\"action\": \"allow\", \"value\": "
              "\"10.0.0.0/8\"}]}}");
    assert_true(net_policy_name_useful(ranges, "b.com"));
}

/* --- what they compile to --- */

static uint32_t mark_of(const struct net_policy *p)
{
    struct net_pool pool;
    struct net_slot_addr addr;
    uint32_t mark = 0;
    assert_int_equal(net_pool_parse("10.201.0.0/16", 4, &pool, NULL), 0);
    net_slot_addr(&pool, 0, &addr);
    const struct net_rules in = {.policy = p, .pool = &pool, .addr = &addr};
    assert_int_equal(net_rules_mark(&in, &mark), 0);
    return mark;
}

/* The mark is of the rules, whatever they are called. */
static void test_marks(void **state)
{
#define FQDN(name, text)                                                                      \
    "{\"egress\": {\"rules\": [{\"action\": \"deny\", \"kind\": \"fqdn\", \"value\": \"" name \
    "\", \"description\": \"" text "\"}]}}"
    auto_policy struct net_policy *standard = parse(NULL), *a = parse(FQDN("a.com", "x"));
    auto_policy struct net_policy *described = parse(FQDN("a.com", "y"));
    auto_policy struct net_policy *b = parse(FQDN("b.com", "x"));
    assert_int_not_equal(mark_of(standard), 0);
    assert_int_equal(mark_of(a), mark_of(described));
    assert_int_not_equal(mark_of(a), mark_of(b));
    assert_int_not_equal(mark_of(a), mark_of(standard));
}

static void test_host_rules(void **state)
{
    struct net_pool pool;
    struct net_slot_addr addr;
    auto_buf struct buf b = {0};
    assert_int_equal(net_pool_parse("10.201.0.0/16", 4, &pool, NULL), 0);
    net_slot_addr(&pool, 3, &addr);
    assert_string_equal(addr.ns4_text, "10.201.0.7");
    assert_string_equal(addr.ns6_text, "fd00:686f:6c6e::ac9:7");
    auto_policy struct net_policy *p =
        parse("{\"egress\": {\"rules\": ["
              "{\"action\": \"allow\", \"value\": \"192.0.2.0/24\"},"
              "{\"action\": \"deny\", \"value\": \"192.0.2.1\"},"
              "{\"action\": \"allow\", \"value\": \"192.0.2.2\", \"protocol\": \"tcp\", \"ports\": "
              "\"22\"},"
              "{\"action\": \"allow\", \"value\": \"10.201.0.0/24\", \"protocol\": \"udp\"},"
              "{\"action\": \"allow\", \"kind\": \"fqdn\", \"value\": \"a.com\"},"
              "{\"action\": \"allow\", \"value\": \"fe80::/64\"}]}}");
    const struct net_rules in = {.policy = p, .pool = &pool, .addr = &addr};
    assert_int_equal(net_rules_host(&in, &b), 0);
    assert_string_equal(buf_str(&b),
                        "ip daddr 192.0.2.2/32 meta l4proto tcp th dport 22-22 accept\n"
                        "ip daddr 10.201.0.0/24 meta l4proto udp accept\n"
                        "ip6 daddr fe80::/64 accept\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default),        cmocka_unit_test(test_normalised),
        cmocka_unit_test(test_old_shape),      cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_dead_rules),     cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_merge),          cmocka_unit_test(test_merge_old),
        cmocka_unit_test(test_merge_mistakes), cmocka_unit_test(test_names),
        cmocka_unit_test(test_marks),          cmocka_unit_test(test_host_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
