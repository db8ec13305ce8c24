/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Requests to the daemon over HTTP (libcurl). While one is under way the progress line lives on and
 * a signal ends it: the connection is then closed, by which the daemon knows to end the VM or the
 * command. Answers are bounded by CLI_ANSWER_MAX_BYTES, except for what goes to data().
 * What answers mean is api_answer.h's. Thread: the main one. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/interrupt.h"
#include "cli/progress.h"

struct api_client;

/* A body that is sent as it is read. */
struct api_upload {
    int fd;       /* read up to its end, or `size` bytes of it; waited for when it has nothing */
    int64_t size; /* -1: not known */
    const char *type;
};

struct api_request {
    const char *path;   /* from "/" on */
    const char *method; /* NULL: POST when there is a body, else GET */
    const char *body;   /* JSON text; NULL: none */
    size_t body_len;
    const struct api_upload *upload; /* instead of `body`; method PUT */
    bool stream;                     /* ask for NDJSON */
    bool raw;                        /* ask for whatever it is; data() gets it */
    int timeout_s;                   /* of the whole exchange; 0: none */
    /* Gets the body of a 200 answer as it comes instead of api_answer.body: an NDJSON one, or any
     * with `raw`. A negative return ends the request, which then returns it. May wait in
     * interrupt_wait. */
    int (*data)(void *arg, const char *data, size_t len, struct err *e);
    /* Told now and then how far a body has come; total -1: not known. May be NULL. */
    void (*moved)(void *arg, int64_t done, int64_t total);
    void *arg;
};

struct api_answer {
    int status;        /* HTTP */
    bool streamed;     /* the body went to data() */
    int retry_after_s; /* of a 503; at least 1 */
    struct buf body;
};

/* `url` is http://, https:// or unix:/PATH, and checked (ERR_INVALID); `interrupt` is borrowed for
 * the client's life. */
int api_client_new(const char *url, struct interrupt *interrupt, struct api_client **ret,
                   struct err *e);
void api_client_free(struct api_client *c);
DEFINE_AUTO(struct api_client *, api_client_free)
#define auto_api_client CLEANUP(api_client_freep)

/* What api_client_send ticks while it waits; NULL: nothing. Borrowed. */
void api_client_set_progress(struct api_client *c, struct progress *progress);

/* Sends this key from now on. `source` says where it is from ("--key"), for errors. Both are
 * copied; ERR_INVALID for a key that cannot be one. */
int api_client_set_key(struct api_client *c, const char *key, const char *source, struct err *e);

/* Where the key is from; NULL: none was set. Borrowed. */
const char *api_client_key_source(const struct api_client *c);

/* The daemon's address as it will be shown. Borrowed. */
const char *api_client_url(const struct api_client *c);

/* Whether it is this machine's own: a loopback address or a socket in the file system. */
bool api_client_is_local(const struct api_client *c);

/* Whether anything has been sent so far. */
bool api_client_has_asked(const struct api_client *c);

/* 0 whatever the status is; ERR_UNAVAILABLE (says what to do) when no answer came, ERR_TIMEOUT,
 * -ECANCELED when a signal came. `ret` is empty on failure, except for what data() got. */
int api_client_send(struct api_client *c, const struct api_request *rq, struct api_answer *ret,
                    struct err *e);

void api_answer_done(struct api_answer *a);
#define auto_api_answer CLEANUP(api_answer_done)
