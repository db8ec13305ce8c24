/* SPDX-License-Identifier: Apache-2.0 */

/* WebSockets over a real server, by a client of its own that can also misbehave. */

#include "api/api_test.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "api/websocket.h"
#include "base/limits.h"

enum { CONTINUATION, TEXT, BINARY, CLOSE = 8, PING, PONG };
#define FIN 0x80
#define MASKED 0x80

#define HANDSHAKE                                                            \
    "GET /test/socket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n" \
    "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"       \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

/* A client: what was read beyond what was wanted is kept. */
struct peer {
    int fd;
    struct buf rest;
};

static void peer_done(struct peer *p)
{
    cleanup_close(&p->fd);
    buf_done(&p->rest);
}
#define auto_peer CLEANUP(peer_done)

static void open_socket(const struct test_server *ts, struct peer *p)
{
    p->fd = client_connect(ts);
    client_send_text(p->fd, HANDSHAKE);
    auto_reply struct reply r = {0};
    client_read_head(p->fd, &r, &p->rest);
    assert_int_equal(r.status, 101);
    assert_string_equal(reply_header(&r, "Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_string_equal(reply_header(&r, "Upgrade"), "websocket");
    assert_string_equal(reply_header(&r, "Connection"), "Upgrade");
}

/* One frame; `first` is its first byte, `announced` the length that it claims. */
static void frame(struct buf *b, unsigned first, const void *data, size_t len, uint64_t announced)
{
    static const unsigned char mask[4] = {0x12, 0x34, 0x56, 0x78};
    unsigned char head[10] = {(unsigned char)first};
    size_t n = 2;
    if (announced < 126) {
        head[1] = (unsigned char)(MASKED | announced);
    } else {
        size_t bytes = announced < 65536 ? 2 : 8;
        head[1] = (unsigned char)(MASKED | (bytes == 2 ? 126 : 127));
        for (size_t i = 0; i < bytes; i++)
            head[n++] = (unsigned char)(announced >> (8 * (bytes - 1 - i)));
    }
    buf_append(b, head, n);
    buf_append(b, mask, 4);
    char *room = buf_reserve(b, len + 1);
    for (size_t i = 0; i < len; i++)
        room[i] = (char)(((const char *)data)[i] ^ mask[i % 4]);
    b->len += len;
}

static void say(const struct peer *p, unsigned first, const void *data, size_t len)
{
    auto_buf struct buf b = {0};
    frame(&b, first, data, len, len);
    client_send(p->fd, b.data, b.len);
}

/* False: the server closed. */
static bool fill(struct peer *p, size_t want)
{
    while (p->rest.len < want) {
        struct pollfd poll_fd = {.fd = p->fd, .events = POLLIN};
        if (poll(&poll_fd, 1, TEST_PATIENCE_MS) != 1)
            fail_msg("nothing comes");
        char *room = buf_reserve(&p->rest, 65536);
        ssize_t n = recv(p->fd, room, 65536, 0);
        if (n <= 0)
            return false;
        p->rest.len += (size_t)n;
    }
    return true;
}

/* The next frame's first byte, its payload in `ret`; -1: the server closed. */
static int hear(struct peer *p, struct buf *ret)
{
    buf_clear(ret);
    if (!fill(p, 2))
        return -1;
    const unsigned char *head = (const unsigned char *)p->rest.data;
    assert_int_equal(head[1] & MASKED, 0);
    uint64_t len = head[1];
    size_t extra = len == 126 ? 2 : len == 127 ? 8 : 0;
    assert_true(fill(p, 2 + extra));
    head = (const unsigned char *)p->rest.data;
    int first = head[0];
    for (size_t i = 0; i < extra; i++)
        len = (i ? len << 8 : 0) | head[2 + i];
    assert_true(fill(p, 2 + extra + len));
    buf_append(ret, p->rest.data + 2 + extra, len);
    buf_consume(&p->rest, 2 + extra + len);
    return first;
}

static void hears(struct peer *p, int first, const void *data, size_t len)
{
    auto_buf struct buf b = {0};
    assert_int_equal(hear(p, &b), first);
    assert_int_equal(b.len, len);
    if (len)
        assert_memory_equal(b.data, data, len);
}

/* The server's close frame, then its end. */
static void ends(struct peer *p, int code, const char *reason)
{
    auto_buf struct buf b = {0};
    int first = hear(p, &b);
    if (first != (FIN | CLOSE) || b.len < 2)
        fail_msg("not closed: %d", first);
    assert_int_equal((unsigned char)b.data[0] << 8 | (unsigned char)b.data[1], code);
    assert_string_equal(b.data + 2, reason);
    shutdown(p->fd, SHUT_WR);
    assert_int_equal(hear(p, &b), -1);
}

/* ---- the handshake ---- */

static void test_accept_key(void **state)
{
    char accept[WEBSOCKET_ACCEPT_SIZE];
    assert_int_equal(websocket_accept_key("dGhlIHNhbXBsZSBub25jZQ==", accept), 0);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_int_equal(websocket_accept_key("", accept), -EINVAL);
    assert_int_equal(websocket_accept_key("dGhlIHNhbXBsZSBub25j", accept), -EINVAL);
    assert_int_equal(websocket_accept_key("not base64 not base64 no", accept), -EINVAL);
}

#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

/* `what` is the method and the path. */
static void refused(struct test_server *ts, const char *what, const char *headers, int status,
                    const char *says)
{
    auto_reply struct reply r = {0};
    char method[8];
    snprintf(method, sizeof(method), "%.*s", (int)strcspn(what, " "), what);
    request(ts, method, strchr(what, ' ') + 1, headers, NULL, &r);
    assert_int_equal(r.status, status);
    if (*says && !strstr(buf_str(&r.body), says))
        fail_msg("%s", buf_str(&r.body));
}

static void test_refused_handshakes(void **state)
{
    int before = test_sessions.begun;
    refused(*state, "GET /test/socket", NULL, 400, "connect to it with ws://");
    refused(*state, "GET /test/socket", "Upgrade: websocket\r\n" VERSION KEY, 400, "ws://");
    refused(*state, "GET /test/socket", "Connection: Upgrade\r\n" VERSION KEY, 400, "ws://");
    refused(*state, "GET /test/socket", "Upgrade: h2c\r\nConnection: Upgrade\r\n" VERSION KEY, 400,
            "ws://");
    refused(*state, "HEAD /test/socket", UPGRADE VERSION KEY, 400, "");
    refused(*state, "GET /test/socket", UPGRADE VERSION, 400, "Sec-WebSocket-Key must be");
    refused(*state, "GET /test/socket", UPGRADE VERSION "Sec-WebSocket-Key: x\r\n", 400,
            "Sec-WebSocket-Key must be");
    refused(*state, "GET /test/socket?refuse=1", UPGRADE VERSION KEY, 403, "not from you");
    refused(*state, "GET /test/socket?bogus=1", UPGRADE VERSION KEY, 400, "unknown parameter");
    refused(*state, "GET /test/socket", "Origin: http://evil.example\r\n" UPGRADE VERSION KEY, 403,
            "evil.example");
    refused(*state, "POST /test/socket", UPGRADE VERSION KEY, 405, "use GET");
    auto_reply struct reply r = {0};
    request(*state, "GET", "/test/socket", UPGRADE KEY "Sec-WebSocket-Version: 8\r\n", NULL, &r);
    assert_int_equal(r.status, 400);
    assert_string_equal(reply_header(&r, "Sec-WebSocket-Version"), "13");
    assert_int_equal(test_sessions.begun, before);
}

static void test_old_http_has_no_websockets(void **state)
{
    int before = test_sessions.begun;
    auto_close int fd = client_connect(*state);
    client_send_text(fd, "GET /test/socket HTTP/1.0\r\n" UPGRADE VERSION KEY "\r\n");
    auto_buf struct buf all = {0};
    client_read_all(fd, &all);
    assert_non_null(strstr(buf_str(&all), " 400 Bad Request"));
    test_count_wait(&test_sessions, before + 1);
}

/* ---- messages ---- */

static void test_echo_of_every_length(void **state)
{
    static const size_t lengths[] = {0,   1,     125,   126,
                                     127, 65535, 65536, WEBSOCKET_MESSAGE_MAX_BYTES};
    auto_peer struct peer p = {.fd = -1};
    open_socket(*state, &p);
    auto_free char *data = malloc(WEBSOCKET_MESSAGE_MAX_BYTES);
    for (size_t i = 0; i < WEBSOCKET_MESSAGE_MAX_BYTES; i++)
        data[i] = test_byte(i);
    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        say(&p, FIN | TEXT, data, lengths[i]);
        hears(&p, FIN | TEXT, data, lengths[i]);
        say(&p, FIN | BINARY, data, lengths[i]);
        hears(&p, FIN | BINARY, data, lengths[i]);
    }
    say(&p, FIN | BINARY, "\xff\0\xfe", 3);
    hears(&p, FIN | BINARY, "\xff\0\xfe", 3);
}

static void test_fragments_with_others_between(void **state)
{
    auto_peer struct peer p = {.fd = -1};
    open_socket(*state, &p);
    say(&p, TEXT, "\xc3", 1);
    say(&p, FIN | PING, "there?", 6);
    hears(&p, FIN | PONG, "there?", 6);
    say(&p, CONTINUATION, "", 0);
    say(&p, FIN | PONG, "unasked", 7);
    say(&p, FIN | CONTINUATION, "\xa9!", 2);
    hears(&p, FIN | TEXT, "\xc3\xa9!", 3);
}

static void test_one_byte_at_a_time(void **state)
{
    auto_peer struct peer p = {.fd = -1};
    open_socket(*state, &p);
    auto_buf struct buf b = {0};
    char data[200];
    memset(data, 'x', sizeof(data));
    frame(&b, FIN | BINARY, data, sizeof(data), sizeof(data));
    for (size_t i = 0; i < b.len; i++)
        client_send(p.fd, b.data + i, 1);
    hears(&p, FIN | BINARY, data, sizeof(data));
}

/* Frames that come in one packet with the handshake are not lost. */
static void test_early_frames(void **state)
{
    auto_buf struct buf b = {0};
    buf_append_str(&b, HANDSHAKE);
    frame(&b, FIN | TEXT, "one", 3, 3);
    frame(&b, FIN | TEXT, "two", 3, 3);
    auto_peer struct peer p = {.fd = client_connect(*state)};
    client_send(p.fd, b.data, b.len);
    auto_reply struct reply r = {0};
    client_read_head(p.fd, &r, &p.rest);
    hears(&p, FIN | TEXT, "one", 3);
    hears(&p, FIN | TEXT, "two", 3);
}

/* ---- the end ---- */

static void test_the_client_closes(void **state)
{
    int before = test_sessions.begun;
    auto_peer struct peer p = {.fd = -1};
    open_socket(*state, &p);
    say(&p, FIN | CLOSE, "\x0f\xa0why", 5); /* 4000 */
    ends(&p, 4000, "");
    test_count_wait(&test_sessions, before + 1);
    auto_peer struct peer bare = {.fd = -1};
    open_socket(*state, &bare);
    say(&bare, FIN | CLOSE, "", 0);
    hears(&bare, FIN | CLOSE, "", 0);
    test_count_wait(&test_sessions, before + 2);
}

static void test_the_row_closes(void **state)
{
    int before = test_sessions.begun;
    auto_peer struct peer p = {.fd = -1};
    open_socket(*state, &p);
    say(&p, FIN | TEXT, "close", 5);
    auto_buf struct buf b = {0};
    assert_int_equal(hear(&p, &b), FIN | CLOSE);
    assert_int_equal(b.len, 8);
    assert_memory_equal(b.data,
                        "\x03\xe8"
                        "exit 0",
                        8);
    /* What is said now is not answered, but the closing frame is waited for. */
    say(&p, FIN | TEXT, "too late", 8);
    say(&p, FIN | CLOSE, "\x03\xe8", 2);
    assert_int_equal(hear(&p, &b), -1);
    test_count_wait(&test_sessions, before + 1);
}

static void test_the_row_closes_and_the_client_says_nothing(void **state)
{
    int before = test_sessions.begun;
    auto_peer struct peer p = {.fd = -1};
    open_socket(*state, &p);
    say(&p, FIN | TEXT, "close", 5);
    test_count_wait(&test_sessions, before + 1);
    hears(&p, FIN | CLOSE,
          "\x03\xe8"
          "exit 0",
          8);
}

static void test_the_row_returns(void **state)
{
    auto_peer struct peer p = {.fd = -1};
    open_socket(*state, &p);
    say(&p, FIN | TEXT, "leave", 5);
    ends(&p, 1000, "");
}

static void test_the_client_vanishes(void **state)
{
    int before = test_sessions.begun;
    for (int i = 0; i < 3; i++) {
        auto_peer struct peer p = {.fd = -1};
        open_socket(*state, &p);
        if (i)
            client_send(p.fd, "\x81\x85\x01\x02\x03\x04xyz", i == 1 ? 3 : 9);
    }
    test_count_wait(&test_sessions, before + 3);
}

struct mistake {
    const char *frames;
    size_t len;
    int code;
    const char *reason;
};
#define FRAMES(text) text, sizeof(text) - 1

/* The mask is all zeros here, so that the payload can be read. */
static const struct mistake mistakes[] = {
    {FRAMES("\x81\x01x"), 1002, "not masked"},
    {FRAMES("\xc1\x81\0\0\0\0x"), 1002, "a reserved bit is set"},
    {FRAMES("\x91\x81\0\0\0\0x"), 1002, "a reserved bit is set"},
    {FRAMES("\x80\x81\0\0\0\0x"), 1002, "a fragment of no message"},
    {FRAMES("\x01\x81\0\0\0\0x\x81\x81\0\0\0\0x"), 1002, "a message in a message"},
    {FRAMES("\x83\x80\0\0\0\0"), 1002, "an unknown kind of frame"},
    {FRAMES("\x8b\x80\0\0\0\0"), 1002, "an unknown kind of frame"},
    {FRAMES("\x09\x80\0\0\0\0"), 1002, "a malformed frame"},
    {FRAMES("\x89\xfe\0\x7e"), 1002, "a malformed frame"},
    {FRAMES("\x82\xfe\0\x01"), 1002, "a malformed frame"},
    {FRAMES("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff"), 1002, "a malformed frame"},
    {FRAMES("\x88\x81\0\0\0\0x"), 1002, "a bad close frame"},
    {FRAMES("\x88\x82\0\0\0\0\x03\xed"), 1002, "a bad close frame"},
    {FRAMES("\x88\x82\0\0\0\0\0\0"), 1002, "a bad close frame"},
    {FRAMES("\x88\x83\0\0\0\0\x03\xe8\xff"), 1007, "the reason is not UTF-8"},
    {FRAMES("\x81\x81\0\0\0\0\xff"), 1007, "the text is not UTF-8"},
    {FRAMES("\x01\x81\0\0\0\0\xc3\x80\x81\0\0\0\0x"), 1007, "the text is not UTF-8"},
    {FRAMES("\x82\xff\0\0\0\0\0\x10\0\x01\0\0\0\0x"), 1009, "the message is too large"},
    {FRAMES("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0x"), 1009, "the message is too large"},
    {FRAMES("\x02\x81\0\0\0\0x\x80\xff\0\0\0\0\0\x10\0\0\0\0\0\0x"), 1009,
     "the message is too large"},
};

static void test_every_mistake_is_told(void **state)
{
    int before = test_sessions.begun;
    for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
        auto_peer struct peer p = {.fd = -1};
        open_socket(*state, &p);
        client_send(p.fd, mistakes[i].frames, mistakes[i].len);
        ends(&p, mistakes[i].code, mistakes[i].reason);
        test_count_wait(&test_sessions, before + (int)i + 1);
    }
}

