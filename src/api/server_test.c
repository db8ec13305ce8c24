/* SPDX-License-Identifier: Apache-2.0 */

/* What the server does with HTTP itself: methods, paths, headers, bodies. */

#include "api/api_test.h"

#include <errno.h>
#include <sys/socket.h>

#include "api/route.h"
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

/* ---- methods and paths ---- */

static void test_unknown_paths(void **state)
{
    auto_reply struct reply r = {0};
    request(*state, "GET", "/helth", NULL, NULL, &r);
    assert_int_equal(r.status, 404);
    assert_non_null(strstr(reply_string(&r, "error"), "did you mean /health?"));
    reply_done(&r);
    request(*state, "POST", "/nothing/like/it?x=1", JSON_TYPE, "{}", &r);
    assert_int_equal(r.status, 404);
    assert_non_null(strstr(reply_string(&r, "error"), "GET / lists all paths"));
    status_is(*state, "GET", "/health?x=%zz&y", NULL, NULL, 200);
    status_is(*state, "GET", "http://localhost/health", NULL, NULL, 200);
    status_is(*state, "GET", "/%68ealth", NULL, NULL, 404); /* paths of ours need no escapes */
}

static const char *allow_of(struct test_server *ts, const char *method, const char *path,
                            int status, struct reply *r)
{
    reply_done(r);
    request(ts, method, path, NULL, NULL, r);
    assert_int_equal(r->status, status);
    return reply_header(r, "Allow");
}

static void test_wrong_methods(void **state)
{
    auto_reply struct reply r = {0};
    assert_string_equal(allow_of(*state, "GET", "/api/v1/execute", 405, &r), "POST, OPTIONS");
    assert_string_equal(reply_string(&r, "error"),
                        "GET is not allowed for /api/v1/execute: use POST");
    assert_string_equal(allow_of(*state, "DELETE", "/health", 405, &r), "GET, HEAD, OPTIONS");
    assert_string_equal(allow_of(*state, "BREW", "/health", 405, &r), "GET, HEAD, OPTIONS");
    assert_string_equal(allow_of(*state, "OPTIONS", "/api/v1/execute", 204, &r), "POST, OPTIONS");
    status_is(*state, "OPTIONS", "/nothing", NULL, NULL, 404);
}

static void test_head_is_get_without_its_body(void **state)
{
    auto_reply struct reply get = {0}, head = {0};
    request(*state, "GET", "/api/v1/languages/c", NULL, NULL, &get);
    request(*state, "HEAD", "/api/v1/languages/c", NULL, NULL, &head);
    assert_int_equal(head.status, 200);
    assert_int_equal(head.body.len, 0);
    char length[32];
    snprintf(length, sizeof(length), "%zu", get.body.len);
    assert_string_equal(reply_header(&head, "Content-Length"), length);
    status_is(*state, "HEAD", "/health", NULL, NULL, 200);
    status_is(*state, "HEAD", "/api/v1/execute", NULL, NULL, 405);
}

static void test_headers_of_answers(void **state)
{
    static const char *const paths[] = {"/health", "/api/v1/languages", "/nothing"};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        auto_reply struct reply r = {0};
        request(*state, "GET", paths[i], NULL, NULL, &r);
        assert_string_equal(reply_header(&r, "Server"), "holm/" HOLM_VERSION);
        assert_string_equal(reply_header(&r, "X-Content-Type-Options"), "nosniff");
        assert_string_equal(reply_header(&r, "Cache-Control"), "no-store");
        if (i > 0)
            assert_int_equal(strlen(reply_header(&r, "X-Request-Id")), 20);
    }
}

/* ---- Host, Origin, keys ---- */

static void test_only_our_hosts(void **state)
{
    static const char *const ours[] = {"localhost", "LOCALHOST:80", "127.0.0.1:1", "[::1]",
                                       "[::1]:8080"};
    static const char *const others[] = {
        "evil.example", "localhost.evil.example", "127.0.0.2",       "", "localhost:x", "[::1",
        "[::2]",        "127.0.0.1.nip.io",       "192.168.1.1:8080"};
    char header[128];
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
        snprintf(header, sizeof(header), "Host: %s\r\n", ours[i]);
        status_is(*state, "GET", "/health", header, NULL, 200);
    }
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        snprintf(header, sizeof(header), "Host: %s\r\n", others[i]);
        status_is(*state, "GET", "/health", header, NULL, 403);
        status_is(*state, "GET", "/nothing", header, NULL, 403);
    }
    auto_reply struct reply r = {0};
    request(*state, "GET", "/health", "Host: evil.example\r\n", NULL, &r);
    assert_string_equal(reply_string(&r, "error"),
                        "requests for host \"evil.example\" are refused: use localhost or "
                        "127.0.0.1, or add the name to the hosts in the daemon's configuration");
}

