/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"

#include <errno.h>

#include "api/decode.h"
#include "base/limits.h"

struct timer {
    struct field_given given;
    int64_t seconds;
    struct field_texts words;
};

static const struct field timer_fields[] = {
    {"seconds", FIELD_INTEGER, FIELD_REQUIRED, offsetof(struct timer, seconds), .min = 1, .max = 9},
    {"words", FIELD_TEXTS, 0, offsetof(struct timer, words)},
    {0},
};

struct outer {
    struct field_given given;
    struct timer timer;
};

static const struct field outer_fields[] = {
    {"timer", FIELD_OBJECT, 0, offsetof(struct outer, timer), .fields = timer_fields},
    {0},
};

struct nest {
    struct timer ttl, idle;
    struct outer outer;
    json_t *json, *any;
    double ratio;
    struct field_texts command;
    struct field_text name;
};

static const struct field nest_fields[] = {
    {"ttl", FIELD_OBJECT, FIELD_NULLABLE, offsetof(struct nest, ttl), .fields = timer_fields},
    {"idle", FIELD_OBJECT, 0, offsetof(struct nest, idle), .fields = timer_fields},
    {"outer", FIELD_OBJECT, 0, offsetof(struct nest, outer), .fields = outer_fields},
    {"json", FIELD_JSON, FIELD_NULLABLE, offsetof(struct nest, json)},
    {"any", FIELD_JSON, 0, offsetof(struct nest, any)},
    {"ratio", FIELD_NUMBER, 0, offsetof(struct nest, ratio), .min = -1, .max = 1},
    {"command", FIELD_TEXTS, 0, offsetof(struct nest, command), .min = 1},
    {"name", FIELD_TEXT, FIELD_NULLABLE, offsetof(struct nest, name), .min = 2},
    {0},
};

struct thing {
    struct field_text name, blob;
    int64_t count;
    bool on;
    int color;
    struct field_texts words;
    struct field_pairs map, files;
};

static const char *const colors[] = {"red", "green", NULL};

static const struct field fields[] = {
    {"name", FIELD_TEXT, FIELD_REQUIRED, offsetof(struct thing, name), .max_bytes = 8},
    {"blob", FIELD_TEXT, FIELD_NUL, offsetof(struct thing, blob)},
    {"count", FIELD_INTEGER, 0, offsetof(struct thing, count), .min = 1, .max = 300},
    {"on", FIELD_BOOL, 0, offsetof(struct thing, on)},
    {"color", FIELD_CHOICE, 0, offsetof(struct thing, color), .choices = colors},
    {"words", FIELD_TEXTS, 0, offsetof(struct thing, words), .max = 3, .max_bytes = 10},
    {"map", FIELD_MAP, 0, offsetof(struct thing, map), .max = 2, .max_bytes = 20},
    {"files", FIELD_FILES, FIELD_NUL, offsetof(struct thing, files), .max = 3},
    {0},
};

static int decode(const char *text, json_t **json, struct thing *t, struct err *e)
{
    *json = NULL;
    int r = decode_json(text, strlen(text), json, e);
    return r < 0 ? r : decode_fields(*json, fields, t, e);
}

static void test_every_type(void **state)
{
    json_t *json;
    struct thing t = {.count = 30};
    struct err e = ERR_INIT;
    assert_int_equal(
        decode("{\"name\":\"n\",\"blob\":\"a\\u0000b\",\"on\":true,\"color\":\"green\","
               "\"words\":[\"a\",\"b\"],\"map\":{\"k\":\"v\"},"
               "\"files\":[{\"name\":\"f\",\"content\":\"x\\u0000\"}]}",
               &json, &t, &e),
        0);
    assert_string_equal(t.name.data, "n");
    assert_int_equal(t.blob.len, 3);
    assert_int_equal(t.count, 30);
    assert_true(t.on);
    assert_int_equal(t.color, 1);
    assert_int_equal(t.words.n, 2);
    assert_string_equal(t.words.items[1], "b");
    assert_int_equal(t.map.n, 1);
    assert_string_equal(t.map.items[0].name, "k");
    assert_string_equal(t.map.items[0].data, "v");
    assert_int_equal(t.files.n, 1);
    assert_int_equal(t.files.items[0].len, 2);
    decode_done(fields, &t);
    json_decref(json);
}

