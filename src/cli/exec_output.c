/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/exec_output.h"

#include <string.h>

#include "cli/api_answer.h"
#include "cli/run_output.h"

/* As the command ended. A signal's name is not told: the exit code says it. */
static int finish(struct cli_call *call, const struct event *last, struct err *e)
{
    progress_stop(&call->cli->progress);
    if (last->kind == EVENT_ERROR)
        return err_set(e, ERR_UNAVAILABLE, "%s", last->error);
    if (last->timed_out)
        cli_say(call->cli, "the command was ended at its timeout, after %.3g s",
                last->exec_ms / 1000);
    else if (*last->error)
        cli_say(call->cli, "%s", last->error);
    call->code = last->timed_out                        ? CLI_EXIT_TIMEOUT
                 : *last->error && last->exit_code == 0 ? CLI_EXIT_FAILED
                                                        : last->exit_code;
    return 0;
}

int exec_output_pass(struct cli_call *call, struct api_request *rq, enum exec_output_kind kind,
                     struct err *e)
{
    auto_run_output struct run_output out = {0};
    auto_api_answer struct api_answer a = {0};
    run_output_init(&out, call->cli);
    rq->data = run_output_data;
    rq->arg = &out;
    int r = api_client_send(call->client, rq, &a, e);
    if (r < 0)
        return r;
    if (a.status != 200)
        return api_answer_error(call->client, &a, e);
    if (!a.streamed)
        return err_set(e, ERR_UNAVAILABLE, "%s%s answers no stream of events; is it a holmd?",
                       api_client_url(call->client), rq->path);
    bool may_end = kind == EXEC_OUTPUT_SO_FAR && !out.lines.line.len;
    if (may_end && out.last.kind != EVENT_ERROR) {
        progress_stop(&call->cli->progress);
        return 0;
    }
    r = run_output_end(&out, e);
    return r < 0 ? r : finish(call, &out.last, e);
}
