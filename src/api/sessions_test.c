/* SPDX-License-Identifier: Apache-2.0 */

/* Who asks, and how often: sessions by cookie, requests of other sites' pages, rate limits, and
 * listeners with a dialect mounted. */

#include "api/api_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/fd.h"

#define SESSION "Cookie: rds_session=token-of-ann\r\n"

static int whose(void *arg, const char *key, char ret_account[ID_SIZE], bool *ret_admin,
                 struct err *e)
{
    if (strncmp(key, "key-of-", 7) != 0)
        return err_set(e, ERR_UNAUTHORIZED, "the API key is not valid");
    snprintf(ret_account, ID_SIZE, "%s", key + 7);
    *ret_admin = strcmp(ret_account, "root") == 0;
    return 0;
}

/* Fills what it must not be believed in when it fails. */
static int session(void *arg, const char *token, char ret_account[ID_SIZE], bool *ret_admin,
                   struct err *e)
{
    strcpy(ret_account, "nobody");
    *ret_admin = true;
    if (strncmp(token, "token-of-", 9) != 0)
        return err_set(e, ERR_UNAUTHORIZED, "the session is over");
    snprintf(ret_account, ID_SIZE, "%s", token + 9);
    *ret_admin = strcmp(ret_account, "root") == 0;
    return 0;
}

static const struct listener_config listeners[] = {
    {.address = "127.0.0.1:0", .trust = LISTENER_OPEN},
    {.address = "127.0.0.1:0", .trust = LISTENER_KEY},
    {.address = "127.0.0.1:0", .trust = LISTENER_OPEN, .mount = "test"},
    {.address = "[::1]:0", .trust = LISTENER_OPEN},
};

static const struct server_config config = {
    .listeners = listeners,
    .n_listeners = ARRAY_SIZE(listeners),
    .key_account = whose,
    .session_account = session,
    .rate_limits = true,
};

static int setup(void **state)
{
    struct test_server *ts = calloc(1, sizeof(*ts));
    route_add_rows(test_rows);
    test_server_start(ts, &config);
    *state = ts;
    return 0;
}

/* As if it were the server's first listener. */
static struct test_server at_listener(const struct test_server *ts, size_t i)
{
    return (struct test_server){.server = ts->server,
                                .port = atoi(strrchr(server_address(ts->server, i), ':') + 1)};
}

static void status_is(const struct test_server *ts, const char *method, const char *path,
                      const char *headers, int status)
{
    auto_reply struct reply r = {0};
    request(ts, method, path, headers, NULL, &r);
    if (r.status != status)
        fail_msg("%s %s %s: %d %s", method, path, headers ? headers : "", r.status,
                 buf_str(&r.body));
}

static void caller_is(const struct test_server *ts, const char *headers, const char *account,
                      const char *token)
{
    auto_reply struct reply r = {0};
    request(ts, "GET", "/test/caller", headers, NULL, &r);
    if (r.status != 200)
        fail_msg("%s: %d %s", headers, r.status, buf_str(&r.body));
    assert_string_equal(reply_string(&r, "account"), account);
    assert_string_equal(reply_string(&r, "session"), token);
    assert_string_equal(reply_string(&r, "peer"), "127.0.0.1");
}

static void test_a_cookie_is_as_good_as_a_key(void **state)
{
    for (size_t i = 0; i < 2; i++) {
        struct test_server ts = at_listener(*state, i);
        caller_is(&ts, SESSION, "ann", "token-of-ann");
        caller_is(&ts, "Cookie: a=b; rds_session=token-of-ann; c\r\n", "ann", "token-of-ann");
        caller_is(&ts, "Cookie: rds_session=token-of-ann ;x=y\r\n", "ann", "token-of-ann");
        caller_is(&ts, "Cookie: rds_session=token-of-ann; rds_session=token-of-bob\r\n", "ann",
                  "token-of-ann");
        status_is(&ts, "GET", "/test/admin", SESSION, 403);
        status_is(&ts, "GET", "/test/admin", "Cookie: rds_session=token-of-root\r\n", 200);
        status_is(&ts, "GET", "/test/list", SESSION, 200);
    }
}

