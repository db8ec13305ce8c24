/* SPDX-License-Identifier: Apache-2.0 */

/* holm top: once, and live on a terminal. */

#include <signal.h>

#include "cli/test_cmd.h"
#include "cli/top_sample.h"

#define STATS(id, cpu, memory, more) \
    OK("/v1/vms/" id "/stats", "{\"cpuTimeMs\":" cpu ",\"memoryBytes\":" memory more "}")

#define TWO OK("/v1/vms", "[" VM(ID_A, "lab", "running", "") "," VM(ID_B, "base", "paused", "") "]")

static void test_rate(void **state)
{
    assert_true(top_rate(1000, 1500, 1000) == 500);
    assert_true(top_rate(0, 0, 500) == 0);
    assert_true(top_rate(5, 4, 1000) == -1);
    assert_true(top_rate(1, 2, 0) == -1);
    assert_int_equal(top_order_find("memory"), TOP_MEMORY);
    assert_int_equal(top_order_find("x"), TOP_ORDERS);
}

static void test_once(void **state)
{
    /* base's statistics are gone; that is no error. */
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(TWO, STATS(ID_A, "5000", "1048576", ",\"diskBytes\":2048,\"networkRxBytes\":7"),
                CALL("GET", VM_B "/stats", 409, "{\"error\":{\"message\":\"it is stopped\"}}")));
    auto_test_ran struct test_ran r;
    test_holm(s, &(struct test_run){.argv = ARGV("top")}, &r);
    assert_string_equal(buf_str(&r.err), "");
    assert_int_equal(r.code, 0);
    test_has(&r.out, "NAME  STATUS   TYPE     CPU%   MEMORY     DISK");
    test_has(&r.out, "lab   running  c1m0.25   0.0  1.0 MiB  2.0 KiB");
    test_has(&r.out, "base  paused   c1m0.25 ");
    assert_int_equal(test_server_count(s, VM_A "/stats"), 2);
    auto_test_ran struct test_ran json;
    test_holm(s, &(struct test_run){.argv = ARGV("top", "--json", "-s", "name")}, &json);
    auto_json json_t *list = json_loads(buf_str(&json.out), 0, NULL);
    assert_string_equal(json_text(json_array_get(list, 0), "name"), "base");
    assert_true(json_is_null(json_object_get(json_array_get(list, 0), "cpuPercent")));
    assert_true(json_is_real(json_object_get(json_array_get(list, 1), "cpuPercent")));
    test_expect_error(s, ARGV("top", "--sort", "x"), 2,
                      "--sort takes cpu, memory, disk, network, age or name, not 'x'");
    test_expect_error(s, ARGV("top", "-i", "0"), 2, "--interval takes a whole number of 1 to 3600");
}

static void test_live(void **state)
{
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(TWO, STATS(ID_A, "5000", "1048576", ""), STATS(ID_B, "1", "2097152", "")));
    auto_buf struct buf shown = {0};
    struct test_tty t;
    test_tty_start(s, ARGV("top", "--sort", "name"), &t);
    test_tty_expect(&t, "2 VMs, 1 running, 0% CPU, 3.0 MiB", &shown);
    test_tty_expect(&t, "base  paused", &shown);
    test_tty_expect(&t, "\033[J", &shown);
    assert_true(strstr(buf_str(&shown), "base  ") < strstr(buf_str(&shown), "lab   "));
    buf_clear(&shown);
    test_tty_type(&t, "c");
    test_tty_expect(&t, "by cpu;", &shown);
    test_tty_type(&t, "q");
    test_tty_expect(&t, "\033[?7h\033[?25h\033[?1049l", &shown);
    assert_int_equal(test_tty_end(&t), 0);
}

/* However it ends, the screen is the one of before. */
static void test_live_ends(void **state)
{
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(TWO, STATS(ID_A, "5000", "1048576", ""), STATS(ID_B, "1", "2097152", "")));
    auto_buf struct buf shown = {0};
    struct test_tty t;
    test_tty_start(s, ARGV("top"), &t);
    test_tty_expect(&t, "\033[J", &shown);
    kill(t.child.pid, SIGTERM);
    test_tty_expect(&t, "\033[?1049l", &shown);
    assert_int_equal(test_tty_end(&t), 143);
    auto_test_server struct test_server *fails = test_server_new(
        REPLIES(TWO, STATS(ID_A, "5000", "1048576", ""), STATS(ID_B, "1", "2097152", ""),
                STATS(ID_B, "1", "2097152", ""),
                CALL("GET", VM_B "/stats", 500, "{\"error\":{\"message\":\"broken\"}}")));
    test_tty_start(fails, ARGV("top", "-i", "1"), &t);
    buf_clear(&shown);
    test_tty_expect(&t, "\033[?1049l", &shown);
    test_tty_expect(&t, "holm: broken", &shown);
    assert_int_equal(test_tty_end(&t), 125);
}

int main(int argc, char **argv)
{
    assert_true(argc > 1);
    test_holm_set(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_live),
        cmocka_unit_test(test_live_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
