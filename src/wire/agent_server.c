/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/agent_server.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/limits.h"

/* Percent-encoding triples a path at most; the rest is room for the other parameters. */
#define TARGET_MAX_BYTES (3 * AGENT_PATH_MAX_BYTES + 512)
#define METHOD_MAX_BYTES 16
/* The connection's window, which is given back as soon as bytes arrive. */
#define CONNECTION_WINDOW_BYTES (4 * MIB)
#define HTTP2_FRAME_HEADER_BYTES 9 /* RFC 9113, 4.1 */

/* A stream as this module sees it. `pub` comes first: a pointer to it is a pointer to all. */
struct stream {
    struct agent_stream pub;
    struct stream *prev, *next;
    char method[METHOD_MAX_BYTES + 1];
    char *target; /* the :path field, cut in two at the "?" once the headers are complete */
    int headers;  /* fields seen */
    agent_pull_fn pull;
    struct buf body; /* of agent_server_respond */
    size_t body_at;  /* how much of it was sent */
    bool announced;  /* `request` was called */
    bool responded;
};

/* Follows the frames' boundaries beside nghttp2, which tells of bytes that are no HTTP/2 only once
 * its farewell was sent: too late to look for a hello in them. */
struct frame_walk {
    uint8_t length[3];
    size_t head_len; /* bytes of the header at hand seen */
    size_t skip;     /* bytes to pass over: preface or payload */
};

struct agent_server {
    const struct agent_server_ops *ops;
    void *owner;
    nghttp2_session *session;
    struct frame_walk walk;
    struct stream *streams;
};

static struct stream *stream_of(struct agent_stream *st)
{
    return (struct stream *)st;
}

