/* SPDX-License-Identifier: Apache-2.0 */

/* libwslay turns bytes into frames and back; what is a message, a right sequence of frames, and a
 * right end is decided here, so that nothing grows beyond a message: its own assembly would keep
 * something of each fragment, however short.
 *
 * The frame context's two halves share nothing, so the connection's thread reads while another one
 * sends; senders take turns by `send_lock`. A frame is written whole or the socket is done with. */

#include "api/websocket.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <wslay/wslay.h>

#include "api/text.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/sha1.h"

DEFINE_AUTO(struct websocket *, websocket_free)

#define CONTROL_MAX_BYTES 125

struct websocket {
    struct websocket_config config;
    wslay_frame_context_ptr frames;
    int wake_fd; /* written when the reader is to look at the flags */
    atomic_bool is_stopping;
    atomic_bool is_closing; /* a close frame was sent, or will never be */
    _Atomic int64_t close_deadline_ms;
    pthread_mutex_t send_lock;

    /* The reader's. */
    bool is_over;
    bool has_said_close; /* the client, and so will say no more */
    bool has_blocked;    /* the socket has no more bytes now */
    int64_t heard_ms;
    bool is_asked; /* a ping was sent since */
    struct buf message;
    bool in_message, is_text, is_complete;
    bool in_frame;
    uint64_t frame_left;
    unsigned char control[CONTROL_MAX_BYTES];
    size_t control_len;
};

int websocket_accept_key(const char *key, char ret[WEBSOCKET_ACCEPT_SIZE])
{
    static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    auto_buf struct buf bytes = {0}, text = {0};
    if (base64_decode(key, strlen(key), &bytes) < 0 || bytes.len != 16)
        return -EINVAL;
    char joined[24 + sizeof(magic)];
    snprintf(joined, sizeof(joined), "%s%s", key, magic);
    unsigned char sum[SHA1_BYTES];
    sha1(joined, strlen(joined), sum);
    if (base64_encode(sum, sizeof(sum), &text) < 0)
        return -ENOMEM;
    snprintf(ret, WEBSOCKET_ACCEPT_SIZE, "%s", buf_str(&text));
    return 0;
}

/* ---- sending ---- */

/* The client does not take it. Returns 0 when it is worth trying again. */
static int wait_for_room(const struct websocket *ws, int64_t deadline_ms)
{
    struct pollfd p = {.fd = ws->config.fd, .events = POLLOUT};
    int left = clock_left_ms(deadline_ms);
    int n = poll(&p, 1, left < STREAM_ASK_INTERVAL_MS ? left : STREAM_ASK_INTERVAL_MS);
    if (n < 0 && errno != EINTR)
        return -errno;
    if (n <= 0 && (clock_mono_ms() >= deadline_ms || atomic_load(&ws->is_stopping)))
        return -ETIMEDOUT;
    return 0;
}

