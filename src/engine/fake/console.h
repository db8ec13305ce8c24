/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The fake guest's serial console: one connection at a time, on which what comes in is echoed, as
 * by a terminal, and the `console` lines of programs appear. What is written while nobody is
 * connected or the reader is far behind is lost. Thread: the monitor's only one. */

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct console {
    int fd; /* negative: nobody is connected */
    struct buf out;
    bool is_full; /* the last write did not take all: wait for EPOLLOUT */
};

void console_init(struct console *c);
/* Takes `fd`, non-blocking; nobody else may be connected. */
void console_connect(struct console *c, int fd);
void console_hang_up(struct console *c);

/* Echoes what is there; hangs up when the peer has. */
void console_read(struct console *c);
void console_write(struct console *c, const void *data, size_t len);
/* Sends what can be sent without blocking. */
void console_flush(struct console *c);
