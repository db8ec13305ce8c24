/* SPDX-License-Identifier: Apache-2.0 */
#include "api/decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/nearest.h"
#include "base/cleanup.h"
#include "base/limits.h"

/* jansson recurses once a level, to a fixed depth of 2048. Counting brackets first keeps its stack,
 * and that of all who walk the tree later, at our own bound. Likewise the memory it takes: "{},"
 * becomes more than 200 bytes. Every value but the first stands behind a comma or an opening
 * bracket. Text that is not JSON may be counted wrongly: jansson refuses that anyway, and no later
 * than where the count goes wrong. */
static int check_shape(const char *text, size_t len, struct err *e)
{
    int depth = 0, values = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else
                in_string = c != '"';
            continue;
        }
        in_string = c == '"';
        depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        if (depth > JSON_DEPTH_MAX)
            return err_set(e, ERR_INVALID, "the JSON body is nested more than %d levels deep",
                           JSON_DEPTH_MAX);
        values += c == '{' || c == '[' || c == ',';
        if (values > JSON_VALUES_MAX)
            return err_set(e, ERR_TOO_LARGE,
                           "the JSON body has more than %d commas and opening brackets",
                           JSON_VALUES_MAX);
    }
    return 0;
}

/* jansson stops right behind the second key: finds it by going back to its opening quote. */
static void find_key_before(const char *text, size_t end, char *ret, size_t ret_size)
{
    ret[0] = '\0';
    if (end < 2 || text[end - 1] != '"')
        return;
    size_t start = end - 1;
    while (start && (text[start - 1] != '"' || (start > 1 && text[start - 2] == '\\')))
        start--;
    snprintf(ret, ret_size, "%.*s", (int)(end - 1 - start < 60 ? end - 1 - start : 60),
             text + start);
}

static int bad_json(const char *text, size_t len, const json_error_t *je, struct err *e)
{
    if (json_error_code(je) != json_error_duplicate_key)
        return err_set(e, ERR_INVALID, "the body is not valid JSON: line %d, column %d: %s",
                       je->line, je->column, je->text);
    char key[64];
    find_key_before(text, je->position < 0 ? 0 : (size_t)je->position, key, sizeof(key));
    return err_field(e, key, "field \"%s\" comes twice (line %d, column %d)", key, je->line,
                     je->column);
}

int decode_json(const char *text, size_t len, json_t **ret, struct err *e)
{
    int r = check_shape(text, len, e);
    if (r < 0)
        return r;
    json_error_t je;
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &je);
    if (!json)
        return bad_json(text, len, &je, e);
    *ret = json;
    return 0;
}

/* Says where inside a list or map a value is: files["a.txt"], args[3]. */
struct place {
    const struct field *field;
    const char *key;
    size_t index;
};

static void place_name(const struct place *p, char ret[64])
{
    if (p->key)
        snprintf(ret, 64, "%s[\"%.40s\"]", p->field->name, p->key);
    else
        snprintf(ret, 64, "%s[%zu]", p->field->name, p->index);
}

static int too_large(const struct field *f, struct err *e, uint64_t max, const char *unit)
{
    err_field(e, f->name, "field \"%s\" has more than %llu %s", f->name, (unsigned long long)max,
              unit);
    if (e)
        e->class = ERR_TOO_LARGE;
    return -E2BIG;
}

static const char *type_words(const struct field *f)
{
    switch (f->type) {
    case FIELD_TEXT:
    case FIELD_CHOICE:
        return "a string";
    case FIELD_INTEGER:
        return "an integer";
    case FIELD_BOOL:
        return "true or false";
    case FIELD_TEXTS:
        return "an array of strings";
    case FIELD_MAP:
        return "an object whose values are strings";
    case FIELD_FILES:
        return "an object of names and contents, or an array of {\"name\", \"content\"}";
    case FIELD_OBJECT:
        return "an object";
    case FIELD_OBJECTS:
        return "an array of objects";
    }
    return "something else";
}

