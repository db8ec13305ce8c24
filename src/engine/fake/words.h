/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The words of the language, one line each (README.md lists them). Thread: the monitor's only one.
 */

#include "engine/fake/script.h"

/* A line, and what stands after its first word and a space. Not NUL-terminated. */
struct line {
    const char *text;
    size_t len;
    const char *rest;
    size_t rest_len;
};

/* Runs one line. 1: it yielded an event, 0: none. */
int words_run(struct script *s, const struct line *l, struct script_event *ret);

/* Scratch as an event; a program that runs out of memory is killed, as a guest's kernel would do.
 * Returns 1. */
int words_write_scratch(struct script *s, bool to_stderr, struct script_event *ret);
