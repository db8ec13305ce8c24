/* SPDX-License-Identifier: Apache-2.0 */
#include "host/net_addr.h"

#include <errno.h>

#include "base/test.h"

static struct net_cidr cidr(const char *text)
{
    struct net_cidr c;
    if (net_cidr_parse(text, &c) < 0)
        fail_msg("%s", text);
    return c;
}

static void assert_text(const char *text, const char *expected)
{
    char got[NET_CIDR_SIZE];
    struct net_cidr c = cidr(text);
    net_cidr_text(&c, got);
    assert_string_equal(got, expected);
}

static void test_text(void **state)
{
    assert_text("10.1.2.3/8", "10.0.0.0/8");
    assert_text("10.1.2.3", "10.1.2.3/32");
    assert_text("255.255.255.255/0", "0.0.0.0/0");
    assert_text("10.255.255.255/23", "10.255.254.0/23");
    assert_text("2001:DB8::ffff/33", "2001:db8::/33");
    assert_text("::1", "::1/128");
}

static void test_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "/8",
                                      "10/8",
                                      "10.0.0.0/-1",
                                      "10.0.0.0/+8",
                                      "10.0.0.0/8x",
                                      "1.2.3.4/33",
                                      "::/129",
                                      "::/0128",
                                      "1.2.3.4.5",
                                      "::ffff:1.2.3.4",
                                      "0x10.0.0.1",
                                      "fe80::1%eth0",
                                      "10.0.0.0/8/8"};
    struct net_cidr c;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (net_cidr_parse(bad[i], &c) != -EINVAL)
            fail_msg("\"%s\" was taken", bad[i]);
}

static bool inside(const char *inner, const char *outer)
{
    struct net_cidr i = cidr(inner), o = cidr(outer);
    return net_cidr_inside(&i, &o);
}

static void test_inside(void **state)
{
    assert_true(inside("10.1.0.0/16", "10.0.0.0/8"));
    assert_true(inside("10.0.0.0/8", "10.0.0.0/8"));
    assert_false(inside("10.0.0.0/7", "10.0.0.0/8"));
    assert_false(inside("11.0.0.0/8", "10.0.0.0/8"));
    assert_true(inside("1.2.3.4", "0.0.0.0/0"));
    assert_false(inside("::1", "0.0.0.0/0"));
    assert_true(inside("fe80::1", "fe80::/10"));
    assert_true(inside("febf::/16", "fe80::/10"));
    assert_false(inside("fec0::/16", "fe80::/10"));
}

static bool is_guarded(const struct net_pool *pool, const char *text)
{
    struct net_cidr c = cidr(text);
    return net_cidr_is_guarded(pool, &c);
}

static void test_guarded(void **state)
{
    static const char *const guarded[] = {
        "169.254.169.254",   "127.0.0.1",         "10.201.3.4",      "10.201.0.0/16", "224.0.0.1",
        "255.255.255.255",   "0.0.0.0",           "100.100.100.200", "168.63.129.16", "::1",
        "fe80::1",           "ff02::1",           "fd00:ec2::254",   "fd20:ce::254",  "172.16.0.1",
        "fd00:686f:6c6e::1", "64:ff9b::a9fe:a9fe"};
    static const char *const open[] = {"8.8.8.8",    "10.0.0.0/8", "10.202.0.1", "0.0.0.0/0",
                                       "172.16.0.4", "::/0",       "fd00::1",    "2001:db8::1"};
    struct net_pool pool;
    assert_int_equal(net_pool_parse("10.201.0.0/16", 100, &pool, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(guarded); i++)
        if (!is_guarded(&pool, guarded[i]))
            fail_msg("%s is not guarded", guarded[i]);
    for (size_t i = 0; i < ARRAY_SIZE(open); i++)
        if (is_guarded(&pool, open[i]))
            fail_msg("%s is guarded", open[i]);
}

/* A set of nftables takes no range inside another. */
static void assert_apart(const struct net_cidr *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            assert_false(i != j && net_cidr_inside(&all[i], &all[j]));
}

static void test_apart(void **state)
{
    static const char *const pools[] = {"10.201.0.0/16", "100.64.0.0/10", "168.0.0.0/8"};
    struct net_cidr all[128];
    struct net_pool pool;
    for (size_t i = 0; i < ARRAY_SIZE(pools); i++) {
        assert_int_equal(net_pool_parse(pools[i], 4, &pool, NULL), 0);
        assert_apart(all, net_guarded(&pool, all));
    }
    size_t n = 0;
    for (; net_doh_address(n); n++)
        all[n] = cidr(net_doh_address(n));
    assert_true(n > 20);
    assert_apart(all, n);
}

static void test_pool(void **state)
{
    struct net_pool pool;
    struct net_slot_addr a;
    struct err e = ERR_INIT;
    assert_int_equal(net_pool_parse("10.201.0.0/24", 128, &pool, &e), 0);
    assert_int_equal(net_pool_parse("10.201.0.0/24", 129, &pool, &e), -EINVAL);
    assert_non_null(strstr(e.text, "129 VMs need a range from /8 to /23"));
    assert_int_equal(net_pool_parse("10.201.0.0/31", 1, &pool, &e), 0);
    assert_int_equal(net_pool_parse("10.0.0.0/7", 1, &pool, &e), -EINVAL);
    assert_int_equal(net_pool_parse("172.16.0.0/12", 1, &pool, &e), -EINVAL);
    assert_non_null(strstr(e.text, "172.16.0.0/30"));
    assert_int_equal(net_pool_parse("pool", 1, &pool, &e), -EINVAL);
    assert_int_equal(net_pool_parse("10.201.0.0/16", 32768, &pool, &e), 0);
    net_slot_addr(&pool, 32767, &a);
    assert_string_equal(a.ns4_text, "10.201.255.255");
    assert_string_equal(a.ns6_text, "fd00:686f:6c6e::ac9:ffff");
    assert_true(net_cidr_inside(&a.ns6, &pool.v6));
    assert_true(net_cidr_inside(&a.host4, &pool.v4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_inside), cmocka_unit_test(test_guarded),
        cmocka_unit_test(test_apart),  cmocka_unit_test(test_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
