/* SPDX-License-Identifier: Apache-2.0 */

/* One report, a JSON object, is put together from what `holmd --doctor` says about the host and
 * from what the daemon answers; then it is printed as it is, or as a table. */

#include <string.h>

#include "cli/api_answer.h"
#include "cli/commands.h"
#include "cli/holmd_doctor.h"
#include "cli/json.h"
#include "cli/languages.h"
#include "cli/table.h"

static void add_fact(json_t *facts, const char *name, const char *state, const char *detail)
{
    json_array_append_new(
        facts, json_pack("{s:s, s:s, s:s}", "name", name, "state", state, "detail", detail));
}

/* Adds what the daemon says. Returns whether it can run programs now. */
static bool examine_daemon(struct cli *cli, struct api_client *c, json_t *facts)
{
    auto_json json_t *health = NULL;
    auto_json json_t *languages = NULL;
    struct err e = ERR_INIT;
    if (api_client_get(c, "/health", &health, &e) < 0) {
        add_fact(facts, "daemon", "no", e.text);
        return false;
    }
    const char *version = json_text(health, "version");
    auto_buf struct buf text = {0};
    buf_printf(&text, "it answers at %s, version %s", api_client_url(c), version);
    if (strcmp(version, HOLM_VERSION))
        buf_printf(&text, ", but this holm is " HOLM_VERSION "; install both from one release");
    add_fact(facts, "daemon", strcmp(version, HOLM_VERSION) ? "degraded" : "yes", buf_str(&text));
    if (languages_fetch(c, &languages, &e) < 0) {
        add_fact(facts, "languages", "no", e.text);
        return false;
    }
    struct languages_count CLEANUP(languages_count_done) n = {0};
    languages_count(languages, &n);
    buf_clear(&text);
    languages_count_say(&n, &text);
    size_t usable = n.ready + n.built;
    add_fact(facts, "languages",
             !usable        ? "no"
             : n.others.len ? "degraded"
                            : "yes",
             buf_str(&text));
    return usable > 0;
}

/* Whether one of the facts without which no VM starts is a no. */
static bool lacks_a_must(const json_t *report)
{
    size_t i;
    const json_t *fact;
    json_array_foreach(json_object_get(report, "facts"), i, fact)
    {
        const char *name = json_text(fact, "name");
        bool is_must = strcmp(name, "engine") == 0 || strcmp(name, "jail") == 0;
        if (is_must && strcmp(json_text(fact, "state"), "no") == 0)
            return true;
    }
    return false;
}

/* Whether holmd has found a way to run VMs here. */
static bool has_engine(const json_t *report)
{
    const char *engine = json_text(report, "engine"), *accel = json_text(report, "accelerator");
    return *engine && strcmp(engine, "none") && *accel && strcmp(accel, "none") &&
           !lacks_a_must(report);
}

/* Adds what holmd says of the host. Returns whether VMs can be run here. */
static bool examine_host(const char *holmd, json_t *report, json_t *facts)
{
    auto_json json_t *host = NULL;
    auto_buf struct buf path = {0};
    struct err e = ERR_INIT;
    int r = holmd ? buf_append_str(&path, holmd) : holmd_doctor_find(&path, &e);
    if (r == 0)
        r = holmd_doctor_ask(buf_str(&path), &host, &e);
    add_fact(facts, "holmd", r < 0 ? "no" : "yes", r < 0 ? e.text : buf_str(&path));
    if (r < 0)
        return false;
    json_array_extend(facts, json_object_get(host, "facts"));
    json_object_set(report, "engine", json_object_get(host, "engine"));
    json_object_set(report, "accelerator", json_object_get(host, "accelerator"));
    return has_engine(host);
}

