/* SPDX-License-Identifier: Apache-2.0 */

/* Fields that the specification does not have (status, versions, pooled, title) may be missing:
 * then the table does without their column. */

#include <errno.h>

#include <curl/curl.h>

#include "cli/api_answer.h"
#include "cli/commands.h"
#include "cli/fields.h"
#include "cli/json.h"
#include "cli/languages.h"
#include "cli/table.h"

static void print_names(struct cli *cli, const json_t *list)
{
    size_t i;
    json_t *row;
    json_array_foreach(list, i, row)
    {
        auto_buf struct buf safe = {0};
        term_safe(&safe, json_text(row, "name"));
        fprintf(cli->out.file, "%s\n", buf_str(&safe));
    }
}

static const char *first_version(const json_t *row)
{
    const char *text = json_string_value(json_array_get(json_object_get(row, "versions"), 0));
    return text ? text : "";
}

static void print_table(struct cli *cli, const json_t *list)
{
    static const char *const heads[] = {"NAME",    "EXTENSION", "STATUS",
                                        "VERSION", "POOLED",    "TITLE"};
    auto_table struct table t = {.n_columns = ARRAY_SIZE(heads), .heads = heads};
    size_t i;
    json_t *row;
    json_array_foreach(list, i, row)
    {
        const char *status = json_text(row, "status");
        char pooled[24] = "";
        json_t *n = json_object_get(row, "pooled");
        if (json_is_integer(n))
            snprintf(pooled, sizeof(pooled), "%lld", (long long)json_integer_value(n));
        table_add(&t, (struct table_cell[]){
                          {.text = json_text(row, "name"), .style = STYLE_BOLD},
                          {.text = json_text(row, "extension")},
                          {.text = status, .style = languages_style(status)},
                          {.text = first_version(row)},
                          {.text = pooled},
                          {.text = json_text(row, "title")},
                      });
    }
    table_print(&t, &cli->out);
}

static int list(struct cli *cli, const struct options *o, struct api_client *c)
{
    auto_json json_t *answer = NULL;
    struct err e = ERR_INIT;
    if (languages_fetch(c, &answer, &e) < 0)
        return cli_fail(cli, &e);
    progress_stop(&cli->progress);
    const json_t *rows = json_object_get(answer, "languages");
    if (options_has(o, "json"))
        cli_print_json(cli, answer);
    else if (options_has(o, "names"))
        print_names(cli, rows);
    else
        print_table(cli, rows);
    return 0;
}

static int fetch_one(struct api_client *c, const char *name, json_t **ret, struct err *e)
{
    auto_buf struct buf path = {0};
    char *escaped = curl_easy_escape(NULL, name, 0);
    buf_printf(&path, "/api/v1/languages/%s", escaped ? escaped : "");
    bool ok = escaped && !path.failed;
    curl_free(escaped);
    if (!ok)
        return err_errno(e, -ENOMEM, "make a request");
    return api_client_get(c, buf_str(&path), ret, e);
}

static int show(struct cli *cli, const struct options *o, struct api_client *c)
{
    auto_json json_t *answer = NULL;
    struct err e = ERR_INIT;
    if (fetch_one(c, o->words[0], &answer, &e) < 0)
        return e.class == ERR_NOT_FOUND ? languages_unknown(cli, c, o->words[0])
                                        : cli_fail(cli, &e);
    progress_stop(&cli->progress);
    if (options_has(o, "json")) {
        cli_print_json(cli, answer);
        return 0;
    }
    auto_table struct table t = {.n_columns = 2};
    fields_add(&t, answer, NULL);
    table_print(&t, &cli->out);
    return 0;
}

static int run(struct cli *cli, const struct options *o)
{
    auto_api_client struct api_client *c = NULL;
    struct err e = ERR_INIT;
    if (o->n_words && !*o->words[0]) {
        err_set(&e, ERR_INVALID, "the name of the language is empty");
        return cli_usage(cli, "languages", &e);
    }
    if (cli_connect(cli, "asking the daemon for its languages", &c, &e) < 0)
        return cli_usage(cli, "languages", &e);
    return o->n_words ? show(cli, o, c) : list(cli, o, c);
}

const struct cli_command cmd_languages = {
    .name = "languages",
    .summary = "List the languages, or show one",
    .usage = (const char *const[]){"languages [--json | --names]", "languages NAME [--json]", NULL},
    .details = "A language is 'ready' when a program in it can be run at once, 'preparing' while "
               "its image is booted for the first time, 'built' when its first run will do that, "
               "'missing' when its image is not on the daemon's host ('holm image build'), and "
               "'failed' when it could not be prepared; 'holm languages NAME' says why. VERSION is "
               "what its image has, if that is known, POOLED how many warm virtual machines wait "
               "for it.",
    .options =
        (const struct option_row[]){
            {.name = "json", .doc = "Print the daemon's JSON answer"},
            {.name = "names", .doc = "Print the names only, one a line"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"holm languages", "A table of all."},
            {"holm languages python", "Everything the daemon says about Python."},
            {"holm languages --json | jq -r '.languages[].name'", "For scripts."},
            {0},
        },
    .words_max = 1,
    .fill = {FILL_LANGUAGE},
    .run = run,
};
