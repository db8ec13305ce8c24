/* SPDX-License-Identifier: Apache-2.0 */

/* What rows may ask of the server: keys, parameters, nested bodies, headers, parts of files. */

#include "api/api_test.h"

#include <errno.h>

#include "api/range.h"
#include "base/limits.h"

#define JSON_TYPE "Content-Type: application/json\r\n"

static void status_is(struct test_server *ts, const char *method, const char *path,
                      const char *headers, const char *body, int status)
{
    auto_reply struct reply r = {0};
    request(ts, method, path, headers, body, &r);
    if (r.status != status)
        fail_msg("%s %s: %d %s", method, path, r.status, buf_str(&r.body));
}

/* Sends a request and compares the whole body. */
static void body_is(struct test_server *ts, const char *method, const char *path, const char *body,
                    const char *want)
{
    auto_reply struct reply r = {0};
    request(ts, method, path, body ? JSON_TYPE : NULL, body, &r);
    if (strcmp(buf_str(&r.body), want) != 0)
        fail_msg("%s %s: %d %s", method, path, r.status, buf_str(&r.body));
}

/* ---- accounts ---- */

static int whose(void *arg, const char *key, char ret_account[ID_SIZE], bool *ret_admin,
                 struct err *e)
{
    if (strncmp(key, "key-of-", 7) != 0)
        return err_set(e, ERR_UNAUTHORIZED, "the API key is not valid");
    snprintf(ret_account, ID_SIZE, "%s", key + 7);
    *ret_admin = strcmp(ret_account, "root") == 0;
    return 0;
}

static void check_accounts(struct test_server *ts)
{
    auto_reply struct reply r = {0};
    request(ts, "GET", "/test/account", NULL, NULL, &r);
    assert_int_equal(r.status, 401);
    assert_string_equal(reply_header(&r, "WWW-Authenticate"), "Bearer");
    assert_non_null(strstr(buf_str(&r.body), "\"code\":\"unauthorized\""));
    status_is(ts, "GET", "/test/account", "X-API-Key: wrong\r\n", NULL, 401);
    reply_done(&r);
    request(ts, "GET", "/test/account", "X-API-Key: key-of-ann\r\n", NULL, &r);
    assert_string_equal(r.body.data, "{\"account\":\"ann\",\"admin\":false}\n");
    status_is(ts, "GET", "/test/admin", NULL, NULL, 401);
    reply_done(&r);
    request(ts, "GET", "/test/admin", "Authorization: Bearer key-of-ann\r\n", NULL, &r);
    assert_int_equal(r.status, 403);
    assert_non_null(strstr(r.body.data, "needs a key of an admin account"));
    reply_done(&r);
    request(ts, "GET", "/test/admin", "Authorization: Bearer key-of-root\r\n", NULL, &r);
    assert_string_equal(r.body.data, "{\"account\":\"root\",\"admin\":true}\n");
    /* A key is proof enough, whatever the name and the page. */
    status_is(ts, "GET", "/test/account",
              "Host: any.example\r\nOrigin: http://any.example:1\r\nX-API-Key: key-of-ann\r\n",
              NULL, 200);
    /* So is a signed URL. */
    status_is(ts, "GET", "/test/signed", "Host: any.example\r\n", NULL, 200);
}

static void test_accounts_on_an_open_listener(void **state)
{
    const struct server_config config = {.key_account = whose};
    struct test_server ts;
    test_server_start(&ts, &config);
    check_accounts(&ts);
    /* Other rows are as open as ever, and a key does not close them. */
    status_is(&ts, "GET", "/test/list", NULL, NULL, 200);
    status_is(&ts, "GET", "/test/list", "X-API-Key: wrong\r\n", NULL, 200);
    status_is(&ts, "GET", "/test/nothing", NULL, NULL, 404);
    test_server_stop(&ts);
}

static void test_accounts_on_a_listener_with_keys(void **state)
{
    static const struct listener_config listener = {.address = "127.0.0.1:0",
                                                    .trust = LISTENER_KEY};
    const struct server_config config = {
        .listeners = &listener, .n_listeners = 1, .key_account = whose};
    struct test_server ts;
    test_server_start(&ts, &config);
    check_accounts(&ts);
    status_is(&ts, "GET", "/test/list", NULL, NULL, 401);
    status_is(&ts, "GET", "/test/list", "X-API-Key: key-of-ann\r\n", NULL, 200);
    status_is(&ts, "GET", "/test/nothing", NULL, NULL, 401);
    test_server_stop(&ts);
}

