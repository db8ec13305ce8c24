/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Interprets a program of the fake guest (README.md has the language) and yields the frames that an
 * agent would send. No I/O, no clock of its own: time comes in. One thread. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "engine/fake/files.h"
#include "wire/exec_spec.h"

struct script;

/* Takes the content of `spec` (exec_spec_done is no more the caller's). `files` is borrowed. */
int script_new(struct files *files, struct exec_spec *spec, int64_t now_us, struct script **ret);
void script_free(struct script *s); /* NULL is fine */

/* Standard input, its end, and a signal. Cheap; script_advance does the work. */
int script_stdin(struct script *s, const void *data, size_t len);
void script_stdin_end(struct script *s);
void script_signal(struct script *s, int signal);

/* Runs until it has to wait. */
void script_advance(struct script *s, int64_t now_us);

/* When it wants to be advanced again; INT64_MAX: not on account of the time. */
int64_t script_wake_us(const struct script *s);

/* Takes frames out: a number of bytes, 0: none now, -1: none any more. */
ssize_t script_pull(struct script *s, uint8_t *buf, size_t size);

/* The program said `die`. */
bool script_wants_death(const struct script *s);
