/* SPDX-License-Identifier: Apache-2.0 */

/* Reading the table of languages. Texts that are one string of the file stay in the document, which
 * the table owns; lists become one text of words or lines. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "host/images.h"
#include "host/languages_priv.h"
#include "wire/field.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGIT "0123456789"

#define HELLO_DEFAULT "Hello, World!\n"

DEFINE_AUTO(struct languages *, languages_free)

/* What a text must be. */
struct form {
    bool (*fits)(const char *text);
    const char *what; /* "... must be WHAT" */
};

/* --- forms --- */

static bool is_of(const char *text, const char *first, const char *rest, size_t max)
{
    return text[0] && strchr(first, text[0]) && strlen(text) <= max &&
           !text[1 + strspn(text + 1, rest)];
}

static bool is_name(const char *text)
{
    return is_of(text, LOWER, LOWER DIGIT "+#-", LANGUAGE_NAME_MAX_BYTES);
}

static bool is_alias(const char *text)
{
    return is_of(text, LOWER DIGIT, LOWER DIGIT "+#.-", LANGUAGE_NAME_MAX_BYTES);
}

static bool is_image_name(const char *text)
{
    return is_of(text, LOWER, LOWER DIGIT "-", IMAGE_KEY_SIZE - 1);
}

static bool is_package(const char *text)
{
    return is_of(text, LOWER DIGIT, LOWER DIGIT "+.-", LANGUAGE_TEXT_MAX_BYTES);
}

/* Without control characters but for tabs. */
static bool is_line(const char *text)
{
    for (const char *p = text; *p; p++) {
        if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
            return false;
    }
    return true;
}

static bool is_text(const char *text)
{
    return text[0] && is_line(text);
}

static bool is_words(const char *text)
{
    size_t len = strlen(text);
    return is_text(text) && text[0] != ' ' && text[len - 1] != ' ' && !strstr(text, "  ") &&
           !strchr(text, '\t');
}

static bool is_word(const char *text)
{
    return is_words(text) && !strchr(text, ' ');
}

/* A name that a shell would give to a file, and nothing else: it is part of commands. */
static bool is_file(const char *text)
{
    for (const char *p = text; *p; p++) {
        if (!strchr(LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGIT "._+-", *p))
            return false;
    }
    return text[0] && text[0] != '.' && text[0] != '-' && strlen(text) <= LANGUAGE_NAME_MAX_BYTES;
}

static bool is_extension(const char *text)
{
    return text[0] == '.' && is_file(text + 1);
}

static bool is_variable(const char *text)
{
    return text[0] && !strchr(DIGIT, text[0]) &&
           !text[strspn(text, LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGIT "_")];
}

static bool is_lines(const char *text)
{
    size_t len = strlen(text);
    for (const char *p = text; *p; p++) {
        if ((unsigned char)*p < ' ' && *p != '\n' && *p != '\t')
            return false;
    }
    return len > 0 && text[len - 1] == '\n';
}

static const struct form a_name = {is_name, "a-z, then a-z 0-9 + # -, at most 31 characters"};
static const struct form an_alias = {is_alias, "of a-z 0-9 + # . -, at most 31 characters"};
static const struct form an_image = {is_image_name, "a-z, then a-z 0-9 -, at most 63 characters"};
static const struct form a_package = {is_package, "the name of a package"};
static const struct form a_line = {is_line, "a line without control characters"};
static const struct form a_text = {is_text, "a text without control characters, not empty"};
static const struct form a_word = {is_word, "one word, not empty"};
static const struct form some_words = {is_words, "words separated by single spaces"};
static const struct form a_file = {is_file, "of a-z A-Z 0-9 . _ + -, at most 31 characters"};
static const struct form an_extension = {is_extension, "a dot and then letters"};
static const struct form some_lines = {is_lines, "lines that end with \\n"};

/* --- reading --- */

