/* SPDX-License-Identifier: Apache-2.0 */

/* The endpoints, over a socket. Every row of the route table needs a check in `row_checks`. */

#include "api/api_test.h"
#include "api/meta.h"
#include "api/runner/runner.h"

#include "api/route.h"
#include "base/limits.h"

/* ---- every row ---- */

static void check_health(struct test_server *ts)
{
    auto_reply struct reply r = {0};
    request(ts, "GET", "/health", NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body.data, "{\"status\":\"healthy\",\"version\":\"" HOLM_VERSION "\"}\n");
    assert_string_equal(reply_header(&r, "Content-Type"), "application/json");
}

static void check_languages(struct test_server *ts)
{
    auto_reply struct reply r = {0};
    request(ts, "GET", "/api/v1/languages", NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    json_t *list = json_object_get(r.json, "languages");
    assert_int_equal(json_array_size(list), 5);
    assert_int_equal(json_integer_value(json_object_get(r.json, "count")), 5);
    const char *name, *extension, *title, *status;
    json_t *aliases;
    assert_int_equal(json_unpack(json_array_get(list, 0), "{s:s, s:s, s:s, s:s, s:o}", "name",
                                 &name, "extension", &extension, "title", &title, "status", &status,
                                 "aliases", &aliases),
                     0);
    assert_string_equal(name, "python");
    assert_string_equal(extension, ".py");
    assert_string_equal(title, "Python 3");
    assert_string_equal(status, "ready");
    json_t *versions = json_object_get(json_array_get(list, 0), "versions");
    assert_int_equal(json_array_size(versions), 1);
    assert_string_equal(json_string_value(json_array_get(versions, 0)), "3.11.2");
    assert_string_equal(json_string_value(json_array_get(aliases, 1)), "python3");
    const char *detail;
    assert_int_equal(
        json_unpack(json_array_get(list, 4), "{s:s, s:s}", "status", &status, "detail", &detail),
        0);
    assert_string_equal(status, "failed");
    assert_string_equal(detail, "it never said hello");
}

static void check_language(struct test_server *ts)
{
    auto_reply struct reply r = {0};
    request(ts, "GET", "/api/v1/languages/c", NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_string(&r, "name"), "c");
    assert_string_equal(reply_string(&r, "compile"), "gcc -o main main.c");
    assert_string_equal(reply_string(&r, "run"), "./main");
    assert_true(json_is_array(json_object_get(r.json, "versions")));
    assert_int_equal(json_array_size(json_object_get(r.json, "versions")), 0);
    assert_string_equal(reply_string(&r, "hello"), "int main(void) { return 0; }");
    assert_int_equal(json_integer_value(json_object_get(r.json, "pooled")), 2);
    assert_int_equal(json_integer_value(json_object_get(r.json, "memory_mib")), 256);
    reply_done(&r);
    request(ts, "GET", "/api/v1/languages/p%79", NULL, NULL, &r);
    assert_string_equal(reply_string(&r, "name"), "python");
    assert_null(json_object_get(r.json, "compile"));
    reply_done(&r);
    request(ts, "GET", "/api/v1/languages/ruby2", NULL, NULL, &r);
    assert_int_equal(r.status, 404);
    assert_string_equal(reply_string(&r, "error"), "language not found: ruby2");
    reply_done(&r);
    request(ts, "GET", "/api/v1/languages/%ff", NULL, NULL, &r);
    assert_int_equal(r.status, 400);
    assert_non_null(strstr(reply_string(&r, "error"), "%-escape"));
}

static void check_execute(struct test_server *ts)
{
    auto_reply struct reply r = {0};
    execute(ts, "{\"language\":\"python\",\"code\":\"hello\"}", &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body.data,
                        "{\"stdout\":\"Hello, World!\\n\",\"stderr\":\"\",\"exit_code\":0,"
                        "\"load_time\":\"125ms\",\"exec_time\":\"45ms\",\"load_time_us\":124600,"
                        "\"exec_time_us\":45400,\"cpu_time_us\":0,\"memory_peak_kb\":0}\n");
}

static void check_run(struct test_server *ts)
{
    auto_reply struct reply r = {0};
    request(ts, "POST", "/api/v1/run", "Content-Type: application/json\r\n",
            "{\"language\":\"python\",\"files\":[{\"name\":\"main.py\",\"content\":\"hello\"}]}",
            &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body.data,
                        "{\"status\":\"success\",\"stdout\":\"Hello, World!\\n\",\"stderr\":null,"
                        "\"exception\":null,\"executionTime\":45,\"exit_code\":0,"
                        "\"cpu_time_us\":0,\"memory_peak_kb\":0}\n");
}

static void check_index(struct test_server *ts)
{
    auto_reply struct reply r = {0};
    request(ts, "GET", "/", NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    const struct route *row;
    for (size_t i = 0; (row = route_at(i)); i++)
        assert_non_null(strstr(r.body.data, row->path));
}

static void check_metrics(struct test_server *ts)
{
    auto_reply struct reply r = {0};
    request(ts, "GET", "/metrics", NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body.data, "stub_vms 0\n"));
    assert_non_null(strstr(r.body.data, "holm_http_requests_running 1\n"));
}

static void check_openapi(struct test_server *ts)
{
    auto_reply struct reply r = {0};
    request(ts, "GET", "/openapi.json", NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    json_t *paths = json_object_get(r.json, "paths");
    assert_non_null(json_object_get(paths, "/api/v1/execute"));
    assert_non_null(json_object_get(paths, "/v1/vms/{id}"));
    assert_non_null(json_object_get(paths, "/metrics"));
}

/* The list, and each document that it names. */
static void check_openapi_list(struct test_server *ts)
{
    auto_reply struct reply r = {0};
    request(ts, "GET", "/openapi", NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    size_t i;
    json_t *document;
    assert_true(json_array_size(json_object_get(r.json, "documents")) >= 3);
    json_array_foreach(json_object_get(r.json, "documents"), i, document)
    {
        auto_reply struct reply d = {0};
        request(ts, "GET", json_string_value(json_object_get(document, "url")), NULL, NULL, &d);
        assert_int_equal(d.status, 200);
        const char *name = json_string_value(json_object_get(document, "name"));
        assert_string_equal(reply_string(&d, "openapi"),
                            strcmp(name, "rds") == 0 ? "3.0.3" : "3.1.0");
        assert_string_equal(
            json_string_value(json_object_get(json_object_get(d.json, "info"), "title")),
            json_string_value(json_object_get(document, "title")));
    }
}

static void check_swagger_json(struct test_server *ts)
{
    auto_reply struct reply r = {0}, same = {0};
    request(ts, "GET", "/swagger/json", NULL, NULL, &r);
    request(ts, "GET", "/openapi/rds.json", NULL, NULL, &same);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body.data, same.body.data);
}

static const struct {
    const char *operation;
    void (*check)(struct test_server *ts);
} row_checks[] = {
    {"health", check_health},
    {"listLanguages", check_languages},
    {"getLanguage", check_language},
    {"execute", check_execute},
    {"run", check_run},
    {"index", check_index},
    {"metrics", check_metrics},
    {"openapi", check_openapi},
    {"openapiList", check_openapi_list},
    {"swaggerJson", check_swagger_json},
};

static void test_every_row(void **state)
{
    const struct route *row;
    for (size_t i = 0; (row = route_at(i)); i++) {
        /* Other dialects have tests of their own, and so have root file systems and snapshots
         * (runner/rootfs_test.c); documents are in check_openapi_list. */
        bool checked = (row->dialect != &runner_dialect && row->dialect != &meta_dialect) ||
                       strncmp(row->path, "/openapi/", 9) == 0 ||
                       strcmp(row->path, "/api/v1/rootfs") == 0 ||
                       strcmp(row->path, "/api/v1/snapshots") == 0;
        for (size_t j = 0; j < ARRAY_SIZE(row_checks); j++) {
            if (strcmp(row_checks[j].operation, row->operation) == 0) {
                row_checks[j].check(*state);
                checked = true;
            }
        }
        if (!checked)
            fail_msg("%s has no test", row->operation);
    }
}

/* ---- execute: what is passed on ---- */

static const char *stdout_of(struct test_server *ts, const char *json, struct reply *r)
{
    reply_done(r);
    execute(ts, json, r);
    if (r->status != 200)
        fail_msg("%s: %d %s", json, r->status, buf_str(&r->body));
    return reply_string(r, "stdout");
}

static void test_every_field_reaches_the_host(void **state)
{
    auto_reply struct reply r = {0};
    assert_string_equal(
        stdout_of(*state,
                  "{\"language\":\"py\",\"code\":\"echo\",\"timeout\":300,\"args\":[\"a b\",\"\"],"
                  "\"stdin\":\"in\",\"env\":{\"K\":\"v=w\"},\"files\":{\"d/f\":\"x\"}}",
                  &r),
        "language python\ntimeout 300000\ncode_len 4\narg a b\narg \nenv K=v=w\nfile d/f=x\n"
        "stdin data=in\n");
    assert_string_equal(
        stdout_of(*state,
                  "{\"language\":\"c\",\"code\":\"echo\",\"limits\":{\"memory_mb\":64,"
                  "\"processes\":7,\"file_size_mb\":2,\"output_kb\":3}}",
                  &r),
        "language c\ntimeout 30000\ncode_len 4\nlimits 67108864 7 2097152 3072\n");
    assert_string_equal(stdout_of(*state, "{\"language\":\"c\",\"code\":\"echo\"}", &r),
                        "language c\ntimeout 30000\ncode_len 4\n");
    /* Programs and data may hold NUL. */
    assert_string_equal(stdout_of(*state, "{\"language\":\"c\",\"code\":\"echo\\u0000z\"}", &r),
                        "language c\ntimeout 30000\ncode_len 6\n");
    assert_string_equal(
        stdout_of(*state,
                  "{\"language\":\"c\",\"code\":\"echo\",\"files\":[{\"name\":\"f\",\"content\":"
                  "\"eA==\"}],\"files_encoding\":\"base64\",\"stdin\":\"aW4=\","
                  "\"stdin_encoding\":\"base64\"}",
                  &r),
        "language c\ntimeout 30000\ncode_len 4\nfile f=x\nstdin data=in\n");
}

/* Without code one of the files is the program, and the others are beside it. */
static void test_which_file_is_the_program(void **state)
{
    static const struct {
        const char *json;
        const char *says;
    } rows[] = {
        {"{\"a.txt\":\"1\",\"b.py\":\"2\",\"main.py\":\"echo\",\"z.py\":\"3\"}",
         "code_len 4\nfile a.txt=1\nfile b.py=2\nfile z.py=3\n"},
        {"{\"a.txt\":\"1\",\"b.py\":\"echo\",\"z.py\":\"3\"}",
         "code_len 4\nfile a.txt=1\nfile z.py=3\n"},
        {"[{\"name\":\"script\",\"content\":\"echo\"},{\"name\":\"x\",\"content\":\"1\"}]",
         "code_len 4\nfile x=1\n"},
        {"{\".py\":\"echo\",\"x\":\"1\"}", "code_len 4\nfile x=1\n"},
    };
    auto_reply struct reply r = {0};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char json[512], want[256];
        snprintf(json, sizeof(json), "{\"language\":\"py\",\"files\":%s}", rows[i].json);
        snprintf(want, sizeof(want), "language python\ntimeout 30000\n%s", rows[i].says);
        assert_string_equal(stdout_of(*state, json, &r), want);
    }
    /* Code counts more than files, no code at all is none; but an empty program is one. */
    assert_string_equal(
        stdout_of(*state, "{\"language\":\"py\",\"code\":\"echo\",\"files\":{\"main.py\":\"1\"}}",
                  &r),
        "language python\ntimeout 30000\ncode_len 4\nfile main.py=1\n");
    assert_string_equal(
        stdout_of(*state, "{\"language\":\"py\",\"code\":\"\",\"files\":{\"main.py\":\"echo\"}}",
                  &r),
        "language python\ntimeout 30000\ncode_len 4\n");
    stdout_of(*state, "{\"language\":\"py\",\"code\":\"\"}", &r);
    assert_string_equal(reply_string(&r, "stderr"), "what?\n");
}

static void test_outcomes(void **state)
{
    auto_reply struct reply r = {0};
    assert_string_equal(stdout_of(*state, "{\"language\":\"py\",\"code\":\"bytes\"}", &r),
                        "a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbdz");
    /* The NUL and what follows it are there too. */
    assert_int_equal(json_string_length(json_object_get(r.json, "stdout")), 12);
    assert_string_equal(
        stdout_of(*state, "{\"language\":\"py\",\"code\":\"bytes\",\"output_encoding\":\"base64\"}",
                  &r),
        "Yf/DqeKCegBi");
    assert_string_equal(stdout_of(*state, "{\"language\":\"py\",\"code\":\"timeout\"}", &r),
                        "so far");
    assert_string_equal(reply_string(&r, "stderr"), "\nExecution timed out");
    assert_true(json_is_true(json_object_get(r.json, "timed_out")));
    assert_int_equal(json_integer_value(json_object_get(r.json, "exit_code")), 124);
    stdout_of(*state, "{\"language\":\"py\",\"code\":\"signal\"}", &r);
    assert_string_equal(reply_string(&r, "signal"), "SIGSEGV");
    assert_null(json_object_get(r.json, "timed_out"));
    assert_null(json_object_get(r.json, "stdout_truncated"));
    assert_int_equal(strlen(stdout_of(*state, "{\"language\":\"py\",\"code\":\"flood\"}", &r)),
                     RUN_OUTPUT_MAX_BYTES);
    assert_true(json_is_true(json_object_get(r.json, "stdout_truncated")));
    assert_true(json_is_true(json_object_get(r.json, "stderr_truncated")));
    stdout_of(*state, "{\"language\":\"py\",\"code\":\"starved\"}", &r);
    assert_true(json_is_true(json_object_get(r.json, "out_of_memory")));
    assert_int_equal(json_integer_value(json_object_get(r.json, "cpu_time_us")), 1500000);
    assert_int_equal(json_integer_value(json_object_get(r.json, "memory_peak_kb")), 65536);
    stdout_of(*state, "{\"language\":\"py\",\"code\":\"no such\"}", &r);
    assert_null(json_object_get(r.json, "out_of_memory"));
    assert_int_equal(json_integer_value(json_object_get(r.json, "exit_code")), 1);
    assert_string_equal(reply_string(&r, "stderr"), "what?\n");
}

/* ---- execute: what is refused ---- */

struct mistake {
    const char *json;
    int status;
    const char *field;
    const char *says;
};

#define PY "{\"language\":\"python\",\"code\":\"hello\","

static const struct mistake mistakes[] = {
    {"", 400, "", "the request body is empty"},
    {"[]", 400, "", "must be a JSON object"},
    {"{\"language\":\"python\"", 400, "", "line 1, column"},
    {"{\"code\":\"x\"}", 400, "language", "missing required field \"language\""},
    {"{\"language\":\"python\"}", 400, "code", "either 'code' or 'files' must be provided"},
    {"{\"language\":\"python\",\"files\":{}}", 400, "code", "either 'code' or 'files'"},
    {"{\"language\":7,\"code\":\"x\"}", 400, "language", "must be a string"},
    {"{\"language\":\"python\",\"code\":7}", 400, "code", "must be a string"},
    {"{\"language\":\"pyhton\",\"code\":\"x\"}", 404, "language", "language not found: pyhton"},
    {"{\"language\":\"ruby2\",\"code\":\"x\"}", 404, "language", "language not found: ruby2"},
    {"{\"language\":\"slow\",\"code\":\"x\"}", 503, "", "slow is still being prepared"},
    {"{\"language\":\"gone\",\"code\":\"x\"}", 502, "",
     "gone cannot run yet: its image is not here"},
    {"{\"language\":\"broken\",\"code\":\"x\"}", 502, "", "it never said hello"},
    {PY "\"timeout\":0}", 400, "timeout", "from 1 to 300, not 0"},
    {PY "\"timeout\":301}", 400, "timeout", "from 1 to 300, not 301"},
    {PY "\"timeout\":\"30\"}", 400, "timeout", "an integer, not a string"},
    {PY "\"args\":\"x\"}", 400, "args", "an array of strings"},
    {PY "\"args\":[1]}", 400, "args[0]", "must be a string"},
    {PY "\"env\":[]}", 400, "env", "an object whose values"},
    {PY "\"env\":{\"A\":1}}", 400, "env[\"A\"]", "must be a string"},
    {PY "\"files\":\"x\"}", 400, "files", "an object of names and contents"},
    {PY "\"files\":{\"f\":1}}", 400, "files[\"f\"]", "must be a string"},
    {PY "\"files\":{\"f\":\"!\"},\"files_encoding\":\"base64\"}", 400, "files[\"f\"]",
     "not valid base64"},
    {PY "\"stdin\":1}", 400, "stdin", "must be a string or an array of strings, not an integer"},
    {PY "\"stdin\":[]}", 400, "stdin", "must not be empty"},
    {PY "\"stdin\":[\"\",1]}", 400, "stdin[1]", "must be a string"},
    {PY "\"stdin\":[\"\",\"!\"],\"stdin_encoding\":\"base64\"}", 400, "stdin[1]",
     "not valid base64"},
    {PY "\"limits\":1}", 400, "limits", "must be an object"},
    {PY "\"limits\":{\"memory_m\":64}}", 400, "limits.memory_m",
     "did you mean \"limits.memory_mb\"?"},
    {PY "\"limits\":{\"memory_mb\":3}}", 400, "limits.memory_mb", "from 4 to 1048576, not 3"},
    {PY "\"limits\":{\"processes\":0}}", 400, "limits.processes", "from 1 to 1048576, not 0"},
    {PY "\"limits\":{\"file_size_mb\":1.5}}", 400, "limits.file_size_mb", "an integer"},
    {PY "\"limits\":{\"output_kb\":4097}}", 400, "limits.output_kb", "from 1 to 4096, not 4097"},
    {PY "\"stdin\":\"eA\",\"stdin_encoding\":\"base64\"}", 400, "stdin", "not valid base64"},
    {PY "\"stdin_encoding\":\"hex\"}", 400, "stdin_encoding", "one of \"utf-8\", \"base64\""},
    {PY "\"files_encoding\":1}", 400, "files_encoding", "must be a string"},
    {PY "\"output_encoding\":\"\"}", 400, "output_encoding", "one of \"utf-8\", \"base64\""},
    {PY "\"timout\":30}", 400, "timout", "did you mean \"timeout\"?"},
    {PY "\"code\":\"again\"}", 400, "code", "comes twice"},
    {"{\"language\":\"python\",\"code\":\"full\"}", 503, "", "no room"},
    {"{\"language\":\"python\",\"code\":\"unavailable\"}", 502, "", "the machine died"},
    {"{\"language\":\"python\",\"code\":\"internal\"}", 500, "", "write the overlay"},
    {"{\"language\":\"python\",\"code\":\"silent\"}", 500, "", "execute: No space left"},
    {"{\"language\":\"python\",\"code\":\"invalid-file\"}", 400, "files", "leaves the directory"},
};

static void test_every_mistake_is_named(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
        const struct mistake *m = &mistakes[i];
        auto_reply struct reply r = {0};
        execute(*state, m->json, &r);
        if (r.status != m->status || strcmp(reply_string(&r, "field"), m->field) != 0 ||
            !strstr(reply_string(&r, "error"), m->says))
            fail_msg("%s: %d %s", m->json, r.status, buf_str(&r.body));
        assert_string_equal(reply_string(&r, "status"), "failed");
    }
}

