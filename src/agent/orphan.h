/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Programs whose session has ended without a word, as it does for all of a clone's. They wait,
 * their output unread, until `restored` says what becomes of them; without a session they are
 * killed after a while. */

#include <stdbool.h>

#include "agent/loop.h"

struct agent;
struct exec;

struct orphans {
    struct exec *waiting; /* linked by the execs' next_orphan */
    struct exec *kept;    /* these go on, output thrown away */
    struct loop_timer timer;
    int rounds; /* of the timer, with a session and yet without `restored` */
};

void orphans_init(struct agent *a);

/* Takes it. */
void orphans_add(struct agent *a, struct exec *x);

/* Those that wait: go on, or are killed. */
void orphans_decide(struct agent *a, bool keep);

/* The agent ends: kills all. */
void orphans_kill(struct agent *a);
