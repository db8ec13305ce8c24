/* SPDX-License-Identifier: Apache-2.0 */

/* Files over HTTP: straight, and staged. */

#include "api/native/test_util.h"
#include "base/limits.h"
#include "host/staging.h"

#define GET(p)                  \
    &(struct call)              \
    {                           \
        "GET", p, .status = 200 \
    }
#define REFUSED(m, p, s)  \
    &(struct call)        \
    {                     \
        m, p, .status = s \
    }

/* A body that is no JSON. */
static void put(struct native *n, const char *path, const char *type, const char *body,
                struct reply *r)
{
    char full[512], headers[256];
    snprintf(full, sizeof(full), "/v1/vms/%s/files?path=%s", n->vm, path);
    snprintf(headers, sizeof(headers), "X-API-Key: " STUB_ADMIN_KEY "\r\nContent-Type: %s\r\n",
             type);
    reply_done(r);
    request(&n->ts, "PUT", full, headers, body, r);
}

static void test_round_trip(void **state)
{
    auto_reply struct reply r = {0};
    put(*state, "/a/b%20c&mode=0755&uid=1&gid=2", "application/octet-stream", "content", &r);
    assert_int_equal(r.status, 201);
    assert_string_equal(text_at(&r, "path"), "/a/b c");
    assert_int_equal(number_at(&r, "size"), 7);
    vm_call(*state, GET("/files?path=/a/b%20c"), &r);
    assert_string_equal(buf_str(&r.body), "content");
    assert_string_equal(reply_header(&r, "Content-Type"), "application/octet-stream");
    assert_string_equal(reply_header(&r, "Content-Length"), "7");
    vm_call(*state, GET("/files?path=/a/b%20c&stat=1"), &r);
    assert_string_equal(text_at(&r, "type"), "file");
    assert_string_equal(text_at(&r, "mode"), "0755");
    assert_int_equal(number_at(&r, "size"), 7);
    assert_int_equal(number_at(&r, "mtimeMs"), 1700000000123);
    assert_string_equal(reply_header(&r, "Content-Type"), "application/json");
    put(*state, "/a/b%20c", "application/octet-stream", "", &r);
    vm_call(*state, GET("/files?path=/a/b%20c&stat=1"), &r);
    assert_int_equal(number_at(&r, "size"), 0);
    assert_string_equal(text_at(&r, "mode"), "0644");
    vm_call(*state, &(struct call){"DELETE", "/files?path=/a/b%20c", .status = 200}, &r);
    assert_true(json_is_true(value_at(r.json, "deleted")));
    vm_call(*state, REFUSED("GET", "/files?path=/a/b%20c", 404), &r);
    assert_error(&r, "not_found", "");
    vm_call(*state, REFUSED("DELETE", "/files?path=/a/b%20c", 404), &r);
}

static void range_is(struct native *n, const char *range, int status, const char *body,
                     const char *content_range)
{
    auto_reply struct reply r = {0};
    char header[64];
    snprintf(header, sizeof(header), "Range: %s\r\n", range);
    vm_call(n, &(struct call){"GET", "/files?path=/f", .headers = header, .status = status}, &r);
    if (body)
        assert_string_equal(buf_str(&r.body), body);
    if (content_range)
        assert_string_equal(reply_header(&r, "Content-Range"), content_range);
}

static void test_ranges(void **state)
{
    auto_reply struct reply r = {0};
    put(*state, "/f", "text/plain", "0123456789", &r);
    range_is(*state, "bytes=2-4", 206, "234", "bytes 2-4/10");
    range_is(*state, "bytes=8-", 206, "89", "bytes 8-9/10");
    range_is(*state, "bytes=-3", 206, "789", "bytes 7-9/10");
    range_is(*state, "lines=1-2", 200, "0123456789", NULL);
    range_is(*state, "bytes=10-", 416, NULL, "bytes */10");
    vm_call(*state, &(struct call){"HEAD", "/files?path=/f", .status = 200}, &r);
    assert_string_equal(reply_header(&r, "Content-Length"), "10");
    assert_int_equal(r.body.len, 0);
    vm_call(*state, &(struct call){"HEAD", "/files?path=/dir", .status = 200}, &r);
    assert_string_equal(reply_header(&r, "Content-Type"), "application/x-tar");
    vm_call(*state, &(struct call){"HEAD", "/files?path=/link", .status = 200}, &r);
    vm_call(*state, REFUSED("HEAD", "/files?path=/nothing", 404), &r);
}

