/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/test.h"
#include "host/languages.h"

/* --- the table that is built in --- */

static void test_rows(void **state)
{
    const struct language *l;
    size_t n = 0;
    for (; (l = host_language(n)); n++) {
        assert_true(l->name[0] && l->title[0] && l->image[0] && l->file[0] && l->version[0]);
        assert_int_equal(l->extension[0], '.');
        /* What is compiled runs its product, what is not runs its file. */
        assert_int_equal(l->compile == NULL, strstr(l->run, "{file}") != NULL);
        assert_in_range(l->memory_mib, VM_MEMORY_MIN_MIB, VM_MEMORY_MAX_MIB);
        assert_ptr_equal(host_language_find(l->name), l);
        if (n)
            assert_true(strcmp(host_language(n - 1)->name, l->name) < 0);
    }
    assert_true(n >= 6);
    assert_null(host_language(n));
}

/* Neither a name nor an alias may mean two languages. */
static void test_aliases(void **state)
{
    const struct language *l;
    for (size_t i = 0; (l = host_language(i)); i++) {
        char words[1024];
        snprintf(words, sizeof(words), "%s", l->aliases);
        for (char *save, *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
            assert_ptr_equal(host_language_find(w), l);
    }
    assert_ptr_equal(host_language_find("Python"), host_language_find("python"));
    assert_null(host_language_find(""));
    assert_null(host_language_find("pyt"));
    assert_null(host_language_find("python "));
    assert_null(host_language_find("sh shell"));
}

static void test_built_in_values(void **state)
{
    const struct language *l = host_language_find("js");
    assert_string_equal(l->name, "nodejs");
    assert_string_equal(l->hello, "console.log('Hello, World!');\n");
    assert_string_equal(l->expect, "Hello, World!\n");
    assert_true(l->is_default);
    assert_null(l->toolchain);
    l = host_language_find("deno");
    assert_non_null(strstr(l->env, "DENO_DIR=/var/cache/deno DENO_NO_UPDATE_CHECK=1 NO_COLOR=1"));
    const struct language_image *image = languages_find_image(languages_in_use(), l->image);
    assert_int_equal(image->size_mib, 2048);
    assert_null(languages_find_image(languages_in_use(), "none"));
}

/* --- reading one --- */

#define ROW_HEAD \
    "\"name\":\"a\",\"title\":\"A\",\"extension\":\".a\",\"image\":\"i\",\"file\":\"main.a\","
#define ROW_TAIL "\"version\":\"a -v\",\"hello\":[\"x\"],\"memory_mib\":256"
#define ROW ROW_HEAD "\"run\":\"a {file}\"," ROW_TAIL
#define TABLE(rows) "{\"images\":{\"i\":{}},\"languages\":[" rows "]}"
#define WARM(text) TABLE("{" ROW ",\"warm\":" text "}")

static struct languages *parse(const char *text)
{
    struct languages *t = NULL;
    struct err e = ERR_INIT;
    int r = languages_parse(text, strlen(text), &t, &e);
    if (r < 0)
        fail_msg("%s", e.text);
    return t;
}

static void test_least(void **state)
{
    struct languages *t = parse(TABLE("{" ROW "}"));
    const struct language *l = languages_get(t, 0);
    assert_string_equal(l->aliases, "");
    assert_string_equal(l->env, "");
    assert_string_equal(l->hello, "x\n");
    assert_string_equal(l->expect, "Hello, World!\n");
    assert_false(l->is_default);
    assert_true(!l->compile && !l->warm && !l->toolchain);
    assert_int_equal(languages_find_image(t, "i")->size_mib, 2048);
    assert_ptr_equal(languages_image(t, 0), languages_find_image(t, "i"));
    assert_null(languages_image(t, 1));
    assert_null(languages_get(t, 1));
    languages_free(t);
}

static void test_most(void **state)
{
    struct languages *t =
        parse("{\"images\":{\"i\":{\"packages\":[\"g++\",\"x\"],\"size_mib\":4096,\"default\":true,"
              "\"host_tools\":[\"npm\"]}},\"languages\":[{" ROW_HEAD
              "\"aliases\":[\"c++\",\"c#\"],\"compile\":\"cc x && y\",\"run\":\"./x y\","
              "\"env\":{\"B\":\"1\",\"A\":\"x=y\"},\"version\":\"v\",\"hello\":[\"\\tx\",\"\"],"
              "\"expect\":\"HELLO\\n\",\"memory_mib\":64,\"toolchain\":{\"format\":\"zip\","
              "\"notes\":\"get it\"},\"warm\":{\"run\":\"a w\",\"env\":{\"W\":\"1\"},"
              "\"rehearse\":\"self\",\"twin\":\"a t\",\"takes\":[\"env\"],"
              "\"cold_env\":[\"P\",\"LD_\"]}}]}");
    const struct language *l = languages_find(t, "C++");
    assert_ptr_equal(l, languages_get(t, 0));
    assert_string_equal(l->aliases, "c++ c#");
    assert_string_equal(l->compile, "cc x && y");
    assert_string_equal(l->run, "./x y");
    assert_string_equal(l->env, "B=1 A=x=y");
    assert_string_equal(l->hello, "\tx\n\n");
    assert_string_equal(l->expect, "HELLO\n");
    assert_string_equal(l->toolchain, "get it");
    assert_true(l->is_default);
    assert_string_equal(l->warm->run, "a w");
    assert_string_equal(l->warm->twin, "a t");
    assert_string_equal(l->warm->env, "W=1");
    assert_string_equal(l->warm->cold_env, "P LD_");
    assert_true(l->warm->rehearses_itself && l->warm->takes_env && !l->warm->takes_args);
    assert_int_equal(languages_find_image(t, "i")->size_mib, 4096);
    languages_free(t);
}

static const struct bad {
    const char *text, *says;
} bad[] = {
    {"", "not valid JSON"},
    {"[]", "not a JSON object"},
    {"{\"languages\":[]}", "images must be an object"},
    {"{\"images\":{}}", "languages must be a list of 1 to 128"},
    {"{\"images\":{},\"languages\":[],\"x\":1}", "unknown field \"x\""},
    {"{\"images\":{},\"images\":{},\"languages\":[]}", "duplicate object key"},
    {"{\"images\":{\"I\":{}},\"languages\":[]}", "images.I: its name must be a-z"},
    {"{\"images\":{\"i\":[]},\"languages\":[]}", "images.i: must be an object"},
    {"{\"images\":{\"i\":{\"x\":1}},\"languages\":[]}", "images.i: unknown field \"x\""},
    {"{\"images\":{\"i\":{\"packages\":[\"$(x)\"]}},\"languages\":[]}",
     "images.i.packages[0] must be the name of a package"},
    {"{\"images\":{\"i\":{\"size_mib\":15}},\"languages\":[]}",
     "images.i.size_mib must be between 16 and 65536"},
    {"{\"images\":{\"i\":{\"default\":\"yes\"}},\"languages\":[]}",
     "images.i.default must be true or false"},
    {TABLE("1"), "languages[0]: must be an object"},
    {TABLE("{" ROW "},2"), "languages[1]: must be an object"},
    {TABLE("{" ROW ",\"x\":1}"), "languages[0]: unknown field \"x\""},
    {TABLE("{" ROW_HEAD ROW_TAIL "}"), "languages[0].run is missing"},
    {TABLE("{" ROW_HEAD "\"run\":7," ROW_TAIL "}"), "languages[0].run must be a string"},
    {TABLE("{" ROW_HEAD "\"run\":\"a  {file}\"," ROW_TAIL "}"),
     "languages[0].run must be words separated by single spaces"},
    {TABLE("{" ROW_HEAD "\"run\":\"a x{file}\"," ROW_TAIL "}"),
     "languages[0].run must have the word {file} in it"},
    {TABLE("{" ROW_HEAD "\"run\":\"a {file}\",\"compile\":\"b\"," ROW_TAIL "}"),
     "languages[0].run must not have {file} in it"},
    {TABLE("{" ROW ",\"compile\":\"a\\nb\"}"), "languages[0].compile must be a text"},
    {TABLE("{" ROW ",\"aliases\":\"b\"}"), "languages[0].aliases must be a list of texts"},
    {TABLE("{" ROW ",\"aliases\":[\"b c\"]}"), "languages[0].aliases[0] must be of a-z 0-9"},
    {TABLE("{" ROW ",\"aliases\":[\"a\"]}"), "name \"a\" is a language's already"},
    {TABLE("{" ROW ",\"aliases\":[\"b\",\"b\"]}"), "aliases: \"b\" is a language's already"},
    {TABLE("{" ROW "},{" ROW "}"), "languages[1].name \"a\" must come after \"a\""},
    {TABLE("{" ROW ",\"env\":{\"A\":\"b c\"}}"), "languages[0].env: \"A\" must be"},
    {TABLE("{" ROW ",\"env\":{\"A=\":\"b\"}}"), "languages[0].env: \"A=\" must be"},
    {TABLE("{" ROW ",\"expect\":\"x\"}"), "languages[0].expect must be lines that end with"},
    {"{\"images\":{\"j\":{}},\"languages\":[{" ROW "}]}",
     "languages[0].image \"i\" is not among images"},
    {WARM("1"), "languages[0].warm must be an object"},
    {WARM("{\"rehearse\":\"self\"}"), "languages[0].warm.run is missing"},
    {WARM("{\"run\":\"x\",\"rehearse\":\"me\"}"), "languages[0].warm.rehearse must be \"twin\" or"},
    {WARM("{\"run\":\"x\",\"rehearse\":\"twin\",\"twin\":\"y\"}"),
     "languages[0].warm.twin is for those that rehearse themselves"},
    {WARM("{\"run\":\"x\",\"rehearse\":\"self\",\"takes\":[\"cwd\"]}"),
     "languages[0].warm.takes must be a list"},
    {WARM("{\"run\":\"x\",\"rehearse\":\"self\",\"takes\":[\"env\",\"env\"]}"),
     "languages[0].warm.takes must be a list"},
    {WARM("{\"run\":\"x\",\"rehearse\":\"self\",\"cold_env\":[\"\"]}"),
     "languages[0].warm.cold_env[0] must be one word"},
    {TABLE("{" ROW ",\"toolchain\":{\"format\":\"x\"}}"),
     "languages[0].toolchain.notes is missing"},
    {TABLE("{\"name\":\"A\"}"), "languages[0].name must be a-z"},
    {TABLE("{\"name\":\"a\",\"title\":\"\"}"), "languages[0].title must be a text"},
    {TABLE("{\"name\":\"a\",\"title\":\"A\",\"extension\":\"a\"}"),
     "languages[0].extension must be a dot"},
    {TABLE("{" ROW ",\"name\":\"b\"}"), "duplicate object key"},
};

static void test_refused(void **state)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct languages *t = NULL;
        struct err e = ERR_INIT;
        assert_int_equal(languages_parse(bad[i].text, strlen(bad[i].text), &t, &e), -EINVAL);
        assert_null(t);
        assert_int_equal(e.class, ERR_INVALID);
        if (!strstr(e.text, bad[i].says))
            fail_msg("%s: says \"%s\", not \"%s\"", bad[i].text, e.text, bad[i].says);
    }
    assert_int_equal(languages_parse("{}", 2, &(struct languages *){NULL}, NULL), -EINVAL);
}

