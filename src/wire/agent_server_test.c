/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/agent_server.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>

#include "base/limits.h"
#include "base/test.h"
#include "wire/hello.h"

/* A client and a server in one process, their bytes handed over by `pump`. */
struct pair {
    struct agent_server *server;
    nghttp2_session *client;
    struct buf events; /* what the server told, one word each */
    struct agent_stream *stream;
    size_t got_bytes; /* DATA that reached the client */
    struct buf answer;
    int client_closed;
    bool hold; /* the server's owner does not consume */
    size_t sent_bytes;
    size_t send_max; /* how much the client would like to send */
    int pulls;
};

static void on_request(struct agent_stream *st)
{
    struct pair *p = agent_server_owner(st->server);
    p->stream = st;
    st->data = p;
    buf_printf(&p->events, "request(%s %s ?%s) ", st->method, st->path, st->query);
}

static void on_body(struct agent_stream *st, const uint8_t *data, size_t len)
{
    struct pair *p = st->data;
    if (!p->hold)
        agent_server_consume(st, len);
    p->got_bytes += len;
}

static void on_body_end(struct agent_stream *st)
{
    buf_append_str(&((struct pair *)st->data)->events, "end ");
}

static void on_closed(struct agent_stream *st)
{
    struct pair *p = st->data;
    buf_append_str(&p->events, "closed ");
    p->stream = NULL;
}

static const struct agent_server_ops ops = {on_request, on_body, on_body_end, on_closed};

static int client_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *data,
                       size_t len, void *user)
{
    return buf_append(&((struct pair *)user)->answer, data, len);
}

static int client_close(nghttp2_session *s, int32_t id, uint32_t error_code, void *user)
{
    ((struct pair *)user)->client_closed++;
    return 0;
}

static ssize_t client_read(nghttp2_session *s, int32_t id, uint8_t *buf, size_t size,
                           uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct pair *p = user;
    size_t n = p->send_max - p->sent_bytes;
    n = n < size ? n : size;
    memset(buf, 'x', n);
    p->sent_bytes += n;
    if (p->sent_bytes == p->send_max)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static void pump(struct pair *p)
{
    for (bool moved = true; moved;) {
        const uint8_t *data;
        ssize_t n = nghttp2_session_mem_send(p->client, &data);
        moved = n > 0;
        if (n > 0)
            assert_int_equal(0, agent_server_feed(p->server, data, (size_t)n));
        auto_buf struct buf out = {0};
        assert_int_equal(0, agent_server_pull(p->server, &out, 1 << 16));
        moved = moved || out.len > 0;
        if (out.len)
            assert_int_equal(
                out.len, nghttp2_session_mem_recv(p->client, (const uint8_t *)out.data, out.len));
    }
}

static int32_t request(struct pair *p, const char *method, const char *path, size_t send_max)
{
#define NV(n, v) {(uint8_t *)(uintptr_t)(n), (uint8_t *)(uintptr_t)(v), strlen(n), strlen(v), 0}
    nghttp2_nv nv[] = {NV(":method", method), NV(":scheme", "http"), NV(":authority", "a"),
                       NV(":path", path)};
    nghttp2_data_provider body = {.read_callback = client_read};
    p->send_max = send_max;
    return nghttp2_submit_request(p->client, NULL, nv, ARRAY_SIZE(nv), send_max ? &body : NULL,
                                  NULL);
}

static int setup(void **state)
{
    struct pair *p = calloc(1, sizeof(*p));
    nghttp2_session_callbacks *cb;
    nghttp2_session_callbacks_new(&cb);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, client_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, client_close);
    assert_int_equal(0, nghttp2_session_client_new(&p->client, cb, p));
    nghttp2_session_callbacks_del(cb);
    nghttp2_submit_settings(p->client, 0, NULL, 0);
    assert_int_equal(0, agent_server_new(&ops, p, &p->server));
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct pair *p = *state;
    agent_server_free(p->server);
    nghttp2_session_del(p->client);
    buf_done(&p->events);
    buf_done(&p->answer);
    free(p);
    return 0;
}

static void test_answer(void **state)
{
    struct pair *p = *state;
    request(p, "GET", "/v1/files?path=%2fa&x=?", 0);
    pump(p);
    assert_string_equal("request(GET /v1/files ?path=%2fa&x=?) end ", buf_str(&p->events));
    assert_int_equal(0, agent_server_respond(p->stream, 200, "text/plain", "hello", 5));
    assert_int_equal(-EALREADY, agent_server_respond(p->stream, 200, "text/plain", "", 0));
    assert_true(agent_server_has_responded(p->stream));
    pump(p);
    assert_string_equal("hello", buf_str(&p->answer));
    assert_int_equal(1, p->client_closed);
    assert_null(p->stream);
}

/* A body nobody consumes stops at the window; another stream goes on. */
static void test_body_window(void **state)
{
    struct pair *p = *state;
    p->hold = true;
    request(p, "PUT", "/a", 16 * MIB);
    pump(p);
    assert_int_equal(AGENT_BODY_WINDOW_BYTES, p->got_bytes);
    struct agent_stream *first = p->stream;
    request(p, "GET", "/b", 0);
    pump(p);
    assert_int_equal(0, agent_server_respond(p->stream, 200, "text/plain", "b", 1));
    pump(p);
    assert_string_equal("b", buf_str(&p->answer));
    p->send_max = 16 * MIB;
    p->hold = false;
    agent_server_consume(first, AGENT_BODY_WINDOW_BYTES);
    pump(p);
    assert_int_equal(16 * MIB, p->got_bytes);
}

