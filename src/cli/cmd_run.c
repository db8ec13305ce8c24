/* SPDX-License-Identifier: Apache-2.0 */

/* holm run: gather the request (run_input), send it until the daemon takes it, pass on what comes
 * (run_output), and end as the program did.
 *
 * 503 means that nothing was run: the language is being prepared or the host is full. It is asked
 * again as the daemon says (Retry-After): with somebody watching for as long as it takes, else for
 * --wait seconds. */

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "cli/api_answer.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/languages.h"
#include "cli/run_input.h"
#include "cli/run_output.h"

struct run {
    struct cli *cli;
    struct api_client *client;
    const char *language;
    bool json; /* print the answer instead of the output */
    bool stats;
    int timeout_s;
    int wait_s;          /* -1: for ever */
    int64_t deadline_ms; /* until when a 503 is asked again; 0: for ever */
    struct buf body;
};

/* What one request came to. */
struct attempt {
    struct run_output output;
    struct api_answer answer;
};

static void attempt_done(struct attempt *a)
{
    run_output_done(&a->output);
    api_answer_done(&a->answer);
}

static void say_running(struct run *run)
{
    char text[128];
    snprintf(text, sizeof(text), "running %s", run->language);
    progress_set(&run->cli->progress, &run->cli->err, text);
}

static int send_once(struct run *run, struct attempt *a, struct err *e)
{
    struct api_request rq = {
        .path = "/api/v1/execute",
        .body = buf_str(&run->body),
        .body_len = run->body.len,
        .stream = !run->json,
        .timeout_s = (run->timeout_s ? run->timeout_s : RUN_TIMEOUT_MAX_S) + CLI_RUN_GRACE_S,
        .data = run->json ? NULL : run_output_data,
        .arg = &a->output,
    };
    int r = api_client_send(run->client, &rq, &a->answer, e);
    if (r < 0 || a->answer.status != 200)
        return r;
    if (a->answer.streamed)
        return run_output_end(&a->output, e);
    /* Not streamed: asked for so, or another server of this dialect. */
    auto_json json_t *o = NULL;
    r = api_answer_json(&a->answer, &o, e);
    return r < 0 || run->json ? r : run_output_whole(&a->output, o, e);
}

/* Whether it was turned away for now; `text` then gets why. */
static bool is_busy(struct run *run, struct attempt *a, struct err *why)
{
    if (a->answer.status == 503)
        return api_answer_error(run->client, &a->answer, why) < 0;
    const struct event *last = &a->output.last;
    if (last->kind != EVENT_ERROR || last->status != 503 || a->output.any)
        return false;
    err_set(why, ERR_FULL, "%s", last->error);
    return true;
}

/* Waits as long as the daemon says. False when the deadline or a signal came first. */
static bool wait_for_turn(struct run *run, int retry_after_s, const struct err *why)
{
    struct cli *cli = run->cli;
    int64_t until_ms = clock_mono_ms() + (retry_after_s ? retry_after_s : 1) * 1000LL;
    if (run->deadline_ms && clock_mono_ms() >= run->deadline_ms)
        return false;
    if (run->deadline_ms && until_ms > run->deadline_ms)
        until_ms = run->deadline_ms; /* one last try when the time is up */
    progress_set(&cli->progress, &cli->err, why->text);
    for (int left_ms; (left_ms = clock_left_ms(until_ms)) > 0;) {
        progress_tick(&cli->progress);
        int step_ms = cli->err.tty && left_ms > PROGRESS_TICK_MS ? PROGRESS_TICK_MS : left_ms;
        if (interrupt_wait(&cli->interrupt, -1, 0, step_ms) == -ECANCELED)
            return false;
    }
    say_running(run);
    return true;
}

static void print_stats(struct run *run, double load_ms, double exec_ms)
{
    if (run->stats)
        fprintf(run->cli->err.file, "holm: ready after %.4g ms, ran %.4g ms\n", load_ms, exec_ms);
}

