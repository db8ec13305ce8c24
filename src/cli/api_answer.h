/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the daemon's answers mean: JSON, and errors with what to do about them. Thread: the main
 * one. */

#include <jansson.h>

#include "cli/api_client.h"

/* The body as a JSON object. */
int api_answer_json(const struct api_answer *a, json_t **ret, struct err *e);

/* An error from an answer whose status says failure: the daemon's own sentence where it has one,
 * and what to do. Returns a negative errno. */
int api_answer_error(const struct api_client *c, const struct api_answer *a, struct err *e);

/* GET, and the 200 answer as a JSON object; any other status is an error made by
 * api_answer_error. */
int api_client_get(struct api_client *c, const char *path, json_t **ret, struct err *e);

/* The same for an answer that is a list. */
int api_client_get_list(struct api_client *c, const char *path, json_t **ret, struct err *e);

/* One exchange of JSON. */
struct api_call {
    const char *method;
    const char *path;
    const json_t *body; /* borrowed; NULL: none */
    int timeout_s;      /* 0: CLI_REQUEST_TIMEOUT_S; -1: none */
};

/* Any status below 300 is success; `ret` (may be NULL) gets the answer's object, *ret_status (may
 * be NULL) which one it was. */
int api_client_call(struct api_client *c, const struct api_call *call, json_t **ret,
                    int *ret_status, struct err *e);
