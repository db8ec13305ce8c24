/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reading the fields of a JSON object, with sentences for what is wrong. Each function leaves *ret
 * as it is when an optional field is missing, so defaults are set before. Every error is
 * ERR_INVALID and names the field. Any thread. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum field_need { FIELD_OPTIONAL, FIELD_REQUIRED };

struct field_range {
    int64_t min;
    int64_t max;
};

static inline void field_decref(json_t **j)
{
    json_decref(*j);
}

#define auto_json __attribute__((cleanup(field_decref)))

/* Parses text that must be one JSON object, no key twice. The caller owns *ret. */
int field_parse(const char *json, size_t len, json_t **ret, struct err *e);

/* Fails for a key that is not in the NULL-terminated list. */
int field_only(json_t *obj, const char *const names[], struct err *e);

int field_int(json_t *obj, const char *name, enum field_need need, struct field_range range,
              int64_t *ret, struct err *e);
int field_bool(json_t *obj, const char *name, enum field_need need, bool *ret, struct err *e);

/* A string of at most max_bytes. *ret is borrowed from `obj`. */
int field_str(json_t *obj, const char *name, enum field_need need, size_t max_bytes,
              const char **ret, struct err *e);

/* Decodes hex text of any case into `ret` (at most `size` bytes); returns how many, -EINVAL. */
int field_hex(const char *hex, uint8_t *ret, size_t size);
