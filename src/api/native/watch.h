/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Ends a transfer to or from a VM that nobody waits for any more: its thread is blocked in the
 * guest (which may be paused for hours) and cannot look. A thread of the watch's own looks at the
 * client's socket and the clock. */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "host/vms_guest.h"

struct watch;

/* Shuts `s` down (borrowed) when the client behind `client_fd` has gone, or at `deadline_ms`
 * (clock_mono_ms; 0: none). */
int watch_start(struct vm_stream *s, int client_fd, int64_t deadline_ms, struct watch **ret,
                struct err *e);
/* Whether the deadline was what ended it. */
bool watch_timed_out(const struct watch *w);
/* Waits for its thread; before the stream is freed. NULL is fine. */
void watch_free(struct watch *w);
