/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A shell on the serial console, for guests without an init of their own. It starts when somebody
 * types, so it costs nothing until then; when it ends, the next byte starts another. */

#include "agent/loop.h"
#include "agent/program.h"

struct agent;

struct console {
    struct agent *agent;
    const char *path;        /* of the terminal */
    struct loop_watch watch; /* active while nobody uses it */
    struct program shell;
};

/* Watches the terminal at `path` (borrowed). Without one it does nothing. */
void console_init(struct console *c, struct agent *a, const char *path);
void console_done(struct console *c);
