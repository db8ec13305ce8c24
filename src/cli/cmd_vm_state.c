/* SPDX-License-Identifier: Apache-2.0 */

/* The moves of a VM's life: pause, resume, suspend, stop, start, delete. Each takes several VMs.
 * All names are looked up first, so a mistyped one changes nothing; then one VM's failure does not
 * keep the others from their turn. */

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "cli/api_answer.h"
#include "cli/commands.h"
#include "cli/confirm.h"
#include "cli/json.h"
#include "cli/vm_call.h"

struct move {
    const char *method;
    const char *rest;    /* of the path, behind the VM's id */
    const json_t *body;  /* NULL: none */
    const char *doing;   /* "pausing" */
    const char *done;    /* "is paused" */
    bool waits;          /* until it runs */
    bool may_be_missing; /* then there is nothing to be done */
};

/* What the words name, without those that need not be there. */
static int find_all(struct cli_call *call, const struct move *move, struct ref_found *ret,
                    size_t *ret_n, struct err *e)
{
    auto_ref struct ref ref = {.client = call->client, .kind = REF_VM};
    *ret_n = 0;
    for (size_t i = 0; i < call->o->n_words; i++) {
        int r = ref_find(&ref, call->o->words[i], &ret[*ret_n], e);
        if (r < 0 && !(move->may_be_missing && e->class == ERR_NOT_FOUND))
            return r;
        *ret_n += r == 0;
    }
    return 0;
}

static int move_one(struct cli_call *call, const struct move *move, const struct ref_found *vm,
                    json_t *answers, struct err *e)
{
    auto_json json_t *answer = NULL;
    char path[VM_PATH_SIZE], doing[400];
    snprintf(doing, sizeof(doing), "%s %s", move->doing, vm->name);
    progress_set(&call->cli->progress, &call->cli->err, doing);
    vm_call_path(vm, move->rest, path);
    struct api_call rq = {
        .method = move->method, .path = path, .body = move->body, .timeout_s = -1};
    int r = api_client_call(call->client, &rq, &answer, NULL, e);
    if (r < 0 && move->may_be_missing && e->class == ERR_NOT_FOUND)
        return 0;
    if (r == 0 && move->waits)
        r = vm_call_wait(call, &answer, e);
    if (r < 0)
        return r;
    json_array_append(answers, answer);
    if (!options_has(call->o, "json"))
        vm_call_tell(call->cli, "%s %s", vm->name, move->done);
    return 0;
}

static void print_answers(struct cli_call *call, const json_t *answers)
{
    bool is_one = call->o->n_words == 1 && json_array_size(answers) == 1;
    if (options_has(call->o, "json"))
        cli_print_json(call->cli, is_one ? json_array_get(answers, 0) : answers);
}

static int move_each(struct cli_call *call, const struct move *move, const struct ref_found *vms,
                     size_t n, struct err *e)
{
    auto_json json_t *answers = json_array();
    for (size_t i = 0; i < n; i++) {
        struct err why = ERR_INIT;
        int r = move_one(call, move, &vms[i], answers, &why);
        if (r == -ECANCELED)
            return r;
        if (r < 0 && n == 1) {
            if (e)
                *e = why;
            return r;
        }
        if (r < 0) {
            cli_say(call->cli, "%s: %s", vms[i].name, why.text);
            call->code = CLI_EXIT_FAILED;
        }
    }
    print_answers(call, answers);
    return 0;
}

static int move_all(struct cli_call *call, const struct move *move, struct err *e)
{
    auto_free struct ref_found *vms = calloc(call->o->n_words, sizeof(*vms));
    size_t n;
    if (!vms)
        return err_errno(e, -ENOMEM, "look up the VMs");
    int r = find_all(call, move, vms, &n, e);
    return r < 0 ? r : move_each(call, move, vms, n, e);
}

static int pause_vm(struct cli_call *call, struct err *e)
{
    return move_all(
        call,
        &(struct move){.method = "POST", .rest = "/pause", .doing = "pausing", .done = "is paused"},
        e);
}

static int resume(struct cli_call *call, struct err *e)
{
    return move_all(call,
                    &(struct move){.method = "POST",
                                   .rest = "/resume",
                                   .doing = "resuming",
                                   .done = "is running",
                                   .waits = true},
                    e);
}

static int suspend(struct cli_call *call, struct err *e)
{
    return move_all(
        call,
        &(struct move){
            .method = "POST", .rest = "/suspend", .doing = "suspending", .done = "is suspended"},
        e);
}

static int start(struct cli_call *call, struct err *e)
{
    return move_all(call,
                    &(struct move){.method = "POST",
                                   .rest = "/start",
                                   .doing = "starting",
                                   .done = "is running",
                                   .waits = !options_has(call->o, "no-wait")},
                    e);
}

static int stop(struct cli_call *call, struct err *e)
{
    const struct options_range range = {.min = 0, .max = CLI_STOP_TIMEOUT_MAX_S, .fallback = -1};
    auto_json json_t *body = json_object();
    int timeout_s;
    int r = options_number(call->o, "timeout", &range, &timeout_s, e);
    if (r < 0)
        return r;
    if (timeout_s >= 0)
        json_object_set_new(body, "timeoutSec", json_integer(timeout_s));
    if (options_has(call->o, "force"))
        json_object_set_new(body, "force", json_true());
    return move_all(call,
                    &(struct move){.method = "POST",
                                   .rest = "/stop",
                                   .body = body,
                                   .doing = "stopping",
                                   .done = "is stopped"},
                    e);
}

