/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"

#include <errno.h>

#include "api/range.h"

struct asked {
    const char *header;
    uint64_t total;
    int result;
    uint64_t offset, length;
};

static const struct asked asked[] = {
    {"bytes=0-0", 10, 1, 0, 1},
    {"bytes=0-9", 10, 1, 0, 10},
    {"bytes=5-", 10, 1, 5, 5},
    {"bytes=5-100", 10, 1, 5, 5},
    {"BYTES=9-9", 10, 1, 9, 1},
    {"bytes=-3", 10, 1, 7, 3},
    {"bytes=-30", 10, 1, 0, 10},
    {"bytes=3-18446744073709551615", 10, 1, 3, 7},
    {"bytes=3-99999999999999999999999999", 10, 1, 3, 7},
    {"bytes=-99999999999999999999999999", 10, 1, 0, 10},
    {"bytes=0-0", UINT64_MAX, 1, 0, 1},
    {"bytes=10-", 10, -ERANGE, 0, 0},
    {"bytes=99999999999999999999999999-", 10, -ERANGE, 0, 0},
    {"bytes=-0", 10, -ERANGE, 0, 0},
    {"bytes=0-", 0, -ERANGE, 0, 0},
    {"bytes=-1", 0, -ERANGE, 0, 0},
    {"bytes=5-3", 10, 0, 0, 0},
    {"bytes=-", 10, 0, 0, 0},
    {"bytes=", 10, 0, 0, 0},
    {"bytes=1", 10, 0, 0, 0},
    {"bytes=0-1,3-4", 10, 0, 0, 0},
    {"bytes=0-1 ", 10, 0, 0, 0},
    {"bytes=--1", 10, 0, 0, 0},
    {"bytes=a-b", 10, 0, 0, 0},
    {"lines=0-1", 10, 0, 0, 0},
    {"", 10, 0, 0, 0},
};

static void test_every_form(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
        const struct asked *a = &asked[i];
        struct byte_range range = {0};
        int r = range_parse(a->header, a->total, &range);
        if (r != a->result || (r == 1 && (range.offset != a->offset || range.length != a->length)))
            fail_msg("%s: %d, %llu + %llu", a->header, r, (unsigned long long)range.offset,
                     (unsigned long long)range.length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_form)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
