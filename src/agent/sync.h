/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* POST /v1/sync: answers once everything written is on the disk. */

#include "agent/call.h"

void sync_begin(struct call *c);
void sync_closed(struct call *c);