/* Takes `text`, which may be NULL. */
static int keep(struct languages *t, char *text, const char **ret, struct err *e)
{
    if (t->n_joined == t->joined_cap) {
        size_t cap = t->joined_cap ? 2 * t->joined_cap : 64;
        char **more = realloc(t->joined, cap * sizeof(*more));
        if (more) {
            t->joined = more;
            t->joined_cap = cap;
        }
    }
    if (!text || t->n_joined == t->joined_cap) {
        free(text);
        return err_errno(e, -ENOMEM, "languages");
    }
    *ret = t->joined[t->n_joined++] = text;
    return 0;
}

/* An error of a field inside gets the place of what it is in: "run must be" becomes
 * "languages[3].run must be". */
static int at_place(struct err *e, int r, const char *place)
{
    char text[sizeof(e->text)], field[sizeof(e->field)];
    if (r >= 0 || !e || e->class != ERR_INVALID)
        return r;
    memcpy(text, e->text, sizeof(text));
    memcpy(field, e->field, sizeof(field));
    size_t len = strlen(field);
    bool continues = len && strncmp(text, field, len) == 0;
    text[sizeof(text) - LANGUAGE_NAME_MAX_BYTES - IMAGE_KEY_SIZE] = '\0';
    snprintf(e->text, sizeof(e->text), "%s%s%s", place, continues ? "." : ": ", text);
    snprintf(e->field, sizeof(e->field), "%s.%.31s", place, field);
    return r;
}

static int bad_form(const char *key, const struct form *form, struct err *e)
{
    return err_field(e, key, "%s must be %s", key, form->what);
}

static int read_text(json_t *o, const char *key, enum field_need need, const struct form *form,
                     const char **ret, struct err *e)
{
    const char *text = NULL;
    int r = field_str(o, key, need, LANGUAGE_TEXT_MAX_BYTES, &text, e);
    if (r < 0 || !text)
        return r;
    if (!form->fits(text))
        return bad_form(key, form, e);
    *ret = text;
    return 0;
}

/* How a list of texts becomes one. */
struct list {
    const char *key;
    const struct form *form; /* of each */
    size_t min, max;
    const char *between, *end;
};

static int read_list(struct languages *t, json_t *o, const struct list *l, const char **ret,
                     struct err *e)
{
    auto_buf struct buf b = {0};
    json_t *list = json_object_get(o, l->key), *item;
    size_t i;
    if (list ? !json_is_array(list) : l->min > 0)
        return err_field(e, l->key, "%s must be a list of texts", l->key);
    if (json_array_size(list) < l->min || json_array_size(list) > l->max)
        return err_field(e, l->key, "%s must have from %zu to %zu entries", l->key, l->min, l->max);
    buf_append_str(&b, "");
    json_array_foreach(list, i, item)
    {
        char key[64];
        snprintf(key, sizeof(key), "%s[%zu]", l->key, i);
        if (!json_is_string(item) || json_string_length(item) > LANGUAGE_TEXT_MAX_BYTES ||
            !l->form->fits(json_string_value(item)))
            return bad_form(key, l->form, e);
        buf_printf(&b, "%s%s%s", i ? l->between : "", json_string_value(item), l->end);
    }
    return keep(t, b.failed ? NULL : strdup(buf_str(&b)), ret, e);
}

/* {"NAME": "value"} as words. */
static int read_env(struct languages *t, json_t *o, const char **ret, struct err *e)
{
    auto_buf struct buf b = {0};
    json_t *env = json_object_get(o, "env"), *value;
    const char *name;
    if (env && (!json_is_object(env) || json_object_size(env) > LANGUAGE_ENV_MAX))
        return err_field(e, "env", "env must be an object of at most %d variables",
                         LANGUAGE_ENV_MAX);
    json_object_foreach(env, name, value)
    {
        const char *text = json_string_value(value);
        if (!is_variable(name) || !text || !is_word(text) || strlen(text) > LANGUAGE_TEXT_MAX_BYTES)
            return err_field(e, "env", "env: \"%.40s\" must be a variable's name and one word",
                             name);
        buf_printf(&b, "%s%s=%s", b.len ? " " : "", name, text);
    }
    return keep(t, b.failed ? NULL : strdup(buf_str(&b)), ret, e);
}

