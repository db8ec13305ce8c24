/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* POST /v1/exec: a program, its three streams and its end. */

#include <stdint.h>

#include "agent/call.h"
#include "agent/exec_input.h"
#include "agent/exec_output.h"
#include "agent/program.h"
#include "wire/exec_spec.h"
#include "wire/frame.h"

#define EXEC_FIXED_MAX_BYTES FRAME_RESIZE_BYTES

/* The life of an exec: the spec arrives (no pid), the program runs, it was reaped, the X frame is
 * staged (finished). The struct lives as long as its stream; when a session ends under a program,
 * the exec becomes an orphan. A program whose stream was cancelled is killed and reaped as a
 * stranger. */
struct exec {
    struct program program; /* first: a pointer to it is a pointer to all */
    struct call *call;      /* NULL: an orphan */
    struct frame_decoder decoder;
    struct buf spec_json;
    struct exec_spec spec;
    bool has_spec;
    uint8_t fixed[EXEC_FIXED_MAX_BYTES]; /* payload of a K or W frame, as far as it has come */
    size_t fixed_len;
    struct exec_input input;
    struct exec_input job; /* what a waiting program is told, as far as it has yet to read it */
    struct exec_output output;
    struct loop_timer grace;
    bool terminal;
    bool finished;
    bool broken;   /* the stream is being reset: take nothing more */
    int job_in_fd; /* input of a job to be, a file; negative: none */
    struct exec *next_orphan;
    void (*orphan_ended)(struct exec *x);
};

void exec_begin(struct call *c);
void exec_body(struct call *c, const uint8_t *data, size_t len);
void exec_body_end(struct call *c);
void exec_closed(struct call *c);

/* Of orphans. exec_keep lets it go on, calling `ended` when it has come to its end (maybe at once);
 * exec_kill kills and frees it. */
void exec_keep(struct exec *x, void (*ended)(struct exec *x));
void exec_kill(struct exec *x);
void exec_free(struct exec *x);
