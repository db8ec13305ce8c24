/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an agent tells of its detached programs (`GET /v1/jobs`): values and their JSON. The
 * decoders treat the text as hostile. Any thread. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "wire/exec_spec.h"

struct guest_job {
    char id[EXEC_JOB_ID_MAX_BYTES + 1];
    json_t *argv; /* array of strings, cut after AGENT_JOB_ARGV_MAX_BYTES; owned by the list */
    int64_t pid;
    bool running;
    struct exec_exit exit; /* when it has ended */
    int64_t started_ms;    /* real time */
    int64_t wall_ms;
    int64_t output_bytes;
    int64_t first_offset; /* of what is kept */
};

struct guest_jobs {
    struct guest_job *items;
    size_t n;
};
void guest_jobs_done(struct guest_jobs *j);

/* Appends one job's object. */
int guest_job_encode(const struct guest_job *job, struct buf *out);

/* One job's object. The caller owns *ret: guest_jobs_done. Unknown fields are passed over. */
int guest_job_decode(const char *json, size_t len, struct guest_jobs *ret, struct err *e);

/* `{"jobs": [...]}` of at most AGENT_JOBS_MAX. */
int guest_jobs_decode(const char *json, size_t len, struct guest_jobs *ret, struct err *e);

/* The first strings of `argv`, within AGENT_JOB_ARGV_MAX_BYTES; NULL: no memory, or no UTF-8. */
json_t *guest_job_argv(char *const *argv);
