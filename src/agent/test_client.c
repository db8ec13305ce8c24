/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/test_client.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/link.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/test.h"

static ssize_t on_pull(void *arg, void *out, size_t max, bool *ret_end)
{
    struct test_request *q = arg;
    size_t left = q->send.len - q->sent_bytes, n = left < max ? left : max;
    if (n)
        memcpy(out, q->send.data + q->sent_bytes, n);
    q->sent_bytes += n;
    *ret_end = q->send_ended && q->sent_bytes == q->send.len;
    return (ssize_t)n;
}

static void on_sent(void *arg)
{
}

static void on_head(void *arg, int status)
{
    struct test_request *q = arg;
    q->status = status;
}

static void take_json(struct test_request *q, const struct frame_piece *p)
{
    struct err e = ERR_INIT;
    buf_append(&q->json, p->data, p->len);
    if (!p->end)
        return;
    int r = p->type == FRAME_EXIT ? exec_exit_decode(q->json.data, q->json.len, &q->exit, &e)
                                  : exec_started_decode(q->json.data, q->json.len, &q->pid, &e);
    if (r < 0)
        fail_msg("%s: %s", buf_str(&q->json), e.text);
    q->exited = p->type == FRAME_EXIT;
    buf_clear(&q->json);
}

static void take_piece(struct test_request *q, const struct frame_piece *p)
{
    assert_false(q->exited); /* X is the last frame */
    if (p->type == FRAME_STDOUT) {
        q->out_bytes += (int64_t)p->len;
        if (q->keep_out)
            buf_append(&q->out, p->data, p->len);
    } else if (p->type == FRAME_STDERR) {
        buf_append(&q->err, p->data, p->len);
    } else {
        take_json(q, p);
    }
}

static void on_data(void *arg, const void *data, size_t len)
{
    struct test_request *q = arg;
    struct frame_input in = {.data = data, .len = len};
    struct frame_piece piece;
    struct err e = ERR_INIT;
    int r = 1;
    while (q->is_exec && q->status == 200 &&
           (r = frame_decode(&q->decoder, FRAME_FROM_AGENT, &in, &piece, &e)) > 0)
        take_piece(q, &piece);
    if (r < 0)
        fail_msg("%s", e.text);
    if (!q->is_exec || q->status != 200)
        buf_append(&q->answer, data, len);
    if (q->hold)
        q->held += len;
    else
        agent_client_consume(q->client->http, q->stream, len);
}

static void on_closed(void *arg, bool complete, uint32_t h2_error)
{
    struct test_request *q = arg;
    q->closed = true;
    q->complete = complete;
}

static const struct agent_client_ops client_ops = {
    .pull = on_pull,
    .sent = on_sent,
    .head = on_head,
    .data = on_data,
    .closed = on_closed,
};

/* The agent's process ends when the client's end of the pair is closed. */
static _Noreturn void serve(int fd, const struct agent_options *options)
{
    struct agent agent;
    struct link *link;
    int r = agent_init(&agent, options, NULL);
    agent.stop_without_links = true;
    r = r < 0 ? r : link_new(&agent, fd, LINK_SOCKET, &link);
    r = r < 0 ? r : agent_run(&agent);
    agent_done(&agent);
    _exit(r < 0);
}

void test_client_start(struct test_client *t, const char *root)
{
    struct agent_options options = {.files_root = root, .init = REPORT_INIT_IMAGE};
    test_client_start_with(t, &options);
}

void test_client_start_with(struct test_client *t, const struct agent_options *options)
{
    int fds[2];
    assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        serve(fds[1], options);
    }
    assert_true(pid > 0);
    close(fds[1]);
    test_client_connect(t, fds[0]);
    t->agent = pid;
}

static bool is_open(void *arg)
{
    const struct test_client *t = arg;
    return agent_client_state(t->http) != AGENT_CLIENT_HELLO;
}

void test_client_connect(struct test_client *t, int fd)
{
    *t = (struct test_client){.fd = fd};
    assert_int_equal(0, fd_set_nonblock(fd, true));
    assert_int_equal(0, agent_client_new(&client_ops, &t->http));
    agent_client_hello(t->http);
    test_pump(t, is_open, t);
}

void test_client_stop(struct test_client *t)
{
    int status = 0;
    close(t->fd);
    agent_client_free(t->http);
    if (t->agent) {
        assert_int_equal(t->agent, waitpid(t->agent, &status, 0));
        assert_int_equal(0, status);
    }
}

static void write_all(struct test_client *t)
{
    const void *data;
    ssize_t n;
    while (!t->ended && (n = agent_client_take(t->http, &data)) > 0)
        if (fd_write_all(t->fd, data, (size_t)n) < 0)
            t->ended = true;
}

