/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The table of languages, and of the images that they need: images/languages.json, which is built
 * into the daemon. images/build, the tests and the documentation read the same file; what it may
 * say is in images/README.md.
 *
 * The reading is strict: what is unknown, missing, of a wrong type or ambiguous is an error that
 * names its place, like "languages[3].run". host_language() and host_language_find() of host.h look
 * into the table in use.
 *
 * Threads: a table never changes. languages_use() comes before everything else that asks. */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "host/host.h"

/* What images/build makes an image of, as far as the daemon needs to know. */
struct language_image {
    const char *name;
    int size_mib;    /* of its file system */
    bool is_default; /* made when nothing else is asked for */
};

struct languages;

/* ERR_INVALID with the place and the reason. */
int languages_parse(const char *text, size_t len, struct languages **ret, struct err *e);
void languages_free(struct languages *t); /* NULL is fine */

/* By index from 0; NULL beyond the end. They live as long as the table. */
const struct language *languages_get(const struct languages *t, size_t index);
const struct language_image *languages_image(const struct languages *t, size_t index);
/* By name or alias, whatever case; NULL: there is none. */
const struct language *languages_find(const struct languages *t, const char *name);
const struct language_image *languages_find_image(const struct languages *t, const char *name);

/* From now on the table of this file counts, instead of the one that is built in. For the life of
 * the program, and before the first host_language(). */
int languages_use(const char *path, struct err *e);
/* The one in use. */
const struct languages *languages_in_use(void);
