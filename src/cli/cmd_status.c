/* SPDX-License-Identifier: Apache-2.0 */

/* What the daemon says of itself at /health is shown as it is, so that a newer daemon's additions
 * appear without a newer holm. */

#include <string.h>

#include "cli/api_answer.h"
#include "cli/commands.h"
#include "cli/fields.h"
#include "cli/json.h"
#include "cli/languages.h"

static void add_daemon(struct table *t, const struct api_client *c, const json_t *health)
{
    static const char *const shown[] = {"status", "version", NULL};
    const char *status = json_text(health, "status"), *version = json_text(health, "version");
    bool healthy = !strcmp(status, "healthy");
    auto_buf struct buf text = {0};
    buf_append_str(&text, *version ? version : "unknown");
    if (*version && strcmp(version, HOLM_VERSION))
        buf_printf(&text, " (this holm is %s)", HOLM_VERSION);
    fields_row(t, "daemon", *status ? status : "unknown", healthy ? STYLE_GOOD : STYLE_WARN);
    fields_row(t, "address", api_client_url(c), STYLE_PLAIN);
    fields_row(t, "version", buf_str(&text), STYLE_PLAIN);
    fields_add(t, health, shown);
}

static void add_languages(struct table *t, const json_t *languages)
{
    struct languages_count CLEANUP(languages_count_done) n = {0};
    auto_buf struct buf text = {0};
    char pooled[24];
    languages_count(languages, &n);
    languages_count_say(&n, &text);
    snprintf(pooled, sizeof(pooled), "%lld", (long long)n.pooled);
    bool good = n.ready + n.built && !n.others.len;
    fields_row(t, "languages", buf_str(&text), good ? STYLE_GOOD : STYLE_WARN);
    if (n.pooled >= 0)
        fields_row(t, "pooled VMs", pooled, STYLE_PLAIN);
}

static int ask(struct api_client *c, json_t **ret_health, json_t **ret_languages, struct err *e)
{
    int r = api_client_get(c, "/health", ret_health, e);
    return r < 0 ? r : languages_fetch(c, ret_languages, e);
}

static int run(struct cli *cli, const struct options *o)
{
    auto_api_client struct api_client *c = NULL;
    auto_json json_t *health = NULL;
    auto_json json_t *languages = NULL;
    struct err e = ERR_INIT;
    if (cli_connect(cli, "asking the daemon how it is", &c, &e) < 0)
        return cli_usage(cli, "status", &e);
    if (ask(c, &health, &languages, &e) < 0)
        return cli_fail(cli, &e);
    progress_stop(&cli->progress);
    if (options_has(o, "json")) {
        json_object_set_new(health, "url", json_string(api_client_url(c)));
        json_object_update_missing(health, languages);
        cli_print_json(cli, health);
        return 0;
    }
    auto_table struct table t = {.n_columns = 2};
    add_daemon(&t, c, health);
    add_languages(&t, languages);
    table_print(&t, &cli->out);
    return 0;
}

const struct cli_command cmd_status = {
    .name = "status",
    .summary = "Show whether the daemon is alive, and what it has ready",
    .usage = (const char *const[]){"status [--json]", NULL},
    .details = "Ends with 0 when the daemon answers, with 125 when it does not.",
    .options =
        (const struct option_row[]){
            {.name = "json", .doc = "Print the daemon's health and languages as one JSON object"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"holm status", "Health, address, version, languages, waiting machines."},
            {"holm --url http://10.0.0.5:8080 status", "The same of another host's daemon."},
            {0},
        },
    .run = run,
};
