/* SPDX-License-Identifier: Apache-2.0 */

/* The client against our own server in memory, and against frames that no honest agent sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "wire/agent_client.h"
#include "wire/agent_server.h"
#include "wire/hello.h"

/* One request as its owner sees it. */
struct probe {
    const char *body;
    size_t body_at;
    size_t body_allowed; /* further bytes are deferred */
    int status;
    struct buf data;
    bool sent, closed, complete;
    uint32_t h2_error;
};

static ssize_t probe_pull(void *arg, void *out, size_t max, bool *ret_end)
{
    struct probe *p = arg;
    size_t n = p->body_allowed - p->body_at;
    if (n > max)
        n = max;
    memcpy(out, p->body + p->body_at, n);
    p->body_at += n;
    *ret_end = p->body[p->body_at] == '\0';
    return (ssize_t)n;
}

static void probe_sent(void *arg)
{
    ((struct probe *)arg)->sent = true;
}

static void probe_head(void *arg, int status)
{
    ((struct probe *)arg)->status = status;
}

static void probe_data(void *arg, const void *data, size_t len)
{
    struct probe *p = arg;
    assert_int_equal(buf_append(&p->data, data, len), 0);
}

static void probe_closed(void *arg, bool complete, uint32_t h2_error)
{
    struct probe *p = arg;
    assert_false(p->closed);
    p->closed = true;
    p->complete = complete;
    p->h2_error = h2_error;
}

static const struct agent_client_ops probe_ops = {probe_pull, probe_sent, probe_head, probe_data,
                                                  probe_closed};

/* The agent: /echo answers with its body's bytes, /flood without end, /early before the body. */
struct agent {
    struct agent_server *server;
    struct agent_stream *open; /* the last request */
    struct buf body;
    bool body_ended;
    int requests, closed;
};

static ssize_t flood(struct agent_stream *st, uint8_t *buf, size_t size)
{
    memset(buf, 'x', size);
    return (ssize_t)size;
}

static void on_request(struct agent_stream *st)
{
    struct agent *a = agent_server_owner(st->server);
    a->requests++;
    a->open = st;
    if (strcmp(st->path, "/flood") == 0)
        agent_server_respond_pull(st, 200, "text/plain", flood);
    if (strcmp(st->path, "/early") == 0)
        agent_server_respond(st, 409, "text/plain", "no", 2);
    if (strcmp(st->path, "/abort") == 0)
        agent_server_abort(st);
    if (strcmp(st->path, "/echo") == 0 && st->body_ended)
        agent_server_respond(st, 200, "text/plain", "", 0);
}

static void on_body(struct agent_stream *st, const uint8_t *data, size_t len)
{
    struct agent *a = agent_server_owner(st->server);
    buf_append(&a->body, data, len);
    agent_server_consume(st, len);
}

static void on_body_end(struct agent_stream *st)
{
    struct agent *a = agent_server_owner(st->server);
    a->body_ended = true;
    if (strcmp(st->path, "/echo") == 0)
        agent_server_respond(st, 200, "text/plain", buf_str(&a->body), a->body.len);
}

static void on_stream_closed(struct agent_stream *st)
{
    struct agent *a = agent_server_owner(st->server);
    a->closed++;
    if (a->open == st)
        a->open = NULL;
}

static const struct agent_server_ops agent_ops = {on_request, on_body, on_body_end,
                                                  on_stream_closed};

struct pair {
    struct agent_client *client;
    struct agent agent;
    char line[HELLO_LINE_SIZE];
};

static void take_all(struct agent_client *c, struct buf *out)
{
    const void *data;
    ssize_t n;
    while ((n = agent_client_take(c, &data)) > 0)
        assert_int_equal(buf_append(out, data, (size_t)n), 0);
}

/* Carries bytes to and fro until both are silent. */
static void settle(struct pair *p)
{
    for (bool moved = true; moved;) {
        auto_buf struct buf out = {0}, in = {0};
        take_all(p->client, &out);
        if (out.len)
            assert_int_equal(agent_server_feed(p->agent.server, out.data, out.len), 0);
        assert_int_equal(agent_server_pull(p->agent.server, &in, 8 << 20), 0);
        if (in.len)
            agent_client_feed(p->client, in.data, in.len);
        moved = out.len || in.len;
    }
}

