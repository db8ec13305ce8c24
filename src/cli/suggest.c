/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/suggest.h"

#include <string.h>

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The optimal string alignment distance by the usual table; whole and on the stack, since texts are
 * short and this runs once a mistake. */
size_t suggest_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t d[SUGGEST_MAX_CHARS + 1][SUGGEST_MAX_CHARS + 1];
    if (a_len > SUGGEST_MAX_CHARS || b_len > SUGGEST_MAX_CHARS)
        return SUGGEST_MAX_CHARS + 1;
    for (size_t i = 0; i <= a_len; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= b_len; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        for (size_t j = 1; j <= b_len; j++) {
            size_t replace = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            d[i][j] = min(min(d[i - 1][j], d[i][j - 1]) + 1, replace);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = min(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[a_len][b_len];
}

void suggest_offer(struct suggest *s, const char *candidate)
{
    size_t len = strlen(candidate);
    size_t distance = suggest_distance(s->word, s->len, candidate, len);
    /* A word cut short ("lang", "py") is nearer than its number of missing letters says. */
    if (s->len >= 2 && s->len < len && !strncmp(s->word, candidate, s->len))
        distance = 1;
    /* More than a third of the letters wrong is another word, not a mistake. */
    size_t limit = s->len / 3 + 1;
    if (distance > limit || distance >= min(s->len, len))
        return;
    if (!s->best || distance < s->best_distance) {
        s->best = candidate;
        s->best_distance = distance;
    }
}
