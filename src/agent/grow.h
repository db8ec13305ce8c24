/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* POST /v1/grow: makes the root file system fill its device. */

#include "agent/call.h"

void grow_begin(struct call *c);
void grow_closed(struct call *c);
