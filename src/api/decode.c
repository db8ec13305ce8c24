/* SPDX-License-Identifier: Apache-2.0 */
#include "api/decode.h"

#include <errno.h>
#include <stdarg.h>
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

/* One run of the decoder: what it speaks of, and where it is. */
struct decoding {
    const char *noun;
    char prefix[64]; /* "ttl." inside of that object */
    bool is_open;    /* as input_shape's */
    struct err *e;
};

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

/* 'field "NAME" <sentence>' */
__attribute__((format(printf, 3, 4))) static int refuse(const struct decoding *d, const char *name,
                                                        const char *fmt, ...)
{
    char sentence[400], path[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(sentence, sizeof(sentence), fmt, ap);
    va_end(ap);
    snprintf(path, sizeof(path), "%s%.90s", d->prefix, name);
    return err_field(d->e, path, "%s \"%s\" %s", d->noun, path, sentence);
}

static int too_large(const struct decoding *d, const struct field *f, uint64_t max,
                     const char *unit)
{
    refuse(d, f->name, "has more than %llu %s", (unsigned long long)max, unit);
    if (d->e)
        d->e->class = ERR_TOO_LARGE;
    return -E2BIG;
}

static int too_small(const struct decoding *d, const struct field *f, const char *unit)
{
    if (f->min == 1)
        return refuse(d, f->name, "must not be empty");
    return refuse(d, f->name, "has fewer than %lld %s", (long long)f->min, unit);
}

static const char *type_words(const struct field *f)
{
    switch (f->type) {
    case FIELD_TEXT:
    case FIELD_CHOICE:
        return "a string";
    case FIELD_INTEGER:
        return "an integer";
    case FIELD_NUMBER:
        return "a number";
    case FIELD_BOOL:
        return "true or false";
    case FIELD_TEXTS:
        return "an array of strings";
    case FIELD_MAP:
        return "an object whose values are strings";
    case FIELD_INPUTS:
        return "a string or an array of strings";
    case FIELD_FILES:
        return "an object of names and contents, or an array of {\"name\", \"content\"}";
    case FIELD_OBJECT:
        return "an object";
    case FIELD_OBJECTS:
        return "an array of objects";
    case FIELD_JSON:
        return "something";
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

static int wrong_type(const struct decoding *d, const struct field *f, const json_t *v)
{
    return refuse(d, f->name, "must be %s, not %s", type_words(f), json_words(v));
}

static int has_nul(const struct decoding *d, const char *name)
{
    return refuse(d, name, "holds a NUL character (\\u0000)");
}

static int decode_text(const struct decoding *d, const struct field *f, const json_t *v,
                       struct field_text *ret)
{
    if (!json_is_string(v))
        return wrong_type(d, f, v);
    struct field_text t = {json_string_value(v), json_string_length(v)};
    if (f->max_bytes && t.len > f->max_bytes)
        return too_large(d, f, f->max_bytes, "bytes");
    if (t.len < (uint64_t)f->min)
        return too_small(d, f, "bytes");
    if (!(f->flags & FIELD_NUL) && memchr(t.data, '\0', t.len))
        return has_nul(d, f->name);
    *ret = t;
    return 0;
}

static int decode_integer(const struct decoding *d, const struct field *f, const json_t *v,
                          int64_t *ret)
{
    if (!json_is_integer(v))
        return wrong_type(d, f, v);
    json_int_t n = json_integer_value(v);
    if (n < f->min || n > f->max)
        return refuse(d, f->name, "must be from %lld to %lld, not %lld", (long long)f->min,
                      (long long)f->max, (long long)n);
    *ret = n;
    return 0;
}

static int decode_number(const struct decoding *d, const struct field *f, const json_t *v,
                         double *ret)
{
    if (!json_is_number(v))
        return wrong_type(d, f, v);
    double n = json_number_value(v);
    if (n < (double)f->min || n > (double)f->max)
        return refuse(d, f->name, "must be from %lld to %lld, not %g", (long long)f->min,
                      (long long)f->max, n);
    *ret = n;
    return 0;
}

static int decode_choice(const struct decoding *d, const struct field *f, const json_t *v, int *ret)
{
    if (!json_is_string(v))
        return wrong_type(d, f, v);
    char all[256] = "";
    for (int i = 0; f->choices[i]; i++) {
        if (strcmp(f->choices[i], json_string_value(v)) == 0) {
            *ret = i;
            return 0;
        }
        size_t n = strlen(all);
        snprintf(all + n, sizeof(all) - n, "%s\"%s\"", i ? ", " : "", f->choices[i]);
    }
    return refuse(d, f->name, "must be one of %s", all);
}

/* Checks one value of a list or map and counts it towards the field's bound. */
static int element(const struct decoding *d, const struct place *p, const json_t *v,
                   uint64_t *bytes)
{
    const struct field *f = p->field;
    char name[64];
    place_name(p, name);
    if (!json_is_string(v))
        return refuse(d, name, "must be a string, not %s", json_words(v));
    size_t len = json_string_length(v);
    *bytes += len + (p->key ? strlen(p->key) : 0);
    if (f->max_bytes && *bytes > f->max_bytes)
        return too_large(d, f, f->max_bytes, "bytes");
    if (!(f->flags & FIELD_NUL) && memchr(json_string_value(v), '\0', len))
        return has_nul(d, name);
    return 0;
}

static int check_count(const struct decoding *d, const struct field *f, size_t n, const char *unit)
{
    if (f->max && n > (uint64_t)f->max)
        return too_large(d, f, (uint64_t)f->max, unit);
    return n < (uint64_t)f->min ? too_small(d, f, unit) : 0;
}

/* Arrays are put into `ret` as they are made: when something is wrong, decode_fields frees all. */
static int decode_texts(const struct decoding *d, const struct field *f, const json_t *v,
                        struct field_texts *ret)
{
    if (!json_is_array(v))
        return wrong_type(d, f, v);
    size_t n = json_array_size(v);
    int r = check_count(d, f, n, "elements");
    if (r < 0)
        return r;
    ret->items = calloc(n ? n : 1, sizeof(*ret->items));
    if (!ret->items)
        return err_errno(d->e, -ENOMEM, "decode %s", f->name);
    ret->n = n;
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(v, i);
        r = element(d, &(struct place){f, NULL, i}, item, &bytes);
        if (r < 0)
            return r;
        ret->items[i] = json_string_value(item);
    }
    return 0;
}

static int decode_inputs(const struct decoding *d, const struct field *f, const json_t *v,
                         struct field_inputs *ret)
{
    if (!json_is_array(v) && !json_is_string(v))
        return wrong_type(d, f, v);
    ret->is_list = json_is_array(v);
    size_t n = ret->is_list ? json_array_size(v) : 1;
    int r = ret->is_list ? check_count(d, f, n, "elements") : 0;
    if (r < 0)
        return r;
    ret->items = calloc(n ? n : 1, sizeof(*ret->items));
    if (!ret->items)
        return err_errno(d->e, -ENOMEM, "decode %s", f->name);
    ret->n = n;
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = ret->is_list ? json_array_get(v, i) : v;
        r = element(d, &(struct place){f, NULL, i}, item, &bytes);
        if (r < 0)
            return r;
        ret->items[i] = (struct field_text){json_string_value(item), json_string_length(item)};
    }
    return 0;
}

static struct run_pair pair(const char *name, const json_t *v)
{
    return (struct run_pair){name, json_string_value(v), json_string_length(v)};
}

static int fill_from_object(const struct decoding *d, const struct field *f, const json_t *v,
                            struct run_pair *items)
{
    uint64_t bytes = 0;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)v, key, value)
    {
        int r = element(d, &(struct place){f, key, 0}, value, &bytes);
        if (r < 0)
            return r;
        *items++ = pair(key, value);
    }
    return 0;
}

