/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the API dialects may ask of the host. A dialect translates words; everything that happens,
 * happens behind these calls. Any thread may call; calls block until they are done. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct host;
struct config;
struct language;

/* Whether a language can be run at this moment. */
enum language_state {
    LANGUAGE_MISSING,   /* its image was not built on this host */
    LANGUAGE_PREPARING, /* its image is being booted and captured */
    LANGUAGE_READY,
    LANGUAGE_FAILED, /* preparing it failed; the reason is in the log and in language_status.detail
                      */
};

struct language_status {
    enum language_state state;
    int pooled; /* warm VMs waiting */
    char detail[256];
};

/* A name and content, or a name and value. Borrowed. */
struct run_pair {
    const char *name;
    const char *data;
    size_t len;
};

/* One run of a program. Everything is borrowed for the call. Bounds are RUN_* of limits.h; host_run
 * checks them. */
struct run_request {
    const char *language; /* name or alias */
    const char *code;
    size_t code_len;
    const char *const *args; /* n_args */
    size_t n_args;
    const struct run_pair *env;
    size_t n_env;
    const struct run_pair *files; /* relative names without "..", put beside the program */
    size_t n_files;
    const char *stdin_data;
    size_t stdin_len;
    int timeout_ms; /* of the program, compilation included */

    /* Asked about once a while; true: the client has gone, end it. May be NULL. */
    bool (*cancelled)(void *arg);
    /* Output as it comes, instead of in run_result; stream is 1 or 2. A negative return cancels.
     * May be NULL. The RUN_OUTPUT_MAX_BYTES bound then does not apply. */
    int (*output)(void *arg, int stream, const void *data, size_t len);
    void *arg;
};

struct run_result {
    struct buf out; /* empty when output() was given */
    struct buf err;
    bool out_truncated; /* more than RUN_OUTPUT_MAX_BYTES came; the rest was dropped */
    bool err_truncated;
    int exit_code; /* 128 + signal when a signal ended it; 124 at the timeout */
    int signal;
    bool timed_out;
    bool from_pool;  /* a warm VM was waiting */
    int64_t load_us; /* from the request until its VM was ready */
    int64_t exec_us; /* wall time of the program, compilation included */
};

/* Starts everything: opens the store, adopts or reaps what a former daemon left, starts preparing
 * images and filling the pool in the background. `config` is borrowed for the host's life. */
int host_new(const struct config *config, struct host **ret, struct err *e);

/* What it was made with. */
const struct config *host_config(const struct host *h);

/* Ends the runs without grace, every VM, and removes every runtime file. NULL is fine. */
void host_free(struct host *h);

/* Refuses new runs (ERR_FULL), waits at most `grace_ms` for those under way, then cancels what is
 * left (their callers get ERR_FULL too). Returns when none runs any more. */
void host_end_runs(struct host *h, int grace_ms);

/* Whether running programs are to be cancelled; for those that wait on something else. */
bool host_is_stopping(const struct host *h);

/* Runs a program in a VM of its own, which is thrown away. Fails only when no program was run:
 * ERR_NOT_FOUND (no such language), ERR_INVALID, ERR_TOO_LARGE, ERR_FULL (with retry_after_s),
 * ERR_UNAVAILABLE (the VM died under it). */
int host_run(struct host *h, const struct run_request *rq, struct run_result *ret, struct err *e);
void run_result_done(struct run_result *r);

/* The table of languages, by index from 0; NULL beyond the end. */
const struct language *host_language(size_t index);
/* By name or alias; NULL: there is none. */
const struct language *host_language_find(const char *name);
void host_language_status(struct host *h, const struct language *lang, struct language_status *ret);

struct language {
    const char *name;
    const char *aliases;   /* separated by spaces, "" for none */
    const char *title;     /* "C (GCC)" */
    const char *extension; /* ".py" */
    const char *image;     /* the image that has it */
    const char *file;      /* what the program's file is called in the guest */
    const char *compile;   /* a shell command, NULL when it is not compiled */
    const char *run;       /* words separated by single spaces; "{file}" is the file */
    const char *env;       /* NAME=value words for its environment, "" for none */
    const char *version;   /* words: the command that prints its version */
    const char *hello;     /* a program that prints "Hello, World!\n" */
    int memory_mib;
};

/* Everything for /metrics, in Prometheus text format, appended. */
void host_metrics(struct host *h, struct buf *ret);

/* What this host can and cannot do, as JSON:
 * {"engine","accelerator","facts":[{"name","state","detail"}]}. */
int host_doctor(const struct config *config, struct buf *ret, struct err *e);