static void test_other_than_files(void **state)
{
    auto_reply struct reply r = {0};
    vm_call(*state, GET("/files?path=/dir"), &r);
    assert_string_equal(buf_str(&r.body), "tar of /dir");
    assert_string_equal(reply_header(&r, "Content-Type"), "application/x-tar");
    vm_call(*state, GET("/files?path=/link"), &r);
    assert_string_equal(buf_str(&r.body), "what it says");
    vm_call(*state, GET("/files?path=/dirlink"), &r);
    assert_string_equal(buf_str(&r.body), "tar of /dirlink");
    vm_call(*state, GET("/files?path=/proc"), &r);
    assert_string_equal(buf_str(&r.body), "what it says");
    vm_call(*state, REFUSED("GET", "/files?path=/dev", 409), &r);
    assert_error(&r, "conflict", "");
    vm_call(*state, GET("/files?path=/dir&list=1"), &r);
    assert_string_equal(text_at(&r, "entries.0.path"), "/dir/a b");
    assert_string_equal(text_at(&r, "entries.0.name"), "a b");
    assert_string_equal(text_at(&r, "entries.0.mode"), "0755");
    vm_call(*state, GET("/files?path=/&list=true"), &r);
    assert_string_equal(text_at(&r, "entries.0.path"), "/a b");
    put(*state, "/into", "application/x-tar", "pretend", &r);
    assert_int_equal(r.status, 201);
    assert_int_equal(number_at(&r, "size"), 7);
}

static void test_refused(void **state)
{
    static const struct {
        const char *path, *field;
    } bad[] = {
        {"/files", "path"},
        {"/files?path=", "path"},
        {"/files?path=a", "path"},
        {"/files?path=/a%00", ""},
        {"/files?path=/a&mode=0644", "mode"},
        {"/files?path=/a&path=/b", "path"},
        {"/files?path=/a&stat=maybe", "stat"},
    };
    auto_reply struct reply r = {0};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        vm_call(*state, REFUSED("GET", bad[i].path, 400), &r);
        assert_string_equal(text_at(&r, "error.code"), "invalid");
        if (*bad[i].field)
            assert_error(&r, "invalid", bad[i].field);
    }
    static const char *const modes[] = {"8", "10000", "x", "", "-1"};
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        char path[64];
        snprintf(path, sizeof(path), "/a&mode=%s", modes[i]);
        put(*state, path, "text/plain", "x", &r);
        assert_int_equal(r.status, 400);
        assert_error(&r, "invalid", "mode");
    }
    put(*state, "/full", "text/plain", "x", &r);
    assert_int_equal(r.status, 413);
    assert_string_equal(text_at(&r, "message"), "the guest's disk is full");
    put(*state, "/readonly", "text/plain", "x", &r);
    assert_int_equal(r.status, 409);
    vm_call(*state, REFUSED("GET", "/files?path=/readonly&stat=1", 404), &r);
}

/* A transfer that is stuck in the guest ends when its client goes. */
static void leave_in_the_middle(struct native *n, const char *method, const char *more)
{
    auto_close int fd = client_connect(&n->ts);
    auto_buf struct buf b = {0};
    buf_printf(&b,
               "%s /v1/vms/%s/files?path=/block HTTP/1.1\r\nHost: localhost\r\n"
               "X-API-Key: " STUB_ADMIN_KEY "\r\n%s",
               method, n->vm, more);
    client_send(fd, b.data, b.len);
    sem_wait(&stub_started);
    close(TAKE_FD(fd));
    sem_wait(&stub_cancelled);
}

static void test_client_leaves(void **state)
{
    leave_in_the_middle(*state, "GET", "\r\n");
    leave_in_the_middle(*state, "PUT", "Content-Length: 100\r\n\r\nsome");
}

/* ---- staged ---- */

static void presign(struct native *n, struct reply *r)
{
    vm_call(n,
            &(struct call){"POST", "/files/presign", "{\"path\":\"/x\"}",
                           .headers = "Host: holm.example.org:8080\r\n", .status = 200},
            r);
}

/* The path of a URL of ours. */
static const char *path_of(const struct reply *r, const char *which)
{
    static const char base[] = "http://holm.example.org:8080";
    const char *url = text_at(r, which);
    assert_int_equal(strncmp(url, base, strlen(base)), 0);
    return url + strlen(base);
}

static void fetch(struct native *n, const char *url, const char *path, int status,
                  struct reply *ret)
{
    json_t *body = json_pack("{s:s, s:s, s:i}", "url", url, "path", path, "timeoutSec", 600);
    auto_free char *text = json_dumps(body, 0);
    json_decref(body);
    vm_call(n, &(struct call){"POST", "/files/fetch", text, .status = status}, ret);
}

static void upload(struct native *n, const char *path, const char *body, int status,
                   struct reply *ret)
{
    reply_done(ret);
    request(&n->ts, "PUT", path, "Content-Type: application/octet-stream\r\n", body, ret);
    assert_int_equal(ret->status, status);
}

