/* SPDX-License-Identifier: Apache-2.0 */

/* What may be changed about a VM: vm rename, meta, ttl, idle, resize. */

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "cli/api_answer.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/pairs.h"
#include "cli/units.h"
#include "cli/vm_call.h"

/* ---- rename ---- */

static int rename_vm(struct cli_call *call, struct err *e)
{
    auto_json json_t *body = json_object();
    struct ref_found vm;
    char done[400];
    const char *name = call->o->words[1];
    if (json_object_set_new(body, "name", json_string(name)) < 0)
        return err_set(e, ERR_INVALID, "the name '%.100s' is not UTF-8 text", name);
    int r = vm_call_find(call, 0, &vm, e);
    snprintf(done, sizeof(done), "is called %s now", name);
    return r < 0 ? r : vm_call_patch(call, &vm, body, done, e);
}

/* ---- metadata ---- */

static void print_metadata(struct cli_call *call, const json_t *meta)
{
    const char *key;
    json_t *value;
    progress_stop(&call->cli->progress);
    if (options_has(call->o, "json")) {
        cli_print_json(call->cli, meta);
        return;
    }
    json_object_foreach((json_t *)meta, key, value)
    {
        auto_buf struct buf safe = {0};
        term_safe(&safe, key);
        buf_append_str(&safe, "=");
        term_safe(&safe, json_is_string(value) ? json_string_value(value) : "");
        fprintf(call->cli->out.file, "%s\n", buf_str(&safe));
    }
}

/* The API replaces all of it, so what stays is read first. */
static int change_metadata(struct cli_call *call, const struct ref_found *vm, json_t *meta,
                           const json_t *pairs, struct err *e)
{
    const struct options *o = call->o;
    auto_json json_t *body = json_object();
    if (options_has(o, "clear"))
        json_object_clear(meta);
    for (size_t i = 0; i < o->n_hits; i++) {
        const char *key = o->hits[i].value;
        if (strcmp(o->hits[i].row->name, "unset") == 0 && json_object_del(meta, key) < 0)
            return err_set(e, ERR_NOT_FOUND, "%.100s has no metadata '%.100s'", vm->name, key);
    }
    json_object_update(meta, (json_t *)pairs);
    json_object_set(body, "metadata", meta);
    return vm_call_patch(call, vm, body, "has the new metadata", e);
}

static int meta(struct cli_call *call, struct err *e)
{
    const struct options *o = call->o;
    auto_json json_t *pairs = json_object();
    auto_json json_t *object = NULL;
    struct ref_found vm;
    int r = 0;
    for (size_t i = 1; r == 0 && i < o->n_words; i++)
        r = pairs_add(pairs, "vm meta", o->words[i], false, e);
    if (r == 0)
        r = vm_call_find(call, 0, &vm, e);
    if (r == 0)
        r = vm_call_get(call, &vm, &object, e);
    if (r < 0)
        return r;
    auto_json json_t *old = json_incref(json_object_get(object, "metadata"));
    if (!json_is_object(old))
        return err_set(e, ERR_UNAVAILABLE, "the daemon tells no metadata of %.100s", vm.name);
    if (o->n_words > 1 || options_has(o, "unset") || options_has(o, "clear"))
        return change_metadata(call, &vm, old, pairs, e);
    print_metadata(call, old);
    return 0;
}

/* ---- ttl, idle ---- */

/* Without a second word: what it is now. */
static int show_timer(struct cli_call *call, const struct ref_found *vm, const char *key,
                      struct err *e)
{
    auto_json json_t *object = NULL;
    char text[UNITS_SIZE];
    int r = vm_call_get(call, vm, &object, e);
    if (r < 0)
        return r;
    progress_stop(&call->cli->progress);
    const json_t *timer = json_object_get(object, key);
    if (options_has(call->o, "json")) {
        auto_json json_t *none = json_null();
        cli_print_json(call->cli, timer ? timer : none);
        return 0;
    }
    units_duration(json_integer_value(json_object_get(timer, "seconds")), text);
    if (json_is_object(timer))
        fprintf(call->cli->out.file, "%s after %s\n", json_text(timer, "action"), text);
    else
        fprintf(call->cli->out.file, "none\n");
    return 0;
}

