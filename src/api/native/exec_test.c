/* SPDX-License-Identifier: Apache-2.0 */

/* Commands over HTTP: buffered, streamed, in the background. */

#include "api/native/test_util.h"
#include "base/base64.h"
#include "base/limits.h"

#define RUNNING "runningrunningrunnin"
#define ENDED "endedendedendedended"

static void exec(struct native *n, const char *body, int status, struct reply *r)
{
    vm_call(n, &(struct call){"POST", "/exec", body, .status = status}, r);
}

static void test_buffered(void **state)
{
    auto_reply struct reply r = {0};
    exec(*state, "{\"command\":[\"echo\",\"a\",\"b c\"]}", 200, &r);
    assert_int_equal(number_at(&r, "exitCode"), 0);
    assert_string_equal(text_at(&r, "stdout"), "a b c\n");
    assert_string_equal(text_at(&r, "stderr"), "");
    assert_int_equal(number_at(&r, "durationMs"), 45);
    assert_true(json_is_false(value_at(r.json, "timedOut")));
    assert_true(json_is_false(value_at(r.json, "stdoutTruncated")));
    exec(*state, "{\"command\":[\"err\",\"oops\"]}", 200, &r);
    assert_string_equal(text_at(&r, "stderr"), "oops\n");
    exec(*state, "{\"command\":[\"exit\",\"3\"]}", 200, &r);
    assert_int_equal(number_at(&r, "exitCode"), 3);
    exec(*state, "{\"command\":[\"kill\"]}", 200, &r);
    assert_int_equal(number_at(&r, "exitCode"), 137);
    exec(*state, "{\"command\":[\"timeout\"],\"timeoutSec\":1}", 200, &r);
    assert_int_equal(number_at(&r, "exitCode"), 124);
    assert_true(json_is_true(value_at(r.json, "timedOut")));
    exec(*state, "{\"command\":[\"bytes\"]}", 200, &r);
    json_t *out = value_at(r.json, "stdout");
    assert_int_equal(json_string_length(out), 8);
    assert_memory_equal(json_string_value(out), "a\xef\xbf\xbd\xc3\xa9\0z", 8);
}

static void test_what_is_passed_on(void **state)
{
    auto_reply struct reply r = {0};
    exec(*state,
         "{\"command\":[\"show\"],\"cwd\":\"/tmp\",\"user\":\"1000:100\",\"timeoutSec\":1.5,"
         "\"env\":{\"B\":\"2\",\"A\":\"1\"},\"stdin\":\"aGkA\"}",
         200, &r);
    json_t *out = value_at(r.json, "stdout");
    static const char want[] =
        "cwd=/tmp user=1000:100 env={\"A\": \"1\", \"B\": \"2\"} timeout=1500 stdin=hi\0";
    assert_int_equal(json_string_length(out), sizeof(want) - 1);
    assert_memory_equal(json_string_value(out), want, sizeof(want) - 1);
    exec(*state, "{\"command\":[\"show\"],\"timeoutSec\":0,\"stdin\":\"\",\"env\":null}", 200, &r);
    assert_string_equal(text_at(&r, "stdout"), "cwd=- user=- env=- timeout=0 stdin=");
}

static void test_flood_is_cut(void **state)
{
    auto_reply struct reply r = {0};
    exec(*state, "{\"command\":[\"flood\"]}", 200, &r);
    assert_int_equal(json_string_length(value_at(r.json, "stdout")), EXEC_OUTPUT_MAX_BYTES);
    assert_true(json_is_true(value_at(r.json, "stdoutTruncated")));
    assert_true(json_is_false(value_at(r.json, "stderrTruncated")));
    assert_string_equal(text_at(&r, "stderr"), "that was 5 MiB");
}

static void test_refused(void **state)
{
    static const struct {
        const char *body, *field;
        int status;
    } bad[] = {
        {"{}", "command", 400},
        {"{\"command\":[]}", "command", 400},
        {"{\"command\":[\"\"]}", "command[0]", 400},
        {"{\"command\":\"ls\"}", "command", 400},
        {"{\"command\":[\"a\",1]}", "command[1]", 400},
        {"{\"command\":[\"a\\u0000\"]}", "command[0]", 400},
        {"{\"command\":[\"a\"],\"stdin\":\"?\"}", "stdin", 400},
        {"{\"command\":[\"a\"],\"cwd\":\"tmp\"}", "cwd", 400},
        {"{\"command\":[\"a\"],\"timeoutSec\":-1}", "timeoutSec", 400},
        {"{\"command\":[\"a\"],\"timeoutSec\":604801}", "timeoutSec", 400},
        {"{\"command\":[\"a\"],\"env\":{\"1\":\"x\"}}", "env[\"1\"]", 400},
        {"{\"command\":[\"a\"],\"timeout\":1}", "timeout", 400},
        {"{\"command\":[\"none\"]}", "", 404},
    };
    auto_reply struct reply r = {0};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        exec(*state, bad[i].body, bad[i].status, &r);
        assert_error(&r, bad[i].status == 400 ? "invalid" : "not_found", bad[i].field);
    }
    vm_call(*state, &(struct call){"POST", "/pause", .status = 200}, &r);
    exec(*state, "{\"command\":[\"echo\"]}", 409, &r);
    assert_error(&r, "conflict", "");
}