/* A client that has had its hello answered. */
static void greet(struct pair *p)
{
    auto_buf struct buf out = {0};
    agent_client_hello(p->client);
    take_all(p->client, &out);
    assert_int_equal(out.len, HELLO_LINE_LEN);
    memcpy(p->line, out.data, out.len);
    assert_int_equal(agent_client_state(p->client), AGENT_CLIENT_HELLO);
    assert_int_equal(agent_client_feed(p->client, p->line, HELLO_LINE_LEN), 0);
    assert_int_equal(agent_client_state(p->client), AGENT_CLIENT_OPEN);
}

static int setup(void **state)
{
    struct pair *p = calloc(1, sizeof(*p));
    assert_int_equal(agent_client_new(&probe_ops, &p->client), 0);
    assert_int_equal(agent_server_new(&agent_ops, &p->agent, &p->agent.server), 0);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct pair *p = *state;
    agent_client_free(p->client);
    agent_server_free(p->agent.server);
    buf_done(&p->agent.body);
    free(p);
    return 0;
}

static void test_hello(void **state)
{
    struct pair *p = *state;
    auto_buf struct buf out = {0}, again = {0};
    struct probe pr = {.body = ""};
    assert_true(agent_client_open(p->client, "GET", "/echo", false, &pr) > 0);
    agent_client_hello(p->client);
    agent_client_hello(p->client); /* the first was not taken: no second */
    take_all(p->client, &out);
    assert_int_equal(out.len, HELLO_LINE_LEN);
    agent_client_hello(p->client);
    take_all(p->client, &again);
    assert_int_equal(again.len, HELLO_LINE_LEN);
    assert_memory_equal(out.data, again.data, HELLO_LINE_LEN);

    /* Another session's rests, another nonce, then ours, thrice, in odd pieces. */
    const char rest[] =
        "\0\0\4 of another session HOLM/1 00000000000000000000000000000000\nHOLM/1 ";
    assert_int_equal(agent_client_feed(p->client, rest, sizeof(rest) - 1), 0);
    assert_int_equal(agent_client_state(p->client), AGENT_CLIENT_HELLO);
    for (int i = 0; i < 3; i++) {
        for (size_t k = 0; k < HELLO_LINE_LEN; k++)
            assert_int_equal(agent_client_feed(p->client, out.data + k, 1), 0);
    }
    assert_int_equal(agent_client_state(p->client), AGENT_CLIENT_OPEN);
    settle(p);
    assert_int_equal(pr.status, 200);
    assert_true(pr.complete);
}

static void test_request_with_deferred_body(void **state)
{
    struct pair *p = *state;
    struct probe pr = {.body = "one two", .body_allowed = 3};
    greet(p);
    int32_t id = agent_client_open(p->client, "POST", "/echo?x=1", true, &pr);
    assert_true(id > 0);
    settle(p);
    assert_string_equal(p->agent.open->query, "x=1");
    assert_string_equal(buf_str(&p->agent.body), "one");
    assert_false(p->agent.body_ended);
    assert_false(pr.sent);
    assert_int_equal(agent_client_room(p->client), AGENT_STREAMS_MAX - 1);

    pr.body_allowed = 7;
    agent_client_resume(p->client, id);
    settle(p);
    assert_true(pr.sent && pr.closed && pr.complete);
    assert_int_equal(pr.status, 200);
    assert_string_equal(buf_str(&pr.data), "one two");
    assert_int_equal(agent_client_room(p->client), AGENT_STREAMS_MAX);
    agent_client_consume(p->client, id, 7);
    buf_done(&pr.data);
}

