/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For tests: a client of a fake guest's agent over its real socket. Every wait that takes longer
 * than a minute fails the test. One thread. */

#include "base/buf.h"
#include "wire/agent_client.h"
#include "wire/exec_spec.h"
#include "wire/frame.h"

/* Literals as the argv of a spec, which has them not const. */
#define STRINGS(...) ((char **)(const char *const[]){__VA_ARGS__, NULL})

struct test_guest {
    int fd;
    struct agent_client *http;
    bool ended; /* the guest hung up */
};

/* A request: zero-initialise, set `guest`, then one of the calls below. */
struct test_call {
    struct test_guest *guest;
    int32_t stream;
    struct buf send;
    bool send_ended;
    int status;
    bool is_exec, closed, complete;
    bool is_job;         /* the answer is a job's output */
    bool is_duplex;      /* set before test_call_open: the body goes on after the answer's end */
    int64_t next_offset; /* of a job's output: where the next byte is */
    struct buf answer;
    struct frame_decoder decoder;
    struct buf out, err, json;
    bool exited;
    struct exec_exit exit;
};

/* Takes the connected socket; says hello. False: the guest hung up or is no agent. */
bool test_guest_open(struct test_guest *g, int fd);
void test_guest_close(struct test_guest *g);

/* Opens a request with this body. */
void test_call_open(struct test_call *c, const char *method, const char *path, const void *body,
                    size_t len);
/* Opens an exec of `argv` in /work; more frames may be added to c->send. */
void test_call_exec(struct test_call *c, char **argv, int64_t timeout_ms);
/* The same with a spec of the test's own; missing members of it are the defaults. */
void test_call_spec(struct test_call *c, const struct exec_spec *spec);
void test_call_frame(struct test_call *c, enum frame_type type, const void *data, size_t len);
/* Moves bytes until the request is closed, or, for `until_out`, until there is output. */
void test_call_wait(struct test_call *c, bool until_out);
/* The same until this text has come out, or until any answer has. */
void test_call_wait_text(struct test_call *c, const char *text);
void test_call_wait_answer(struct test_call *c);
/* More of the body, or its end (NULL). */
void test_call_send(struct test_call *c, const char *text);
void test_call_done(struct test_call *c);

/* A request without a body that must have this status; its answer is appended to `ret` (NULL: not
 * wanted). */
void test_guest_ask(struct test_guest *g, const char *request, int status, struct buf *ret);

/* An exec that must end, and print this. */
void test_call_prints(struct test_guest *g, const struct exec_spec *spec, const char *out);

/* A PUT that must succeed. */
void test_guest_put(struct test_guest *g, const char *path, const char *text);
/* Puts the text as /work/p and runs it to its end, answers in `ret`. */
void test_guest_run(struct test_guest *g, const char *text, struct test_call *ret);