/* A signal's name is for somebody who watches; in a pipe stderr is the program's alone, and the
 * exit code says it. The timeout is ours, so we always say it. */
static int finish_program(struct run *run, const struct event *last)
{
    struct cli *cli = run->cli;
    progress_stop(&cli->progress);
    if (last->timed_out)
        fprintf(cli->err.file, "holm: the program was ended at its timeout, after %.3g s%s\n",
                last->exec_ms / 1000, run->timeout_s ? "" : "; --timeout gives it more");
    else if (*last->signal && cli->err.tty)
        fprintf(cli->err.file, "holm: the program was ended by %s\n", last->signal);
    print_stats(run, last->load_ms, last->exec_ms);
    return last->timed_out ? CLI_EXIT_TIMEOUT : last->exit_code;
}

/* An answer that is not 200. */
static int explain(struct run *run, struct attempt *a)
{
    struct err e = ERR_INIT;
    if (a->answer.status == 404)
        return languages_unknown(run->cli, run->client, run->language);
    api_answer_error(run->client, &a->answer, &e);
    return cli_fail(run->cli, &e);
}

/* --json: the answer as it came, whatever its status; the exit code is the program's. */
static int finish_json(struct run *run, struct attempt *a)
{
    struct err e = ERR_INIT;
    auto_json json_t *o = NULL;
    progress_stop(&run->cli->progress);
    if (api_answer_json(&a->answer, &o, &e) == 0)
        cli_print_json(run->cli, o);
    if (a->answer.status != 200)
        return explain(run, a);
    print_stats(run, strtod(json_text(o, "load_time"), NULL),
                strtod(json_text(o, "exec_time"), NULL));
    if (json_is_true(json_object_get(o, "timed_out")))
        return CLI_EXIT_TIMEOUT;
    return (int)(json_integer_value(json_object_get(o, "exit_code")) & 0xff);
}

static int finish(struct run *run, struct attempt *a)
{
    struct err e = ERR_INIT;
    const struct event *last = &a->output.last;
    if (run->json)
        return finish_json(run, a);
    if (a->answer.status == 200 && last->kind == EVENT_EXIT)
        return finish_program(run, last);
    if (a->answer.status != 200)
        return explain(run, a);
    err_set(&e, ERR_UNAVAILABLE, "%s", last->error);
    return cli_fail(run->cli, &e);
}

/* Asks until it is taken. Asking again is safe: 503 says that nothing has been run. */
static int execute(struct run *run)
{
    for (;;) {
        struct attempt CLEANUP(attempt_done) a = {0};
        struct err e = ERR_INIT, why = ERR_INIT;
        run_output_init(&a.output, run->cli);
        int r = send_once(run, &a, &e);
        if (r == -EPIPE && a.output.any) {
            progress_stop(&run->cli->progress);
            return 128 + SIGPIPE; /* as any program whose reader has gone */
        }
        if (r < 0)
            return cli_fail(run->cli, &e);
        if (!is_busy(run, &a, &why) || !wait_for_turn(run, a.answer.retry_after_s, &why))
            return interrupt_signal(&run->cli->interrupt) ? cli_fail(run->cli, &e)
                                                          : finish(run, &a);
    }
}

static int prepare(struct run *run, const struct options *o, struct err *e)
{
    struct run_input auto_run_input in = {0};
    const struct options_range wait = {.max = CLI_WAIT_MAX_S,
                                       .fallback = run->cli->err.tty ? -1 : CLI_WAIT_DEFAULT_S};
    int r = options_number(o, "wait", &wait, &run->wait_s, e);
    if (r == 0)
        r = run_input_gather(run->cli, o, &in, e);
    if (r == 0)
        r = run_input_body(&in, &run->body, e);
    if (r < 0)
        return r;
    run->timeout_s = in.timeout_s;
    run->deadline_ms = run->wait_s < 0 ? 0 : clock_mono_ms() + run->wait_s * 1000LL;
    progress_stop(&run->cli->progress);
    r = cli_connect(run->cli, "", &run->client, e);
    if (r == 0)
        say_running(run);
    return r;
}

