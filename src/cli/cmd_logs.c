/* SPDX-License-Identifier: Apache-2.0 */

/* The serial console's log. Following it is the serial console itself, with nothing typed into it:
 * the daemon sends what is written there from now on. */

#include <stdlib.h>

#include "base/limits.h"
#include "cli/api_answer.h"
#include "cli/commands.h"
#include "cli/terminal.h"
#include "cli/vm_call.h"

static int on_text(void *arg, const char *data, size_t len, struct err *e)
{
    struct cli *cli = arg;
    progress_stop(&cli->progress);
    return interrupt_write(&cli->interrupt, STDOUT_FILENO, data, len);
}

static int print_log(struct cli_call *call, const struct ref_found *vm, struct err *e)
{
    auto_api_answer struct api_answer a = {0};
    const char *tail = options_value(call->o, "tail");
    char rest[64] = "/console", path[VM_PATH_SIZE];
    if (tail)
        snprintf(rest, sizeof(rest), "/console?tail=%d", atoi(tail)); /* it was checked */
    vm_call_path(vm, rest, path);
    const struct api_request rq = {.path = path,
                                   .raw = true,
                                   .data = on_text,
                                   .arg = call->cli,
                                   .timeout_s = CLI_REQUEST_TIMEOUT_S};
    int r = api_client_send(call->client, &rq, &a, e);
    return r < 0 || a.status == 200 ? r : api_answer_error(call->client, &a, e);
}

static int logs(struct cli_call *call, struct err *e)
{
    const struct options_range range = {.min = 1, .max = CLI_LOG_LINES_MAX};
    struct ref_found vm;
    int tail, r = options_number(call->o, "tail", &range, &tail, e);
    if (r == 0)
        r = vm_call_find(call, 0, &vm, e);
    if (r < 0)
        return r;
    return options_has(call->o, "follow") ? terminal_follow(call, &vm, print_log, e)
                                          : print_log(call, &vm, e);
}

const struct cli_command cmd_logs = {
    .name = "logs",
    .summary = "Show what a VM has written to its serial console",
    .usage = (const char *const[]){"logs VM [--tail LINES] [-f]", NULL},
    .details = "The kernel's and the init system's messages: the last 256 KiB at least.",
    .options =
        (const struct option_row[]){
            {.name = "tail", .letter = 'n', .value = "LINES", .doc = "Only the last of them"},
            {.name = "follow", .letter = 'f', .doc = "Go on with what comes, until Ctrl-C"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"holm logs lab", "All there is."},
            {"holm logs lab --tail 20 -f", "The end of it, and what comes."},
            {0},
        },
    .words_min = 1,
    .words_max = 1,
    .needs = "which VM? 'holm vm list' shows all",
    .fill = {FILL_VM},
    .call = logs,
    .doing = "asking for the log",
};