static void test_without_accounts_nobody_has_one(void **state)
{
    status_is(*state, "GET", "/test/account", "X-API-Key: key-of-ann\r\n", NULL, 401);
}

/* One connection, two callers: the second is not taken for the first. */
static void test_an_account_is_of_one_request(void **state)
{
    const struct server_config config = {.key_account = whose};
    struct test_server ts;
    test_server_start(&ts, &config);
    auto_close int fd = client_connect(&ts);
    client_send_text(fd, "GET /test/account HTTP/1.1\r\nHost: localhost\r\n"
                         "X-API-Key: key-of-root\r\n\r\n");
    auto_reply struct reply r = {0};
    client_read(fd, true, &r);
    assert_int_equal(r.status, 200);
    client_send_text(fd, "GET /test/account HTTP/1.1\r\nHost: localhost\r\n\r\n");
    reply_done(&r);
    client_read(fd, true, &r);
    assert_int_equal(r.status, 401);
    test_server_stop(&ts);
}

/* ---- dialects ---- */

static void test_errors_are_in_the_words_of_the_prefix(void **state)
{
    auto_reply struct reply r = {0};
    request(*state, "GET", "/test/nothing", NULL, NULL, &r);
    assert_int_equal(r.status, 404);
    assert_non_null(strstr(r.body.data, "{\"error\":{\"code\":\"not_found\""));
    reply_done(&r);
    request(*state, "PATCH", "/test/list", NULL, NULL, &r);
    assert_int_equal(r.status, 405);
    assert_non_null(strstr(r.body.data, "{\"error\":{\"code\":\"method_not_allowed\""));
    reply_done(&r);
    request(*state, "GET", "/api/v1/nothing", NULL, NULL, &r);
    assert_non_null(strstr(reply_string(&r, "error"), "there is nothing at /api/v1/nothing"));
    reply_done(&r);
    request(*state, "GET", "/testing", NULL, NULL, &r);
    assert_non_null(strstr(reply_string(&r, "error"), "there is nothing at /testing"));
}

static void test_headers_of_handlers(void **state)
{
    auto_reply struct reply r = {0};
    request(*state, "GET", "/test/conflict", NULL, NULL, &r);
    assert_int_equal(r.status, 409);
    assert_string_equal(reply_header(&r, "x-should-retry"), "false");
    assert_string_equal(reply_header(&r, "X-Why"), "because");
    reply_done(&r);
    request(*state, "POST", "/test/none", NULL, "", &r);
    assert_int_equal(r.status, 201);
    assert_string_equal(reply_header(&r, "Location"), "/test/made");
    assert_null(reply_header(&r, "x-should-retry"));
}

/* A line end in a value would let it add headers: such an answer is not sent. */
static void test_headers_cannot_be_split(void **state)
{
    auto_close int fd = client_connect(*state);
    client_send_text(fd, "GET /test/bad-header HTTP/1.1\r\nHost: localhost\r\n\r\n");
    auto_buf struct buf all = {0};
    client_read_all(fd, &all);
    assert_null(strstr(buf_str(&all), "X-Other"));
}

static void url_is(struct test_server *ts, const char *host, const char *url)
{
    char headers[400], want[400];
    snprintf(headers, sizeof(headers), "Host: %s\r\n", host);
    auto_reply struct reply r = {0};
    request(ts, "GET", "/test/signed?a=%2F&b", headers, NULL, &r);
    assert_int_equal(r.status, url ? 200 : 400);
    if (!url)
        return;
    snprintf(want, sizeof(want), "{\"query\":\"a=%%2F&b\",\"url\":\"%s\"}\n", url);
    assert_string_equal(r.body.data, want);
}

static void test_base_url_and_raw_query(void **state)
{
    url_is(*state, "lab.example", "http://lab.example");
    url_is(*state, "lab.example:81", "http://lab.example:81");
    url_is(*state, "[::1]:8080", "http://[::1]:8080");
    url_is(*state, "10.0.0.1", "http://10.0.0.1");
    url_is(*state, "a\"b", NULL);
    url_is(*state, "a/b", NULL);
    url_is(*state, "a:b", NULL);
    url_is(*state, "[::1", NULL);
    url_is(*state, "x@lab.example", NULL);
}

/* ---- parameters and bodies ---- */

