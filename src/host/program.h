/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Running one program of a language inside a VM: puts its files, compiles and starts it, collects
 * what comes back. The calling thread blocks; the VM is the caller's. */

#include "base/err.h"
#include "host/host.h"

struct host;
struct vm;

/* Checks a request against the RUN_* bounds and finds its language; errors name the field. */
int program_check(const struct run_request *rq, const struct language **ret, struct err *e);

struct program_wait {
    bool (*cancelled)(void *arg); /* instead of the request's; may be NULL */
    void *arg;
    bool started; /* out: the program may have begun */
};

/* Runs it. *ret is filled (run_result_done frees) when 0 is returned; that the program failed or
 * timed out is no error. -ENOTCONN (ERR_UNAVAILABLE): the guest was gone. -ECANCELED: the caller
 * did not want it any more. */
int program_run(struct vm *vm, const struct run_request *rq, struct program_wait *w,
                struct run_result *ret, struct err *e);

/* Runs the language's hello program and checks what it prints. `w` as for program_run. */
int program_hello(struct vm *vm, const struct language *lang, struct program_wait *w,
                  struct err *e);
