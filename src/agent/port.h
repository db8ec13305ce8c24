/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Finding devices: the agent's virtio-serial port by its name, and waiting for what the kernel has
 * yet to announce. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PORT_NAME "org.holm.agent"

/* Opens a socket on which the kernel announces devices. To be opened before looking whether a
 * device is there, so that none is missed in between. Returns the fd or a negative errno. */
int port_events_open(void);

/* Returns once `there(arg)` is true, looking again whenever the kernel announces something;
 * -ETIMEDOUT at the deadline (clock_mono_ms). */
int port_wait(int events_fd, int64_t deadline_ms, bool (*there)(void *arg), void *arg);

/* Opens the port's device; -ENOENT when there is none of this name (yet). */
int port_open(void);

/* port_open, waiting for the device. */
int port_open_wait(int events_fd, int64_t deadline_ms);
