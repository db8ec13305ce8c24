/* SPDX-License-Identifier: Apache-2.0 */

/* An nghttp2 client session behind a hello. nghttp2 does the framing and the flow control; here are
 * the bounds that it leaves to its user, and the one rule that makes the rest simple: a session
 * that was violated once is over.
 *
 * A request is a `struct stream`, owned by the client's list from agent_client_open until nghttp2
 * has closed the stream. Its close is looked up by id, never through nghttp2's user data, because a
 * request that never left (a cancelled one still queued) is reported in two ways. */
#include "wire/agent_client.h"

#include <assert.h>
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "wire/hello.h"

struct stream {
    struct stream *next;
    int32_t id;
    void *arg;      /* NULL: cancelled, no more events */
    int status;     /* of the header block being read; 0: none yet */
    bool answered;  /* `head` was told */
    bool complete;  /* the answer came to its end */
    bool duplex;    /* the request goes on after that */
    size_t headers; /* header fields so far, all blocks together */
    size_t header_bytes;
};

struct agent_client {
    const struct agent_client_ops *ops;
    nghttp2_session *h2;
    struct hello_client hello;
    enum agent_client_state state;
    const char *reason;
    struct buf out; /* hello lines that were not taken yet */
    bool out_taken; /* `out` was handed out by the last take */
    struct stream *streams;
    size_t n_streams;
};

static int end(struct agent_client *c, const char *reason)
{
    if (c->state != AGENT_CLIENT_ENDED) {
        c->state = AGENT_CLIENT_ENDED;
        c->reason = reason;
    }
    return -EPROTO;
}

static struct stream *stream_of(nghttp2_session *h2, int32_t id)
{
    return nghttp2_session_get_stream_user_data(h2, id);
}

static struct stream *stream_find(struct agent_client *c, int32_t id)
{
    struct stream *s = c->streams;
    while (s && s->id != id)
        s = s->next;
    return s;
}

static void stream_closed(struct agent_client *c, int32_t id, uint32_t h2_error)
{
    for (struct stream **p = &c->streams; *p; p = &(*p)->next) {
        if ((*p)->id != id)
            continue;
        auto_free struct stream *s = *p;
        *p = s->next;
        c->n_streams--;
        if (s->arg)
            c->ops->closed(s->arg, s->complete, h2_error);
        return;
    }
}

/* --- what nghttp2 tells us --- */

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    struct agent_client *c = user;
    struct stream *s = stream_of(h2, frame->hd.stream_id);
    if (!s)
        return 0;
    s->header_bytes += name_len + value_len;
    if (++s->headers > AGENT_HEADERS_MAX || s->header_bytes > AGENT_HEADERS_MAX_BYTES) {
        end(c, "the agent sent too many headers");
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (name_len != 7 || memcmp(name, ":status", 7) != 0)
        return 0;
    s->status = 0;
    for (size_t i = 0; i < value_len && i < 3; i++) {
        if (value[i] >= '0' && value[i] <= '9')
            s->status = s->status * 10 + (value[i] - '0');
    }
    return 0;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
                   void *user)
{
    struct agent_client *c = user;
    struct stream *s = stream_of(h2, id);
    int r = nghttp2_session_consume_connection(h2, len);
    if (r == 0 && s && s->arg)
        c->ops->data(s->arg, data, len);
    return r < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
    struct agent_client *c = user;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        end(c, "the agent ended the session");
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    struct stream *s = stream_of(h2, frame->hd.stream_id);
    if (!s)
        return 0;
    /* 1xx come before the answer; a block after it is trailers. */
    if (frame->hd.type == NGHTTP2_HEADERS && !s->answered && s->status >= 200) {
        s->answered = true;
        if (s->arg)
            c->ops->head(s->arg, s->status);
    }
    if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    s->complete = true;
    if (s->arg && c->ops->ended)
        c->ops->ended(s->arg);
    /* An answer that is complete before the request is: the rest of the body is of no use. */
    if (!s->duplex && nghttp2_session_get_stream_local_close(h2, s->id) == 0)
        nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
    return 0;
}

/* Pushes are refused by our settings; but these count only when the agent has acknowledged them,
 * and until then nghttp2 would answer each push with a reset. */
