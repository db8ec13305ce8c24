/* SPDX-License-Identifier: Apache-2.0 */

/* holm vm exec. Without -d the connection is the command's life: when it is closed, by Ctrl-C or
 * because nobody reads the output any more, the daemon ends the command. */

#include <errno.h>
#include <string.h>

#include "base/base64.h"
#include "base/limits.h"
#include "cli/api_answer.h"
#include "cli/commands.h"
#include "cli/exec_output.h"
#include "cli/json.h"
#include "cli/pairs.h"
#include "cli/stdin.h"
#include "cli/terminal.h"
#include "cli/vm_call.h"

static int add_text(const struct options *o, const char *option, json_t *body, struct err *e)
{
    const char *value = options_value(o, option);
    if (value && json_object_set_new(body, option, json_string(value)) < 0)
        return err_set(e, ERR_INVALID, "--%s: '%.100s' is not UTF-8 text", option, value);
    return 0;
}

static int add_command(const struct options *o, json_t *body, struct err *e)
{
    json_t *command = json_array();
    json_object_set_new(body, "command", command);
    for (size_t i = 0; i < o->n_rest; i++) {
        if (json_array_append_new(command, json_string(o->rest[i])) < 0)
            return err_set(e, ERR_INVALID, "word %zu of the command is not UTF-8 text", i + 1);
    }
    if (o->n_rest)
        return 0;
    return err_set(e, ERR_INVALID, "which command? e.g. holm vm exec %.100s -- uname -a",
                   o->words[0]);
}

static int add_env(const struct options *o, json_t *body, struct err *e)
{
    json_t *env = json_object();
    int r = pairs_gather(o, "env", true, env, e);
    if (r == 0 && json_object_size(env))
        json_object_set(body, "env", env);
    json_decref(env);
    return r;
}

static int add_timeout(const struct options *o, json_t *body, struct err *e)
{
    const struct options_range range = {.min = 1, .max = CLI_EXEC_TIMEOUT_MAX_S};
    int seconds = 0, r = options_number(o, "timeout", &range, &seconds, e);
    if (r == 0 && seconds)
        json_object_set_new(body, "timeoutSec", json_integer(seconds));
    return r;
}

static int add_stdin(struct cli *cli, json_t *body, struct err *e)
{
    auto_buf struct buf data = {.max_bytes = RUN_STDIN_MAX_BYTES};
    auto_buf struct buf text = {0};
    int r = stdin_read(cli, &data, e);
    if (r < 0)
        return r;
    if (base64_encode(buf_str(&data), data.len, &text) < 0)
        return err_errno(e, -ENOMEM, "read standard input");
    json_object_set_new(body, "stdin", json_stringn(buf_str(&text), text.len));
    return 0;
}

/* Everything that the command line says by itself; standard input comes last, since a mistake shall
 * not wait for its end. */
static int gather(struct cli_call *call, json_t *body, struct err *e)
{
    const struct options *o = call->o;
    bool is_background = options_has(o, "background");
    if (options_has(o, "tty") && (is_background || options_has(o, "timeout")))
        return err_set(e, ERR_INVALID, "-t is for a command that somebody watches: not with %s",
                       is_background ? "-d" : "--timeout");
    int r = add_command(o, body, e);
    if (r == 0)
        r = add_text(o, "user", body, e);
    if (r == 0)
        r = add_text(o, "cwd", body, e);
    if (r == 0)
        r = add_env(o, body, e);
    if (r == 0)
        r = add_timeout(o, body, e);
    if (r == 0 && is_background)
        json_object_set_new(body, "background", json_true());
    if (r == 0 && options_has(o, "stdin") && !options_has(o, "tty"))
        r = add_stdin(call->cli, body, e);
    return r;
}

static int run_background(struct cli_call *call, const char *path, const json_t *body,
                          struct err *e)
{
    auto_json json_t *answer = NULL;
    struct api_call rq = {.method = "POST", .path = path, .body = body};
    int r = api_client_call(call->client, &rq, &answer, NULL, e);
    if (r < 0)
        return r;
    progress_stop(&call->cli->progress);
    if (options_has(call->o, "json")) {
        cli_print_json(call->cli, answer);
        return 0;
    }
    auto_buf struct buf safe = {0};
    term_safe(&safe, json_text(answer, "execId"));
    fprintf(call->cli->out.file, "%s\n", buf_str(&safe));
    return 0;
}

