/* SPDX-License-Identifier: Apache-2.0 */

/* Cells are copied and made harmless as they come in, so that widths are those of what is printed.
 * Widths are columns of the terminal, not bytes: printf's %-*s would count bytes. */

#include "cli/table.h"

#include <stdlib.h>
#include <string.h>

#define GAP 2 /* spaces between columns */

struct table_row {
    char *text[TABLE_COLUMNS_MAX];
    enum term_style style[TABLE_COLUMNS_MAX];
};

static char *safe_copy(const char *text)
{
    auto_buf struct buf b = {0};
    term_safe(&b, text ? text : "");
    return b.failed ? NULL : strdup(buf_str(&b));
}

void table_add(struct table *t, const struct table_cell *cells)
{
    struct table_row *rows = reallocarray(t->rows, t->n_rows + 1, sizeof(*rows));
    if (!rows) {
        t->failed = true;
        return;
    }
    t->rows = rows;
    struct table_row *row = &rows[t->n_rows++];
    *row = (struct table_row){0};
    for (size_t i = 0; i < t->n_columns; i++) {
        row->text[i] = safe_copy(cells[i].text);
        row->style[i] = cells[i].style;
        t->failed |= !row->text[i];
    }
}

static const char *text_of(const struct table_row *row, size_t column)
{
    return row->text[column] ? row->text[column] : "";
}

/* 0 for a column in which nothing stands: it is left out, head and all. */
static void measure(const struct table *t, int ret[TABLE_COLUMNS_MAX])
{
    for (size_t c = 0; c < t->n_columns; c++) {
        ret[c] = 0;
        for (size_t r = 0; r < t->n_rows; r++) {
            const char *text = text_of(&t->rows[r], c);
            int w = term_columns(text, strlen(text));
            if (w > ret[c])
                ret[c] = w;
        }
        int head = t->heads ? term_columns(t->heads[c], strlen(t->heads[c])) : 0;
        bool is_shown = ret[c] || !t->n_rows;
        if (is_shown && ret[c] < head)
            ret[c] = head;
    }
}

/* The last column: what is left of the terminal's width, further lines under the first. */
static void print_wrapped(const struct term *term, int indent, const char *text,
                          enum term_style style)
{
    int room = term->width ? term->width - indent : 0;
    for (bool first = true; *text || first; first = false) {
        size_t len = strlen(text), next = len;
        if (room >= 20)
            term_break(text, room, &len, &next);
        fprintf(term->file, "%*s%s%.*s%s\n", first ? 0 : indent, "", term_on(term, style), (int)len,
                text, term_off(term, style));
        text += next;
    }
}

static void print_row(const struct table *t, const struct term *term, const struct table_row *row,
                      const int width[TABLE_COLUMNS_MAX])
{
    int indent = 0;
    size_t last = t->n_columns - 1;
    /* No white space at the end of a line: empty cells on the right are left out. */
    while (last > 0 && (!width[last] || !*text_of(row, last)))
        last--;
    for (size_t c = 0; c < last; c++) {
        const char *text = text_of(row, c);
        if (!width[c])
            continue;
        int pad = width[c] - term_columns(text, strlen(text));
        bool is_right = t->right >> c & 1;
        fprintf(term->file, "%*s%s%s%s%*s", is_right ? pad : 0, "", term_on(term, row->style[c]),
                text, term_off(term, row->style[c]), is_right ? GAP : pad + GAP, "");
        indent += width[c] + GAP;
    }
    const char *text = text_of(row, last);
    if (t->right >> last & 1)
        indent += fprintf(term->file, "%*s", width[last] - term_columns(text, strlen(text)), "");
    print_wrapped(term, indent, text, row->style[last]);
}

void table_print(const struct table *t, const struct term *term)
{
    int width[TABLE_COLUMNS_MAX];
    measure(t, width);
    if (t->heads) {
        struct table_row head = {0};
        for (size_t c = 0; c < t->n_columns; c++) {
            head.text[c] = (char *)t->heads[c]; /* print_row only reads */
            head.style[c] = STYLE_DIM;
        }
        print_row(t, term, &head, width);
    }
    for (size_t r = 0; r < t->n_rows; r++)
        print_row(t, term, &t->rows[r], width);
}

void table_done(struct table *t)
{
    for (size_t r = 0; r < t->n_rows; r++) {
        for (size_t c = 0; c < t->n_columns; c++)
            free(t->rows[r].text[c]);
    }
    free(t->rows);
    t->rows = NULL;
    t->n_rows = 0;
}