static void test_only_our_origins(void **state)
{
    static const char *const others[] = {"http://evil.example", "null", "http://localhost:9999",
                                         "http://localhost.evil.example", ""};
    char header[160];
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        snprintf(header, sizeof(header), "Host: localhost\r\nOrigin: %s\r\n" JSON_TYPE, others[i]);
        status_is(*state, "GET", "/health", header, NULL, 403);
        status_is(*state, "POST", "/api/v1/execute", header,
                  "{\"language\":\"c\",\"code\":\"hello\"}", 403);
    }
    status_is(*state, "GET", "/health", "Host: localhost:1\r\nOrigin: http://localhost:1\r\n", NULL,
              200);
}

static void test_configured_names_and_origins(void **state)
{
    static const char *const hosts[] = {"lab.example", NULL};
    static const char *const origins[] = {"https://app.example", NULL};
    const struct server_config config = {.hosts = hosts, .origins = origins};
    struct test_server ts;
    test_server_start(&ts, &config);
    status_is(&ts, "GET", "/health", "Host: lab.example:80\r\n", NULL, 200);
    status_is(&ts, "GET", "/health", "Host: other.example\r\n", NULL, 403);
    auto_reply struct reply r = {0};
    request(&ts, "GET", "/health", "Origin: https://app.example\r\n", NULL, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_header(&r, "Access-Control-Allow-Origin"), "https://app.example");
    assert_string_equal(reply_header(&r, "Vary"), "Origin");
    reply_done(&r);
    request(&ts, "OPTIONS", "/api/v1/execute", "Origin: https://app.example\r\n", NULL, &r);
    assert_int_equal(r.status, 204);
    assert_string_equal(reply_header(&r, "Access-Control-Allow-Methods"), "POST, OPTIONS");
    status_is(&ts, "GET", "/health", "Origin: https://evil.example\r\n", NULL, 403);
    test_server_stop(&ts);
}

static int sesame(void *arg, const char *key, char ret_account[ID_SIZE], bool *ret_admin,
                  struct err *e)
{
    if (strcmp(key, "sesame") != 0)
        return err_set(e, ERR_UNAUTHORIZED, "the API key is not valid");
    strcpy(ret_account, "ali");
    *ret_admin = false;
    return 0;
}

static void test_keys(void **state)
{
    static const struct listener_config listener = {.address = "127.0.0.1:0",
                                                    .trust = LISTENER_KEY};
    struct server_config config = {.listeners = &listener, .n_listeners = 1};
    struct server *none;
    struct err e = ERR_INIT;
    assert_true(server_new(&config, &none, &e) < 0);
    assert_non_null(strstr(e.text, "needs keys"));
    config.key_account = sesame;
    struct test_server ts;
    test_server_start(&ts, &config);
    status_is(&ts, "GET", "/health", NULL, NULL, 200);
    status_is(&ts, "GET", "/nothing", NULL, NULL, 401);
    status_is(&ts, "OPTIONS", "/api/v1/execute", NULL, NULL, 204);
    auto_reply struct reply r = {0};
    request(&ts, "GET", "/api/v1/languages", NULL, NULL, &r);
    assert_int_equal(r.status, 401);
    assert_string_equal(reply_header(&r, "WWW-Authenticate"), "Bearer");
    assert_non_null(strstr(reply_string(&r, "error"), "X-API-Key"));
    status_is(&ts, "GET", "/api/v1/languages", "X-API-Key: wrong\r\n", NULL, 401);
    status_is(&ts, "GET", "/api/v1/languages", "X-API-Key: sesame\r\n", NULL, 200);
    status_is(&ts, "GET", "/api/v1/languages", "Authorization: bearer sesame\r\n", NULL, 200);
    status_is(&ts, "GET", "/api/v1/languages", "Authorization: Basic sesame\r\n", NULL, 401);
    /* A key is proof enough, whatever the name. */
    status_is(&ts, "GET", "/api/v1/languages", "Host: any.example\r\nX-API-Key: sesame\r\n", NULL,
              200);
    test_server_stop(&ts);
}

/* Loopback is open by itself, everything else needs keys by itself. */
static void test_trust_by_address(void **state)
{
    static const struct listener_config local = {.address = "127.0.0.1:0", .trust = LISTENER_AUTO};
    static const struct listener_config all = {.address = "0.0.0.0:0", .trust = LISTENER_AUTO};
    struct server_config config = {.listeners = &local, .n_listeners = 1};
    struct test_server ts;
    test_server_start(&ts, &config);
    status_is(&ts, "GET", "/api/v1/languages", NULL, NULL, 200);
    test_server_stop(&ts);
    config.listeners = &all;
    struct server *none;
    struct err e = ERR_INIT;
    assert_true(server_new(&config, &none, &e) < 0);
    assert_non_null(strstr(e.text, "needs keys"));
    config.key_account = sesame;
    test_server_start(&ts, &config);
    status_is(&ts, "GET", "/api/v1/languages", NULL, NULL, 401);
    status_is(&ts, "GET", "/api/v1/languages", "X-API-Key: sesame\r\n", NULL, 200);
    test_server_stop(&ts);
}