static void test_a_key_wins_over_a_cookie(void **state)
{
    caller_is(*state, SESSION "X-API-Key: key-of-bob\r\n", "bob", "");
    caller_is(*state, SESSION "Authorization: Bearer key-of-bob\r\n", "bob", "");
    status_is(*state, "GET", "/test/caller", SESSION "X-API-Key: wrong\r\n", 401);
    /* No page sends a key without having it, so where it is from does not matter. */
    status_is(*state, "POST", "/test/none", SESSION "X-API-Key: key-of-bob\r\n", 201);
    status_is(*state, "POST", "/test/caller",
              SESSION "X-API-Key: key-of-bob\r\nOrigin: http://evil.example\r\n", 200);
}

static void test_cookies_that_are_no_sessions(void **state)
{
    static const char *const cookies[] = {
        "",
        "rds_session",
        "rds_session=",
        "rds_session=wrong",
        "rds_session=\"token-of-ann\"",
        "xrds_session=token-of-ann",
        "rds_session2=token-of-ann",
        "RDS_SESSION=token-of-ann",
        "a=rds_session=token-of-ann",
        "rds_session =token-of-ann",
        "rds_session=token-of-ann,rds_session=x",
        ";;;=;=;",
        "rds_session=token-of-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "rds_session=\xff\xfe",
    };
    for (size_t i = 0; i < ARRAY_SIZE(cookies); i++) {
        char headers[256];
        auto_reply struct reply r = {0};
        snprintf(headers, sizeof(headers), "Cookie: %s\r\n", cookies[i]);
        request(*state, "GET", "/test/caller", headers, NULL, &r);
        /* Its account is a name made of what comes behind "token-of-"; the comma belongs to it. */
        if (strchr(cookies[i], ','))
            assert_string_equal(reply_string(&r, "account"), "ann,rds_session=x");
        else if (r.status != 401)
            fail_msg("%s: %d", headers, r.status);
    }
}

static void test_a_session_is_of_one_request(void **state)
{
    auto_close int fd = client_connect(*state);
    client_send_text(fd, "GET /test/caller HTTP/1.1\r\nHost: localhost\r\n" SESSION "\r\n");
    auto_reply struct reply r = {0};
    client_read(fd, true, &r);
    assert_int_equal(r.status, 200);
    client_send_text(fd, "GET /test/caller HTTP/1.1\r\nHost: localhost\r\n\r\n");
    reply_done(&r);
    client_read(fd, true, &r);
    assert_int_equal(r.status, 401);
    client_send_text(fd, "GET /test/caller HTTP/1.1\r\nHost: localhost\r\n"
                         "X-API-Key: key-of-bob\r\n\r\n");
    reply_done(&r);
    client_read(fd, true, &r);
    assert_string_equal(reply_string(&r, "session"), "");
}

/* Where a request may come from that changes something, or opens a WebSocket, by a cookie. */
static const struct {
    const char *headers;
    bool is_fine;
} pages[] = {
    {"", true},
    {"Sec-Fetch-Site: same-origin\r\n", true},
    {"Sec-Fetch-Site: none\r\n", true},
    {"Origin: http://holm.example:81\r\nHost: holm.example:81\r\n", true},
    {"Origin: https://holm.example\r\nHost: holm.example\r\n", true},
    {"Origin: https://HOLM.example\r\nHost: holm.example\r\n", true},
    {"Sec-Fetch-Site: same-site\r\n", false},
    {"Sec-Fetch-Site: cross-site\r\n", false},
    {"Sec-Fetch-Site: \r\n", false},
    {"Origin: http://evil.example\r\nHost: holm.example\r\n", false},
    {"Origin: http://holm.example:82\r\nHost: holm.example:81\r\n", false},
    {"Origin: http://holm.example.evil\r\nHost: holm.example\r\n", false},
    {"Origin: null\r\n", false},
    {"Origin: \r\n", false},
    {"Origin: http://evil.example\r\nSec-Fetch-Site: same-origin\r\n", false},
};

