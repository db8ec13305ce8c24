/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/quota.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "cli/table.h"
#include "cli/units.h"

static const struct quota {
    const char *option;
    const char *key;
    const char *title;
    double unit_bytes; /* what one of the API's is; 0: they are counted */
    double per_option; /* the API's units that one of the option's is */
} rows[] = {
    {"vcpu", "vcpu", "CPUs", 0, 1},
    {"memory", "memoryMiB", "memory", 1 << 20, 1024},
    {"disk", "diskGiB", "disk", 1 << 30, 1},
    {"snapshots", "snapshotCount", "snapshots", 0, 1},
};

static int parse(const struct quota *q, const char *text, json_t *quotas, struct err *e)
{
    char *end;
    errno = 0;
    double n = strtod(text, &end);
    bool whole = q->per_option > 1 || n == (double)(long long)n;
    if (errno || end == text || *end || !(n >= 0 && n <= CLI_QUOTA_MAX) || !whole)
        return err_set(e, ERR_INVALID, "--%s takes a number of 0 to %d, not '%.100s'", q->option,
                       CLI_QUOTA_MAX, text);
    json_object_set_new(quotas, q->key, json_integer((json_int_t)(n * q->per_option)));
    return 0;
}

int quota_gather(const struct options *o, json_t *quotas, struct err *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *text = options_value(o, rows[i].option);
        int r = text ? parse(&rows[i], text, quotas, e) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static void text_of(const struct quota *q, const json_t *object, char *ret, size_t size)
{
    const json_t *v = json_object_get(object, q->key);
    char text[UNITS_SIZE];
    ret[0] = '\0';
    if (!json_is_number(v))
        return;
    units_bytes(json_number_value(v) * q->unit_bytes, text);
    if (q->unit_bytes > 0)
        snprintf(ret, size, "%s", text);
    else
        snprintf(ret, size, "%.0f", json_number_value(v));
}

/* A limit of 0 is none. */
static bool is_unlimited(const json_t *limits, const char *key)
{
    const json_t *v = json_object_get(limits, key);
    return json_is_number(v) && json_number_value(v) == 0;
}

void quota_text(const json_t *usage, const json_t *limits, const char *key, char *ret, size_t size)
{
    char used[UNITS_SIZE] = "", most[UNITS_SIZE] = "";
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (strcmp(rows[i].key, key))
            continue;
        text_of(&rows[i], usage, used, sizeof(used));
        if (!is_unlimited(limits, key))
            text_of(&rows[i], limits, most, sizeof(most));
    }
    snprintf(ret, size, "%s%s%s", used, *used && *most ? " of " : "", most);
}

/* The colour of a use: nothing left, hardly anything left, enough. */
static enum term_style style_of(const json_t *usage, const json_t *limit)
{
    double used = json_number_value(usage), most = json_number_value(limit);
    if (most <= 0)
        return STYLE_PLAIN;
    return used >= most ? STYLE_BAD : used >= 0.8 * most ? STYLE_WARN : STYLE_GOOD;
}

void quota_print(const struct term *term, const json_t *usage, const json_t *limits)
{
    static const char *const heads[] = {"RESOURCE", "USED", "LIMIT"};
    auto_table struct table t = {.n_columns = ARRAY_SIZE(heads), .heads = heads, .right = 3 << 1};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char used[UNITS_SIZE], limit[UNITS_SIZE];
        const char *key = rows[i].key;
        text_of(&rows[i], usage, used, sizeof(used));
        if (is_unlimited(limits, key))
            snprintf(limit, sizeof(limit), "none");
        else
            text_of(&rows[i], limits, limit, sizeof(limit));
        table_add(
            &t, (struct table_cell[]){
                    {.text = rows[i].title, .style = STYLE_BOLD},
                    {.text = used,
                     .style = style_of(json_object_get(usage, key), json_object_get(limits, key))},
                    {.text = limit},
                });
    }
    table_print(&t, term);
}
