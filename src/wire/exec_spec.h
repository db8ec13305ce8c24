/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What to execute in a guest, and how it ended: values and their JSON. Both decoders treat the text
 * as hostile. Any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* The longest timeout: a week. */
#define EXEC_TIMEOUT_MAX_MS (7 * 24 * 3600 * 1000LL)
#define EXEC_JOB_ID_MAX_BYTES 32
#define EXEC_LIMIT_MAX (INT64_C(1) << 50) /* of each of struct exec_limits */

/* What a program and all that it starts may use; 0: no bound of its own. */
struct exec_limits {
    int64_t memory_bytes; /* beyond it everything of the program is killed */
    int64_t processes;    /* and threads */
    int64_t file_bytes;   /* of one file that it writes */
    int64_t output_bytes; /* of each stream that are sent; what is beyond is read and dropped */
};

struct exec_spec {
    char **argv; /* NULL-terminated, at least one; argv[0] without a slash is searched in PATH, then
                  * where a login would. With `login` it may be empty: the user's shell as a login
                  * shell. */
    char **env;  /* NULL-terminated "NAME=value": the whole environment; NULL: empty */
    char *cwd;   /* absolute; NULL: "/", or with `login` the user's home */
    uint32_t uid;
    uint32_t gid;
    int64_t timeout_ms; /* 0: none */
    bool has_stdin;     /* false: standard input is /dev/null */
    char *user;         /* instead of uid and gid: a name, a uid or "uid:gid"; NULL: those */
    bool login;         /* the environment of a login comes before `env` */
    int pty_rows;       /* 0: no terminal */
    int pty_cols;
    char *job;  /* 1-32 of [0-9a-z]: detached under this name; NULL: attached */
    char *warm; /* the same: no program is started, the waiting one of this name becomes it, with
                 * argv as its arguments (there may be none); NULL: started */
    bool alone; /* what else waits is ended: this is the last program that is wanted here */
    struct exec_limits limits;
    bool kill_rest; /* when it has ended, what it left in the background is killed */
};

/* Appends the JSON. -EINVAL (ERR_INVALID, field named) for text that is no UTF-8 or an env entry
 * without a name: JSON cannot carry these. */
int exec_spec_encode(const struct exec_spec *spec, struct buf *out, struct err *e);

/* Only argv must be there; the defaults are an empty env, "/", 0, 0, none, true. Any other field, a
 * wrong type, a bound exceeded: ERR_INVALID naming the field. On success the caller owns *ret's
 * strings: exec_spec_done. */
int exec_spec_decode(const char *json, size_t len, struct exec_spec *ret, struct err *e);

/* Frees what exec_spec_decode made. */
void exec_spec_done(struct exec_spec *spec);

/* 1 to EXEC_JOB_ID_MAX_BYTES of [0-9a-z]; of a job or a waiting program. */
bool exec_job_id_is_valid(const char *id);

/* The X frame. `code` is 0-255, or 128 + signal when a signal ended it. */
struct exec_exit {
    int code;
    int signal; /* 0: it ended by itself */
    bool timed_out;
    int64_t wall_us;
    int64_t user_us;
    int64_t system_us;
    int64_t max_rss_kib;
    int64_t stdout_bytes; /* that it wrote, also what was not sent */
    int64_t stderr_bytes;
    /* Of the program and all that it started. */
    int64_t cpu_us;
    int64_t memory_peak_bytes; /* files that it used count, too */
    bool oom;                  /* something of it was killed because memory had run out */
};

int exec_exit_encode(const struct exec_exit *x, struct buf *out);

/* Unknown fields are passed over, so that newer agents may tell more; of what older agents did not
 * tell, the CPU time is the leader's, the peak is max_rss_kib. */
int exec_exit_decode(const char *json, size_t len, struct exec_exit *ret, struct err *e);

/* The P frame. */
int exec_started_encode(int64_t pid, struct buf *out);
int exec_started_decode(const char *json, size_t len, int64_t *ret_pid, struct err *e);