static struct stream *stream_find(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

static void stream_unlink(struct agent_server *s, struct stream *st)
{
    if (st->prev)
        st->prev->next = st->next;
    else
        s->streams = st->next;
    if (st->next)
        st->next->prev = st->prev;
}

static void stream_end(struct agent_server *s, struct stream *st)
{
    if (st->announced)
        s->ops->closed(&st->pub);
    stream_unlink(s, st);
    buf_done(&st->body);
    free(st->target);
    free(st);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct agent_server *s = user;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct stream *st = calloc(1, sizeof(*st));
    if (!st)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets this stream only */
    st->pub.server = s;
    st->pub.id = frame->hd.stream_id;
    st->next = s->streams;
    if (st->next)
        st->next->prev = st;
    s->streams = st;
    nghttp2_session_set_stream_user_data(session, st->pub.id, st);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *user)
{
    struct stream *st = stream_find(session, frame->hd.stream_id);
    if (!st || st->announced) /* trailers say nothing to us */
        return 0;
    nghttp2_vec n = nghttp2_rcbuf_get_buf(name), v = nghttp2_rcbuf_get_buf(value);
    if (++st->headers > AGENT_HEADERS_MAX)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (n.len == 7 && memcmp(n.base, ":method", 7) == 0) {
        if (v.len > METHOD_MAX_BYTES)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        memcpy(st->method, v.base, v.len);
    }
    if (n.len == 5 && memcmp(n.base, ":path", 5) == 0) {
        if (v.len > TARGET_MAX_BYTES || !(st->target = strndup((const char *)v.base, v.len)))
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return 0;
}

static void announce(struct agent_server *s, struct stream *st)
{
    char *query = strchr(st->target, '?');
    if (query)
        *query++ = '\0';
    st->pub.method = st->method;
    st->pub.path = st->target;
    st->pub.query = query ? query : "";
    st->announced = true;
    s->ops->request(&st->pub);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct agent_server *s = user;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    struct stream *st = stream_find(session, frame->hd.stream_id);
    if (!st)
        return 0;
    if (!st->announced && !st->target) { /* CONNECT has no path to dispatch on */
        agent_server_abort(&st->pub);
        return 0;
    }
    if (!st->announced)
        announce(s, st);
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) && !st->pub.body_ended) {
        st->pub.body_ended = true;
        s->ops->body_end(&st->pub);
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *user)
{
    struct agent_server *s = user;
    struct stream *st = stream_find(session, id);
    nghttp2_session_consume_connection(session, len);
    if (st && st->announced)
        s->ops->body(&st->pub, data, len);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error_code, void *user)
{
    struct stream *st = stream_find(session, id);
    if (st)
        stream_end(user, st);
    return 0;
}

/* An answer may be complete while the client still sends its body (the program has ended, its
 * standard input has not). Nobody will read that body: tell the client so. */
static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    bool ends = (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
                (frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
    struct stream *st = ends ? stream_find(session, frame->hd.stream_id) : NULL;
    if (st && !st->pub.body_ended && !st->pub.duplex)
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, st->pub.id, NGHTTP2_NO_ERROR);
    return 0;
}

static ssize_t read_response(nghttp2_session *session, int32_t id, uint8_t *buf, size_t size,
                             uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct stream *st = source->ptr;
    ssize_t n = st->pull(&st->pub, buf, size);
    if (n > 0)
        return n;
    if (n == AGENT_PULL_LATER)
        return NGHTTP2_ERR_DEFERRED;
    if (n != AGENT_PULL_END)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets this stream only */
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    return 0;
}

static ssize_t pull_body(struct agent_stream *st, uint8_t *buf, size_t size)
{
    struct stream *own = stream_of(st);
    size_t left = own->body.len - own->body_at, n = left < size ? left : size;
    if (n == 0)
        return AGENT_PULL_END;
    memcpy(buf, own->body.data + own->body_at, n);
    own->body_at += n;
    return (ssize_t)n;
}

/* As much as the windows and the client allow; nghttp2's own choice is 16 KiB. */
static ssize_t frame_length(nghttp2_session *session, uint8_t type, int32_t id,
                            int32_t session_window, int32_t stream_window, uint32_t max_frame,
                            void *user)
{
    ssize_t n = AGENT_HTTP2_FRAME_BYTES;
    n = n < session_window ? n : session_window;
    n = n < stream_window ? n : stream_window;
    return n < (ssize_t)max_frame ? n : (ssize_t)max_frame;
}

static int session_new(struct agent_server *s)
{
    nghttp2_session_callbacks *cb;
    nghttp2_option *option;
    if (nghttp2_session_callbacks_new(&cb) != 0)
        return -ENOMEM;
    if (nghttp2_option_new(&option) != 0) {
        nghttp2_session_callbacks_del(cb);
        return -ENOMEM;
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(cb, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
    nghttp2_session_callbacks_set_data_source_read_length_callback(cb, frame_length);
    nghttp2_option_set_no_auto_window_update(option, 1);
    /* Closed streams are kept for a priority tree that nobody uses. */
    nghttp2_option_set_no_closed_streams(option, 1);
    int r = nghttp2_session_server_new2(&s->session, cb, s, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(cb);
    return r == 0 ? 0 : -ENOMEM;
}

int agent_server_new(const struct agent_server_ops *ops, void *owner, struct agent_server **ret)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, AGENT_STREAMS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, AGENT_BODY_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, TARGET_MAX_BYTES + 4096},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, AGENT_HTTP2_FRAME_BYTES},
    };
    struct agent_server *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->ops = ops;
    s->owner = owner;
    s->walk.skip = NGHTTP2_CLIENT_MAGIC_LEN;
    if (session_new(s) < 0 ||
        nghttp2_submit_settings(s->session, NGHTTP2_FLAG_NONE, settings, ARRAY_SIZE(settings)) ||
        nghttp2_session_set_local_window_size(s->session, NGHTTP2_FLAG_NONE, 0,
                                              CONNECTION_WINDOW_BYTES)) {
        agent_server_free(s);
        return -ENOMEM;
    }
    *ret = s;
    return 0;
}

void agent_server_free(struct agent_server *s)
{
    if (!s)
        return;
    while (s->streams) {
        s->streams->pub.session_ended = true;
        stream_end(s, s->streams);
    }
    nghttp2_session_del(s->session);
    free(s);
}

void *agent_server_owner(const struct agent_server *s)
{
    return s->owner;
}

