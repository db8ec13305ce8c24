/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For tests: an agent in a child process, and a client that waits for what it expects. A wait that
 * takes longer than TEST_WAIT_MS fails the test. One thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/agent.h"
#include "base/buf.h"
#include "wire/agent_client.h"
#include "wire/exec_spec.h"
#include "wire/frame.h"

#define TEST_WAIT_MS 60000

struct test_client {
    int fd;
    pid_t agent; /* 0: not ours */
    struct agent_client *http;
    bool ended; /* the agent hung up */
};

/* A request. Zero-initialise, set what is wanted, then test_request. */
struct test_request {
    struct test_client *client;
    const char *method;
    const char *path;
    bool hold;     /* do not give the window back: a slow reader */
    bool is_exec;  /* the answer (status 200) is exec frames */
    bool keep_out; /* keep standard output, else only count it */

    int32_t stream;
    struct buf send; /* of the body */
    size_t sent_bytes;
    bool send_ended;
    int status;
    bool closed, complete;
    struct buf answer; /* not of an exec */
    size_t held;       /* bytes whose window was not given back */
    struct frame_decoder decoder;
    struct buf out, err, json;
    int64_t out_bytes;
    int64_t pid; /* 0: not started */
    bool exited;
    struct exec_exit exit;
};

/* Forks an agent that serves one end of a socket pair. `root` as in agent_options. */
void test_client_start(struct test_client *t, const char *root);
void test_client_start_with(struct test_client *t, const struct agent_options *options);
/* Connects to what listens on fd; says hello. */
void test_client_connect(struct test_client *t, int fd);
/* Ends the connection and waits until the agent has ended too. */
void test_client_stop(struct test_client *t);

/* For tests whose *state is such a client. */
int test_client_setup(void **state);
int test_client_teardown(void **state);

/* Arguments for struct exec_spec, which does not promise to leave them alone. */
#define ARGV(...) ((char **)(uintptr_t)(const char *[]){__VA_ARGS__, NULL})

/* Opens a request; `end`: it has no (more) body than this. */
void test_request(struct test_client *t, struct test_request *q, const void *body, size_t len,
                  bool end);
/* Opens an exec with this spec; `stdin_ended`: nothing else will be sent. */
void test_exec(struct test_client *t, struct test_request *q, const struct exec_spec *spec,
               bool stdin_ended);
/* exec of `sh -c script`, run to its end; fails when the agent refuses. */
void test_sh(struct test_client *t, struct test_request *q, const char *script);

/* `restored`, answered. */
void test_restored(struct test_client *t, bool keep);

void test_send(struct test_request *q, const void *data, size_t len, bool end);
void test_send_frame(struct test_request *q, enum frame_type type, const void *data, size_t len);
/* Gives back all the window that was held. */
void test_release(struct test_request *q);

/* Moves bytes until `until(arg)`. */
void test_pump(struct test_client *t, bool (*until)(void *arg), void *arg);
void test_wait_closed(struct test_request *q);
void test_wait_started(struct test_request *q);

void test_request_done(struct test_request *q);
#define auto_test_request CLEANUP(test_request_done)
