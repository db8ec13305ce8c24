/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shared by link.c (the loop: bytes), link_run.c (requests), link_stream.c (requests that are
 * streams) and link_wait.c. Nobody else includes it. */

#include <pthread.h>

#include "host/link.h"
#include "wire/agent_client.h"

struct call;

/* What the client knows a request by: the first member of whatever that is. */
struct link_target {
    const struct agent_client_ops *ops;
};

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

    struct call *calls;          /* threads inside link_run, also those that wait for room */
    size_t n_calls;              /* also threads that open a stream */
    struct link_stream *streams; /* until they are freed; each holds a reference */
    size_t refs;                 /* link_close drops the first */
    size_t n_wake;               /* calls with `wake` set */
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

/* Drops a reference; the last one hands the link to the loop, which frees it. Without the lock. */
void link_unref(struct link *l);

/* With the lock held: writes what there is to write, as far as the socket takes it, and wakes whom
 * that and what came before concern. To be called after anything done to the client. */
void link_settle(struct link *l);

/* With the lock held: ends it, once. The first reason stays. */
void link_end(struct link *l, const char *reason);

/* Both of link_run.c, with the lock held. */
void link_run_release(struct link *l); /* lets held bodies go whose time has come */
void link_run_wake(struct link *l);    /* wakes marked calls, all of them when the link has ended */

/* Of link_stream.c, with the lock held: wakes everybody inside a stream. */
void link_stream_wake_all(struct link *l);

/* --- waiting, with the lock held: link_wait.c --- */

struct link_waiter {
    struct link *link;
    const struct link_wait *wait;
    int64_t next_poll_ms;
};

void link_waiter_init(struct link_waiter *w, struct link *l, const struct link_wait *wait);
/* The deadline, and the caller's callback, which is asked without the lock. 0: go on. */
int link_waiter_poll(struct link_waiter *w, struct err *e);
/* Sleeps on `cond` until something happens or it is time to poll. */
void link_waiter_sleep(struct link_waiter *w, pthread_cond_t *cond);
/* Waits until there is room for `n` requests. */
int link_waiter_room(struct link_waiter *w, size_t n, struct err *e);
/* Waits for a change of the link as a whole; the caller looks which. */
int link_waiter_sleep_changed(struct link_waiter *w, struct err *e);
/* Tells why the link ended. */
int link_end_error(const struct link *l, struct err *e);

/* A condition variable whose timed waits are on clock_mono_ms. */
void link_cond_init(pthread_cond_t *c);
/* Waits until a clock_mono_ms; 0 or -ETIMEDOUT. */
int link_cond_wait(pthread_cond_t *c, pthread_mutex_t *m, int64_t until_ms);
