/* SPDX-License-Identifier: Apache-2.0 */

/* A query becomes the JSON object that a client would have sent in a body; the decoder of bodies
 * then checks everything else. */

#include "api/query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/text.h"
#include "base/buf.h"
#include "base/limits.h"

/* Decodes one name or value: "+" is a space here. */
static int unescape(const char *s, size_t len, struct buf *ret)
{
    buf_clear(ret);
    char *room = buf_reserve(ret, len + 1);
    auto_free char *spaced = malloc(len + 1);
    if (!room || !spaced)
        return -ENOMEM;
    for (size_t i = 0; i < len; i++)
        spaced[i] = s[i] == '+' ? ' ' : s[i];
    int r = text_percent_decode(spaced, len, room, len + 1);
    if (r == 0)
        ret->len = strlen(room);
    return r;
}

static json_t *integer_of(const char *text)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    bool is_plain = *text && strspn(text, "-0123456789") == strlen(text) && !*end && !errno;
    return is_plain ? json_integer(n) : NULL;
}

static json_t *number_of(const char *text)
{
    char *end;
    double n = strtod(text, &end);
    bool is_plain = *text && strspn(text, "-.0123456789") == strlen(text) && !*end;
    return is_plain ? json_real(n) : NULL;
}

static json_t *bool_of(const char *text)
{
    if (strcmp(text, "1") == 0 || strcmp(text, "true") == 0)
        return json_true();
    if (strcmp(text, "0") == 0 || strcmp(text, "false") == 0)
        return json_false();
    return NULL;
}

static int wrong_type(const char *name, const char *must, const char *text, struct err *e)
{
    return err_field(e, name, "parameter \"%.60s\" must be %s, not \"%.60s\"", name, must, text);
}

/* The value as the field's JSON. */
static int value_of(const struct field *f, const char *text, json_t **ret, struct err *e)
{
    switch (f->type) {
    case FIELD_INTEGER:
        *ret = integer_of(text);
        return *ret ? 0 : wrong_type(f->name, "an integer", text, e);
    case FIELD_NUMBER:
        *ret = number_of(text);
        return *ret ? 0 : wrong_type(f->name, "a number", text, e);
    case FIELD_BOOL:
        *ret = bool_of(text);
        return *ret ? 0 : wrong_type(f->name, "0, 1, true or false", text, e);
    case FIELD_MAP:
        return err_field(e, f->name, "parameter \"%s\" is written %s.KEY=VALUE", f->name, f->name);
    default:
        *ret = json_string(text);
        return *ret ? 0 : -ENOMEM;
    }
}

/* The field of this name; a map's when the name is NAME.KEY, with the key then. */
static const struct field *find(const struct field *fields, const char *name, const char **ret_key)
{
    *ret_key = NULL;
    for (const struct field *f = fields; f->name; f++) {
        size_t n = strlen(f->name);
        if (strcmp(f->name, name) == 0)
            return f;
        if (f->type == FIELD_MAP && strncmp(f->name, name, n) == 0 && name[n] == '.') {
            *ret_key = name + n + 1;
            return f;
        }
    }
    return NULL;
}

static int add_to(json_t *object, const char *key, const char *name, json_t *value, struct err *e)
{
    if (json_object_get(object, key)) {
        json_decref(value);
        return err_field(e, name, "parameter \"%.60s\" comes twice", name);
    }
    return json_object_set_new(object, key, value) < 0 ? -ENOMEM : 0;
}

static int add_map_entry(json_t *object, const struct field *f, const char *name, const char *text,
                         struct err *e)
{
    json_t *map = json_object_get(object, f->name);
    if (!map) {
        map = json_object();
        if (json_object_set_new(object, f->name, map) < 0)
            return -ENOMEM;
    }
    return add_to(map, name + strlen(f->name) + 1, name, json_string(text), e);
}

/* Unknown ones go in too, if they are looked at: the decoder has the words for them. */
static int add(json_t *object, const struct input_shape *shape, const char *name, const char *text,
               struct err *e)
{
    const char *key;
    const struct field *f = find(shape->fields, name, &key);
    if (!f && shape->is_open)
        return 0;
    if (key)
        return add_map_entry(object, f, name, text, e);
    json_t *value = NULL;
    int r = f ? value_of(f, text, &value, e) : 0;
    if (r < 0)
        return r;
    return add_to(object, name, name, f ? value : json_true(), e);
}

static int add_pair(json_t *object, const struct input_shape *shape, const char *pair, size_t len,
                    struct err *e)
{
    auto_buf struct buf name = {0}, value = {0};
    const char *eq = memchr(pair, '=', len);
    size_t name_len = eq ? (size_t)(eq - pair) : len;
    int r = unescape(pair, name_len, &name);
    if (r == 0)
        r = unescape(eq ? eq + 1 : "", eq ? len - name_len - 1 : 0, &value);
    if (r == -EINVAL || r == -E2BIG)
        return err_field(e, name.len ? buf_str(&name) : "",
                         "the query has a broken %%-escape, a NUL, or is not UTF-8, at "
                         "\"%.*s\"",
                         (int)(name_len < 60 ? name_len : 60), pair);
    return r < 0 ? r : add(object, shape, buf_str(&name), buf_str(&value), e);
}

int query_decode(const char *query, const struct input_shape *shape, struct input *in,
                 struct err *e)
{
    json_t *object = json_object();
    int r = object ? 0 : -ENOMEM;
    for (const char *p = query; r == 0 && *p; p += *p == '&') {
        size_t n = strcspn(p, "&");
        if (n)
            r = add_pair(object, shape, p, n, e);
        p += n;
    }
    if (r < 0) {
        json_decref(object);
        return e && e->class == ERR_NONE ? err_errno(e, r, "decode the query") : r;
    }
    return input_decode(in, object, shape, e);
}