/* The form of older clients: [{"name": ..., "content": ...}]. */
static int fill_from_array(const struct decoding *d, const struct field *f, const json_t *v,
                           struct run_pair *items)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *item = json_array_get(v, i);
        const json_t *name = json_object_get(item, "name"),
                     *content = json_object_get(item, "content");
        char where[64];
        place_name(&(struct place){f, NULL, i}, where);
        if (!json_is_string(name) || !json_is_string(content) || json_object_size(item) != 2)
            return refuse(d, where, "must be an object of two strings, \"name\" and \"content\"");
        if (strlen(json_string_value(name)) != json_string_length(name))
            return has_nul(d, where);
        int r = element(d, &(struct place){f, json_string_value(name), 0}, content, &bytes);
        if (r < 0)
            return r;
        for (size_t j = 0; j < i; j++) {
            if (strcmp(items[j].name, json_string_value(name)) == 0)
                return refuse(d, where, "has the name \"%.100s\", which comes twice",
                              items[j].name);
        }
        items[i] = pair(json_string_value(name), content);
    }
    return 0;
}

static int decode_pairs(const struct decoding *d, const struct field *f, const json_t *v,
                        struct field_pairs *ret)
{
    bool array = json_is_array(v) && f->type == FIELD_FILES;
    if (!json_is_object(v) && !array)
        return wrong_type(d, f, v);
    size_t n = array ? json_array_size(v) : json_object_size(v);
    int r = check_count(d, f, n, "entries");
    if (r < 0)
        return r;
    ret->items = calloc(n ? n : 1, sizeof(*ret->items));
    if (!ret->items)
        return err_errno(d->e, -ENOMEM, "decode %s", f->name);
    ret->n = n;
    ret->object = array ? NULL : (json_t *)v;
    return array ? fill_from_array(d, f, v, ret->items) : fill_from_object(d, f, v, ret->items);
}