static void test_staged(void **state)
{
    struct native *n = *state;
    auto_reply struct reply p = {0}, r = {0};
    presign(n, &p);
    assert_int_equal(number_at(&p, "expiresInSec"), STAGING_URL_S);
    assert_int_equal(number_at(&p, "maxUploadBytes"), 2 * GIB);
    const char *up = path_of(&p, "uploadUrl"), *down = path_of(&p, "downloadUrl");
    native_call(n, &(struct call){"GET", down, .key = "", .status = 404}, &r);
    fetch(n, text_at(&p, "downloadUrl"), "/got", 404, &r);

    upload(n, up, "staged bytes", 200, &r);
    assert_int_equal(number_at(&r, "size"), 12);
    native_call(n, &(struct call){"GET", down, .key = "", .status = 200}, &r);
    assert_string_equal(buf_str(&r.body), "staged bytes");
    native_call(
        n, &(struct call){"GET", down, .key = "", .headers = "Range: bytes=7-\r\n", .status = 206},
        &r);
    assert_string_equal(buf_str(&r.body), "bytes");
    native_call(n, &(struct call){"HEAD", down, .key = "", .status = 200}, &r);
    assert_string_equal(reply_header(&r, "Content-Length"), "12");

    fetch(n, text_at(&p, "downloadUrl"), "/got", 200, &r);
    assert_int_equal(number_at(&r, "exitCode"), 0);
    assert_true(json_is_false(value_at(r.json, "timedOut")));
    vm_call(n, GET("/files?path=/got"), &r);
    assert_string_equal(buf_str(&r.body), "staged bytes");

    /* Chunked, as a pipe is sent; a second upload replaces the first. */
    reply_done(&r);
    request(&n->ts, "PUT", up, "Transfer-Encoding: chunked\r\n\r\n4\r\nanew\r\n0\r\n", NULL, &r);
    assert_int_equal(r.status, 200);
    native_call(n, &(struct call){"GET", down, .key = "", .status = 200}, &r);
    assert_string_equal(buf_str(&r.body), "anew");
}

static void test_staged_refused(void **state)
{
    struct native *n = *state;
    auto_reply struct reply p = {0}, r = {0};
    presign(n, &p);
    const char *up = path_of(&p, "uploadUrl"), *down = path_of(&p, "downloadUrl");
    native_call(n, &(struct call){"GET", up, .key = "", .status = 403}, &r);
    assert_error(&r, "forbidden", "");
    upload(n, down, "x", 403, &r);
    native_call(n, &(struct call){"GET", "/v1/staging/key?max=0", .key = "", .status = 403}, &r);

    static const char *const foreign[] = {"http://elsewhere/x", "http://a/v1/staging/",
                                          "http://a/v1/staging/aaaaaaaaaaaaaaaaaaaa", "", "?"};
    for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
        fetch(n, foreign[i], "/x", 400, &r);
        assert_error(&r, "invalid", "url");
    }
    fetch(n, "http://a/v1/staging/aaaaaaaaaaaaaaaaaaaa?max=0", "/x", 403, &r);
    fetch(n, text_at(&p, "downloadUrl"), "x", 400, &r);
    assert_error(&r, "invalid", "path");
}

/* Another account's URL cannot be fetched, though it could be read. */
static void test_staged_of_another_account(void **state)
{
    struct native *n = *state;
    auto_reply struct reply p = {0}, r = {0};
    presign(n, &p);
    upload(n, path_of(&p, "uploadUrl"), "secret", 200, &r);
    native_call(n, &(struct call){"POST", "/v1/vms", "{}", .key = STUB_BOB_KEY, .status = 201}, &r);
    char path[128], body[2048];
    snprintf(path, sizeof(path), "/v1/vms/%s/files/fetch", text_at(&r, "id"));
    snprintf(body, sizeof(body), "{\"url\":\"%s\",\"path\":\"/x\"}", text_at(&p, "downloadUrl"));
    native_call(n, &(struct call){"POST", path, body, .key = STUB_BOB_KEY, .status = 404}, &r);
    assert_error(&r, "not_found", "");
}

static void test_staged_too_large(void **state)
{
    struct native *n = *state;
    struct staging_ticket t;
    auto_reply struct reply r = {0};
    assert_int_equal(staging_sign(host_staging(NULL), STUB_ADMIN, 5, &t, NULL), 0);
    char path[512];
    snprintf(path, sizeof(path), "/v1/staging/%s?%s", t.object, t.upload_query);
    upload(n, path, "123456", 413, &r);
    assert_error(&r, "too_large", "");
    snprintf(path, sizeof(path), "/v1/staging/%s?%s", t.object, t.download_query);
    native_call(n, &(struct call){"GET", path, .key = "", .status = 404}, &r);
}

/* The watch ends a fetch that takes too long. */
static void test_fetch_times_out(void **state)
{
    struct native *n = *state;
    auto_reply struct reply p = {0}, r = {0};
    presign(n, &p);
    upload(n, path_of(&p, "uploadUrl"), "x", 200, &r);
    char body[2048];
    snprintf(body, sizeof(body), "{\"url\":\"%s\",\"path\":\"/block\",\"timeoutSec\":0.01}",
             text_at(&p, "downloadUrl"));
    vm_call(n, &(struct call){"POST", "/files/fetch", body, .status = 200}, &r);
    assert_int_equal(number_at(&r, "exitCode"), 124);
    assert_true(json_is_true(value_at(r.json, "timedOut")));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, native_setup, native_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip),       TEST(test_ranges),
        TEST(test_other_than_files), TEST(test_refused),
        TEST(test_client_leaves),    TEST(test_staged),
        TEST(test_staged_refused),   TEST(test_staged_of_another_account),
        TEST(test_staged_too_large), TEST(test_fetch_times_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
