/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the terminal behind a stream can show: colours, width, characters. Text that came over the
 * network is made harmless before it is shown. Thread: the main one. */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/buf.h"

struct term {
    FILE *file;
    bool tty;
    bool colour; /* a terminal, and neither NO_COLOR nor TERM=dumb says otherwise */
    bool utf8;
    int width; /* columns; 0 when it is not a terminal: nothing is wrapped then */
};

enum term_style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_GOOD, STYLE_WARN, STYLE_BAD };

void term_init(struct term *t, FILE *file);

/* The escape sequence that starts a style, and the one that ends it; "" without colours. */
const char *term_on(const struct term *t, enum term_style style);
const char *term_off(const struct term *t, enum term_style style);

/* Appends `text` with control characters (C0, DEL, C1) and bytes that are not UTF-8 as '?', so that
 * what a server or guest says cannot drive the terminal. Line ends become spaces. */
void term_safe(struct buf *ret, const char *text);

/* Columns that UTF-8 text takes. */
int term_columns(const char *text, size_t len);

/* Where to break `text` so that its first line takes at most `width` columns: *ret_len bytes to
 * show, *ret_next where the next line starts. Breaks at spaces, inside a word only when it must. */
void term_break(const char *text, int width, size_t *ret_len, size_t *ret_next);

/* Prints words filled to the width (or 80 when there is none), every line indented; the paragraphs
 * of `text` are separated by line ends. */
void term_fill(const struct term *t, int indent, const char *text);
