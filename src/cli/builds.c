/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/builds.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "cli/api_answer.h"
#include "cli/json.h"
#include "cli/units.h"
#include "cli/vm_call.h"

#define LOOK_EVERY_MS 500
#define LOG_TAIL_LINES 20

/* Its steps count bytes; how many it will be is not known before all of a file was compressed. */
static bool is_moved(const json_t *b)
{
    const char *kind = json_text(b, "kind");
    return strcmp(kind, "push") == 0 || strcmp(kind, "pull") == 0;
}

static void show(struct cli *cli, const json_t *b)
{
    char text[256], far[UNITS_SIZE + 16] = "", size[UNITS_SIZE];
    json_int_t done = json_integer_value(json_object_get(b, "done"));
    json_int_t total = json_integer_value(json_object_get(b, "total"));
    const char *step = json_text(b, "step"), *state = json_text(b, "state");
    const char *what = *step ? step : state;
    if (total > 0)
        snprintf(far, sizeof(far), " (%lld%%)", (long long)(100 * done / total));
    else if (done > 0 && is_moved(b)) {
        units_bytes((double)done, size);
        snprintf(far, sizeof(far), " (%s)", size);
    }
    snprintf(text, sizeof(text), "%.60s: %.120s%s", json_text(b, "name"), what, far);
    progress_set(&cli->progress, &cli->err, text);
}

static int pause_a_little(struct cli *cli)
{
    int64_t until_ms = clock_mono_ms() + LOOK_EVERY_MS;
    while (clock_mono_ms() < until_ms) {
        progress_tick(&cli->progress);
        int r = interrupt_wait(&cli->interrupt, -1, 0, PROGRESS_TICK_MS);
        if (r < 0 && r != -ETIMEDOUT)
            return r;
    }
    return 0;
}

static const char *tail_of(const char *text, size_t len)
{
    int lines = 0;
    const char *p = text + len;
    if (p > text && p[-1] == '\n')
        p--;
    while (p > text && !(p[-1] == '\n' && ++lines == LOG_TAIL_LINES))
        p--;
    return p;
}

static int take_text(void *arg, const char *data, size_t len, struct err *e)
{
    return buf_append(arg, data, len);
}

/* The last lines of its log, indented, for somebody who wants to know why. */
static void print_log(struct cli_call *call, const char *id)
{
    auto_api_answer struct api_answer a = {0};
    auto_buf struct buf text = {.max_bytes = CLI_ANSWER_MAX_BYTES};
    char path[VM_PATH_SIZE];
    struct err e = ERR_INIT;
    snprintf(path, sizeof(path), BUILDS_PATH "/%.64s/log", id);
    const struct api_request rq = {.path = path, .raw = true, .data = take_text, .arg = &text};
    if (api_client_send(call->client, &rq, &a, &e) < 0 || a.status != 200 || !text.len)
        return;
    progress_stop(&call->cli->progress);
    for (const char *p = tail_of(text.data, text.len); *p;) {
        size_t n = strcspn(p, "\n");
        auto_buf struct buf line = {0}, safe = {0};
        buf_append(&line, p, n);
        term_safe(&safe, buf_str(&line));
        fprintf(call->cli->err.file, "    | %s\n", buf_str(&safe));
        p += n + (p[n] == '\n');
    }
}

static bool has_ended(const json_t *b)
{
    const char *state = json_text(b, "state");
    return strcmp(state, "waiting") != 0 && strcmp(state, "running") != 0;
}

/* Until it has ended; *b is replaced. */
static int follow(struct cli_call *call, const struct builds_words *words, json_t **b,
                  struct err *e)
{
    char path[VM_PATH_SIZE];
    snprintf(path, sizeof(path), BUILDS_PATH "/%.64s", json_text(*b, "id"));
    while (!has_ended(*b)) {
        json_t *next = NULL;
        show(call->cli, *b);
        int r = pause_a_little(call->cli);
        if (r == 0)
            r = api_client_get(call->client, path, &next, e);
        if (r == -ECANCELED)
            vm_call_tell(call->cli, "the %s of %s goes on: holm image builds", words->noun,
                         json_text(*b, "name"));
        if (r < 0)
            return r;
        json_decref(*b);
        *b = next;
    }
    progress_stop(&call->cli->progress);
    return 0;
}

int builds_wait(struct cli_call *call, const struct builds_words *words, json_t **b, struct err *e)
{
    if (options_has(call->o, "detach")) {
        progress_stop(&call->cli->progress);
        fprintf(call->cli->out.file, "%s\n", json_text(*b, "id"));
        return 0;
    }
    int r = follow(call, words, b, e);
    if (r < 0)
        return r;
    const char *name = json_text(*b, "name"), *detail = json_text(*b, "detail");
    if (strcmp(json_text(*b, "state"), "done") == 0) {
        vm_call_tell(call->cli, "%s %s %s", words->before, name, words->done);
        return 0;
    }
    print_log(call, json_text(*b, "id"));
    return err_set(e, ERR_UNAVAILABLE, "%s %s %s: %s", words->before, name, words->failed,
                   *detail ? detail : json_text(*b, "state"));
}

int builds_wait_all(struct cli_call *call, const struct builds_order *o, const char *const *names,
                    size_t n, struct err *e)
{
    auto_json json_t *all = json_array();
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        json_t *b = NULL;
        r = o->start(call, o->arg, names[i], &b, e);
        if (r == 0)
            json_array_append_new(all, b);
    }
    for (size_t i = 0; i < json_array_size(all); i++) {
        struct err own = ERR_INIT;
        json_t *b = json_incref(json_array_get(all, i));
        int one = builds_wait(call, o->words, &b, r < 0 ? &own : e);
        json_decref(b);
        if (one < 0 && r == 0)
            r = one;
        if (one == -ECANCELED || interrupt_signal(&call->cli->interrupt))
            break;
    }
    return r;
}
