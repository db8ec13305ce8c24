/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* PUT /v1/tar: unpacks a tar as it comes, below a directory that nothing in it can lead out of.
 *
 * All of it is done with the file system rights of the user whose files they become, and without
 * following a symbolic link: neither one that was there before nor one that a program of the guest
 * puts in the way meanwhile can make the agent write where that user could not, or anywhere else
 * than below. Files that are there are replaced, links among them too; directories stay. What a
 * failure leaves is what was unpacked until then. */

#include <stddef.h>
#include <stdint.h>

#include "agent/call.h"

void unpack_begin(struct call *c);
void unpack_body(struct call *c, const uint8_t *data, size_t len);
void unpack_body_end(struct call *c);
void unpack_closed(struct call *c);
