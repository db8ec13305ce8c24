/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"

#include <errno.h>
#include <sys/stat.h>

#include "api/listener.h"

static void test_free_port_is_told(void **state)
{
    struct listener l;
    assert_int_equal(listener_open("localhost:0", 0, &l, NULL), 0);
    assert_int_equal(strncmp(l.address, "127.0.0.1:", 10), 0);
    assert_true(atoi(l.address + 10) > 0);
    assert_string_equal(l.host, "127.0.0.1");
    assert_true(l.is_loopback);

    /* The very same address again: in use, and what to do about it. */
    struct listener other;
    struct err e = ERR_INIT;
    assert_int_equal(listener_open(l.address, 0, &other, &e), -EBUSY);
    assert_int_equal(e.class, ERR_CONFLICT);
    assert_non_null(strstr(e.text, "is in use: stop the program"));
    listener_close(&l);
    assert_int_equal(listener_open(l.address, 0, &other, NULL), 0);
    listener_close(&other);
}

static void test_any_address_is_not_loopback(void **state)
{
    struct listener l;
    assert_int_equal(listener_open("0.0.0.0:0", 0, &l, NULL), 0);
    assert_false(l.is_loopback);
    listener_close(&l);
}

static void test_v6(void **state)
{
    struct listener l;
    struct err e = ERR_INIT;
    if (listener_open("[::1]:0", 0, &l, &e) < 0) {
        /* A machine without IPv6. */
        assert_int_equal(e.class == ERR_INVALID || e.class == ERR_INTERNAL, 1);
        skip();
    }
    assert_int_equal(strncmp(l.address, "[::1]:", 6), 0);
    assert_string_equal(l.host, "[::1]");
    assert_true(l.is_loopback);
    listener_close(&l);
}

static void test_unix_socket(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char address[200];
    snprintf(address, sizeof(address), "unix:%s/s", dir);
    struct listener l, other;
    assert_int_equal(listener_open(address, 0660, &l, NULL), 0);
    struct stat st;
    assert_int_equal(stat(address + 5, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    struct err e = ERR_INIT;
    assert_int_equal(listener_open(address, 0, &other, &e), -EBUSY);
    assert_int_equal(e.class, ERR_CONFLICT);
    /* A socket file without a listener behind it is only left over. */
    close(TAKE_FD(l.fd));
    assert_int_equal(listener_open(address, 0, &other, NULL), 0);
    assert_int_equal(stat(address + 5, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    listener_close(&other);
    assert_int_equal(stat(address + 5, &st), -1);
}

static void test_no_addresses(void **state)
{
    static const char *const bad[] = {
        "",           "8080",          ":8080",       "127.0.0.1",
        "127.0.0.1:", "127.0.0.1:x",   "1.2.3:80",    "127.0.0.1:65536",
        "::1:80",     "[::1:80",       "[::1]80",     "example.org:80",
        "unix:",      "unix:relative", "127.0.0.1:-1"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct listener l;
        struct err e = ERR_INIT;
        if (listener_open(bad[i], 0, &l, &e) != -EINVAL || !strstr(e.text, "is no address"))
            fail_msg("\"%s\": %s", bad[i], e.text);
    }
    struct listener l;
    struct err e = ERR_INIT;
    assert_int_equal(listener_open("192.0.2.1:0", 0, &l, &e), -EINVAL);
    assert_non_null(strstr(e.text, "not an address of this machine"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_free_port_is_told),
        cmocka_unit_test(test_any_address_is_not_loopback),
        cmocka_unit_test(test_v6),
        cmocka_unit_test(test_unix_socket),
        cmocka_unit_test(test_no_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
