/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a client sends to a program, on its way there: into the pipe as far as there is room, the
 * rest is held, its window not given back. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/call.h"
#include "agent/loop.h"
#include "base/buf.h"

struct exec_input {
    struct loop_watch watch; /* first; fd negative: closed */
    struct agent *agent;
    struct call *call; /* NULL: nobody sends any more */
    struct buf held;   /* what the pipe had no room for */
    bool ended;        /* nothing more comes: to be closed after what is held */
    bool shuts_down;   /* it is a socket that others have as well: its end is told to the peer */
};

void exec_input_init(struct exec_input *in, struct call *c);

/* Takes the fd (non-blocking; negative: there is no input), also on failure. */
int exec_input_open(struct exec_input *in, int fd);

/* Takes bytes; returns how many were kept, to be consumed later, or -ENOMEM. */
ssize_t exec_input_take(struct exec_input *in, const uint8_t *data, size_t len);

/* Nothing more comes. */
void exec_input_end(struct exec_input *in);

void exec_input_close(struct exec_input *in);
