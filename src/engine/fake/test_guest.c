/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/test_guest.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/test.h"

#define WAIT_MS 60000

static char work_dir[] = "/work";

static ssize_t on_pull(void *arg, void *out, size_t max, bool *ret_end)
{
    struct test_call *c = arg;
    size_t n = c->send.len < max ? c->send.len : max;
    if (n)
        memcpy(out, c->send.data, n);
    buf_consume(&c->send, n);
    *ret_end = c->send_ended && c->send.len == 0;
    return (ssize_t)n;
}

static void on_sent(void *arg)
{
}

static void on_head(void *arg, int status)
{
    struct test_call *c = arg;
    c->status = status;
}

/* Nothing is left out between two pieces. */
static void take_offset(struct test_call *c)
{
    assert_int_equal(FRAME_OFFSET_BYTES, c->json.len);
    int64_t offset = (int64_t)frame_number((const uint8_t *)c->json.data, FRAME_OFFSET_BYTES);
    assert_true(c->next_offset == 0 || c->next_offset == offset);
    c->next_offset = offset;
}

static void take_piece(struct test_call *c, const struct frame_piece *p)
{
    struct err e = ERR_INIT;
    assert_false(c->exited); /* X is the last frame */
    if (c->is_job && (p->type == FRAME_STDOUT || p->type == FRAME_STDERR))
        c->next_offset += (int64_t)p->len;
    if (p->type == FRAME_STDOUT || p->type == FRAME_STDERR) {
        buf_append(p->type == FRAME_STDOUT ? &c->out : &c->err, p->data, p->len);
        return;
    }
    buf_append(&c->json, p->data, p->len);
    if (!p->end)
        return;
    c->exited = p->type == FRAME_EXIT;
    if (p->type == FRAME_OFFSET)
        take_offset(c);
    if (c->exited)
        assert_int_equal(0, exec_exit_decode(buf_str(&c->json), c->json.len, &c->exit, &e));
    buf_clear(&c->json);
}

static void on_data(void *arg, const void *data, size_t len)
{
    struct test_call *c = arg;
    struct frame_input in = {.data = data, .len = len};
    struct frame_piece piece;
    struct err e = ERR_INIT;
    if ((c->is_exec || c->is_job) && c->status == 200) {
        const char *allowed = c->is_job ? FRAME_FROM_JOB : FRAME_FROM_AGENT;
        int r;
        while ((r = frame_decode(&c->decoder, allowed, &in, &piece, &e)) > 0)
            take_piece(c, &piece);
        assert_int_equal(0, r);
    } else {
        buf_append(&c->answer, data, len);
    }
    agent_client_consume(c->guest->http, c->stream, len);
}

static void on_closed(void *arg, bool complete, uint32_t h2_error)
{
    struct test_call *c = arg;
    c->closed = true;
    c->complete = complete;
}

static const struct agent_client_ops ops = {
    .pull = on_pull,
    .sent = on_sent,
    .head = on_head,
    .data = on_data,
    .closed = on_closed,
};

static void pump_once(struct test_guest *g, int64_t deadline_ms)
{
    static char in[65536];
    const void *data;
    ssize_t n;
    while ((n = agent_client_take(g->http, &data)) > 0)
        if (fd_write_all(g->fd, data, (size_t)n) < 0)
            g->ended = true;
    struct pollfd p = {.fd = g->fd, .events = POLLIN};
    if (n < 0 || g->ended) {
        g->ended = true;
        return;
    }
    if (poll(&p, 1, clock_left_ms(deadline_ms)) == 0)
        fail_msg("the fake guest does not answer");
    n = read(g->fd, in, sizeof(in));
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) ||
        (n > 0 && agent_client_feed(g->http, in, (size_t)n) < 0))
        g->ended = true;
}

bool test_guest_open(struct test_guest *g, int fd)
{
    int64_t deadline_ms = clock_mono_ms() + WAIT_MS;
    *g = (struct test_guest){.fd = fd};
    assert_int_equal(0, agent_client_new(&ops, &g->http));
    agent_client_hello(g->http);
    while (!g->ended && agent_client_state(g->http) == AGENT_CLIENT_HELLO)
        pump_once(g, deadline_ms);
    /* The first bytes of HTTP/2 show whether it is that at all. */
    struct test_call ready = {.guest = g};
    if (!g->ended) {
        test_call_open(&ready, "GET", "/v1/ready", NULL, 0);
        test_call_wait(&ready, false);
    }
    test_call_done(&ready);
    return ready.status == 200;
}

void test_guest_close(struct test_guest *g)
{
    agent_client_free(g->http);
    cleanup_close(&g->fd);
    *g = (struct test_guest){.fd = -EBADF};
}