static void test_what_was_meant(void **state)
{
    static const struct {
        const char *language, *meant;
    } rows[] = {{"pyhton", "python"}, {"py4", "python"}, {"ruby2", NULL}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_reply struct reply r = {0};
        char json[64], error[64];
        snprintf(json, sizeof(json), "{\"language\":\"%s\",\"code\":\"x\"}", rows[i].language);
        snprintf(error, sizeof(error), "language not found: %s", rows[i].language);
        execute(*state, json, &r);
        assert_string_equal(reply_string(&r, "error"), error);
        const json_t *meant = json_object_get(r.json, "suggestion");
        assert_true(rows[i].meant ? json_is_string(meant) : !meant);
        if (rows[i].meant)
            assert_string_equal(json_string_value(meant), rows[i].meant);
    }
}

static void test_retry_after(void **state)
{
    auto_reply struct reply r = {0};
    execute(*state, "{\"language\":\"py\",\"code\":\"full\"}", &r);
    assert_string_equal(reply_header(&r, "Retry-After"), "7");
    reply_done(&r);
    execute(*state, "{\"language\":\"slow\",\"code\":\"x\"}", &r);
    assert_string_equal(reply_header(&r, "Retry-After"), "5");
}

/* One field of `len` bytes, written as 6-byte escapes where that is asked for. */
static void execute_with(struct test_server *ts, const char *before, size_t len, const char *after,
                         struct reply *ret)
{
    auto_buf struct buf b = {0};
    buf_append_str(&b, before);
    char *room = buf_reserve(&b, len);
    memset(room, 'A', len);
    b.len += len;
    buf_append_str(&b, after);
    reply_done(ret);
    execute(ts, b.data, ret);
}

