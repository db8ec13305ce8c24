/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The agent's event loop: epoll and timers, one thread. Watches and timers are embedded in the
 * structs they belong to; nothing here owns them. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#define LOOP_BATCH 64

struct loop;

/* A file descriptor to be told about. `fd` is set by its owner, who also closes it, after
 * loop_unwatch. */
struct loop_watch {
    int fd;
    bool active;
    void (*ready)(struct loop_watch *w, uint32_t events);
};

/* Fires once. Zero-initialised with `fire` set is idle. */
struct loop_timer {
    void (*fire)(struct loop_timer *t);
    int64_t due_ms; /* clock_mono_ms; 0: idle */
    struct loop_timer *prev, *next;
};

struct loop {
    int epoll_fd;
    struct loop_timer *timers;
    struct epoll_event batch[LOOP_BATCH];
    int batch_len;
    bool stop; /* set it to leave loop_run */
};

int loop_init(struct loop *l);
void loop_done(struct loop *l);

/* Starts watching; `events` as for epoll_ctl. 0 or a negative errno. */
int loop_watch(struct loop *l, struct loop_watch *w, uint32_t events);
int loop_rewatch(struct loop *l, struct loop_watch *w, uint32_t events);

/* Ends watching; no callback comes any more, also not one of the batch at hand. */
void loop_unwatch(struct loop *l, struct loop_watch *w);

/* (Re)starts and stops a timer. */
void loop_timer_start(struct loop *l, struct loop_timer *t, int64_t in_ms);
void loop_timer_stop(struct loop *l, struct loop_timer *t);

/* Waits at most timeout_ms (-1: for ever) and handles what has happened. 0 or a negative errno. */
int loop_once(struct loop *l, int timeout_ms);

/* Runs until l->stop; `after` is called after each batch, and once before the first. */
int loop_run(struct loop *l, void (*after)(void *arg), void *arg);