/* False at the first frame that is longer than we allow. A hello is one: "HOL" is 4,738,892. */
static bool walk_frames(struct frame_walk *w, const uint8_t *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        size_t n = w->skip < len - at ? w->skip : len - at;
        w->skip -= n;
        at += n;
        if (at == len)
            break;
        if (w->head_len < sizeof(w->length))
            w->length[w->head_len] = data[at];
        at++;
        if (++w->head_len < HTTP2_FRAME_HEADER_BYTES)
            continue;
        w->head_len = 0;
        w->skip = (size_t)w->length[0] << 16 | (size_t)w->length[1] << 8 | w->length[2];
        if (w->skip > AGENT_HTTP2_FRAME_BYTES)
            return false;
    }
    return true;
}

int agent_server_feed(struct agent_server *s, const void *data, size_t len)
{
    if (!walk_frames(&s->walk, data, len))
        return -EPROTO;
    ssize_t n = nghttp2_session_mem_recv(s->session, data, len);
    if (n == NGHTTP2_ERR_NOMEM)
        return -ENOMEM;
    if (n < 0)
        return -EPROTO;
    /* After our farewell was sent nothing more is wanted. A client that said GOAWAY and whose
     * streams are done looks the same, but has a right to send nothing anyway. */
    return nghttp2_session_want_read(s->session) ? 0 : -EPROTO;
}

int agent_server_pull(struct agent_server *s, struct buf *out, size_t high_bytes)
{
    while (out->len < high_bytes) {
        const uint8_t *data;
        ssize_t n = nghttp2_session_mem_send(s->session, &data);
        if (n < 0)
            return n == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO;
        if (n == 0)
            return 0;
        int r = buf_append(out, data, (size_t)n);
        if (r < 0)
            return r;
    }
    return 0;
}

bool agent_server_is_done(const struct agent_server *s)
{
    return !nghttp2_session_want_read(s->session) && !nghttp2_session_want_write(s->session);
}

#define HEADER(n, v)                                               \
    (nghttp2_nv)                                                   \
    {                                                              \
        .name = (uint8_t *)(uintptr_t)(n), .namelen = strlen(n),   \
        .value = (uint8_t *)(uintptr_t)(v), .valuelen = strlen(v), \
    }

int agent_server_respond_pull(struct agent_stream *st, int status, const char *content_type,
                              agent_pull_fn pull)
{
    struct stream *own = stream_of(st);
    if (own->responded)
        return -EALREADY;
    char status_text[16];
    snprintf(status_text, sizeof(status_text), "%d", status);
    nghttp2_nv headers[] = {
        HEADER(":status", status_text),
        HEADER("content-type", content_type),
    };
    nghttp2_data_provider provider = {.source.ptr = own, .read_callback = read_response};
    own->responded = true;
    own->pull = pull;
    int r = nghttp2_submit_response(st->server->session, st->id, headers, ARRAY_SIZE(headers),
                                    &provider);
    return r == 0 ? 0 : r == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EINVAL;
}

int agent_server_respond(struct agent_stream *st, int status, const char *content_type,
                         const void *body, size_t len)
{
    struct stream *own = stream_of(st);
    if (own->responded)
        return -EALREADY;
    int r = buf_append(&own->body, body, len);
    return r < 0 ? r : agent_server_respond_pull(st, status, content_type, pull_body);
}

void agent_server_resume(struct agent_stream *st)
{
    /* Fails when the data is not deferred, which is fine. */
    nghttp2_session_resume_data(st->server->session, st->id);
}

bool agent_server_has_responded(const struct agent_stream *st)
{
    return ((const struct stream *)st)->responded;
}

void agent_server_consume(struct agent_stream *st, size_t len)
{
    nghttp2_session_consume_stream(st->server->session, st->id, len);
}

void agent_server_set_window(struct agent_stream *st, size_t bytes)
{
    /* It is as wide as before when this fails. */
    nghttp2_session_set_local_window_size(st->server->session, NGHTTP2_FLAG_NONE, st->id,
                                          (int32_t)bytes);
}

void agent_server_abort(struct agent_stream *st)
{
    nghttp2_submit_rst_stream(st->server->session, NGHTTP2_FLAG_NONE, st->id,
                              NGHTTP2_INTERNAL_ERROR);
}
