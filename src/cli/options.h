/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Parses a command's words by its option rows. The same rows make the help pages (help.h) and the
 * shell completions (completion.h).
 *
 * Long options are `--name VALUE` or `--name=VALUE`, short ones `-n VALUE`, `-nVALUE`, and flags
 * may stand together (`-ab`). `--` ends the options. A lone `-` is a word. Everything that comes
 * out borrows from argv and from the rows. Thread: the caller's. */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* What a shell may offer as the value. */
enum option_fill {
    FILL_NOTHING,
    FILL_FILE,
    FILL_LANGUAGE,
    FILL_COMMAND,
    FILL_SUBCOMMAND, /* of the group that the word before names */
    FILL_SHELL,
    FILL_REMOTE_WHAT,
    FILL_VM,      /* from here on names that the daemon is asked for: `holm _names KIND` */
    FILL_VM_PATH, /* a file, or VM:PATH */
    FILL_SNAPSHOT,
    FILL_IMAGE,
    FILL_REMOTE_IMAGE, /* in the object store */
    FILL_TYPE,
    FILL_ACCOUNT,
    FILL_KEY,
};

struct option_row {
    const char *name;  /* without the dashes; NULL ends a table */
    char letter;       /* 0: none */
    const char *value; /* what the value is called in the help; NULL: a flag */
    const char *doc;   /* a phrase for the help and the completions */
    enum option_fill fill;
};

struct option_hit {
    const struct option_row *row;
    const char *value; /* NULL for a flag */
};

/* Who owns what comes next on the command line. */
enum options_owner {
    OPTIONS_OURS,   /* ours: an unknown option is an error */
    OPTIONS_SHARED, /* our options are ours; anything else begins the program's words */
    OPTIONS_THEIRS, /* everything from here on is the program's */
};

struct options {
    struct option_hit *hits; /* in the order given */
    size_t n_hits;
    const char **words; /* positional ones */
    size_t n_words;
    char **rest; /* of argv: the program's words */
    size_t n_rest;
};

struct options_spec {
    const struct option_row *const *tables; /* ends with NULL */
    size_t words_max;
    /* Asked before each word; NULL: everything is ours. */
    enum options_owner (*owner)(const struct options *so_far);
};

/* Parses argv[0..argc). ERR_INVALID names the word at fault and the nearest option. */
int options_parse(const struct options_spec *spec, int argc, char **argv, struct options *ret,
                  struct err *e);
void options_done(struct options *o);
#define auto_options CLEANUP(options_done)

/* By long name. `options_value` gives the last one's value, NULL when it was not given. */
bool options_has(const struct options *o, const char *name);
const char *options_value(const struct options *o, const char *name);

struct options_range {
    int min, max;
    int fallback; /* when the option was not given; may lie outside */
};

/* The option's value as a whole number of the range. */
int options_number(const struct options *o, const char *name, const struct options_range *range,
                   int *ret, struct err *e);
