/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a TypeScript program says to us rather than to people: result.set and result.error, and
 * errors that nobody caught.
 *
 * It comes in standard error, between what is for people, as lines that nobody else can write: each
 * begins with a mark that is drawn anew for every run, then has a letter and a piece of JSON, at
 * most TS_PIECE_BYTES of it, so that it is one write to a pipe and never torn. A capital letter
 * goes on with what the small one began.
 *
 *     r R   the result          e E   the error          x   there is no error after all
 *
 * (A channel of its own would need a file, permissions for it, somebody who removes it, and two
 * more ways to the guest and back.) The program is the guest's and may write anything; who forges a
 * report deceives only himself. Bounded: RDS_RESULT_MAX_BYTES each. One thread. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define TS_MARK_SIZE 34 /* a control character, 32 of hexadecimal, a NUL */
#define TS_PIECE_BYTES 3800

struct ts_report {
    char mark[TS_MARK_SIZE];
    struct buf pending; /* not told apart yet */
    struct buf *text;   /* what is for people goes there (rds_output_keep); borrowed */
    struct buf result, error;
    bool has_result, has_error;
};

/* Draws a mark. */
void ts_report_init(struct ts_report *t, struct buf *text);
void ts_report_done(struct ts_report *t);

/* A piece of standard error. `arg` is the struct ts_report. */
int ts_report_take(void *arg, const void *data, size_t len);
/* The last has come. */
int ts_report_end(struct ts_report *t);

/* Appends the answer as JSON, with "result" and "error" when there are any. When the program could
 * not even be loaded, what Deno said of it is the error. An error makes of exit code 0 a 1. */
int ts_report_answer(const struct ts_report *t, json_t *answer, struct buf *ret);

/* A JavaScript module that makes the global `result`, as a data: URL, appended. */
int ts_report_preload(const struct ts_report *t, struct buf *ret);
