/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the daemon does with images in the background - builds, pushes, pulls - is asked for and
 * looked on at from here. Ctrl-C only ends the looking on. Thread: the main one. */

#include "cli/cli.h"

#define BUILDS_PATH "/v1/builds"

/* How one is called, so that these make sense: "the NOUN of python goes on", "BEFORE python DONE",
 * "BEFORE python FAILED: why". */
struct builds_words {
    const char *noun, *before, *done, *failed;
};

/* Until it has ended, with a line on a terminal about how far it is; with --detach only its id is
 * printed. *b, the daemon's answer to who has asked for it, is replaced. An error when it failed,
 * after the end of its log. */
int builds_wait(struct cli_call *call, const struct builds_words *words, json_t **b, struct err *e);

struct builds_order {
    const struct builds_words *words;
    /* Asks the daemon for one. */
    int (*start)(struct cli_call *call, void *arg, const char *name, json_t **ret, struct err *e);
    void *arg;
};

/* All are put in line before the first is waited for, so that a wrong name shows at once. */
int builds_wait_all(struct cli_call *call, const struct builds_order *o, const char *const *names,
                    size_t n, struct err *e);