/* ---- time ---- */

static void test_a_silent_client_is_asked_and_then_gone(void **state)
{
    const struct server_config config = {.idle_timeout_s = 1};
    struct test_server ts;
    test_server_start(&ts, &config);
    int before = test_sessions.begun;
    auto_peer struct peer p = {.fd = -1};
    open_socket(&ts, &p);
    for (int i = 0; i < 4; i++) {
        hears(&p, FIN | PING, "", 0);
        say(&p, FIN | PONG, "", 0);
    }
    hears(&p, FIN | PING, "", 0);
    test_count_wait(&test_sessions, before + 1);
    test_server_stop(&ts);
}

static void test_a_client_that_never_reads_is_cut(void **state)
{
    const struct server_config config = {.send_timeout_s = 1};
    struct test_server ts;
    test_server_start(&ts, &config);
    int before = test_sessions.begun;
    auto_peer struct peer p = {.fd = -1};
    open_socket(&ts, &p);
    say(&p, FIN | TEXT, "flood", 5);
    test_count_wait(&test_sessions, before + 1);
    test_server_stop(&ts);
}

static void test_the_server_stops(void **state)
{
    struct test_server ts;
    test_server_start(&ts, NULL);
    int before = test_sessions.begun, stopped = test_sessions_stopped;
    auto_peer struct peer idle = {.fd = -1}, floods = {.fd = -1};
    open_socket(&ts, &idle);
    open_socket(&ts, &floods);
    say(&floods, FIN | TEXT, "flood", 5);
    assert_true(fill(&floods, 1));
    server_stop(ts.server, TEST_PATIENCE_MS);
    assert_int_equal(test_sessions_stopped, stopped + 2);
    test_count_wait(&test_sessions, before + 2);
    ends(&idle, 1001, "the daemon is shutting down");
    test_server_stop(&ts);
}

