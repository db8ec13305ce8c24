/* SPDX-License-Identifier: Apache-2.0 */

/* A connection that becomes a WebSocket. The library calls on_upgrade in the connection's thread
 * once the 101 is out, and takes the socket back when told so; in between the thread runs the row's
 * session. The library could only be stopped by waiting for that, so the server ends all sessions
 * first. */

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "api/conn.h"
#include "base/cleanup.h"

/* Whether a list of words, like "keep-alive, Upgrade", has this one. */
static bool has_word(const char *list, const char *word)
{
    while (list && *list) {
        list += strspn(list, " \t,");
        size_t n = strcspn(list, " \t,");
        if (n == strlen(word) && strncasecmp(list, word, n) == 0)
            return true;
        list += n;
    }
    return false;
}

static int check_handshake(const struct conn *cn, char ret_accept[WEBSOCKET_ACCEPT_SIZE],
                           struct answer *a, struct err *e)
{
    const struct request *rq = &cn->rq;
    const char *version = request_header(rq, "Sec-WebSocket-Version"),
               *key = request_header(rq, "Sec-WebSocket-Key");
    if (rq->is_head || !has_word(request_header(rq, "Upgrade"), "websocket") ||
        !has_word(request_header(rq, "Connection"), "upgrade"))
        return err_set(e, ERR_INVALID, "this is a WebSocket: connect to it with ws://");
    if (!version || strcmp(version, "13") != 0) {
        answer_header(a, "Sec-WebSocket-Version", "13");
        return err_set(e, ERR_INVALID, "Sec-WebSocket-Version must be 13");
    }
    if (!key || websocket_accept_key(key, ret_accept) < 0)
        return err_set(e, ERR_INVALID, "Sec-WebSocket-Key must be 16 bytes in base64");
    return 0;
}

/* ---- the session ---- */

/* False: the server stops. */
static bool session_begin(struct conn *cn, struct websocket *ws)
{
    struct server *s = cn->listener->server;
    AUTO_LOCK(&s->lock);
    if (s->sessions_stop)
        return false;
    cn->websocket = ws;
    cn->is_told_to_stop = false;
    s->n_sessions++;
    return true;
}

static void session_end(struct conn *cn)
{
    struct server *s = cn->listener->server;
    AUTO_LOCK(&s->lock);
    while (cn->is_pinned)
        pthread_cond_wait(&s->session_ended, &s->lock);
    cn->websocket = NULL;
    s->n_sessions--;
    pthread_cond_broadcast(&s->session_ended);
}

static void run_session(struct conn *cn, const char *early, size_t early_len)
{
    const struct server_config *c = &cn->listener->server->config;
    const struct websocket_config config = {.fd = cn->fd,
                                            .early = early,
                                            .early_len = early_len,
                                            .send_timeout_ms = (int)c->send_timeout_s * 1000,
                                            .idle_timeout_ms = (int)c->idle_timeout_s * 1000};
    struct websocket *ws = NULL;
    if (websocket_new(&config, &ws) < 0)
        return;
    if (session_begin(cn, ws)) {
        cn->session.run(cn->session.arg, ws);
        session_end(cn);
        websocket_end(ws);
    } else {
        websocket_close(ws, WEBSOCKET_GOING_AWAY, "the daemon is shutting down");
    }
    websocket_free(ws);
}

static void on_upgrade(void *cls, struct MHD_Connection *c, void *req_cls, const char *early,
                       size_t early_len, MHD_socket fd, struct MHD_UpgradeResponseHandle *urh)
{
    struct conn *cn = cls;
    conn_set_phase(cn, CONN_HANDLE, 0);
    run_session(cn, early, early_len);
    conn_drop_session(cn);
    MHD_upgrade_action(urh, MHD_UPGRADE_ACTION_CLOSE);
}

void conn_drop_session(struct conn *cn)
{
    struct websocket_session session = cn->session;
    cn->session = (struct websocket_session){0};
    if (session.free)
        session.free(session.arg);
}

static int queue_upgrade(struct conn *cn, const char *accept, struct err *e)
{
    struct MHD_Response *r = MHD_create_response_for_upgrade(on_upgrade, cn);
    bool is_queued = r && server_common_headers(r, "no-store") == 0 &&
                     MHD_add_response_header(r, "Upgrade", "websocket") == MHD_YES &&
                     MHD_add_response_header(r, "Sec-WebSocket-Accept", accept) == MHD_YES &&
                     conn_queue(cn, MHD_HTTP_SWITCHING_PROTOCOLS, r) == MHD_YES;
    if (r)
        MHD_destroy_response(r);
    if (is_queued)
        return 0;
    conn_drop_session(cn);
    return err_set(e, ERR_INVALID, "a WebSocket needs HTTP/1.1");
}

int conn_upgrade(struct conn *cn, struct answer *a, struct err *e)
{
    char accept[WEBSOCKET_ACCEPT_SIZE];
    int r = check_handshake(cn, accept, a, e);
    if (r == 0)
        r = cn->rq.route->websocket(&cn->rq, &cn->session, e);
    if (r == 0)
        r = queue_upgrade(cn, accept, e);
    if (r < 0 && e->class == ERR_NONE)
        err_errno(e, r, "%s", cn->rq.route->operation);
    return r;
}

/* ---- the server's end ---- */

/* One that was not told yet, now pinned; NULL: none. The lock is held. */
static struct conn *pin_next(struct server *s)
{
    for (struct conn *cn = s->conns; cn; cn = cn->next) {
        if (!cn->websocket || cn->is_told_to_stop)
            continue;
        cn->is_told_to_stop = cn->is_pinned = true;
        return cn;
    }
    return NULL;
}

void conn_stop_sessions(struct server *s)
{
    AUTO_LOCK(&s->lock);
    s->sessions_stop = true;
    struct conn *cn;
    while ((cn = pin_next(s))) {
        /* Its session may take locks of its own. */
        pthread_mutex_unlock(&s->lock);
        websocket_stop(cn->websocket);
        if (cn->session.stop)
            cn->session.stop(cn->session.arg);
        pthread_mutex_lock(&s->lock);
        cn->is_pinned = false;
        pthread_cond_broadcast(&s->session_ended);
    }
    while (s->n_sessions)
        pthread_cond_wait(&s->session_ended, &s->lock);
}
