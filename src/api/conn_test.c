/* SPDX-License-Identifier: Apache-2.0 */

/* Connections: many requests on one, broken HTTP, slow clients, listeners, the server's end. */

#include "api/api_test.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

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

static const char execute_head[] = "POST /api/v1/execute HTTP/1.1\r\nHost: localhost\r\n" JSON_TYPE;

/* ---- connections ---- */

static void test_pipelined_requests(void **state)
{
    auto_close int fd = client_connect(*state);
    for (int i = 0; i < 50; i++)
        client_send_text(fd, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client_send_text(fd, "GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    auto_buf struct buf all = {0};
    client_read_all(fd, &all);
    int n = 0;
    for (const char *p = all.data; (p = strstr(p, "HTTP/1.1 200 OK")); p++)
        n++;
    assert_int_equal(n, 50);
    assert_non_null(strstr(all.data, "HTTP/1.1 404 Not Found"));
}

static void test_one_byte_at_a_time(void **state)
{
    static const char text[] = "POST /api/v1/execute HTTP/1.1\r\nHost: localhost\r\n" JSON_TYPE
                               "Content-Length: 32\r\n\r\n{\"language\":\"c\",\"code\":\"hello\"} ";
    auto_close int fd = client_connect(*state);
    for (size_t i = 0; i < strlen(text); i++)
        client_send(fd, text + i, 1);
    auto_reply struct reply r = {0};
    client_read(fd, true, &r);
    assert_int_equal(r.status, 200);
}

static void test_old_http(void **state)
{
    auto_close int fd = client_connect(*state);
    client_send_text(fd, "GET /health HTTP/1.0\r\n\r\n");
    auto_buf struct buf all = {0};
    client_read_all(fd, &all);
    assert_non_null(strstr(all.data, "200 OK"));
    assert_non_null(strstr(all.data, "healthy"));
}

static void test_malformed_http(void **state)
{
    static const char *const bad[] = {
        "\r\n\r\n\r\n",
        "GARBAGE\r\n\r\n",
        "GET\r\n\r\n",
        "GET /health\r\n\r\n",
        "GET /health HTTP/9.9\r\n\r\n",
        "GET /health HTTP/1.1\r\n\r\n",
        "GET /he alth HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n",
        "POST /api/v1/execute HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        "POST /api/v1/execute HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1x\r\n\r\n",
        "POST /api/v1/execute HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
        "99999999999999999999999\r\n\r\n",
        "POST /api/v1/execute HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        "zz\r\n",
        "POST /api/v1/execute HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        "ffffffffffffffffff\r\n",
        "POST /api/v1/execute HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        "1\r\nxy\r\n",
        "GET /\x01\xff%00%ff HTTP/1.1\r\nHost: \xff\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        auto_close int fd = client_connect(*state);
        client_send_text(fd, bad[i]);
        shutdown(fd, SHUT_WR);
        auto_buf struct buf all = {0};
        client_read_all(fd, &all);
        if (strstr(buf_str(&all), " 200 ") && !strstr(bad[i], "GET /health\r\n"))
            fail_msg("%s was accepted", bad[i]);
    }
    status_is(*state, "GET", "/health", NULL, NULL, 200);
}

/* The same request with every byte changed in turn: no crash, and the server goes on. */
static void test_mutated_http(void **state)
{
    static const char good[] = "POST /api/v1/execute HTTP/1.1\r\nHost: localhost\r\n" JSON_TYPE
                               "Content-Length: 31\r\n\r\n{\"language\":\"c\",\"code\":\"hello\"}";
    static const char bytes[] = {'\0', '\r', '\n', ' ', ':', '%', '9', '\xff'};
    for (size_t i = 0; i < strlen(good); i++) {
        char text[sizeof(good)];
        memcpy(text, good, sizeof(good));
        text[i] = bytes[i % sizeof(bytes)];
        auto_close int fd = client_connect(*state);
        client_send(fd, text, strlen(good));
        shutdown(fd, SHUT_WR);
        auto_buf struct buf all = {0};
        client_read_all(fd, &all);
    }
    status_is(*state, "GET", "/health", NULL, NULL, 200);
}

static void test_too_long_headers(void **state)
{
    auto_close int fd = client_connect(*state);
    client_send_text(fd, "GET /health HTTP/1.1\r\nHost: localhost\r\nX: ");
    auto_buf struct buf b = {0};
    memset(buf_reserve(&b, 2 * HTTP_HEADERS_MAX_BYTES), 'x', 2 * HTTP_HEADERS_MAX_BYTES);
    client_send(fd, b.data, 2 * HTTP_HEADERS_MAX_BYTES);
    client_send_text(fd, "\r\n\r\n");
    auto_buf struct buf all = {0};
    client_read_all(fd, &all);
    assert_null(strstr(buf_str(&all), " 200 "));
}

static void test_many_parallel_clients(void **state)
{
    int fds[64];
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = client_connect(*state);
        client_send_text(fds[i], execute_head);
        client_send_text(fds[i],
                         "Content-Length: 31\r\n\r\n{\"language\":\"c\",\"code\":\"hello\"}");
    }
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        auto_reply struct reply r = {0};
        client_read(fds[i], true, &r);
        assert_int_equal(r.status, 200);
        close(fds[i]);
    }
}

