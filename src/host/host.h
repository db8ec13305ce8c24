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
    LANGUAGE_BUILT,     /* its image is here; its first run has it booted and captured */
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

#define LANGUAGE_VERSION_SIZE 32

/* A name and content, or a name and value. Borrowed. */
struct run_pair {
    const char *name;
    const char *data;
    size_t len;
};

/* Bounds of one program and all that it starts, enforced in its VM; 0: as configured. Each is at
 * most what is configured. */
struct run_limits {
    int64_t memory_bytes;
    int64_t processes;
    int64_t file_bytes;
    int64_t output_bytes; /* of each stream */
};

struct run_result;

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
    int timeout_ms;                  /* of the program, compilation included */
    const struct run_limits *limits; /* NULL: as configured */
    bool cold; /* start everything anew, also where a runtime waits for a program */

    /* Asked about once a while; true: the client has gone, end it. May be NULL. */
    bool (*cancelled)(void *arg);
    /* Output as it comes, instead of in run_result; stream is 1 or 2. A negative return cancels.
     * May be NULL. The configured bound of output then does not apply, only that of `limits`. */
    int (*output)(void *arg, int stream, const void *data, size_t len);
    /* Of a batch: an entry has ended. A negative return cancels. May be NULL. */
    int (*ended)(void *arg, const struct run_result *result);
    void *arg;
};

/* What one of a batch reads. */
struct run_input {
    const char *data;
    size_t len;
};

struct run_result {
    struct buf out;     /* empty when output() was given */
    struct buf err;     /* at the timeout its last line says so */
    bool out_truncated; /* there was more than the bound; the rest was dropped */
    bool err_truncated;
    int exit_code; /* 128 + signal when a signal ended it; 124 at the timeout */
    int signal;
    bool timed_out;
    bool from_pool;  /* a warm VM was waiting */
    bool warm;       /* a runtime was waiting in it */
    int64_t load_us; /* from the request until its VM was ready */
    int64_t exec_us; /* wall time of the program, compilation included (but not in a batch) */
    int64_t cpu_us;  /* of the program and all that it started */
    int64_t memory_peak_bytes; /* likewise; files that it used count */
    bool out_of_memory;        /* something of it was killed because memory had run out */
    bool compile_failed;       /* of a batch: nothing was run; all its results are the compiler's */
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

/* Runs a program once for each of the `n` inputs, in one VM, one after the other; it is compiled
 * once. Each finds its files, an empty /tmp and nothing running, as if it were alone, has the whole
 * timeout to itself, as the compiler has, and takes an equal part of RUN_BATCH_OUTPUT_MAX_BYTES at
 * the most. The request's own stdin is not used. All `n` results are filled on success; on failure
 * none holds anything. Fails as host_run does. */
int host_run_batch(struct host *h, const struct run_request *rq, const struct run_input *inputs,
                   size_t n, struct run_result *results, struct err *e);

/* The table of languages, by index from 0; NULL beyond the end. */
const struct language *host_language(size_t index);
/* By name or alias; NULL: there is none. */
const struct language *host_language_find(const char *name);
void host_language_status(struct host *h, const struct language *lang, struct language_status *ret);
/* Of its toolchain, as its image was built; "": not known. */
void host_language_version(struct host *h, const struct language *lang,
                           char ret[LANGUAGE_VERSION_SIZE]);

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
    const char *hello;     /* a program that prints `expect` */
    const char *expect;    /* "Hello, World!\n" where the language can say that */
    int memory_mib;
    bool is_default;       /* its image is one of those that are built by default */
    const char *toolchain; /* what the operator has to give; NULL: Debian or npm has it */
    const struct language_warm *warm; /* a runtime that waits; NULL: there is none */
};

/* A runtime that is started in the template and waits there for its program: see docs/languages.md
 * and docs/agent-protocol.md. */
struct language_warm {
    const char *run;       /* words: what is started, in /work */
    const char *env;       /* NAME=value words for it besides the language's own, "" for none */
    bool rehearses_itself; /* "rehearse": "self"; else there is a twin for that */
    const char *twin;     /* words: what runs what the rehearsals have compiled; "": nothing does */
    bool takes_args;      /* what can be handed over when it runs already; ... */
    bool takes_env;       /* ... a program that has something else is run cold */
    const char *cold_env; /* words: variables that begin with one of these make a run cold */
};

/* Everything for /metrics, in Prometheus text format, appended. */
void host_metrics(struct host *h, struct buf *ret);

/* What this host can and cannot do, as JSON:
 * {"engine","accelerator","facts":[{"name","state","detail"}]}. */
int host_doctor(const struct config *config, struct buf *ret, struct err *e);
