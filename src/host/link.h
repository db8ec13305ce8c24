/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Connections to the agents of guests, and requests over them that block their caller.
 *
 * One `struct link_loop` for the daemon: a thread that reads from every guest. A `struct link` is
 * one guest's connection; any number of threads may have requests on it at the same time. A request
 * leaves in the caller's own thread, and the loop's thread wakes the caller when there is something
 * to do: two thread switches a round trip.
 *
 * A guest can neither delay the others (nothing here blocks on one, and each turn of the loop is
 * bounded) nor make the daemon grow (a request holds at most AGENT_WINDOW_BYTES of unread answer).
 * When the connection ends, for whatever reason, every request on it fails with ERR_UNAVAILABLE,
 * and so do all later ones. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "base/err.h"

struct link_loop;
struct link;

#define LINK_BATCH_MAX 64 /* requests of one link_run */

/* One request and its answer. What it points to is borrowed until link_run returns. */
struct link_request {
    const char *method;
    const char *path;         /* percent-encoded, with the query */
    const struct iovec *body; /* n_body pieces; none: no body */
    size_t n_body;
    /* The body waits until the bodies of all requests before it in the batch have left, so that the
     * agent has those when it sees this one. */
    bool hold;
    /* Gets the body of a 2xx answer as it comes, on the thread that called link_run; negative
     * cancels the batch. NULL: it goes to `answer`. */
    int (*sink)(void *arg, const void *data, size_t len);
    void *arg;

    int status;        /* out: of the answer, 0 while there is none */
    struct buf answer; /* out: the body of an answer that is not 2xx or has no sink; the caller
                        * sets max_bytes (0: AGENT_REPORT_MAX_BYTES) and calls buf_done */
};

/* How long to wait. */
struct link_wait {
    int64_t deadline_ms;          /* clock_mono_ms; never 0 */
    bool (*cancelled)(void *arg); /* asked about ten times a second without any lock; may be NULL */
    void *arg;
};

struct link_stats {
    size_t queued_peak_bytes; /* the most that one request had waiting for its caller */
    size_t open_requests;
};

int link_loop_new(struct link_loop **ret, struct err *e);
/* NULL is fine; every link was closed and every stream freed before. */
void link_loop_free(struct link_loop *loop);

/* Makes a link of the connected stream socket `fd`, which it takes, also on failure. Returns at
 * once; the hello goes on in the background, and requests wait for it. An agent that has not
 * answered it after `hello_timeout_ms` ends the link. Any thread. */
int link_open(struct link_loop *loop, int fd, int hello_timeout_ms, struct link **ret,
              struct err *e);

/* Ends the connection only: whoever is inside link_run or a stream of it fails soon. Any thread. */
void link_shutdown(struct link *l);

/* Ends the connection, waits until no thread is inside link_run for it (they fail at once, but for
 * the time of a sink), frees it. Streams of it stay valid, to be freed whenever their owner does,
 * but fail. NULL is fine. */
void link_close(struct link *l);

/* Whether the connection has ended; if so and `ret` is not NULL, why. */
bool link_ended(struct link *l, struct err *ret);

void link_get_stats(struct link *l, struct link_stats *ret);

/* Waits until the agent has answered the hello. Only for requests that must not age on the way:
 * link_run waits by itself. Errors as link_run's. */
int link_wait_open(struct link *l, const struct link_wait *w, struct err *e);

/* Sends `n` (1..LINK_BATCH_MAX) requests one after the other without waiting in between, then waits
 * for the answers. 0 when all were answered to the end, or when one was answered with another
 * status than 2xx, which resets the rest: the caller looks at each `status`. Fails with
 * ERR_UNAVAILABLE (the connection ended, a request was reset by the agent, -ECANCELED when
 * `cancelled` or a sink said so), ERR_TIMEOUT (the deadline), ERR_TOO_LARGE (an answer beyond its
 * bound). Whatever it returns, nothing of the batch is going on any more on our side, and the agent
 * has been told. Waits, also for room when the agent has AGENT_STREAMS_MAX requests. */
int link_run(struct link *l, struct link_request *rqs, size_t n, const struct link_wait *w,
             struct err *e);

/* --- requests whose body and answer are both streams --- */

/* One thread reads, one writes, at the same time if they like. The request holds at most
 * AGENT_WINDOW_BYTES of its answer; a slow reader holds up the guest, nothing else. The two
 * directions end each by themselves, unless the agent resets what it has answered. */
struct link_stream;

struct link_head {
    const char *method;
    const char *path; /* percent-encoded, with the query */
    bool has_body;
};

/* Sends the head of the request; what was not waited for comes with the first read or write. */
int link_stream_open(struct link *l, const struct link_head *head, const struct link_wait *w,
                     struct link_stream **ret, struct err *e);
/* Waits for the answer's status. The body of one that is not 2xx is read like any. */
int link_stream_status(struct link_stream *s, const struct link_wait *w, int *ret, struct err *e);
/* Bytes (never 0), 0 at the answer's end, or an error: as link_run's, and -ECANCELED after a
 * shutdown. */
ssize_t link_stream_read(struct link_stream *s, void *buf, size_t max, const struct link_wait *w,
                         struct err *e);
/* All of it, or an error. Returns when the last byte is on its way. -EPIPE (ERR_CONFLICT): the
 * agent has answered to the end and takes no more. */
int link_stream_write(struct link_stream *s, const void *data, size_t len,
                      const struct link_wait *w, struct err *e);
/* The end of the request's body. */
int link_stream_end(struct link_stream *s, const struct link_wait *w, struct err *e);
/* Makes blocked and later calls fail. Any thread. */
void link_stream_shutdown(struct link_stream *s);
/* Resets the request unless it is complete. No thread may be inside any more. NULL is fine. */
void link_stream_free(struct link_stream *s);
