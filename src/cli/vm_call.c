/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/vm_call.h"

#include <stdarg.h>
#include <string.h>

#include "base/limits.h"
#include "cli/api_answer.h"
#include "cli/json.h"

int vm_call_find(struct cli_call *call, size_t i, struct ref_found *ret, struct err *e)
{
    return ref_one(call->client, REF_VM, call->o->words[i], ret, e);
}

void vm_call_path(const struct ref_found *vm, const char *rest, char ret[VM_PATH_SIZE])
{
    snprintf(ret, VM_PATH_SIZE, "/v1/vms/%s%s", vm->id, rest);
}

int vm_call_get(struct cli_call *call, const struct ref_found *vm, json_t **ret, struct err *e)
{
    char path[VM_PATH_SIZE];
    vm_call_path(vm, "", path);
    return api_client_get(call->client, path, ret, e);
}

int vm_call_patch(struct cli_call *call, const struct ref_found *vm, const json_t *body,
                  const char *done, struct err *e)
{
    auto_json json_t *answer = NULL;
    char path[VM_PATH_SIZE];
    vm_call_path(vm, "", path);
    struct api_call rq = {.method = "PATCH", .path = path, .body = body};
    int r = api_client_call(call->client, &rq, &answer, NULL, e);
    if (r < 0)
        return r;
    if (options_has(call->o, "json"))
        cli_print_json(call->cli, answer);
    else
        vm_call_tell(call->cli, "%s %s", vm->name, done);
    return 0;
}

/* Waits a moment with the progress line alive; -ECANCELED when a signal came. */
static int pause_between(struct cli *cli, int ms)
{
    for (int left_ms = ms; left_ms > 0; left_ms -= PROGRESS_TICK_MS) {
        int step_ms = left_ms < PROGRESS_TICK_MS ? left_ms : PROGRESS_TICK_MS;
        progress_tick(&cli->progress);
        if (interrupt_wait(&cli->interrupt, -1, 0, step_ms) == -ECANCELED)
            return -ECANCELED;
    }
    return 0;
}

static bool is_on_its_way(const json_t *vm)
{
    return !strcmp(json_text(vm, "status"), "provisioning");
}

int vm_call_wait(struct cli_call *call, json_t **vm, struct err *e)
{
    struct cli *cli = call->cli;
    struct ref_found ref;
    int wait_ms = CLI_POLL_MIN_MS;
    snprintf(ref.id, sizeof(ref.id), "%s", json_text(*vm, "id"));
    while (is_on_its_way(*vm)) {
        char text[400];
        json_t *now = NULL;
        snprintf(text, sizeof(text), "waiting until %s runs", json_text(*vm, "name"));
        progress_set(&cli->progress, &cli->err, text);
        int r = pause_between(cli, wait_ms);
        if (r == 0)
            r = vm_call_get(call, &ref, &now, e);
        if (r == -ECANCELED)
            cli_say(cli, "%s is still being started; 'holm vm delete %s' takes it back",
                    json_text(*vm, "name"), ref.id);
        if (r < 0)
            return r;
        json_decref(*vm);
        *vm = now;
        wait_ms = wait_ms * 2 > CLI_POLL_MAX_MS ? CLI_POLL_MAX_MS : wait_ms * 2;
    }
    if (strcmp(json_text(*vm, "status"), "error"))
        return 0;
    return err_set(e, ERR_UNAVAILABLE,
                   "%.100s could not be started: %.300s; 'holm vm start %s' tries again",
                   json_text(*vm, "name"), json_text(*vm, "detail"), ref.id);
}

void vm_call_tell(struct cli *cli, const char *fmt, ...)
{
    auto_buf struct buf safe = {0};
    char text[600];
    va_list ap;
    progress_stop(&cli->progress);
    if (!cli->out.tty)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    term_safe(&safe, text);
    fprintf(cli->out.file, "%s\n", buf_str(&safe));
}

void vm_call_made(struct cli *cli, const char *noun, const json_t *object)
{
    const char *id = json_text(object, "id"), *status = json_text(object, "status");
    auto_buf struct buf safe = {0};
    progress_stop(&cli->progress);
    if (cli->out.tty) {
        vm_call_tell(cli, "%s %s (%s) is %s", noun, json_text(object, "name"), id,
                     *status ? status : "ready");
        return;
    }
    term_safe(&safe, id);
    fprintf(cli->out.file, "%s\n", buf_str(&safe));
}
