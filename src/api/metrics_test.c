/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"

#include "api/metrics.h"
#include "api/route.h"

static void test_counts_over_shards(void **state)
{
    struct metrics *m;
    assert_int_equal(metrics_new(2, &m), 0);
    for (unsigned shard = 0; shard < 40; shard++)
        metrics_begin(m, shard);
    assert_int_equal(metrics_running(m), 40);
    for (unsigned shard = 0; shard < 20; shard++)
        metrics_end(m, shard, 0, 200, 150);
    metrics_end(m, 3, 1, 418, 400000000);
    metrics_end(m, 4, 2, 0, 1);
    assert_int_equal(metrics_running(m), 18);

    auto_buf struct buf b = {0};
    metrics_write(m, &b);
    const char *first = route_at(0)->operation;
    char want[160];
    snprintf(want, sizeof(want),
             "holm_http_requests_total{route=\"%s\",method=\"GET\",status=\"200\"} 20\n", first);
    assert_non_null(strstr(b.data, want));
    assert_non_null(strstr(b.data, "status=\"other\"} 1\n"));
    assert_non_null(strstr(b.data, "{route=\"getLanguage\",method=\"GET\",status=\"0\"} 1\n"));
    snprintf(want, sizeof(want), "{route=\"%s\",method=\"GET\",le=\"0.0001\"} 0\n", first);
    assert_non_null(strstr(b.data, want));
    snprintf(want, sizeof(want), "{route=\"%s\",method=\"GET\",le=\"0.0005\"} 20\n", first);
    assert_non_null(strstr(b.data, want));
    snprintf(want, sizeof(want), "_sum{route=\"%s\",method=\"GET\"} 0.003000\n", first);
    assert_non_null(strstr(b.data, want));
    assert_non_null(strstr(b.data, "holm_http_requests_running 18\n"));
    metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_counts_over_shards)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