static void test_files_as_object_and_null_as_absent(void **state)
{
    json_t *json;
    struct thing t = {.count = 30};
    assert_int_equal(decode("{\"name\":\"\",\"files\":{\"a\":\"1\",\"b\":\"\"},\"count\":null,"
                            "\"map\":{},\"words\":[]}",
                            &json, &t, NULL),
                     0);
    assert_int_equal(t.files.n, 2);
    assert_string_equal(t.files.items[1].name, "b");
    assert_int_equal(t.count, 30);
    assert_int_equal(t.words.n + t.map.n, 0);
    decode_done(fields, &t);
    json_decref(json);
}

struct mistake {
    const char *json;
    const char *field; /* that is named */
    const char *says;  /* a part of the sentence */
    enum err_class class;
};

static const struct mistake mistakes[] = {
    {"", "", "line 1, column 0: '[' or '{' expected", ERR_INVALID},
    {"{\"name\":\"x\",}", "", "line 1, column 13", ERR_INVALID},
    {"{\n\"name\": nope}", "", "line 2, column 12: invalid token", ERR_INVALID},
    {"{\"name\":\"\xff\"}", "", "unable to decode byte 0xff", ERR_INVALID},
    {"{\"na\\u0000me\":\"\"}", "", "NUL byte in object key", ERR_INVALID},
    {"{\"name\":\"x\"} {}", "", "end of file expected", ERR_INVALID},
    {"{\"name\":\"x\",\"name\":\"y\"}", "name", "\"name\" comes twice", ERR_INVALID},
    {"{\"a_key_of_more_than_twenty_letters\":1,\"a_key_of_more_than_twenty_letters\":1}",
     "a_key_of_more_than_twenty_letters", "comes twice", ERR_INVALID},
    {"[1]", "", "must be a JSON object, not an array", ERR_INVALID},
    {"{}", "name", "missing required field \"name\"", ERR_INVALID},
    {"{\"name\":null}", "name", "must be a string, not null", ERR_INVALID},
    {"{\"name\":7}", "name", "must be a string, not an integer", ERR_INVALID},
    {"{\"name\":\"123456789\"}", "name", "more than 8 bytes", ERR_TOO_LARGE},
    {"{\"name\":\"a\\u0000\"}", "name", "NUL", ERR_INVALID},
    {"{\"name\":\"x\",\"nam\":1}", "nam", "did you mean \"name\"", ERR_INVALID},
    {"{\"name\":\"x\",\"zebra\":1}", "zebra", "unknown field \"zebra\"", ERR_INVALID},
    {"{\"name\":\"x\",\"count\":0}", "count", "from 1 to 300, not 0", ERR_INVALID},
    {"{\"name\":\"x\",\"count\":301}", "count", "from 1 to 300", ERR_INVALID},
    {"{\"name\":\"x\",\"count\":1.5}", "count", "an integer, not a number with", ERR_INVALID},
    {"{\"name\":\"x\",\"count\":\"9\"}", "count", "an integer, not a string", ERR_INVALID},
    {"{\"name\":\"x\",\"count\":99999999999999999999}", "", "too big integer", ERR_INVALID},
    {"{\"name\":\"x\",\"on\":1}", "on", "true or false, not an integer", ERR_INVALID},
    {"{\"name\":\"x\",\"color\":\"blue\"}", "color", "one of \"red\", \"green\"", ERR_INVALID},
    {"{\"name\":\"x\",\"color\":1}", "color", "must be a string", ERR_INVALID},
    {"{\"name\":\"x\",\"words\":\"w\"}", "words", "an array of strings, not a string", ERR_INVALID},
    {"{\"name\":\"x\",\"words\":[\"a\",2]}", "words[1]", "must be a string", ERR_INVALID},
    {"{\"name\":\"x\",\"words\":[\"\\u0000\"]}", "words[0]", "NUL", ERR_INVALID},
    {"{\"name\":\"x\",\"words\":[\"\",\"\",\"\",\"\"]}", "words", "3 elements", ERR_TOO_LARGE},
    {"{\"name\":\"x\",\"words\":[\"123456\",\"123456\"]}", "words", "10 bytes", ERR_TOO_LARGE},
    {"{\"name\":\"x\",\"map\":[]}", "map", "an object whose values are strings", ERR_INVALID},
    {"{\"name\":\"x\",\"map\":{\"k\":1}}", "map[\"k\"]", "must be a string", ERR_INVALID},
    {"{\"name\":\"x\",\"map\":{\"k\":\"\\u0000\"}}", "map[\"k\"]", "NUL", ERR_INVALID},
    {"{\"name\":\"x\",\"map\":{\"1\":\"\",\"2\":\"\",\"3\":\"\"}}", "map", "2 entries",
     ERR_TOO_LARGE},
    {"{\"name\":\"x\",\"map\":{\"12345678901\":\"12345678901\"}}", "map", "20 bytes",
     ERR_TOO_LARGE},
    {"{\"name\":\"x\",\"files\":7}", "files", "or an array of", ERR_INVALID},
    {"{\"name\":\"x\",\"files\":[7]}", "files[0]", "an object of two strings", ERR_INVALID},
    {"{\"name\":\"x\",\"files\":[{\"name\":\"f\"}]}", "files[0]", "two strings", ERR_INVALID},
    {"{\"name\":\"x\",\"files\":[{\"name\":\"f\",\"content\":\"\",\"z\":1}]}", "files[0]",
     "two strings", ERR_INVALID},
    {"{\"name\":\"x\",\"files\":[{\"name\":\"f\\u0000\",\"content\":\"\"}]}", "files[0]", "NUL",
     ERR_INVALID},
    {"{\"name\":\"x\",\"files\":[{\"name\":\"f\",\"content\":\"\"},{\"name\":\"f\",\"content\":"
     "\"\"}]}",
     "files[1]", "\"f\", which comes twice", ERR_INVALID},
};

