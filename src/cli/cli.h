/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The command line `holm`. A command is a row: from it come the dispatch, the parsing of its
 * options, its help page and the shell completions. Everything runs on the main thread.
 *
 * Errors of ours are one line on stderr, "holm: what happened; what to do". */

#include <stdbool.h>

#include <jansson.h>

#include "base/err.h"
#include "cli/api_client.h"
#include "cli/interrupt.h"
#include "cli/key.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/term.h"

#define CLI_EXIT_USAGE 2     /* the command line makes no sense */
#define CLI_EXIT_TIMEOUT 124 /* the program was ended at its timeout */
#define CLI_EXIT_FAILED 125  /* something of ours failed: no program's exit code */

#define CLI_URL_DEFAULT "http://127.0.0.1:8080"

/* What every command works with. */
struct cli {
    struct term out;
    struct term err;
    struct interrupt interrupt;
    struct progress progress;
    const char *url;
    const char *key;        /* NULL: none was given */
    const char *key_source; /* what gave it: "--key", "HOLM_API_KEY" */
    struct key found;       /* one that was looked for since none was given */
};

struct cli_example {
    const char *command; /* as typed, NULL ends the list */
    const char *doc;     /* what it does */
};

/* One command under way, for those that do nothing but talk to the daemon. */
struct cli_call {
    struct cli *cli;
    const struct options *o;
    struct api_client *client;
    int code; /* what it ends with when all went well; 0 to begin with */
};

struct cli_command {
    const char *name;                 /* one word, or two: a group's and its own ("vm create") */
    const char *summary;              /* one line */
    const char *const *usage;         /* what follows "holm ", a line each; ends with NULL */
    const char *details;              /* paragraphs, separated by line ends */
    const struct option_row *options; /* ends with name NULL */
    const struct cli_example *examples;
    bool is_hidden;   /* from help and completions */
    size_t words_min; /* positional words */
    size_t words_max;
    const char *needs;        /* what is said when there are fewer than words_min */
    enum option_fill fill[2]; /* what a shell offers for the first word, and the others */
    enum options_owner (*owner)(const struct options *so_far);
    /* Returns the exit code. With neither `run` nor `call` the row is a group's. */
    int (*run)(struct cli *cli, const struct options *o);
    /* Instead of `run`: 0 or an error. One of class ERR_INVALID before anything was sent is a
     * command line that makes no sense. */
    int (*call)(struct cli_call *call, struct err *e);
    const char *doing; /* with `call`: what the progress line says */
};

/* Ends with NULL; a group stands before its commands. */
extern const struct cli_command *const cli_commands[];

/* --url, --key, --help: understood by every command. */
extern const struct option_row cli_global_options[];

/* NULL: there is none. */
const struct cli_command *cli_find(const char *name);

/* Whether it only holds others. */
static inline bool cli_is_group(const struct cli_command *c)
{
    return !c->run && !c->call;
}

/* The second word of a command's name; NULL: it has one only. */
const char *cli_second_word(const struct cli_command *c);

/* Whether `c` is one of `group`'s commands; NULL: one that belongs to none. */
bool cli_is_in(const struct cli_command *c, const struct cli_command *group);

/* Takes the progress line away and says "holm: ..."; returns the exit code for it: that of a caught
 * signal when there is one, CLI_EXIT_FAILED else. */
int cli_fail(struct cli *cli, const struct err *e);

/* The same for a command line that makes no sense, with where to find help; `command` may be NULL.
 * Returns CLI_EXIT_USAGE. */
int cli_usage(struct cli *cli, const char *command, const struct err *e);

/* "holm: there is no command 'X'", with the nearest one of the group (NULL: of holm); returns
 * CLI_EXIT_USAGE. */
int cli_unknown_command(struct cli *cli, const struct cli_command *group, const char *word);

/* "holm: WORDS" on stderr, made harmless; the progress line is taken away first. */
void cli_say(struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A client for the daemon that --url and HOLM_URL name, with the key that was given or found, and
 * the progress line saying `doing`. */
int cli_connect(struct cli *cli, const char *doing, struct api_client **ret, struct err *e);

/* Prints a JSON value to stdout, indented. */
void cli_print_json(struct cli *cli, const json_t *value);

/* All of main. Returns the exit code. */
int cli_main(int argc, char **argv);
