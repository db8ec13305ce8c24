/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/help.h"

static int run(struct cli *cli, const struct options *o)
{
    if (!o->n_words) {
        help_all(&cli->out);
        return 0;
    }
    const struct cli_command *c = cli_find(o->words[0]);
    if (!c)
        return cli_unknown_command(cli, o->words[0]);
    help_command(&cli->out, c);
    return 0;
}

const struct cli_command cmd_help = {
    .name = "help",
    .summary = "Show the help of holm or of one of its commands",
    .usage = (const char *const[]){"help [COMMAND]", NULL},
    .options = (const struct option_row[]){{0}},
    .examples =
        (const struct cli_example[]){
            {"holm help run", "The same as 'holm run --help'."},
            {0},
        },
    .words_max = 1,
    .fill = {FILL_COMMAND},
    .run = run,
};
