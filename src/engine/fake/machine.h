/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The process `holm-fake-monitor`: three listening sockets (the agent's, the engine's, the
 * console's), at most one connection of each, and the fake machine, in one epoll loop. */

#include "base/err.h"
#include "engine/fake/board.h"
#include "engine/fake/port.h"

enum machine_listener { MACHINE_AGENT, MACHINE_CONTROL, MACHINE_CONSOLE, MACHINE_LISTENERS };

struct machine_options {
    int listen_fds[MACHINE_LISTENERS];
    struct board_start start;
    enum port_fault port_fault;
    bool agent_is_slow; /* silent at first, for as long as HOLM_FAKE_SLOW says */
    enum guest_exec_fault exec_fault;
    bool grow_fails;
    bool ignores_power;
    enum warm_fault warm_fault;
};

/* Runs until the guest has ended or was told to. Takes the descriptors. */
int machine_run(const struct machine_options *options, struct err *e);
