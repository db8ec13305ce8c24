/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What several commands want of the daemon's languages. Thread: the main one. */

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/api_client.h"
#include "cli/cli.h"
#include "cli/term.h"

/* The answer of GET /api/v1/languages; its "languages" is sure to be an array. */
int languages_fetch(struct api_client *c, json_t **ret, struct err *e);

/* How many there are, how many can be run, and the names of those with which something is not as it
 * should be, with their status ("c (preparing), perl (failed)"). */
struct languages_count {
    size_t all;
    size_t ready;
    size_t built;      /* the first run prepares them */
    size_t missing;    /* their image is not there, as the owner of the host may want it */
    json_int_t pooled; /* -1: the server does not say */
    struct buf others;
};
void languages_count(const json_t *answer, struct languages_count *ret);
void languages_count_done(struct languages_count *n);
/* In words, appended. */
void languages_count_say(const struct languages_count *n, struct buf *ret);

/* Says that the daemon answered 404 for a language, which ones it has, and which name or alias of
 * them is nearest. Returns the exit code. */
int languages_unknown(struct cli *cli, struct api_client *c, const char *name);

/* The colour of a status word. */
enum term_style languages_style(const char *status);
