/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The fake guest's detached programs and what they wrote. Thread: the monitor's only one. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/limits.h"
#include "engine/fake/pack.h"
#include "wire/exec_spec.h"
#include "wire/frame.h"

struct call;
struct guest;
struct job_reader;
struct program;

/* Where the output's stream changes. */
struct job_mark {
    int64_t offset;
    enum frame_type type;
};

struct job {
    char id[EXEC_JOB_ID_MAX_BYTES + 1];
    char *argv_json;         /* an array */
    struct program *program; /* NULL: it has ended */
    int64_t pid;
    int64_t started_ms; /* of the guest's real time */
    int64_t number;     /* counts up: which is the oldest */
    struct exec_exit exit;
    struct buf output; /* the last of it */
    int64_t first_offset;
    struct job_mark *marks;
    size_t n_marks, max_marks;
};

/* Zero-initialised is empty. */
struct jobs {
    struct job *list[AGENT_JOBS_MAX];
    int n;
    int64_t next_number;
    struct job_reader *readers;
};

/* Whether the job of this spec may be started now: ERR_CONFLICT. */
int jobs_check(const struct jobs *j, const char *id, struct err *e);
/* Makes the job of a program that was started, of which it becomes the owner; forgets the oldest
 * ended one when there is no room. -ENOMEM. */
int jobs_add(struct guest *g, struct program *p);
/* Takes what the program has staged, and its end if that has come (then it frees the program). */
void jobs_collect(struct program *p);
void jobs_clear(struct jobs *j);

struct job *jobs_find(const struct jobs *j, const char *id);

void jobs_save(const struct jobs *j, struct buf *out);
int jobs_load(struct jobs *j, struct unpack *u);

/* Requests. */
void jobs_list(struct call *c);
void jobs_get(struct call *c);
void jobs_output(struct call *c);
void jobs_output_closed(struct call *c);
void jobs_signal(struct call *c);
void jobs_forget(struct call *c);