/* A client that goes away ends its command. */
static void test_client_leaves(void **state)
{
    struct native *n = *state;
    static const char body[] = "{\"command\":[\"block\"]}";
    static const char *const accepts[] = {"application/json", "application/x-ndjson"};
    for (size_t i = 0; i < ARRAY_SIZE(accepts); i++) {
        auto_close int fd = client_connect(&n->ts);
        auto_buf struct buf b = {0};
        buf_printf(&b,
                   "POST /v1/vms/%s/exec HTTP/1.1\r\nHost: localhost\r\nAccept: %s\r\n"
                   "X-API-Key: " STUB_ADMIN_KEY "\r\nContent-Type: application/json\r\n"
                   "Content-Length: %zu\r\n\r\n%s",
                   n->vm, accepts[i], strlen(body), body);
        client_send(fd, b.data, b.len);
        sem_wait(&stub_started);
        close(TAKE_FD(fd));
        sem_wait(&stub_cancelled);
    }
}

/* ---- streamed ---- */

/* The events of a streamed answer: the output put together, and the last event. */
struct events {
    struct buf out[2];
    int n;
    long long last_off;
    json_t *end; /* NULL: none came */
};

static void events_done(struct events *ev)
{
    buf_done(&ev->out[0]);
    buf_done(&ev->out[1]);
    json_decref(ev->end);
    *ev = (struct events){0};
}

static void read_events(const struct reply *r, struct events *ret)
{
    events_done(ret);
    for (const char *p = buf_str(&r->body); *p;) {
        size_t len = strcspn(p, "\n");
        assert_int_equal(p[len], '\n');
        json_t *event = json_loadb(p, len, 0, NULL);
        const char *type = json_string_value(value_at(event, "t"));
        p += len + 1;
        ret->n++;
        assert_null(ret->end);
        if (*type == 'x') {
            ret->end = event;
            continue;
        }
        const char *data = json_string_value(value_at(event, "d"));
        ret->last_off = json_integer_value(json_object_get(event, "off"));
        assert_int_equal(base64_decode(data, strlen(data), &ret->out[*type == 'e']), 0);
        json_decref(event);
    }
}

static void stream(struct native *n, const char *body, struct events *ret)
{
    auto_reply struct reply r = {0};
    vm_call(n,
            &(struct call){"POST", "/exec", body, .headers = "Accept: application/x-ndjson\r\n",
                           .status = 200},
            &r);
    assert_string_equal(reply_header(&r, "Content-Type"), "application/x-ndjson");
    read_events(&r, ret);
}

static void test_streamed(void **state)
{
    CLEANUP(events_done) struct events ev = {0};
    stream(*state, "{\"command\":[\"echo\",\"hi\"]}", &ev);
    assert_string_equal(buf_str(&ev.out[0]), "hi\n");
    assert_int_equal(json_integer_value(value_at(ev.end, "ms")), 45);
    assert_null(json_object_get(ev.end, "c"));
    assert_null(json_object_get(ev.end, "to"));
    stream(*state, "{\"command\":[\"timeout\"]}", &ev);
    assert_int_equal(json_integer_value(value_at(ev.end, "c")), 124);
    assert_true(json_is_true(value_at(ev.end, "to")));
    stream(*state, "{\"command\":[\"flood\"]}", &ev);
    assert_int_equal(ev.out[0].len, 5 * MIB);
    assert_string_equal(buf_str(&ev.out[1]), "that was 5 MiB");
    /* What fails behind its output ends with an x that says so. */
    stream(*state, "{\"command\":[\"half\"]}", &ev);
    assert_string_equal(buf_str(&ev.out[0]), "half");
    assert_string_equal(json_string_value(value_at(ev.end, "d")), "the guest is gone");
    assert_int_equal(json_integer_value(value_at(ev.end, "c")), 126);
    auto_reply struct reply r = {0};
    vm_call(*state,
            &(struct call){"POST", "/exec", "{\"command\":[\"none\"]}",
                           .headers = "Accept: application/x-ndjson\r\n", .status = 404},
            &r);
    assert_error(&r, "not_found", "");
}

/* ---- in the background ---- */

static void job_path(const char *job, const char *end, char ret[256])
{
    char uuid[UUID_SIZE];
    uuid_from_id(job, uuid);
    snprintf(ret, 256, "/exec/%s%s", uuid, end);
}

static void job_call(struct native *n, const char *method, const char *job, const char *end,
                     struct reply *r)
{
    char path[256];
    job_path(job, end, path);
    vm_call(n, &(struct call){method, path}, r);
}

