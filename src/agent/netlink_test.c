/* SPDX-License-Identifier: Apache-2.0 */

/* Addresses and routes, in a network namespace of the test's own. */
#include "agent/netlink.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/init_net.h"
#include "base/proc.h"
#include "base/test.h"

#define WAIT_MS 60000

static void test_parse(void **state)
{
    static const char *const bad[] = {"", "1.2.3", "1.2.3.4.5", "localhost", "::g", "1.2.3.4/8"};
    struct netlink_address a;
    assert_int_equal(0, netlink_address_parse("10.1.2.3", &a));
    assert_int_equal(AF_INET, a.family);
    assert_int_equal(32, a.prefix);
    assert_int_equal(0, netlink_address_parse("fd00::1", &a));
    assert_int_equal(AF_INET6, a.family);
    assert_int_equal(128, a.prefix);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(-EINVAL, netlink_address_parse(bad[i], &a));
}

static void run(const char *const argv[], struct buf *out)
{
    struct err e = ERR_INIT;
    if (proc_run(argv, WAIT_MS, out, &e) < 0)
        fail_msg("%s", e.text);
}

/* `ip` with these words says what is wanted. */
static void expect(const char *family, const char *object, const char *want)
{
    auto_buf struct buf out = {0};
    const char *const argv[] = {"ip", "-o", family, object, "show", NULL};
    run(argv, &out);
    if (!strstr(buf_str(&out), want))
        fail_msg("no \"%s\" in \"%s\"", want, buf_str(&out));
}

static void test_init_net(void **state)
{
    if (unshare(CLONE_NEWNET) < 0)
        skip();
    const char *const add[] = {"ip",   "link", "add",  "eth0", "type",
                               "veth", "peer", "name", "host", NULL};
    const char *const up[] = {"ip", "link", "set", "host", "up", NULL};
    auto_buf struct buf out = {0};
    run(add, &out);
    run(up, &out);
    init_net();
    init_net(); /* what is there already is fine */
    expect("-4", "addr", "lo    inet 127.0.0.1/8");
    expect("-4", "addr", "eth0    inet 172.16.0.2/30");
    expect("-6", "addr", "eth0    inet6 fd00:686f:6c6d::2/64 scope global nodad");
    expect("-4", "route", "default via 172.16.0.1 dev eth0");
    expect("-6", "route", "default via fd00:686f:6c6d::1 dev eth0");
}

static void test_without_interface(void **state)
{
    if (unshare(CLONE_NEWNET) < 0)
        skip();
    init_net();
    expect("-4", "addr", "lo    inet 127.0.0.1/8");
}

static void test_remove(void **state)
{
    if (unshare(CLONE_NEWNET) < 0)
        skip();
    struct netlink_address a;
    auto_close int fd = netlink_open();
    auto_buf struct buf out = {0};
    const char *const show[] = {"ip", "-o", "-4", "addr", "show", NULL};
    assert_true(fd >= 0);
    int lo = (int)if_nametoindex("lo");
    assert_int_equal(0, netlink_address_parse("10.9.8.7", &a));
    assert_int_equal(0, netlink_add_address(fd, lo, &a));
    expect("-4", "addr", "lo    inet 10.9.8.7/32");
    assert_int_equal(0, netlink_remove_address(fd, lo, &a));
    assert_int_equal(-EADDRNOTAVAIL, netlink_remove_address(fd, lo, &a));
    run(show, &out);
    assert_null(strstr(buf_str(&out), "10.9.8.7"));
    assert_int_equal(-ENODEV, netlink_add_address(fd, 12345, &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_init_net),
        cmocka_unit_test(test_without_interface),
        cmocka_unit_test(test_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
