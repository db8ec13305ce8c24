/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Detached programs: their start (an exec with `job` in its spec), what they wrote, their end, and
 * the requests about them (/v1/jobs...). */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/call.h"
#include "base/buf.h"
#include "base/err.h"
#include "wire/exec_spec.h"

struct agent;
struct job;

struct jobs {
    struct job *first; /* in the order of their starts */
    size_t n;
};

void jobs_done(struct agent *a); /* kills what runs */

/* A file that collects the input of a job to be; it starts when all of it is there. */
int job_input_open(struct agent *a, int *ret_fd, struct err *e);
/* 0 or an error; a negative fd throws it away. */
int job_input_take(int fd, const void *data, size_t len, struct err *e);

/* Starts one and appends its P frame. Takes *in_fd when it succeeds (negative: no input). */
int job_start(struct agent *a, const struct exec_spec *spec, int *in_fd, struct buf *ret,
              struct err *e);

void job_list(struct call *c);
void job_get_begin(struct call *c); /* /v1/jobs/ID and /v1/jobs/ID/output */
void job_get_closed(struct call *c);
void job_signal(struct call *c);
void job_forget(struct call *c);
