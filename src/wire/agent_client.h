/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The daemon's side of the agent protocol (docs/agent-protocol.md) without any I/O: the bytes that
 * came from the guest go in, the bytes for the guest come out.
 *
 * It begins with the hello (agent_client_hello at the start and then every AGENT_HELLO_REPEAT_MS)
 * and goes on by itself with HTTP/2 when the agent has answered. Requests may be opened before
 * that; they leave together with the preface.
 *
 * The guest is hostile. Headers, acknowledgements and settings are bounded, pushes are refused, and
 * whatever breaks the protocol ends the session for good. What a guest can make the daemon keep is
 * bounded by AGENT_WINDOW_BYTES a request: a request's window is given back only by
 * agent_client_consume. The connection's window is given back at once, so that one slow consumer
 * does not hold up the other requests.
 *
 * Thread: one at a time (the owner's lock). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct agent_client;

/* What happens to requests; `arg` is what the request was opened with. Called from inside
 * agent_client_feed and agent_client_take, hence they must not call either. */
struct agent_client_ops {
    /* Copies up to `max` bytes of the request's body to `out` and says whether that was the end.
     * Returning 0 without the end defers the body until agent_client_resume. Negative: the request
     * is reset. */
    ssize_t (*pull)(void *arg, void *out, size_t max, bool *ret_end);
    void (*sent)(void *arg); /* the request is out, its body to the end */
    void (*head)(void *arg, int status);
    void (*data)(void *arg, const void *data, size_t len);
    /* The last event of a request. `complete`: the answer came to its regular end; otherwise
     * `h2_error` is the HTTP/2 error code it was reset with. */
    void (*closed)(void *arg, bool complete, uint32_t h2_error);
    void (*ended)(void *arg); /* the answer is at its end; `closed` follows. May be NULL */
};

enum agent_client_state {
    AGENT_CLIENT_HELLO, /* waiting for the agent to answer; requests are kept */
    AGENT_CLIENT_OPEN,
    AGENT_CLIENT_ENDED, /* nothing more comes out; open requests get no more events */
};

/* `ops` is borrowed for the client's life. 0, -ENOMEM. */
int agent_client_new(const struct agent_client_ops *ops, struct agent_client **ret);
void agent_client_free(struct agent_client *c); /* NULL is fine; no events */

enum agent_client_state agent_client_state(const struct agent_client *c);

/* Why it ended, a phrase without anything the guest wrote; "" while it has not. Never freed. */
const char *agent_client_reason(const struct agent_client *c);

/* Queues the hello line, the same each time; nothing once the agent has answered. */
void agent_client_hello(struct agent_client *c);

/* Takes all of what the guest sent. 0, or -EPROTO when the session has ended. */
int agent_client_feed(struct agent_client *c, const void *data, size_t len);

/* Bytes for the guest: 0 for none at present, else how many are at *ret_data until the next call on
 * this client. -EPROTO when the session has ended. They count as sent. */
ssize_t agent_client_take(struct agent_client *c, const void **ret_data);

/* How many more requests may be opened now: AGENT_STREAMS_MAX or the agent's own bound, whichever
 * is less, minus those open. */
size_t agent_client_room(const struct agent_client *c);

enum agent_client_body {
    AGENT_BODY_NONE,
    AGENT_BODY_REQUEST, /* of no use once the answer is complete: the request is closed then */
    AGENT_BODY_DUPLEX,  /* goes on after the answer's end */
};

/* Opens a request; `path` is percent-encoded. Returns its stream id; -EAGAIN without room, -EPROTO
 * after the end, -ENOMEM. */
int32_t agent_client_open(struct agent_client *c, const char *method, const char *path,
                          enum agent_client_body body, void *arg);

/* Goes on pulling a body that was deferred. */
void agent_client_resume(struct agent_client *c, int32_t stream);

/* Gives back `len` bytes of the request's window; len is at most what came and was not given back.
 * Fine when it is closed. */
void agent_client_consume(struct agent_client *c, int32_t stream, size_t len);

/* Resets the request and forgets `arg`: no more events for it. Fine when it is closed. */
void agent_client_cancel(struct agent_client *c, int32_t stream);
