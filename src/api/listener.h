/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Listening sockets from the words of the configuration. */

#include <stdbool.h>

#include "base/err.h"

struct listener {
    int fd;
    bool is_unix;
    bool is_loopback;  /* Unix sockets too */
    char address[128]; /* with the port that was chosen */
    char host[64];     /* the address without port, as a Host header has it: "[::1]" */
};

/* Opens it. `unix_mode` 0 is 0600. ERR_INVALID, ERR_CONFLICT (in use), ERR_FORBIDDEN (a port below
 * 1024), ERR_INTERNAL. */
int listener_open(const char *address, unsigned unix_mode, struct listener *ret, struct err *e);

/* Closes it (fd < 0: somebody else did), removes a Unix socket's file. */
void listener_close(struct listener *l);