static int write_all(const struct websocket *ws, const uint8_t *data, size_t len, int more)
{
    int64_t deadline_ms = clock_mono_ms() + ws->config.send_timeout_ms;
    while (len) {
        ssize_t n = send(ws->config.fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT | more);
        int r = n < 0 ? -errno : 0;
        if (r == -EAGAIN)
            r = wait_for_room(ws, deadline_ms);
        if (r < 0 && r != -EINTR)
            return r;
        if (n < 0)
            continue;
        deadline_ms = clock_mono_ms() + ws->config.send_timeout_ms;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static ssize_t on_send(const uint8_t *data, size_t len, int flags, void *arg)
{
    int r = write_all(arg, data, len, flags & WSLAY_MSG_MORE ? MSG_MORE : 0);
    return r < 0 ? -1 : (ssize_t)len;
}

/* The lock is held. */
static int put_frame(struct websocket *ws, uint8_t opcode, const void *data, size_t len)
{
    struct wslay_frame_iocb io = {
        .fin = 1, .opcode = opcode, .payload_length = len, .data = data, .data_length = len};
    if (wslay_frame_send(ws->frames, &io) == (ssize_t)len)
        return 0;
    /* Half a frame may be out, and nothing can follow it. The reader sees the end of the socket. */
    atomic_store(&ws->is_closing, true);
    shutdown(ws->config.fd, SHUT_RDWR);
    return -EPIPE;
}

static int send_frame(struct websocket *ws, uint8_t opcode, const void *data, size_t len)
{
    AUTO_LOCK(&ws->send_lock);
    return atomic_load(&ws->is_closing) ? -EPIPE : put_frame(ws, opcode, data, len);
}

int websocket_send_text(struct websocket *ws, const char *data, size_t len)
{
    return send_frame(ws, WSLAY_TEXT_FRAME, data, len);
}

int websocket_send_binary(struct websocket *ws, const void *data, size_t len)
{
    return send_frame(ws, WSLAY_BINARY_FRAME, data, len);
}

/* `code` 0: a close frame without one. */
static void send_close(struct websocket *ws, int code, const char *reason)
{
    char payload[CONTROL_MAX_BYTES] = {(char)(code >> 8), (char)code};
    size_t len = strlen(reason) < sizeof(payload) - 2 ? strlen(reason) : sizeof(payload) - 2;
    len = text_utf8_prefix(reason, len);
    memcpy(payload + 2, reason, len);
    AUTO_LOCK(&ws->send_lock);
    if (atomic_load(&ws->is_closing))
        return;
    if (put_frame(ws, WSLAY_CONNECTION_CLOSE, payload, code ? len + 2 : 0) < 0)
        return;
    atomic_store(&ws->close_deadline_ms, clock_mono_ms() + WEBSOCKET_CLOSE_WAIT_MS);
    atomic_store(&ws->is_closing, true);
}

void websocket_close(struct websocket *ws, int code, const char *reason)
{
    send_close(ws, code, reason);
    eventfd_write(ws->wake_fd, 1);
}

/* ---- receiving ---- */

static ssize_t on_receive(uint8_t *buf, size_t len, int flags, void *arg)
{
    struct websocket *ws = arg;
    struct websocket_config *c = &ws->config;
    if (c->early_len) {
        size_t n = len < c->early_len ? len : c->early_len;
        memcpy(buf, c->early, n);
        c->early += n;
        c->early_len -= n;
        return (ssize_t)n;
    }
    ssize_t n = recv(c->fd, buf, len, MSG_DONTWAIT);
    if (n > 0) {
        ws->heard_ms = clock_mono_ms();
        ws->is_asked = false;
        return n;
    }
    ws->has_blocked = true;
    ws->is_over |= n == 0 || (errno != EAGAIN && errno != EINTR);
    return -1;
}

/* The client broke a rule: it is told, and nothing more is read. */
static int fail(struct websocket *ws, int code, const char *why)
{
    send_close(ws, code, why);
    ws->is_over = true;
    return -EPROTO;
}

static int begin_frame(struct websocket *ws, const struct wslay_frame_iocb *io)
{
    if (io->rsv || !io->mask)
        return fail(ws, WEBSOCKET_PROTOCOL, io->rsv ? "a reserved bit is set" : "not masked");
    ws->in_frame = true;
    ws->frame_left = io->payload_length;
    ws->control_len = 0;
    switch (io->opcode) {
    case WSLAY_CONNECTION_CLOSE:
    case WSLAY_PING:
    case WSLAY_PONG:
        return 0;
    case WSLAY_CONTINUATION_FRAME:
        if (!ws->in_message)
            return fail(ws, WEBSOCKET_PROTOCOL, "a fragment of no message");
        break;
    case WSLAY_TEXT_FRAME:
    case WSLAY_BINARY_FRAME:
        if (ws->in_message)
            return fail(ws, WEBSOCKET_PROTOCOL, "a message in a message");
        ws->in_message = true;
        ws->is_text = io->opcode == WSLAY_TEXT_FRAME;
        break;
    default:
        return fail(ws, WEBSOCKET_PROTOCOL, "an unknown kind of frame");
    }
    if (io->payload_length > WEBSOCKET_MESSAGE_MAX_BYTES - ws->message.len)
        return fail(ws, WEBSOCKET_TOO_LARGE, "the message is too large");
    return 0;
}

/* Codes that may stand in a close frame. */
static bool is_close_code(int code)
{
    return (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) ||
           (code >= 3000 && code <= 4999);
}

/* Answers with the code that came. */
static int end_close(struct websocket *ws)
{
    int code = ws->control_len < 2 ? 0 : ws->control[0] << 8 | ws->control[1];
    size_t reason_len = ws->control_len < 2 ? 0 : ws->control_len - 2;
    const char *reason = (const char *)ws->control + 2;
    if (ws->control_len == 1 || (ws->control_len && !is_close_code(code)))
        return fail(ws, WEBSOCKET_PROTOCOL, "a bad close frame");
    if (text_utf8_prefix(reason, reason_len) != reason_len)
        return fail(ws, WEBSOCKET_NOT_UTF8, "the reason is not UTF-8");
    send_close(ws, code, "");
    ws->is_over = ws->has_said_close = true;
    return -ESHUTDOWN;
}

static int end_frame(struct websocket *ws, const struct wslay_frame_iocb *io)
{
    ws->in_frame = false;
    switch (io->opcode) {
    case WSLAY_CONNECTION_CLOSE:
        return end_close(ws);
    case WSLAY_PING:
        (void)send_frame(ws, WSLAY_PONG, ws->control, ws->control_len);
        return 0;
    case WSLAY_PONG:
        return 0;
    }
    if (!io->fin)
        return 0;
    ws->in_message = false;
    ws->is_complete = true;
    if (ws->is_text && text_utf8_prefix(buf_str(&ws->message), ws->message.len) != ws->message.len)
        return fail(ws, WEBSOCKET_NOT_UTF8, "the text is not UTF-8");
    return 0;
}

/* A piece of a frame's payload, or all of it. */
static int take_piece(struct websocket *ws, const struct wslay_frame_iocb *io)
{
    int r = ws->in_frame ? 0 : begin_frame(ws, io);
    if (r < 0)
        return r;
    if (wslay_is_ctrl_frame(io->opcode)) {
        memcpy(ws->control + ws->control_len, io->data, io->data_length);
        ws->control_len += io->data_length;
    } else if (buf_append(&ws->message, io->data, io->data_length) < 0) {
        return fail(ws, WEBSOCKET_INTERNAL, "no memory");
    }
    ws->frame_left -= io->data_length;
    return ws->frame_left ? 0 : end_frame(ws, io);
}

/* Nothing more can be read without waiting. */
static bool receive_piece(struct websocket *ws)
{
    struct wslay_frame_iocb io = {0};
    ws->has_blocked = false;
    ssize_t n = wslay_frame_recv(ws->frames, &io);
    if (n >= 0)
        return take_piece(ws, &io) == 0;
    if (n != WSLAY_ERR_WANT_READ)
        (void)fail(ws, WEBSOCKET_PROTOCOL, "a malformed frame");
    return !ws->has_blocked && !ws->is_over;
}

/* ---- waiting ---- */

/* A client that is silent is asked whether it is there; when it stays silent it is not. */
static int64_t next_deadline(struct websocket *ws)
{
    int64_t idle_ms = ws->config.idle_timeout_ms, ask_ms = ws->heard_ms + idle_ms / 3;
    if (atomic_load(&ws->is_closing))
        return atomic_load(&ws->close_deadline_ms);
    if (!ws->is_asked && clock_mono_ms() >= ask_ms) {
        ws->is_asked = true;
        (void)send_frame(ws, WSLAY_PING, "", 0);
    }
    return ws->is_asked ? ws->heard_ms + idle_ms : ask_ms;
}

/* There is nobody to say anything to. */
static void give_up(struct websocket *ws)
{
    ws->is_over = true;
    atomic_store(&ws->is_closing, true);
    shutdown(ws->config.fd, SHUT_RDWR);
}

static void wait_readable(struct websocket *ws)
{
    int64_t deadline_ms = next_deadline(ws);
    bool is_last = ws->is_asked || atomic_load(&ws->is_closing);
    struct pollfd p[] = {{.fd = ws->config.fd, .events = POLLIN},
                         {.fd = ws->wake_fd, .events = POLLIN}};
    int n = poll(p, 2, clock_left_ms(deadline_ms));
    eventfd_t ignored;
    if (n > 0 && p[1].revents)
        eventfd_read(ws->wake_fd, &ignored);
    if (n == 0 && is_last && clock_mono_ms() >= deadline_ms)
        give_up(ws);
    if (atomic_load(&ws->is_stopping)) {
        send_close(ws, WEBSOCKET_GOING_AWAY, "the daemon is shutting down");
        ws->is_over = true;
    }
}

bool websocket_read(struct websocket *ws, struct websocket_message *ret)
{
    if (ws->is_complete)
        buf_clear(&ws->message);
    ws->is_complete = false;
    while (!ws->is_over) {
        if (!receive_piece(ws) && !ws->is_over)
            wait_readable(ws);
        if (!ws->is_complete || ws->is_over)
            continue;
        if (!atomic_load(&ws->is_closing)) {
            *ret = (struct websocket_message){ws->is_text, buf_str(&ws->message), ws->message.len};
            return true;
        }
        /* Too late: only the client's close frame is waited for. */
        buf_clear(&ws->message);
        ws->is_complete = false;
    }
    return false;
}

/* ---- life ---- */

int websocket_new(const struct websocket_config *config, struct websocket **ret)
{
    static const struct wslay_frame_callbacks callbacks = {.send_callback = on_send,
                                                           .recv_callback = on_receive};
    CLEANUP(websocket_freep) struct websocket *ws = calloc(1, sizeof(*ws));
    if (!ws)
        return -ENOMEM;
    ws->config = *config;
    ws->heard_ms = clock_mono_ms();
    pthread_mutex_init(&ws->send_lock, NULL);
    ws->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (ws->wake_fd < 0)
        return -errno;
    if (wslay_frame_context_init(&ws->frames, &callbacks, ws) != 0)
        return -ENOMEM;
    *ret = TAKE_PTR(ws);
    return 0;
}

void websocket_stop(struct websocket *ws)
{
    atomic_store(&ws->is_stopping, true);
    eventfd_write(ws->wake_fd, 1);
}

/* A socket that is closed with bytes unread resets the connection, and the client may then lose the
 * close frame: what still comes is read away for a while. */
void websocket_end(struct websocket *ws)
{
    send_close(ws, WEBSOCKET_NORMAL, "");
    shutdown(ws->config.fd, SHUT_WR);
    char away[4096];
    uint64_t bytes = 0;
    int64_t deadline_ms = clock_mono_ms() + WEBSOCKET_CLOSE_WAIT_MS;
    while (!ws->has_said_close && bytes < HTTP_DRAIN_MAX_BYTES && !atomic_load(&ws->is_stopping)) {
        struct pollfd p[] = {{.fd = ws->config.fd, .events = POLLIN},
                             {.fd = ws->wake_fd, .events = POLLIN}};
        if (poll(p, 2, clock_left_ms(deadline_ms)) <= 0)
            return;
        eventfd_t ignored;
        eventfd_read(ws->wake_fd, &ignored);
        ssize_t n = recv(ws->config.fd, away, sizeof(away), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return;
        bytes += n > 0 ? (uint64_t)n : 0;
    }
}

void websocket_free(struct websocket *ws)
{
    if (!ws)
        return;
    if (ws->frames)
        wslay_frame_context_free(ws->frames);
    cleanup_close(&ws->wake_fd);
    buf_done(&ws->message);
    pthread_mutex_destroy(&ws->send_lock);
    free(ws);
}
