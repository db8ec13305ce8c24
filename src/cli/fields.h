/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Any JSON object as rows "name value" of a table: what a newer daemon adds is shown without this
 * program knowing it. Thread: the main one. */

#include <jansson.h>

#include "cli/table.h"

/* One row. */
void fields_row(struct table *t, const char *name, const char *value, enum term_style style);

/* Rows for the members, in their order: '_' in a name becomes a space, true is "yes", lists are
 * joined by commas, an object within is flattened ("vms running"), null is left out. Names in
 * `except` (NULL-terminated; may be NULL) are skipped. */
void fields_add(struct table *t, const json_t *object, const char *const *except);
