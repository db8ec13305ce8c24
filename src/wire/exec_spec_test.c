/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/exec_spec.h"

#include <errno.h>

#include "base/limits.h"
#include "base/test.h"

#define STRV(...) ((char **)(uintptr_t)(const char *[]){__VA_ARGS__, NULL})

static void test_round_trip(void **state)
{
    struct exec_spec in = {
        .argv = STRV("sh", "-c", "echo \"\xc3\xa4\" \x01\n", ""),
        .env = STRV("A=1", "B=x=y", "C="),
        .cwd = (char *)(uintptr_t) "/tmp",
        .uid = 1000,
        .gid = 4294967294,
        .timeout_ms = EXEC_TIMEOUT_MAX_MS,
        .has_stdin = true,
    };
    struct exec_spec out;
    auto_buf struct buf json = {0};
    assert_int_equal(0, exec_spec_encode(&in, &json, NULL));
    assert_int_equal(0, exec_spec_decode(json.data, json.len, &out, NULL));
    for (int i = 0; i < 4; i++)
        assert_string_equal(in.argv[i], out.argv[i]);
    assert_null(out.argv[4]);
    for (int i = 0; i < 3; i++)
        assert_string_equal(in.env[i], out.env[i]);
    assert_null(out.env[3]);
    assert_string_equal("/tmp", out.cwd);
    assert_int_equal(1000, out.uid);
    assert_true(out.gid == 4294967294);
    assert_true(out.timeout_ms == EXEC_TIMEOUT_MAX_MS);
    assert_true(out.has_stdin);
    exec_spec_done(&out);
}

static void test_defaults(void **state)
{
    static const char json[] = "{\"argv\":[\"true\"]}";
    struct exec_spec out;
    assert_int_equal(0, exec_spec_decode(json, strlen(json), &out, NULL));
    assert_null(out.env[0]);
    assert_string_equal("/", out.cwd);
    assert_int_equal(0, out.uid);
    assert_int_equal(0, out.timeout_ms);
    assert_true(out.has_stdin);
    exec_spec_done(&out);
}

/* A waiting program has any arguments. */
static void test_warm(void **state)
{
    struct exec_spec in = {.argv = STRV("", "x"), .warm = (char *)(uintptr_t) "run", .alone = true};
    struct exec_spec out;
    auto_buf struct buf json = {0};
    assert_int_equal(0, exec_spec_encode(&in, &json, NULL));
    assert_int_equal(0, exec_spec_decode(json.data, json.len, &out, NULL));
    assert_string_equal("run", out.warm);
    assert_true(out.alone);
    assert_string_equal("", out.argv[0]);
    assert_string_equal("x", out.argv[1]);
    exec_spec_done(&out);

    in.argv = (char *[]){NULL};
    buf_clear(&json);
    assert_int_equal(0, exec_spec_encode(&in, &json, NULL));
    assert_int_equal(0, exec_spec_decode(json.data, json.len, &out, NULL));
    assert_null(out.argv[0]);
    exec_spec_done(&out);
}

static void test_manner(void **state)
{
    struct exec_spec in = {
        .argv = STRV("sh"),
        .user = (char *)(uintptr_t) "me",
        .login = true,
        .pty_rows = 24,
        .pty_cols = 65535,
    };
    struct exec_spec out;
    auto_buf struct buf json = {0};
    assert_int_equal(0, exec_spec_encode(&in, &json, NULL));
    assert_int_equal(0, exec_spec_decode(json.data, json.len, &out, NULL));
    assert_string_equal("me", out.user);
    assert_null(out.cwd); /* the user's home */
    assert_true(out.login);
    assert_int_equal(24, out.pty_rows);
    assert_int_equal(65535, out.pty_cols);
    assert_null(out.job);
    exec_spec_done(&out);

    in = (struct exec_spec){.argv = (char *[]){NULL}, .login = true};
    buf_clear(&json);
    assert_int_equal(0, exec_spec_encode(&in, &json, NULL));
    assert_int_equal(0, exec_spec_decode(json.data, json.len, &out, NULL));
    assert_null(out.argv[0]); /* the user's shell */
    exec_spec_done(&out);

    in = (struct exec_spec){.argv = STRV("sh"), .job = (char *)(uintptr_t) "job1"};
    buf_clear(&json);
    assert_int_equal(0, exec_spec_encode(&in, &json, NULL));
    assert_int_equal(0, exec_spec_decode(json.data, json.len, &out, NULL));
    assert_string_equal("job1", out.job);
    assert_string_equal("/", out.cwd);
    assert_null(out.user);
    assert_int_equal(0, out.pty_rows);
    exec_spec_done(&out);
}

