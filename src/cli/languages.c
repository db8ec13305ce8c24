/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/languages.h"

#include <errno.h>
#include <string.h>

#include "cli/api_answer.h"
#include "cli/json.h"
#include "cli/suggest.h"

int languages_fetch(struct api_client *c, json_t **ret, struct err *e)
{
    auto_json json_t *answer = NULL;
    int r = api_client_get(c, "/api/v1/languages", &answer, e);
    if (r < 0)
        return r;
    if (!json_is_array(json_object_get(answer, "languages")))
        return err_set(e, ERR_UNAVAILABLE, "%s answers no list of languages; is it a holmd?",
                       api_client_url(c));
    *ret = TAKE_PTR(answer);
    return 0;
}

void languages_count(const json_t *answer, struct languages_count *ret)
{
    const json_t *list = json_object_get(answer, "languages");
    size_t i;
    json_t *row;
    *ret = (struct languages_count){.all = json_array_size(list), .pooled = -1};
    json_array_foreach(list, i, row)
    {
        const char *status = json_text(row, "status");
        const json_t *pooled = json_object_get(row, "pooled");
        if (json_is_integer(pooled))
            ret->pooled = (ret->pooled < 0 ? 0 : ret->pooled) + json_integer_value(pooled);
        /* A server that knows no status lists only what it can run. */
        if (!*status || !strcmp(status, "ready")) {
            ret->ready++;
            continue;
        }
        if (!strcmp(status, "built") || !strcmp(status, "missing")) {
            (*status == 'b' ? ret->built++ : ret->missing++);
            continue;
        }
        buf_printf(&ret->others, "%s%s (%s)", ret->others.len ? ", " : "", json_text(row, "name"),
                   status);
    }
}

void languages_count_say(const struct languages_count *n, struct buf *ret)
{
    buf_printf(ret, "%zu of %zu ready", n->ready, n->all);
    if (n->built)
        buf_printf(ret, ", %zu prepared at their first run", n->built);
    if (n->missing)
        buf_printf(ret, ", %zu without image", n->missing);
    if (n->others.len)
        buf_printf(ret, "; not %s", buf_str(&n->others));
}

void languages_count_done(struct languages_count *n)
{
    buf_done(&n->others);
}

static void offer_all(struct suggest *s, const json_t *list)
{
    size_t i, k;
    json_t *row, *alias;
    json_array_foreach(list, i, row)
    {
        suggest_offer(s, json_text(row, "name"));
        json_array_foreach(json_object_get(row, "aliases"), k, alias)
        {
            if (json_is_string(alias))
                suggest_offer(s, json_string_value(alias));
        }
    }
}

/* "Available: ada, awk, ..." */
static void print_available(struct cli *cli, const json_t *list)
{
    auto_buf struct buf names = {0};
    size_t i;
    json_t *row;
    json_array_foreach(list, i, row)
    {
        buf_append_str(&names, names.len ? ", " : "");
        term_safe(&names, json_text(row, "name"));
    }
    fprintf(cli->err.file, "Available: %s\n", buf_str(&names));
}

int languages_unknown(struct cli *cli, struct api_client *c, const char *name)
{
    auto_json json_t *answer = NULL;
    struct err e = ERR_INIT;
    if (languages_fetch(c, &answer, &e) < 0)
        return cli_fail(cli, &e);
    struct suggest s = {.word = name, .len = strlen(name)};
    const json_t *list = json_object_get(answer, "languages");
    offer_all(&s, list);
    if (s.best && !strcmp(s.best, name)) {
        err_set(&e, ERR_UNAVAILABLE,
                "%s lists the language '%.100s' and answers 404 for it; is it a holmd?",
                api_client_url(c), name);
        return cli_fail(cli, &e);
    }
    err_set(&e, ERR_NOT_FOUND, "unknown language: %.100s", name);
    int code = cli_fail(cli, &e);
    print_available(cli, list);
    if (s.best)
        fprintf(cli->err.file, "Did you mean %s?\n", s.best);
    return code;
}

enum term_style languages_style(const char *status)
{
    if (!strcmp(status, "ready") || !strcmp(status, "built"))
        return STYLE_GOOD;
    if (!strcmp(status, "preparing"))
        return STYLE_WARN;
    if (!strcmp(status, "failed"))
        return STYLE_BAD;
    return STYLE_DIM;
}
