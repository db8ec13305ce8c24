/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a handler sees: one request, and the answer it fills. Nothing of the HTTP library shows. All
 * of it belongs to the connection's thread. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "api/decode.h"
#include "api/route.h"
#include "base/buf.h"
#include "base/limits.h"

struct server;
struct MHD_Connection;

struct request {
    struct server *server;
    struct host *host; /* NULL while ROUTE_STATIC answers are made */
    const struct route *route;
    char params[ROUTE_PARAMS_MAX][HTTP_PATH_PARAM_MAX_BYTES]; /* percent-decoded, UTF-8 */
    struct input input; /* a handler may move it away to keep it */
    struct MHD_Connection *connection;
    int fd;                  /* the client's socket */
    unsigned send_timeout_s; /* how long it may take nothing of what is sent to it */
};

/* A header of the request by its name (any case); NULL: not there. */
const char *request_header(const struct request *rq, const char *name);

/* Whether the client accepts a media type that it must name itself: wildcards do not count. */
bool request_accepts(const struct request *rq, const char *media_type);

/* Whether the peer of this socket has closed it (also: only its sending half, which cannot be told
 * apart). Any thread, while the request lives. */
bool request_fd_hung_up(int fd);

/* Exactly one of `json`, `body` and `stream` is set by a handler that returns 0. */
struct answer {
    json_t *json; /* owned; sent compactly, with a newline */
    struct buf body;
    struct {
        /* Called by the connection's thread for the next piece, may block. Returns bytes (not 0),
         * ANSWER_STREAM_END or ANSWER_STREAM_BROKEN (the connection is cut). */
        ssize_t (*read)(void *arg, char *buf, size_t max);
        void (*free)(void *arg); /* always called once */
        void *arg;
    } stream;
    int status;               /* 0: the row's */
    const char *content_type; /* NULL: the row's */
    int retry_after_s;        /* 0: no such header */
};

#define ANSWER_STREAM_END (-1)
#define ANSWER_STREAM_BROKEN (-2)

void answer_done(struct answer *a);

/* Turns `json` into `body`. -ENOMEM. */
int answer_render(struct answer *a);

/* Makes `a` the dialect's rendering of an error, dropping what it held. */
void answer_error(struct answer *a, const struct dialect *dialect, const struct err *e);
