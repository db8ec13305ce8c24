/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"

#include "api/query.h"

struct thing {
    struct field_text name;
    int64_t count;
    double ratio;
    bool on;
    int color;
    struct field_pairs map;
};

static const char *const colors[] = {"red", "green", NULL};

static const struct field fields[] = {
    {"name", FIELD_TEXT, 0, offsetof(struct thing, name), .max_bytes = 8},
    {"count", FIELD_INTEGER, 0, offsetof(struct thing, count), .min = -5, .max = 300},
    {"ratio", FIELD_NUMBER, 0, offsetof(struct thing, ratio), .min = 0, .max = 1},
    {"on", FIELD_BOOL, 0, offsetof(struct thing, on)},
    {"color", FIELD_CHOICE, 0, offsetof(struct thing, color), .choices = colors},
    {"map", FIELD_MAP, 0, offsetof(struct thing, map), .max = 2},
    {0},
};

static const struct thing defaults = {.count = 30};
static const struct input_shape shape = {"parameter", fields, sizeof(struct thing), &defaults};

static void test_every_type(void **state)
{
    CLEANUP(input_done) struct input in = {0};
    assert_int_equal(query_decode("name=a+b%2B%C3%A9&count=-5&ratio=0.5&on=1&color=green&"
                                  "map.a.b=x%26y&&map.c=",
                                  &shape, &in, NULL),
                     0);
    const struct thing *t = in.data;
    assert_string_equal(t->name.data, "a b+\xc3\xa9");
    assert_int_equal(t->count, -5);
    assert_true(t->ratio > 0.4 && t->ratio < 0.6);
    assert_true(t->on);
    assert_int_equal(t->color, 1);
    assert_int_equal(t->map.n, 2);
    assert_string_equal(t->map.items[0].name, "a.b");
    assert_string_equal(t->map.items[0].data, "x&y");
    assert_string_equal(json_string_value(json_object_get(t->map.object, "c")), "");
}

static void test_nothing_keeps_the_defaults(void **state)
{
    CLEANUP(input_done) struct input in = {0};
    assert_int_equal(query_decode("", &shape, &in, NULL), 0);
    const struct thing *t = in.data;
    assert_int_equal(t->count, 30);
    assert_null(t->name.data);
    assert_null(t->map.items);
}

struct mistake {
    const char *query;
    const char *field;
    const char *says;
};

static const struct mistake mistakes[] = {
    {"nme=x", "nme", "unknown parameter \"nme\"; did you mean \"name\"?"},
    {"zebra", "zebra", "unknown parameter \"zebra\""},
    {"=x", "", "unknown parameter \"\""},
    {"name=x&name=x", "name", "parameter \"name\" comes twice"},
    {"zebra&zebra", "zebra", "comes twice"},
    {"map.a=1&map.a=2", "map.a", "parameter \"map.a\" comes twice"},
    {"map=1", "map", "is written map.KEY=VALUE"},
    {"map.a=1&map.b=1&map.c=1", "map", "parameter \"map\" has more than 2 entries"},
    {"name=123456789", "name", "parameter \"name\" has more than 8 bytes"},
    {"count=301", "count", "parameter \"count\" must be from -5 to 300, not 301"},
    {"count=", "count", "must be an integer, not \"\""},
    {"count=1x", "count", "must be an integer, not \"1x\""},
    {"count=+1", "count", "must be an integer, not \" 1\""},
    {"count=99999999999999999999", "count", "must be an integer"},
    {"ratio=nan", "ratio", "must be a number, not \"nan\""},
    {"ratio=1.5", "ratio", "must be from 0 to 1, not 1.5"},
    {"on=yes", "on", "must be 0, 1, true or false, not \"yes\""},
    {"on", "on", "must be 0, 1, true or false"},
    {"color=blue", "color", "must be one of \"red\", \"green\""},
    {"name=%zz", "name", "broken %-escape"},
    {"name=%", "name", "broken %-escape"},
    {"name=%00", "name", "a NUL"},
    {"name=%ff", "name", "is not UTF-8"},
    {"%ff=1", "", "is not UTF-8"},
};

static void test_every_mistake_is_named(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
        const struct mistake *m = &mistakes[i];
        struct input in = {0};
        struct err e = ERR_INIT;
        assert_true(query_decode(m->query, &shape, &in, &e) < 0);
        if (strcmp(e.field, m->field) != 0 || !strstr(e.text, m->says))
            fail_msg("%s: field \"%s\", \"%s\"", m->query, e.field, e.text);
        assert_null(in.data);
        assert_null(in.json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_nothing_keeps_the_defaults),
        cmocka_unit_test(test_every_mistake_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