static const char get_health[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";

static void test_connections_beyond_the_bound_are_told(void **state)
{
    const struct server_config config = {.connections_max = 2};
    struct test_server ts;
    test_server_start(&ts, &config);
    int fds[3 + HTTP_CONNECTIONS_SPARE];
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = client_connect(&ts);
        client_send_text(fds[i], get_health);
    }
    for (size_t i = 0; i < 3; i++) {
        auto_reply struct reply r = {0};
        client_read(fds[i], true, &r);
        assert_int_equal(r.status, i < 2 ? 200 : 503);
        if (i < 2)
            continue;
        assert_true(r.closed);
        assert_string_equal(reply_header(&r, "Retry-After"), "1");
        assert_string_equal(reply_string(&r, "error"),
                            "too many connections: this listener has 2 already");
    }
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
    test_server_stop(&ts);
}

/* ---- time ---- */

static void closed_without_answer(int fd)
{
    auto_buf struct buf all = {0};
    client_read_all(fd, &all);
    assert_null(strstr(buf_str(&all), "200 OK"));
}

static void test_slow_clients_are_cut(void **state)
{
    const struct server_config config = {.request_timeout_s = 1};
    struct test_server ts;
    test_server_start(&ts, &config);
    auto_close int fd = client_connect(&ts);
    client_send_text(fd, execute_head);
    client_send_text(fd, "Content-Length: 1000\r\n\r\n{");
    closed_without_answer(fd);
    test_server_stop(&ts);
}

static void test_silence_is_bounded_but_not_while_we_work(void **state)
{
    const struct server_config config = {.idle_timeout_s = 1};
    struct test_server ts;
    test_server_start(&ts, &config);
    auto_close int works = client_connect(&ts);
    client_send_text(works, execute_head);
    client_send_text(works, "Content-Length: 30\r\n\r\n{\"language\":\"c\",\"code\":\"wait\"}");
    auto_close int streams = client_connect(&ts);
    client_send_text(streams, execute_head);
    client_send_text(streams, "Accept: application/x-ndjson\r\nContent-Length: "
                              "30\r\n\r\n{\"language\":\"c\",\"code\":\"wait\"}");
    /* Two others that stay silent are cut, one after the other: meanwhile the working ones were
     * silent for longer than that. */
    for (int i = 0; i < 2; i++) {
        auto_close int silent = client_connect(&ts);
        client_send_text(silent, "GET /health HT");
        closed_without_answer(silent);
    }
    stub_release();
    stub_release();
    auto_reply struct reply a = {0}, b = {0};
    client_read(works, true, &a);
    assert_int_equal(a.status, 200);
    client_read(streams, true, &b);
    assert_int_equal(b.status, 200);
    assert_non_null(strstr(b.body.data, "\"t\":\"x\""));
    test_server_stop(&ts);
}

/* Asks for a stream without end and takes none of it. */
static int start_flood(struct test_server *ts)
{
    int fd = client_connect(ts);
    client_send_text(fd, execute_head);
    client_send_text(fd, "Accept: application/x-ndjson\r\nContent-Length: "
                         "33\r\n\r\n{\"language\":\"c\",\"code\":\"endless\"}");
    return fd;
}

static void wait_for(sem_t *s)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += TEST_PATIENCE_MS / 1000;
    assert_int_equal(sem_timedwait(s, &until), 0);
}

static void test_a_client_that_never_reads_loses_its_run(void **state)
{
    const struct server_config config = {.send_timeout_s = 1};
    struct test_server ts;
    test_server_start(&ts, &config);
    auto_close int fd = start_flood(&ts);
    wait_for(&stub_cancelled);
    /* Its connection is cut too, in a way that is no end of a stream. */
    auto_buf struct buf all = {0};
    client_read_all(fd, &all);
    assert_null(strstr(buf_str(&all), "\r\n0\r\n\r\n"));
    test_server_stop(&ts);
}

static void test_a_stopping_host_gets_its_run_back_from_a_client_that_never_reads(void **state)
{
    struct test_server ts;
    test_server_start(&ts, NULL);
    auto_close int fd = start_flood(&ts);
    wait_for(&stub_started);
    stub_stop();
    wait_for(&stub_cancelled);
    /* What came until then is there, so the client was not the one to end it. */
    char first;
    assert_int_equal(recv(fd, &first, 1, 0), 1);
    test_server_stop(&ts);
}

