/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* POST /v1/accept: the next connection that a program of the guest makes to an address and port,
 * as the two bodies of the request. */

#include <stddef.h>
#include <stdint.h>

#include "agent/call.h"

struct agent;
struct acceptor;

void accept_begin(struct call *c);
void accept_body(struct call *c, const uint8_t *data, size_t len);
void accept_body_end(struct call *c);
void accept_closed(struct call *c);