static int decode_object(const struct decoding *d, const json_t *object, const struct field *fields,
                         void *ret);

static int decode_nested(const struct decoding *d, const struct field *f, const json_t *v,
                         struct field_given *ret)
{
    ret->is_given = true;
    ret->is_null = json_is_null(v);
    if (ret->is_null)
        return 0;
    if (!json_is_object(v))
        return wrong_type(d, f, v);
    struct decoding inner = {.noun = d->noun, .is_open = d->is_open, .e = d->e};
    snprintf(inner.prefix, sizeof(inner.prefix), "%.30s%.30s.", d->prefix, f->name);
    return decode_object(&inner, v, f->fields, ret);
}

static int decode_one(const struct decoding *d, const struct field *f, const json_t *v, void *ret)
{
    void *at = (char *)ret + f->offset;
    switch (f->type) {
    case FIELD_TEXT:
        return decode_text(d, f, v, at);
    case FIELD_INTEGER:
        return decode_integer(d, f, v, at);
    case FIELD_NUMBER:
        return decode_number(d, f, v, at);
    case FIELD_BOOL:
        if (!json_is_boolean(v))
            return wrong_type(d, f, v);
        *(bool *)at = json_is_true(v);
        return 0;
    case FIELD_CHOICE:
        return decode_choice(d, f, v, at);
    case FIELD_TEXTS:
        return decode_texts(d, f, v, at);
    case FIELD_MAP:
    case FIELD_FILES:
        return decode_pairs(d, f, v, at);
    case FIELD_INPUTS:
        return decode_inputs(d, f, v, at);
    case FIELD_OBJECT:
        return decode_nested(d, f, v, at);
    case FIELD_JSON:
        *(json_t **)at = (json_t *)v;
        return 0;
    case FIELD_OBJECTS:
        break;
    }
    return err_set(d->e, ERR_INTERNAL, "field \"%s\" has no decoder", f->name);
}

static const struct field *field_find(const struct field *fields, const char *name)
{
    for (const struct field *f = fields; f->name; f++) {
        if (strcmp(f->name, name) == 0)
            return f;
    }
    return NULL;
}