/* --- images --- */

static int read_image(struct languages *t, const char *name, json_t *o, struct err *e)
{
    static const char *const keys[] = {"packages", "size_mib", "default", "host_tools", NULL};
    static const struct list packages = {"packages", &a_package, 0, LANGUAGE_PACKAGES_MAX, " ", ""};
    static const struct list tools = {"host_tools", &a_package, 0, LANGUAGE_PACKAGES_MAX, " ", ""};
    struct language_image *image = &t->images[t->n_images];
    int64_t size_mib = 2048;
    const char *unused;
    if (!is_image_name(name))
        return err_set(e, ERR_INVALID, "its name must be %s", an_image.what);
    if (!json_is_object(o))
        return err_set(e, ERR_INVALID, "must be an object");
    image->name = name;
    int r = field_only(o, keys, e);
    if (r == 0)
        r = read_list(t, o, &packages, &unused, e);
    if (r == 0)
        r = read_list(t, o, &tools, &unused, e);
    if (r == 0)
        r = field_int(o, "size_mib", FIELD_OPTIONAL,
                      (struct field_range){IMAGE_SIZE_MIN_MIB, IMAGE_SIZE_MAX_MIB}, &size_mib, e);
    if (r == 0)
        r = field_bool(o, "default", FIELD_OPTIONAL, &image->is_default, e);
    image->size_mib = (int)size_mib;
    if (r == 0)
        t->n_images++;
    return r;
}

