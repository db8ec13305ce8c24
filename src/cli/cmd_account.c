/* SPDX-License-Identifier: Apache-2.0 */

/* Accounts, for the admin's key only; and what the caller's own account may use. */

#include <errno.h>

#include "cli/api_answer.h"
#include "cli/commands.h"
#include "cli/confirm.h"
#include "cli/fields.h"
#include "cli/json.h"
#include "cli/objects.h"
#include "cli/quota.h"
#include "cli/units.h"
#include "cli/vm_call.h"
#include "cli/vm_view.h"

static int account_path(struct cli_call *call, struct ref_found *ret, char path[VM_PATH_SIZE],
                        struct err *e)
{
    int r = ref_one(call->client, REF_ACCOUNT, call->o->words[0], ret, e);
    if (r == 0)
        snprintf(path, VM_PATH_SIZE, "/v1/accounts/%s", ret->id);
    return r;
}

static int create(struct cli_call *call, struct err *e)
{
    auto_json json_t *body = json_object();
    auto_json json_t *quotas = json_object();
    auto_json json_t *answer = NULL;
    const char *name = call->o->words[0];
    int r = quota_gather(call->o, quotas, e);
    if (r < 0)
        return r;
    if (json_object_set_new(body, "name", json_string(name)) < 0)
        return err_set(e, ERR_INVALID, "the name '%.100s' is not UTF-8 text", name);
    if (json_object_size(quotas))
        json_object_set(body, "quotas", quotas);
    struct api_call rq = {.method = "POST", .path = "/v1/accounts", .body = body};
    r = api_client_call(call->client, &rq, &answer, NULL, e);
    if (r < 0)
        return r;
    if (options_has(call->o, "json")) {
        cli_print_json(call->cli, answer);
        return 0;
    }
    vm_call_made(call->cli, "account", answer);
    vm_call_tell(call->cli, "'holm key create --account %s' makes a key for it",
                 json_text(answer, "name"));
    return 0;
}

static void add_row(struct table *t, const struct term *term, const json_t *account)
{
    static const char *const keys[] = {"vcpu", "memoryMiB", "diskGiB", "snapshotCount"};
    char text[ARRAY_SIZE(keys)][2 * UNITS_SIZE + 8], age[UNITS_SIZE];
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        quota_text(json_object_get(account, "usage"), json_object_get(account, "quotas"), keys[i],
                   text[i], sizeof(text[i]));
    vm_view_age(json_text(account, "createdAt"), age, sizeof(age));
    table_add(t, (struct table_cell[]){
                     {.text = json_text(account, "name"), .style = STYLE_BOLD},
                     {.text = json_text(account, "id")},
                     {.text = json_is_true(json_object_get(account, "admin")) ? "admin" : ""},
                     {.text = text[0]},
                     {.text = text[1]},
                     {.text = text[2]},
                     {.text = text[3]},
                     {.text = age},
                 });
}

static int list(struct cli_call *call, struct err *e)
{
    static const char *const heads[] = {"NAME",   "ID",   "ROLE",      "CPUS",
                                        "MEMORY", "DISK", "SNAPSHOTS", "AGE"};
    static const struct objects_list all = {
        .path = "/v1/accounts", .heads = heads, .n_columns = ARRAY_SIZE(heads), .add_row = add_row};
    return objects_list(call, &all, e);
}

static int show(struct cli_call *call, struct err *e)
{
    static const char *const except[] = {"quotas", "usage", NULL};
    auto_table struct table t = {.n_columns = 2};
    auto_json json_t *account = NULL;
    struct ref_found ref;
    char path[VM_PATH_SIZE];
    int r = account_path(call, &ref, path, e);
    if (r == 0)
        r = api_client_get(call->client, path, &account, e);
    if (r < 0)
        return r;
    progress_stop(&call->cli->progress);
    if (options_has(call->o, "json")) {
        cli_print_json(call->cli, account);
        return 0;
    }
    fields_add(&t, account, except);
    table_print(&t, &call->cli->out);
    fputc('\n', call->cli->out.file);
    quota_print(&call->cli->out, json_object_get(account, "usage"),
                json_object_get(account, "quotas"));
    return 0;
}

static int change_quota(struct cli_call *call, struct err *e)
{
    auto_json json_t *quotas = json_object();
    auto_json json_t *answer = NULL;
    struct ref_found ref;
    char path[VM_PATH_SIZE];
    int r = quota_gather(call->o, quotas, e);
    if (r < 0)
        return r;
    if (!json_object_size(quotas))
        return err_set(e, ERR_INVALID,
                       "which quota? --vcpu, --memory, --disk or --snapshots; 'holm account show' "
                       "shows them");
    r = account_path(call, &ref, path, e);
    if (r < 0)
        return r;
    auto_json json_t *body = json_pack("{s:O}", "quotas", quotas);
    struct api_call rq = {.method = "PATCH", .path = path, .body = body};
    r = api_client_call(call->client, &rq, &answer, NULL, e);
    if (r < 0)
        return r;
    if (options_has(call->o, "json"))
        cli_print_json(call->cli, answer);
    else
        vm_call_tell(call->cli, "the new quotas of %s count from now on", ref.name);
    return 0;
}

