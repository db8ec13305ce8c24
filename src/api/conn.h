/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A connection's state, shared by conn.c (what the HTTP library calls), conn_admit.c (headers),
 * conn_body.c (bodies), conn_send.c (answers), conn_web.c (the dashboard's files) and
 * conn_websocket.c. It belongs to the connection's thread, but for what says otherwise. */

#include "api/server_impl.h"
#include "api/websocket.h"
#include "base/id.h"

/* How long a body the headers announce. More than one claim is how requests are smuggled past a
 * proxy that believes the other one. */
struct framing {
    unsigned n_claims; /* Content-Length and Transfer-Encoding headers */
    bool is_chunked, is_unknown_encoding;
    uint64_t length;
};

struct conn {
    struct conn *next, **prev_next; /* server.lock */
    struct server_listener *listener;
    int fd;
    unsigned shard;
    bool is_spare;               /* beyond connections_max: only told so */
    _Atomic int64_t deadline_ms; /* of the phase; 0: none. Read by the reaper. */

    /* The request. Reset by begin(); big members are left as they are. */
    struct request rq;
    struct buf row_path; /* what mount_resolve made of the path, where it made one */
    struct route_match match;
    size_t row;
    struct web_found web;          /* a file of the dashboard instead of a row; .file NULL: none */
    const struct dialect *dialect; /* of errors */
    const char *method;
    bool is_options;
    struct framing framing;
    struct err err;   /* why it was refused; ERR_NONE: not yet */
    bool is_answered; /* by conn_send_at_once: only to be cut */
    struct buf query; /* what came behind the "?" */
    struct buf body;
    struct upload upload;             /* of an upload row that accepted the headers */
    uint64_t body_bytes;              /* came, whether kept or dropped */
    uint64_t dropped_bytes;           /* of these, those nobody wants */
    uint64_t charged_bytes;           /* of server.bodies_bytes */
    uint64_t answer_bytes;            /* of server.answers_bytes */
    struct websocket_session session; /* of a websocket row that accepted the handshake */
    struct websocket *websocket;      /* while its session runs; server.lock */
    bool is_told_to_stop;             /* server.lock */
    bool is_pinned; /* server.lock: stop is being called, the session may not end */
    int64_t start_us;
    int status; /* of the queued answer; 0: none */
    char id[ID_SIZE];
};

/* Starts the clock of the phase. */
void conn_set_phase(struct conn *cn, enum conn_phase phase, int64_t now_ms);

/* ---- conn_admit.c ---- */

/* Looks at the headers and refuses what can be refused by them. Fills rq but for the body. */
int conn_admit(struct conn *cn, const char *url, struct err *e);

/* Whether a refused request is answered at once, its body unread, and the connection closed. */
bool conn_answers_at_once(const struct conn *cn);

/* The error for a body beyond HTTP_BODY_MAX_BYTES, in the dialect's words. */
int conn_too_large(const struct conn *cn, struct err *e);

/* ---- conn_body.c ---- */

/* Lets the row decide whether it takes the body that comes. */
int conn_begin_upload(struct conn *cn, struct err *e);
/* A piece of the body. MHD_NO cuts the connection. */
enum MHD_Result conn_receive(struct conn *cn, const char *data, size_t len);
/* The body is complete: rq.input gets it decoded. */
int conn_decode_body(struct conn *cn, struct err *e);
/* Gives back what is held of the body. */
void conn_drop_body(struct conn *cn);

/* ---- conn_send.c ---- */

int conn_add_header(struct MHD_Response *r, const char *name, const char *value);
/* More time to take a large answer in, of which nobody tells how far it is. */
void conn_grant_time(struct conn *cn, uint64_t bytes);

/* Queues a finished response. */
enum MHD_Result conn_queue(struct conn *cn, int status, struct MHD_Response *r);

/* Takes what `a` holds. MHD_NO cuts the connection: memory was not even enough for an answer. */
enum MHD_Result conn_send(struct conn *cn, struct answer *a);

/* Answers with `cn->err` in the middle of a body, which the library does not do, and ends the
 * sending half of the connection. */
void conn_send_at_once(struct conn *cn);

/* In the dialect's shape, with the headers that `a` has; 5xx are logged. */
enum MHD_Result conn_send_error(struct conn *cn, struct answer *a, const struct err *e);

/* ---- conn_web.c ---- */

/* Answers with cn->web. */
enum MHD_Result conn_send_web(struct conn *cn);

/* ---- conn_websocket.c ---- */

/* Checks the handshake, asks the row, and queues the answer that makes the connection a WebSocket.
 * On failure `a` may have headers for the error. */
int conn_upgrade(struct conn *cn, struct answer *a, struct err *e);
/* Frees a session that was not run. */
void conn_drop_session(struct conn *cn);
