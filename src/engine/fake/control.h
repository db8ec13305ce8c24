/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Asking a fake monitor: one line there, one line back, on monitor.sock in the VM's directory, a
 * connection for each.
 *
 *   state          ok running | ok paused
 *   stats          ok BYTES              of the guest's files
 *   pause, resume  ok
 *   save PATH      ok MICROSECONDS BYTES the guest stood still for; written
 *   power          ok                    the guest shuts itself down
 *   quit           ok                    the monitor ends
 *
 * or "error SENTENCE". Any thread. */

#include "base/buf.h"
#include "base/err.h"

/* Appends what follows "ok" (without the space) to `answer`. ERR_UNAVAILABLE: the monitor is gone;
 * ERR_TIMEOUT: it does not answer. */
int control_call(const char *vm_dir, const char *request, struct buf *answer, struct err *e);
