/* SPDX-License-Identifier: Apache-2.0 */

/* The table of commands, and main: global options, the command, its options, its run function. All
 * passes use the same parser; those before the last leave everything after the command's name
 * alone, since only the command's own rows can say what it means. */

#include "cli/cli.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/json.h"
#include "cli/suggest.h"

/* In the order in which people will look for them. */
const struct cli_command *const cli_commands[] = {
    &cmd_run,
    &cmd_vm,
    &cmd_vm_create,
    &cmd_vm_list,
    &cmd_vm_show,
    &cmd_vm_exec,
    &cmd_vm_jobs,
    &cmd_vm_output,
    &cmd_vm_kill,
    &cmd_vm_fork,
    &cmd_vm_pause,
    &cmd_vm_resume,
    &cmd_vm_suspend,
    &cmd_vm_stop,
    &cmd_vm_start,
    &cmd_vm_delete,
    &cmd_vm_rename,
    &cmd_vm_meta,
    &cmd_vm_ttl,
    &cmd_vm_idle,
    &cmd_vm_resize,
    &cmd_vm_firewall,
    &cmd_vm_stats,
    &cmd_vm_images,
    &cmd_vm_types,
    &cmd_snapshot,
    &cmd_snapshot_create,
    &cmd_snapshot_list,
    &cmd_snapshot_show,
    &cmd_snapshot_rename,
    &cmd_snapshot_delete,
    &cmd_image,
    &cmd_image_create,
    &cmd_image_build,
    &cmd_image_builds,
    &cmd_image_push,
    &cmd_image_pull,
    &cmd_image_upload,
    &cmd_image_list,
    &cmd_image_show,
    &cmd_image_set_default,
    &cmd_image_delete,
    &cmd_image_rm,
    &cmd_cp,
    &cmd_shell,
    &cmd_console,
    &cmd_logs,
    &cmd_top,
    &cmd_account,
    &cmd_account_create,
    &cmd_account_list,
    &cmd_account_show,
    &cmd_account_quota,
    &cmd_account_delete,
    &cmd_key,
    &cmd_key_create,
    &cmd_key_list,
    &cmd_key_revoke,
    &cmd_quota,
    &cmd_languages,
    &cmd_doctor,
    &cmd_status,
    &cmd_version,
    &cmd_completion,
    &cmd_help,
    &cmd_names,
    NULL,
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

const char *cli_second_word(const struct cli_command *c)
{
    const char *space = strchr(c->name, ' ');
    return space ? space + 1 : NULL;
}

bool cli_is_in(const struct cli_command *c, const struct cli_command *group)
{
    const char *second = cli_second_word(c);
    if (!group)
        return !second;
    size_t len = strlen(group->name);
    return second && !strncmp(c->name, group->name, len) && c->name[len] == ' ';
}

/* The word by which `c` is called within its group. */
static const char *word_of(const struct cli_command *c)
{
    const char *second = cli_second_word(c);
    return second ? second : c->name;
}

static const struct cli_command *find_in(const struct cli_command *group, const char *word)
{
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        if (cli_is_in(*c, group) && !strcmp(word_of(*c), word))
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

void cli_say(struct cli *cli, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    say(cli, text);
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

int cli_unknown_command(struct cli *cli, const struct cli_command *group, const char *word)
{
    struct err e = ERR_INIT;
    struct suggest s = {.word = word, .len = strlen(word)};
    const char *name = group ? group->name : "", *space = group ? " " : "";
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        if (cli_is_in(*c, group) && !(*c)->is_hidden)
            suggest_offer(&s, word_of(*c));
    }
    if (s.best)
        err_set(&e, ERR_INVALID, "there is no command '%s%s%.200s'; did you mean '%s%s%s'?", name,
                space, word, name, space, s.best);
    else
        err_set(&e, ERR_INVALID, "there is no command '%s%s%.200s'", name, space, word);
    return cli_usage(cli, group ? group->name : NULL, &e);
}

/* The one that was given, else one that is found. */
static int set_key(struct cli *cli, struct api_client *c, struct err *e)
{
    if (cli->key)
        return api_client_set_key(c, cli->key, cli->key_source, e);
    int r = 0;
    if (!cli->found.source.len)
        r = key_find(api_client_is_local(c), &cli->found, e);
    if (r < 0 || !cli->found.source.len)
        return r;
    return api_client_set_key(c, buf_str(&cli->found.text), buf_str(&cli->found.source), e);
}

int cli_connect(struct cli *cli, const char *doing, struct api_client **ret, struct err *e)
{
    auto_api_client struct api_client *c = NULL;
    int r = api_client_new(cli->url, &cli->interrupt, &c, e);
    if (r == 0)
        r = set_key(cli, c, e);
    if (r < 0)
        return r;
    progress_set(&cli->progress, &cli->err, doing);
    api_client_set_progress(c, &cli->progress);
    *ret = TAKE_PTR(c);
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
    if (key) {
        cli->key = key;
        cli->key_source = "--key";
    }
}

static int run_call(struct cli *cli, const struct cli_command *c, const struct options *o)
{
    auto_api_client struct api_client *client = NULL;
    struct cli_call call = {.cli = cli, .o = o};
    struct err e = ERR_INIT;
    int r = cli_connect(cli, c->doing, &client, &e);
    if (r == 0) {
        call.client = client;
        r = c->call(&call, &e);
    }
    progress_stop(&cli->progress);
    if (r >= 0)
        return call.code;
    if (r == -EPIPE)
        return 128 + SIGPIPE; /* as any program whose reader has gone */
    if (e.class == ERR_INVALID && !(client && api_client_has_asked(client)))
        return cli_usage(cli, c->name, &e);
    return cli_fail(cli, &e);
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
    if (o.n_words < c->words_min) {
        err_set(&e, ERR_INVALID, "%s", c->needs);
        return cli_usage(cli, c->name, &e);
    }
    return c->run ? c->run(cli, &o) : run_call(cli, c, &o);
}

static enum options_owner after_command(const struct options *so_far)
{
    return so_far->n_words ? OPTIONS_THEIRS : OPTIONS_OURS;
}

static void help_of(const struct term *t, const struct cli_command *c)
{
    if (c)
        help_command(t, c);
    else
        help_all(t);
}

/* The words before the command: global options; then the command with everything that follows.
 * `group` is NULL at first. */
static int dispatch(struct cli *cli, const struct cli_command *group, int argc, char **argv)
{
    static const struct option_row version[] = {
        {.name = "version", .letter = 'V', .doc = "Show the version"},
        {0},
    };
    const struct option_row *const tables[] = {cli_global_options, group ? NULL : version, NULL};
    struct options_spec spec = {.tables = tables, .words_max = 1, .owner = after_command};
    auto_options struct options o = {0};
    struct err e = ERR_INIT;
    if (options_parse(&spec, argc, argv, &o, &e) < 0)
        return cli_usage(cli, group ? group->name : NULL, &e);
    settle_globals(cli, &o);
    if (options_has(&o, "version"))
        return cmd_version.run(cli, &o);
    const struct cli_command *c = o.n_words ? find_in(group, o.words[0]) : NULL;
    if (options_has(&o, "help")) {
        help_of(&cli->out, c ? c : group);
        return 0;
    }
    if (!o.n_words) {
        help_of(&cli->err, group);
        return CLI_EXIT_USAGE;
    }
    if (!c)
        return cli_unknown_command(cli, group, o.words[0]);
    if (cli_is_group(c))
        return dispatch(cli, c, (int)o.n_rest, o.rest);
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
        .key_source = "HOLM_API_KEY",
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
        code = dispatch(&cli, NULL, argc - 1, argv + 1);
    }
    code = finish_output(&cli, code);
    interrupt_done(&cli.interrupt);
    key_done(&cli.found);
    curl_global_cleanup();
    return code;
}
