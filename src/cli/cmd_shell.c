/* SPDX-License-Identifier: Apache-2.0 */

/* Terminals: shell and console. */

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/terminal.h"
#include "cli/vm_call.h"

static int shell(struct cli_call *call, struct err *e)
{
    auto_json json_t *exec = json_object();
    json_t *command = json_array();
    const char *user = options_value(call->o, "user");
    struct ref_found vm;
    json_object_set_new(exec, "command", command);
    for (size_t i = 0; i < call->o->n_rest; i++) {
        if (json_array_append_new(command, json_string(call->o->rest[i])) < 0)
            return err_set(e, ERR_INVALID, "word %zu of the command is not UTF-8 text", i + 1);
    }
    if (user && json_object_set_new(exec, "user", json_string(user)) < 0)
        return err_set(e, ERR_INVALID, "--user: '%.100s' is not UTF-8 text", user);
    int r = vm_call_find(call, 0, &vm, e);
    return r < 0 ? r : terminal_shell(call, &vm, exec, e);
}

static int console(struct cli_call *call, struct err *e)
{
    struct ref_found vm;
    int r = vm_call_find(call, 0, &vm, e);
    return r < 0 ? r : terminal_console(call, &vm, e);
}

/* The command's words begin behind the VM, at the first that is no option of ours. */
static enum options_owner owner(const struct options *so_far)
{
    return so_far->n_words ? OPTIONS_SHARED : OPTIONS_OURS;
}

const struct cli_command cmd_shell = {
    .name = "shell",
    .summary = "Open a shell in a VM",
    .usage = (const char *const[]){"shell [--user USER] VM [[--] COMMAND [ARGS...]]", NULL},
    .details = "A terminal of the VM, connected to this one: a login shell, or COMMAND. It follows "
               "the size of this one, every key goes through, and the exit code becomes holm's. "
               "When the connection is lost, what runs in it is hung up.",
    .options =
        (const struct option_row[]){
            {.name = "user",
             .letter = 'u',
             .value = "USER",
             .doc = "Whose shell: a name, or UID:GID (default: root)"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"holm shell lab", "A login shell."},
            {"holm shell lab -- htop", "A program that wants a terminal."},
            {0},
        },
    .words_min = 1,
    .words_max = 1,
    .needs = "which VM? 'holm vm list' shows all",
    .fill = {FILL_VM},
    .owner = owner,
    .call = shell,
    .doing = "connecting",
};

const struct cli_command cmd_console = {
    .name = "console",
    .summary = "Use a VM's serial console",
    .usage = (const char *const[]){"console VM", NULL},
    .details = "Works while the VM has no network and answers nothing else. Ctrl-] quits.",
    .options = (const struct option_row[]){{0}},
    .examples = (const struct cli_example[]){{"holm console lab", "See it boot."}, {0}},
    .words_min = 1,
    .words_max = 1,
    .needs = "which VM? 'holm vm list' shows all",
    .fill = {FILL_VM},
    .call = console,
    .doing = "connecting",
};
