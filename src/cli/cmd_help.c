/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/help.h"

static int run(struct cli *cli, const struct options *o)
{
    if (!o->n_words) {
        help_all(&cli->out);
        return 0;
    }
    char name[80];
    const struct cli_command *group = cli_find(o->words[0]);
    if (!group)
        return cli_unknown_command(cli, NULL, o->words[0]);
    snprintf(name, sizeof(name), "%s%s%s", group->name, o->n_words > 1 ? " " : "",
             o->n_words > 1 ? o->words[1] : "");
    const struct cli_command *c = cli_find(name);
    if (!c)
        return cli_unknown_command(cli, group, o->words[1]);
    help_command(&cli->out, c);
    return 0;
}

const struct cli_command cmd_help = {
    .name = "help",
    .summary = "Show the help of holm or of one of its commands",
    .usage = (const char *const[]){"help [COMMAND [COMMAND]]", NULL},
    .options = (const struct option_row[]){{0}},
    .examples =
        (const struct cli_example[]){
            {"holm help run", "The same as 'holm run --help'."},
            {"holm help vm create", "The same as 'holm vm create --help'."},
            {0},
        },
    .words_max = 2,
    .fill = {FILL_COMMAND, FILL_SUBCOMMAND},
    .run = run,
};
