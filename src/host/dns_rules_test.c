/* SPDX-License-Identifier: Apache-2.0 */

/* What names open and close: the fqdn rules of policies, filled by what the resolver passes on. */

#include <errno.h>

#include "base/test.h"
#include "host/test_dns.h"

/* --- fqdn rules --- */

#define FQDN(def, action, name, more)                                            \
    "{\"egress\": {\"default\": \"" def "\", \"rules\": [{\"action\": \"" action \
    "\", \"kind\": \"fqdn\", \"value\": \"" name "\"" more "}]}}"

static void test_name_opens(void **state)
{
    apply(FQDN("deny", "allow", "*.opens.com", ", \"protocol\": \"tcp\", \"ports\": \"8080\""));
    auto_there int other = net_server(world_outside, WORLD_A4, PORT + 1, SOCK_STREAM);
    assert_int_equal(out(WORLD_A4), -ECONNREFUSED);
    assert_int_equal(resolve("www.opens.com", WORLD_A4), DNS_NOERROR);
    assert_int_equal(out(WORLD_A4), 0);
    assert_int_equal(net_connect(dns_guest.ns, WORLD_A4, PORT + 1, NULL), -ECONNREFUSED);
    assert_int_equal(out(WORLD_B4), -ECONNREFUSED);
    assert_int_equal(resolve("six.opens.com", WORLD_A6), DNS_NOERROR);
    assert_int_equal(out(WORLD_A6), 0);
    assert_int_equal(resolve("www.opens.com", WORLD_A4), DNS_NOERROR); /* once more */
    assert_int_equal(out(WORLD_A4), 0);
}

/* An alias leads the rule's name to its addresses, but opens nothing for its own name's rule. */
static void test_alias_opens(void **state)
{
    apply("{\"egress\": {\"default\": \"deny\", \"rules\": ["
          "{\"action\": \"allow\", \"kind\": \"fqdn\", \"value\": \"asked.org\"},"
          "{\"action\": \"allow\", \"kind\": \"fqdn\", \"value\": \"target.net\", \"protocol\": "
          "\"tcp\"},"
          "{\"action\": \"allow\", \"value\": \"203.0.113.0/24\"}]}}");
    auto_lookup struct lookup l = begin("other.org", TYPE_A);
    struct message m = l.asked;
    make_answer(&m);
    add_alias(&m, "other.org", "target.net");
    add_address(&m, "target.net", WORLD_B4);
    finish(&l, &m);
    assert_int_equal(out(WORLD_B4), -ECONNREFUSED);
    auto_lookup struct lookup good = begin("asked.org", TYPE_A);
    m = good.asked;
    make_answer(&m);
    add_alias(&m, "asked.org", "target.net");
    add_address(&m, "target.net", WORLD_B4);
    finish(&good, &m);
    assert_int_equal(out(WORLD_B4), 0);
}

static void test_name_closes(void **state)
{
    apply(FQDN("allow", "deny", "evil.com", ""));
    assert_int_equal(out(WORLD_A4), 0);
    auto_lookup struct lookup l = begin("harmless.com", TYPE_A);
    struct message m = l.asked;
    make_answer(&m);
    add_alias(&m, "harmless.com", "evil.com");
    add_address(&m, "evil.com", WORLD_A4);
    finish(&l, &m);
    assert_int_equal(out(WORLD_A4), -ECONNREFUSED);
    assert_int_equal(out(WORLD_B4), 0);
}

/* A name that leads to a guarded address opens nothing. */
static void test_rebinding(void **state)
{
    auto_there int metadata = net_server(world_outside, WORLD_METADATA, PORT, SOCK_STREAM);
    apply(FQDN("deny", "allow", "rebind.com", ""));
    assert_int_equal(resolve("rebind.com", WORLD_METADATA), DNS_NOERROR);
    assert_int_equal(out(WORLD_METADATA), -ECONNREFUSED);
}

/* What was learned counts under the next policy too, and connections that names opened go on. */
static void test_policies_keep_names(void **state)
{
    apply(FQDN("deny", "allow", "kept.com", ""));
    assert_int_equal(resolve("kept.com", WORLD_A4), DNS_NOERROR);
    auto_pair struct net_pair a = net_pair_make(dns_guest.ns, WORLD_A4, PORT, server_a4);
    apply("{\"egress\": {\"default\": \"deny\", \"rules\": ["
          "{\"action\": \"allow\", \"value\": \"192.0.2.77\"},"
          "{\"action\": \"allow\", \"kind\": \"fqdn\", \"value\": \"*.com\"},"
          "{\"action\": \"allow\", \"kind\": \"fqdn\", \"value\": \"kept.com\"}]}}");
    net_pair_talks(&a);
    assert_int_equal(out(WORLD_A4), 0);
    apply(FQDN("deny", "allow", "gone.com", ""));
    assert_int_equal(out(WORLD_A4), -ECONNREFUSED);
    apply(NULL);
}

/* Addresses do not count for ever. */
static void test_names_expire(void **state)
{
    apply(FQDN("deny", "allow", "old.com", ""));
    assert_int_equal(resolve("old.com", WORLD_A4), DNS_NOERROR);
    clock_ahead_ms += 1000 * NET_ADDRESS_MIN_S + 1;
    apply(FQDN("deny", "allow", "*.com", ""));
    assert_int_equal(out(WORLD_A4), -ECONNREFUSED);
    assert_int_equal(resolve("old.com", WORLD_A4), DNS_NOERROR);
    assert_int_equal(out(WORLD_A4), 0);
}

/* --- the next VM --- */

static void test_forgotten(void **state)
{
    struct err e = ERR_INIT;
    int tap = -1;
    auto_policy struct net_policy *p = policy_of(FQDN("deny", "allow", "mine.com", ""));
    apply(FQDN("deny", "allow", "mine.com", ""));
    assert_int_equal(resolve("mine.com", WORLD_A4), DNS_NOERROR);
    auto_lookup struct lookup late = begin("mine.com", TYPE_A);
    guest_stop(&dns_guest);
    net_give_back(dns_net, 0);
    if (net_take(dns_net, 0, p, &tap, &e) < 0)
        fail_msg("%s", e.text);
    guest_start(&dns_guest, "guest", tap);
    make_answer(&late.asked);
    add_address(&late.asked, "mine.com", WORLD_A4);
    reply(&late.asked, &late.from); /* of the old VM's question: nobody waits for it */
    assert_int_equal(refused("other.com"), DNS_REFUSED);
    assert_int_equal(out(WORLD_A4), -ECONNREFUSED);
    assert_int_equal(resolve("mine.com", WORLD_A4), DNS_NOERROR);
    assert_int_equal(out(WORLD_A4), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_opens),          cmocka_unit_test(test_alias_opens),
        cmocka_unit_test(test_name_closes),         cmocka_unit_test(test_rebinding),
        cmocka_unit_test(test_policies_keep_names), cmocka_unit_test(test_names_expire),
        cmocka_unit_test(test_forgotten),
    };
    if (!world_make())
        return 77;
    return cmocka_run_group_tests(tests, dns_setup, dns_teardown);
}
