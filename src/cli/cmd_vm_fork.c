/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/api_answer.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/pairs.h"
#include "cli/table.h"
#include "cli/vm_call.h"

#define FORKS_MAX 64 /* of one call; the daemon's bound */

static int gather(const struct options *o, json_t *body, struct err *e)
{
    const struct options_range range = {.min = 1, .max = FORKS_MAX, .fallback = 1};
    const char *name = options_value(o, "name");
    int count, r = options_number(o, "count", &range, &count, e);
    if (r < 0)
        return r;
    json_object_set_new(body, "count", json_integer(count));
    if (name && json_object_set_new(body, "name", json_string(name)) < 0)
        return err_set(e, ERR_INVALID, "--name: '%.100s' is not UTF-8 text", name);
    if (!options_has(o, "meta"))
        return 0;
    json_t *meta = json_object();
    json_object_set_new(body, "metadata", meta);
    return pairs_gather(o, "meta", false, meta, e);
}

static void print_table(struct cli *cli, const struct ref_found *source, const json_t *answer)
{
    static const char *const heads[] = {"NAME", "ID", "STATUS", "READY MS"};
    auto_table struct table t = {.n_columns = ARRAY_SIZE(heads), .heads = heads, .right = 1 << 3};
    size_t i;
    json_t *fork;
    json_array_foreach(json_object_get(answer, "forks"), i, fork)
    {
        const json_t *vm = json_object_get(fork, "vm");
        char ready[32];
        snprintf(ready, sizeof(ready), "%.0f", json_number_value(json_object_get(fork, "readyMs")));
        table_add(&t, (struct table_cell[]){
                          {.text = json_text(vm, "name"), .style = STYLE_BOLD},
                          {.text = json_text(fork, "id")},
                          {.text = json_text(vm, "status"), .style = STYLE_GOOD},
                          {.text = ready},
                      });
    }
    table_print(&t, &cli->out);
    vm_call_tell(cli, "%s stood still for %.3g ms", source->name,
                 json_number_value(json_object_get(answer, "pauseMs")));
}

static void print_ids(struct cli *cli, const json_t *answer)
{
    size_t i;
    json_t *fork;
    json_array_foreach(json_object_get(answer, "forks"), i, fork)
    {
        auto_buf struct buf safe = {0};
        term_safe(&safe, json_text(fork, "id"));
        fprintf(cli->out.file, "%s\n", buf_str(&safe));
    }
}

static int fork_vm(struct cli_call *call, struct err *e)
{
    auto_json json_t *body = json_object();
    auto_json json_t *answer = NULL;
    struct ref_found vm;
    char path[VM_PATH_SIZE], doing[400];
    int r = gather(call->o, body, e);
    if (r == 0)
        r = vm_call_find(call, 0, &vm, e);
    if (r < 0)
        return r;
    snprintf(doing, sizeof(doing), "forking %s", vm.name);
    progress_set(&call->cli->progress, &call->cli->err, doing);
    vm_call_path(&vm, "/fork", path);
    struct api_call rq = {.method = "POST", .path = path, .body = body, .timeout_s = -1};
    r = api_client_call(call->client, &rq, &answer, NULL, e);
    if (r < 0)
        return r;
    progress_stop(&call->cli->progress);
    if (options_has(call->o, "json"))
        cli_print_json(call->cli, answer);
    else if (call->cli->out.tty)
        print_table(call->cli, &vm, answer);
    else
        print_ids(call->cli, answer);
    return 0;
}

const struct cli_command cmd_vm_fork = {
    .name = "vm fork",
    .summary = "Copy a VM as it runs",
    .usage =
        (const char *const[]){"vm fork VM [-n COUNT] [--name NAME] [--meta KEY=VALUE]...", NULL},
    .details = "Every copy is a VM of its own in which all processes go on where they were. The "
               "source stands still for a moment only. All copies are made, or none. Without a "
               "terminal their ids are all that is printed, one a line.",
    .options =
        (const struct option_row[]){
            {.name = "count",
             .letter = 'n',
             .value = "COUNT",
             .doc = "How many (1 to 64; default 1)"},
            {.name = "name",
             .value = "NAME",
             .doc = "What they are called: NAME, or NAME-1, NAME-2, ... when there are several"},
            {.name = "meta",
             .letter = 'm',
             .value = "KEY=VALUE",
             .doc = "Their metadata instead of the source's. May be given again"},
            {.name = "json", .doc = "Print the daemon's JSON answer"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"holm vm fork lab", "One copy."},
            {"holm vm fork lab -n 3 --name try", "try-1, try-2 and try-3."},
            {0},
        },
    .words_min = 1,
    .words_max = 1,
    .needs = "which VM? 'holm vm list' shows all",
    .fill = {FILL_VM},
    .call = fork_vm,
    .doing = "looking for the VM",
};
