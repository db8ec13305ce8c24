/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Running one program of a language inside a VM: puts its files, compiles and starts it, collects
 * what comes back. The calling thread blocks; the VM is the caller's. */

#include "base/err.h"
#include "host/host.h"
#include "wire/exec_spec.h"

struct config;
struct host;
struct vm;

/* Checks a request against the RUN_* bounds and finds its language; errors name the field. */
int program_check(const struct run_request *rq, const struct language **ret, struct err *e);

/* Likewise of a batch. */
int program_check_batch(const struct run_request *rq, const struct run_input *inputs, size_t n,
                        struct err *e);

/* What the request asks for, and for the rest what is configured; ERR_INVALID naming the field of
 * what is more than it may ask for. */
int program_limits(const struct config *c, const struct run_request *rq, struct exec_limits *ret,
                   struct err *e);

struct program_wait {
    bool (*cancelled)(void *arg); /* instead of the request's; may be NULL */
    void *arg;
    struct exec_limits limits;
    bool started; /* out: the program may have begun */
};

/* Runs it. *ret is filled (run_result_done frees) when 0 is returned; that the program failed or
 * timed out is no error. -ENOTCONN (ERR_UNAVAILABLE): the guest was gone. -ECANCELED: the caller
 * did not want it any more. */
int program_run(struct vm *vm, const struct run_request *rq, struct program_wait *w,
                struct run_result *ret, struct err *e);

/* Runs it once for each input, compiled once; `results` as host_run_batch's, with load_us and
 * from_pool of the first put into all. Errors as program_run's. */
struct program_batch {
    const struct run_input *inputs;
    size_t n;
    struct run_result *results;
};
int program_run_batch(struct vm *vm, const struct run_request *rq, const struct program_batch *b,
                      struct program_wait *w, struct err *e);
/* In a template: starts the runtime that waits (lang->warm), and rehearses it. ERR_CONFLICT: it
 * does not come to wait. */
int program_prepare(struct vm *vm, const struct language *lang, struct program_wait *w,
                    struct err *e);
/* In a clone: what a program will need is executed once. The hello program, or a rehearsal. */
int program_exercise(struct vm *vm, const struct language *lang, struct program_wait *w,
                     struct err *e);

/* Runs the language's hello program and checks what it prints. `w` as for program_run. */
int program_hello(struct vm *vm, const struct language *lang, struct program_wait *w,
                  struct err *e);