static void run_done(struct run *run)
{
    api_client_free(run->client);
    buf_done(&run->body);
}

static int run(struct cli *cli, const struct options *o)
{
    struct run CLEANUP(run_done) run = {
        .cli = cli,
        .language = o->n_words ? o->words[0] : "",
        .json = options_has(o, "json"),
        .stats = options_has(o, "stats"),
    };
    struct err e = ERR_INIT;
    int r = prepare(&run, o, &e);
    if (r == -ECANCELED)
        return cli_fail(cli, &e);
    if (r < 0)
        return e.class == ERR_INVALID ? cli_usage(cli, "run", &e) : cli_fail(cli, &e);
    return execute(&run);
}

/* The program's words begin after its file; after -c CODE our own options may still follow, since
 * that is where people write them. */
static enum options_owner owner(const struct options *so_far)
{
    bool has_code = options_has(so_far, "code");
    if (so_far->n_words == 2)
        return OPTIONS_THEIRS;
    return so_far->n_words == 1 && has_code ? OPTIONS_SHARED : OPTIONS_OURS;
}

const struct cli_command cmd_run = {
    .name = "run",
    .summary = "Run a program in a virtual machine of its own",
    .usage =
        (const char *const[]){
            "run [OPTIONS] LANGUAGE FILE [ARGS...]",
            "run [OPTIONS] LANGUAGE -c CODE [ARGS...]",
            "run [OPTIONS] LANGUAGE [-] < FILE",
            NULL,
        },
    .details =
        "Sends the program to the daemon, which runs it in a fresh virtual machine that is thrown "
        "away afterwards. What it prints comes out as it is printed; input that is not a terminal "
        "goes to it (up to 4 MiB), unless the program itself comes from there.\n"
        "Everything after FILE belongs to the program. After -c CODE, options of holm are still "
        "understood up to the first other word; '--' ends them.\n"
        "Ends with the program's exit code: 128 and the signal's number when a signal ended it, "
        "124 at the timeout. 125 means that holm or the daemon failed and says why, 2 that this "
        "command line makes no sense. Ctrl-C ends the program and gives 130.",
    .options =
        (const struct option_row[]){
            {.name = "code", .letter = 'c', .value = "CODE", .doc = "The program itself"},
            {.name = "timeout",
             .letter = 't',
             .value = "SECONDS",
             .doc = "End the program after this long, compiling included (1 to 300; default 30)"},
            {.name = "env",
             .letter = 'e',
             .value = "NAME=VALUE",
             .doc = "Set a variable for the program; NAME alone passes on this shell's. May be "
                    "given again"},
            {.name = "file",
             .letter = 'f',
             .value = "NAME[=PATH]",
             .doc = "Put a file beside the program, called NAME there. May be given again",
             .fill = FILL_FILE},
            {.name = "no-stdin", .letter = 'n', .doc = "Give the program no input"},
            {.name = "wait",
             .letter = 'w',
             .value = "SECONDS",
             .doc = "How long to wait for a busy daemon or a language in preparation (default: 60, "
                    "on a terminal until it is ready)"},
            {.name = "json", .doc = "Print the daemon's JSON answer instead of the output"},
            {.name = "stats", .doc = "Say on stderr how long loading and running took"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"holm run python -c 'print(2**10)'", "A line of code."},
            {"holm run python script.py arg1 < input.txt", "A file, with arguments and input."},
            {"echo 'console.log(1)' | holm run nodejs", "What comes from a pipe."},
            {"holm run bash - one two < script.sh", "The same, with arguments."},
            {"holm run --timeout 120 --file util.h c main.c", "More time, and a second file."},
            {"holm run -e TOKEN -n python job.py", "One variable of this shell, and no input."},
            {"holm run python -c 'print(1)' --json | jq .exec_time", "For scripts."},
            {0},
        },
    .words_max = 2,
    .fill = {FILL_LANGUAGE, FILL_FILE},
    .owner = owner,
    .run = run,
};