static const char *json_words(const json_t *v)
{
    static const char *const words[] = {
        [JSON_OBJECT] = "an object",
        [JSON_ARRAY] = "an array",
        [JSON_STRING] = "a string",
        [JSON_INTEGER] = "an integer",
        [JSON_REAL] = "a number with a fraction",
        [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",
        [JSON_NULL] = "null",
    };
    return words[json_typeof(v)];
}

static int wrong_type(const struct field *f, const json_t *v, struct err *e)
{
    return err_field(e, f->name, "field \"%s\" must be %s, not %s", f->name, type_words(f),
                     json_words(v));
}

static int has_nul(const char *name, struct err *e)
{
    return err_field(e, name, "field \"%s\" holds a NUL character (\\u0000)", name);
}

static int decode_text(const struct field *f, const json_t *v, struct field_text *ret,
                       struct err *e)
{
    if (!json_is_string(v))
        return wrong_type(f, v, e);
    struct field_text t = {json_string_value(v), json_string_length(v)};
    if (f->max_bytes && t.len > f->max_bytes)
        return too_large(f, e, f->max_bytes, "bytes");
    if (!(f->flags & FIELD_NUL) && memchr(t.data, '\0', t.len))
        return has_nul(f->name, e);
    *ret = t;
    return 0;
}

static int decode_integer(const struct field *f, const json_t *v, int64_t *ret, struct err *e)
{
    if (!json_is_integer(v))
        return wrong_type(f, v, e);
    json_int_t n = json_integer_value(v);
    if (n < f->min || n > f->max)
        return err_field(e, f->name, "field \"%s\" must be from %lld to %lld, not %lld", f->name,
                         (long long)f->min, (long long)f->max, (long long)n);
    *ret = n;
    return 0;
}

static int decode_choice(const struct field *f, const json_t *v, int *ret, struct err *e)
{
    if (!json_is_string(v))
        return wrong_type(f, v, e);
    char all[256] = "";
    for (int i = 0; f->choices[i]; i++) {
        if (strcmp(f->choices[i], json_string_value(v)) == 0) {
            *ret = i;
            return 0;
        }
        size_t n = strlen(all);
        snprintf(all + n, sizeof(all) - n, "%s\"%s\"", i ? ", " : "", f->choices[i]);
    }
    return err_field(e, f->name, "field \"%s\" must be one of %s", f->name, all);
}

/* Checks one value of a list or map and counts it towards the field's bound. */
static int element(const struct place *p, const json_t *v, uint64_t *bytes, struct err *e)
{
    const struct field *f = p->field;
    char name[64];
    place_name(p, name);
    if (!json_is_string(v))
        return err_field(e, name, "field \"%s\" must be a string, not %s", name, json_words(v));
    size_t len = json_string_length(v);
    *bytes += len + (p->key ? strlen(p->key) : 0);
    if (f->max_bytes && *bytes > f->max_bytes)
        return too_large(f, e, f->max_bytes, "bytes");
    if (!(f->flags & FIELD_NUL) && memchr(json_string_value(v), '\0', len))
        return has_nul(name, e);
    return 0;
}

/* Arrays are put into `ret` as they are made: when something is wrong, decode_fields frees all. */
static int decode_texts(const struct field *f, const json_t *v, struct field_texts *ret,
                        struct err *e)
{
    if (!json_is_array(v))
        return wrong_type(f, v, e);
    size_t n = json_array_size(v);
    if (f->max && n > (uint64_t)f->max)
        return too_large(f, e, (uint64_t)f->max, "elements");
    ret->items = calloc(n ? n : 1, sizeof(*ret->items));
    if (!ret->items)
        return err_errno(e, -ENOMEM, "decode %s", f->name);
    ret->n = n;
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(v, i);
        int r = element(&(struct place){f, NULL, i}, item, &bytes, e);
        if (r < 0)
            return r;
        ret->items[i] = json_string_value(item);
    }
    return 0;
}

static struct run_pair pair(const char *name, const json_t *v)
{
    return (struct run_pair){name, json_string_value(v), json_string_length(v)};
}

static int fill_from_object(const struct field *f, const json_t *v, struct run_pair *items,
                            struct err *e)
{
    uint64_t bytes = 0;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)v, key, value)
    {
        int r = element(&(struct place){f, key, 0}, value, &bytes, e);
        if (r < 0)
            return r;
        *items++ = pair(key, value);
    }
    return 0;
}

/* The form of older clients: [{"name": ..., "content": ...}]. */
static int fill_from_array(const struct field *f, const json_t *v, struct run_pair *items,
                           struct err *e)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *item = json_array_get(v, i);
        const json_t *name = json_object_get(item, "name"),
                     *content = json_object_get(item, "content");
        char where[64];
        place_name(&(struct place){f, NULL, i}, where);
        if (!json_is_string(name) || !json_is_string(content) || json_object_size(item) != 2)
            return err_field(e, where,
                             "field \"%s\" must be an object of two strings, \"name\" and "
                             "\"content\"",
                             where);
        if (strlen(json_string_value(name)) != json_string_length(name))
            return has_nul(where, e);
        int r = element(&(struct place){f, json_string_value(name), 0}, content, &bytes, e);
        if (r < 0)
            return r;
        for (size_t j = 0; j < i; j++) {
            if (strcmp(items[j].name, json_string_value(name)) == 0)
                return err_field(e, where, "field \"%s\": the name \"%s\" comes twice", where,
                                 items[j].name);
        }
        items[i] = pair(json_string_value(name), content);
    }
    return 0;
}

