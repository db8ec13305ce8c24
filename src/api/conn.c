/* SPDX-License-Identifier: Apache-2.0 */

/* One connection: what MHD calls, in its thread, one request after the other:
 *
 *   begin    the headers are here: find the row, refuse what can be refused without the body
 *   receive  a piece of the body (never for most requests)
 *   finish   the body is complete: decode, call the handler, queue the answer
 *   completed
 *
 * A request that was refused in `begin` but has a body is answered in `finish`: an answer before
 * the body was read makes the kernel reset the connection, and the client may never see why. But
 * the body is only counted then, and not for ever; and a client that asks first (Expect:
 * 100-continue) is answered at once. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "api/conn.h"
#include "api/text.h"
#include "base/clock.h"
#include "base/log.h"

void conn_set_phase(struct conn *cn, enum conn_phase phase, int64_t now_ms)
{
    const struct server_config *c = &cn->listener->server->config;
    const unsigned seconds[] = {[CONN_IDLE] = c->idle_timeout_s,
                                [CONN_RECEIVE] = c->request_timeout_s,
                                [CONN_SEND] = c->send_timeout_s};
    int64_t deadline = phase == CONN_HANDLE ? 0 : now_ms + (int64_t)seconds[phase] * 1000;
    atomic_store_explicit(&cn->deadline_ms, deadline, memory_order_relaxed);
}

/* ---- begin ---- */

static enum MHD_Result note_framing(void *cls, enum MHD_ValueKind kind, const char *key,
                                    const char *value)
{
    struct framing *f = cls;
    if (strcasecmp(key, "Content-Length") == 0) {
        f->n_claims++;
        f->length = strtoull(value, NULL, 10);
    } else if (strcasecmp(key, "Transfer-Encoding") == 0) {
        f->n_claims++;
        f->is_chunked = strcasecmp(value, "chunked") == 0;
        f->is_unknown_encoding = !f->is_chunked;
    }
    return MHD_YES;
}

static bool is_ambiguous(const struct framing *f)
{
    return f->n_claims > 1 || f->is_unknown_encoding;
}

static int refuse_path(const char *path, struct err *e)
{
    const char *near = route_nearest(path);
    if (near)
        return err_set(e, ERR_NOT_FOUND,
                       "there is nothing at %.200s; did you mean %s? (GET / lists all paths)", path,
                       near);
    return err_set(e, ERR_NOT_FOUND, "there is nothing at %.200s (GET / lists all paths)", path);
}

static int refuse_method(const struct conn *cn, const char *path, struct err *e)
{
    const char *use = "";
    for (int m = ROUTE_METHOD_COUNT; m--;)
        use = cn->match.by_method[m] ? route_method_name((enum route_method)m) : use;
    return err_set(e, ERR_METHOD, "%.20s is not allowed for %.200s: use %s", cn->method, path, use);
}

/* Fills rq.route; the row may be NULL without an error for OPTIONS. */
static int find_route(struct conn *cn, const char *path, struct err *e)
{
    if (!route_find(cn->listener->server->routes, path, &cn->match))
        return refuse_path(path, e);
    cn->is_options = strcmp(cn->method, "OPTIONS") == 0;
    if (cn->is_options)
        return 0;
    const char *method = strcmp(cn->method, "HEAD") == 0 ? "GET" : cn->method;
    for (int m = 0; m < ROUTE_METHOD_COUNT; m++) {
        if (cn->match.by_method[m] &&
            strcmp(method, route_method_name((enum route_method)m)) == 0) {
            cn->rq.route = cn->match.by_method[m];
            cn->row = cn->match.index[m];
            return 0;
        }
    }
    return refuse_method(cn, path, e);
}

