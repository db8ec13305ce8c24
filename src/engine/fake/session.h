/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One connection to a fake guest: hello, HTTP/2, and the agent's requests. No I/O. One thread. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "engine/fake/files.h"

/* How the agent of this guest misbehaves; see README.md. */
enum session_fault {
    SESSION_FAULT_NONE,
    SESSION_FAULT_NEVER,
    SESSION_FAULT_GARBAGE,
    SESSION_FAULT_REFUSE,
    SESSION_FAULT_EXEC_RESET,
    SESSION_FAULT_EXEC_HANG,
};

enum session_fault session_fault_parse(const char *word);

struct session;

int session_new(struct files *files, enum session_fault fault, struct session **ret);
void session_free(struct session *s); /* NULL is fine */

/* Takes bytes of the client; negative: hang up. */
int session_input(struct session *s, const void *data, size_t len);

/* Runs its programs. Returns when to call again: milliseconds, -1: only after input. */
int session_advance(struct session *s);

/* Appends bytes for the client. Negative: hang up. */
int session_output(struct session *s, struct buf *out);

/* A program said `die`. */
bool session_wants_death(const struct session *s);
