/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The runner dialect: source code in, output out, in one call. docs/runner.md is its manual. */

#include "api/route.h"

extern const struct route runner_routes[];        /* ends with a row without path */
extern const struct route runner_rootfs_routes[]; /* likewise */
extern const struct dialect runner_dialect;

/* {"error": text, "field"?: name, "suggestion"?: name, "status": "failed"} */
json_t *runner_error(const struct err *e);
extern const struct field runner_error_fields[];

/* The language by name or alias; ERR_NOT_FOUND, suggesting the nearest, when there is none. */
int runner_language(const char *name, const struct language **ret, struct err *e);
