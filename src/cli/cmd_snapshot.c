/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "cli/api_answer.h"
#include "cli/commands.h"
#include "cli/fields.h"
#include "cli/json.h"
#include "cli/objects.h"
#include "cli/table.h"
#include "cli/units.h"
#include "cli/vm_call.h"
#include "cli/vm_view.h"

static int snapshot_path(struct cli_call *call, size_t i, struct ref_found *ret,
                         char path[VM_PATH_SIZE], struct err *e)
{
    int r = ref_one(call->client, REF_SNAPSHOT, call->o->words[i], ret, e);
    if (r == 0)
        snprintf(path, VM_PATH_SIZE, "/v1/snapshots/%s", ret->id);
    return r;
}

static int create(struct cli_call *call, struct err *e)
{
    auto_json json_t *body = json_object();
    auto_json json_t *answer = NULL;
    struct cli *cli = call->cli;
    struct ref_found vm;
    char doing[400];
    const char *name = call->o->n_words > 1 ? call->o->words[1] : NULL;
    if (name && json_object_set_new(body, "name", json_string(name)) < 0)
        return err_set(e, ERR_INVALID, "the name '%.100s' is not UTF-8 text", name);
    int r = vm_call_find(call, 0, &vm, e);
    if (r < 0)
        return r;
    json_object_set_new(body, "vmId", json_string(vm.id));
    snprintf(doing, sizeof(doing), "taking a snapshot of %s", vm.name);
    progress_set(&cli->progress, &cli->err, doing);
    struct api_call rq = {.method = "POST", .path = "/v1/snapshots", .body = body, .timeout_s = -1};
    r = api_client_call(call->client, &rq, &answer, NULL, e);
    if (r < 0)
        return r;
    if (options_has(call->o, "json")) {
        cli_print_json(cli, answer);
        return 0;
    }
    vm_call_made(cli, "snapshot", answer);
    if (json_is_number(json_object_get(answer, "pauseMs")))
        vm_call_tell(cli, "%s stood still for %.3g ms", vm.name,
                     json_number_value(json_object_get(answer, "pauseMs")));
    return 0;
}

static void add_row(struct table *t, const struct term *term, const json_t *s)
{
    char id[REF_ID_SIZE], size[UNITS_SIZE] = "", age[UNITS_SIZE];
    const char *status = json_text(s, "status");
    const json_t *bytes = json_object_get(s, "sizeBytes");
    vm_view_id(term, json_text(s, "id"), id);
    if (json_is_number(bytes))
        units_bytes(json_number_value(bytes), size);
    vm_view_age(json_text(s, "createdAt"), age, sizeof(age));
    table_add(t, (struct table_cell[]){
                     {.text = json_text(s, "name"), .style = STYLE_BOLD},
                     {.text = id},
                     {.text = status, .style = vm_view_style(status)},
                     {.text = json_text(s, "machineType")},
                     {.text = size},
                     {.text = age},
                     {.text = json_text(s, "image")},
                 });
}

static int list(struct cli_call *call, struct err *e)
{
    static const char *const heads[] = {"NAME", "ID", "STATUS", "TYPE", "SIZE", "AGE", "IMAGE"};
    static const struct objects_list all = {
        .path = "/v1/snapshots",
        .heads = heads,
        .n_columns = ARRAY_SIZE(heads),
        .right = 3 << 4,
        .none = "there are none; 'holm snapshot create VM' makes one",
        .add_row = add_row};
    return objects_list(call, &all, e);
}

static int show(struct cli_call *call, struct err *e)
{
    static const char *const except[] = {"sizeBytes", "firewall", NULL};
    auto_table struct table t = {.n_columns = 2};
    auto_json json_t *s = NULL;
    struct ref_found ref;
    char path[VM_PATH_SIZE], size[UNITS_SIZE];
    int r = snapshot_path(call, 0, &ref, path, e);
    if (r == 0)
        r = api_client_get(call->client, path, &s, e);
    if (r < 0)
        return r;
    progress_stop(&call->cli->progress);
    if (options_has(call->o, "json")) {
        cli_print_json(call->cli, s);
        return 0;
    }
    fields_add(&t, s, except);
    units_bytes(json_number_value(json_object_get(s, "sizeBytes")), size);
    if (json_object_get(s, "sizeBytes"))
        fields_row(&t, "size", size, STYLE_PLAIN);
    table_print(&t, &call->cli->out);
    return 0;
}

