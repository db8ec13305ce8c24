/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* GET /v1/stat, GET /v1/list and DELETE /v1/files: what is there, and away with it. */

#include "agent/call.h"

void tree_stat(struct call *c);
void tree_list(struct call *c);
void tree_remove(struct call *c);
void tree_remove_closed(struct call *c);
