/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Requests to the daemon over HTTP (libcurl). While one is under way the progress line lives on and
 * a signal ends it: the connection is then closed, by which the daemon knows to end the VM.
 * Answers are bounded by CLI_ANSWER_MAX_BYTES. Thread: the main one. */

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/interrupt.h"
#include "cli/progress.h"

struct api_client;

struct api_request {
    const char *path; /* from "/" on */
    const char *body; /* NULL: GET, else POST of this JSON text */
    size_t body_len;
    bool stream;   /* ask for NDJSON */
    int timeout_s; /* of the whole exchange */
    /* Gets the body of a 200 answer in NDJSON as it comes, instead of api_answer.body. A negative
     * return ends the request, which then returns it. May wait in interrupt_wait. */
    int (*data)(void *arg, const char *data, size_t len, struct err *e);
    void *arg;
};

struct api_answer {
    int status;        /* HTTP */
    bool streamed;     /* the body went to data() */
    int retry_after_s; /* of a 503; at least 1 */
    struct buf body;
};

/* `url` is http://, https:// or unix:/PATH, and checked (ERR_INVALID); `key` may be NULL;
 * `interrupt` and `progress` are borrowed for the client's life. */
int api_client_new(const char *url, const char *key, struct interrupt *interrupt,
                   struct api_client **ret, struct err *e);
void api_client_free(struct api_client *c);
DEFINE_AUTO(struct api_client *, api_client_free)
#define auto_api_client CLEANUP(api_client_freep)

/* What api_client_send ticks while it waits; NULL: nothing. Borrowed. */
void api_client_set_progress(struct api_client *c, struct progress *progress);

/* The daemon's address as it will be shown. Borrowed. */
const char *api_client_url(const struct api_client *c);

/* 0 whatever the status is; ERR_UNAVAILABLE (says what to do) when no answer came, ERR_TIMEOUT,
 * -ECANCELED when a signal came. `ret` is empty on failure, except for what data() got. */
int api_client_send(struct api_client *c, const struct api_request *rq, struct api_answer *ret,
                    struct err *e);

/* GET, and the 200 answer as a JSON object; any other status is an error made by
 * api_answer_error. */
int api_client_get(struct api_client *c, const char *path, json_t **ret, struct err *e);

/* The body as a JSON object. */
int api_answer_json(const struct api_answer *a, json_t **ret, struct err *e);

/* An error from an answer whose status says failure: the daemon's own sentence where it has one,
 * and what to do. Returns a negative errno. */
int api_answer_error(const struct api_client *c, const struct api_answer *a, struct err *e);

void api_answer_done(struct api_answer *a);
#define auto_api_answer CLEANUP(api_answer_done)