static void test_every_mistake_is_named(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
        const struct mistake *m = &mistakes[i];
        json_t *json;
        struct thing t = {0};
        struct err e = ERR_INIT;
        assert_true(decode(m->json, &json, &t, &e) < 0);
        if (strcmp(e.field, m->field) != 0 || !strstr(e.text, m->says) || e.class != m->class)
            fail_msg("%s: field \"%s\", class %s, \"%s\"", m->json, e.field,
                     err_class_name(e.class), e.text);
        assert_null(t.words.items);
        assert_null(t.map.items);
        assert_null(t.files.items);
        json_decref(json);
    }
}

/* The field at fault comes last, so the arrays before it must be given back. */
static void test_nothing_is_kept_of_a_refused_body(void **state)
{
    json_t *json;
    struct thing t = {0};
    assert_true(decode("{\"name\":\"x\",\"words\":[\"a\"],\"map\":{\"a\":\"b\"},\"files\":1}",
                       &json, &t, NULL) < 0);
    assert_null(t.words.items);
    assert_null(t.map.items);
    json_decref(json);
}

static void nested(int depth, struct buf *ret)
{
    for (int i = 0; i < depth; i++)
        buf_append_str(ret, "[");
    for (int i = 0; i < depth; i++)
        buf_append_str(ret, "]");
}

static void test_depth_is_bounded(void **state)
{
    auto_buf struct buf fits = {0}, deep = {0};
    nested(JSON_DEPTH_MAX, &fits);
    nested(JSON_DEPTH_MAX + 1, &deep);
    json_t *json = NULL;
    struct err e = ERR_INIT;
    assert_int_equal(decode_json(fits.data, fits.len, &json, &e), 0);
    json_decref(json);
    assert_int_equal(decode_json(deep.data, deep.len, &json, &e), -EINVAL);
    assert_non_null(strstr(e.text, "more than 32 levels"));
    buf_done(&deep);
    /* Brackets in strings are no levels. */
    const char *text = "[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[\"]";
    assert_int_equal(decode_json(text, strlen(text), &json, &e), 0);
    json_decref(json);
}

/* `n` values: the array and its elements. */
static void values(size_t n, const char *element, struct buf *ret)
{
    buf_append_str(ret, "[");
    for (size_t i = 1; i < n; i++)
        buf_printf(ret, "%s%s", i > 1 ? "," : "", element);
    buf_append_str(ret, "]");
}

static void test_values_are_bounded(void **state)
{
    auto_buf struct buf fits = {0}, many = {0}, objects = {0}, text = {0};
    values(JSON_VALUES_MAX, "1", &fits);
    values(JSON_VALUES_MAX + 2, "1", &many);
    values(JSON_VALUES_MAX, "{}", &objects);
    json_t *json = NULL;
    struct err e = ERR_INIT;
    assert_int_equal(decode_json(fits.data, fits.len, &json, &e), 0);
    json_decref(TAKE_PTR(json));
    assert_int_equal(decode_json(many.data, many.len, &json, &e), -E2BIG);
    assert_null(json);
    assert_int_equal(e.class, ERR_TOO_LARGE);
    assert_string_equal(e.text, "the JSON body has more than 8192 commas and opening brackets");
    assert_int_equal(decode_json(objects.data, objects.len, &json, &e), -E2BIG);
    /* Commas in strings are no values. */
    buf_append_str(&text, "[\"");
    for (size_t i = 0; i < JSON_VALUES_MAX; i++)
        buf_append_str(&text, ",{[");
    buf_append_str(&text, "\"]");
    assert_int_equal(decode_json(text.data, text.len, &json, &e), 0);
    json_decref(json);
}

