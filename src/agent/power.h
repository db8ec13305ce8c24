/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Turning the guest off: by request (POST /v1/power) or by signal. */

#include "agent/agent.h"
#include "agent/call.h"

void power_init(struct agent *a);
void power_request(struct call *c);

/* A guest's init follows the signals of init: SIGTERM and SIGINT (Ctrl-Alt-Del) reboot, SIGUSR2 and
 * SIGPWR turn off. Beside an image's init they are ignored. On a host they end the agent. */
void power_signal(struct agent *a, int sig);
