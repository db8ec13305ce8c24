/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Commands of this dialect: as uid and gid 1000, in a directory that is there, their output kept up
 * to RDS_OUTPUT_MAX_BYTES a stream. What exec and run-ts share. */

#include "api/rds/workspace.h"
#include "api/request.h"
#include "host/vms_guest.h"

#define RDS_USER_AND_GROUP "1000:1000"

struct rds_command {
    const char **argv; /* n_argv */
    size_t n_argv;
    const char *fallback; /* instead of argv[0] when the image has no such program; NULL: none */
    const char *cwd;      /* as the client gave it; NULL: the workspace */
    json_t *env;          /* object of strings; NULL: none more */
    const void *stdin_data;
    size_t stdin_len;
    int64_t timeout_ms;
    /* Takes what comes of standard error, instead of `err`; NULL: kept as it is. */
    int (*on_stderr)(void *arg, const void *data, size_t len);
    void *arg;
};

struct rds_output {
    struct buf out, err;
    struct exec_exit exit;
};
void rds_output_done(struct rds_output *o);

/* Appends what still fits into a stream's bound, and drops the rest. */
int rds_output_keep(struct buf *b, const void *data, size_t len);

/* Runs it to its end or to the client's. ERR_NOT_FOUND: the VM; ERR_CONFLICT: it does not run, or
 * has no such program. `what` is for those ("VM must be RUNNING to WHAT"). */
int rds_command_run(struct request *rq, const struct rds_command *c, const char *what,
                    struct rds_output *ret, struct err *e);

/* {"exitCode", "stdout", "stderr"} */
json_t *rds_output_json(struct rds_output *o);

/* Of a request's timeoutMs, 0 for none given; `max_name` is the bound's in the message. */
int rds_timeout(double given, int max_ms, const char *max_name, int64_t *ret_ms, struct err *e);

/* ERR_INVALID: no environment can hold such a name. */
int rds_check_env_name(const char *name, struct err *e);