static void add_row(struct table *t, const struct term *term, const json_t *fact)
{
    static const struct {
        const char *state, *mark;
        enum term_style style;
    } states[] = {{"yes", "✔", STYLE_GOOD}, {"degraded", "!", STYLE_WARN}, {"no", "✘", STYLE_BAD}};
    const char *state = json_text(fact, "state"), *mark = state;
    enum term_style style = STYLE_PLAIN;
    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        if (strcmp(state, states[i].state))
            continue;
        style = states[i].style;
        /* In a file or a pipe the word is what grep looks for. */
        mark = term->tty && term->utf8 ? states[i].mark : state;
    }
    table_add(t, (struct table_cell[]){{.text = mark, .style = style},
                                       {.text = json_text(fact, "name"), .style = STYLE_BOLD},
                                       {.text = json_text(fact, "detail")}});
}

static void print_report(struct cli *cli, const json_t *report, bool ok)
{
    auto_table struct table t = {.n_columns = 3};
    const struct term *term = &cli->out;
    size_t i;
    json_t *fact;
    json_array_foreach(json_object_get(report, "facts"), i, fact) add_row(&t, term, fact);
    table_print(&t, term);
    enum term_style style = ok ? STYLE_GOOD : STYLE_BAD;
    auto_buf struct buf how = {0};
    if (has_engine(report)) {
        buf_append_str(&how, ", with ");
        term_safe(&how, json_text(report, "engine"));
        buf_append_str(&how, " on ");
        term_safe(&how, json_text(report, "accelerator"));
    }
    fprintf(term->file, "\n%sThis host %s run virtual machines%s.%s\n", term_on(term, style),
            ok ? "can" : "cannot", buf_str(&how), term_off(term, style));
}

static int run(struct cli *cli, const struct options *o)
{
    auto_api_client struct api_client *c = NULL;
    auto_json json_t *report = json_object();
    json_t *facts = json_array(), *daemon_facts = json_array();
    json_object_set_new(report, "facts", facts);
    json_object_set_new(report, "daemon", daemon_facts);
    struct err e = ERR_INIT;
    if (cli_connect(cli, "asking the daemon", &c, &e) < 0)
        return cli_usage(cli, "doctor", &e);
    bool serves = examine_daemon(cli, c, daemon_facts);
    if (interrupt_signal(&cli->interrupt))
        return cli_fail(cli, &e);
    progress_set(&cli->progress, &cli->err, "measuring what this host can do");
    progress_show(&cli->progress);
    /* holmd is waited for without polling: Ctrl-C shall end us by itself from here on. */
    interrupt_done(&cli->interrupt);
    const char *holmd = options_value(o, "holmd");
    bool ok = examine_host(holmd, report, facts);
    /* Without holmd at hand, a daemon that serves is proof enough; a different holmd named on the
     * command line is what was asked about. */
    ok = ok || (serves && !holmd && !json_object_get(report, "engine"));
    progress_stop(&cli->progress);
    json_array_extend(facts, daemon_facts);
    json_object_del(report, "daemon");
    json_object_set_new(report, "can_run", json_boolean(ok));
    if (options_has(o, "json"))
        cli_print_json(cli, report);
    else
        print_report(cli, report, ok);
    return ok ? 0 : 1;
}

const struct cli_command cmd_doctor = {
    .name = "doctor",
    .summary = "Show what this host can do, and what it lacks",
    .usage = (const char *const[]){"doctor [--json] [--holmd PATH]", NULL},
    .details = "Runs 'holmd --doctor', which tries what virtual machines need of this host, and "
               "asks the running daemon. Each line is one fact: 'yes', 'degraded' (it works, but "
               "slower or less isolated than it could) or 'no', and what to do about it.\n"
               "Ends with 0 when virtual machines can be run here, with 1 when they cannot.",
    .options =
        (const struct option_row[]){
            {.name = "json", .doc = "Print the report as JSON"},
            {.name = "holmd",
             .value = "PATH",
             .doc = "The holmd program to ask; else the one installed with holm or in PATH",
             .fill = FILL_FILE},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"holm doctor", "What holds on this host, with advice."},
            {"holm doctor --json | jq .accelerator", "How guests' processors are run: kvm or tcg."},
            {0},
        },
    .run = run,
};