static void test_limits(void **state)
{
    struct exec_spec in = {
        .argv = STRV("sh"),
        .limits = {.memory_bytes = 1 << 20, .processes = 7, .file_bytes = EXEC_LIMIT_MAX},
        .kill_rest = true,
    };
    struct exec_spec out;
    auto_buf struct buf json = {0};
    assert_int_equal(0, exec_spec_encode(&in, &json, NULL));
    assert_null(strstr(buf_str(&json), "output_bytes")); /* what has no bound is not said */
    assert_int_equal(0, exec_spec_decode(json.data, json.len, &out, NULL));
    assert_int_equal(1 << 20, out.limits.memory_bytes);
    assert_int_equal(7, out.limits.processes);
    assert_true(out.limits.file_bytes == EXEC_LIMIT_MAX);
    assert_int_equal(0, out.limits.output_bytes);
    assert_true(out.kill_rest);
    exec_spec_done(&out);

    in = (struct exec_spec){.argv = STRV("sh"), .limits.output_bytes = 1};
    buf_clear(&json);
    assert_int_equal(0, exec_spec_encode(&in, &json, NULL));
    assert_int_equal(0, exec_spec_decode(json.data, json.len, &out, NULL));
    assert_int_equal(1, out.limits.output_bytes);
    assert_false(out.kill_rest);
    exec_spec_done(&out);
}

static void test_encode_refusals(void **state)
{
    const struct {
        struct exec_spec spec;
        const char *field;
    } rows[] = {
        {{.argv = STRV("\xff")}, "argv"},
        {{.argv = STRV("a"), .env = STRV("A=\xff")}, "env"},
        {{.argv = STRV("a"), .env = STRV("A")}, "env"},
        {{.argv = STRV("a"), .env = STRV("=a")}, "env"},
        {{.argv = STRV("a"), .cwd = (char *)(uintptr_t) "/\xff"}, "cwd"},
        {{.argv = STRV("a"), .user = (char *)(uintptr_t) "\xff"}, "user"},
        {{.argv = STRV("a"), .job = (char *)(uintptr_t) "\xff"}, "job"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_buf struct buf json = {0};
        struct err e = ERR_INIT;
        assert_int_equal(-EINVAL, exec_spec_encode(&rows[i].spec, &json, &e));
        assert_string_equal(rows[i].field, e.field);
    }
}

struct refusal {
    const char *json;
    const char *field;
    const char *text; /* NULL: any */
};

static void check_refusals(const struct refusal *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct exec_spec out;
        struct err e = ERR_INIT;
        assert_int_equal(-EINVAL, exec_spec_decode(rows[i].json, strlen(rows[i].json), &out, &e));
        assert_string_equal(rows[i].field, e.field);
        if (rows[i].text)
            assert_string_equal(rows[i].text, e.text);
    }
}