static int set_timer(struct cli_call *call, const char *key, struct err *e)
{
    auto_json json_t *body = json_object();
    const char *text = call->o->n_words > 1 ? call->o->words[1] : NULL;
    bool clears = text && !strcmp(text, "none");
    struct ref_found vm;
    json_t *timer = NULL;
    int r = text && !clears ? units_parse_timer(text, key, &timer, e) : 0;
    if (text)
        json_object_set_new(body, key, clears ? json_null() : timer);
    if (r == 0)
        r = vm_call_find(call, 0, &vm, e);
    if (r < 0)
        return r;
    return text
               ? vm_call_patch(call, &vm, body, clears ? "has none any more" : "has the new one", e)
               : show_timer(call, &vm, key, e);
}

static int refresh(struct cli_call *call, struct err *e)
{
    auto_json json_t *answer = NULL;
    struct ref_found vm;
    char path[VM_PATH_SIZE];
    if (call->o->n_words > 1)
        return err_set(e, ERR_INVALID, "--refresh starts the TTL anew as it is; leave out '%.100s'",
                       call->o->words[1]);
    int r = vm_call_find(call, 0, &vm, e);
    if (r < 0)
        return r;
    vm_call_path(&vm, "/ttl/refresh", path);
    struct api_call rq = {.method = "POST", .path = path};
    r = api_client_call(call->client, &rq, &answer, NULL, e);
    if (r < 0)
        return r;
    if (options_has(call->o, "json"))
        cli_print_json(call->cli, answer);
    else
        vm_call_tell(call->cli, "the TTL of %s has begun anew", vm.name);
    return 0;
}

static int ttl(struct cli_call *call, struct err *e)
{
    return options_has(call->o, "refresh") ? refresh(call, e) : set_timer(call, "ttl", e);
}

static int idle(struct cli_call *call, struct err *e)
{
    return set_timer(call, "idle", e);
}

/* ---- resize ---- */

static int resize(struct cli_call *call, struct err *e)
{
    const struct options_range range = {.min = 1, .max = CLI_DISK_MAX_GIB};
    auto_json json_t *body = json_object();
    auto_json json_t *answer = NULL;
    const char *type = options_value(call->o, "type");
    struct ref_found vm;
    char path[VM_PATH_SIZE];
    int gib = 0, r = options_number(call->o, "disk", &range, &gib, e);
    if (r < 0)
        return r;
    if (!gib && !type)
        return err_set(e, ERR_INVALID, "what shall change? --disk GIB, --type TYPE, or both");
    if (gib)
        json_object_set_new(body, "diskGiB", json_integer(gib));
    if (type && json_object_set_new(body, "machineType", json_string(type)) < 0)
        return err_set(e, ERR_INVALID, "--type: '%.100s' is not UTF-8 text", type);
    r = vm_call_find(call, 0, &vm, e);
    if (r < 0)
        return r;
    vm_call_path(&vm, "/resize", path);
    struct api_call rq = {.method = "POST", .path = path, .body = body, .timeout_s = -1};
    r = api_client_call(call->client, &rq, &answer, NULL, e);
    if (r < 0)
        return r;
    if (options_has(call->o, "json"))
        cli_print_json(call->cli, answer);
    else
        vm_call_tell(call->cli,
                     type ? "%s is resized; the new type counts from its next start"
                          : "%s is resized",
                     vm.name);
    return 0;
}

#define NEEDS_VM "which VM? 'holm vm list' shows all"
#define JSON_OPTION                                             \
    {                                                           \
        .name = "json", .doc = "Print the daemon's JSON answer" \
    }

const struct cli_command cmd_vm_rename = {
    .name = "vm rename",
    .summary = "Give a VM another name",
    .usage = (const char *const[]){"vm rename VM NAME [--json]", NULL},
    .options = (const struct option_row[]){JSON_OPTION, {0}},
    .examples =
        (const struct cli_example[]){{"holm vm rename lab lab-2", "From lab to lab-2."}, {0}},
    .words_min = 2,
    .words_max = 2,
    .needs = "which VM, and what shall it be called?",
    .fill = {FILL_VM},
    .call = rename_vm,
    .doing = "renaming the VM",
};