static int ask(struct cli_call *call, const struct ref_found *vms, size_t n, struct err *e)
{
    auto_buf struct buf what = {0};
    buf_printf(&what, "Delete %s", n == 1 ? "VM " : "the VMs ");
    for (size_t i = 0; i < n; i++)
        buf_printf(&what, "%s%s", i ? ", " : "", vms[i].name);
    buf_append_str(&what, n == 1 ? " and everything in it" : " and everything in them");
    return n ? confirm(call->cli, call->o, buf_str(&what), e) : 0;
}

static int delete (struct cli_call *call, struct err *e)
{
    const struct move move = {
        .method = "DELETE",
        .rest = "",
        .doing = "deleting",
        .done = "is deleted",
        .may_be_missing = options_has(call->o, "force"),
    };
    auto_free struct ref_found *vms = calloc(call->o->n_words, sizeof(*vms));
    size_t n;
    if (!vms)
        return err_errno(e, -ENOMEM, "look up the VMs");
    int r = find_all(call, &move, vms, &n, e);
    if (r == 0)
        r = ask(call, vms, n, e);
    return r < 0 ? r : move_each(call, &move, vms, n, e);
}

#define NEEDS_VM "which VM? 'holm vm list' shows all"
#define JSON_OPTION                                             \
    {                                                           \
        .name = "json", .doc = "Print the daemon's JSON answer" \
    }
#define MANY_VMS \
    .words_min = 1, .words_max = CLI_WORDS_MAX, .needs = NEEDS_VM, .fill = {FILL_VM, FILL_VM}

const struct cli_command cmd_vm_pause = {
    .name = "vm pause",
    .summary = "Hold VMs still, in memory",
    .usage = (const char *const[]){"vm pause VM... [--json]", NULL},
    .details = "It keeps its memory and goes on with 'holm vm resume' as if nothing had happened. "
               "Its TTL does not count meanwhile.",
    .options = (const struct option_row[]){JSON_OPTION, {0}},
    .examples =
        (const struct cli_example[]){
            {"holm vm pause lab", "One."},
            {"holm vm pause lab-1 lab-2", "Two."},
            {0},
        },
    MANY_VMS,
    .call = pause_vm,
    .doing = "pausing",
};

const struct cli_command cmd_vm_resume = {
    .name = "vm resume",
    .summary = "Let paused or suspended VMs go on",
    .usage = (const char *const[]){"vm resume VM... [--json]", NULL},
    .options = (const struct option_row[]){JSON_OPTION, {0}},
    .examples = (const struct cli_example[]){{"holm vm resume lab", "Let it go on."}, {0}},
    MANY_VMS,
    .call = resume,
    .doing = "resuming",
};

const struct cli_command cmd_vm_suspend = {
    .name = "vm suspend",
    .summary = "Save VMs to disk and free their memory",
    .usage = (const char *const[]){"vm suspend VM... [--json]", NULL},
    .details = "Memory, disk and running processes are saved; 'holm vm resume' brings them back, "
               "also after a restart of the host.",
    .options = (const struct option_row[]){JSON_OPTION, {0}},
    .examples = (const struct cli_example[]){{"holm vm suspend lab", "For a long while."}, {0}},
    MANY_VMS,
    .call = suspend,
    .doing = "suspending",
};

const struct cli_command cmd_vm_stop = {
    .name = "vm stop",
    .summary = "Shut VMs down; their disks stay",
    .usage = (const char *const[]){"vm stop [--timeout SECONDS] [--force] VM... [--json]", NULL},
    .options =
        (const struct option_row[]){
            {.name = "timeout",
             .letter = 't',
             .value = "SECONDS",
             .doc = "How long its system may take before it is turned off (default: 30)"},
            {.name = "force", .letter = 'f', .doc = "Turn it off at once"},
            JSON_OPTION,
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"holm vm stop lab", "Its system shuts down."},
            {"holm vm stop --force lab", "As if the plug were pulled."},
            {0},
        },
    MANY_VMS,
    .call = stop,
    .doing = "stopping",
};

const struct cli_command cmd_vm_start = {
    .name = "vm start",
    .summary = "Boot stopped VMs from their disks",
    .usage = (const char *const[]){"vm start VM... [--no-wait] [--json]", NULL},
    .details = "This also brings back one in 'error', whose monitor ended by itself.",
    .options =
        (const struct option_row[]){
            {.name = "no-wait", .doc = "Do not wait until it runs"},
            JSON_OPTION,
            {0},
        },
    .examples = (const struct cli_example[]){{"holm vm start lab", "Boot it."}, {0}},
    MANY_VMS,
    .call = start,
    .doing = "starting",
};

const struct cli_command cmd_vm_delete = {
    .name = "vm delete",
    .summary = "End VMs and remove everything of them",
    .usage = (const char *const[]){"vm delete [-f] VM... [--json]", NULL},
    .details = "On a terminal it asks first. Snapshots and forks of a VM stay.",
    .options =
        (const struct option_row[]){
            {.name = "force",
             .letter = 'f',
             .doc = "Do not ask, and do not mind a VM that is not there"},
            JSON_OPTION,
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"holm vm delete lab", "One, after a question."},
            {"holm vm list --json | jq -r '.[].id' | xargs holm vm delete -f", "All."},
            {0},
        },
    MANY_VMS,
    .call = delete,
    .doing = "deleting",
};