static void refused_as_too_large(const struct reply *r, const char *field)
{
    assert_int_equal(r->status, 413);
    assert_string_equal(reply_string(r, "field"), field);
    assert_non_null(strstr(reply_string(r, "error"), "more than"));
}

static void test_bounds_at_their_edges(void **state)
{
    static const char before_stdin[] = "{\"language\":\"c\",\"code\":\"hello\",\"stdin\":\"";
    static const char in_base64[] = "\",\"stdin_encoding\":\"base64\"}";
    static const char before_file[] = "{\"language\":\"c\",\"code\":\"hello\",\"files\":{\"f\":\"";
    auto_reply struct reply r = {0};
    execute_with(*state, "{\"language\":\"c\",\"code\":\"", RUN_CODE_MAX_BYTES, "\"}", &r);
    assert_int_equal(r.status, 200);
    execute_with(*state, "{\"language\":\"c\",\"code\":\"", RUN_CODE_MAX_BYTES + 1, "\"}", &r);
    refused_as_too_large(&r, "code");
    execute_with(*state, before_stdin, RUN_STDIN_MAX_BYTES, "\"}", &r);
    assert_int_equal(r.status, 200);
    execute_with(*state, before_stdin, RUN_STDIN_MAX_BYTES + 1, "\"}", &r);
    refused_as_too_large(&r, "stdin");
    /* Base64 of so many bytes is a third longer, and is judged by what it means. */
    execute_with(*state, before_stdin, RUN_STDIN_MAX_BYTES / 3 * 4, in_base64, &r);
    assert_int_equal(r.status, 200);
    execute_with(*state, before_stdin, RUN_STDIN_MAX_BYTES / 3 * 4 + 4, in_base64, &r);
    refused_as_too_large(&r, "stdin");
    execute_with(*state, before_file, RUN_FILES_MAX_BYTES - 1, "\"}}", &r);
    assert_int_equal(r.status, 200);
    execute_with(*state, before_file, RUN_FILES_MAX_BYTES, "\"}}", &r);
    refused_as_too_large(&r, "files");
}