/* An answer before the body's end closes the request as complete. */
static void test_early_answer(void **state)
{
    struct pair *p = *state;
    struct probe pr = {.body = "never ends", .body_allowed = 3};
    greet(p);
    assert_true(agent_client_open(p->client, "POST", "/early", true, &pr) > 0);
    settle(p);
    assert_true(pr.closed && pr.complete);
    assert_int_equal(pr.status, 409);
    assert_string_equal(buf_str(&pr.data), "no");
    buf_done(&pr.data);
}

static void test_reset_by_agent(void **state)
{
    struct pair *p = *state;
    struct probe pr = {.body = ""};
    greet(p);
    assert_true(agent_client_open(p->client, "GET", "/abort", false, &pr) > 0);
    settle(p);
    assert_true(pr.closed && !pr.complete);
    assert_int_equal(pr.h2_error, 2);
    assert_int_equal(agent_client_state(p->client), AGENT_CLIENT_OPEN);
}

/* What is not consumed stops the agent; other requests go on; a cancel ends it at the agent too. */
static void test_window_and_cancel(void **state)
{
    struct pair *p = *state;
    struct probe flooded = {.body = ""}, other = {.body = ""};
    greet(p);
    int32_t id = agent_client_open(p->client, "GET", "/flood", false, &flooded);
    settle(p);
    assert_int_equal(flooded.data.len, AGENT_WINDOW_BYTES);
    assert_true(agent_client_open(p->client, "GET", "/echo", false, &other) > 0);
    settle(p);
    assert_true(other.complete);

    agent_client_consume(p->client, id, AGENT_WINDOW_BYTES);
    settle(p);
    assert_int_equal(flooded.data.len, 2 * AGENT_WINDOW_BYTES);

    assert_int_equal(p->agent.closed, 1);
    agent_client_cancel(p->client, id);
    agent_client_cancel(p->client, id);
    settle(p);
    assert_int_equal(p->agent.closed, 2);
    assert_false(flooded.closed);
    assert_int_equal(agent_client_room(p->client), AGENT_STREAMS_MAX);
    buf_done(&flooded.data);
}

/* A request that is cancelled before it could leave frees its place. */
static void test_cancel_before_hello(void **state)
{
    struct pair *p = *state;
    struct probe pr = {.body = ""};
    int32_t id = agent_client_open(p->client, "GET", "/echo", false, &pr);
    agent_client_cancel(p->client, id);
    greet(p);
    settle(p);
    assert_false(pr.closed);
    assert_int_equal(agent_client_room(p->client), AGENT_STREAMS_MAX);
}

static void test_room(void **state)
{
    struct pair *p = *state;
    struct probe pr[AGENT_STREAMS_MAX + 1] = {{.body = "x"}};
    greet(p);
    for (int i = 0; i < AGENT_STREAMS_MAX; i++)
        assert_true(agent_client_open(p->client, "POST", "/x", true, &pr[0]) > 0);
    assert_int_equal(agent_client_open(p->client, "POST", "/x", true, &pr[0]), -EAGAIN);
    settle(p);
    assert_int_equal(p->agent.requests, AGENT_STREAMS_MAX);
}

/* --- what no honest agent sends --- */

static void frame(struct buf *b, uint8_t type, uint8_t flags, uint32_t stream, const void *data,
                  size_t len)
{
    const uint8_t head[9] = {
        (uint8_t)(len >> 16),   (uint8_t)(len >> 8), (uint8_t)len, type, flags, 0, 0,
        (uint8_t)(stream >> 8), (uint8_t)stream};
    buf_append(b, head, sizeof(head));
    buf_append(b, data, len);
}

/* Feeds the bytes behind an answered hello and the agent's settings, with request 1 open. */
static int attack(struct pair *p, const struct buf *bytes, struct probe *pr)
{
    auto_buf struct buf out = {0}, first = {0};
    greet(p);
    assert_int_equal(agent_client_open(p->client, "GET", "/", false, pr), 1);
    take_all(p->client, &out);
    frame(&first, 4, 0, 0, NULL, 0);
    assert_int_equal(agent_client_feed(p->client, first.data, first.len), 0);
    int r = agent_client_feed(p->client, bytes->data, bytes->len);
    buf_clear(&out);
    take_all(p->client, &out);
    if (r == 0 && agent_client_state(p->client) == AGENT_CLIENT_ENDED)
        r = -EPROTO;
    return r;
}

