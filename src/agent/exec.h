/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* POST /v1/exec: a program, its three streams and its end. */

#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "agent/call.h"

void exec_begin(struct call *c);
void exec_body(struct call *c, const uint8_t *data, size_t len);
void exec_body_end(struct call *c);
void exec_closed(struct call *c);

/* A child of the agent was reaped; it need not be one of ours. */
void exec_child_ended(struct agent *a, pid_t pid, int status, const struct rusage *usage);
