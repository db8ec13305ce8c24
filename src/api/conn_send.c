/* SPDX-License-Identifier: Apache-2.0 */

/* Answers: headers, bodies, streams, errors. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "api/conn.h"
#include "base/clock.h"
#include "base/log.h"

enum MHD_Result conn_queue(struct conn *cn, int status, struct MHD_Response *r)
{
    conn_set_phase(cn, CONN_SEND, clock_mono_ms());
    cn->status = status;
    return MHD_queue_response(cn->rq.connection, (unsigned)status, r);
}

void conn_grant_time(struct conn *cn, uint64_t bytes)
{
    atomic_fetch_add(&cn->deadline_ms, (int64_t)(bytes / HTTP_SEND_PACE_MIN_BYTES) * 1000);
}

int conn_add_header(struct MHD_Response *r, const char *name, const char *value)
{
    return MHD_add_response_header(r, name, value) == MHD_YES ? 0 : -ENOMEM;
}

static int add_allow(const struct conn *cn, struct MHD_Response *r, const char *name)
{
    char all[64] = "";
    for (int m = 0; m < ROUTE_METHOD_COUNT; m++) {
        if (!cn->match.by_method[m])
            continue;
        strcat(all, route_method_name((enum route_method)m));
        strcat(all, m == ROUTE_GET ? ", HEAD, " : ", ");
    }
    strcat(all, "OPTIONS");
    return conn_add_header(r, name, all);
}

static int add_cors(const struct conn *cn, struct MHD_Response *r)
{
    const char *origin = guard_cors_origin(cn->listener, &cn->rq);
    if (!origin)
        return 0;
    int bad = conn_add_header(r, "Access-Control-Allow-Origin", origin) |
              conn_add_header(r, "Vary", "Origin") |
              conn_add_header(r, "Access-Control-Expose-Headers",
                              "Content-Range, Location, Retry-After, X-Request-Id");
    if (cn->is_options)
        bad |= add_allow(cn, r, "Access-Control-Allow-Methods") |
               conn_add_header(r, "Access-Control-Allow-Headers",
                               "Content-Type, Accept, Authorization, X-API-Key") |
               conn_add_header(r, "Access-Control-Max-Age", "600");
    return bad;
}

/* What a handler gave: names and values, each with its NUL. */
static int add_given(const struct answer *a, struct MHD_Response *r)
{
    int bad = 0;
    const char *p = a->headers.data;
    if (a->headers.failed)
        return -ENOMEM;
    for (size_t left = a->headers.len; left;) {
        const char *value = p + strlen(p) + 1;
        const char *next = value + strlen(value) + 1;
        bad |= conn_add_header(r, p, value);
        left -= (size_t)(next - p);
        p = next;
    }
    return bad;
}

static int add_headers(const struct conn *cn, const struct answer *a, struct MHD_Response *r)
{
    int bad = server_common_headers(r, "no-store") | conn_add_header(r, "X-Request-Id", cn->id) |
              add_cors(cn, r);
    bad |= add_given(a, r);
    if (a->content_type)
        bad |= conn_add_header(r, "Content-Type", a->content_type);
    if (a->status == MHD_HTTP_METHOD_NOT_ALLOWED || cn->is_options)
        bad |= add_allow(cn, r, "Allow");
    if (a->status == MHD_HTTP_UNAUTHORIZED)
        bad |= conn_add_header(r, "WWW-Authenticate", "Bearer");
    if (a->retry_after_s) {
        char seconds[16];
        snprintf(seconds, sizeof(seconds), "%d", a->retry_after_s);
        bad |= conn_add_header(r, "Retry-After", seconds);
    }
    if (cn->is_spare || atomic_load(&cn->listener->server->quiescing))
        bad |= conn_add_header(r, "Connection", "close");
    return bad ? -ENOMEM : 0;
}

/* A stream in MHD's hands. */
struct feed {
    struct answer answer; /* only .stream */
    struct conn *cn;
};

/* MHD asks for a piece when the client has taken the one before. Until there is one the time is
 * ours, then it is the client's; MHD's own timeout cannot tell these apart. */
