/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Starting holm-fake-monitor: a process in a session of its own that outlives the daemon. Its three
 * sockets are bound and listening before it exists, so that connecting never comes too early. Any
 * thread. */

#include "base/err.h"
#include "base/proc.h"

/* Where the monitor finds its inherited sockets. */
#define STARTER_AGENT_FD 3
#define STARTER_CONTROL_FD 4
#define STARTER_CONSOLE_FD 5
#define STARTER_TAP_FD 6 /* only held open, as long as it runs; not there without a network */

#define STARTER_AGENT_SOCKET "agent.sock"
#define STARTER_CONTROL_SOCKET "monitor.sock"
#define STARTER_CONSOLE_SOCKET "console.sock"
#define STARTER_WORDS_MAX 12

struct starter_request {
    const char *program; /* absolute path of holm-fake-monitor */
    const char *id;
    const char *vm_dir;
    int tap_fd;                           /* borrowed; 0: none */
    const char *words[STARTER_WORDS_MAX]; /* name=value, until the first NULL */
};

/* Returns when the monitor answers on its control socket. After a failure nothing of it is left but
 * its log in vm_dir. */
int starter_start(const struct starter_request *q, struct proc_ref *ret, struct err *e);

/* Makes the error of a monitor that has ended: ERR_UNAVAILABLE with its last words, if any. */
int starter_explain(const char *vm_dir, struct err *e);

/* Removes the sockets. */
void starter_clean(const char *vm_dir);
