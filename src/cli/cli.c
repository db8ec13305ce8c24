/* SPDX-License-Identifier: Apache-2.0 */

/* The table of commands, and main: global options, the command, its options, its run function. Both
 * passes use the same parser; the first one leaves everything after the command's name alone, since
 * only the command's own rows can say what it means. */

#include "cli/cli.h"

#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/json.h"
#include "cli/suggest.h"

const struct cli_command *const cli_commands[] = {
    &cmd_run,     &cmd_languages,  &cmd_doctor, &cmd_status,
    &cmd_version, &cmd_completion, &cmd_help,   NULL,
};

const struct option_row cli_global_options[] = {
    {.name = "url",
     .value = "URL",
     .doc = "The daemon's address; else HOLM_URL, else " CLI_URL_DEFAULT},
    {.name = "key",
     .value = "KEY",
     .doc = "The API key; better in HOLM_API_KEY, where ps does not show it"},
    {.name = "help", .letter = 'h', .doc = "Show this help"},
    {0},
};

const struct cli_command *cli_find(const char *name)
{
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        if (!strcmp((*c)->name, name))
            return *c;
    }
    return NULL;
}

/* What is said may hold a server's or a file's words. */
static void say(struct cli *cli, const char *text)
{
    auto_buf struct buf safe = {0};
    term_safe(&safe, text);
    progress_stop(&cli->progress);
    fprintf(cli->err.file, "holm: %s\n", buf_str(&safe));
}

int cli_fail(struct cli *cli, const struct err *e)
{
    progress_stop(&cli->progress);
    /* Whoever pressed Ctrl-C knows why it ended. */
    if (interrupt_signal(&cli->interrupt))
        return 128 + cli->interrupt.signal;
    say(cli, e->text);
    return CLI_EXIT_FAILED;
}

int cli_usage(struct cli *cli, const char *command, const struct err *e)
{
    say(cli, e->text);
    fprintf(cli->err.file, "Try 'holm%s%s --help'.\n", command ? " " : "", command ? command : "");
    return CLI_EXIT_USAGE;
}

int cli_unknown_command(struct cli *cli, const char *word)
{
    struct err e = ERR_INIT;
    struct suggest s = {.word = word, .len = strlen(word)};
    for (const struct cli_command *const *c = cli_commands; *c; c++)
        suggest_offer(&s, (*c)->name);
    err_set(&e, ERR_INVALID, "there is no command '%.200s'%s%s%s", word,
            s.best ? "; did you mean '" : "", s.best ? s.best : "", s.best ? "'?" : "");
    return cli_usage(cli, NULL, &e);
}

int cli_connect(struct cli *cli, const char *doing, struct api_client **ret, struct err *e)
{
    int r = api_client_new(cli->url, cli->key, &cli->interrupt, ret, e);
    if (r < 0)
        return r;
    progress_set(&cli->progress, &cli->err, doing);
    api_client_set_progress(*ret, &cli->progress);
    return 0;
}

void cli_print_json(struct cli *cli, const json_t *value)
{
    progress_stop(&cli->progress);
    json_dumpf(value, cli->out.file, JSON_INDENT(2));
    fputc('\n', cli->out.file);
}

/* Options from the command line win over the environment. */
static void settle_globals(struct cli *cli, const struct options *o)
{
    const char *url = options_value(o, "url"), *key = options_value(o, "key");
    if (url)
        cli->url = url;
    if (key)
        cli->key = key;
}

/* The words after the command's name. --help wins over whatever else is wrong with values; an
 * unknown option is named before. */
static int run_command(struct cli *cli, const struct cli_command *c, int argc, char **argv)
{
    const struct option_row *const tables[] = {c->options, cli_global_options, NULL};
    struct options_spec spec = {.tables = tables, .words_max = c->words_max, .owner = c->owner};
    auto_options struct options o = {0};
    struct err e = ERR_INIT;
    if (options_parse(&spec, argc, argv, &o, &e) < 0)
        return cli_usage(cli, c->name, &e);
    if (options_has(&o, "help")) {
        help_command(&cli->out, c);
        return 0;
    }
    settle_globals(cli, &o);
    return c->run(cli, &o);
}

static enum options_owner after_command(const struct options *so_far)
{
    return so_far->n_words ? OPTIONS_THEIRS : OPTIONS_OURS;
}

/* The words before the command: global options; then the command with everything that follows. */
static int dispatch(struct cli *cli, int argc, char **argv)
{
    static const struct option_row version[] = {
        {.name = "version", .letter = 'V', .doc = "Show the version"},
        {0},
    };
    const struct option_row *const tables[] = {version, cli_global_options, NULL};
    struct options_spec spec = {.tables = tables, .words_max = 1, .owner = after_command};
    auto_options struct options o = {0};
    struct err e = ERR_INIT;
    if (options_parse(&spec, argc, argv, &o, &e) < 0)
        return cli_usage(cli, NULL, &e);
    settle_globals(cli, &o);
    if (options_has(&o, "version"))
        return cmd_version.run(cli, &o);
    const struct cli_command *c = o.n_words ? cli_find(o.words[0]) : NULL;
    if (options_has(&o, "help")) {
        if (c)
            help_command(&cli->out, c);
        else
            help_all(&cli->out);
        return 0;
    }
    if (!o.n_words) {
        help_all(&cli->err);
        return CLI_EXIT_USAGE;
    }
    if (!c)
        return cli_unknown_command(cli, o.words[0]);
    return run_command(cli, c, (int)o.n_rest, o.rest);
}

/* What was printed has to have arrived: a full disk is a failure, a reader that has seen enough
 * (head, less) ends us as SIGPIPE would have. */
static int finish_output(struct cli *cli, int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    if (errno == EPIPE)
        return 128 + SIGPIPE;
    struct err e = ERR_INIT;
    err_errno(&e, -errno, "write to standard output");
    return cli_fail(cli, &e);
}

static const char *env_or(const char *name, const char *fallback)
{
    const char *v = getenv(name);
    return v && *v ? v : fallback;
}

int cli_main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");
    curl_global_init(CURL_GLOBAL_DEFAULT);
    struct cli cli = {
        .url = env_or("HOLM_URL", CLI_URL_DEFAULT),
        .key = env_or("HOLM_API_KEY", NULL),
    };
    term_init(&cli.out, stdout);
    term_init(&cli.err, stderr);
    struct err e = ERR_INIT;
    int r = interrupt_init(&cli.interrupt);
    int code;
    if (r < 0) {
        err_errno(&e, r, "watch for signals");
        code = cli_fail(&cli, &e);
    } else {
        code = dispatch(&cli, argc - 1, argv + 1);
    }
    code = finish_output(&cli, code);
    interrupt_done(&cli.interrupt);
    curl_global_cleanup();
    return code;
}