static void test_other_sites_pages_change_nothing(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
        /* An account a request, so that nobody asks too often. */
        char headers[256], forged[256];
        snprintf(headers, sizeof(headers), "Cookie: rds_session=token-of-%zu\r\n%s", i,
                 pages[i].headers);
        status_is(*state, "POST", "/test/caller", headers, pages[i].is_fine ? 200 : 403);
        status_is(*state, "GET", "/test/caller", headers, 200);
        status_is(*state, "HEAD", "/test/caller", headers, 200);
        /* Whether a session is right is not told to who may not use it... */
        snprintf(forged, sizeof(forged), "Cookie: rds_session=%zu\r\n%s", i, pages[i].headers);
        status_is(*state, "POST", "/test/caller", forged, 401);
    }
}

/* A row that needs no account may act on the cookie too. */
static void test_other_sites_pages_end_no_session(void **state)
{
    struct test_server keyed = at_listener(*state, 1);
    for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
        char headers[256];
        snprintf(headers, sizeof(headers), SESSION "%s", pages[i].headers);
        status_is(&keyed, "POST", "/test/open", headers, pages[i].is_fine ? 200 : 403);
        status_is(&keyed, "POST", "/test/open", pages[i].headers, 200);
    }
    status_is(*state, "POST", "/test/open", SESSION "Sec-Fetch-Site: cross-site\r\n", 403);
}

static void test_other_sites_pages_open_no_websocket(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
        auto_close int fd = client_connect(*state);
        auto_buf struct buf text = {0};
        const char *host = strstr(pages[i].headers, "Host:") ? "" : "Host: localhost\r\n";
        buf_printf(&text,
                   "GET /test/account-socket HTTP/1.1\r\n%s%s" SESSION
                   "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
                   host, pages[i].headers);
        client_send(fd, text.data, text.len);
        auto_reply struct reply r = {0};
        auto_buf struct buf rest = {0};
        client_read_head(fd, &r, &rest);
        if (r.status != (pages[i].is_fine ? 101 : 403))
            fail_msg("%s: %d", pages[i].headers, r.status);
    }
}

/* ---- rates ---- */

static void test_too_many_requests(void **state)
{
    static const char headers[] = "X-API-Key: key-of-busy\r\n";
    for (int i = 0; i < 3; i++)
        status_is(*state, "POST", "/test/caller", headers, 200);
    auto_reply struct reply r = {0};
    request(*state, "POST", "/test/caller", headers, NULL, &r);
    assert_int_equal(r.status, 429);
    assert_string_equal(reply_header(&r, "Retry-After"), "20");
    assert_non_null(strstr(r.body.data, "\"code\":\"rate_limited\""));
    assert_non_null(strstr(r.body.data, "too many requests: this path answers 3 of them a minute; "
                                        "try again in 20 seconds"));
    /* Others, and other methods, are not concerned; nor is who has no key let in. */
    status_is(*state, "POST", "/test/caller", "X-API-Key: key-of-other\r\n", 200);
    status_is(*state, "GET", "/test/caller", headers, 200);
    status_is(*state, "POST", "/test/caller", "X-API-Key: wrong\r\n", 401);
    /* By whichever listener and way. */
    struct test_server mounted = at_listener(*state, 2);
    status_is(&mounted, "POST", "/caller", headers, 429);
}

/* Without an account it is the address; and the body is not looked at. */
static void test_too_many_requests_of_an_address(void **state)
{
    auto_reply struct reply r = {0};
    for (int i = 0; i < 2; i++) {
        request(*state, "POST", "/test/limited", "Content-Type: application/json\r\n", "{}", &r);
        assert_int_equal(r.status, 200);
        reply_done(&r);
    }
    request(*state, "POST", "/test/limited", "Content-Type: text/plain\r\n", "{", &r);
    assert_int_equal(r.status, 429);
    assert_string_equal(reply_header(&r, "Retry-After"), "30");
}

