/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Serving on a host, for tests: a Unix socket, a link for each connection. */

#include "agent/agent.h"

struct listener {
    struct loop_watch watch; /* first */
    struct agent *agent;
};

/* Listens at `path` (a stale socket there is replaced). listener_done before agent_done. */
int listener_init(struct listener *l, struct agent *a, const char *path);
void listener_done(struct listener *l);
