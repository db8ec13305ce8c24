/* SPDX-License-Identifier: Apache-2.0 */

/* libwslay's event interface does the frames, without its assembly of messages (no_buffering).
 *
 * Why not libcurl's own WebSockets: those of 7.88 are experimental, and Debian builds without them.
 */

#include "cli/websocket.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <wslay/wslay.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/limits.h"
#include "cli/api_answer.h"
#include "cli/api_socket.h"
#include "cli/term.h"
#include "cli/upgrade.h"

#define REASON_SIZE 256

/* What one step reads at most: an endless flood of output must not keep its reader's Ctrl-C from
 * being sent. */
#define STEP_MAX_BYTES (64 << 10)

struct websocket {
    struct api_client *client;
    struct interrupt *interrupt;
    struct websocket_config config;
    wslay_event_context_ptr events;
    struct buf early; /* what came together with the handshake */
    uint8_t opcode;   /* of the frame that is coming in */
    size_t left;      /* that this step may read */
    bool is_lost;
    bool is_over;
    int code;
    char reason[REASON_SIZE];
    int result; /* of config.data */
    struct err *e;
};

/* ---- libwslay's callbacks ---- */

static ssize_t on_recv(wslay_event_context_ptr events, uint8_t *buf, size_t len, int flags,
                       void *arg)
{
    struct websocket *ws = arg;
    len = len < ws->left ? len : ws->left;
    if (!len) {
        wslay_event_set_error(events, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    if (ws->early.len) {
        size_t n = len < ws->early.len ? len : ws->early.len;
        memcpy(buf, ws->early.data, n);
        buf_consume(&ws->early, n);
        ws->left -= n;
        return (ssize_t)n;
    }
    ssize_t n = api_socket_read(ws->client, buf, len);
    if (n > 0) {
        ws->left -= (size_t)n;
        return n;
    }
    ws->is_lost = n != -EAGAIN;
    wslay_event_set_error(events, n == -EAGAIN ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t on_send(wslay_event_context_ptr events, const uint8_t *data, size_t len, int flags,
                       void *arg)
{
    struct websocket *ws = arg;
    ssize_t n = api_socket_write(ws->client, data, len);
    if (n > 0)
        return n;
    ws->is_lost = n != -EAGAIN;
    wslay_event_set_error(events, n == -EAGAIN ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static int on_mask(wslay_event_context_ptr events, uint8_t *buf, size_t len, void *arg)
{
    id_random(buf, len);
    return 0;
}

static void on_frame_start(wslay_event_context_ptr events,
                           const struct wslay_event_on_frame_recv_start_arg *frame, void *arg)
{
    struct websocket *ws = arg;
    ws->opcode = frame->opcode;
}

static void on_frame_chunk(wslay_event_context_ptr events,
                           const struct wslay_event_on_frame_recv_chunk_arg *chunk, void *arg)
{
    struct websocket *ws = arg;
    bool is_control = ws->opcode & 8;
    if (is_control || ws->result < 0 || !chunk->data_length || !ws->config.data)
        return;
    ws->result =
        ws->config.data(ws->config.arg, (const char *)chunk->data, chunk->data_length, ws->e);
}

/* Whole messages: only that of the end matters. */
static void on_message(wslay_event_context_ptr events, const struct wslay_event_on_msg_recv_arg *m,
                       void *arg)
{
    struct websocket *ws = arg;
    auto_buf struct buf safe = {0};
    char text[REASON_SIZE] = "";
    if (m->opcode != WSLAY_CONNECTION_CLOSE)
        return;
    if (m->msg_length > 2)
        snprintf(text, sizeof(text), "%.*s", (int)m->msg_length - 2, (const char *)m->msg + 2);
    term_safe(&safe, text);
    snprintf(ws->reason, sizeof(ws->reason), "%s", buf_str(&safe));
    ws->code = m->status_code;
    ws->is_over = true;
}

/* ---- the handshake ---- */

/* Waits until the socket is ready, CLI_REQUEST_TIMEOUT_S at most. */
static int wait_socket(struct websocket *ws, short events, int64_t deadline_ms, struct err *e)
{
    int r = interrupt_wait(ws->interrupt, websocket_fd(ws), events, clock_left_ms(deadline_ms));
    if (r == -ETIMEDOUT && clock_left_ms(deadline_ms) == 0)
        return err_set(e, ERR_TIMEOUT, "the daemon at %s did not answer within %d s",
                       api_client_url(ws->client), CLI_REQUEST_TIMEOUT_S);
    return r == -ECANCELED ? r : 0;
}

static int fail_lost(const struct websocket *ws, struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE,
                   "the connection to the daemon at %s was lost; 'holm status' shows whether it is "
                   "alive",
                   api_client_url(ws->client));
}

static int write_all(struct websocket *ws, const struct buf *text, int64_t deadline_ms,
                     struct err *e)
{
    for (size_t at = 0; at < text->len;) {
        ssize_t n = api_socket_write(ws->client, text->data + at, text->len - at);
        if (n == -EAGAIN) {
            int r = wait_socket(ws, POLLOUT, deadline_ms, e);
            if (r < 0)
                return r;
            continue;
        }
        if (n < 0)
            return fail_lost(ws, e);
        at += (size_t)n;
    }
    return 0;
}

/* Reads something more into `ret`; 0 at the end of the connection. */
static ssize_t read_more(struct websocket *ws, struct buf *ret, int64_t deadline_ms, struct err *e)
{
    char chunk[4096];
    ssize_t n;
    while ((n = api_socket_read(ws->client, chunk, sizeof(chunk))) == -EAGAIN) {
        int r = wait_socket(ws, POLLIN, deadline_ms, e);
        if (r < 0)
            return r;
    }
    if (n < 0)
        return fail_lost(ws, e);
    return buf_append(ret, chunk, (size_t)n) < 0 ? err_errno(e, -ENOMEM, "read the answer") : n;
}

static bool has_all(const struct upgrade_answer *answer, const struct buf *got)
{
    static const char last_chunk[] = "0\r\n\r\n";
    size_t n = sizeof(last_chunk) - 1, body_len = got->len - answer->head_len;
    if (answer->has_body_len)
        return body_len >= answer->body_len;
    return body_len >= n && !memcmp(got->data + got->len - n, last_chunk, n);
}

/* The daemon's reason is in the body: a JSON object, which is found between its braces, in chunks
 * or not. */
static int fail_refused(struct websocket *ws, const struct upgrade_answer *answer, struct buf *got,
                        int64_t deadline_ms, struct err *e)
{
    auto_api_answer struct api_answer a = {.status = answer->status, .retry_after_s = 1};
    ssize_t n = 1;
    if (answer->status == 101)
        return err_set(e, ERR_UNAVAILABLE, "%s does not speak WebSocket; is it a holmd?",
                       api_client_url(ws->client));
    while (n > 0 && !has_all(answer, got) && got->len < UPGRADE_HEAD_MAX_BYTES)
        n = read_more(ws, got, deadline_ms, NULL);
    const char *body = got->data + answer->head_len;
    size_t len = got->len - answer->head_len;
    const char *from = memchr(body, '{', len), *to = memrchr(body, '}', len);
    if (from && to && from < to)
        buf_append(&a.body, from, (size_t)(to - from) + 1);
    return api_answer_error(ws->client, &a, e);
}

static int shake_hands(struct websocket *ws, const char *path, struct err *e)
{
    int64_t deadline_ms = clock_mono_ms() + CLI_REQUEST_TIMEOUT_S * 1000;
    auto_buf struct buf headers = {0};
    auto_buf struct buf request = {0};
    auto_buf struct buf got = {0};
    struct upgrade_answer answer = {0};
    char key[UPGRADE_KEY_SIZE];
    upgrade_key(key);
    upgrade_headers(key, &headers);
    if (api_socket_head(ws->client, path, buf_str(&headers), &request) < 0)
        return err_errno(e, -ENOMEM, "make a request");
    int r = write_all(ws, &request, deadline_ms, e);
    while (r == 0 && (r = upgrade_parse(buf_str(&got), got.len, key, &answer)) == -EAGAIN) {
        ssize_t n = read_more(ws, &got, deadline_ms, e);
        if (n <= 0)
            return n < 0 ? (int)n : fail_lost(ws, e);
        r = 0;
    }
    if (r == -EPROTO)
        return err_set(e, ERR_UNAVAILABLE, "%s does not speak HTTP; is it a holmd?",
                       api_client_url(ws->client));
    if (r < 0)
        return r;
    if (!answer.is_right)
        return fail_refused(ws, &answer, &got, deadline_ms, e);
    r = buf_append(&ws->early, got.data + answer.head_len, got.len - answer.head_len);
    return r < 0 ? err_errno(e, r, "connect to %s", api_client_url(ws->client)) : 0;
}

/* ---- the interface ---- */

static int init_events(struct websocket *ws)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_recv,
        .send_callback = on_send,
        .genmask_callback = on_mask,
        .on_frame_recv_start_callback = on_frame_start,
        .on_frame_recv_chunk_callback = on_frame_chunk,
        .on_msg_recv_callback = on_message,
    };
    if (wslay_event_context_client_init(&ws->events, &callbacks, ws) != 0)
        return -ENOMEM;
    wslay_event_config_set_no_buffering(ws->events, 1);
    ws->left = STEP_MAX_BYTES;
    return 0;
}

int websocket_open(struct api_client *c, struct interrupt *interrupt, const char *path,
                   struct websocket **ret, struct err *e)
{
    auto_api_client struct api_client *client = c;
    auto_websocket struct websocket *ws = calloc(1, sizeof(*ws));
    if (!ws || init_events(ws) < 0)
        return err_errno(e, -ENOMEM, "make a WebSocket");
    ws->client = TAKE_PTR(client);
    ws->interrupt = interrupt;
    int r = api_socket_open(ws->client, e);
    if (r == 0)
        r = shake_hands(ws, path, e);
    if (r == 0)
        *ret = TAKE_PTR(ws);
    return r;
}

void websocket_free(struct websocket *ws)
{
    if (!ws)
        return;
    if (ws->events)
        wslay_event_context_free(ws->events);
    api_client_free(ws->client);
    buf_done(&ws->early);
    free(ws);
}

void websocket_set(struct websocket *ws, const struct websocket_config *config)
{
    ws->config = *config;
}

int websocket_fd(const struct websocket *ws)
{
    return api_socket_fd(ws->client);
}

short websocket_events(const struct websocket *ws)
{
    return wslay_event_want_write(ws->events) ? POLLIN | POLLOUT : POLLIN;
}

bool websocket_has_more(const struct websocket *ws)
{
    return ws->early.len || ws->left == 0;
}

int websocket_step(struct websocket *ws, struct err *e)
{
    ws->e = e;
    ws->result = 0;
    ws->left = STEP_MAX_BYTES;
    int sent = wslay_event_want_write(ws->events) ? wslay_event_send(ws->events) : 0;
    int got = wslay_event_want_read(ws->events) ? wslay_event_recv(ws->events) : 0;
    /* The answer to a close frame is queued by reading it. */
    if (ws->is_over && wslay_event_want_write(ws->events))
        (void)wslay_event_send(ws->events);
    if (ws->result < 0)
        return ws->result;
    if (ws->is_over)
        return 0;
    if (ws->is_lost)
        return fail_lost(ws, e);
    if (sent != 0 || got != 0 || !wslay_event_want_read(ws->events))
        return err_set(e, ERR_UNAVAILABLE, "%s sends what is no WebSocket's; is it a holmd?",
                       api_client_url(ws->client));
    return 0;
}

int websocket_send(struct websocket *ws, bool is_text, const void *data, size_t len)
{
    const struct wslay_event_msg m = {
        .opcode = is_text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME, .msg = data, .msg_length = len};
    return wslay_event_queue_msg(ws->events, &m) == 0 ? 0 : -EPIPE;
}

size_t websocket_queued(const struct websocket *ws)
{
    return wslay_event_get_queued_msg_length(ws->events);
}

void websocket_close(struct websocket *ws)
{
    (void)wslay_event_queue_close(ws->events, WSLAY_CODE_NORMAL_CLOSURE, NULL, 0);
}

bool websocket_is_over(const struct websocket *ws, int *ret_code, const char **ret_reason)
{
    *ret_code = ws->code;
    *ret_reason = ws->reason;
    return ws->is_over;
}
