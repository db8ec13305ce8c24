/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"

const struct cli_command cmd_vm = {
    .name = "vm",
    .summary = "Make, use and end virtual machines that stay",
    .usage = (const char *const[]){"vm COMMAND ...", "vm COMMAND --help", NULL},
    .details = "A VM is called by its name, its id, or the beginning of its id.",
    .options = (const struct option_row[]){{0}},
    .examples =
        (const struct cli_example[]){
            {"holm vm create --image python --name lab", "A machine called lab."},
            {"holm vm exec lab -- python3 -c 'print(2**10)'", "A command in it."},
            {"holm vm fork lab -n 3", "Three copies of it, as it runs."},
            {"holm vm delete lab", "The end of it and of everything in it."},
            {0},
        },
    .words_max = 1,
    .fill = {FILL_SUBCOMMAND},
};
