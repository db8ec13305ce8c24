/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The process `holm-fake-monitor`: the agent's socket, the control socket (control.h) and the fake
 * guest, in one epoll loop. */

#include "base/err.h"
#include "engine/fake/guest.h"
#include "engine/fake/port.h"

struct machine_options {
    int agent_fd;             /* listening */
    int control_fd;           /* listening */
    const char *template_dir; /* NULL: boot */
    enum port_fault port_fault;
    enum guest_exec_fault exec_fault;
};

/* Runs until the guest has ended or was told to. Takes the descriptors. */
int machine_run(const struct machine_options *options, struct err *e);
