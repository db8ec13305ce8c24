/* SPDX-License-Identifier: Apache-2.0 */

/* Commands in the background: vm jobs, vm output, vm kill. They live in the guest and go on when
 * clients and daemon come and go. */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cli/api_answer.h"
#include "cli/commands.h"
#include "cli/exec_output.h"
#include "cli/json.h"
#include "cli/table.h"
#include "cli/units.h"
#include "cli/vm_call.h"
#include "cli/vm_view.h"

/* "make -j4 all", as one would type it were there no spaces in words. */
static void command_of(const json_t *job, struct buf *ret)
{
    size_t i;
    json_t *word;
    json_array_foreach(json_object_get(job, "command"), i, word)
        buf_printf(ret, "%s%s", i ? " " : "", json_is_string(word) ? json_string_value(word) : "?");
}

static void state_of(const json_t *job, char *ret, size_t size)
{
    if (json_is_true(json_object_get(job, "running")))
        snprintf(ret, size, "running");
    else if (json_is_true(json_object_get(job, "timedOut")))
        snprintf(ret, size, "timed out");
    else
        snprintf(ret, size, "exit %lld",
                 (long long)json_integer_value(json_object_get(job, "exitCode")));
}

static void add_job(struct table *t, const json_t *job)
{
    char state[40], took[UNITS_SIZE], size[UNITS_SIZE], age[UNITS_SIZE];
    auto_buf struct buf command = {0};
    bool runs = json_is_true(json_object_get(job, "running"));
    state_of(job, state, sizeof(state));
    command_of(job, &command);
    units_duration((int64_t)json_number_value(json_object_get(job, "durationMs")) / 1000, took);
    units_bytes(json_number_value(json_object_get(job, "outputBytes")), size);
    vm_view_age(json_text(job, "startedAt"), age, sizeof(age));
    enum term_style style = runs ? STYLE_GOOD : strcmp(state, "exit 0") ? STYLE_BAD : STYLE_DIM;
    table_add(t, (struct table_cell[]){
                     {.text = json_text(job, "execId"), .style = STYLE_BOLD},
                     {.text = state, .style = style},
                     {.text = age},
                     {.text = took},
                     {.text = size},
                     {.text = buf_str(&command)},
                 });
}

static int jobs(struct cli_call *call, struct err *e)
{
    static const char *const heads[] = {"JOB", "STATE", "STARTED", "TOOK", "OUTPUT", "COMMAND"};
    auto_table struct table t = {.n_columns = ARRAY_SIZE(heads), .heads = heads, .right = 7 << 2};
    auto_json json_t *list = NULL;
    struct ref_found vm;
    char path[VM_PATH_SIZE];
    size_t i;
    json_t *job;
    int r = vm_call_find(call, 0, &vm, e);
    if (r < 0)
        return r;
    vm_call_path(&vm, "/exec", path);
    r = api_client_get_list(call->client, path, &list, e);
    if (r < 0)
        return r;
    progress_stop(&call->cli->progress);
    if (options_has(call->o, "json")) {
        cli_print_json(call->cli, list);
        return 0;
    }
    json_array_foreach(list, i, job) add_job(&t, job);
    if (!t.n_rows && call->cli->out.tty)
        vm_call_tell(call->cli, "%s has no commands in the background", vm.name);
    else
        table_print(&t, &call->cli->out);
    return 0;
}

/* The job that the second word names, as "/v1/vms/ID/exec/JOB". */
static int find_job(struct cli_call *call, struct ref_found *ret, char path[VM_PATH_SIZE],
                    struct err *e)
{
    struct ref_found vm;
    char list[VM_PATH_SIZE], rest[REF_ID_SIZE + 8];
    int r = vm_call_find(call, 0, &vm, e);
    if (r < 0)
        return r;
    vm_call_path(&vm, "/exec", list);
    auto_ref struct ref ref = {.client = call->client, .kind = REF_JOB, .path = list};
    r = ref_find(&ref, call->o->words[1], ret, e);
    if (r < 0)
        return r;
    snprintf(rest, sizeof(rest), "/exec/%s", ret->id);
    vm_call_path(&vm, rest, path);
    return 0;
}

static int parse_offset(const struct options *o, long long *ret, struct err *e)
{
    const char *text = options_value(o, "offset");
    char *end;
    *ret = 0;
    if (!text)
        return 0;
    errno = 0;
    *ret = strtoll(text, &end, 10);
    if (errno || end == text || *end || *ret < 0)
        return err_set(e, ERR_INVALID, "--offset takes a number of bytes, not '%.100s'", text);
    return 0;
}

