/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* POST /api/v1/execute: a request body becomes a `struct job`, which is run while the client waits
 * (execute.c) or while its output is streamed (execute_stream.c). */

#include "api/request.h"

enum text_encoding { TEXT_UTF8, TEXT_BASE64 };
extern const char *const text_encodings[]; /* their names, then NULL */

/* Base64 that decodes to `n` bytes; for bounds in tables, where base64_size cannot be called. */
#define BASE64_OF(n) (((n) + 2) / 3 * 4)

struct limits_input {
    struct field_given given;
    int64_t memory_mb, processes, file_size_mb, output_kb; /* 0: not given */
};

/* Of execute and of run, which has some of it. */
struct execute_input {
    struct field_text language, code;
    struct field_inputs stdin_data;
    int64_t timeout_s;
    struct limits_input limits;
    struct field_texts args;
    struct field_pairs env, files;
    int stdin_encoding, files_encoding, output_encoding; /* enum text_encoding */
    bool cold;
};

extern const struct field execute_request[], execute_response[];
extern const struct execute_input execute_defaults;

extern const struct field limits_request[];

/* POST /api/v1/run */
extern const struct field run_request_fields[], run_response_fields[];
int run_handle(struct request *rq, struct answer *ret, struct err *e);

int execute_handle(struct request *rq, struct answer *ret, struct err *e);

/* All that one run needs, owned. Zero-initialised is empty. `run` points into the job's other
 * members' memory, not at the members, so a job may be moved by assignment. */
struct job {
    struct input input;
    struct run_input *inputs; /* n_inputs: a batch has as many, else there is one or none */
    size_t n_inputs;
    bool is_batch;
    struct buf *stdin_bytes; /* n_inputs, when stdin came as base64 */
    struct buf *files_bytes; /* n_files, when files came as base64 */
    size_t n_files;
    struct run_limits limits;
    struct run_request run; /* but for `limits`: job_run sets it */
};

/* Checks what the field table cannot say. Takes rq->input. On failure `ret` is empty. */
int job_init(struct request *rq, struct job *ret, struct err *e);
void job_done(struct job *j);

/* How many results it has: one, or one an input. */
size_t job_results(const struct job *j);

/* Runs it, as a batch also when it is none if `as_batch`: then it is known whether compiling
 * failed. `results` has room for job_results; on failure none of them holds anything. */
int job_run(struct host *h, struct job *j, bool as_batch, struct run_result *results,
            struct err *e);

/* Results that own their buffers, of job_results; freed by job_results_free. */
struct job_results {
    struct run_result *items;
    size_t n;
};
int job_results_new(const struct job *j, struct job_results *ret, struct err *e);
void job_results_free(struct job_results *r);

/* Whether the client has hung up; for run_request.cancelled, with the request as its argument. */
bool job_client_gone(void *arg);

/* What a program wrote, in an enum text_encoding. */
json_t *job_output_json(const struct buf *b, int encoding);

/* What both answers say only when it applies: timed_out, signal, ... */
void job_add_marks(json_t *answer, const struct run_result *r);

/* Streams the run as NDJSON into `ret`; takes `j` (which is then empty). An error before the first
 * output, within HTTP_STREAM_STATUS_WAIT_MS, is an ordinary failure of this call. */
int execute_stream(struct request *rq, struct job *j, struct answer *ret, struct err *e);

/* "SIGKILL"; NULL for 0. Static. */
const char *job_signal_name(int signal, char ret[16]);