static ssize_t feed_read(void *cls, uint64_t pos, char *buf, size_t max)
{
    struct feed *f = cls;
    struct conn *cn = f->cn;
    conn_set_phase(cn, CONN_HANDLE, 0);
    ssize_t n = f->answer.stream.read(f->answer.stream.arg, buf, max);
    conn_set_phase(cn, CONN_SEND, clock_mono_ms());
    if (n > 0)
        return n;
    MHD_set_connection_option(cn->rq.connection, MHD_CONNECTION_OPTION_TIMEOUT,
                              cn->listener->server->config.idle_timeout_s);
    /* The library asks no further once all that was announced has come. */
    bool is_whole = n == ANSWER_STREAM_END && !f->answer.stream.has_length;
    return is_whole ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void feed_free(void *cls)
{
    struct feed *f = cls;
    answer_done(&f->answer);
    free(f);
}

static struct MHD_Response *stream_response(struct conn *cn, struct answer *a)
{
    struct feed *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    f->cn = cn;
    f->answer.stream = a->stream;
    uint64_t length = a->stream.has_length ? a->stream.length : MHD_SIZE_UNKNOWN;
    struct MHD_Response *r =
        MHD_create_response_from_callback(length, 32 * KIB, feed_read, f, feed_free);
    if (!r) {
        free(f);
        return NULL;
    }
    a->stream.free = NULL;
    MHD_set_connection_option(cn->rq.connection, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
    return r;
}

/* Sent by the kernel. */
static struct MHD_Response *file_response(struct answer *a)
{
    if (!a->file.length)
        return MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    struct MHD_Response *r =
        MHD_create_response_from_fd_at_offset64(a->file.length, a->file.fd, a->file.offset);
    a->file.is_set = !r;
    return r;
}

static struct MHD_Response *response_of(struct conn *cn, struct answer *a)
{
    if (a->stream.read)
        return stream_response(cn, a);
    if (a->file.is_set)
        return file_response(a);
    size_t len = a->body.len;
    char *data = buf_take(&a->body);
    struct MHD_Response *r =
        data ? MHD_create_response_from_buffer(len, data, MHD_RESPMEM_MUST_FREE)
             : MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    if (!r)
        free(data);
    return r;
}

/* Answers of all connections together are bounded until their clients have taken them. Errors are
 * short, and always let through. */
static int charge(struct conn *cn, const struct answer *a, struct err *e)
{
    struct server *s = cn->listener->server;
    if (a->status >= 400)
        return 0;
    cn->answer_bytes = a->body.len;
    if (atomic_fetch_add(&s->answers_bytes, a->body.len) + a->body.len <=
        s->config.answers_max_bytes)
        return 0;
    atomic_fetch_sub(&s->answers_bytes, a->body.len);
    cn->answer_bytes = 0;
    return err_set(e, ERR_FULL, "too many large answers wait to be taken at this moment");
}

enum MHD_Result conn_send(struct conn *cn, struct answer *a)
{
    struct err e = ERR_INIT;
    if (answer_render(a) < 0) {
        answer_done(a);
        return MHD_NO;
    }
    if (charge(cn, a, &e) < 0) {
        return conn_send_error(cn, a, &e);
    }
    id_new(cn->id);
    struct MHD_Response *r = response_of(cn, a);
    enum MHD_Result result = MHD_NO;
    if (r && add_headers(cn, a, r) == 0)
        result = conn_queue(cn, a->status, r);
    if (result == MHD_YES && a->file.length)
        conn_grant_time(cn, a->file.length);
    if (r)
        MHD_destroy_response(r);
    answer_done(a);
    return result;
}

static void log_failure(const struct conn *cn, int status, const struct err *e)
{
    static struct log_limit limit;
    if (status >= 500 && log_limit_pass(&limit))
        log_warn("http", "%s %s failed status=%d error=\"%s\"", cn->method,
                 cn->rq.route ? cn->rq.route->path : "?", status, e->text);
}

void conn_send_at_once(struct conn *cn)
{
    CLEANUP(answer_done) struct answer a = {0};
    auto_buf struct buf text = {0};
    answer_error(&a, cn->dialect, &cn->err);
    if (answer_render(&a) < 0)
        return;
    buf_printf(&text,
               "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
               "Connection: close\r\n\r\n",
               a.status, MHD_get_reason_phrase_for((unsigned)a.status), a.body.len);
    buf_append(&text, a.body.data, a.body.len);
    log_failure(cn, a.status, &cn->err);
    /* An empty send buffer takes so little at once, and nothing was sent before. */
    if (!text.failed)
        (void)send(cn->fd, text.data, text.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(cn->fd, SHUT_WR);
    cn->status = a.status;
    cn->is_answered = true;
}

enum MHD_Result conn_send_error(struct conn *cn, struct answer *a, const struct err *e)
{
    struct answer none = {0};
    a = a ? a : &none;
    answer_error(a, cn->dialect, e);
    log_failure(cn, a->status, e);
    return conn_send(cn, a);
}
