/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shared by job.c (life) and job_calls.c (requests). Nobody else includes it. */

#include <jansson.h>

#include "agent/job.h"
#include "agent/program.h"
#include "agent/spool.h"

struct job;
struct job_reader;

struct job_pipe {
    struct loop_watch watch; /* first; fd negative: at its end */
    struct job *job;
    enum frame_type type;
    int64_t bytes;
};

/* Runs; was reaped; has ended: its outputs are at their end as well. */
struct job {
    struct program program; /* first: a pointer to it is a pointer to all */
    struct job *next;
    char id[EXEC_JOB_ID_MAX_BYTES + 1];
    json_t *argv;
    int64_t started_ms; /* real time */
    int64_t pid;
    struct job_pipe pipes[2];
    struct loop_timer grace;
    struct spool spool;
    bool ended;
    struct job_reader *readers;
};

struct job *job_find(struct agent *a, const char *id);
/* It has ended. Its readers' streams are reset. */
void job_drop(struct agent *a, struct job *j);
/* Of job_calls.c: there is something new to read. */
void job_readers_wake(struct job *j);
/* The job is about to be freed. */
void job_readers_drop(struct job *j);
