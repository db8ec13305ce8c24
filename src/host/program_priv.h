/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shared by program.c (one run), program_batch.c (several of the same program) and program_warm.c
 * (runtimes that wait). Nobody else includes it. */

#include "base/buf.h"
#include "host/program.h"

#define WORK_DIR "/work"
#define HELLO_DIR "/var/tmp/hello" /* hello programs leave nothing where a program will look */
#define USER_ID 1000               /* `user` of every image */

/* An emulated, busy CPU may take seconds for the slowest of them. */
#define HELLO_TIMEOUT_MS 120000

/* By these names they wait: one for the program, one for rehearsals. */
#define WARM_RUN "run"
#define WARM_TWIN "twin"

/* What of a run is done: all of it, or one of the two steps of what is compiled. */
enum program_step {
    PROGRAM_WHOLE,
    PROGRAM_COMPILE,
    PROGRAM_START, /* what was compiled; no files are put */
};

/* One run under way. */
struct collector {
    const char *dir;  /* where it runs */
    const char *warm; /* the runtime that waits for it; NULL: none */
    bool alone;       /* nothing is to wait beside it */
    const struct run_request *rq;
    enum program_step step;
    bool kill_rest; /* what it leaves in the background ends with it */
    struct program_wait *wait;
    struct run_result *result;
    size_t out_bytes, err_bytes; /* kept or given away so far */
    int64_t start_us;
};

int program_collect(struct vm *vm, const struct language *lang, struct collector *c, struct err *e);

/* At the timeout: says so at the end of standard error, where output is collected. What the program
 * wrote last gives way to it when there is no room. */
void program_mark_timeout(const struct run_request *rq, const struct program_wait *w,
                          struct run_result *ret);

/* A NULL-terminated list of strings it owns. */
struct strings {
    char **list;
    size_t n, cap;
    bool failed;
};

void strings_done(struct strings *s);
/* Adds words separated by single spaces; "{file}" becomes the program's file. */
void strings_add_words(struct strings *s, const char *words, const char *file);

/* The environment of a program, with the language's and the request's variables; and with words
 * that the request cannot replace ("": none). */
void program_env(struct strings *env, const struct language *lang, const struct run_request *rq,
                 const char *words);

/* The hello program, in the runtime that waits by this name if one does (NULL: started). */
int program_hello_by(struct vm *vm, const struct language *lang, const char *warm,
                     struct program_wait *w, struct err *e);