/* ---- bodies ---- */

static void test_content_type(void **state)
{
    static const char body[] = "{\"language\":\"c\",\"code\":\"hello\"}";
    auto_reply struct reply r = {0};
    request(*state, "POST", "/api/v1/execute",
            "Content-Type: application/x-www-form-urlencoded\r\n", body, &r);
    assert_int_equal(r.status, 415);
    assert_non_null(strstr(reply_string(&r, "error"), "-H 'Content-Type: application/json'"));
    status_is(*state, "POST", "/api/v1/execute", NULL, body, 415);
    status_is(*state, "POST", "/api/v1/execute", "Content-Type: application/jsonp\r\n", body, 415);
    status_is(*state, "POST", "/api/v1/execute", "Content-Type: Application/JSON;charset=utf-8\r\n",
              body, 200);
    status_is(*state, "POST", "/api/v1/execute", NULL, NULL, 400);
}

static const char execute_head[] = "POST /api/v1/execute HTTP/1.1\r\nHost: localhost\r\n" JSON_TYPE;

static void send_chunk(int fd, const char *data, size_t len)
{
    char size[32];
    snprintf(size, sizeof(size), "%zx\r\n", len);
    client_send_text(fd, size);
    client_send(fd, data, len);
    client_send_text(fd, "\r\n");
}

static void test_chunked_body(void **state)
{
    auto_close int fd = client_connect(*state);
    client_send_text(fd, execute_head);
    client_send_text(fd, "Transfer-Encoding: chunked\r\n\r\n");
    send_chunk(fd, "{\"language\":\"c\",", 16);
    send_chunk(fd, "\"code\":\"hello\"}", 15);
    send_chunk(fd, "", 0);
    auto_reply struct reply r = {0};
    client_read(fd, true, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_string(&r, "stdout"), "Hello, World!\n");
}

/* Sends `total` bytes in chunks. */
static void send_flood(int fd, size_t total)
{
    static char block[1 << 20];
    memset(block, ' ', sizeof(block));
    for (size_t sent = 0; sent < total; sent += sizeof(block))
        send_chunk(fd, block, sizeof(block));
}