static void test_they_count_as_connections(void **state)
{
    const struct server_config config = {.connections_max = 1};
    struct test_server ts;
    test_server_start(&ts, &config);
    auto_peer struct peer p = {.fd = -1};
    open_socket(&ts, &p);
    auto_close int spare = client_connect(&ts);
    client_send_text(spare, HANDSHAKE);
    auto_reply struct reply r = {0};
    client_read(spare, true, &r);
    assert_int_equal(r.status, 503);
    /* And no longer once they are closed. */
    say(&p, FIN | CLOSE, "\x03\xe8", 2);
    ends(&p, 1000, "");
    cleanup_close(&spare);
    do {
        reply_done(&r);
        request(&ts, "GET", "/health", NULL, NULL, &r);
    } while (r.status == 503);
    assert_int_equal(r.status, 200);
    test_server_stop(&ts);
}

static int setup(void **state)
{
    route_add_rows(test_rows);
    return test_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept_key),
        cmocka_unit_test(test_refused_handshakes),
        cmocka_unit_test(test_old_http_has_no_websockets),
        cmocka_unit_test(test_echo_of_every_length),
        cmocka_unit_test(test_fragments_with_others_between),
        cmocka_unit_test(test_one_byte_at_a_time),
        cmocka_unit_test(test_early_frames),
        cmocka_unit_test(test_the_client_closes),
        cmocka_unit_test(test_the_row_closes),
        cmocka_unit_test(test_the_row_closes_and_the_client_says_nothing),
        cmocka_unit_test(test_the_row_returns),
        cmocka_unit_test(test_the_client_vanishes),
        cmocka_unit_test(test_every_mistake_is_told),
        cmocka_unit_test(test_a_silent_client_is_asked_and_then_gone),
        cmocka_unit_test(test_a_client_that_never_reads_is_cut),
        cmocka_unit_test(test_the_server_stops),
        cmocka_unit_test(test_they_count_as_connections),
    };
    return cmocka_run_group_tests(tests, setup, test_teardown);
}
