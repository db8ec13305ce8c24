/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shared by server.c, conn*.c, guard.c and meta.c only. */

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "api/listener.h"
#include "api/metrics.h"
#include "api/rate.h"
#include "api/request.h"
#include "api/route.h"
#include "api/server.h"
#include "api/web.h"

struct server_listener {
    struct server *server;
    struct listener listener;
    enum listener_trust trust;
    const struct dialect *mount; /* NULL: none */
    /* By row; NULL until somebody has asked. Some tell of paths, so each listener has its own. */
    struct MHD_Response **static_responses; /* static_lock */
    pthread_mutex_t static_lock;
    struct MHD_Daemon *daemon;
    unsigned n_conns; /* server.lock */
};

/* How long a connection may stay in the phase it is in. MHD has a timeout of its own, but that
 * starts anew with every byte: a client that trickles would hold a thread for ever. */
enum conn_phase {
    CONN_IDLE,    /* waiting for a request's headers: idle_timeout_s */
    CONN_RECEIVE, /* waiting for its body: request_timeout_s */
    CONN_HANDLE,  /* ours: no bound here, the handlers have their own */
    CONN_SEND,    /* waiting until the client took the answer: send_timeout_s */
};

struct server {
    struct server_config config;
    struct server_listener *listeners;
    struct route_table *routes;
    size_t n_routes;
    struct web *web;   /* NULL: there is no dashboard */
    struct rate *rate; /* NULL: nothing is bounded */
    struct metrics *metrics;
    atomic_bool quiescing;
    atomic_ullong bodies_bytes;  /* of request bodies held by all connections */
    atomic_ullong answers_bytes; /* likewise of answers that are no errors */
    int idle_fd;                 /* eventfd: written when a request ends while quiescing */
    bool stopped;

    /* The reaper walks the connections once a second and shuts down the sockets of those whose
     * time is over. The lock is held when a connection comes or goes, never during a request. */
    pthread_mutex_t lock;
    pthread_cond_t session_ended; /* or is no longer pinned */
    struct conn *conns;           /* lock */
    unsigned n_sessions;          /* lock: WebSockets that are open */
    bool sessions_stop;           /* lock: no more may begin */
    unsigned n_accepted;
    pthread_t reaper;
    bool has_reaper;
    int reaper_stop_fd;
};

/* Headers that every answer has; for static ones they are added once. */
int server_common_headers(struct MHD_Response *r, const char *cache_control);

/* The answer of a ROUTE_STATIC row at a listener, made when it is first asked for. Borrowed for the
 * server's life. */
int server_static_response(struct server_listener *l, size_t row, struct MHD_Response **ret,
                           struct err *e);

/* MHD's callbacks, cls is the struct server_listener. */
enum MHD_Result conn_request(void *cls, struct MHD_Connection *c, const char *url,
                             const char *method, const char *version, const char *data,
                             size_t *data_len, void **req_cls);
void *conn_note_uri(void *cls, const char *uri, struct MHD_Connection *c);
void conn_notify(void *cls, struct MHD_Connection *c, void **socket_context,
                 enum MHD_ConnectionNotificationCode code);
void conn_completed(void *cls, struct MHD_Connection *c, void **req_cls,
                    enum MHD_RequestTerminationCode code);

/* Ends all WebSockets, and waits until they are. No new one begins afterwards. */
void conn_stop_sessions(struct server *s);

/* Shuts down the sockets of connections whose phase has lasted too long. */
void conn_reap(struct server *s, int64_t now_ms);

/* Whether this request may come in by this listener: Host, Origin, key or session. Fills account,
 * is_admin and session of it. */
int guard_check(const struct server_listener *l, struct request *rq, struct err *e);
/* The allowed foreign origin that is to be named in CORS headers; NULL: none. */
const char *guard_cors_origin(const struct server_listener *l, const struct request *rq);
