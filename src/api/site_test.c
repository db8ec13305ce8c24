/* SPDX-License-Identifier: Apache-2.0 */

/* The dashboard over HTTP. What leads to which file is in web_test.c. */

#include "api/api_test.h"

#include <sys/stat.h>

#include "base/fd.h"

static char dir[] = "/tmp/holm-site-XXXXXX";

static void put(const char *path, const char *text)
{
    char full[256];
    path_printf(full, sizeof(full), "%s/%s", dir, path);
    assert_int_equal(file_write_atomic(full, text, strlen(text), 0644), 0);
}

static void make_site(void)
{
    char sub[256];
    assert_non_null(mkdtemp(dir));
    path_printf(sub, sizeof(sub), "%s/assets", dir);
    assert_int_equal(mkdir(sub, 0755), 0);
    path_printf(sub, sizeof(sub), "%s/docs", dir);
    assert_int_equal(mkdir(sub, 0755), 0);
    put("index.html", "<p>home</p>");
    put("docs/index.html", "<p>docs</p>");
    put("assets/app-1.js", "script()");
    put("assets/app-1.js.gz", "packed");
}

static const struct listener_config listeners[] = {
    {.address = "127.0.0.1:0", .trust = LISTENER_OPEN},
    {.address = "127.0.0.1:0", .trust = LISTENER_KEY},
    {.address = "127.0.0.1:0", .trust = LISTENER_OPEN, .mount = "test"},
    {.address = "127.0.0.1:0", .trust = LISTENER_GUESTS},
};

static int no_account(void *arg, const char *key, char ret_account[ID_SIZE], bool *ret_admin,
                      struct err *e)
{
    return err_set(e, ERR_UNAUTHORIZED, "the API key is not valid");
}

static const struct server_config config = {.listeners = listeners,
                                            .n_listeners = ARRAY_SIZE(listeners),
                                            .key_account = no_account,
                                            .web_dir = dir};

static int setup(void **state)
{
    struct test_server *ts = calloc(1, sizeof(*ts));
    route_add_rows(test_rows);
    make_site();
    test_server_start(ts, &config);
    *state = ts;
    return 0;
}

static int teardown(void **state)
{
    dir_remove(dir);
    return test_teardown(state);
}

#define HTML "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n"

static void body_is(const struct test_server *ts, const char *path, const char *headers,
                    const char *want)
{
    auto_reply struct reply r = {0};
    request(ts, "GET", path, headers, NULL, &r);
    if (r.status != 200 || strcmp(buf_str(&r.body), want) != 0)
        fail_msg("%s: %d %s", path, r.status, buf_str(&r.body));
}

static void status_is(const struct test_server *ts, const char *method, const char *path,
                      const char *headers, int status)
{
    auto_reply struct reply r = {0};
    request(ts, method, path, headers, NULL, &r);
    if (r.status != status)
        fail_msg("%s %s: %d %s", method, path, r.status, buf_str(&r.body));
}

static void header_is(const struct reply *r, const char *name, const char *want)
{
    const char *is = reply_header(r, name);
    if (!is || strcmp(is, want) != 0)
        fail_msg("%s: %s", name, is);
}

/* No key, any host, any origin: they hold no secret. */
static void test_on_every_listener(void **state)
{
    struct test_server ts = *(struct test_server *)*state;
    for (size_t i = 0; i < 3; i++) {
        ts.port = atoi(strrchr(server_address(ts.server, i), ':') + 1);
        body_is(&ts, "/", HTML, "<p>home</p>");
        body_is(&ts, "/vms/1", HTML, "<p>home</p>");
        body_is(&ts, "/docs/", NULL, "<p>docs</p>");
        body_is(&ts, "/assets/app-1.js", NULL, "script()");
        body_is(&ts, "/", HTML "Host: rebound.example\r\nOrigin: http://evil.example\r\n",
                "<p>home</p>");
    }
    ts.port = atoi(strrchr(server_address(ts.server, 3), ':') + 1);
    status_is(&ts, "GET", "/", HTML, 403);
    status_is(&ts, "GET", "/assets/app-1.js", NULL, 403);
}

static void test_headers_of_a_page(void **state)
{
    auto_reply struct reply r = {0};
    request(*state, "GET", "/", HTML "Host: holm.example:81\r\n", NULL, &r);
    header_is(&r, "Content-Type", "text/html; charset=utf-8");
    header_is(&r, "Cache-Control", "no-cache");
    header_is(&r, "X-Content-Type-Options", "nosniff");
    header_is(&r, "Referrer-Policy", "same-origin");
    header_is(&r, "Content-Security-Policy",
              "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
              "connect-src 'self' ws://holm.example:81 wss://holm.example:81; object-src 'none'; "
              "frame-ancestors 'none'; base-uri 'none'; form-action 'self'");
    reply_done(&r);
    /* What would end the directive is no host. */
    request(*state, "GET", "/", HTML "Host: x; script-src *\r\n", NULL, &r);
    assert_null(strstr(reply_header(&r, "Content-Security-Policy"), "script-src"));
    assert_non_null(strstr(reply_header(&r, "Content-Security-Policy"), "connect-src 'self'; "));
}

