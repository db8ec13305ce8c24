/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A command's output, from the daemon's stream of events to our stdout and stderr. Thread: the main
 * one. */

#include "cli/cli.h"

enum exec_output_kind {
    EXEC_OUTPUT_WHOLE, /* the stream ends with the command; its exit code is ours */
    EXEC_OUTPUT_SO_FAR /* it may end before: what there is now was asked for */
};

/* Sends the request (its data and arg are set here), passes on what comes and sets call->code.
 * -EPIPE when nobody reads our stdout any more, -ECANCELED when a signal came. */
int exec_output_pass(struct cli_call *call, struct api_request *rq, enum exec_output_kind kind,
                     struct err *e);