static int output(struct cli_call *call, struct err *e)
{
    struct ref_found job;
    char path[VM_PATH_SIZE], query[VM_PATH_SIZE + 64], doing[200];
    bool follow = !options_has(call->o, "no-follow");
    long long offset;
    int r = parse_offset(call->o, &offset, e);
    if (r == 0)
        r = find_job(call, &job, path, e);
    if (r < 0)
        return r;
    snprintf(query, sizeof(query), "%s/output?offset=%lld&follow=%d", path, offset, follow);
    snprintf(doing, sizeof(doing), "waiting for output of %s", job.id);
    progress_set(&call->cli->progress, &call->cli->err, doing);
    struct api_request rq = {.path = query, .stream = true};
    return exec_output_pass(call, &rq, follow ? EXEC_OUTPUT_WHOLE : EXEC_OUTPUT_SO_FAR, e);
}

/* "9", "KILL", "SIGKILL" */
static int parse_signal(const char *text, int *ret, struct err *e)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (end != text && !*end && n > 0 && n <= SIGRTMAX) {
        *ret = (int)n;
        return 0;
    }
    const char *name = strncasecmp(text, "SIG", 3) ? text : text + 3;
    for (int i = 1; i < NSIG; i++) {
        const char *known = sigabbrev_np(i);
        if (known && !strcasecmp(known, name)) {
            *ret = i;
            return 0;
        }
    }
    return err_set(e, ERR_INVALID, "there is no signal '%.100s'; e.g. TERM, INT, KILL or 9", text);
}

static int kill_job(struct cli_call *call, struct err *e)
{
    auto_json json_t *answer = NULL;
    struct ref_found job;
    char path[VM_PATH_SIZE], query[VM_PATH_SIZE + 64];
    const char *text = options_value(call->o, "signal");
    int signal = SIGTERM, r = text ? parse_signal(text, &signal, e) : 0;
    if (r == 0)
        r = find_job(call, &job, path, e);
    if (r < 0)
        return r;
    snprintf(query, sizeof(query), "%s?signal=%d", path, signal);
    struct api_call rq = {.method = "DELETE", .path = query};
    r = api_client_call(call->client, &rq, &answer, NULL, e);
    if (r < 0)
        return r;
    if (options_has(call->o, "json"))
        cli_print_json(call->cli, answer);
    else
        vm_call_tell(call->cli, "%s got signal %d, or is forgotten if it had ended", job.id,
                     signal);
    return 0;
}

#define NEEDS_JOB "which VM, and which job of it? 'holm vm jobs VM' shows all"

const struct cli_command cmd_vm_jobs = {
    .name = "vm jobs",
    .summary = "List the commands that run in a VM's background, or did",
    .usage = (const char *const[]){"vm jobs VM [--json]", NULL},
    .options =
        (const struct option_row[]){
            {.name = "json", .doc = "Print the list as JSON"},
            {0},
        },
    .examples = (const struct cli_example[]){{"holm vm jobs lab", "All of lab's."}, {0}},
    .words_min = 1,
    .words_max = 1,
    .needs = "which VM? 'holm vm list' shows all",
    .fill = {FILL_VM},
    .call = jobs,
    .doing = "asking for the VM's commands",
};

const struct cli_command cmd_vm_output = {
    .name = "vm output",
    .summary = "Show the output of a command in the background",
    .usage = (const char *const[]){"vm output [--offset BYTES] [--no-follow] VM JOB", NULL},
    .details =
        "Shows it from its beginning, and on until the command ends, whose exit code becomes "
        "holm's. Ctrl-C ends only the looking on. The last 32 MiB at least of a command's "
        "output are kept.",
    .options =
        (const struct option_row[]){
            {.name = "offset",
             .value = "BYTES",
             .doc = "Begin there: stdout and stderr are counted together"},
            {.name = "no-follow", .doc = "End where the output ends now; holm then ends with 0"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"holm vm output lab 7k2", "All of it; a beginning of the job's id is enough."},
            {"holm vm output --no-follow lab 7k2 | tail", "The end of it, so far."},
            {0},
        },
    .words_min = 2,
    .words_max = 2,
    .needs = NEEDS_JOB,
    .fill = {FILL_VM},
    .call = output,
    .doing = "looking for the command",
};

const struct cli_command cmd_vm_kill = {
    .name = "vm kill",
    .summary = "End a command in the background",
    .usage = (const char *const[]){"vm kill [--signal SIGNAL] VM JOB [--json]", NULL},
    .details = "One that has ended is forgotten, with its output.",
    .options =
        (const struct option_row[]){
            {.name = "signal",
             .letter = 's',
             .value = "SIGNAL",
             .doc = "What it gets: a name or a number (default: TERM)"},
            {.name = "json", .doc = "Print the daemon's JSON answer"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"holm vm kill lab 7k2", "Ask it to end."},
            {"holm vm kill -s KILL lab 7k2", "Make it end."},
            {0},
        },
    .words_min = 2,
    .words_max = 2,
    .needs = NEEDS_JOB,
    .fill = {FILL_VM},
    .call = kill_job,
    .doing = "looking for the command",
};