static int decode_params(struct conn *cn, struct err *e)
{
    for (size_t i = 0; i < ROUTE_PARAMS_MAX; i++) {
        cn->rq.params[i][0] = '\0';
        if (!cn->match.params[i].start)
            continue;
        int r = text_percent_decode(cn->match.params[i].start, cn->match.params[i].len,
                                    cn->rq.params[i], sizeof(cn->rq.params[i]));
        if (r < 0)
            return err_set(e, ERR_INVALID,
                           "the path has a broken %%-escape, is not UTF-8, or has a part of more "
                           "than %d bytes",
                           HTTP_PATH_PARAM_MAX_BYTES - 1);
    }
    return 0;
}

/* The media type without its parameters, any case. */
static bool is_json_type(const char *type)
{
    static const char json[] = "application/json";
    size_t n = strcspn(type, "; \t");
    return n == strlen(json) && strncasecmp(type, json, n) == 0;
}

static int check_framing(const struct framing *f, struct err *e)
{
    if (is_ambiguous(f))
        return err_set(e, ERR_INVALID,
                       "the length of the body is not clear: send one Content-Length, or "
                       "Transfer-Encoding: chunked alone");
    if (f->length > HTTP_BODY_MAX_BYTES)
        return err_set(e, ERR_TOO_LARGE, "the request body is larger than %llu bytes",
                       (unsigned long long)HTTP_BODY_MAX_BYTES);
    return 0;
}

static int check_content_type(const struct conn *cn, struct err *e)
{
    const char *type = request_header(&cn->rq, "Content-Type");
    if ((!cn->framing.length && !cn->framing.is_chunked) || (type && is_json_type(type)))
        return 0;
    return err_set(e, ERR_UNSUPPORTED,
                   "Content-Type is %.100s, but a JSON body is needed: add the header "
                   "\"Content-Type: application/json\" (with curl: -H 'Content-Type: "
                   "application/json')",
                   type ? type : "missing");
}

/* "http://host/path" is what a proxy is asked for; servers are to accept it. */
static const char *path_of(const char *url)
{
    if (strncasecmp(url, "http://", 7) != 0)
        return url;
    const char *slash = strchr(url + 7, '/');
    return slash ? slash : "/";
}

static int admit(struct conn *cn, const char *url, struct err *e)
{
    const char *path = path_of(url);
    struct err not_found = ERR_INIT;
    int found = find_route(cn, path, &not_found);
    /* A browser asks with OPTIONS, without the key, whether it may send one. */
    bool is_preflight = cn->is_options && cn->listener->trust == LISTENER_KEY;
    int r = check_framing(&cn->framing, e);
    if (r == 0 && !is_preflight)
        r = guard_check(cn->listener, &cn->rq, e);
    if (r < 0)
        return r;
    if (found < 0) {
        *e = not_found;
        return found;
    }
    if (atomic_load_explicit(&cn->listener->server->quiescing, memory_order_relaxed))
        return err_set(e, ERR_FULL, "the daemon is shutting down");
    if (cn->is_spare)
        return err_set(e, ERR_FULL, "too many connections: this listener has %u already",
                       cn->listener->server->config.connections_max);
    if (cn->match.params[0].start) {
        r = decode_params(cn, e);
        if (r < 0)
            return r;
    }
    return cn->rq.route && cn->rq.route->request ? check_content_type(cn, e) : 0;
}

/* A refused request: whether to answer at once, its body unread, and close the connection. */
static bool answer_at_once(const struct conn *cn)
{
    return is_ambiguous(&cn->framing) || cn->framing.length > HTTP_DRAIN_MAX_BYTES ||
           request_header(&cn->rq, "Expect");
}

static enum MHD_Result begin(struct conn *cn, struct MHD_Connection *c, const char *url,
                             const char *method)
{
    cn->start_us = clock_mono_us();
    metrics_begin(cn->listener->server->metrics, cn->shard);
    conn_set_phase(cn, CONN_RECEIVE, cn->start_us / 1000);
    cn->rq.connection = c;
    cn->rq.route = NULL;
    cn->match = (struct route_match){0};
    cn->row = cn->listener->server->n_routes;
    cn->method = method;
    cn->is_options = false;
    cn->framing = (struct framing){0};
    MHD_get_connection_values(c, MHD_HEADER_KIND, note_framing, &cn->framing);
    cn->err.class = ERR_NONE;
    cn->body_bytes = 0;
    cn->status = 0;
    cn->id[0] = '\0';
    if (admit(cn, url, &cn->err) < 0 && answer_at_once(cn))
        return conn_send_error(cn, &cn->err);
    return MHD_YES;
}

