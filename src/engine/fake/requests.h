/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The file requests of the fake guest's agent (docs/agent-protocol.md). Thread: the monitor's only
 * one. */

#include <stddef.h>
#include <stdint.h>

struct call;

void requests_put_begin(struct call *c);
void requests_put_end(struct call *c);
void requests_put_closed(struct call *c);
void requests_get(struct call *c);
void requests_get_closed(struct call *c);
void requests_stat(struct call *c);
void requests_list(struct call *c);
void requests_remove(struct call *c);

void requests_tar_put_begin(struct call *c);
void requests_tar_put_body(struct call *c, const uint8_t *data, size_t len);
void requests_tar_put_end(struct call *c);
void requests_tar_get(struct call *c);
void requests_tar_closed(struct call *c);