/* Another address of the same machine is another caller. */
static void test_callers_by_their_address(void **state)
{
    const char *address = server_address(((struct test_server *)*state)->server, 3);
    auto_close int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 a = {.sin6_family = AF_INET6,
                             .sin6_port = htons((uint16_t)atoi(strrchr(address, ':') + 1)),
                             .sin6_addr = in6addr_loopback};
    auto_reply struct reply r = {0};
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    client_send_text(fd, "GET /test/caller HTTP/1.1\r\nHost: localhost\r\n" SESSION "\r\n");
    client_read(fd, true, &r);
    assert_string_equal(reply_string(&r, "peer"), "::1");
}

static void test_callers_by_a_socket(void **state)
{
    char dir[] = "/tmp/holm-peer-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "unix:%s/api.sock", dir);
    const struct listener_config l = {.address = path};
    const struct server_config c = {.listeners = &l, .n_listeners = 1, .session_account = session};
    struct test_server ts;
    test_server_start(&ts, &c);
    auto_close int fd = unix_connect(path + strlen("unix:"));
    assert_true(fd >= 0);
    auto_reply struct reply r = {0};
    client_send_text(fd, "GET /test/caller HTTP/1.1\r\nHost: localhost\r\n" SESSION "\r\n");
    client_read(fd, true, &r);
    assert_string_equal(reply_string(&r, "peer"), "unix");
    test_server_stop(&ts);
    dir_remove(dir);
}

static void test_rates_may_be_off(void **state)
{
    struct test_server ts;
    const struct server_config off = {.key_account = whose};
    test_server_start(&ts, &off);
    for (int i = 0; i < 10; i++)
        status_is(&ts, "POST", "/test/caller", "X-API-Key: key-of-busy\r\n", 200);
    test_server_stop(&ts);
}

/* ---- mounts ---- */

static void test_a_mounted_dialect(void **state)
{
    struct test_server ts = at_listener(*state, 2);
    status_is(&ts, "GET", "/list", NULL, 200);
    status_is(&ts, "GET", "/test/list", NULL, 200);
    status_is(&ts, "GET", "/list", "Origin: http://evil.example\r\n", 403);
    status_is(&ts, "GET", "/caller", NULL, 401);
    status_is(&ts, "GET", "/caller", "X-API-Key: key-of-ann\r\n", 200);
    /* Elsewhere it is not at /. */
    status_is(*state, "GET", "/list", NULL, 404);
    /* Other dialects are where they were, but not below its prefixes. */
    status_is(&ts, "GET", "/health", NULL, 200);
    status_is(&ts, "GET", "/native/v1/vms", "X-API-Key: key-of-ann\r\n", 200);
    status_is(&ts, "GET", "/native/test/list", NULL, 404);
    status_is(&ts, "GET", "/native/health", NULL, 404);
    status_is(&ts, "GET", "/native/healthz", NULL, 200);
    status_is(*state, "GET", "/native/healthz", NULL, 200);
    status_is(&ts, "GET", "/v1/vms", "X-API-Key: key-of-ann\r\n", 404);
}

static void words_are(const struct test_server *ts, const char *method, const char *path,
                      const char *words)
{
    auto_reply struct reply r = {0};
    request(ts, method, path, NULL, NULL, &r);
    if (!strstr(buf_str(&r.body), words))
        fail_msg("%s %s: %s", method, path, buf_str(&r.body));
}

