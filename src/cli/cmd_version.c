/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"

static int run(struct cli *cli, const struct options *o)
{
    fputs("holm " HOLM_VERSION "\n", cli->out.file);
    return 0;
}

const struct cli_command cmd_version = {
    .name = "version",
    .summary = "Show the version of holm",
    .usage = (const char *const[]){"version", NULL},
    .details = "The daemon's own version is shown by 'holm status'.",
    .options = (const struct option_row[]){{0}},
    .examples =
        (const struct cli_example[]){
            {"holm version", "Print the version and nothing else."},
            {0},
        },
    .run = run,
};
