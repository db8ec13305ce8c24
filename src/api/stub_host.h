/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A host for the tests of the API: no machines, but every outcome that host.h promises. What
 * host_run does is the `code` of the request:
 *
 *   echo         prints what it was given, a line each
 *   hello        prints "Hello, World!\n"
 *   bytes        prints bytes that are not UTF-8
 *   timeout, signal, flood, full, unavailable, internal, invalid-file
 *   events       prints o1 (1), e1 (2), o2 (1) in this order
 *   half         prints "half", then fails as unavailable
 *   block        prints nothing and runs until it is cancelled
 *   wait         runs until stub_release() (or cancelled)
 *   endless      prints until it is cancelled
 *
 * Anything else exits with 1 and says so on stderr. */

#include <semaphore.h>

#include "host/host.h"

extern sem_t stub_started, stub_cancelled;

/* The host to give to the server. Resets the semaphores. */
struct host *stub_host_new(void);
void stub_release(void);
/* From now on host_is_stopping(). Unlike a real host it leaves its programs to the API: what
 * cancels them is what a test wants to see. */
void stub_stop(void);
