/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* `POST /v1/exec` of the fake guest: frames in, what the program does out as frames, at the pace at
 * which the client takes them. Thread: the monitor's only one. */

#include <stddef.h>
#include <stdint.h>

struct call;

void exec_begin(struct call *c);
void exec_body(struct call *c, const uint8_t *data, size_t len);
void exec_body_end(struct call *c);
void exec_closed(struct call *c);