static void test_too_big_bodies(void **state)
{
    auto_reply struct reply r = {0};
    char header[64];
    /* Announced, and the client asks first: answered without reading any. */
    auto_close int asks = client_connect(*state);
    client_send_text(asks, execute_head);
    snprintf(header, sizeof(header), "Content-Length: %llu\r\nExpect: 100-continue\r\n\r\n",
             HTTP_BODY_MAX_BYTES + 1);
    client_send_text(asks, header);
    client_read(asks, true, &r);
    assert_int_equal(r.status, 413);
    assert_true(r.closed);
    reply_done(&r);
    /* Not announced: counted, and the connection stays usable. */
    auto_close int chunked = client_connect(*state);
    client_send_text(chunked, execute_head);
    client_send_text(chunked, "Transfer-Encoding: chunked\r\n\r\n");
    send_flood(chunked, HTTP_BODY_MAX_BYTES + 1);
    send_chunk(chunked, "", 0);
    client_read(chunked, true, &r);
    assert_int_equal(r.status, 413);
    assert_non_null(strstr(reply_string(&r, "error"), "larger than 25165824 bytes"));
    reply_done(&r);
    client_send_text(chunked, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client_read(chunked, true, &r);
    assert_int_equal(r.status, 200);
    /* Without end: cut. */
    auto_close int endless = client_connect(*state);
    client_send_text(endless, execute_head);
    client_send_text(endless, "Transfer-Encoding: chunked\r\n\r\n");
    send_flood(endless, 2 * HTTP_DRAIN_MAX_BYTES);
    auto_buf struct buf all = {0};
    client_read_all(endless, &all);
    assert_int_equal(all.len, 0);
}

static void test_bodies_are_bounded_together(void **state)
{
    const struct server_config config = {.bodies_max_bytes = 100};
    struct test_server ts;
    test_server_start(&ts, &config);
    auto_reply struct reply r = {0};
    char body[201] = {0};
    memset(body, ' ', 200);
    execute(&ts, body, &r);
    assert_int_equal(r.status, 503);
    assert_non_null(reply_header(&r, "Retry-After"));
    /* Given back, whatever became of the request. */
    reply_done(&r);
    execute(&ts, "{\"language\":\"c\",\"code\":\"hello\"}", &r);
    assert_int_equal(r.status, 200);
    test_server_stop(&ts);
}

/* Asks on a connection that is kept: its next request comes when this one is over and done. */
static void execute_on(int fd, const char *code, struct reply *ret)
{
    char text[256], body[64];
    snprintf(body, sizeof(body), "{\"language\":\"c\",\"code\":\"%s\"}", code);
    snprintf(text, sizeof(text), "%sContent-Length: %zu\r\n\r\n%s", execute_head, strlen(body),
             body);
    client_send_text(fd, text);
    reply_done(ret);
    client_read(fd, true, ret);
}

static void test_answers_are_bounded_together(void **state)
{
    const struct server_config config = {.answers_max_bytes = RUN_OUTPUT_MAX_BYTES + 1000};
    struct test_server ts;
    test_server_start(&ts, &config);
    auto_close int fd = client_connect(&ts);
    auto_reply struct reply r = {0};
    /* Each takes nearly all there is, so what the former one took was given back. */
    for (int i = 0; i < 3; i++) {
        execute_on(fd, "flood", &r);
        assert_int_equal(r.status, 200);
    }
    test_server_stop(&ts);
    const struct server_config smaller = {.answers_max_bytes = RUN_OUTPUT_MAX_BYTES};
    test_server_start(&ts, &smaller);
    auto_close int refused = client_connect(&ts);
    execute_on(refused, "flood", &r);
    assert_int_equal(r.status, 503);
    assert_non_null(reply_header(&r, "Retry-After"));
    assert_non_null(strstr(reply_string(&r, "error"), "too many large answers"));
    execute_on(refused, "hello", &r);
    assert_int_equal(r.status, 200);
    test_server_stop(&ts);
}

/* Each claims two lengths; what follows must not be taken for a request. */
static void test_ambiguous_lengths_are_refused(void **state)
{
    static const char *const claims[] = {
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Content-Length: 4\r\nContent-Length: 0\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(claims); i++) {
        auto_close int fd = client_connect(*state);
        client_send_text(fd, "GET /health HTTP/1.1\r\nHost: localhost\r\n");
        client_send_text(fd, claims[i]);
        client_send_text(fd, "\r\n0\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
        auto_buf struct buf all = {0};
        client_read_all(fd, &all);
        assert_null(strstr(buf_str(&all), "200 OK"));
        /* The answer may be lost with the reset that follows; when it came, it is this one. */
        if (all.len)
            assert_non_null(strstr(all.data, "is not clear"));
    }
}

static void test_continue_is_said(void **state)
{
    static const char body[] = "{\"language\":\"c\",\"code\":\"hello\"}";
    auto_close int fd = client_connect(*state);
    client_send_text(fd, execute_head);
    char header[64];
    snprintf(header, sizeof(header), "Content-Length: %zu\r\nExpect: 100-continue\r\n\r\n",
             strlen(body));
    client_send_text(fd, header);
    auto_reply struct reply r = {0};
    auto_buf struct buf rest = {0};
    client_read_head(fd, &r, &rest);
    assert_int_equal(r.status, 100);
    client_send_text(fd, body);
    reply_done(&r);
    client_read(fd, true, &r);
    assert_int_equal(r.status, 200);
}

/* A refused request whose body comes anyway does not spoil the next one. */
static void test_refused_body_is_skipped(void **state)
{
    auto_close int fd = client_connect(*state);
    client_send_text(fd, "POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                         "5\r\n\r\nGET /GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    shutdown(fd, SHUT_WR);
    auto_buf struct buf all = {0};
    client_read_all(fd, &all);
    assert_non_null(strstr(all.data, "HTTP/1.1 404 Not Found"));
    assert_non_null(strstr(all.data, "HTTP/1.1 200 OK"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_paths),
        cmocka_unit_test(test_wrong_methods),
        cmocka_unit_test(test_head_is_get_without_its_body),
        cmocka_unit_test(test_headers_of_answers),
        cmocka_unit_test(test_only_our_hosts),
        cmocka_unit_test(test_only_our_origins),
        cmocka_unit_test(test_configured_names_and_origins),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_trust_by_address),
        cmocka_unit_test(test_content_type),
        cmocka_unit_test(test_chunked_body),
        cmocka_unit_test(test_too_big_bodies),
        cmocka_unit_test(test_bodies_are_bounded_together),
        cmocka_unit_test(test_answers_are_bounded_together),
        cmocka_unit_test(test_ambiguous_lengths_are_refused),
        cmocka_unit_test(test_continue_is_said),
        cmocka_unit_test(test_refused_body_is_skipped),
    };
    return cmocka_run_group_tests(tests, test_setup, test_teardown);
}
