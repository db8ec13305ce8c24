/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The sockets of a monitor. The host binds and listens, the monitor inherits the listening
 * descriptor: a connect right after its start waits in the backlog until the monitor looks at it,
 * and no socket's name has to exist in the jail. */

#define SOCKETS_AGENT "agent.sock"
#define SOCKETS_QMP "qmp.sock"
#define SOCKETS_CONSOLE "console.sock"

/* Connects to the socket at `path`; blocking descriptor with `timeout_ms` as its send timeout.
 * -EAGAIN: the backlog was full for that long, the monitor hangs. */
int sockets_connect(const char *path, int timeout_ms);
