/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/commands.h"
#include "cli/completion.h"

static int run(struct cli *cli, const struct options *o)
{
    struct err e = ERR_INIT;
    const char *shell = o->n_words ? o->words[0] : "";
    if (!strcmp(shell, "bash")) {
        completion_bash(cli->out.file);
        return 0;
    }
    if (!strcmp(shell, "zsh")) {
        completion_zsh(cli->out.file);
        return 0;
    }
    if (!o->n_words)
        err_set(&e, ERR_INVALID, "which shell: bash or zsh?");
    else
        err_set(&e, ERR_INVALID, "no completions for '%.200s'; there are some for bash and zsh",
                shell);
    return cli_usage(cli, "completion", &e);
}

const struct cli_command cmd_completion = {
    .name = "completion",
    .summary = "Print the completion script for a shell",
    .usage = (const char *const[]){"completion bash|zsh", NULL},
    .details = "A package installs these scripts where the shells find them; this is for the "
               "cases where there is no package.",
    .options = (const struct option_row[]){{0}},
    .examples =
        (const struct cli_example[]){
            {"source <(holm completion bash)", "Complete in this bash, now."},
            {"holm completion zsh > ~/.zfunc/_holm",
             "For every zsh to come, with ~/.zfunc in its fpath before compinit."},
            {0},
        },
    .words_max = 1,
    .fill = {FILL_SHELL},
    .run = run,
};