/* ---- receive ---- */

/* Bodies of all connections together are bounded: what one may send, all must not. */
static int charge(struct conn *cn, size_t n, struct err *e)
{
    struct server *s = cn->listener->server;
    cn->charged_bytes += n;
    if (atomic_fetch_add(&s->bodies_bytes, n) + n <= s->config.bodies_max_bytes)
        return 0;
    return err_set(e, ERR_FULL, "too many large requests at this moment");
}

static int keep(struct conn *cn, const char *data, size_t n, struct err *e)
{
    int r = charge(cn, n, e);
    if (r < 0)
        return r;
    cn->body.max_bytes = HTTP_BODY_MAX_BYTES;
    r = buf_append(&cn->body, data, n);
    if (r == -E2BIG)
        return err_set(e, ERR_TOO_LARGE, "the request body is larger than %llu bytes",
                       (unsigned long long)HTTP_BODY_MAX_BYTES);
    return r < 0 ? err_errno(e, r, "read the request body") : 0;
}

static enum MHD_Result receive(struct conn *cn, const char *data, size_t *len)
{
    size_t n = *len;
    *len = 0;
    cn->body_bytes += n;
    if (cn->body_bytes > HTTP_DRAIN_MAX_BYTES)
        return MHD_NO;
    if (cn->err.class != ERR_NONE || !cn->rq.route || !cn->rq.route->request)
        return MHD_YES;
    if (keep(cn, data, n, &cn->err) < 0)
        buf_done(&cn->body);
    return MHD_YES;
}

/* ---- finish ---- */

static int decode_body(struct conn *cn, struct err *e)
{
    const struct route *route = cn->rq.route;
    struct input *in = &cn->rq.input;
    if (!cn->body.len)
        return err_set(e, ERR_INVALID, "the request body is empty, but a JSON object is needed");
    int r = decode_json(cn->body.data, cn->body.len, &in->json, e);
    if (r < 0)
        return r;
    buf_done(&cn->body);
    in->fields = route->request;
    in->data = calloc(1, route->input_bytes);
    if (!in->data)
        return err_errno(e, -ENOMEM, "decode the request");
    if (route->input_defaults)
        memcpy(in->data, route->input_defaults, route->input_bytes);
    return decode_fields(in->json, route->request, in->data, e);
}

static enum MHD_Result handle(struct conn *cn)
{
    const struct route *route = cn->rq.route;
    struct answer a = {0};
    struct err e = ERR_INIT;
    int r = route->request ? decode_body(cn, &e) : 0;
    if (r == 0)
        r = route->handler(&cn->rq, &a, &e);
    input_done(&cn->rq.input);
    if (r < 0) {
        answer_done(&a);
        if (e.class == ERR_NONE)
            err_errno(&e, r, "%s", route->operation);
        return conn_send_error(cn, &e);
    }
    if (!a.status)
        a.status = route->success ? route->success : MHD_HTTP_OK;
    if (!a.content_type)
        a.content_type = route->content_type;
    return conn_send(cn, &a);
}

static enum MHD_Result finish(struct conn *cn)
{
    struct server *s = cn->listener->server;
    if (cn->err.class != ERR_NONE)
        return conn_send_error(cn, &cn->err);
    if (cn->is_options) {
        struct answer a = {.status = MHD_HTTP_NO_CONTENT};
        return conn_send(cn, &a);
    }
    struct MHD_Response *made = s->static_responses[cn->row];
    if (made && !s->config.origins)
        return conn_queue(cn, MHD_HTTP_OK, made);
    conn_set_phase(cn, CONN_HANDLE, 0);
    return handle(cn);
}

