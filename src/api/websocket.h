/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A WebSocket (RFC 6455), the server's side: blocking messages over a connection that was HTTP
 * before. A row with `websocket` makes one.
 *
 * One thread reads, the connection's; any thread sends. Pings are answered, and sent when it is
 * silent: a client that is gone without a word is noticed. */

#include <stdbool.h>
#include <stddef.h>

struct websocket;

/* What a `websocket` row answers a right handshake with. */
struct websocket_session {
    /* In the connection's thread. When it returns, the socket is closed: with 1000 unless
     * websocket_close said otherwise. */
    void (*run)(void *arg, struct websocket *ws);
    /* The server stops: run must return soon, whatever else it waits for. websocket_read returns by
     * itself then. Called by another thread, at most once, while run runs; may be NULL. */
    void (*stop)(void *arg);
    void (*free)(void *arg); /* always called once, also when the handshake came to nothing */
    void *arg;
};

struct websocket_message {
    bool is_text;     /* then it is valid UTF-8 */
    const char *data; /* until the next websocket_read; NUL-terminated besides */
    size_t len;
};

/* Waits for the next message. Returns false when there will be none: the client closed or is gone,
 * broke the protocol or a bound (WEBSOCKET_MESSAGE_MAX_BYTES; it is told by the close code), or
 * websocket_close was called and answered. The connection's thread only. */
bool websocket_read(struct websocket *ws, struct websocket_message *ret);

/* Sends a message; blocks while the client takes no more, for the server's send timeout at most.
 * -EPIPE: it is closed, or the client is gone. Text must be UTF-8. Any thread. */
int websocket_send_text(struct websocket *ws, const char *data, size_t len);
int websocket_send_binary(struct websocket *ws, const void *data, size_t len);

/* What a close code says. */
enum {
    WEBSOCKET_NORMAL = 1000,
    WEBSOCKET_GOING_AWAY = 1001,
    WEBSOCKET_PROTOCOL = 1002,
    WEBSOCKET_NOT_UTF8 = 1007,
    WEBSOCKET_POLICY = 1008,
    WEBSOCKET_TOO_LARGE = 1009,
    WEBSOCKET_INTERNAL = 1011,
};

/* Begins the closing handshake: nothing can be sent any more, and websocket_read returns false when
 * the client has answered, or after WEBSOCKET_CLOSE_WAIT_MS. `reason` is cut to 123 bytes. Any
 * thread, once; later calls do nothing. */
void websocket_close(struct websocket *ws, int code, const char *reason);

/* ---- for the server ---- */

#define WEBSOCKET_ACCEPT_SIZE 29

/* What Sec-WebSocket-Accept says to a Sec-WebSocket-Key; -EINVAL: that is none. */
int websocket_accept_key(const char *key, char ret[WEBSOCKET_ACCEPT_SIZE]);

struct websocket_config {
    int fd;            /* borrowed */
    const char *early; /* bytes that were read with the handshake; borrowed */
    size_t early_len;
    int send_timeout_ms; /* how long the client may take nothing */
    int idle_timeout_ms; /* how long it may say nothing; it is pinged after a third of it */
};

int websocket_new(const struct websocket_config *config, struct websocket **ret);
/* Ends it soon with 1001; websocket_read returns false. Any thread. */
void websocket_stop(struct websocket *ws);
/* The closing handshake, as far as it is not done. The reader's thread, when no other sends. */
void websocket_end(struct websocket *ws);
void websocket_free(struct websocket *ws);
