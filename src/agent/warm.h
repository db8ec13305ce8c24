/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Runtimes that wait: started, past all that every run of theirs begins with, and blocked before
 * they look at the program (POST /v1/warm). An exec whose spec says `warm` does not start anything:
 * it tells the waiting process its arguments, environment and directory, and from then on that is
 * the exec's program.
 *
 * The process has two pipes besides its streams. On descriptor 3 it reads what it shall do, on 4 it
 * writes one byte when it waits: docs/agent-protocol.md has the form. What it writes to its outputs
 * until the hand-over is thrown away. Waiting processes belong to no session: they are there in
 * every clone, whatever becomes of the programs that ran. */

#include <stddef.h>

#include "agent/call.h"
#include "agent/exec_input.h"
#include "agent/program.h"
#include "agent/spawn.h"
#include "wire/exec_spec.h"

struct agent;
struct warm;

struct warms {
    struct warm *first;
    size_t n;
};

void warm_start(struct call *c);    /* POST /v1/warm?id=ID */
void warm_rehearse(struct call *c); /* POST /v1/warm/rehearse?id=ID */
void warm_closed(struct call *c);   /* of both */

/* Hands the waiting program that spec->warm names over to `to`, which is initialised and not
 * started, and tells it to run; what of that it has yet to read is in `job`, which is initialised
 * too. The caller gets the streams. ERR_CONFLICT: none waits; nothing has been started then. */
int warm_take(struct agent *a, const struct exec_spec *spec, struct program *to,
              struct exec_input *job, struct spawn_result *ret, struct err *e);

/* Kills those that still wait. */
void warms_dismiss(struct agent *a);
void warms_done(struct agent *a); /* kills all */
