/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* POST /api/v1/execute: a request body becomes a `struct job`, which is run while the client waits
 * (execute.c) or while its output is streamed (execute_stream.c). */

#include "api/request.h"

enum text_encoding { TEXT_UTF8, TEXT_BASE64 };

struct execute_input {
    struct field_text language, code, stdin_data;
    int64_t timeout_s;
    struct field_texts args;
    struct field_pairs env, files;
    int stdin_encoding, files_encoding, output_encoding; /* enum text_encoding */
};

extern const struct field execute_request[], execute_response[];
extern const struct execute_input execute_defaults;

int execute_handle(struct request *rq, struct answer *ret, struct err *e);

/* All that one run needs, owned. Zero-initialised is empty. `run` points into the job's other
 * members' memory, not at the members, so a job may be moved by assignment. */
struct job {
    struct input input;
    struct buf stdin_bytes;  /* when stdin came as base64 */
    struct buf *files_bytes; /* n_files, when files came as base64 */
    size_t n_files;
    struct run_request run;
};

/* Checks what the field table cannot say. Takes rq->input. On failure `ret` is empty. */
int job_init(struct request *rq, struct job *ret, struct err *e);
void job_done(struct job *j);

/* Streams the run as NDJSON into `ret`; takes `j` (which is then empty). An error before the first
 * output, within HTTP_STREAM_STATUS_WAIT_MS, is an ordinary failure of this call. */
int execute_stream(struct request *rq, struct job *j, struct answer *ret, struct err *e);

/* "SIGKILL"; NULL for 0. Static. */
const char *job_signal_name(int signal, char ret[16]);