/* ---- a client that leaves ---- */

static void wait_for(sem_t *s)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += TEST_PATIENCE_MS / 1000;
    assert_int_equal(sem_timedwait(s, &until), 0);
}

static int start_execute(struct test_server *ts, const char *code, const char *accept)
{
    int fd = client_connect(ts);
    char text[512], body[128];
    snprintf(body, sizeof(body), "{\"language\":\"python\",\"code\":\"%s\"}", code);
    snprintf(text, sizeof(text),
             "POST /api/v1/execute HTTP/1.1\r\nHost: localhost\r\nAccept: %s\r\nContent-Type: "
             "application/json; charset=utf-8\r\nContent-Length: %zu\r\n\r\n%s",
             accept, strlen(body), body);
    client_send_text(fd, text);
    return fd;
}

static void test_a_vanished_client_cancels_its_run(void **state)
{
    int fd = start_execute(*state, "block", "*/*");
    wait_for(&stub_started);
    close(fd);
    wait_for(&stub_cancelled);
    fd = start_execute(*state, "block", "application/x-ndjson");
    wait_for(&stub_started);
    close(fd);
    wait_for(&stub_cancelled);
    /* One that is streamed to already, and does not read. */
    fd = start_execute(*state, "endless", "application/x-ndjson");
    wait_for(&stub_started);
    auto_reply struct reply r = {0};
    auto_buf struct buf rest = {0};
    client_read_head(fd, &r, &rest);
    assert_int_equal(r.status, 200);
    close(fd);
    wait_for(&stub_cancelled);
}

