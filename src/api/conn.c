/* SPDX-License-Identifier: Apache-2.0 */

/* One connection: what MHD calls, in its thread, one request after the other:
 *
 *   begin    the headers are here: find the row, refuse what can be refused without the body
 *   receive  a piece of the body (never for most requests): kept, or handed on to an upload
 *   finish   the body is complete: decode, call the handler, queue the answer
 *   completed
 *
 * A request that was refused in `begin` but has a body is answered in `finish`: an answer before
 * the body was read makes the kernel reset the connection, and the client may never see why. But
 * the body is only counted then, and not for ever; and a client that asks first (Expect:
 * 100-continue) is answered at once. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "api/conn.h"
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

/* ---- a request ---- */

static void reset(struct conn *cn)
{
    cn->rq.route = NULL;
    cn->rq.account[0] = cn->rq.session[0] = '\0';
    cn->rq.behind = "";
    cn->web = (struct web_found){0};
    cn->rq.is_admin = cn->rq.is_head = false;
    cn->rq.raw_query = buf_str(&cn->query);
    cn->match = (struct route_match){0};
    cn->row = cn->listener->server->n_routes;
    cn->dialect = route_at(0)->dialect;
    cn->is_options = cn->is_answered = false;
    cn->framing = (struct framing){0};
    cn->err.class = ERR_NONE;
    cn->body_bytes = cn->dropped_bytes = 0;
    cn->status = 0;
    cn->id[0] = '\0';
}

static enum MHD_Result begin(struct conn *cn, struct MHD_Connection *c, const char *url,
                             const char *method)
{
    cn->start_us = clock_mono_us();
    metrics_begin(cn->listener->server->metrics, cn->shard);
    conn_set_phase(cn, CONN_RECEIVE, cn->start_us / 1000);
    reset(cn);
    cn->rq.connection = c;
    cn->method = method;
    int r = conn_admit(cn, url, &cn->err);
    if (r == 0 && cn->rq.route && cn->rq.route->upload)
        r = conn_begin_upload(cn, &cn->err);
    if (r < 0 && conn_answers_at_once(cn))
        return conn_send_error(cn, NULL, &cn->err);
    return MHD_YES;
}

/* Decodes and handles; what went wrong is in `e`. */
static int handle(struct conn *cn, struct answer *a, struct err *e)
{
    const struct route *route = cn->rq.route;
    int r;
    if (route->upload) {
        r = cn->upload.finish(cn->upload.arg, a, e);
    } else {
        r = route->request ? conn_decode_body(cn, e) : 0;
        if (r == 0)
            r = route->handler(&cn->rq, a, e);
    }
    input_done(&cn->rq.input);
    if (r < 0 && e->class == ERR_NONE)
        err_errno(e, r, "%s", route->operation);
    return r;
}

static enum MHD_Result answer(struct conn *cn)
{
    const struct route *route = cn->rq.route;
    struct answer a = {0};
    struct err e = ERR_INIT;
    if (route->websocket)
        return conn_upgrade(cn, &a, &e) < 0 ? conn_send_error(cn, &a, &e) : MHD_YES;
    if (handle(cn, &a, &e) < 0)
        return conn_send_error(cn, &a, &e);
    if (!a.status)
        a.status = route->success ? route->success : MHD_HTTP_OK;
    if (!a.content_type && route->content_type && *route->content_type)
        a.content_type = route->content_type;
    return conn_send(cn, &a);
}

static enum MHD_Result answer_static(struct conn *cn)
{
    struct MHD_Response *made;
    struct err e = ERR_INIT;
    if (server_static_response(cn->listener, cn->row, &made, &e) < 0)
        return conn_send_error(cn, NULL, &e);
    return conn_queue(cn, MHD_HTTP_OK, made);
}

static enum MHD_Result finish(struct conn *cn)
{
    struct server *s = cn->listener->server;
    if (cn->is_answered)
        return MHD_NO;
    if (cn->err.class != ERR_NONE)
        return conn_send_error(cn, NULL, &cn->err);
    if (cn->is_options) {
        struct answer a = {.status = MHD_HTTP_NO_CONTENT};
        return conn_send(cn, &a);
    }
    if (cn->web.file)
        return conn_send_web(cn);
    if (cn->rq.route->flags & ROUTE_STATIC && !s->config.origins)
        return answer_static(cn);
    conn_set_phase(cn, CONN_HANDLE, 0);
    return answer(cn);
}

static struct conn *conn_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

void *conn_note_uri(void *cls, const char *uri, struct MHD_Connection *c)
{
    struct conn *cn = conn_of(c);
    const char *query = strchr(uri, '?');
    if (cn) {
        buf_done(&cn->query);
        buf_append_str(&cn->query, query ? query + 1 : "");
    }
    return NULL;
}

enum MHD_Result conn_request(void *cls, struct MHD_Connection *c, const char *url,
                             const char *method, const char *version, const char *data,
                             size_t *data_len, void **req_cls)
{
    struct conn *cn = *req_cls;
    if (!cn) {
        cn = conn_of(c);
        if (!cn)
            return MHD_NO;
        *req_cls = cn;
        return begin(cn, c, url, method);
    }
    if (!*data_len)
        return finish(cn);
    size_t len = *data_len;
    *data_len = 0;
    return conn_receive(cn, data, len);
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
    bool has_answer = code == MHD_REQUEST_TERMINATED_COMPLETED_OK || cn->is_answered;
    int status = has_answer ? cn->status : 0;
    if (log_get_level() == LOG_DEBUG)
        log_debug("http", "%s %s status=%d us=%lld body=%llu request=%s", cn->method,
                  cn->rq.route ? cn->rq.route->path : "?", status, (long long)took_us,
                  (unsigned long long)cn->body_bytes, cn->id);
    conn_drop_body(cn);
    conn_drop_session(cn);
    atomic_fetch_sub(&s->answers_bytes, cn->answer_bytes);
    cn->answer_bytes = 0;
    conn_set_phase(cn, CONN_IDLE, now_us / 1000);
    metrics_end(s->metrics, cn->shard, cn->row, status, took_us);
    if (atomic_load(&s->quiescing))
        eventfd_write(s->idle_fd, 1);
}

/* An IPv4 address is the same caller whether or not the socket is one of IPv6. */
static void note_peer(struct conn *cn)
{
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof(a);
    char *ret = cn->rq.peer;
    const struct sockaddr_in *four = (const struct sockaddr_in *)&a;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&a;
    snprintf(ret, sizeof(cn->rq.peer), "unix");
    if (getpeername(cn->fd, (struct sockaddr *)&a, &len) < 0)
        return;
    if (a.ss_family == AF_INET)
        inet_ntop(AF_INET, &four->sin_addr, ret, sizeof(cn->rq.peer));
    else if (a.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
        inet_ntop(AF_INET, &six->sin6_addr.s6_addr[12], ret, sizeof(cn->rq.peer));
    else if (a.ss_family == AF_INET6)
        inet_ntop(AF_INET6, &six->sin6_addr, ret, sizeof(cn->rq.peer));
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
    cn->rq = (struct request){.server = l->server,
                              .host = c->host,
                              .mount = l->mount,
                              .listener_address = l->listener.address,
                              .fd = cn->fd,
                              .send_timeout_s = c->send_timeout_s};
    note_peer(cn);
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
    conn_drop_body(cn);
    conn_drop_session(cn);
    buf_done(&cn->query);
    buf_done(&cn->row_path);
    buf_done(&cn->body);
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