/* Another alias of an earlier language. */
static void test_ambiguous(void **state)
{
    static const char text[] = TABLE(
        "{" ROW ",\"aliases\":[\"x\"]},{\"name\":\"b\",\"title\":\"B\",\"aliases\":[\"x\"],"
        "\"extension\":\".b\",\"image\":\"i\",\"file\":\"m\",\"run\":\"b {file}\"," ROW_TAIL "}");
    struct languages *t = NULL;
    struct err e = ERR_INIT;
    assert_int_equal(languages_parse(text, sizeof(text) - 1, &t, &e), -EINVAL);
    assert_string_equal(e.text, "languages[1].aliases: \"x\" is a language's already");
    assert_string_equal(e.field, "languages[1].aliases");
}

/* --- another table; the last test, because it counts from then on --- */

static void test_use(void **state)
{
    char path[] = "/tmp/holm-languages-XXXXXX";
    struct err e = ERR_INIT;
    auto_close int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(languages_use(path, &e) < 0);
    assert_non_null(strstr(e.text, path));
    assert_non_null(strstr(e.text, "not valid JSON"));
    assert_non_null(host_language_find("python"));
    static const char text[] = TABLE("{" ROW "}");
    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    assert_int_equal(languages_use(path, &e), 0);
    assert_non_null(host_language_find("a"));
    assert_null(host_language_find("python"));
    unlink(path);
    assert_int_equal(languages_use(path, &e), -ENOENT);
    assert_non_null(host_language_find("a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_built_in_values),
        cmocka_unit_test(test_least),
        cmocka_unit_test(test_most),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_ambiguous),
        cmocka_unit_test(test_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