enum MHD_Result conn_request(void *cls, struct MHD_Connection *c, const char *url,
                             const char *method, const char *version, const char *data,
                             size_t *data_len, void **req_cls)
{
    struct conn *cn = *req_cls;
    if (!cn) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
        cn = info ? info->socket_context : NULL;
        if (!cn)
            return MHD_NO;
        *req_cls = cn;
        return begin(cn, c, url, method);
    }
    return *data_len ? receive(cn, data, data_len) : finish(cn);
}

/* ---- the end of a request, and of a connection ---- */

void conn_completed(void *cls, struct MHD_Connection *c, void **req_cls,
                    enum MHD_RequestTerminationCode code)
{
    struct conn *cn = *req_cls;
    if (!cn)
        return;
    *req_cls = NULL;
    struct server *s = cn->listener->server;
    int64_t now_us = clock_mono_us(), took_us = now_us - cn->start_us;
    int status = code == MHD_REQUEST_TERMINATED_COMPLETED_OK ? cn->status : 0;
    if (log_get_level() == LOG_DEBUG)
        log_debug("http", "%s %s status=%d us=%lld body=%llu request=%s", cn->method,
                  cn->rq.route ? cn->rq.route->path : "?", status, (long long)took_us,
                  (unsigned long long)cn->body_bytes, cn->id);
    if (cn->charged_bytes) {
        atomic_fetch_sub(&s->bodies_bytes, cn->charged_bytes);
        cn->charged_bytes = 0;
        buf_done(&cn->body);
    }
    atomic_fetch_sub(&s->answers_bytes, cn->answer_bytes);
    cn->answer_bytes = 0;
    conn_set_phase(cn, CONN_IDLE, now_us / 1000);
    metrics_end(s->metrics, cn->shard, cn->row, status, took_us);
    if (atomic_load(&s->quiescing))
        eventfd_write(s->idle_fd, 1);
}

static void *conn_open(struct server_listener *l, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct conn *cn = calloc(1, sizeof(*cn));
    if (!info || !cn) {
        free(cn);
        return NULL;
    }
    cn->listener = l;
    cn->fd = info->connect_fd;
    const struct server_config *c = &l->server->config;
    cn->rq = (struct request){
        .server = l->server, .host = c->host, .fd = cn->fd, .send_timeout_s = c->send_timeout_s};
    conn_set_phase(cn, CONN_IDLE, clock_mono_ms());
    struct server *s = l->server;
    AUTO_LOCK(&s->lock);
    cn->shard = s->n_accepted++;
    cn->is_spare = ++l->n_conns > s->config.connections_max;
    cn->next = s->conns;
    cn->prev_next = &s->conns;
    if (cn->next)
        cn->next->prev_next = &cn->next;
    s->conns = cn;
    return cn;
}

static void conn_close(struct conn *cn)
{
    struct server *s = cn->listener->server;
    {
        /* MHD closes the socket after this, so the reaper never has a number that was reused. */
        AUTO_LOCK(&s->lock);
        cn->listener->n_conns--;
        *cn->prev_next = cn->next;
        if (cn->next)
            cn->next->prev_next = cn->prev_next;
    }
    buf_done(&cn->body);
    input_done(&cn->rq.input);
    free(cn);
}

void conn_notify(void *cls, struct MHD_Connection *c, void **socket_context,
                 enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_context = conn_open(cls, c);
    } else if (*socket_context) {
        conn_close(*socket_context);
        *socket_context = NULL;
    }
}

void conn_reap(struct server *s, int64_t now_ms)
{
    AUTO_LOCK(&s->lock);
    for (struct conn *cn = s->conns; cn; cn = cn->next) {
        int64_t deadline = atomic_load_explicit(&cn->deadline_ms, memory_order_relaxed);
        if (!deadline || now_ms < deadline)
            continue;
        shutdown(cn->fd, SHUT_RDWR);
    }
}
