/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The server's side of the agent link: HTTP/2 by nghttp2, without I/O. Bytes that came in are fed
 * to it, requests come out of callbacks, bytes to send are pulled from it.
 *
 * Back-pressure goes both ways. A request body is taken in at most AGENT_BODY_WINDOW_BYTES ahead of
 * what its owner has consumed (agent_server_consume); the connection's own window is kept open all
 * the time, so that one stream that does not move never blocks another. A response body is pulled
 * from its owner only when the client's windows have room for it.
 *
 * Streams live until `closed` was called for them, which happens for each one exactly once: when
 * both sides are done, on RST_STREAM, and in agent_server_free. Callbacks run inside
 * agent_server_feed, agent_server_pull and agent_server_free only, and may call anything below but
 * these three. Thread: the owner's. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

struct agent_server;

/* A request. The strings live as long as the stream. */
struct agent_stream {
    struct agent_server *server;
    int32_t id;
    const char *method;
    const char *path;   /* without the query, still percent-encoded */
    const char *query;  /* what stood after "?", "" when nothing */
    bool body_ended;    /* the client has sent all of its body */
    bool session_ended; /* in `closed`: it ended with the session, without a word of the client */
    bool duplex;        /* set by the owner: the body goes on when the answer has ended */
    void *data;         /* the owner's */
};

struct agent_server_ops {
    /* The headers are complete. */
    void (*request)(struct agent_stream *st);
    /* Bytes of the body, valid during the call. Each must be consumed once, now or later. */
    void (*body)(struct agent_stream *st, const uint8_t *data, size_t len);
    void (*body_end)(struct agent_stream *st);
    /* The stream is over; `st` is freed after the call. */
    void (*closed)(struct agent_stream *st);
};

/* What a pull callback returns besides a number of bytes. */
enum { AGENT_PULL_LATER = 0, AGENT_PULL_END = -1, AGENT_PULL_ABORT = -2 };

/* Writes at most `size` (> 0) bytes of the response body and returns how many; AGENT_PULL_LATER:
 * nothing now, agent_server_resume will be called; AGENT_PULL_END: that was all;
 * AGENT_PULL_ABORT: reset the stream. */
typedef ssize_t (*agent_pull_fn)(struct agent_stream *st, uint8_t *buf, size_t size);

/* `ops` is borrowed for the server's life; `owner` comes back from agent_server_owner. */
int agent_server_new(const struct agent_server_ops *ops, void *owner, struct agent_server **ret);
void agent_server_free(struct agent_server *s); /* NULL is fine */
void *agent_server_owner(const struct agent_server *s);

/* Takes bytes that came from the client; the first ones must be the HTTP/2 preface. -EPROTO: this
 * is not (or no longer) HTTP/2; what agent_server_pull still yields is a farewell (GOAWAY). */
int agent_server_feed(struct agent_server *s, const void *data, size_t len);

/* Appends bytes to send to `out` while it holds less than `high_bytes`; 0 or a negative errno. */
int agent_server_pull(struct agent_server *s, struct buf *out, size_t high_bytes);

/* True when the session has ended in order: nothing is expected and nothing left to send. */
bool agent_server_is_done(const struct agent_server *s);

/* Answers with a body that is copied. Once a stream; -EALREADY after the first. */
int agent_server_respond(struct agent_stream *st, int status, const char *content_type,
                         const void *body, size_t len);

/* Answers with a body that `pull` yields. */
int agent_server_respond_pull(struct agent_stream *st, int status, const char *content_type,
                              agent_pull_fn pull);

/* Has `pull` called again after it returned AGENT_PULL_LATER. */
void agent_server_resume(struct agent_stream *st);

bool agent_server_has_responded(const struct agent_stream *st);

/* Takes more of the request body ahead of what is consumed. */
void agent_server_set_window(struct agent_stream *st, size_t bytes);

/* Gives `len` bytes of the request body's window back. */
void agent_server_consume(struct agent_stream *st, size_t len);

/* Ends the stream with RST_STREAM (INTERNAL_ERROR). */
void agent_server_abort(struct agent_stream *st);