/* ---- listeners, and the end ---- */

static void test_unix_listener(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char address[128];
    snprintf(address, sizeof(address), "unix:%s/api", dir);
    const struct listener_config listeners[] = {{.address = "127.0.0.1:0"}, {.address = address}};
    const struct server_config config = {.listeners = listeners, .n_listeners = 2};
    struct test_server ts;
    test_server_start(&ts, &config);
    status_is(&ts, "GET", "/health", NULL, NULL, 200);
    auto_close int fd = unix_connect(address + 5);
    client_send_text(fd, "GET /health HTTP/1.1\r\nHost: anything\r\n\r\n");
    auto_reply struct reply r = {0};
    client_read(fd, true, &r);
    assert_int_equal(r.status, 200);
    test_server_stop(&ts);
    assert_int_equal(access(address + 5, F_OK), -1);
}

static void test_address_in_use(void **state)
{
    struct test_server *ts = *state;
    const struct listener_config listeners[] = {{.address = "127.0.0.1:0"},
                                                {.address = server_address(ts->server, 0)}};
    const struct server_config config = {.listeners = listeners, .n_listeners = 2};
    struct server *none = NULL;
    struct err e = ERR_INIT;
    assert_int_equal(server_new(&config, &none, &e), -EBUSY);
    assert_non_null(strstr(e.text, "stop the program that listens there"));
    assert_null(none);
}

static void *stop_with_grace(void *arg)
{
    struct test_server *ts = arg;
    server_stop(ts->server, TEST_PATIENCE_MS);
    return NULL;
}

static void test_quiesce_lets_running_requests_end(void **state)
{
    struct test_server ts;
    test_server_start(&ts, NULL);
    auto_close int running = client_connect(&ts), idle = client_connect(&ts);
    client_send_text(running, execute_head);
    client_send_text(running, "Content-Length: 30\r\n\r\n{\"language\":\"c\",\"code\":\"wait\"}");
    assert_int_equal(sem_wait(&stub_started), 0);
    server_quiesce(ts.server);
    client_send_text(idle, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    auto_reply struct reply r = {0};
    client_read(idle, true, &r);
    assert_int_equal(r.status, 503);
    assert_true(r.closed);
    assert_string_equal(reply_string(&r, "error"), "the daemon is shutting down");
    pthread_t stopper;
    pthread_create(&stopper, NULL, stop_with_grace, &ts);
    stub_release();
    reply_done(&r);
    client_read(running, true, &r);
    assert_int_equal(r.status, 200);
    pthread_join(stopper, NULL);
    test_server_stop(&ts);
}

static void test_stop_without_grace_cancels(void **state)
{
    struct test_server ts;
    test_server_start(&ts, NULL);
    auto_close int plain = client_connect(&ts), streamed = client_connect(&ts);
    client_send_text(plain, execute_head);
    client_send_text(plain, "Content-Length: 31\r\n\r\n{\"language\":\"c\",\"code\":\"block\"}");
    client_send_text(streamed, execute_head);
    client_send_text(streamed, "Accept: application/x-ndjson\r\nContent-Length: "
                               "33\r\n\r\n{\"language\":\"c\",\"code\":\"endless\"}");
    sem_wait(&stub_started);
    sem_wait(&stub_started);
    test_server_stop(&ts);
    int cancelled;
    sem_getvalue(&stub_cancelled, &cancelled);
    assert_int_equal(cancelled, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pipelined_requests),
        cmocka_unit_test(test_one_byte_at_a_time),
        cmocka_unit_test(test_old_http),
        cmocka_unit_test(test_malformed_http),
        cmocka_unit_test(test_mutated_http),
        cmocka_unit_test(test_too_long_headers),
        cmocka_unit_test(test_many_parallel_clients),
        cmocka_unit_test(test_connections_beyond_the_bound_are_told),
        cmocka_unit_test(test_slow_clients_are_cut),
        cmocka_unit_test(test_silence_is_bounded_but_not_while_we_work),
        cmocka_unit_test(test_a_client_that_never_reads_loses_its_run),
        cmocka_unit_test(test_a_stopping_host_gets_its_run_back_from_a_client_that_never_reads),
        cmocka_unit_test(test_unix_listener),
        cmocka_unit_test(test_address_in_use),
        cmocka_unit_test(test_quiesce_lets_running_requests_end),
        cmocka_unit_test(test_stop_without_grace_cancels),
    };
    return cmocka_run_group_tests(tests, test_setup, test_teardown);
}