/* ---- streams ---- */

static void stream_lines(struct test_server *ts, const char *code, struct buf *ret)
{
    auto_close int fd = start_execute(ts, code, "text/html, application/x-ndjson;q=0.9");
    auto_reply struct reply r = {0};
    auto_line_reader struct line_reader lr = {.fd = fd};
    client_read_head(fd, &r, &lr.raw);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_header(&r, "Content-Type"), "application/x-ndjson");
    auto_buf struct buf line = {0};
    while (line_read(&lr, &line)) {
        buf_append(ret, line.data, line.len);
        buf_append_str(ret, "\n");
    }
}

static void test_events_come_in_order(void **state)
{
    auto_buf struct buf lines = {0};
    stream_lines(*state, "events", &lines);
    assert_string_equal(lines.data, "{\"t\":\"o\",\"d\":\"bzE=\"}\n{\"t\":\"e\",\"d\":\"ZTE=\"}\n"
                                    "{\"t\":\"o\",\"d\":\"bzI=\"}\n"
                                    "{\"t\":\"x\",\"c\":0,\"ms\":45,\"load_ms\":125,"
                                    "\"cpu_time_us\":0,\"memory_peak_kb\":0}\n");
    buf_clear(&lines);
    stream_lines(*state, "timeout", &lines);
    assert_string_equal(lines.data,
                        "{\"t\":\"o\",\"d\":\"c28gZmFy\"}\n{\"t\":\"x\",\"c\":124,\"ms\":45,"
                        "\"load_ms\":125,\"to\":true,\"cpu_time_us\":0,\"memory_peak_kb\":0,"
                        "\"signal\":\"SIGKILL\",\"timed_out\":true}\n");
    buf_clear(&lines);
    stream_lines(*state, "half", &lines);
    assert_string_equal(lines.data,
                        "{\"t\":\"o\",\"d\":\"aGFsZg==\"}\n{\"t\":\"error\",\"status\":502,"
                        "\"error\":\"the machine died\"}\n");
}

