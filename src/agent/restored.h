/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* GET /v1/ready and POST /v1/restored: what this guest is, and what must change in it when it goes
 * on living as a copy: its clock stood still, and its random generator is the original's. */

#include "agent/call.h"

void restored_ready(struct call *c);
void restored_apply(struct call *c);
