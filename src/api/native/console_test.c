/* SPDX-License-Identifier: Apache-2.0 */

/* Console tokens and what they open. */

#include "api/native/test_util.h"

#include <poll.h>
#include <sys/socket.h>

#include "base/limits.h"

enum { TEXT = 1, BINARY = 2, CLOSE = 8 };

/* One WebSocket, from the client's side. */
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

static void mint(struct native *n, const char *body, struct reply *ret)
{
    vm_call(n, &(struct call){"POST", "/console-token", body, .status = 200}, ret);
    assert_int_equal(number_at(ret, "expiresInSec"), CONSOLE_TOKEN_S);
}

/* The handshake; no key goes with it. Returns the status. */
static int open_path(struct native *n, const char *path, const char *token, struct peer *p,
                     struct reply *r)
{
    auto_buf struct buf b = {0};
    peer_done(p);
    p->fd = client_connect(&n->ts);
    p->rest = (struct buf){0};
    buf_printf(&b,
               "GET %s?session=%s HTTP/1.1\r\nHost: lab.example.org\r\n"
               "Origin: https://other.example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
               path, token);
    client_send(p->fd, b.data, b.len);
    reply_done(r);
    client_read_head(p->fd, r, &p->rest);
    return r->status;
}

static void open_session(struct native *n, const char *body, struct peer *p)
{
    auto_reply struct reply t = {0}, r = {0};
    mint(n, body, &t);
    assert_int_equal(open_path(n, text_at(&t, "websocketPath"), text_at(&t, "token"), p, &r), 101);
}

static void send_frame(struct peer *p, int opcode, const char *text)
{
    size_t len = strlen(text);
    char frame[256] = {(char)(0x80 | opcode), (char)(0x80 | len), 0, 0, 0, 0};
    memcpy(frame + 6, text, len); /* masked with zeros */
    client_send(p->fd, frame, 6 + len);
}

static void need(struct peer *p, size_t n)
{
    while (p->rest.len < n) {
        struct pollfd pf = {.fd = p->fd, .events = POLLIN};
        assert_int_equal(poll(&pf, 1, TEST_PATIENCE_MS), 1);
        char piece[4096];
        ssize_t got = recv(p->fd, piece, sizeof(piece), 0);
        if (got <= 0)
            fail_msg("closed without a close frame");
        buf_append(&p->rest, piece, (size_t)got);
    }
}

/* The next frame; returns its opcode. */
static int read_frame(struct peer *p, struct buf *ret)
{
    need(p, 2);
    size_t len = (unsigned char)p->rest.data[1], head = 2;
    int opcode = p->rest.data[0] & 15;
    if (len == 126) {
        need(p, 4);
        len = (size_t)(unsigned char)p->rest.data[2] << 8 | (unsigned char)p->rest.data[3];
        head = 4;
    }
    need(p, head + len);
    buf_clear(ret);
    buf_append(ret, p->rest.data + head, len);
    buf_consume(&p->rest, head + len);
    return opcode;
}

/* Reads output until it ends with `want`. */
static void expect(struct peer *p, const char *want)
{
    auto_buf struct buf all = {0}, piece = {0};
    while (all.len < strlen(want) || strcmp(buf_str(&all) + all.len - strlen(want), want) != 0) {
        if (read_frame(p, &piece) != BINARY)
            fail_msg("not \"%s\": %s", want, buf_str(&all));
        buf_append(&all, piece.data, piece.len);
    }
}

static void expect_close(struct peer *p, int code, const char *reason)
{
    auto_buf struct buf piece = {0};
    while (read_frame(p, &piece) != CLOSE)
        ;
    assert_int_equal((unsigned char)piece.data[0] << 8 | (unsigned char)piece.data[1], code);
    assert_string_equal(piece.data + 2, reason);
}

