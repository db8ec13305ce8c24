/* SPDX-License-Identifier: Apache-2.0 */

/* vm list, vm show; and what a VM can be made of: vm images, vm types */

#include <string.h>

#include <curl/curl.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/objects.h"
#include "cli/pairs.h"
#include "cli/table.h"
#include "cli/units.h"
#include "cli/vm_call.h"
#include "cli/vm_view.h"

/* Appends "?NAME=VALUE" or "&NAME=VALUE", escaped. */
static int add_query(struct buf *path, const char *prefix, const char *name, const char *value)
{
    char *n = curl_easy_escape(NULL, name, 0), *v = curl_easy_escape(NULL, value, 0);
    int r =
        n && v ? buf_printf(path, "%c%s%s=%s", strchr(buf_str(path), '?') ? '&' : '?', prefix, n, v)
               : -ENOMEM;
    curl_free(n);
    curl_free(v);
    return r;
}

static int make_path(const struct options *o, struct buf *ret, struct err *e)
{
    auto_json json_t *meta = json_object();
    const char *status = options_value(o, "status"), *key;
    json_t *value;
    int r = pairs_gather(o, "meta", false, meta, e);
    if (r < 0)
        return r;
    buf_append_str(ret, "/v1/vms");
    if (status)
        add_query(ret, "", "status", status);
    json_object_foreach(meta, key, value)
        add_query(ret, "metadata.", key, json_string_value(value));
    return ret->failed ? err_errno(e, -ENOMEM, "make a request") : 0;
}

static int list(struct cli_call *call, struct err *e)
{
    auto_buf struct buf path = {0};
    int r = make_path(call->o, &path, e);
    return r < 0 ? r : vm_view_list(call, buf_str(&path), e);
}

static int show(struct cli_call *call, struct err *e)
{
    auto_json json_t *vm = NULL;
    struct ref_found ref;
    int r = vm_call_find(call, 0, &ref, e);
    if (r == 0)
        r = vm_call_get(call, &ref, &vm, e);
    if (r < 0)
        return r;
    progress_stop(&call->cli->progress);
    if (options_has(call->o, "json"))
        cli_print_json(call->cli, vm);
    else
        vm_view_one(call->cli, vm);
    return 0;
}

static void size_of(const json_t *object, const char *key, double unit, char ret[UNITS_SIZE])
{
    const json_t *n = json_object_get(object, key);
    ret[0] = '\0';
    if (json_is_number(n))
        units_bytes(json_number_value(n) * unit, ret);
}

static void add_image(struct table *t, const struct term *term, const json_t *image)
{
    const char *state = json_text(image, "state");
    char disk[UNITS_SIZE];
    size_of(image, "diskGiB", 1 << 30, disk);
    table_add(t, (struct table_cell[]){
                     {.text = json_text(image, "name"), .style = STYLE_BOLD},
                     {.text = state, .style = vm_view_style(state)},
                     {.text = disk},
                     {.text = json_text(image, "detail")},
                 });
}

static void add_type(struct table *t, const struct term *term, const json_t *type)
{
    char cpus[24], memory[UNITS_SIZE];
    snprintf(cpus, sizeof(cpus), "%lld",
             (long long)json_integer_value(json_object_get(type, "cpu")));
    size_of(type, "memoryMiB", 1 << 20, memory);
    table_add(t, (struct table_cell[]){
                     {.text = json_text(type, "name"), .style = STYLE_BOLD},
                     {.text = cpus},
                     {.text = memory},
                 });
}

static int images(struct cli_call *call, struct err *e)
{
    static const char *const heads[] = {"IMAGE", "STATE", "DISK", "DETAIL"};
    static const struct objects_list all = {.path = "/v1/images",
                                            .heads = heads,
                                            .n_columns = ARRAY_SIZE(heads),
                                            .right = 1 << 2,
                                            .add_row = add_image};
    return objects_list(call, &all, e);
}

static int types(struct cli_call *call, struct err *e)
{
    static const char *const heads[] = {"TYPE", "CPUS", "MEMORY"};
    static const struct objects_list all = {.path = "/v1/machine-types",
                                            .heads = heads,
                                            .n_columns = ARRAY_SIZE(heads),
                                            .right = 3 << 1,
                                            .add_row = add_type};
    return objects_list(call, &all, e);
}

const struct cli_command cmd_vm_list = {
    .name = "vm list",
    .summary = "List the VMs",
    .usage =
        (const char *const[]){"vm list [--status STATUS] [--meta KEY=VALUE]... [--json]", NULL},
    .details = "Oldest first. On a terminal ids are cut to their first eight characters, which is "
               "enough to call a VM by.",
    .options =
        (const struct option_row[]){
            {.name = "status",
             .letter = 's',
             .value = "STATUS",
             .doc = "Only those that are running, paused, suspended, stopped, error, ..."},
            {.name = "meta",
             .letter = 'm',
             .value = "KEY=VALUE",
             .doc = "Only those with this metadata. May be given again"},
            {.name = "json", .doc = "Print the list as JSON"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"holm vm list", "All of them."},
            {"holm vm list --status running --meta job=7", "Those of a job that run."},
            {"holm vm list --json | jq -r '.[].id'", "For scripts."},
            {0},
        },
    .call = list,
    .doing = "asking for the VMs",
};

const struct cli_command cmd_vm_show = {
    .name = "vm show",
    .summary = "Show everything about a VM",
    .usage = (const char *const[]){"vm show VM [--json]", NULL},
    .options =
        (const struct option_row[]){
            {.name = "json", .doc = "Print the VM as JSON"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"holm vm show lab", "By its name."},
            {"holm vm show 3f2a --json | jq -r .status",
             "By the beginning of its id, for a script."},
            {0},
        },
    .words_min = 1,
    .words_max = 1,
    .needs = "which VM? 'holm vm list' shows all",
    .fill = {FILL_VM},
    .call = show,
    .doing = "asking for the VM",
};

const struct cli_command cmd_vm_images = {
    .name = "vm images",
    .summary = "List the images that a VM can be made from",
    .usage = (const char *const[]){"vm images [--json]", NULL},
    .options = (const struct option_row[]){{.name = "json", .doc = "Print the list as JSON"}, {0}},
    .examples = (const struct cli_example[]){{"holm vm images", "For vm create --image."}, {0}},
    .call = images,
    .doing = "asking for the images",
};

const struct cli_command cmd_vm_types = {
    .name = "vm types",
    .summary = "List the sizes that a VM can have",
    .usage = (const char *const[]){"vm types [--json]", NULL},
    .details = "The first is what a VM gets that is made without --type.",
    .options = (const struct option_row[]){{.name = "json", .doc = "Print the list as JSON"}, {0}},
    .examples = (const struct cli_example[]){{"holm vm types", "For vm create --type."}, {0}},
    .call = types,
    .doing = "asking for the machine types",
};
