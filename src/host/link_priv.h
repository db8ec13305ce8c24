/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shared by link.c (the loop: bytes) and link_run.c (requests). Nobody else includes it. */

#include <pthread.h>

#include "host/link.h"
#include "wire/agent_client.h"

struct call;

/* One link. `lock` owns everything but the last two groups; it is a leaf: nothing else is locked,
 * and nothing blocks, while it is held. */
struct link {
    struct link_loop *loop;
    pthread_mutex_t lock;
    int fd; /* open until the link is freed, by the loop's thread */
    struct agent_client *client;

    struct buf out; /* taken from the client, not written yet, from out_start on */
    size_t out_start;
    bool blocked; /* the socket is full: EPOLLOUT is armed */
    bool ended;
    struct err end_err; /* why; the agent never has a word in it */

    struct call *calls; /* threads inside link_run, also those that wait for room */
    size_t n_calls;
    size_t n_wake; /* calls with `wake` set */
    size_t n_change_waiters;
    pthread_cond_t changed; /* hello answered, room, n_calls 0 */
    size_t queued_peak_bytes;

    /* Owned by the loop's thread, and before it has seen the link by link_open. */
    struct link *next_greeting; /* in the loop's list of links to greet */
    bool greeting;              /* the agent has not answered the hello */
    int64_t next_hello_ms;
    int64_t hello_deadline_ms;

    struct link *next_closed; /* owned by the loop's lock */
};

extern const struct agent_client_ops link_run_ops; /* of link_run.c; arg is a struct item */

/* With the lock held: writes what there is to write, as far as the socket takes it, and wakes whom
 * that and what came before concern. To be called after anything done to the client. */
void link_settle(struct link *l);

/* With the lock held: ends it, once. The first reason stays. */
void link_end(struct link *l, const char *reason);

/* Both of link_run.c, with the lock held. */
void link_run_release(struct link *l); /* lets held bodies go whose time has come */
void link_run_wake(struct link *l);    /* wakes marked calls, all of them when the link has ended */

/* A condition variable whose timed waits are on clock_mono_ms. */
void link_cond_init(pthread_cond_t *c);
/* Waits until a clock_mono_ms; 0 or -ETIMEDOUT. */
int link_cond_wait(pthread_cond_t *c, pthread_mutex_t *m, int64_t until_ms);
