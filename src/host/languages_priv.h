/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The inside of a table, for languages.c (looking things up) and languages_load.c (making one). */

#include <jansson.h>

#include "base/limits.h"
#include "host/languages.h"

struct languages {
    json_t *document; /* owns the texts that are in it as they are */
    char **joined;    /* n_joined texts that are not */
    size_t n_joined, joined_cap;
    struct language rows[LANGUAGES_MAX];
    struct language_warm warm[LANGUAGES_MAX]; /* of the row with the same number */
    size_t n_rows;
    struct language_image images[LANGUAGE_IMAGES_MAX];
    size_t n_images;
};

/* How many names and aliases of the table are `word`, whatever case. */
size_t languages_count_meanings(const struct languages *t, const char *word);
