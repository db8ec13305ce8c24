/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A growing argument vector. Appends after a failure do nothing; check `failed` once at the end.
 * Zero-initialised is empty. Thread: the owner's. */

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct argv {
    char **v; /* NULL-terminated once there is an element */
    size_t n;
    size_t cap;
    bool failed; /* no memory */
};

void argv_add(struct argv *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void argv_add_all(struct argv *a, const struct argv *more);
void argv_done(struct argv *a);
#define auto_argv CLEANUP(argv_done)
