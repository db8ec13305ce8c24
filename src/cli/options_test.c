/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include "base/test.h"

static const struct option_row rows[] = {
    {.name = "code", .letter = 'c', .value = "CODE"},
    {.name = "json", .letter = 'j'},
    {.name = "names", .letter = 'n'},
    {0},
};
static const struct option_row more[] = {{.name = "url", .value = "URL"}, {0}};
static const struct option_row *const tables[] = {rows, more, NULL};

static int parse(enum options_owner (*owner)(const struct options *), const char *const *argv,
                 struct options *ret, struct err *e)
{
    const struct options_spec spec = {.tables = tables, .words_max = 2, .owner = owner};
    int argc = 0;
    while (argv[argc])
        argc++;
    return options_parse(&spec, argc, (char **)argv, ret, e);
}

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_forms(void **state)
{
    auto_options struct options o = {0};
    struct err e = ERR_INIT;
    assert_int_equal(
        parse(NULL, ARGV("-jnc", "A", "one", "--code=B=", "-cC", "--url", "-j", "-", "--"), &o, &e),
        0);
    assert_int_equal(o.n_hits, 6);
    assert_string_equal(o.hits[2].value, "A");
    assert_string_equal(o.hits[3].value, "B=");
    assert_string_equal(options_value(&o, "code"), "C");
    assert_string_equal(options_value(&o, "url"), "-j");
    assert_true(options_has(&o, "json") && options_has(&o, "names"));
    assert_false(options_has(&o, "help"));
    assert_null(options_value(&o, "json"));
    assert_int_equal(o.n_words, 2);
    assert_string_equal(o.words[1], "-");
    assert_int_equal(o.n_rest, 0);
}

static void test_end_of_options(void **state)
{
    auto_options struct options o = {0};
    struct err e = ERR_INIT;
    assert_int_equal(parse(NULL, ARGV("--", "-j", "--code"), &o, &e), 0);
    assert_int_equal(o.n_hits, 0);
    assert_string_equal(o.words[0], "-j");
    assert_string_equal(o.words[1], "--code");
}

static void test_errors(void **state)
{
    const struct {
        const char *const *argv;
        const char *text;
    } bad[] = {
        {ARGV("--cdoe", "x"), "unknown option '--cdoe'; did you mean '--code'?"},
        {ARGV("--cdoe=x"), "unknown option '--cdoe'; did you mean '--code'?"},
        {ARGV("--zzz"), "unknown option '--zzz'"},
        {ARGV("-jx"), "unknown option '-x'"},
        {ARGV("--code"), "option '--code' needs a value: --code CODE"},
        {ARGV("-c"), "option '--code' needs a value: --code CODE"},
        {ARGV("--json=1"), "option '--json' takes no value"},
        {ARGV("a", "b", "c"), "unexpected argument 'c'"},
        {ARGV("--="), "unknown option '--'"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct options o = {0};
        struct err e = ERR_INIT;
        assert_int_equal(parse(NULL, bad[i].argv, &o, &e), -EINVAL);
        assert_int_equal(e.class, ERR_INVALID);
        assert_string_equal(e.text, bad[i].text);
        assert_null(o.hits);
    }
}

static enum options_owner theirs_after_one(const struct options *o)
{
    return o->n_words ? OPTIONS_THEIRS : OPTIONS_OURS;
}

static enum options_owner shared_after_code(const struct options *o)
{
    return options_has(o, "code") ? OPTIONS_SHARED : OPTIONS_OURS;
}

static void test_rest_is_theirs(void **state)
{
    auto_options struct options o = {0};
    struct err e = ERR_INIT;
    assert_int_equal(parse(theirs_after_one, ARGV("-j", "a", "-j", "--zzz", "--"), &o, &e), 0);
    assert_int_equal(o.n_hits, 1);
    assert_int_equal(o.n_rest, 3);
    assert_string_equal(o.rest[0], "-j");
    assert_string_equal(o.rest[2], "--");
}

static void test_rest_is_shared(void **state)
{
    const struct {
        const char *const *argv;
        size_t n_hits, n_rest;
    } good[] = {
        {ARGV("-c", "x", "-j", "a", "-n"), 2, 2}, {ARGV("-c", "x", "--zzz", "-n"), 1, 2},
        {ARGV("-c", "x", "--", "-j"), 1, 1},      {ARGV("-c", "x", "-j", "--", "--"), 2, 1},
        {ARGV("-c", "x", "--url=u", "-z"), 2, 1}, {ARGV("-c", "x", "-", "-j"), 1, 2},
    };
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        auto_options struct options o = {0};
        struct err e = ERR_INIT;
        assert_int_equal(parse(shared_after_code, good[i].argv, &o, &e), 0);
        assert_int_equal(o.n_hits, good[i].n_hits);
        assert_int_equal(o.n_rest, good[i].n_rest);
        assert_int_equal(o.n_words, 0);
    }
}

static void test_numbers(void **state)
{
    static const struct options_range range = {.min = 1, .max = 300, .fallback = 30};
    static const struct {
        const char *text;
        int r, value;
    } cases[] = {{"1", 0, 1},        {"300", 0, 300},     {"301", -EINVAL, 0},
                 {"0", -EINVAL, 0},  {"-5", -EINVAL, 0},  {"", -EINVAL, 0},
                 {"7s", -EINVAL, 0}, {"7.5", -EINVAL, 0}, {"99999999999999999999", -EINVAL, 0}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        auto_options struct options o = {0};
        struct err e = ERR_INIT;
        int v = 0;
        assert_int_equal(parse(NULL, ARGV("--code", cases[i].text), &o, &e), 0);
        assert_int_equal(options_number(&o, "code", &range, &v, &e), cases[i].r);
        assert_int_equal(v, cases[i].value);
    }
    auto_options struct options none = {0};
    int v = 0;
    assert_int_equal(options_number(&none, "code", &range, &v, NULL), 0);
    assert_int_equal(v, 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),          cmocka_unit_test(test_end_of_options),
        cmocka_unit_test(test_errors),         cmocka_unit_test(test_rest_is_theirs),
        cmocka_unit_test(test_rest_is_shared), cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
