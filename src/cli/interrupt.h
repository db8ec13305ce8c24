/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Ctrl-C and its relatives (SIGINT, SIGTERM, SIGHUP) as a file descriptor to poll, so that nothing
 * happens in a signal handler: whoever waits for something else also waits for this. From
 * interrupt_init on the signals no longer end the process by themselves, so everything that can
 * block has to poll this descriptor. Signals that were ignored from birth (nohup) stay ignored.
 * SIGPIPE becomes EPIPE. Thread: the main one, before any other exists. */

#include <signal.h>
#include <stddef.h>

struct interrupt {
    int fd;     /* readable once a signal has come */
    int signal; /* which one; 0: none so far */
    sigset_t old_mask;
};

int interrupt_init(struct interrupt *in);

/* Signals end the process by themselves again; a second call does nothing. */
void interrupt_done(struct interrupt *in);

/* The signal that has come, 0 when none has. It stays pending: every later call says the same. */
int interrupt_signal(struct interrupt *in);

/* Waits until `fd` is ready for `events` (of poll.h); fd -1: for the time only. 0, -ECANCELED when
 * a signal came first, -ETIMEDOUT. timeout_ms < 0: for ever. */
int interrupt_wait(struct interrupt *in, int fd, short events, int timeout_ms);

/* Writes all of it, waiting with interrupt_wait: -EPIPE when the reader has gone, -ECANCELED when a
 * signal came. */
int interrupt_write(struct interrupt *in, int fd, const void *data, size_t len);
