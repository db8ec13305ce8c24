/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The terminal on standard input, handed over to something else: every key goes through as it is.
 * Thread: the main one. */

#include <stdbool.h>
#include <termios.h>

struct rawterm {
    int fd;
    bool is_raw;
    struct termios before;
    int resized_fd; /* readable when its size has changed (SIGWINCH); -1: no terminal */
};

/* What is no terminal stays as it is. `keeps_output`: line ends are still made of what we print
 * ourselves (holm top). */
int rawterm_enter(struct rawterm *t, int fd, bool keeps_output);

/* As it was before; a second call does nothing. To be used with CLEANUP: nothing of ours ends the
 * process while it is raw, since signals are descriptors (interrupt.h). */
void rawterm_leave(struct rawterm *t);

/* Drains resized_fd. Whether it has changed since the last call. */
bool rawterm_was_resized(struct rawterm *t);

/* Its size; false when it has none. */
bool rawterm_size(const struct rawterm *t, int *ret_rows, int *ret_cols);
