/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Commands in requests: what exec and jobs share. */

#include "api/native/native.h"
#include "host/vms_guest.h"

/* All that one command needs, owned. Zero-initialised is empty; may be moved by assignment. */
struct command {
    struct input input;
    struct buf stdin_bytes;
    char account[ID_SIZE], vm[ID_SIZE];
    struct host *host;
    struct vm_exec exec; /* borrows from the above */
};
void command_done(struct command *c);

/* 124 at the timeout, else what the guest says. */
int command_exit_code(const struct exec_exit *x);

/* {"t": "x", ...} */
json_t *command_exit_event(const struct exec_exit *x);
/* {"t": "x", "d": why}: it could not be started, or was lost. */
json_t *command_error_event(const struct err *e);
/* One line of output: {"t", "d", "off"}; no `off` when it is negative. */
struct stream;
int command_write_output(struct stream *s, int stream, int64_t offset, const struct run_pair *data);
