/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What `holm run` gets back, streamed or in one piece, and what becomes of it: output to stdout and
 * stderr as it comes, and how the program ended. Thread: the main one. */

#include <stdbool.h>

#include "cli/cli.h"
#include "cli/event.h"
#include "cli/ndjson.h"

struct run_output {
    struct cli *cli;
    struct ndjson lines;
    struct event last;  /* EVENT_EXIT or EVENT_ERROR once it has come; EVENT_OTHER before */
    bool any;           /* the program has written something */
    bool stderr_closed; /* nobody reads our stderr: the program's is dropped */
};

void run_output_init(struct run_output *out, struct cli *cli);

/* For api_request.data with the struct as arg. -EPIPE when nobody reads stdout any more, -ECANCELED
 * when a signal came. */
int run_output_data(void *arg, const char *data, size_t len, struct err *e);

/* An answer that was not streamed: writes its stdout and stderr and fills `last`. */
int run_output_whole(struct run_output *out, const json_t *answer, struct err *e);

/* After the answer: ERR_UNAVAILABLE when it ended without saying how the program did. */
int run_output_end(struct run_output *out, struct err *e);

void run_output_done(struct run_output *out);
#define auto_run_output CLEANUP(run_output_done)
