/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* "Did you mean ...?": the candidate nearest to a mistyped word. Offer every candidate, then read
 * `best`. Thread: the caller's. */

#include <stddef.h>

struct suggest {
    const char *word; /* what was typed, borrowed */
    size_t len;
    const char *best; /* NULL: nothing is near enough; borrowed from what was offered */
    size_t best_distance;
};

void suggest_offer(struct suggest *s, const char *candidate);

/* Edits (insert, delete, replace, swap of neighbours) from one text to the other. Texts longer than
 * SUGGEST_MAX_CHARS count as far apart. */
#define SUGGEST_MAX_CHARS 32
size_t suggest_distance(const char *a, size_t a_len, const char *b, size_t b_len);
