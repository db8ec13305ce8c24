/* SPDX-License-Identifier: Apache-2.0 */

/* The daemon's word order is kept: jansson keeps members in the order they came. */

#include "cli/fields.h"

#include <stdbool.h>
#include <string.h>

void fields_row(struct table *t, const char *name, const char *value, enum term_style style)
{
    table_add(t, (struct table_cell[]){{.text = name, .style = STYLE_BOLD},
                                       {.text = value, .style = style}});
}

/* Appends a value as words; false when there is nothing to show. */
static bool scalar(const json_t *v, struct buf *ret)
{
    switch (json_typeof(v)) {
    case JSON_STRING:
        buf_append_str(ret, json_string_value(v));
        return json_string_length(v) > 0;
    case JSON_INTEGER:
        buf_printf(ret, "%lld", (long long)json_integer_value(v));
        return true;
    case JSON_REAL:
        buf_printf(ret, "%g", json_real_value(v));
        return true;
    case JSON_TRUE:
    case JSON_FALSE:
        buf_append_str(ret, json_is_true(v) ? "yes" : "no");
        return true;
    default:
        return false;
    }
}

static bool joined(const json_t *list, struct buf *ret)
{
    size_t i;
    json_t *v;
    json_array_foreach(list, i, v)
    {
        if (i)
            buf_append_str(ret, ", ");
        scalar(v, ret);
    }
    return json_array_size(list) > 0;
}

static bool is_excepted(const char *key, const char *const *except)
{
    for (; except && *except; except++) {
        if (!strcmp(key, *except))
            return true;
    }
    return false;
}

static void add_one(struct table *t, const char *prefix, const char *key, const json_t *v)
{
    auto_buf struct buf name = {0};
    auto_buf struct buf text = {0};
    buf_printf(&name, "%s%s%s", prefix, *prefix ? " " : "", key);
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] == '_')
            name.data[i] = ' ';
    }
    if (json_is_array(v) ? joined(v, &text) : scalar(v, &text))
        fields_row(t, buf_str(&name), buf_str(&text), STYLE_PLAIN);
}

void fields_add(struct table *t, const json_t *object, const char *const *except)
{
    const char *key, *inner_key;
    json_t *v, *inner;
    json_object_foreach((json_t *)object, key, v)
    {
        if (is_excepted(key, except))
            continue;
        if (!json_is_object(v)) {
            add_one(t, "", key, v);
            continue;
        }
        json_object_foreach(v, inner_key, inner) add_one(t, key, inner_key, inner);
    }
}
