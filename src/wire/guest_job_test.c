/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/guest_job.h"

#include <errno.h>

#include "base/limits.h"
#include "base/test.h"

#define STRV(...) ((char **)(uintptr_t)(const char *[]){__VA_ARGS__, NULL})
#define EXIT                                                                    \
    "{\"code\":3,\"signal\":0,\"timed_out\":false,\"wall_us\":1,\"user_us\":0," \
    "\"system_us\":0,\"max_rss_kib\":0,\"stdout_bytes\":0,\"stderr_bytes\":0}"
#define REST "\"started_ms\":7,\"wall_ms\":8,\"output_bytes\":9,\"first_offset\":2"

static void test_round_trip(void **state)
{
    struct guest_job in = {
        .id = "job1",
        .argv = guest_job_argv(STRV("sh", "-c", "echo \"\xc3\xa4\"")),
        .pid = 42,
        .exit = {.code = 137, .signal = 9, .timed_out = true},
        .started_ms = 1,
        .wall_ms = 2,
        .output_bytes = 3,
        .first_offset = 4,
    };
    auto_buf struct buf json = {0};
    CLEANUP(guest_jobs_done) struct guest_jobs out = {0};
    assert_int_equal(0, guest_job_encode(&in, &json));
    assert_int_equal(0, guest_job_decode(json.data, json.len, &out, NULL));
    assert_int_equal(1, out.n);
    const struct guest_job *j = &out.items[0];
    assert_string_equal("job1", j->id);
    assert_true(json_equal(in.argv, j->argv));
    assert_int_equal(42, j->pid);
    assert_false(j->running);
    assert_int_equal(9, j->exit.signal);
    assert_true(j->exit.timed_out);
    assert_int_equal(1, j->started_ms);
    assert_int_equal(2, j->wall_ms);
    assert_int_equal(3, j->output_bytes);
    assert_int_equal(4, j->first_offset);
    json_decref(in.argv);
}

static void test_list(void **state)
{
    static const char json[] =
        "{\"jobs\":[{\"id\":\"a\",\"argv\":[\"x\"],\"pid\":1,\"running\":true," REST
        "},{\"id\":\"b\",\"argv\":[],\"pid\":2,\"running\":false,\"exit\":" EXIT "," REST "}]}";
    CLEANUP(guest_jobs_done) struct guest_jobs out = {0};
    assert_int_equal(0, guest_jobs_decode(json, strlen(json), &out, NULL));
    assert_int_equal(2, out.n);
    assert_true(out.items[0].running);
    assert_int_equal(3, out.items[1].exit.code);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *json;
        const char *field;
    } rows[] = {
        {"{\"jobs\":1}", "jobs"},
        {"{\"jobs\":[1]}", "jobs"},
        {"{\"jobs\":[{\"id\":\"../x\"}]}", "id"},
        {"{\"jobs\":[{\"id\":\"a\",\"pid\":0}]}", "pid"},
        {"{\"jobs\":[{\"id\":\"a\",\"argv\":[1],\"pid\":1,\"running\":true," REST "}]}", "argv"},
        {"{\"jobs\":[{\"id\":\"a\",\"argv\":[],\"pid\":1,\"running\":false," REST "}]}", "exit"},
        {"{\"jobs\":[{\"id\":\"a\",\"argv\":[],\"pid\":1,\"running\":false,\"exit\":{}," REST "}]}",
         "code"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct guest_jobs out = {0};
        struct err e = ERR_INIT;
        assert_int_equal(-EINVAL, guest_jobs_decode(rows[i].json, strlen(rows[i].json), &out, &e));
        assert_string_equal(rows[i].field, e.field);
        assert_null(out.items);
    }
}

static void test_too_many(void **state)
{
    struct guest_jobs out = {0};
    auto_buf struct buf json = {0};
    struct err e = ERR_INIT;
    buf_append_str(&json, "{\"jobs\":[1");
    for (int i = 0; i < AGENT_JOBS_MAX; i++)
        buf_append_str(&json, ",1");
    buf_append_str(&json, "]}");
    assert_int_equal(-EINVAL, guest_jobs_decode(json.data, json.len, &out, &e));
    assert_string_equal("jobs must be a list of at most 64", e.text);
}

static void test_long_argv(void **state)
{
    auto_free char *s = calloc(1, AGENT_JOB_ARGV_MAX_BYTES);
    memset(s, 'x', AGENT_JOB_ARGV_MAX_BYTES - 3);
    json_t *argv = guest_job_argv(STRV(s, "y", "z"));
    assert_int_equal(2, json_array_size(argv));
    json_decref(argv);
    assert_null(guest_job_argv(STRV("\xff")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_list),
        cmocka_unit_test(test_refusals),   cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_long_argv),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