static void test_query(void **state)
{
    body_is(*state, "GET", "/test/query", NULL,
            "{\"status\":\"none\",\"offset\":7,\"ratio\":0.0,\"list\":false,\"color\":\"red\","
            "\"metadata\":{}}\n");
    body_is(*state, "GET",
            "/test/query?status=a+b&offset=1000&ratio=-0.5&list=true&color=green&metadata.k=%C3%A9",
            NULL,
            "{\"status\":\"a b\",\"offset\":1000,\"ratio\":-0.5,\"list\":true,\"color\":\"green\","
            "\"metadata\":{\"k\":\"\xc3\xa9\"}}\n");
    body_is(*state, "GET", "/test/query?offset=x", NULL,
            "{\"error\":{\"code\":\"invalid\",\"message\":\"parameter \\\"offset\\\" must be an "
            "integer, not \\\"x\\\"\",\"field\":\"offset\"}}\n");
    status_is(*state, "GET", "/test/bare", NULL, NULL, 200);
    body_is(*state, "GET", "/test/bare?x=1", NULL,
            "{\"error\":{\"code\":\"invalid\",\"message\":\"unknown parameter \\\"x\\\"\","
            "\"field\":\"x\"}}\n");
    /* Where there is no table nobody looks. */
    status_is(*state, "GET", "/test/list?x=1&x=%", NULL, NULL, 200);
}