static void test_a_failure_before_output_has_its_own_status(void **state)
{
    auto_reply struct reply r = {0};
    request(*state, "POST", "/api/v1/execute",
            "Accept: application/x-ndjson\r\nContent-Type: application/json\r\n",
            "{\"language\":\"py\",\"code\":\"full\"}", &r);
    assert_int_equal(r.status, 503);
    assert_string_equal(reply_header(&r, "Retry-After"), "7");
    assert_string_equal(reply_string(&r, "error"), "no room for another machine");
}

/* Lines arrive while the program still runs: the last event comes only after stub_release. */
static void test_events_are_not_held_back(void **state)
{
    auto_close int fd = start_execute(*state, "endless", "application/x-ndjson");
    auto_reply struct reply r = {0};
    auto_line_reader struct line_reader lr = {.fd = fd};
    client_read_head(fd, &r, &lr.raw);
    auto_buf struct buf line = {0};
    assert_true(line_read(&lr, &line));
    assert_string_equal(line.data, "{\"t\":\"o\",\"d\":\"bW9yZQo=\"}");
    stub_release();
    while (line_read(&lr, &line))
        ;
    assert_non_null(strstr(line.data, "\"t\":\"x\""));
    wait_for(&stub_started);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_every_field_reaches_the_host),
        cmocka_unit_test(test_which_file_is_the_program),
        cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_every_mistake_is_named),
        cmocka_unit_test(test_what_was_meant),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_bounds_at_their_edges),
        cmocka_unit_test(test_a_vanished_client_cancels_its_run),
        cmocka_unit_test(test_events_come_in_order),
        cmocka_unit_test(test_a_failure_before_output_has_its_own_status),
        cmocka_unit_test(test_events_are_not_held_back),
    };
    return cmocka_run_group_tests(tests, test_setup, test_teardown);
}
