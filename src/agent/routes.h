/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The requests the agent answers, as rows. */

#include "agent/call.h"

/* A row has either `text` (the whole body, bounded, arrives at once) or the other four, of which
 * each may be NULL. */
struct route {
    const char *method;
    const char *path; /* with "/" at its end: of all paths below */
    void (*text)(struct call *c);
    void (*begin)(struct call *c);
    void (*body)(struct call *c, const uint8_t *data, size_t len); /* consumes what it takes */
    void (*body_end)(struct call *c);
    void (*closed)(struct call *c); /* also after an error; c->data may be NULL */
};

/* For agent_server_new; the owner must be a struct link. */
extern const struct agent_server_ops routes_server_ops;