/* One connection, two queries: nothing of the first is left for the second. */
static void test_a_query_is_of_one_request(void **state)
{
    auto_close int fd = client_connect(*state);
    client_send_text(fd, "GET /test/query?offset=9 HTTP/1.1\r\nHost: localhost\r\n\r\n"
                         "GET /test/query HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                         "\r\n");
    auto_buf struct buf all = {0};
    client_read_all(fd, &all);
    const char *first = strstr(all.data, "\"offset\":9");
    assert_non_null(first);
    assert_non_null(strstr(first, "\"offset\":7"));
}

static void test_nested_bodies(void **state)
{
    body_is(*state, "POST", "/test/nested/1",
            "{\"command\":[\"a\"],\"ttl\":{\"seconds\":5},\"policy\":{\"x\":[1,null]}}",
            "{\"words\":1,\"ttl\":{\"given\":true,\"null\":false,\"seconds\":5},"
            "\"idle\":{\"given\":false,\"null\":false,\"seconds\":0},"
            "\"policy\":{\"x\":[1,null]}}\n");
    body_is(*state, "POST", "/test/nested/1",
            "{\"command\":[\"a\"],\"ttl\":null,\"idle\":null,\"policy\":null}",
            "{\"words\":1,\"ttl\":{\"given\":true,\"null\":true,\"seconds\":0},"
            "\"idle\":{\"given\":false,\"null\":false,\"seconds\":0},\"policy\":null}\n");
    body_is(*state, "POST", "/test/nested/1", "{\"command\":[\"a\"],\"ttl\":{\"seconds\":101}}",
            "{\"error\":{\"code\":\"invalid\",\"message\":\"field \\\"ttl.seconds\\\" must be "
            "from 1 to 100, not 101\",\"field\":\"ttl.seconds\"}}\n");
}

static void test_bodies_that_need_not_be_there(void **state)
{
    body_is(*state, "POST", "/test/optional", NULL, "{\"count\":3}\n");
    body_is(*state, "POST", "/test/optional", "", "{\"count\":3}\n");
    body_is(*state, "POST", "/test/optional", "{}", "{\"count\":3}\n");
    body_is(*state, "POST", "/test/optional", "{\"count\":4}", "{\"count\":4}\n");
    status_is(*state, "POST", "/test/optional", NULL, "{\"count\":4}", 415);
    status_is(*state, "POST", "/test/optional", JSON_TYPE, "{\"count\":", 400);
    status_is(*state, "POST", "/test/none", NULL, NULL, 201);
    status_is(*state, "POST", "/test/none", JSON_TYPE, "", 201);
    status_is(*state, "POST", "/test/none", JSON_TYPE, "{}", 201);
    status_is(*state, "POST", "/test/none", "Content-Type: text/plain\r\n", "x", 201);
}

static void test_answers_without_a_body(void **state)
{
    auto_close int fd = client_connect(*state);
    client_send_text(fd, "DELETE /test/none HTTP/1.1\r\nHost: localhost\r\n\r\n");
    auto_reply struct reply r = {0};
    client_read(fd, true, &r);
    assert_int_equal(r.status, 204);
    assert_null(reply_header(&r, "Content-Type"));
    assert_int_equal(r.body.len, 0);
    /* The connection goes on. */
    client_send_text(fd, "GET /test/list HTTP/1.1\r\nHost: localhost\r\n\r\n");
    reply_done(&r);
    client_read(fd, true, &r);
    assert_string_equal(r.body.data, "[{\"count\":1}]\n");
}

/* ---- files and streams ---- */

/* A status of 206 means that it is a part. */
static void part_is(struct test_server *ts, const char *path, const char *range, int status,
                    struct byte_range part)
{
    uint64_t offset = part.offset, length = part.length;
    char header[100], want[100];
    snprintf(header, sizeof(header), "%s%s%s", range ? "Range: " : "", range ? range : "",
             range ? "\r\n" : "");
    auto_reply struct reply r = {0};
    request(ts, "GET", path, header, NULL, &r);
    assert_int_equal(r.status, status);
    assert_int_equal(r.body.len, length);
    for (uint64_t i = 0; i < length; i++)
        assert_int_equal(r.body.data[i], test_byte(offset + i));
    assert_string_equal(reply_header(&r, "Accept-Ranges"), "bytes");
    assert_null(reply_header(&r, "Transfer-Encoding"));
    assert_string_equal(reply_header(&r, "Content-Type"), "application/octet-stream");
    snprintf(want, sizeof(want), "bytes %llu-%llu/%llu", (unsigned long long)offset,
             (unsigned long long)(offset + length - 1), TEST_FILE_BYTES);
    if (status == 206)
        assert_string_equal(reply_header(&r, "Content-Range"), want);
    else
        assert_null(reply_header(&r, "Content-Range"));
}

static void check_parts(struct test_server *ts, const char *path)
{
    part_is(ts, path, NULL, 200, (struct byte_range){0, TEST_FILE_BYTES});
    part_is(ts, path, "bytes=0-0", 206, (struct byte_range){0, 1});
    part_is(ts, path, "bytes=100000-299998", 206, (struct byte_range){100000, 199999});
    part_is(ts, path, "bytes=-7", 206, (struct byte_range){TEST_FILE_BYTES - 7, 7});
    part_is(ts, path, "bytes=1-2,4-5", 200, (struct byte_range){0, TEST_FILE_BYTES});
    part_is(ts, path, "bytes=5-6\r\nIf-Range: \"x\"", 200, (struct byte_range){0, TEST_FILE_BYTES});
    auto_reply struct reply r = {0};
    request(ts, "GET", path, "Range: bytes=300000-\r\n", NULL, &r);
    assert_int_equal(r.status, 416);
    assert_string_equal(reply_header(&r, "Content-Range"), "bytes */300000");
    assert_non_null(strstr(r.body.data, "there are 300000 bytes"));
    reply_done(&r);
    request(ts, "HEAD", path, NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_header(&r, "Content-Length"), "300000");
    reply_done(&r);
    request(ts, "HEAD", path, "Range: bytes=1-3\r\n", NULL, &r);
    assert_int_equal(r.status, 206);
    assert_string_equal(reply_header(&r, "Content-Length"), "3");
}

static void test_parts_of_files(void **state)
{
    check_parts(*state, "/test/file");
}

static void test_parts_of_streams(void **state)
{
    check_parts(*state, "/test/stream");
}

/* What is shorter than announced must not look whole. */
static void test_a_stream_that_ends_early_is_cut(void **state)
{
    auto_close int fd = client_connect(*state);
    client_send_text(fd, "GET /test/short HTTP/1.1\r\nHost: localhost\r\n\r\n");
    auto_buf struct buf all = {0};
    client_read_all(fd, &all);
    assert_non_null(strstr(all.data, "Content-Length: 10\r\n"));
    assert_non_null(strstr(all.data, "\r\n\r\nabcde"));
}

static int setup(void **state)
{
    route_add_rows(test_rows);
    return test_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accounts_on_an_open_listener),
        cmocka_unit_test(test_accounts_on_a_listener_with_keys),
        cmocka_unit_test(test_without_accounts_nobody_has_one),
        cmocka_unit_test(test_an_account_is_of_one_request),
        cmocka_unit_test(test_errors_are_in_the_words_of_the_prefix),
        cmocka_unit_test(test_headers_of_handlers),
        cmocka_unit_test(test_headers_cannot_be_split),
        cmocka_unit_test(test_base_url_and_raw_query),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_a_query_is_of_one_request),
        cmocka_unit_test(test_nested_bodies),
        cmocka_unit_test(test_bodies_that_need_not_be_there),
        cmocka_unit_test(test_answers_without_a_body),
        cmocka_unit_test(test_parts_of_files),
        cmocka_unit_test(test_parts_of_streams),
        cmocka_unit_test(test_a_stream_that_ends_early_is_cut),
    };
    return cmocka_run_group_tests(tests, setup, test_teardown);
}
