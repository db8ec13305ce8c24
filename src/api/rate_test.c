/* SPDX-License-Identifier: Apache-2.0 */
#include "api/rate.h"

#include <errno.h>

#include "api/api_test.h"
#include "base/limits.h"

static const struct dialect slow = {.name = "slow", .rate_per_min = 6};

/* Of a dialect with a bound: one row with a bound of its own, one without. Of another: likewise. */
static const struct route rows[] = {
    {.path = "/slow/a", .operation = "a", .dialect = &slow, .rate_per_min = 2},
    {.path = "/slow/b", .operation = "b", .dialect = &slow},
    {.path = "/test/c", .operation = "c", .dialect = &test_dialect, .rate_per_min = 60},
    {.path = "/test/d", .operation = "d", .dialect = &test_dialect},
    {0},
};

#define T0 1000000

static size_t row_at(const char *path)
{
    size_t i = 0;
    while (strcmp(route_at(i)->path, path) != 0)
        i++;
    return i;
}

static int setup(void **state)
{
    return rate_new((struct rate **)state);
}

static int teardown(void **state)
{
    rate_free(*state);
    return 0;
}

/* 0: it is answered, else seconds until it will be. */
static int take(struct rate *rate, const char *caller, const char *path, int64_t now_ms)
{
    struct rate_refusal no = {0};
    int r = rate_take(rate, caller, row_at(path), now_ms, &no);
    assert_true(r == 0 || r == -EAGAIN);
    assert_true((r == 0) == (no.retry_after_s == 0));
    return no.retry_after_s;
}

static void test_a_bucket_is_full_at_first_and_refills_evenly(void **state)
{
    assert_int_equal(take(*state, "ann", "/slow/a", T0), 0);
    assert_int_equal(take(*state, "ann", "/slow/a", T0), 0);
    assert_int_equal(take(*state, "ann", "/slow/a", T0), 30);
    assert_int_equal(take(*state, "ann", "/slow/a", T0 + 29001), 1);
    assert_int_equal(take(*state, "ann", "/slow/a", T0 + 29999), 1);
    assert_int_equal(take(*state, "ann", "/slow/a", T0 + 30000), 0);
    assert_int_equal(take(*state, "ann", "/slow/a", T0 + 30000), 30);
    /* It never holds more than it did at first. */
    assert_int_equal(take(*state, "ann", "/slow/a", T0 + 900000), 0);
    assert_int_equal(take(*state, "ann", "/slow/a", T0 + 900000), 0);
    assert_int_equal(take(*state, "ann", "/slow/a", T0 + 900000), 30);
}

static void test_many_a_minute(void **state)
{
    for (int i = 0; i < 60; i++)
        assert_int_equal(take(*state, "ann", "/test/c", T0), 0);
    assert_int_equal(take(*state, "ann", "/test/c", T0), 1);
    /* Steadily one a second is what it is. */
    for (int i = 1; i < 200; i++)
        assert_int_equal(take(*state, "ann", "/test/c", T0 + i * 1000), 0);
    assert_int_equal(take(*state, "ann", "/test/c", T0 + 199 * 1000), 1);
}

static void test_callers_have_buckets_of_their_own(void **state)
{
    while (take(*state, "ann", "/slow/a", T0) == 0)
        ;
    assert_int_equal(take(*state, "bob", "/slow/a", T0), 0);
}

static void test_the_dialect_bounds_all_its_rows(void **state)
{
    struct rate_refusal no;
    for (int i = 0; i < 6; i++)
        assert_int_equal(take(*state, "ann", "/slow/b", T0), 0);
    assert_int_equal(rate_take(*state, "ann", row_at("/slow/a"), T0, &no), -EAGAIN);
    assert_int_equal(no.per_min, 6);
    assert_int_equal(no.retry_after_s, 10);
    assert_false(no.is_of_row);
    assert_int_equal(take(*state, "ann", "/test/c", T0), 0);
}

/* Else who asks too often would never be let in again. */
static void test_what_is_refused_takes_nothing(void **state)
{
    struct rate_refusal no;
    assert_int_equal(take(*state, "ann", "/slow/a", T0), 0);
    assert_int_equal(take(*state, "ann", "/slow/a", T0), 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(rate_take(*state, "ann", row_at("/slow/a"), T0, &no), -EAGAIN);
    assert_true(no.is_of_row);
    assert_int_equal(no.per_min, 2);
    for (int i = 0; i < 4; i++)
        assert_int_equal(take(*state, "ann", "/slow/b", T0), 0);
    assert_int_equal(take(*state, "ann", "/slow/b", T0), 10);
}

static void test_what_has_no_bound(void **state)
{
    for (int i = 0; i < 1000; i++)
        assert_int_equal(take(*state, "ann", "/test/d", T0), 0);
}

/* A clock that goes back gives nothing away and takes nothing. */
static void test_time_that_stands(void **state)
{
    assert_int_equal(take(*state, "ann", "/slow/a", T0), 0);
    assert_int_equal(take(*state, "ann", "/slow/a", T0 - 5000), 0);
    assert_int_equal(take(*state, "ann", "/slow/a", T0 - 9000), 30);
}

static void test_only_so_many_callers_are_remembered(void **state)
{
    while (take(*state, "first", "/slow/a", T0) == 0)
        ;
    while (take(*state, "second", "/slow/a", T0) == 0)
        ;
    for (int i = 0; i < RATE_CALLERS_MAX - 2; i++) {
        char name[32];
        snprintf(name, sizeof(name), "caller %d", i);
        assert_int_equal(take(*state, name, "/slow/a", T0), 0);
    }
    /* All are remembered. "first" has asked now, so the next to go is "second". */
    assert_int_equal(take(*state, "first", "/slow/a", T0), 30);
    assert_int_equal(take(*state, "one more", "/slow/a", T0), 0);
    assert_int_equal(take(*state, "first", "/slow/a", T0), 30);
    assert_int_equal(take(*state, "second", "/slow/a", T0), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    route_add_rows(rows);
    const struct CMUnitTest tests[] = {
        TEST(test_a_bucket_is_full_at_first_and_refills_evenly),
        TEST(test_many_a_minute),
        TEST(test_callers_have_buckets_of_their_own),
        TEST(test_the_dialect_bounds_all_its_rows),
        TEST(test_what_is_refused_takes_nothing),
        TEST(test_what_has_no_bound),
        TEST(test_time_that_stands),
        TEST(test_only_so_many_callers_are_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
