/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* PUT and GET /v1/files. A file is written beside its target and renamed over it when it is
 * complete, so nobody ever sees half of one; a symbolic link as the target is replaced, not
 * followed. Only regular files are read, from an offset on if so wished. */

#include <stdint.h>

#include "agent/call.h"

void files_put_begin(struct call *c);
void files_put_body(struct call *c, const uint8_t *data, size_t len);
void files_put_end(struct call *c);
void files_put_closed(struct call *c);

void files_get_begin(struct call *c);
void files_get_closed(struct call *c);
