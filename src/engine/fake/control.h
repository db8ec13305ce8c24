/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Asking a fake monitor: one line there, one line back, on monitor.sock in the VM's directory, a
 * connection for each.
 *
 *   state           ok running | ok paused
 *   stats           ok DISK CPU IO         bytes of the guest's files, microseconds that its
 * programs computed, bytes it wrote pause, resume   ok save KIND DIR   ok STATE MICROSECONDS BYTES
 * HASH HASH files `state` and `disk` written; what it was before, how long it stood still. After
 * KIND "suspend" it is paused flatten         ok resize BYTES    ok power           ok the guest
 * shuts itself down quit            ok                     the monitor ends
 *
 * or "error CLASS SENTENCE" with a number of enum err_class. Any thread. */

#include "base/buf.h"
#include "base/err.h"

/* Appends what follows "ok" (without the space) to `answer`. ERR_UNAVAILABLE: the monitor is gone;
 * ERR_TIMEOUT: it does not answer. */
int control_call(const char *vm_dir, const char *request, struct buf *answer, struct err *e);