static void read_some(struct test_client *t)
{
    uint8_t in[65536];
    ssize_t n = read(t->fd, in, sizeof(in));
    if (n > 0)
        t->ended = agent_client_feed(t->http, in, (size_t)n) < 0;
    else if (n == 0 || errno != EAGAIN)
        t->ended = true;
}

void test_pump(struct test_client *t, bool (*until)(void *arg), void *arg)
{
    int64_t deadline_ms = clock_mono_ms() + TEST_WAIT_MS;
    for (;;) {
        struct pollfd p = {.fd = t->fd, .events = POLLIN};
        write_all(t);
        if (until(arg))
            return;
        if (t->ended)
            fail_msg("the agent hung up: %s", agent_client_reason(t->http));
        if (poll(&p, 1, clock_left_ms(deadline_ms)) == 0)
            fail_msg("nothing came for %d ms", TEST_WAIT_MS);
        read_some(t);
    }
}

void test_request(struct test_client *t, struct test_request *q, const void *body, size_t len,
                  bool end)
{
    q->client = t;
    buf_append(&q->send, body, len);
    q->send_ended = end;
    q->stream = agent_client_open(t->http, q->method, q->path, !end || len > 0, q);
    assert_true(q->stream > 0);
}

void test_exec(struct test_client *t, struct test_request *q, const struct exec_spec *spec,
               bool stdin_ended)
{
    auto_buf struct buf json = {0};
    assert_int_equal(0, exec_spec_encode(spec, &json, NULL));
    q->method = "POST";
    q->path = "/v1/exec";
    q->is_exec = true;
    test_request(t, q, NULL, 0, false);
    for (size_t at = 0, n; at < json.len; at += n) {
        n = json.len - at < AGENT_FRAME_MAX_BYTES ? json.len - at : AGENT_FRAME_MAX_BYTES;
        test_send_frame(q, FRAME_SPEC, json.data + at, n);
    }
    test_send_frame(q, FRAME_SPEC, NULL, 0);
    if (stdin_ended)
        test_send(q, NULL, 0, true);
}

void test_sh(struct test_client *t, struct test_request *q, const char *script)
{
    char *argv[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", (char *)(uintptr_t)script,
                    NULL};
    struct exec_spec spec = {.argv = argv, .has_stdin = true};
    q->keep_out = true;
    test_exec(t, q, &spec, true);
    test_wait_closed(q);
    if (!q->exited)
        fail_msg("status %d: %s", q->status, buf_str(&q->answer));
}

void test_restored(struct test_client *t, bool keep)
{
    struct restored_request request = {.real_time_ns = 1, .entropy_len = 32, .keep = keep};
    auto_buf struct buf body = {0};
    auto_test_request struct test_request q = {.method = "POST", .path = "/v1/restored"};
    assert_int_equal(0, report_restored_encode(&request, &body));
    test_request(t, &q, body.data, body.len, true);
    test_wait_closed(&q);
    assert_int_equal(200, q.status);
}

void test_send(struct test_request *q, const void *data, size_t len, bool end)
{
    buf_append(&q->send, data, len);
    q->send_ended = end;
    agent_client_resume(q->client->http, q->stream);
}

void test_send_frame(struct test_request *q, enum frame_type type, const void *data, size_t len)
{
    uint8_t head[FRAME_HEADER_BYTES];
    frame_header(head, type, len);
    test_send(q, head, sizeof(head), false);
    test_send(q, data, len, false);
}

void test_release(struct test_request *q)
{
    agent_client_consume(q->client->http, q->stream, q->held);
    q->held = 0;
    q->hold = false;
}

static bool is_closed(void *arg)
{
    return ((struct test_request *)arg)->closed;
}

void test_wait_closed(struct test_request *q)
{
    test_pump(q->client, is_closed, q);
}

static bool is_started(void *arg)
{
    const struct test_request *q = arg;
    return q->pid > 0 || q->closed;
}

void test_wait_started(struct test_request *q)
{
    test_pump(q->client, is_started, q);
    assert_true(q->pid > 0);
}

void test_request_done(struct test_request *q)
{
    if (q->client && !q->closed)
        agent_client_cancel(q->client->http, q->stream);
    buf_done(&q->send);
    buf_done(&q->answer);
    buf_done(&q->out);
    buf_done(&q->err);
    buf_done(&q->json);
}

int test_client_setup(void **state)
{
    struct test_client *t = calloc(1, sizeof(*t));
    test_client_start(t, NULL);
    *state = t;
    return 0;
}

int test_client_teardown(void **state)
{
    test_client_stop(*state);
    free(*state);
    return 0;
}
