/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What `holm run` sends: gathered from the command line, files and stdin, bounded by RUN_*, and
 * made into the JSON body of POST /api/v1/execute. Thread: the main one. */

#include <stdbool.h>

#include <jansson.h>

#include "base/buf.h"
#include "cli/cli.h"

struct run_input {
    json_t *request; /* the body, as it grows */
    int timeout_s;   /* 0: the daemon's default */
};

/* Gathers everything. ERR_INVALID: the command line is at fault; ERR_TOO_LARGE: a bound;
 * -ECANCELED: a signal came while stdin was read. `ret` is to be run_input_done in any case. */
int run_input_gather(struct cli *cli, const struct options *o, struct run_input *ret,
                     struct err *e);

/* The request as JSON text. */
int run_input_body(const struct run_input *in, struct buf *ret, struct err *e);

void run_input_done(struct run_input *in);
#define auto_run_input CLEANUP(run_input_done)

/* How content travels in JSON: as text when it is UTF-8 and mostly printable, else as base64.
 * Any thread. */
bool run_input_is_text(const char *data, size_t len);
