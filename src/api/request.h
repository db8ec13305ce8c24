/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a handler sees: one request, and the answer it fills. Nothing of the HTTP library shows. All
 * of it belongs to the connection's thread. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "api/decode.h"
#include "api/range.h"
#include "api/route.h"
#include "base/buf.h"
#include "base/id.h"
#include "base/limits.h"

struct server;
struct MHD_Connection;

struct request {
    struct server *server;
    struct host *host; /* NULL while ROUTE_STATIC answers are made */
    const struct route *route;
    const struct dialect *mount; /* mounted at this listener; NULL: none */
    const char *behind;    /* what the path had before the row's own: "/native" (mount.h); or "" */
    char account[ID_SIZE]; /* of the key; "" when the row needs none */
    bool is_admin;         /* whether that account is one */
    char peer[64];         /* address of the client, without a port; "unix" for a Unix socket */
    char session[64];      /* the session's token when a cookie said who asks; "" for a key */
    bool is_head;          /* only the answer's headers are sent */
    char params[ROUTE_PARAMS_MAX][HTTP_PATH_PARAM_MAX_BYTES]; /* percent-decoded, UTF-8 */
    const char *raw_query; /* what came behind the "?", as it came; "" when nothing did */
    struct input query;    /* query.data is the row's struct */
    struct input input;    /* likewise of the body; a handler may move it away to keep it */
    struct MHD_Connection *connection;
    const char *listener_address; /* as server_address */
    int fd;                       /* the client's socket */
    unsigned send_timeout_s;      /* how long it may take nothing of what is sent to it */
};

/* A header of the request by its name (any case); NULL: not there. */
const char *request_header(const struct request *rq, const char *name);
/* Of a body whose length was announced; -1: it was not. */
int64_t request_length(const struct request *rq);

/* The API key that came with it; NULL: none. */
const char *request_key(const struct request *rq);

/* The value of a cookie as it came, the first one of that name; false: there is none. One that does
 * not fit is "": it is not ours. */
bool request_cookie(const struct request *rq, const char *name, char *ret, size_t size);

/* Whether the client accepts a media type that it must name itself: wildcards do not count. */
bool request_accepts(const struct request *rq, const char *media_type);

/* Whether Content-Type is this media type, with or without parameters. */
bool request_content_is(const struct request *rq, const char *media_type);

/* Of an upload whose body is a file as it is: ERR_UNSUPPORTED when it says that there is something
 * around the file, which would become part of it. */
int request_check_raw(const struct request *rq, struct err *e);

#define BASE_URL_SIZE 300

/* The URL that the row's path came behind, for URLs in answers: "http://" and the Host header, or
 * the listener's address when that is missing, and what is before a row's path (`behind`).
 * ERR_INVALID: Host is not a name or address with or without a port. */
int request_base_url(const struct request *rq, char ret[BASE_URL_SIZE], struct err *e);

/* Whether the peer of this socket has closed it (also: only its sending half, which cannot be told
 * apart). Any thread, while the request lives. */
bool request_fd_hung_up(int fd);

/* ---- answers ---- */

/* A handler that returns 0 sets one of `json`, `body`, `stream` and `file`, or none: no body. */
struct answer {
    json_t *json; /* owned; sent compactly, with a newline */
    struct buf body;
    struct {
        /* Called by the connection's thread for the next piece, may block. Returns bytes (not 0),
         * ANSWER_STREAM_END or ANSWER_STREAM_BROKEN (the connection is cut). */
        ssize_t (*read)(void *arg, char *buf, size_t max);
        void (*free)(void *arg); /* always called once */
        void *arg;
        bool has_length; /* `length` bytes come, neither more nor fewer: Content-Length says so */
        uint64_t length;
    } stream;
    struct {
        bool is_set;
        int fd; /* owned */
        uint64_t offset;
        uint64_t length;
    } file;
    struct buf headers;       /* see answer_header */
    int status;               /* 0: the row's */
    const char *content_type; /* NULL: the row's */
    int retry_after_s;        /* 0: no such header */
};

#define ANSWER_STREAM_END (-1)
#define ANSWER_STREAM_BROKEN (-2)

/* What a stream's read returns for what came: `n` bytes, 0 at the end, or an error. The headers are
 * gone then: all that can be done for a client is not to end as if this were all. */
ssize_t answer_stream_read(ssize_t n, const char *module, const struct err *e);

/* Of numbers with a fraction: milliseconds to the microsecond, disks to the byte of their GiB. */
#define ANSWER_DIGITS 12

void answer_done(struct answer *a);

/* Adds a header. The value must not come from a client unchecked: line ends in it fail the
 * answer. */
void answer_header(struct answer *a, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A part of a file, sent by the kernel from the descriptor; takes `fd`. */
void answer_file(struct answer *a, int fd, uint64_t offset, uint64_t length);

/* What of `total` bytes the Range header asks for, and the headers and status that tell of it: 206
 * and Content-Range, or everything with the row's status when there is no Range, or one that may be
 * ignored (several ranges, other units, If-Range). ERR_RANGE: beyond the end. */
int answer_range(const struct request *rq, uint64_t total, struct answer *a, struct byte_range *ret,
                 struct err *e);

/* Turns `json` into `body`. -ENOMEM. */
int answer_render(struct answer *a);

/* Makes `a` the dialect's rendering of an error, dropping what it held but the headers. */
void answer_error(struct answer *a, const struct dialect *dialect, const struct err *e);

/* ---- bodies that are taken as they come ---- */

/* What an `upload` row answers its headers with. All of it is called by the connection's thread.
 * The client must keep a pace of HTTP_UPLOAD_PACE_MIN_BYTES a second, with breaks of the request's
 * timeout at most; there is no bound on the whole but write's. */
struct upload {
    /* The next piece; may block. When it fails, the rest of the body is dropped and the error is
     * the answer. */
    int (*write)(void *arg, const void *data, size_t len, struct err *e);
    /* The body is complete: what a handler does. Not called after a failed write, nor when the
     * client went away. */
    int (*finish)(void *arg, struct answer *ret, struct err *e);
    void (*free)(void *arg); /* always called once, before the request's members go */
    void *arg;
};
