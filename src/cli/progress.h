/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One line on stderr that says what is going on: a spinner, words, seconds. Shown only on a
 * terminal, only after a moment (so that quick things do not flicker), and erased before anything
 * else is written. Thread: the main one. */

#include <stdbool.h>
#include <stdint.h>

#include "cli/term.h"

#define PROGRESS_TICK_MS 100
#define PROGRESS_DELAY_MS 250

struct progress {
    const struct term *term; /* borrowed */
    int64_t start_ms;        /* 0: off */
    int64_t drawn_ms;        /* when it was drawn last */
    bool shown;
    unsigned frame;
    char text[256];
};

/* Starts saying this; the seconds count from the first call. Nothing is drawn before the next
 * tick. */
void progress_set(struct progress *p, const struct term *term, const char *text);

/* Draws it when it is time. Call every PROGRESS_TICK_MS while waiting, or more often. */
void progress_tick(struct progress *p);

/* Draws it at once: for a wait in which nobody will tick. */
void progress_show(struct progress *p);

/* Erases it; the next tick draws it again. */
void progress_erase(struct progress *p);

/* Erases it for good. */
void progress_stop(struct progress *p);