static int delete (struct cli_call *call, struct err *e)
{
    struct ref_found ref;
    char path[VM_PATH_SIZE], what[400];
    int r = account_path(call, &ref, path, e);
    if (r < 0)
        return r;
    snprintf(what, sizeof(what), "Delete the account %s and its keys", ref.name);
    r = confirm(call->cli, call->o, what, e);
    struct api_call rq = {.method = "DELETE", .path = path};
    if (r == 0)
        r = api_client_call(call->client, &rq, NULL, NULL, e);
    if (r == 0)
        vm_call_tell(call->cli, "account %s is deleted", ref.name);
    return r;
}

static int quota(struct cli_call *call, struct err *e)
{
    auto_json json_t *answer = NULL;
    int r = api_client_get(call->client, "/v1/org/quotas", &answer, e);
    if (r < 0)
        return r;
    progress_stop(&call->cli->progress);
    if (options_has(call->o, "json"))
        cli_print_json(call->cli, answer);
    else
        quota_print(&call->cli->out, json_object_get(answer, "usage"),
                    json_object_get(answer, "limits"));
    return 0;
}

#define NEEDS_ACCOUNT "which account? 'holm account list' shows all"
#define JSON_OPTION                                             \
    {                                                           \
        .name = "json", .doc = "Print the daemon's JSON answer" \
    }

const struct cli_command cmd_account = {
    .name = "account",
    .summary = "Manage accounts, to whom VMs and keys belong (admin only)",
    .usage = (const char *const[]){"account COMMAND ...", "account COMMAND --help", NULL},
    .details = "Takes a key of the admin account; root on the daemon's host has one by itself. "
               "What belongs to an account is not seen by others.",
    .options = (const struct option_row[]){{0}},
    .examples =
        (const struct cli_example[]){
            {"sudo holm account create ada --memory 8", "An account that may use 8 GiB of memory."},
            {"sudo holm key create --account ada", "A key for it."},
            {0},
        },
    .words_max = 1,
    .fill = {FILL_SUBCOMMAND},
};

const struct cli_command cmd_account_create = {
    .name = "account create",
    .summary = "Make an account",
    .usage = (const char *const[]){"account create NAME [--vcpu COUNT] [--memory GIB] [--disk GIB] "
                                   "[--snapshots COUNT] [--json]",
                                   NULL},
    .options = (const struct option_row[]){QUOTA_OPTIONS, JSON_OPTION, {0}},
    .examples =
        (const struct cli_example[]){
            {"sudo holm account create ada --vcpu 4 --memory 8", "With quotas of its own."},
            {0},
        },
    .words_min = 1,
    .words_max = 1,
    .needs = "what shall the account be called?",
    .call = create,
    .doing = "making an account",
};

const struct cli_command cmd_account_list = {
    .name = "account list",
    .summary = "List the accounts, and what they use of their quotas",
    .usage = (const char *const[]){"account list [--json]", NULL},
    .options = (const struct option_row[]){JSON_OPTION, {0}},
    .examples = (const struct cli_example[]){{"sudo holm account list", "All of them."}, {0}},
    .call = list,
    .doing = "asking for the accounts",
};

const struct cli_command cmd_account_show = {
    .name = "account show",
    .summary = "Show an account",
    .usage = (const char *const[]){"account show ACCOUNT [--json]", NULL},
    .options = (const struct option_row[]){JSON_OPTION, {0}},
    .examples = (const struct cli_example[]){{"sudo holm account show ada", "By its name."}, {0}},
    .words_min = 1,
    .words_max = 1,
    .needs = NEEDS_ACCOUNT,
    .fill = {FILL_ACCOUNT},
    .call = show,
    .doing = "asking for the account",
};

const struct cli_command cmd_account_quota = {
    .name = "account quota",
    .summary = "Change what an account may use",
    .usage = (const char *const[]){"account quota ACCOUNT [--vcpu COUNT] [--memory GIB] [--disk "
                                   "GIB] [--snapshots COUNT] [--json]",
                                   NULL},
    .details = "What is not given stays. Nothing that runs is ended.",
    .options = (const struct option_row[]){QUOTA_OPTIONS, JSON_OPTION, {0}},
    .examples =
        (const struct cli_example[]){{"sudo holm account quota ada --memory 16", "More."}, {0}},
    .words_min = 1,
    .words_max = 1,
    .needs = NEEDS_ACCOUNT,
    .fill = {FILL_ACCOUNT},
    .call = change_quota,
    .doing = "changing the account",
};

const struct cli_command cmd_account_delete = {
    .name = "account delete",
    .summary = "Remove an account and its keys",
    .usage = (const char *const[]){"account delete [-f] ACCOUNT", NULL},
    .details = "On a terminal it asks first. An account with VMs or snapshots cannot be removed.",
    .options =
        (const struct option_row[]){
            {.name = "force", .letter = 'f', .doc = "Do not ask"},
            {0},
        },
    .examples = (const struct cli_example[]){{"sudo holm account delete ada", "One."}, {0}},
    .words_min = 1,
    .words_max = 1,
    .needs = NEEDS_ACCOUNT,
    .fill = {FILL_ACCOUNT},
    .call = delete,
    .doing = "deleting the account",
};

const struct cli_command cmd_quota = {
    .name = "quota",
    .summary = "Show what your account uses and may use",
    .usage = (const char *const[]){"quota [--json]", NULL},
    .options = (const struct option_row[]){JSON_OPTION, {0}},
    .examples = (const struct cli_example[]){{"holm quota", "CPUs, memory, disk, snapshots."}, {0}},
    .call = quota,
    .doing = "asking for the quotas",
};