static void begin(struct test_call *c, const char *method, const char *path)
{
    c->stream = agent_client_open(c->guest->http, method, path,
                                  c->is_duplex ? AGENT_BODY_DUPLEX : AGENT_BODY_REQUEST, c);
    assert_true(c->stream > 0);
}

void test_call_open(struct test_call *c, const char *method, const char *path, const void *body,
                    size_t len)
{
    buf_append(&c->send, body, len);
    c->send_ended = !c->is_duplex;
    begin(c, method, path);
}

void test_call_frame(struct test_call *c, enum frame_type type, const void *data, size_t len)
{
    uint8_t head[FRAME_HEADER_BYTES];
    frame_header(head, type, len);
    buf_append(&c->send, head, sizeof(head));
    buf_append(&c->send, data, len);
    if (c->stream)
        agent_client_resume(c->guest->http, c->stream);
}

void test_call_spec(struct test_call *c, const struct exec_spec *spec)
{
    auto_buf struct buf json = {0};
    struct err e = ERR_INIT;
    assert_int_equal(0, exec_spec_encode(spec, &json, &e));
    c->is_exec = true;
    test_call_frame(c, FRAME_SPEC, json.data, json.len);
    test_call_frame(c, FRAME_SPEC, NULL, 0);
    begin(c, "POST", "/v1/exec");
}

void test_call_exec(struct test_call *c, char **argv, int64_t timeout_ms)
{
    const struct exec_spec spec = {
        .argv = argv, .cwd = work_dir, .timeout_ms = timeout_ms, .has_stdin = true};
    test_call_spec(c, &spec);
}

void test_call_wait(struct test_call *c, bool until_out)
{
    int64_t deadline_ms = clock_mono_ms() + WAIT_MS;
    while (!c->closed && !c->guest->ended && !(until_out && c->out.len))
        pump_once(c->guest, deadline_ms);
}

void test_call_wait_text(struct test_call *c, const char *text)
{
    int64_t deadline_ms = clock_mono_ms() + WAIT_MS;
    while (!strstr(buf_str(c->is_exec || c->is_job ? &c->out : &c->answer), text)) {
        if (c->closed || c->guest->ended)
            fail_msg("\"%s\" does not come, but \"%s\"", text, buf_str(&c->out));
        pump_once(c->guest, deadline_ms);
    }
}

void test_call_wait_answer(struct test_call *c)
{
    int64_t deadline_ms = clock_mono_ms() + WAIT_MS;
    while (!c->status && !c->closed && !c->guest->ended)
        pump_once(c->guest, deadline_ms);
}

void test_call_send(struct test_call *c, const char *text)
{
    if (text)
        buf_append(&c->send, text, strlen(text));
    c->send_ended |= !text;
    agent_client_resume(c->guest->http, c->stream);
}

void test_call_done(struct test_call *c)
{
    if (c->stream && !c->closed && c->guest->http)
        agent_client_cancel(c->guest->http, c->stream);
    buf_done(&c->send);
    buf_done(&c->answer);
    buf_done(&c->out);
    buf_done(&c->err);
    buf_done(&c->json);
}

void test_guest_ask(struct test_guest *g, const char *request, int status, struct buf *ret)
{
    char method[8];
    const char *space = strchr(request, ' ');
    struct test_call c = {.guest = g};
    snprintf(method, sizeof(method), "%.*s", (int)(space - request), request);
    test_call_open(&c, method, space + 1, NULL, 0);
    test_call_wait(&c, false);
    if (c.status != status)
        fail_msg("%s: %d %s", request, c.status, buf_str(&c.answer));
    if (ret)
        buf_append(ret, c.answer.data, c.answer.len);
    test_call_done(&c);
}

void test_guest_put(struct test_guest *g, const char *path, const char *text)
{
    char url[256];
    struct test_call c = {.guest = g};
    assert_true(path_printf(url, sizeof(url), "/v1/files?path=%s&parents=1", path) == 0);
    test_call_open(&c, "PUT", url, text, strlen(text));
    test_call_wait(&c, false);
    assert_int_equal(201, c.status);
    test_call_done(&c);
}

void test_guest_run(struct test_guest *g, const char *text, struct test_call *ret)
{
    char **argv = STRINGS("bash", "p");
    test_guest_put(g, "/work/p", text);
    *ret = (struct test_call){.guest = g, .send_ended = true};
    test_call_exec(ret, argv, 0);
    test_call_wait(ret, false);
}

void test_call_prints(struct test_guest *g, const struct exec_spec *spec, const char *out)
{
    struct test_call c = {.guest = g, .send_ended = true};
    test_call_spec(&c, spec);
    test_call_wait(&c, false);
    if (!c.exited)
        fail_msg("%d %s", c.status, buf_str(&c.answer));
    assert_string_equal(out, buf_str(&c.out));
    test_call_done(&c);
}