static int decode_pairs(const struct field *f, const json_t *v, struct field_pairs *ret,
                        struct err *e)
{
    bool array = json_is_array(v) && f->type == FIELD_FILES;
    if (!json_is_object(v) && !array)
        return wrong_type(f, v, e);
    size_t n = array ? json_array_size(v) : json_object_size(v);
    if (f->max && n > (uint64_t)f->max)
        return too_large(f, e, (uint64_t)f->max, "entries");
    ret->items = calloc(n ? n : 1, sizeof(*ret->items));
    if (!ret->items)
        return err_errno(e, -ENOMEM, "decode %s", f->name);
    ret->n = n;
    return array ? fill_from_array(f, v, ret->items, e) : fill_from_object(f, v, ret->items, e);
}

static int decode_one(const struct field *f, const json_t *v, void *ret, struct err *e)
{
    void *at = (char *)ret + f->offset;
    switch (f->type) {
    case FIELD_TEXT:
        return decode_text(f, v, at, e);
    case FIELD_INTEGER:
        return decode_integer(f, v, at, e);
    case FIELD_BOOL:
        if (!json_is_boolean(v))
            return wrong_type(f, v, e);
        *(bool *)at = json_is_true(v);
        return 0;
    case FIELD_CHOICE:
        return decode_choice(f, v, at, e);
    case FIELD_TEXTS:
        return decode_texts(f, v, at, e);
    case FIELD_MAP:
    case FIELD_FILES:
        return decode_pairs(f, v, at, e);
    case FIELD_OBJECT:
    case FIELD_OBJECTS:
        break;
    }
    return err_set(e, ERR_INTERNAL, "field \"%s\" has no decoder", f->name);
}

static const struct field *field_find(const struct field *fields, const char *name)
{
    for (const struct field *f = fields; f->name; f++) {
        if (strcmp(f->name, name) == 0)
            return f;
    }
    return NULL;
}

static int refuse_unknown(const json_t *object, const struct field *fields, struct err *e)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        if (field_find(fields, key))
            continue;
        struct nearest near = {.word = key, .best_distance = SIZE_MAX};
        for (const struct field *f = fields; f->name; f++)
            nearest_offer(&near, f->name);
        if (near.best)
            return err_field(e, key, "unknown field \"%.60s\"; did you mean \"%s\"?", key,
                             near.best);
        return err_field(e, key, "unknown field \"%.60s\"", key);
    }
    return 0;
}

static int decode_all(const json_t *object, const struct field *fields, void *ret, struct err *e)
{
    for (const struct field *f = fields; f->name; f++) {
        const json_t *v = json_object_get(object, f->name);
        bool required = f->flags & FIELD_REQUIRED;
        if (!v && required)
            return err_field(e, f->name, "missing required field \"%s\"", f->name);
        /* Many clients send null for what they leave out. */
        if (!v || (json_is_null(v) && !required))
            continue;
        int r = decode_one(f, v, ret, e);
        if (r < 0)
            return r;
    }
    return 0;
}

int decode_fields(const json_t *object, const struct field *fields, void *ret, struct err *e)
{
    if (!json_is_object(object))
        return err_set(e, ERR_INVALID, "the body must be a JSON object, not %s",
                       json_words(object));
    int r = refuse_unknown(object, fields, e);
    if (r == 0)
        r = decode_all(object, fields, ret, e);
    if (r < 0)
        decode_done(fields, ret);
    return r;
}

void decode_done(const struct field *fields, void *data)
{
    for (const struct field *f = fields; f->name; f++) {
        void *at = (char *)data + f->offset;
        if (f->type == FIELD_TEXTS) {
            struct field_texts *t = at;
            free(TAKE_PTR(t->items));
            t->n = 0;
        } else if (f->type == FIELD_MAP || f->type == FIELD_FILES) {
            struct field_pairs *p = at;
            free(TAKE_PTR(p->items));
            p->n = 0;
        }
    }
}

void input_done(struct input *in)
{
    if (in->data)
        decode_done(in->fields, in->data);
    free(in->data);
    json_decref(in->json);
    *in = (struct input){0};
}