static ssize_t pull_in_turns(struct agent_stream *st, uint8_t *buf, size_t size)
{
    struct pair *p = st->data;
    if (++p->pulls == 1)
        return AGENT_PULL_LATER;
    if (p->pulls > 4)
        return AGENT_PULL_END;
    memcpy(buf, "abc", 3);
    return 3;
}

static void test_pulled_answer(void **state)
{
    struct pair *p = *state;
    request(p, "POST", "/a", 0);
    pump(p);
    agent_server_respond_pull(p->stream, 200, "text/plain", pull_in_turns);
    pump(p);
    assert_int_equal(1, p->pulls);
    assert_int_equal(0, p->answer.len);
    agent_server_resume(p->stream);
    pump(p);
    assert_string_equal("abcabcabc", buf_str(&p->answer));
    assert_int_equal(1, p->client_closed);
}

static ssize_t pull_zeros(struct agent_stream *st, uint8_t *buf, size_t size)
{
    ((struct pair *)st->data)->sent_bytes += size;
    memset(buf, 0, size);
    return (ssize_t)size;
}

/* Nothing is pulled that the client has no window for. */
static void test_answer_window(void **state)
{
    struct pair *p = *state;
    nghttp2_settings_entry none = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1000};
    nghttp2_submit_settings(p->client, 0, &none, 1);
    request(p, "POST", "/a", 0);
    pump(p);
    agent_server_respond_pull(p->stream, 200, "text/plain", pull_zeros);
    auto_buf struct buf out = {0};
    assert_int_equal(0, agent_server_pull(p->server, &out, MIB));
    assert_int_equal(1000, p->sent_bytes);
}

/* An answer that is complete ends the request even while its body is still being sent. */
static void test_early_answer(void **state)
{
    struct pair *p = *state;
    p->hold = true;
    request(p, "PUT", "/a", 16 * MIB);
    pump(p);
    agent_server_respond(p->stream, 409, "text/plain", "no", 2);
    pump(p);
    assert_int_equal(1, p->client_closed);
    assert_null(p->stream);
}

static void test_reset_by_client(void **state)
{
    struct pair *p = *state;
    int32_t id = request(p, "PUT", "/a", 16 * MIB);
    p->hold = true;
    pump(p);
    nghttp2_submit_rst_stream(p->client, 0, id, NGHTTP2_CANCEL);
    pump(p);
    assert_string_equal("request(PUT /a ?) closed ", buf_str(&p->events));
}

static void test_abort(void **state)
{
    struct pair *p = *state;
    request(p, "POST", "/a", 0);
    pump(p);
    agent_server_abort(p->stream);
    pump(p);
    assert_int_equal(1, p->client_closed);
    assert_int_equal(0, p->answer.len);
}

static void test_many_streams(void **state)
{
    struct pair *p = *state;
    pump(p);
    for (int i = 0; i < AGENT_STREAMS_MAX + 20; i++)
        request(p, "GET", "/a", 0);
    pump(p);
    size_t n = 0;
    for (const char *at = buf_str(&p->events); (at = strstr(at, "request")); at++)
        n++;
    assert_int_equal(AGENT_STREAMS_MAX, n);
}

static void test_bounds(void **state)
{
    struct pair *p = *state;
    char path[20000];
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    request(p, "GET", path, 0);
    request(p, "A-VERY-LONG-METHOD-NAME", "/a", 0);
    pump(p);
    assert_int_equal(0, p->events.len);
    assert_int_equal(2, p->client_closed);
    request(p, "GET", "/b", 0); /* the session goes on */
    pump(p);
    assert_string_equal("request(GET /b ?) end ", buf_str(&p->events));
}

static void test_not_http2(void **state)
{
    struct pair *p = *state;
    request(p, "GET", "/a", 0);
    pump(p);
    const char hello[] = "HOLM/1 0123456789abcdef0123456789abcdef\n";
    assert_int_equal(-EPROTO, agent_server_feed(p->server, hello, sizeof(hello) - 1));
}

static void test_no_preface(void **state)
{
    struct pair *p = *state;
    const char text[] = "GET / HTTP/1.1\r\n\r\n........";
    assert_int_equal(-EPROTO, agent_server_feed(p->server, text, sizeof(text) - 1));
}

static void test_orderly_end(void **state)
{
    struct pair *p = *state;
    pump(p);
    assert_false(agent_server_is_done(p->server));
    nghttp2_session_terminate_session(p->client, NGHTTP2_NO_ERROR);
    const uint8_t *data;
    ssize_t n = nghttp2_session_mem_send(p->client, &data);
    agent_server_feed(p->server, data, (size_t)n);
    auto_buf struct buf out = {0};
    agent_server_pull(p->server, &out, 1 << 16);
    assert_true(agent_server_is_done(p->server));
}

#define PAIR_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(test_answer),        PAIR_TEST(test_body_window),
        PAIR_TEST(test_pulled_answer), PAIR_TEST(test_answer_window),
        PAIR_TEST(test_early_answer),  PAIR_TEST(test_reset_by_client),
        PAIR_TEST(test_abort),         PAIR_TEST(test_many_streams),
        PAIR_TEST(test_bounds),        PAIR_TEST(test_not_http2),
        PAIR_TEST(test_no_preface),    PAIR_TEST(test_orderly_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