static int rename_one(struct cli_call *call, struct err *e)
{
    auto_json json_t *body = json_object();
    auto_json json_t *answer = NULL;
    struct ref_found ref;
    char path[VM_PATH_SIZE];
    const char *name = call->o->words[1];
    if (json_object_set_new(body, "name", json_string(name)) < 0)
        return err_set(e, ERR_INVALID, "the name '%.100s' is not UTF-8 text", name);
    int r = snapshot_path(call, 0, &ref, path, e);
    struct api_call rq = {.method = "PATCH", .path = path, .body = body};
    if (r == 0)
        r = api_client_call(call->client, &rq, &answer, NULL, e);
    if (r < 0)
        return r;
    if (options_has(call->o, "json"))
        cli_print_json(call->cli, answer);
    else
        vm_call_tell(call->cli, "%s is called %s now", ref.name, json_text(answer, "name"));
    return 0;
}

static int delete (struct cli_call *call, struct err *e)
{
    return objects_delete(call, REF_SNAPSHOT, e);
}

#define NEEDS_SNAPSHOT "which snapshot? 'holm snapshot list' shows all"

const struct cli_command cmd_snapshot = {
    .name = "snapshot",
    .summary = "Keep VMs as they are, to start others from",
    .usage = (const char *const[]){"snapshot COMMAND ...", "snapshot COMMAND --help", NULL},
    .details = "A snapshot holds memory, disk and running processes of a VM at one moment. It is "
               "called by its name, its id, or the beginning of its id.",
    .options = (const struct option_row[]){{0}},
    .examples =
        (const struct cli_example[]){
            {"holm snapshot create lab base", "Keep lab as it is, as base."},
            {"holm vm create --snapshot base", "A VM that goes on from there."},
            {0},
        },
    .words_max = 1,
    .fill = {FILL_SUBCOMMAND},
};

const struct cli_command cmd_snapshot_create = {
    .name = "snapshot create",
    .summary = "Take a snapshot of a VM, which goes on undisturbed",
    .usage = (const char *const[]){"snapshot create VM [NAME] [--json]", NULL},
    .details = "Without a terminal the snapshot's id is all that is printed.",
    .options =
        (const struct option_row[]){
            {.name = "json", .doc = "Print the snapshot as JSON"},
            {0},
        },
    .examples = (const struct cli_example[]){{"holm snapshot create lab base", "Of lab."}, {0}},
    .words_min = 1,
    .words_max = 2,
    .needs = "of which VM? 'holm vm list' shows all",
    .fill = {FILL_VM},
    .call = create,
    .doing = "looking for the VM",
};

const struct cli_command cmd_snapshot_list = {
    .name = "snapshot list",
    .summary = "List the snapshots",
    .usage = (const char *const[]){"snapshot list [--json]", NULL},
    .details = "SIZE is what it takes on the host's disk beyond what it shares with its image.",
    .options =
        (const struct option_row[]){
            {.name = "json", .doc = "Print the list as JSON"},
            {0},
        },
    .examples = (const struct cli_example[]){{"holm snapshot list", "All of them."}, {0}},
    .call = list,
    .doing = "asking for the snapshots",
};

const struct cli_command cmd_snapshot_show = {
    .name = "snapshot show",
    .summary = "Show everything about a snapshot",
    .usage = (const char *const[]){"snapshot show SNAPSHOT [--json]", NULL},
    .options =
        (const struct option_row[]){
            {.name = "json", .doc = "Print the snapshot as JSON"},
            {0},
        },
    .examples = (const struct cli_example[]){{"holm snapshot show base", "By its name."}, {0}},
    .words_min = 1,
    .words_max = 1,
    .needs = NEEDS_SNAPSHOT,
    .fill = {FILL_SNAPSHOT},
    .call = show,
    .doing = "asking for the snapshot",
};

const struct cli_command cmd_snapshot_rename = {
    .name = "snapshot rename",
    .summary = "Give a snapshot another name",
    .usage = (const char *const[]){"snapshot rename SNAPSHOT NAME [--json]", NULL},
    .options =
        (const struct option_row[]){
            {.name = "json", .doc = "Print the snapshot as JSON"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"holm snapshot rename base old-base", "From base to old-base."},
            {0},
        },
    .words_min = 2,
    .words_max = 2,
    .needs = "which snapshot, and what shall it be called?",
    .fill = {FILL_SNAPSHOT},
    .call = rename_one,
    .doing = "renaming the snapshot",
};

const struct cli_command cmd_snapshot_delete = {
    .name = "snapshot delete",
    .summary = "Remove snapshots",
    .usage = (const char *const[]){"snapshot delete [-f] SNAPSHOT...", NULL},
    .details = "On a terminal it asks first. VMs that were made from it are not touched.",
    .options =
        (const struct option_row[]){
            {.name = "force",
             .letter = 'f',
             .doc = "Do not ask, and do not mind a snapshot that is not there"},
            {0},
        },
    .examples = (const struct cli_example[]){{"holm snapshot delete base", "One."}, {0}},
    .words_min = 1,
    .words_max = CLI_WORDS_MAX,
    .needs = NEEDS_SNAPSHOT,
    .fill = {FILL_SNAPSHOT, FILL_SNAPSHOT},
    .call = delete,
    .doing = "deleting snapshots",
};