static int refuse_unknown(const struct decoding *d, const json_t *object,
                          const struct field *fields)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        if (field_find(fields, key))
            continue;
        char path[128];
        snprintf(path, sizeof(path), "%s%.60s", d->prefix, key);
        struct nearest near = {.word = key, .best_distance = SIZE_MAX};
        for (const struct field *f = fields; f->name; f++)
            nearest_offer(&near, f->name);
        if (near.best)
            return err_field(d->e, path, "unknown %s \"%s\"; did you mean \"%s%s\"?", d->noun, path,
                             d->prefix, near.best);
        return err_field(d->e, path, "unknown %s \"%s\"", d->noun, path);
    }
    return 0;
}

/* Many clients send null for what they leave out. */
static bool null_is_nothing(const struct field *f)
{
    if (f->flags & FIELD_NULLABLE)
        return f->type != FIELD_OBJECT && f->type != FIELD_JSON;
    return !(f->flags & FIELD_REQUIRED);
}

static int missing(const struct decoding *d, const struct field *f)
{
    char path[128];
    snprintf(path, sizeof(path), "%s%.60s", d->prefix, f->name);
    return err_field(d->e, path, "missing required %s \"%s\"", d->noun, path);
}

static int decode_object(const struct decoding *d, const json_t *object, const struct field *fields,
                         void *ret)
{
    int r = d->is_open ? 0 : refuse_unknown(d, object, fields);
    for (const struct field *f = fields; r == 0 && f->name; f++) {
        const json_t *v = json_object_get(object, f->name);
        if (!v && f->flags & FIELD_REQUIRED)
            return missing(d, f);
        if (v && !(json_is_null(v) && null_is_nothing(f)))
            r = decode_one(d, f, v, ret);
    }
    return r;
}

static int decode_whole(const struct decoding *d, const json_t *object, const struct field *fields,
                        void *ret)
{
    if (!json_is_object(object))
        return err_set(d->e, ERR_INVALID, "the body must be a JSON object, not %s",
                       json_words(object));
    int r = decode_object(d, object, fields, ret);
    if (r < 0)
        decode_done(fields, ret);
    return r;
}

int decode_named(const char *noun, const json_t *object, const struct field *fields, void *ret,
                 struct err *e)
{
    return decode_whole(&(struct decoding){.noun = noun, .e = e}, object, fields, ret);
}

int decode_fields(const json_t *object, const struct field *fields, void *ret, struct err *e)
{
    return decode_named("field", object, fields, ret, e);
}

void decode_done(const struct field *fields, void *data)
{
    for (const struct field *f = fields; f->name; f++) {
        void *at = (char *)data + f->offset;
        if (f->type == FIELD_TEXTS) {
            struct field_texts *t = at;
            free(t->items);
            *t = (struct field_texts){0};
        } else if (f->type == FIELD_INPUTS) {
            struct field_inputs *in = at;
            free(in->items);
            *in = (struct field_inputs){0};
        } else if (f->type == FIELD_MAP || f->type == FIELD_FILES) {
            struct field_pairs *p = at;
            free(p->items);
            *p = (struct field_pairs){0};
        } else if (f->type == FIELD_OBJECT) {
            decode_done(f->fields, at);
        }
    }
}

int input_decode(struct input *in, json_t *object, const struct input_shape *shape, struct err *e)
{
    CLEANUP(input_done) struct input made = {.json = object, .fields = shape->fields};
    made.data = calloc(1, shape->bytes ? shape->bytes : 1);
    if (!made.data)
        return err_errno(e, -ENOMEM, "decode the request");
    if (shape->defaults)
        memcpy(made.data, shape->defaults, shape->bytes);
    const struct decoding d = {.noun = shape->noun, .is_open = shape->is_open, .e = e};
    int r = decode_whole(&d, object, shape->fields, made.data);
    if (r < 0)
        return r;
    *in = made;
    made = (struct input){0};
    return 0;
}

void input_done(struct input *in)
{
    if (in->data)
        decode_done(in->fields, in->data);
    free(in->data);
    json_decref(in->json);
    *in = (struct input){0};
}