static int on_begin(nghttp2_session *h2, const nghttp2_frame_hd *head, void *user)
{
    if (head->type != NGHTTP2_PUSH_PROMISE)
        return 0;
    end(user, "the agent pushed");
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_invalid(nghttp2_session *h2, const nghttp2_frame *frame, int code, void *user)
{
    end(user, "the agent sent an invalid frame");
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_closed(nghttp2_session *h2, int32_t id, uint32_t h2_error, void *user)
{
    stream_closed(user, id, h2_error);
    return 0;
}

static int on_sent(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
    struct agent_client *c = user;
    /* We never leave by a GOAWAY ourselves, so it is nghttp2's answer to a violation. */
    if (frame->hd.type == NGHTTP2_GOAWAY)
        end(c, "the agent broke the protocol");
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    struct stream *s = stream_of(h2, frame->hd.stream_id);
    if (s && s->arg && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        c->ops->sent(s->arg);
    return 0;
}

static int on_not_sent(nghttp2_session *h2, const nghttp2_frame *frame, int code, void *user)
{
    if (frame->hd.type == NGHTTP2_HEADERS)
        stream_closed(user, frame->hd.stream_id, NGHTTP2_CANCEL);
    return 0;
}

static ssize_t on_pull(nghttp2_session *h2, int32_t id, uint8_t *out, size_t max, uint32_t *flags,
                       nghttp2_data_source *source, void *user)
{
    struct agent_client *c = user;
    struct stream *s = stream_of(h2, id);
    if (!s || !s->arg)
        return NGHTTP2_ERR_DEFERRED; /* its RST_STREAM is queued */
    bool ended = false;
    ssize_t n = c->ops->pull(s->arg, out, max, &ended);
    if (n < 0)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (ended)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return n || ended ? n : NGHTTP2_ERR_DEFERRED;
}

/* --- making and freeing --- */

/* As much as the windows and the agent allow; nghttp2's own choice is 16 KiB. */
static ssize_t on_frame_length(nghttp2_session *h2, uint8_t type, int32_t id,
                               int32_t session_window, int32_t stream_window, uint32_t max_frame,
                               void *user)
{
    ssize_t n = AGENT_HTTP2_FRAME_BYTES;
    n = n < session_window ? n : session_window;
    n = n < stream_window ? n : stream_window;
    return n < (ssize_t)max_frame ? n : (ssize_t)max_frame;
}

static int session_new(struct agent_client *c, nghttp2_session_callbacks *cb, nghttp2_option *opt)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_closed);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, on_not_sent);
    nghttp2_session_callbacks_set_data_source_read_length_callback(cb, on_frame_length);

    nghttp2_option_set_no_auto_window_update(opt, 1);
    nghttp2_option_set_peer_max_concurrent_streams(opt, AGENT_STREAMS_MAX);
    nghttp2_option_set_max_reserved_remote_streams(opt, 0);
    nghttp2_option_set_no_closed_streams(opt, 1);
    nghttp2_option_set_max_outbound_ack(opt, AGENT_ACKS_MAX);

    if (nghttp2_session_client_new2(&c->h2, cb, c, opt) < 0)
        return -ENOMEM;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, AGENT_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, AGENT_HEADERS_MAX_BYTES},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, AGENT_HTTP2_FRAME_BYTES},
    };
    if (nghttp2_submit_settings(c->h2, NGHTTP2_FLAG_NONE, settings, ARRAY_SIZE(settings)) < 0 ||
        nghttp2_session_set_local_window_size(c->h2, NGHTTP2_FLAG_NONE, 0, AGENT_WINDOW_BYTES) < 0)
        return -ENOMEM;
    return 0;
}

DEFINE_AUTO(nghttp2_session_callbacks *, nghttp2_session_callbacks_del)
DEFINE_AUTO(nghttp2_option *, nghttp2_option_del)
DEFINE_AUTO(struct agent_client *, agent_client_free)

int agent_client_new(const struct agent_client_ops *ops, struct agent_client **ret)
{
    CLEANUP(agent_client_freep) struct agent_client *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->ops = ops;
    c->reason = "";
    hello_client_init(&c->hello);

    CLEANUP(nghttp2_session_callbacks_delp) nghttp2_session_callbacks *cb = NULL;
    CLEANUP(nghttp2_option_delp) nghttp2_option *opt = NULL;
    if (nghttp2_session_callbacks_new(&cb) < 0 || nghttp2_option_new(&opt) < 0)
        return -ENOMEM;
    int r = session_new(c, cb, opt);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(c);
    return 0;
}

void agent_client_free(struct agent_client *c)
{
    if (!c)
        return;
    nghttp2_session_del(c->h2);
    for (struct stream *s = c->streams, *next; s; s = next) {
        next = s->next;
        free(s);
    }
    buf_done(&c->out);
    free(c);
}

enum agent_client_state agent_client_state(const struct agent_client *c)
{
    return c->state;
}

const char *agent_client_reason(const struct agent_client *c)
{
    return c->reason;
}

/* --- bytes --- */

