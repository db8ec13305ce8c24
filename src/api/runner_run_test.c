/* SPDX-License-Identifier: Apache-2.0 */

/* Batches, and POST /api/v1/run, over a socket. */

#include <string.h>

#include "api/api_test.h"
#include "base/base64.h"

static void run(struct test_server *ts, const char *json, struct reply *ret)
{
    reply_done(ret);
    request(ts, "POST", "/api/v1/run", "Content-Type: application/json\r\n", json, ret);
}

#define RUN(program) "{\"language\":\"c\",\"files\":{\"main.c\":\"" program "\"}"

static void test_a_batch(void **state)
{
    auto_reply struct reply r = {0};
    execute(*state,
            "{\"language\":\"py\",\"code\":\"echo\",\"stdin\":[\"YQ==\",\"\"],"
            "\"stdin_encoding\":\"base64\"}",
            &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(json_array_size(r.json), 2);
    const json_t *first = json_array_get(r.json, 0), *second = json_array_get(r.json, 1);
    assert_string_equal(json_string_value(json_object_get(first, "stdout")),
                        "language python\ntimeout 30000\ncode_len 4\nstdin data=a\n");
    assert_string_equal(json_string_value(json_object_get(second, "stdout")),
                        "language python\ntimeout 30000\ncode_len 4\nstdin data=\n");
    assert_int_equal(json_integer_value(json_object_get(second, "exit_code")), 0);
    run(*state, RUN("echo") ",\"stdin\":[\"x\",\"\\u0000y\"]}", &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(json_array_size(r.json), 2);
    first = json_array_get(r.json, 0), second = json_array_get(r.json, 1);
    assert_string_equal(json_string_value(json_object_get(first, "stdin")), "x");
    assert_int_equal(json_string_length(json_object_get(second, "stdin")), 2);
    assert_string_equal(json_string_value(json_object_get(first, "status")), "success");
    /* One that is no list is one. */
    run(*state, RUN("echo") ",\"stdin\":\"x\"}", &r);
    assert_true(json_is_object(r.json));
    assert_null(json_object_get(r.json, "stdin"));
    assert_non_null(strstr(reply_string(&r, "stdout"), "stdin data=x\n"));
    run(*state, RUN("third") ",\"stdin\":[\"1\",\"2\",\"3\",\"4\"]}", &r);
    assert_int_equal(r.status, 502);
    assert_string_equal(reply_string(&r, "status"), "failed");
}

static void test_bytes_of_a_run(void **state)
{
    auto_reply struct reply r = {0};
    run(*state,
        RUN("echo") ",\"stdin\":[\"/w==\"],\"stdin_encoding\":\"base64\",\"cold\":true,"
                    "\"output_encoding\":\"base64\"}",
        &r);
    assert_int_equal(r.status, 200);
    const json_t *first = json_array_get(r.json, 0);
    assert_string_equal(json_string_value(json_object_get(first, "stdin")), "/w==");
    auto_buf struct buf out = {0};
    const char *text = json_string_value(json_object_get(first, "stdout"));
    assert_int_equal(0, base64_decode(text, strlen(text), &out));
    assert_non_null(strstr(buf_str(&out), "stdin data=\xff\n"));
    assert_non_null(strstr(buf_str(&out), "cold\n"));
    run(*state,
        "{\"language\":\"c\",\"files\":{\"main.c\":\"ZWNobw==\"},\"files_encoding\":\"base64\"}",
        &r);
    assert_non_null(strstr(reply_string(&r, "stdout"), "code_len 4\n"));
    run(*state, RUN("no such") ",\"output_encoding\":\"base64\"}", &r);
    assert_string_equal(reply_string(&r, "stderr"), "d2hhdD8K");
}

static void test_a_run_does_not_stream(void **state)
{
    auto_reply struct reply r = {0};
    request(*state, "POST", "/api/v1/run",
            "Accept: application/x-ndjson\r\nContent-Type: application/json\r\n", RUN("hello") "}",
            &r);
    assert_string_equal(reply_header(&r, "Content-Type"), "application/json");
    assert_string_equal(reply_string(&r, "stdout"), "Hello, World!\n");
}

static void test_exceptions_of_a_run(void **state)
{
    auto_reply struct reply r = {0};
    run(*state, RUN("broken") "}", &r);
    assert_string_equal(reply_string(&r, "exception"), "Compilation failed");
    assert_string_equal(reply_string(&r, "status"), "success");
    assert_string_equal(reply_string(&r, "stderr"), "what?\n");
    run(*state, RUN("timeout") "}", &r);
    assert_string_equal(reply_string(&r, "exception"), "Timeout");
    assert_string_equal(reply_string(&r, "stderr"), "\nExecution timed out");
    assert_string_equal(reply_string(&r, "stdout"), "so far");
    assert_int_equal(json_integer_value(json_object_get(r.json, "exit_code")), 124);
    run(*state, RUN("starved") "}", &r);
    assert_string_equal(reply_string(&r, "exception"), "Out of memory");
    run(*state, RUN("no such") "}", &r);
    assert_true(json_is_null(json_object_get(r.json, "exception")));
    assert_int_equal(json_integer_value(json_object_get(r.json, "exit_code")), 1);
}

struct mistake {
    const char *json;
    int status;
    const char *field;
    const char *says;
};

static const struct mistake run_mistakes[] = {
    {"{\"language\":\"c\"}", 400, "files", "missing required field \"files\""},
    {"{\"language\":\"c\",\"files\":[]}", 400, "files", "must not be empty"},
    {"{\"language\":\"c\",\"files\":null}", 400, "files", "an object of names and contents"},
    {"{\"files\":{\"a\":\"hello\"}}", 400, "language", "missing required field \"language\""},
    {"{\"language\":\"ruby2\",\"files\":{\"a\":\"hello\"}}", 404, "language",
     "language not found: ruby2"},
    {RUN("hello") ",\"code\":\"x\"}", 400, "code", "unknown field \"code\""},
    {RUN("hello") ",\"stdin\":[]}", 400, "stdin", "must not be empty"},
    {RUN("full") "}", 503, "", "no room"},
    {RUN("unavailable") "}", 502, "", "the machine died"},
};

static void test_every_mistake_of_a_run_is_named(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(run_mistakes); i++) {
        const struct mistake *m = &run_mistakes[i];
        auto_reply struct reply r = {0};
        run(*state, m->json, &r);
        if (r.status != m->status || strcmp(reply_string(&r, "field"), m->field) != 0 ||
            !strstr(reply_string(&r, "error"), m->says))
            fail_msg("%s: %d %s", m->json, r.status, buf_str(&r.body));
        assert_string_equal(reply_string(&r, "status"), "failed");
    }
}

/* Lines of a batch say which input they belong to. */
static void test_events_of_a_batch(void **state)
{
    auto_reply struct reply r = {0};
    request(*state, "POST", "/api/v1/execute",
            "Accept: application/x-ndjson\r\nContent-Type: application/json\r\n",
            "{\"language\":\"py\",\"code\":\"hello\",\"stdin\":[\"a\",\"b\"]}", &r);
    assert_string_equal(
        buf_str(&r.body),
        "{\"t\":\"o\",\"i\":0,\"d\":\"SGVsbG8sIFdvcmxkIQo=\"}\n"
        "{\"t\":\"x\",\"c\":0,\"ms\":45,\"load_ms\":125,\"cpu_time_us\":0,\"memory_peak_kb\":0,"
        "\"i\":0}\n"
        "{\"t\":\"o\",\"i\":1,\"d\":\"SGVsbG8sIFdvcmxkIQo=\"}\n"
        "{\"t\":\"x\",\"c\":0,\"ms\":45,\"load_ms\":125,\"cpu_time_us\":0,\"memory_peak_kb\":0,"
        "\"i\":1}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_batch),
        cmocka_unit_test(test_bytes_of_a_run),
        cmocka_unit_test(test_a_run_does_not_stream),
        cmocka_unit_test(test_exceptions_of_a_run),
        cmocka_unit_test(test_every_mistake_of_a_run_is_named),
        cmocka_unit_test(test_events_of_a_batch),
    };
    return cmocka_run_group_tests(tests, test_setup, test_teardown);
}