static void test_terminal(void **state)
{
    CLEANUP(peer_done) struct peer p = {.fd = -1};
    open_session(*state, NULL, &p);
    expect(&p, "80x24 root login$ ");
    send_frame(&p, TEXT, "{\"type\":\"resize\",\"cols\":132,\"rows\":50}");
    expect(&p, "[132x50]");
    send_frame(&p, TEXT, "ls\r");
    expect(&p, "ls\r");
    send_frame(&p, BINARY, "more");
    expect(&p, "more");
    /* What only looks like a resize is typed text. */
    static const char *const typed[] = {"{", "{}", "{\"type\":\"resize\"}",
                                        "{\"type\":\"resize\",\"cols\":0,\"rows\":1}",
                                        "{\"type\":\"x\",\"cols\":1,\"rows\":1}"};
    for (size_t i = 0; i < ARRAY_SIZE(typed); i++) {
        send_frame(&p, TEXT, typed[i]);
        expect(&p, typed[i]);
    }
    send_frame(&p, BINARY, "{\"type\":\"resize\",\"cols\":1,\"rows\":1}");
    expect(&p, "\"rows\":1}");
    send_frame(&p, TEXT, "exit\r");
    expect_close(&p, 1000, "exit 7");
}

static void test_kinds(void **state)
{
    CLEANUP(peer_done) struct peer p = {.fd = -1};
    open_session(*state, "{\"kind\":\"shell\",\"command\":[\"top\"],\"user\":\"user\"}", &p);
    expect(&p, "80x24 user top$ ");
    open_session(*state, "{\"kind\":\"serial\"}", &p);
    send_frame(&p, TEXT, "hi");
    expect(&p, "console: hi");
}

/* A client that goes, and one that says so, both end the session: the server can be stopped. */
static void test_client_leaves(void **state)
{
    CLEANUP(peer_done) struct peer p = {.fd = -1};
    auto_buf struct buf b = {0};
    open_session(*state, NULL, &p);
    expect(&p, "$ ");
    open_session(*state, NULL, &p);
    expect(&p, "$ ");
    send_frame(&p, CLOSE, "");
    assert_int_equal(read_frame(&p, &b), CLOSE);
}

static void test_tokens(void **state)
{
    struct native *n = *state;
    CLEANUP(peer_done) struct peer p = {.fd = -1};
    auto_reply struct reply t = {0}, r = {0};
    mint(n, "{}", &t);
    const char *path = text_at(&t, "websocketPath"), *token = text_at(&t, "token");
    assert_int_equal(open_path(n, path, "wrong", &p, &r), 401);
    char other[128];
    char uuid[UUID_SIZE];
    uuid_from_id("aaaaaaaaaaaaaaaaaaaa", uuid);
    snprintf(other, sizeof(other), "/v1/vms/%s/console/ws", uuid);
    assert_int_equal(open_path(n, other, token, &p, &r), 401);
    assert_int_equal(open_path(n, path, token, &p, &r), 101);
    assert_int_equal(open_path(n, path, token, &p, &r), 401);

    /* A token is only as good as the VM is. */
    mint(n, NULL, &t);
    vm_call(n, &(struct call){"POST", "/pause", .status = 200}, &r);
    assert_int_equal(open_path(n, text_at(&t, "websocketPath"), text_at(&t, "token"), &p, &r), 409);
    vm_call(n, &(struct call){"POST", "/console-token", "{\"kind\":\"tty\"}", .status = 400}, &r);
    assert_error(&r, "invalid", "kind");
    vm_call(n, &(struct call){"POST", "/console-token", "{\"command\":[\"\"]}", .status = 400}, &r);
    assert_error(&r, "invalid", "command[0]");
    vm_call(n, &(struct call){"GET", "/console/ws", .status = 400}, &r);
}

static void test_log(void **state)
{
    auto_reply struct reply r = {0};
    vm_call(*state, &(struct call){"GET", "/console", .status = 200}, &r);
    assert_string_equal(buf_str(&r.body), "one\ntwo \xef\xbf\xbd\nthree\n");
    assert_string_equal(reply_header(&r, "Content-Type"), "text/plain; charset=utf-8");
    vm_call(*state, &(struct call){"GET", "/console?tail=1", .status = 200}, &r);
    assert_string_equal(buf_str(&r.body), "three\n");
    vm_call(*state, &(struct call){"GET", "/console?tail=2", .status = 200}, &r);
    assert_string_equal(buf_str(&r.body), "two \xef\xbf\xbd\nthree\n");
    vm_call(*state, &(struct call){"GET", "/console?tail=9", .status = 200}, &r);
    assert_string_equal(buf_str(&r.body), "one\ntwo \xef\xbf\xbd\nthree\n");
    vm_call(*state, &(struct call){"GET", "/console?tail=0", .status = 400}, &r);
    assert_error(&r, "invalid", "tail");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, native_setup, native_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_terminal), TEST(test_kinds), TEST(test_client_leaves),
        TEST(test_tokens),   TEST(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