static void test_decode_refusals(void **state)
{
    static const struct refusal rows[] = {
        {"", "", NULL},
        {"[]", "", "not a JSON object"},
        {"{\"argv\":[\"a\"],\"argv\":[\"a\"]}", "", NULL},
        {"{}", "argv", "argv must be a list of strings"},
        {"{\"argv\":\"a\"}", "argv", "argv must be a list of strings"},
        {"{\"argv\":[]}", "argv", "argv must have 1 to 1024 strings"},
        {"{\"argv\":[\"\"]}", "argv", "argv[0] must not be empty"},
        {"{\"argv\":[\"a\",1]}", "argv", "argv[1] must be a string"},
        {"{\"argv\":[\"a\\u0000\"]}", "", NULL},
        {"{\"argv\":[\"a\"],\"x\":1}", "x", "unknown field \"x\""},
        {"{\"argv\":[\"a\"],\"env\":[]}", "env", "env must be an object of strings"},
        {"{\"argv\":[\"a\"],\"env\":{\"A\":1}}", "env", "env \"A\" must be a string"},
        {"{\"argv\":[\"a\"],\"env\":{\"\":\"\"}}", "env", "\"\" is no name of a variable"},
        {"{\"argv\":[\"a\"],\"env\":{\"A=\":\"\"}}", "env", "\"A=\" is no name of a variable"},
        {"{\"argv\":[\"a\"],\"cwd\":\"tmp\"}", "cwd", "cwd must be an absolute path"},
        {"{\"argv\":[\"a\"],\"cwd\":null}", "cwd", "cwd must be a string"},
        {"{\"argv\":[\"a\"],\"uid\":-1}", "uid", "uid must be between 0 and 4294967294"},
        {"{\"argv\":[\"a\"],\"gid\":4294967295}", "gid", "gid must be between 0 and 4294967294"},
        {"{\"argv\":[\"a\"],\"uid\":1.5}", "uid", "uid must be a whole number"},
        {"{\"argv\":[\"a\"],\"timeout_ms\":-5}", "timeout_ms",
         "timeout_ms must be between 0 and 604800000"},
        {"{\"argv\":[\"a\"],\"stdin\":1}", "stdin", "stdin must be true or false"},
        {"{\"argv\":[\"a\"],\"login\":1}", "login", "login must be true or false"},
        {"{\"argv\":[\"a\"],\"user\":\"\"}", "user", "user is no name of a user"},
        {"{\"argv\":[\"a\"],\"user\":\"a\",\"uid\":0}", "user",
         "user stands instead of uid and gid"},
        {"{\"argv\":[\"a\"],\"pty\":1}", "pty", "pty must be an object"},
        {"{\"argv\":[\"a\"],\"pty\":{\"rows\":1}}", "cols", "cols is missing"},
        {"{\"argv\":[\"a\"],\"pty\":{\"rows\":0,\"cols\":1}}", "rows",
         "rows must be between 1 and 65535"},
        {"{\"argv\":[\"a\"],\"pty\":{\"rows\":1,\"cols\":1,\"x\":1}}", "x", "unknown field \"x\""},
        {"{\"argv\":[\"a\"],\"job\":\"../x\"}", "job", "job must be 1 to 32 characters of 0-9a-z"},
        {"{\"argv\":[\"a\"],\"job\":\"a\",\"pty\":{\"rows\":1,\"cols\":1}}", "pty",
         "a job has no terminal"},
        {"{\"argv\":[\"a\"],\"alone\":1}", "alone", "alone must be true or false"},
        {"{\"argv\":[],\"warm\":1}", "warm", "warm must be a string"},
        {"{\"argv\":[],\"warm\":\"\"}", "warm", "warm must be 1 to 32 characters of 0-9a-z"},
        {"{\"argv\":[],\"warm\":\"A\"}", "warm", "warm must be 1 to 32 characters of 0-9a-z"},
        {"{\"argv\":[],\"warm\":\"a\",\"job\":\"b\"}", "warm",
         "a waiting program is no job, and has no terminal, login or user"},
        {"{\"argv\":[],\"warm\":\"a\",\"pty\":{\"rows\":1,\"cols\":1}}", "warm",
         "a waiting program is no job, and has no terminal, login or user"},
        {"{\"argv\":[],\"warm\":\"a\",\"login\":true}", "warm",
         "a waiting program is no job, and has no terminal, login or user"},
        {"{\"argv\":[],\"warm\":\"a\",\"user\":\"u\"}", "warm",
         "a waiting program is no job, and has no terminal, login or user"},
    };
    check_refusals(rows, ARRAY_SIZE(rows));
}

static void test_decode_refusals_of_limits(void **state)
{
    static const struct refusal rows[] = {
        {"{\"argv\":[\"a\"],\"limits\":[]}", "limits", "limits must be an object"},
        {"{\"argv\":[\"a\"],\"limits\":{\"memory\":1}}", "memory", "unknown field \"memory\""},
        {"{\"argv\":[\"a\"],\"limits\":{\"processes\":-1}}", "processes",
         "processes must be between 0 and 1125899906842624"},
        {"{\"argv\":[\"a\"],\"limits\":{\"file_bytes\":\"1\"}}", "file_bytes",
         "file_bytes must be a whole number"},
        {"{\"argv\":[\"a\"],\"kill_rest\":1}", "kill_rest", "kill_rest must be true or false"},
    };
    check_refusals(rows, ARRAY_SIZE(rows));
}

static void test_too_many(void **state)
{
    auto_buf struct buf json = {0};
    struct exec_spec out;
    struct err e = ERR_INIT;
    buf_append_str(&json, "{\"argv\":[\"a\"");
    for (int i = 0; i < AGENT_EXEC_ARGS_MAX; i++)
        buf_append_str(&json, ",\"\"");
    buf_append_str(&json, "]}");
    assert_int_equal(-EINVAL, exec_spec_decode(json.data, json.len, &out, &e));
    assert_string_equal("argv", e.field);
    auto_free char *large = calloc(1, AGENT_SPEC_MAX_BYTES + 1);
    assert_int_equal(-E2BIG, exec_spec_decode(large, AGENT_SPEC_MAX_BYTES + 1, &out, &e));
    assert_int_equal(ERR_TOO_LARGE, e.class);
}

