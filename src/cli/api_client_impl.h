/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of the HTTP client share: api_client.c, api_copy.c, api_socket.c. */

#include <stdbool.h>
#include <stdint.h>

#include <curl/curl.h>

#include "cli/api_client.h"

struct api_client {
    char *url;          /* as shown: without a slash at the end */
    const char *base;   /* what paths are appended to: url, or a name for the socket's other end */
    const char *socket; /* in url, the path of "unix:/PATH"; NULL: TCP */
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    struct interrupt *interrupt;
    struct progress *progress;
    char why[CURL_ERROR_SIZE]; /* libcurl's words for the last failure */
    char *key_header;
    char *key_source;
    bool loopback;
    bool has_asked;
    bool is_socket; /* the easy handle is in the multi handle for good: api_socket.c */
};

/* One request under way. */
struct transfer {
    struct api_client *client;
    const struct api_request *rq;
    struct api_answer *answer;
    int64_t sent;
    bool source_waits; /* the upload has nothing to send for now */
    int result;        /* of rq->data, or of reading the upload's source */
    struct err *e;
};

/* Prepares the easy handle for the request of `t`, whose body comes from and goes to `t`. */
int api_transfer_set_up(struct transfer *t);

/* What all connections have in common: socket, proxy, timeouts. */
void api_client_set_connection(struct api_client *c);

/* What it came to, once it has run to its end with `code`: fills the answer, or says why there is
 * none. */
int api_transfer_finish(struct transfer *t, CURLcode code, struct api_answer *ret);

/* Runs the multi handle until nothing is under way; -ECANCELED when a signal came first. The
 * transfer's source is waited for too. *ret: the result of the client's easy handle. */
int api_client_drive(struct transfer *t, CURLcode *ret);

/* What to tell when there was no answer, by what a user can do about it. */
int api_client_explain(struct api_client *c, CURLcode code, int timeout_s, struct err *e);