static int read_images(struct languages *t, json_t *images, struct err *e)
{
    const char *name;
    json_t *o;
    if (!json_is_object(images) || json_object_size(images) > LANGUAGE_IMAGES_MAX)
        return err_field(e, "images", "images must be an object of at most %d images",
                         LANGUAGE_IMAGES_MAX);
    json_object_foreach(images, name, o)
    {
        char place[IMAGE_KEY_SIZE + 16];
        snprintf(place, sizeof(place), "images.%.*s", IMAGE_KEY_SIZE, name);
        int r = at_place(e, read_image(t, name, o, e), place);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- languages --- */

static int read_takes(json_t *o, struct language_warm *ret, struct err *e)
{
    json_t *list = json_object_get(o, "takes"), *item;
    size_t i;
    if (list && !json_is_array(list))
        return err_field(e, "takes", "takes must be a list of \"args\" and \"env\"");
    json_array_foreach(list, i, item)
    {
        const char *what = json_is_string(item) ? json_string_value(item) : "";
        bool *takes = strcmp(what, "args") == 0  ? &ret->takes_args
                      : strcmp(what, "env") == 0 ? &ret->takes_env
                                                 : NULL;
        if (!takes || *takes)
            return err_field(e, "takes", "takes must be a list of \"args\" and \"env\"");
        *takes = true;
    }
    return 0;
}

static int read_warm(struct languages *t, json_t *o, struct language_warm *ret, struct err *e)
{
    static const char *const keys[] = {"run", "env", "rehearse", "twin", "takes", "cold_env", NULL};
    static const struct list cold = {"cold_env", &a_word, 0, LANGUAGE_ENV_MAX, " ", ""};
    const char *rehearse = NULL;
    int r = field_only(o, keys, e);
    if (r == 0)
        r = read_text(o, "run", FIELD_REQUIRED, &some_words, &ret->run, e);
    if (r == 0)
        r = read_env(t, o, &ret->env, e);
    if (r == 0)
        r = read_text(o, "rehearse", FIELD_REQUIRED, &a_word, &rehearse, e);
    if (r < 0)
        return r;
    ret->rehearses_itself = strcmp(rehearse, "self") == 0;
    if (!ret->rehearses_itself && strcmp(rehearse, "twin") != 0)
        return err_field(e, "rehearse", "rehearse must be \"twin\" or \"self\"");
    r = read_text(o, "twin", FIELD_OPTIONAL, &some_words, &ret->twin, e);
    if (r == 0 && ret->twin && !ret->rehearses_itself)
        return err_field(e, "twin", "twin is for those that rehearse themselves");
    ret->twin = ret->twin ? ret->twin : "";
    r = r == 0 ? read_takes(o, ret, e) : r;
    return r == 0 ? read_list(t, o, &cold, &ret->cold_env, e) : r;
}

static int read_toolchain(json_t *o, const char **ret, struct err *e)
{
    static const char *const keys[] = {"format", "notes", NULL};
    const char *format;
    int r = field_only(o, keys, e);
    if (r == 0)
        r = read_text(o, "format", FIELD_REQUIRED, &a_word, &format, e);
    return r == 0 ? read_text(o, "notes", FIELD_REQUIRED, &a_text, ret, e) : r;
}

static bool has_word(const char *words, const char *word)
{
    size_t len = strlen(word);
    for (const char *p = words; *p; p += p[0] == ' ') {
        size_t n = strcspn(p, " ");
        if (n == len && strncmp(p, word, n) == 0)
            return true;
        p += n;
    }
    return false;
}

static int read_commands(struct languages *t, json_t *o, struct language *l, struct err *e)
{
    int r = read_text(o, "compile", FIELD_OPTIONAL, &a_text, &l->compile, e);
    if (r == 0)
        r = read_text(o, "run", FIELD_REQUIRED, &some_words, &l->run, e);
    if (r == 0)
        r = read_text(o, "version", FIELD_REQUIRED, &some_words, &l->version, e);
    if (r == 0)
        r = read_env(t, o, &l->env, e);
    if (r < 0)
        return r;
    if (l->compile && has_word(l->run, "{file}"))
        return err_field(e, "run", "run must not have {file} in it, because there is compile");
    if (!l->compile && !has_word(l->run, "{file}"))
        return err_field(e, "run", "run must have the word {file} in it, or there must be compile");
    return 0;
}

static int read_program(struct languages *t, json_t *o, struct language *l, struct err *e)
{
    static const struct list hello = {"hello", &a_line, 1, LANGUAGE_LINES_MAX, "", "\n"};
    int64_t memory_mib = 0;
    l->expect = HELLO_DEFAULT;
    int r = read_text(o, "file", FIELD_REQUIRED, &a_file, &l->file, e);
    if (r == 0)
        r = read_list(t, o, &hello, &l->hello, e);
    if (r == 0)
        r = read_text(o, "expect", FIELD_OPTIONAL, &some_lines, &l->expect, e);
    if (r == 0)
        r = field_int(o, "memory_mib", FIELD_REQUIRED,
                      (struct field_range){VM_MEMORY_MIN_MIB, VM_MEMORY_MAX_MIB}, &memory_mib, e);
    l->memory_mib = (int)memory_mib;
    return r;
}

static int read_names(struct languages *t, json_t *o, struct language *l, struct err *e)
{
    static const struct list aliases = {"aliases", &an_alias, 0, LANGUAGE_ALIASES_MAX, " ", ""};
    int r = read_text(o, "name", FIELD_REQUIRED, &a_name, &l->name, e);
    if (r == 0)
        r = read_text(o, "title", FIELD_REQUIRED, &a_text, &l->title, e);
    if (r == 0)
        r = read_list(t, o, &aliases, &l->aliases, e);
    if (r == 0)
        r = read_text(o, "extension", FIELD_REQUIRED, &an_extension, &l->extension, e);
    if (r == 0)
        r = read_text(o, "image", FIELD_REQUIRED, &an_image, &l->image, e);
    if (r < 0)
        return r;
    const struct language_image *image = languages_find_image(t, l->image);
    if (!image)
        return err_field(e, "image", "image \"%.63s\" is not among images", l->image);
    l->is_default = image->is_default;
    return 0;
}

static int read_extras(struct languages *t, json_t *o, struct language *l, struct err *e)
{
    json_t *warm = json_object_get(o, "warm"), *toolchain = json_object_get(o, "toolchain");
    if (warm && !json_is_object(warm))
        return err_field(e, "warm", "warm must be an object");
    if (toolchain && !json_is_object(toolchain))
        return err_field(e, "toolchain", "toolchain must be an object");
    int r = toolchain ? read_toolchain(toolchain, &l->toolchain, e) : 0;
    if (r < 0)
        return at_place(e, r, "toolchain");
    if (!warm)
        return 0;
    struct language_warm *w = &t->warm[t->n_rows];
    l->warm = w;
    return at_place(e, read_warm(t, warm, w, e), "warm");
}

/* Its last row against all. */
static int check_names(const struct languages *t, struct err *e)
{
    const struct language *l = &t->rows[t->n_rows - 1];
    if (t->n_rows > 1 && strcmp(l[-1].name, l->name) >= 0)
        return err_field(e, "name", "name \"%s\" must come after \"%s\": they are sorted", l->name,
                         l[-1].name);
    if (languages_count_meanings(t, l->name) > 1)
        return err_field(e, "name", "name \"%s\" is a language's already", l->name);
    for (const char *p = l->aliases; *p; p += p[0] == ' ') {
        char word[LANGUAGE_NAME_MAX_BYTES + 1];
        size_t n = strcspn(p, " ");
        snprintf(word, sizeof(word), "%.*s", (int)n, p);
        if (languages_count_meanings(t, word) > 1)
            return err_field(e, "aliases", "aliases: \"%s\" is a language's already", word);
        p += n;
    }
    return 0;
}

static int read_language(struct languages *t, json_t *o, struct err *e)
{
    static const char *const keys[] = {
        "name", "title",   "aliases", "extension", "image", "file",       "compile",   "run",
        "env",  "version", "hello",   "expect",    "warm",  "memory_mib", "toolchain", NULL};
    struct language *l = &t->rows[t->n_rows];
    if (!json_is_object(o))
        return err_set(e, ERR_INVALID, "must be an object");
    int r = field_only(o, keys, e);
    if (r == 0)
        r = read_names(t, o, l, e);
    if (r == 0)
        r = read_commands(t, o, l, e);
    if (r == 0)
        r = read_program(t, o, l, e);
    if (r == 0)
        r = read_extras(t, o, l, e);
    if (r < 0)
        return r;
    t->n_rows++;
    return check_names(t, e);
}

static int read_languages(struct languages *t, json_t *list, struct err *e)
{
    json_t *o;
    size_t i;
    if (!json_is_array(list) || !json_array_size(list) || json_array_size(list) > LANGUAGES_MAX)
        return err_field(e, "languages", "languages must be a list of 1 to %d languages",
                         LANGUAGES_MAX);
    json_array_foreach(list, i, o)
    {
        char place[32];
        snprintf(place, sizeof(place), "languages[%zu]", i);
        int r = at_place(e, read_language(t, o, e), place);
        if (r < 0)
            return r;
    }
    return 0;
}

int languages_parse(const char *text, size_t len, struct languages **ret, struct err *e)
{
    static const char *const keys[] = {"images", "languages", NULL};
    CLEANUP(languages_freep) struct languages *t = calloc(1, sizeof(*t));
    if (!t)
        return err_errno(e, -ENOMEM, "languages");
    int r = field_parse(text, len, &t->document, e);
    if (r == 0)
        r = field_only(t->document, keys, e);
    if (r == 0)
        r = read_images(t, json_object_get(t->document, "images"), e);
    if (r == 0)
        r = read_languages(t, json_object_get(t->document, "languages"), e);
    if (r == 0)
        *ret = TAKE_PTR(t);
    return r;
}