static void test_background(void **state)
{
    auto_reply struct reply r = {0};
    char uuid[UUID_SIZE];
    uuid_from_id(RUNNING, uuid);
    exec(*state, "{\"command\":[\"sleep\"],\"background\":true}", 202, &r);
    assert_string_equal(text_at(&r, "execId"), uuid);
    exec(*state, "{\"command\":[\"none\"],\"background\":true}", 404, &r);
    vm_call(*state, &(struct call){"GET", "/exec", .status = 200}, &r);
    assert_int_equal(json_array_size(r.json), 2);
    assert_string_equal(text_at(&r, "0.execId"), uuid);
    assert_true(json_is_true(value_at(r.json, "0.running")));
    assert_true(json_is_null(value_at(r.json, "0.exitCode")));
    assert_int_equal(number_at(&r, "1.exitCode"), 3);
    assert_string_equal(text_at(&r, "1.startedAt"), "2023-11-14T22:13:20.123Z");
    assert_int_equal(number_at(&r, "1.outputBytes"), 10);
    assert_int_equal(number_at(&r, "1.firstOffset"), 4);
    assert_string_equal(text_at(&r, "1.command.0"), "sleep");
    job_call(*state, "GET", ENDED, "", &r);
    assert_int_equal(number_at(&r, "durationMs"), 42);
    job_call(*state, "GET", "aaaaaaaaaaaaaaaaaaaa", "", &r);
    assert_int_equal(r.status, 404);
    vm_call(*state, &(struct call){"GET", "/exec/nothing", .status = 404}, &r);
}

static void test_background_output(void **state)
{
    auto_reply struct reply r = {0};
    CLEANUP(events_done) struct events ev = {0};
    job_call(*state, "GET", ENDED, "/output", &r);
    read_events(&r, &ev);
    assert_string_equal(buf_str(&ev.out[0]), "abc");
    assert_string_equal(buf_str(&ev.out[1]), "def");
    assert_int_equal(ev.last_off, 10);
    assert_int_equal(json_integer_value(value_at(ev.end, "c")), 3);
    job_call(*state, "GET", ENDED, "/output?offset=7", &r);
    read_events(&r, &ev);
    assert_string_equal(buf_str(&ev.out[0]), "");
    assert_string_equal(buf_str(&ev.out[1]), "def");
    job_call(*state, "GET", RUNNING, "/output?offset=10&follow=0", &r);
    read_events(&r, &ev);
    assert_int_equal(ev.n, 0);
    job_call(*state, "GET", RUNNING, "/output?offset=-1", &r);
    assert_error(&r, "invalid", "offset");
}

static void test_output_is_followed_until_the_reader_leaves(void **state)
{
    struct native *n = *state;
    char path[256];
    job_path(RUNNING, "/output", path);
    auto_close int fd = client_connect(&n->ts);
    auto_buf struct buf b = {0}, line = {0};
    buf_printf(
        &b, "GET /v1/vms/%s%s HTTP/1.1\r\nHost: localhost\r\nX-API-Key: " STUB_ADMIN_KEY "\r\n\r\n",
        n->vm, path);
    client_send(fd, b.data, b.len);
    auto_reply struct reply r = {0};
    auto_line_reader struct line_reader lr = {.fd = fd};
    client_read_head(fd, &r, &lr.raw);
    assert_true(line_read(&lr, &line));
    assert_string_equal(buf_str(&line), "{\"t\":\"o\",\"d\":\"YWJj\",\"off\":7}");
    sem_wait(&stub_started);
    close(TAKE_FD(fd));
    sem_wait(&stub_cancelled);
}

static void test_end_background(void **state)
{
    auto_reply struct reply r = {0};
    job_call(*state, "DELETE", ENDED, "", &r);
    assert_int_equal(r.status, 200);
    assert_true(json_is_true(value_at(r.json, "deleted")));
    job_call(*state, "DELETE", RUNNING, "", &r);
    assert_true(json_is_false(value_at(r.json, "deleted")));
    job_call(*state, "GET", RUNNING, "", &r);
    assert_string_equal(text_at(&r, "command.1"), "9");
    job_call(*state, "DELETE", RUNNING, "?signal=15", &r);
    job_call(*state, "GET", RUNNING, "", &r);
    assert_string_equal(text_at(&r, "command.1"), "15");
    job_call(*state, "DELETE", RUNNING, "?signal=65", &r);
    assert_error(&r, "invalid", "signal");
    job_call(*state, "DELETE", "aaaaaaaaaaaaaaaaaaaa", "", &r);
    assert_int_equal(r.status, 404);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, native_setup, native_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_buffered),
        TEST(test_what_is_passed_on),
        TEST(test_flood_is_cut),
        TEST(test_refused),
        TEST(test_client_leaves),
        TEST(test_streamed),
        TEST(test_background),
        TEST(test_background_output),
        TEST(test_output_is_followed_until_the_reader_leaves),
        TEST(test_end_background),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
