/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The HTTP server: listeners, one thread a connection, endpoints by route.h.
 *
 *     server_new -> requests are answered -> server_quiesce -> server_stop -> server_free
 *
 * All functions but server_quiesce are for one thread, the daemon's main one. */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/id.h"

struct host;
struct server;

#define SESSION_COOKIE "rds_session"

enum listener_trust {
    LISTENER_OPEN,   /* no key but for rows of accounts; for all others the Host and Origin headers
                        are checked, so that no web page gets in */
    LISTENER_KEY,    /* every row but the ROUTE_OPEN ones needs a key that key_account accepts */
    LISTENER_AUTO,   /* open when only this machine reaches it, else as LISTENER_KEY */
    LISTENER_GUESTS, /* for connections out of VMs: ROUTE_GUEST rows and nothing else */
};

struct listener_config {
    /* "127.0.0.1:8080", "[::1]:8080", "0.0.0.0:80"; port 0: any free one; "unix:/run/x.sock": a
     * socket file, replaced when it is there. Numeric addresses only; "localhost:8080" is
     * 127.0.0.1. */
    const char *address;
    enum listener_trust trust;
    unsigned unix_mode; /* of the socket file; 0: 0600 */
    /* Name of a dialect that is mounted at / here, besides its own prefix: of "rds", "/v1/vms" is
     * "/rds/v1/vms". What it has not is looked for as on every listener, but below the prefixes
     * that it then takes ("/v1/", "/auth/") nothing of another dialect is found. NULL: none. */
    const char *mount;
};

/* Everything is borrowed for the server's life. Bounds that are 0 are those of limits.h. */
struct server_config {
    struct host *host;
    const struct listener_config *listeners;
    size_t n_listeners;
    const char *const
        *hosts; /* more names that the Host header may have; ends with NULL; or NULL */
    /* Web origins ("https://lab.example.org") whose pages may use the API; likewise. */
    const char *const *origins;
    /* Whose a key is, found in a time that says nothing of the right ones; ERR_UNAUTHORIZED. Needed
     * when a listener has LISTENER_KEY; without it rows of accounts answer 401. Called by the
     * connections' threads. */
    int (*key_account)(void *arg, const char *key, char ret_account[ID_SIZE], bool *ret_admin,
                       struct err *e);
    void *key_arg;
    /* Whose session a cookie's token is (SESSION_COOKIE), with key_arg; ERR_UNAUTHORIZED. NULL:
     * there are none. A key in the request counts, and only it, when both are there. Such requests
     * are refused (ERR_FORBIDDEN) when another site's page may have sent them: every method but GET
     * and HEAD, and every WebSocket, needs an Origin of the request's own Host, or none at all and
     * no Sec-Fetch-Site but same-origin or none. */
    int (*session_account)(void *arg, const char *token, char ret_account[ID_SIZE], bool *ret_admin,
                           struct err *e);
    const char *web_dir; /* the dashboard's files (web.h); NULL: there is none */
    bool rate_limits;    /* whether rows' and dialects' rate_per_min count */

    unsigned connections_max;             /* a listener */
    unsigned long long bodies_max_bytes;  /* of request bodies, all together */
    unsigned long long answers_max_bytes; /* of answers that wait to be taken, all together */
    unsigned idle_timeout_s;
    unsigned request_timeout_s;
    unsigned send_timeout_s;
};

/* Opens the listeners and begins to answer. ERR_INVALID: an address that is none; ERR_CONFLICT: in
 * use; ERR_INTERNAL. On failure nothing stays open. SIGPIPE must be ignored by the process. */
int server_new(const struct server_config *config, struct server **ret, struct err *e);

/* The address a listener really has, as in listener_config, with the port that was chosen. Borrowed
 * for the server's life. */
const char *server_address(const struct server *s, size_t listener);

/* From now on every new request is answered 503 with "Connection: close"; running ones go on. Any
 * thread. */
void server_quiesce(struct server *s);

/* Quiesces, waits at most `grace_ms` for running requests, then cuts what is left (a run that is
 * cut sees its client gone and is cancelled), waits for its threads and closes the listeners. After
 * it no handler runs and the host may be freed. */
void server_stop(struct server *s, int grace_ms);

/* Stops with no grace when it was not stopped. NULL is fine. */
void server_free(struct server *s);