static void test_exit(void **state)
{
    struct exec_exit in = {.code = 137,
                           .signal = 9,
                           .timed_out = true,
                           .wall_us = 1,
                           .user_us = 2,
                           .system_us = 3,
                           .max_rss_kib = 4,
                           .stdout_bytes = INT64_MAX,
                           .stderr_bytes = 6,
                           .cpu_us = 7,
                           .memory_peak_bytes = 8,
                           .oom = true};
    struct exec_exit out = {0};
    auto_buf struct buf json = {0};
    assert_int_equal(0, exec_exit_encode(&in, &json));
    assert_int_equal(0, exec_exit_decode(json.data, json.len, &out, NULL));
    assert_int_equal(137, out.code);
    assert_int_equal(9, out.signal);
    assert_true(out.timed_out);
    assert_int_equal(1, out.wall_us);
    assert_int_equal(2, out.user_us);
    assert_int_equal(3, out.system_us);
    assert_int_equal(4, out.max_rss_kib);
    assert_true(out.stdout_bytes == INT64_MAX);
    assert_int_equal(6, out.stderr_bytes);
    assert_int_equal(7, out.cpu_us);
    assert_int_equal(8, out.memory_peak_bytes);
    assert_true(out.oom);
}

/* What an older agent does not tell is worked out of what it does. */
static void test_exit_of_an_older_agent(void **state)
{
    static const char json[] =
        "{\"code\":0,\"signal\":0,\"timed_out\":false,\"wall_us\":0,\"user_us\":30,"
        "\"system_us\":4,\"max_rss_kib\":2,\"stdout_bytes\":0,\"stderr_bytes\":0}";
    static const char extreme[] =
        "{\"code\":0,\"signal\":0,\"timed_out\":false,\"wall_us\":0,"
        "\"user_us\":9223372036854775807,\"system_us\":1,\"max_rss_kib\":9223372036854775807,"
        "\"stdout_bytes\":0,\"stderr_bytes\":0}";
    struct exec_exit out = {0};
    assert_int_equal(0, exec_exit_decode(json, strlen(json), &out, NULL));
    assert_int_equal(34, out.cpu_us);
    assert_int_equal(2048, out.memory_peak_bytes);
    assert_false(out.oom);
    assert_int_equal(0, exec_exit_decode(extreme, strlen(extreme), &out, NULL));
    assert_true(out.cpu_us == INT64_MAX);
    assert_true(out.memory_peak_bytes == INT64_MAX);
}

static void test_exit_refusals(void **state)
{
    static const char rest[] = ",\"timed_out\":false,\"wall_us\":0,\"user_us\":0,\"system_us\":0,"
                               "\"max_rss_kib\":0,\"stdout_bytes\":0,\"stderr_bytes\":-1}";
    static const struct {
        const char *head;
        const char *field;
    } rows[] = {
        {"{\"code\":256,\"signal\":0", "code"},
        {"{\"code\":-1,\"signal\":0", "code"},
        {"{\"code\":0,\"signal\":65", "signal"},
        {"{\"code\":0", "signal"},
        {"{\"code\":0,\"signal\":0,\"new\":1", "stderr_bytes"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_buf struct buf json = {0};
        struct exec_exit out;
        struct err e = ERR_INIT;
        buf_printf(&json, "%s%s", rows[i].head, rest);
        assert_int_equal(-EINVAL, exec_exit_decode(json.data, json.len, &out, &e));
        assert_string_equal(rows[i].field, e.field);
    }
}

static void test_started(void **state)
{
    auto_buf struct buf json = {0};
    int64_t pid = 0;
    assert_int_equal(0, exec_started_encode(42, &json));
    assert_int_equal(0, exec_started_decode(json.data, json.len, &pid, NULL));
    assert_int_equal(42, pid);
    assert_int_equal(-EINVAL, exec_started_decode("{\"pid\":0}", 9, &pid, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_encode_refusals),
        cmocka_unit_test(test_decode_refusals),
        cmocka_unit_test(test_decode_refusals_of_limits),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_exit),
        cmocka_unit_test(test_exit_refusals),
        cmocka_unit_test(test_started),
        cmocka_unit_test(test_manner),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_exit_of_an_older_agent),
        cmocka_unit_test(test_warm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
