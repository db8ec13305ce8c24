/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Text in columns. On a terminal the heads are dim, cells may have colours and the last column is
 * wrapped to the width; elsewhere it is plain text, one row a line. A column whose cells are all
 * empty is left out, unless there are no rows at all. Thread: the main one. */

#include "cli/term.h"

#define TABLE_COLUMNS_MAX 10

struct table_cell {
    const char *text; /* any text: made harmless by term_safe; NULL counts as "" */
    enum term_style style;
};

struct table {
    size_t n_columns;
    const char *const *heads; /* n_columns, borrowed; NULL: no line of heads */
    unsigned right;           /* bit n: column n holds numbers, which end under each other */
    struct table_row *rows;
    size_t n_rows;
    bool failed; /* out of memory: a row is missing */
};

/* Copies `cells` (n_columns of them). */
void table_add(struct table *t, const struct table_cell *cells);
void table_print(const struct table *t, const struct term *term);
void table_done(struct table *t);
#define auto_table CLEANUP(table_done)
