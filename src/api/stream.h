/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Answers that come as lines of JSON (NDJSON) while something runs: a program, a command, what a
 * job has written. What runs has a thread of its own and blocks while the client takes no more. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct answer;
struct request;
struct stream;

/* `arg` is owned by the stream from stream_start on. */
struct stream_job {
    /* In the job's own thread. Writes lines; the last one is the job's affair too. A failure before
     * the first line, within HTTP_STREAM_STATUS_WAIT_MS, is the request's: an answer with its own
     * status. Later the client gets the line that error_line makes of it. */
    int (*run)(struct stream *s, void *arg, struct err *e);
    json_t *(*error_line)(const struct err *e); /* NULL: no memory, or no such line */
    void (*free)(void *arg);                    /* always called once; may be NULL */
    void *arg;
};

/* Starts the job and makes `ret` its stream. On failure the job is over and freed. */
int stream_start(struct request *rq, const struct stream_job *job, struct answer *ret,
                 struct err *e);

/* Writes one line (with its line end), or from the first failure on nothing: -ECANCELED when the
 * client has gone, does not read, or the host is stopping. The job's thread. */
int stream_write(struct stream *s, const char *line, size_t len);

/* The same for a JSON value, which it takes; NULL is -ENOMEM. */
int stream_write_json(struct stream *s, json_t *line);

/* Whether nobody will read what the job writes: what the host's calls ask as `cancelled`. `s` is
 * the struct stream. Any thread while the job runs. */
bool stream_cancelled(void *s);
