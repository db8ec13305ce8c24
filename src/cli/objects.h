/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the commands about things of a kind have in common: showing all, deleting some. Thread: the
 * main one. */

#include "cli/cli.h"
#include "cli/ref.h"
#include "cli/table.h"

struct objects_list {
    const char *path;         /* what the daemon is asked for */
    const char *const *heads; /* n_columns of them */
    size_t n_columns;
    unsigned right;   /* as a table's */
    const char *none; /* instead of an empty table on a terminal; NULL: nothing is */
    void (*add_row)(struct table *t, const struct term *term, const json_t *object);
};

/* All that there are: a table, or with --json as the daemon says it. */
int objects_list(struct cli_call *call, const struct objects_list *l, struct err *e);

/* Those that the words name. All are looked up, and asked about, before the first is deleted; with
 * --force one may be missing. */
int objects_delete(struct cli_call *call, enum ref_kind kind, struct err *e);