/* ---- objects in objects ---- */

static int decode_nest(const char *text, json_t **json, struct nest *n, struct err *e)
{
    *json = NULL;
    int r = decode_json(text, strlen(text), json, e);
    return r < 0 ? r : decode_fields(*json, nest_fields, n, e);
}

static void test_nested(void **state)
{
    json_t *json;
    struct nest n = {0};
    assert_int_equal(decode_nest("{\"ttl\":{\"seconds\":5,\"words\":[\"a\"]},\"ratio\":1,"
                                 "\"outer\":{\"timer\":{\"seconds\":6}},\"any\":[1]}",
                                 &json, &n, NULL),
                     0);
    assert_true(n.ttl.given.is_given && !n.ttl.given.is_null);
    assert_int_equal(n.ttl.seconds, 5);
    assert_int_equal(n.ttl.words.n, 1);
    assert_false(n.idle.given.is_given);
    assert_true(n.outer.timer.given.is_given);
    assert_int_equal(n.outer.timer.seconds, 6);
    assert_true(n.ratio > 0.99);
    assert_int_equal(json_array_size(n.any), 1);
    assert_null(n.json);
    decode_done(nest_fields, &n);
    assert_null(n.ttl.words.items);
    json_decref(json);
}

static void test_null_where_it_is_a_value_and_where_not(void **state)
{
    json_t *json;
    struct nest n = {0};
    assert_int_equal(decode_nest("{\"ttl\":null,\"idle\":null,\"json\":null,\"any\":null,"
                                 "\"name\":null}",
                                 &json, &n, NULL),
                     0);
    assert_true(n.ttl.given.is_given && n.ttl.given.is_null);
    assert_false(n.idle.given.is_given);
    assert_true(json_is_null(n.json));
    assert_null(n.any);
    assert_null(n.name.data);
    json_decref(json);
}

static const struct mistake nested_mistakes[] = {
    {"{\"ttl\":7}", "ttl", "field \"ttl\" must be an object, not an integer", ERR_INVALID},
    {"{\"ttl\":{}}", "ttl.seconds", "missing required field \"ttl.seconds\"", ERR_INVALID},
    {"{\"ttl\":{\"seconds\":10}}", "ttl.seconds",
     "field \"ttl.seconds\" must be from 1 to 9, not 10", ERR_INVALID},
    {"{\"ttl\":{\"second\":1}}", "ttl.second",
     "unknown field \"ttl.second\"; did you mean \"ttl.seconds\"?", ERR_INVALID},
    {"{\"ttl\":{\"seconds\":1,\"words\":[\"a\",7]}}", "ttl.words[1]",
     "field \"ttl.words[1]\" must be a string", ERR_INVALID},
    {"{\"outer\":{\"timer\":{\"seconds\":\"x\"}}}", "outer.timer.seconds",
     "field \"outer.timer.seconds\" must be an integer, not a string", ERR_INVALID},
    {"{\"ratio\":1.5}", "ratio", "must be from -1 to 1, not 1.5", ERR_INVALID},
    {"{\"ratio\":\"1\"}", "ratio", "must be a number, not a string", ERR_INVALID},
    {"{\"command\":[]}", "command", "field \"command\" must not be empty", ERR_INVALID},
    {"{\"name\":\"x\"}", "name", "field \"name\" has fewer than 2 bytes", ERR_INVALID},
};

static void test_nested_mistakes_have_their_path(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(nested_mistakes); i++) {
        const struct mistake *m = &nested_mistakes[i];
        json_t *json;
        struct nest n = {0};
        struct err e = ERR_INIT;
        assert_true(decode_nest(m->json, &json, &n, &e) < 0);
        if (strcmp(e.field, m->field) != 0 || !strstr(e.text, m->says) || e.class != m->class)
            fail_msg("%s: field \"%s\", \"%s\"", m->json, e.field, e.text);
        assert_null(n.ttl.words.items);
        json_decref(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_files_as_object_and_null_as_absent),
        cmocka_unit_test(test_every_mistake_is_named),
        cmocka_unit_test(test_nothing_is_kept_of_a_refused_body),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_values_are_bounded),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_null_where_it_is_a_value_and_where_not),
        cmocka_unit_test(test_nested_mistakes_have_their_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
