/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cp_meter.h"

#include "base/test.h"

static void expect(const struct cp_meter_state *s, const char *want)
{
    char line[256];
    cp_meter_line(s, line, sizeof(line));
    assert_string_equal(line, want);
}

static void test_line(void **state)
{
    expect(&(struct cp_meter_state){.what = "lab:/x", .total = 100},
           "lab:/x [................] 0% 0 B of 100 B");
    expect(
        &(struct cp_meter_state){
            .what = "lab:/x", .done = 50 << 20, .total = 100 << 20, .elapsed_ms = 1000},
        "lab:/x [########........] 50% 50 MiB of 100 MiB, 50 MiB/s, 1s left");
    expect(
        &(struct cp_meter_state){
            .what = "x", .done = 3, .total = 3, .elapsed_ms = 100, .utf8 = true},
        "x ████████████████ 100% 3 B of 3 B");
    /* An empty file, and one of no known length. */
    expect(&(struct cp_meter_state){.what = "x"}, "x [################] 100% 0 B of 0 B");
    expect(&(struct cp_meter_state){.what = "x", .done = 2048, .total = -1, .elapsed_ms = 2000},
           "x 2.0 KiB, 1.0 KiB/s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_line)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
