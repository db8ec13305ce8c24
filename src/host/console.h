/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Serial consoles: one connection to each VM's, whose output goes into a bounded log
 * (DATA/consoles/ ID.log and, before that, ID.log.1) and to whoever is attached.
 *
 * One thread reads them all. What a guest writes costs a bounded read and a bounded write; a reader
 * that is slow loses the oldest, never holds up the guest or the others. Any thread may call. */

#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

struct consoles;
struct console_reader;
struct engine;
struct monitor;

int consoles_new(const char *data_dir, struct consoles **ret, struct err *e);
void consoles_free(struct consoles *c); /* NULL is fine */

/* Connects to a running monitor's console; a failure is logged, the VM does without. */
void console_attach(struct consoles *c, struct engine *en, const struct monitor *m);
/* The monitor ends: readers come to their end, the log stays. */
void console_detach(struct consoles *c, const char *id);
/* Removes the log. */
void console_forget(struct consoles *c, const char *id);

/* Appends the log, at least the last CONSOLE_LOG_KEEP_BYTES, at most twice that. */
int console_log(struct consoles *c, const char *id, struct buf *ret, struct err *e);

/* ERR_CONFLICT: it has no console now. */
int console_open(struct consoles *c, const char *id, struct console_reader **ret, struct err *e);
/* Bytes, 0 when the console has ended, -ECANCELED after a shutdown. Blocks. */
ssize_t console_read(struct console_reader *r, void *buf, size_t max);
/* Keystrokes. -EPIPE when it has ended. Blocks while the guest takes no more. */
int console_write(struct console_reader *r, const void *data, size_t len);
void console_shutdown(struct console_reader *r);
void console_close(struct console_reader *r); /* NULL is fine */
