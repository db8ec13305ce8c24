/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* "Did you mean": the candidate that is a typing mistake away from what was written. Any thread. */

#include <stddef.h>

/* How many letters must be changed, added, dropped or swapped with their neighbour to come from `a`
 * to `b`, case ignored; strings beyond 63 bytes are as far as can be (SIZE_MAX). */
size_t nearest_distance(const char *a, const char *b);

/* A search: start with {.word = w, .best_distance = SIZE_MAX}, offer candidates, read `best`: NULL
 * when none is near enough (a third of the word, at least 1, at most 3) to be meant. */
struct nearest {
    const char *word;
    const char *best; /* borrowed from the offers */
    size_t best_distance;
};
void nearest_offer(struct nearest *n, const char *candidate);