static void test_assets_are_kept_by_browsers(void **state)
{
    auto_reply struct reply r = {0};
    request(*state, "GET", "/assets/app-1.js", "Accept-Encoding: gzip\r\n", NULL, &r);
    header_is(&r, "Cache-Control", "public, max-age=31536000, immutable");
    header_is(&r, "Content-Encoding", "gzip");
    header_is(&r, "Content-Type", "text/javascript; charset=utf-8");
    header_is(&r, "Vary", "Accept, Accept-Encoding");
    assert_string_equal(r.body.data, "packed");
    reply_done(&r);
    request(*state, "GET", "/assets/app-1.js", "Accept-Encoding: br\r\n", NULL, &r);
    assert_null(reply_header(&r, "Content-Encoding"));
    assert_string_equal(r.body.data, "script()");
}

static void test_what_a_browser_has_is_not_sent_again(void **state)
{
    static const char *const encodings[] = {"Accept-Encoding: gzip\r\n", ""};
    for (size_t i = 0; i < ARRAY_SIZE(encodings); i++) {
        auto_reply struct reply r = {0}, again = {0};
        char etag[64], headers[256];
        request(*state, "GET", "/assets/app-1.js", encodings[i], NULL, &r);
        snprintf(etag, sizeof(etag), "%s", reply_header(&r, "ETag"));
        snprintf(headers, sizeof(headers), "%sIf-None-Match: %s\r\n", encodings[i], etag);
        request(*state, "GET", "/assets/app-1.js", headers, NULL, &again);
        assert_int_equal(again.status, 304);
        assert_int_equal(again.body.len, 0);
        header_is(&again, "ETag", etag);
        assert_null(reply_header(&again, "Content-Encoding"));
    }
    status_is(*state, "GET", "/assets/app-1.js", "If-None-Match: \"other\"\r\n", 200);
}

static void test_head(void **state)
{
    auto_reply struct reply r = {0};
    request(*state, "HEAD", "/assets/app-1.js", NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    header_is(&r, "Content-Length", "8");
    assert_int_equal(r.body.len, 0);
}

static void test_a_directory_without_its_slash(void **state)
{
    auto_reply struct reply r = {0};
    request(*state, "GET", "/docs", HTML, NULL, &r);
    assert_int_equal(r.status, 301);
    header_is(&r, "Location", "docs/");
}

/* Programs get what they got before there was a dashboard. */
static void test_apis_answer_as_ever(void **state)
{
    auto_reply struct reply r = {0};
    request(*state, "GET", "/", NULL, NULL, &r);
    header_is(&r, "Content-Type", "text/plain; charset=utf-8");
    reply_done(&r);
    request(*state, "GET", "/", "Accept: */*\r\n", NULL, &r);
    header_is(&r, "Content-Type", "text/plain; charset=utf-8");
    reply_done(&r);
    request(*state, "GET", "/nothing", NULL, NULL, &r);
    assert_int_equal(r.status, 404);
    header_is(&r, "Content-Type", "application/json");
    reply_done(&r);
    request(*state, "GET", "/v1/nothing", HTML, NULL, &r);
    assert_int_equal(r.status, 404);
    header_is(&r, "Content-Type", "application/json");
    reply_done(&r);
    request(*state, "GET", "/health", HTML, NULL, &r);
    header_is(&r, "Content-Type", "application/json");
    status_is(*state, "POST", "/vms/1", HTML, 404);
    status_is(*state, "DELETE", "/assets/app-1.js", HTML, 404);
    status_is(*state, "GET", "/health", "Host: rebound.example\r\n", 403);
}

static void test_a_connection_goes_on(void **state)
{
    auto_close int fd = client_connect(*state);
    for (int i = 0; i < 3; i++) {
        auto_reply struct reply r = {0};
        client_send_text(fd, "GET /docs/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
        client_read(fd, true, &r);
        assert_string_equal(r.body.data, "<p>docs</p>");
        reply_done(&r);
        client_send_text(fd, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
        client_read(fd, true, &r);
        assert_string_equal(reply_string(&r, "status"), "healthy");
    }
}

static void test_without_a_dashboard(void **state)
{
    struct test_server ts;
    const struct server_config none = {.web_dir = "/nonexistent"};
    test_server_start(&ts, &none);
    auto_reply struct reply r = {0};
    request(&ts, "GET", "/", HTML, NULL, &r);
    header_is(&r, "Content-Type", "text/plain; charset=utf-8");
    status_is(&ts, "GET", "/docs/", HTML, 404);
    test_server_stop(&ts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_on_every_listener),
        cmocka_unit_test(test_headers_of_a_page),
        cmocka_unit_test(test_assets_are_kept_by_browsers),
        cmocka_unit_test(test_what_a_browser_has_is_not_sent_again),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_a_directory_without_its_slash),
        cmocka_unit_test(test_apis_answer_as_ever),
        cmocka_unit_test(test_a_connection_goes_on),
        cmocka_unit_test(test_without_a_dashboard),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
