/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The fake guest's memory, as far as its programs see it: named values, which a capture keeps and a
 * stop loses. Names and values are any bytes. Thread: the monitor's only one. */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "engine/fake/pack.h"

#define VARS_MAX 1024
#define VARS_NAME_MAX_BYTES 64
#define VARS_VALUE_MAX_BYTES 65536

struct var {
    char *name;
    char *value;
};

/* Zero-initialised is empty. */
struct vars {
    struct var list[VARS_MAX]; /* in the order of their first setting */
    size_t n;
};

void vars_clear(struct vars *v);

/* Borrowed until the next change; NULL: none. */
const char *vars_get(const struct vars *v, const char *name);
/* -E2BIG beyond the bounds, -ENOMEM. */
int vars_set(struct vars *v, const char *name, const char *value);
/* The value as a number (0 when it is none) and this much more; the result is in *ret. */
int vars_add(struct vars *v, const char *name, int64_t more, int64_t *ret);

void vars_save(const struct vars *v, struct buf *out);
/* Into an empty table; hostile. */
int vars_load(struct vars *v, struct unpack *u);
uint64_t vars_hash(const struct vars *v, uint64_t hash);