static void test_errors_tell_paths_as_they_were_asked_for(void **state)
{
    struct test_server ts = at_listener(*state, 2);
    words_are(&ts, "GET", "/v1/signd",
              "{\"error\":{\"code\":\"not_found\",\"message\":\"there is nothing at /v1/signd; did "
              "you mean /v1/signed?");
    words_are(&ts, "DELETE", "/list", "DELETE is not allowed for /list: use GET");
    words_are(
        &ts, "GET", "/native/v1/machine-type",
        "there is nothing at /native/v1/machine-type; did you mean /native/v1/machine-types?");
    words_are(&ts, "GET", "/native/v1/nothing/like/this", "{\"error\":{\"code\":\"not_found\"");
}

static void url_is(const struct test_server *ts, const char *path, const char *want)
{
    auto_reply struct reply r = {0};
    request(ts, "GET", path, "Host: holm.example\r\n", NULL, &r);
    assert_string_equal(reply_string(&r, "url"), want);
}

static void test_urls_in_answers_lead_back(void **state)
{
    struct test_server ts = at_listener(*state, 2);
    url_is(*state, "/test/v1/signed", "http://holm.example");
    url_is(&ts, "/test/v1/signed", "http://holm.example");
    url_is(&ts, "/v1/signed", "http://holm.example");
}

static void test_documents_of_a_mount(void **state)
{
    struct test_server ts = at_listener(*state, 2);
    auto_reply struct reply r = {0};
    request(&ts, "GET", "/openapi.json", NULL, NULL, &r);
    json_t *paths = json_object_get(r.json, "paths");
    assert_non_null(json_object_get(paths, "/list"));
    assert_null(json_object_get(paths, "/api/v1/execute"));
    reply_done(&r);
    request(*state, "GET", "/openapi.json", NULL, NULL, &r);
    paths = json_object_get(r.json, "paths");
    assert_non_null(json_object_get(paths, "/test/list"));
    assert_non_null(json_object_get(paths, "/api/v1/execute"));
    reply_done(&r);
    request(&ts, "GET", "/openapi/native.json", NULL, NULL, &r);
    assert_non_null(json_object_get(json_object_get(r.json, "paths"), "/native/v1/vms"));
    reply_done(&r);
    request(&ts, "GET", "/", NULL, NULL, &r);
    assert_non_null(strstr(r.body.data, "GET    /list "));
    assert_non_null(strstr(r.body.data, "POST   /native/v1/vms "));
}

static void test_only_dialects_are_mounted(void **state)
{
    static const char *const names[] = {"nothing", "server", ""};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const struct listener_config l = {.address = "127.0.0.1:0", .mount = names[i]};
        const struct server_config c = {.listeners = &l, .n_listeners = 1};
        struct server *s = NULL;
        struct err e = ERR_INIT;
        assert_true(server_new(&c, &s, &e) < 0);
        assert_int_equal(e.class, ERR_INVALID);
        assert_non_null(strstr(e.text, "there is no dialect"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_cookie_is_as_good_as_a_key),
        cmocka_unit_test(test_a_key_wins_over_a_cookie),
        cmocka_unit_test(test_cookies_that_are_no_sessions),
        cmocka_unit_test(test_a_session_is_of_one_request),
        cmocka_unit_test(test_other_sites_pages_change_nothing),
        cmocka_unit_test(test_other_sites_pages_end_no_session),
        cmocka_unit_test(test_other_sites_pages_open_no_websocket),
        cmocka_unit_test(test_too_many_requests),
        cmocka_unit_test(test_too_many_requests_of_an_address),
        cmocka_unit_test(test_callers_by_their_address),
        cmocka_unit_test(test_callers_by_a_socket),
        cmocka_unit_test(test_rates_may_be_off),
        cmocka_unit_test(test_a_mounted_dialect),
        cmocka_unit_test(test_errors_tell_paths_as_they_were_asked_for),
        cmocka_unit_test(test_urls_in_answers_lead_back),
        cmocka_unit_test(test_documents_of_a_mount),
        cmocka_unit_test(test_only_dialects_are_mounted),
    };
    return cmocka_run_group_tests(tests, setup, test_teardown);
}