/* --json: the buffered answer, whose exit code is ours all the same. */
static int run_json(struct cli_call *call, const char *path, const json_t *body, struct err *e)
{
    auto_json json_t *answer = NULL;
    struct api_call rq = {.method = "POST", .path = path, .body = body, .timeout_s = -1};
    int r = api_client_call(call->client, &rq, &answer, NULL, e);
    if (r < 0)
        return r;
    cli_print_json(call->cli, answer);
    call->code = json_is_true(json_object_get(answer, "timedOut"))
                     ? CLI_EXIT_TIMEOUT
                     : (int)(json_integer_value(json_object_get(answer, "exitCode")) & 0xff);
    return 0;
}

static int run_stream(struct cli_call *call, const char *path, const json_t *body, struct err *e)
{
    auto_free char *text = json_dumps(body, JSON_COMPACT);
    if (!text)
        return err_errno(e, -ENOMEM, "make a request");
    struct api_request rq = {.path = path, .body = text, .body_len = strlen(text), .stream = true};
    return exec_output_pass(call, &rq, EXEC_OUTPUT_WHOLE, e);
}

static int exec(struct cli_call *call, struct err *e)
{
    auto_json json_t *body = json_object();
    struct ref_found vm;
    char path[VM_PATH_SIZE], doing[400];
    int r = gather(call, body, e);
    if (r == 0)
        r = vm_call_find(call, 0, &vm, e);
    if (r < 0)
        return r;
    if (options_has(call->o, "tty"))
        return terminal_shell(call, &vm, body, e);
    vm_call_path(&vm, "/exec", path);
    snprintf(doing, sizeof(doing), "running %s in %s", call->o->rest[0], vm.name);
    progress_set(&call->cli->progress, &call->cli->err, doing);
    if (options_has(call->o, "background"))
        return run_background(call, path, body, e);
    return options_has(call->o, "json") ? run_json(call, path, body, e)
                                        : run_stream(call, path, body, e);
}

/* The command's words begin behind the VM, at the first that is no option of ours. */
static enum options_owner owner(const struct options *so_far)
{
    return so_far->n_words ? OPTIONS_SHARED : OPTIONS_OURS;
}

static const struct option_row options[] = {
    {.name = "stdin",
     .letter = 'i',
     .doc = "Give it our standard input: all of it, up to 4 MiB, before it starts"},
    {.name = "tty", .letter = 't', .doc = "Run it in a terminal, connected to this one"},
    {.name = "user",
     .letter = 'u',
     .value = "USER",
     .doc = "Whom it runs as: a name, or UID:GID (default: root)"},
    {.name = "cwd", .letter = 'C', .value = "DIR", .doc = "Where it runs (default: /root)"},
    {.name = "env",
     .letter = 'e',
     .value = "NAME=VALUE",
     .doc = "Another variable for it; NAME alone passes on this shell's. May be given again"},
    {.name = "timeout", .value = "SECONDS", .doc = "End it after this long (default: never)"},
    {.name = "background",
     .letter = 'd',
     .doc = "Let it run on by itself, and print its id for 'holm vm output' and 'holm vm kill'"},
    {.name = "json", .doc = "Print the daemon's JSON answer: output of up to 4 MiB, exit code"},
    {0},
};

const struct cli_command cmd_vm_exec = {
    .name = "vm exec",
    .summary = "Run a command in a VM",
    .usage = (const char *const[]){"vm exec [OPTIONS] VM [--] COMMAND [ARGS...]", NULL},
    .details =
        "Its output comes out as it is written, byte for byte, and its exit code becomes holm's: "
        "128 and the signal's number when a signal ended it, 124 at the timeout; 125 means that "
        "holm or the daemon failed. Ctrl-C ends the command. COMMAND is a program and its "
        "arguments, no line for a shell: for that, say sh -c 'LINE'.",
    .options = options,
    .examples =
        (const struct cli_example[]){
            {"holm vm exec lab -- uname -a", "A command."},
            {"holm vm exec lab -- sh -c 'ls | wc -l'", "A line for the shell in the VM."},
            {"holm vm exec -i lab -- tar -xz -C /srv < site.tgz", "With input."},
            {"holm vm exec -it lab -- top", "In a terminal."},
            {"JOB=$(holm vm exec -d lab -- make -j4); holm vm output lab $JOB",
             "In the background, and then its output."},
            {0},
        },
    .words_min = 1,
    .words_max = 1,
    .needs = "which VM? 'holm vm list' shows all",
    .fill = {FILL_VM},
    .owner = owner,
    .call = exec,
    .doing = "looking for the VM",
};