static void test_garbage(void **state)
{
    struct pair *p = *state;
    auto_buf struct buf b = {0};
    struct probe pr = {.body = ""};
    for (int i = 0; i < 100; i++)
        buf_append_str(&b, "Kernel panic - not syncing ");
    assert_int_equal(attack(p, &b, &pr), -EPROTO);
    assert_string_not_equal(agent_client_reason(p->client), "");
    assert_null(strstr(agent_client_reason(p->client), "panic"));
    assert_int_equal(agent_client_open(p->client, "GET", "/", false, &pr), -EPROTO);
    agent_client_resume(p->client, 1);
    agent_client_consume(p->client, 1, 1);
    agent_client_cancel(p->client, 1);
}

static void test_too_many_headers(void **state)
{
    auto_buf struct buf block = {0}, b = {0};
    struct probe pr = {.body = ""};
    buf_append(&block, "\x88", 1);
    for (int i = 0; i < AGENT_HEADERS_MAX; i++)
        buf_append(&block, "\x00\x01x\x01y", 5);
    frame(&b, 1, 4, 1, block.data, block.len);
    assert_int_equal(attack(*state, &b, &pr), -EPROTO);
    assert_int_equal(pr.status, 0);
}

static void test_endless_informational_answers(void **state)
{
    auto_buf struct buf b = {0};
    struct probe pr = {.body = ""};
    for (int i = 0; i <= AGENT_HEADERS_MAX; i++)
        frame(&b, 1, 4, 1,
              "\x08\x03"
              "103",
              5);
    assert_int_equal(attack(*state, &b, &pr), -EPROTO);
    assert_int_equal(pr.status, 0);
}

static void test_push(void **state)
{
    auto_buf struct buf b = {0};
    struct probe pr = {.body = ""};
    frame(&b, 5, 4, 1, "\0\0\0\2\x82\x86\x84\x01\x01h", 10);
    assert_int_equal(attack(*state, &b, &pr), -EPROTO);
    assert_string_equal(agent_client_reason(((struct pair *)*state)->client), "the agent pushed");
}

static void test_ping_flood(void **state)
{
    auto_buf struct buf b = {0};
    struct probe pr = {.body = ""};
    for (int i = 0; i < AGENT_ACKS_MAX + 2; i++)
        frame(&b, 6, 0, 0, "12345678", 8);
    assert_int_equal(attack(*state, &b, &pr), -EPROTO);
    assert_string_equal(agent_client_reason(((struct pair *)*state)->client),
                        "the agent flooded the session");
}

static void test_window_overrun(void **state)
{
    auto_buf struct buf b = {0};
    struct probe pr = {.body = ""};
    static const char block[16384];
    frame(&b, 1, 4, 1, "\x88", 1);
    for (size_t i = 0; i <= AGENT_WINDOW_BYTES / sizeof(block); i++)
        frame(&b, 0, 0, 1, block, sizeof(block));
    attack(*state, &b, &pr);
    assert_true(pr.data.len <= AGENT_WINDOW_BYTES);
    assert_false(pr.complete);
    buf_done(&pr.data);
}

static void test_goaway(void **state)
{
    auto_buf struct buf b = {0};
    struct probe pr = {.body = ""};
    frame(&b, 7, 0, 0, "\0\0\0\0\0\0\0\0", 8);
    assert_int_equal(attack(*state, &b, &pr), -EPROTO);
    assert_string_equal(agent_client_reason(((struct pair *)*state)->client),
                        "the agent ended the session");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_hello),
        T(test_request_with_deferred_body),
        T(test_early_answer),
        T(test_reset_by_agent),
        T(test_window_and_cancel),
        T(test_cancel_before_hello),
        T(test_room),
        T(test_garbage),
        T(test_too_many_headers),
        T(test_endless_informational_answers),
        T(test_push),
        T(test_ping_flood),
        T(test_window_overrun),
        T(test_goaway),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