const struct cli_command cmd_vm_meta = {
    .name = "vm meta",
    .summary = "Show or change a VM's metadata",
    .usage = (const char *const[]){"vm meta VM [--json]",
                                   "vm meta VM [--clear] [--unset KEY]... [KEY=VALUE]... [--json]",
                                   NULL},
    .options =
        (const struct option_row[]){
            {.name = "unset",
             .letter = 'u',
             .value = "KEY",
             .doc = "Remove it. May be given again"},
            {.name = "clear", .doc = "Remove all that was there before"},
            JSON_OPTION,
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"holm vm meta lab", "What there is."},
            {"holm vm meta lab job=7 owner=ada", "Add these, or change them."},
            {"holm vm meta lab --unset job", "Remove one."},
            {0},
        },
    .words_min = 1,
    .words_max = CLI_WORDS_MAX,
    .needs = NEEDS_VM,
    .fill = {FILL_VM},
    .call = meta,
    .doing = "asking for the VM",
};

const struct cli_command cmd_vm_ttl = {
    .name = "vm ttl",
    .summary = "Show or change after how long something happens to a VM",
    .usage = (const char *const[]){"vm ttl VM [--json]", "vm ttl VM TIME[:ACTION] [--json]",
                                   "vm ttl VM none [--json]", "vm ttl VM --refresh [--json]", NULL},
    .details = "The time counts while the VM runs; a pause freezes it. ACTION is pause, suspend, "
               "stop or delete; pause when it is left out.",
    .options =
        (const struct option_row[]){
            {.name = "refresh", .letter = 'r', .doc = "Start the time anew"},
            JSON_OPTION,
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"holm vm ttl lab 2h:delete", "Gone after two hours of running."},
            {"holm vm ttl lab --refresh", "The two hours begin anew."},
            {"holm vm ttl lab none", "It stays."},
            {0},
        },
    .words_min = 1,
    .words_max = 2,
    .needs = NEEDS_VM,
    .fill = {FILL_VM},
    .call = ttl,
    .doing = "asking for the VM",
};

const struct cli_command cmd_vm_idle = {
    .name = "vm idle",
    .summary = "Show or change what happens to a VM that does nothing",
    .usage = (const char *const[]){"vm idle VM [--json]", "vm idle VM TIME[:ACTION] [--json]",
                                   "vm idle VM none [--json]", NULL},
    .details =
        "Activity is CPU beyond an idle system's, disk or network traffic, or a command or "
        "terminal that holm runs in it. ACTION is pause, suspend, stop or delete; pause when "
        "it is left out.",
    .options = (const struct option_row[]){JSON_OPTION, {0}},
    .examples =
        (const struct cli_example[]){
            {"holm vm idle lab 15m:suspend",
             "To disk after a quarter of an hour without activity."},
            {"holm vm idle lab none", "Nothing happens to it."},
            {0},
        },
    .words_min = 1,
    .words_max = 2,
    .needs = NEEDS_VM,
    .fill = {FILL_VM},
    .call = idle,
    .doing = "asking for the VM",
};

const struct cli_command cmd_vm_resize = {
    .name = "vm resize",
    .summary = "Give a VM a larger disk, or another size",
    .usage = (const char *const[]){"vm resize VM [--disk GIB] [--type TYPE] [--json]", NULL},
    .details = "The disk and its file system grow at once, while the VM runs. CPUs and memory "
               "change at its next start.",
    .options =
        (const struct option_row[]){
            {.name = "disk", .letter = 'd', .value = "GIB", .doc = "How large the disk shall be"},
            {.name = "type",
             .letter = 't',
             .value = "TYPE",
             .doc = "c2m4 is two CPUs and 4 GiB of memory",
             .fill = FILL_TYPE},
            JSON_OPTION,
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"holm vm resize lab --disk 20", "A disk of 20 GiB."},
            {"holm vm resize lab --type c2m4 && holm vm stop lab && holm vm start lab",
             "A larger machine."},
            {0},
        },
    .words_min = 1,
    .words_max = 1,
    .needs = NEEDS_VM,
    .fill = {FILL_VM},
    .call = resize,
    .doing = "resizing the VM",
};