void agent_client_hello(struct agent_client *c)
{
    if (c->state != AGENT_CLIENT_HELLO || (c->out.len && !c->out_taken))
        return; /* one untaken line is enough */
    char line[HELLO_LINE_SIZE];
    hello_line(c->hello.nonce, line);
    buf_clear(&c->out);
    c->out_taken = false;
    if (buf_append(&c->out, line, HELLO_LINE_LEN) < 0)
        end(c, "out of memory");
}

int agent_client_feed(struct agent_client *c, const void *data, size_t len)
{
    const uint8_t *p = data;
    if (c->state == AGENT_CLIENT_HELLO || !c->hello.passed) {
        size_t skip = hello_client_feed(&c->hello, p, len);
        if (c->hello.answered && c->state == AGENT_CLIENT_HELLO)
            c->state = AGENT_CLIENT_OPEN;
        p += skip;
        len -= skip;
    }
    if (c->state == AGENT_CLIENT_ENDED)
        return -EPROTO;
    if (len == 0)
        return 0;
    ssize_t n = nghttp2_session_mem_recv(c->h2, p, len);
    if (n < 0)
        return end(c, n == NGHTTP2_ERR_FLOODED ? "the agent flooded the session"
                                               : "the agent broke the protocol");
    /* Whatever it is that makes frames pile up towards an agent which does not read: no more. */
    if (nghttp2_session_get_outbound_queue_size(c->h2) > AGENT_OUT_FRAMES_MAX)
        return end(c, "the agent flooded the session");
    return c->state == AGENT_CLIENT_ENDED ? -EPROTO : 0;
}

ssize_t agent_client_take(struct agent_client *c, const void **ret_data)
{
    if (c->state == AGENT_CLIENT_HELLO) {
        if (c->out_taken || !c->out.len)
            return 0;
        c->out_taken = true;
        *ret_data = c->out.data;
        return (ssize_t)c->out.len;
    }
    if (c->state == AGENT_CLIENT_ENDED)
        return -EPROTO;
    const uint8_t *data;
    ssize_t n = nghttp2_session_mem_send(c->h2, &data);
    if (n < 0)
        return end(c, "the session broke down");
    if (c->state == AGENT_CLIENT_ENDED)
        return -EPROTO;
    *ret_data = data;
    return n;
}

/* --- requests --- */

size_t agent_client_room(const struct agent_client *c)
{
    size_t max =
        nghttp2_session_get_remote_settings(c->h2, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    if (max > AGENT_STREAMS_MAX)
        max = AGENT_STREAMS_MAX;
    return max > c->n_streams ? max - c->n_streams : 0;
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){
        .name = (uint8_t *)name,
        .namelen = strlen(name),
        .value = (uint8_t *)value,
        .valuelen = strlen(value),
    };
}

int32_t agent_client_open(struct agent_client *c, const char *method, const char *path,
                          enum agent_client_body body, void *arg)
{
    if (c->state == AGENT_CLIENT_ENDED)
        return -EPROTO;
    if (agent_client_room(c) == 0)
        return -EAGAIN;
    auto_free struct stream *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->arg = arg;
    const nghttp2_nv fields[] = {
        field(":method", method),
        field(":scheme", "http"),
        field(":authority", "holm"),
        field(":path", path),
    };
    nghttp2_data_provider provider = {.read_callback = on_pull};
    s->duplex = body == AGENT_BODY_DUPLEX;
    s->id =
        nghttp2_submit_request(c->h2, NULL, fields, ARRAY_SIZE(fields), body ? &provider : NULL, s);
    if (s->id < 0)
        return -ENOMEM; /* or 2^30 requests were made, and the session is used up */
    s->next = c->streams;
    c->streams = s;
    c->n_streams++;
    return TAKE_PTR(s)->id;
}

void agent_client_resume(struct agent_client *c, int32_t id)
{
    /* Fails when nothing is deferred, which is fine. */
    if (c->state != AGENT_CLIENT_ENDED)
        nghttp2_session_resume_data(c->h2, id);
}

void agent_client_consume(struct agent_client *c, int32_t id, size_t len)
{
    if (c->state == AGENT_CLIENT_ENDED || !len)
        return;
    if (nghttp2_session_consume_stream(c->h2, id, len) < 0)
        end(c, "out of memory");
}

void agent_client_cancel(struct agent_client *c, int32_t id)
{
    struct stream *s = stream_find(c, id);
    if (!s || !s->arg)
        return;
    s->arg = NULL;
    if (c->state != AGENT_CLIENT_ENDED &&
        nghttp2_submit_rst_stream(c->h2, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL) < 0)
        end(c, "out of memory");
}
