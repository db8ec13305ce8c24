/* SPDX-License-Identifier: Apache-2.0 */
#include "api/runner/runner.h"

#include <errno.h>
#include <string.h>

#include "api/nearest.h"
#include "api/request.h"
#include "api/runner/execute.h"
#include "api/text.h"

json_t *runner_error(const struct err *e)
{
    json_t *o = json_object();
    json_object_set_new(o, "error", text_json(e->text, strlen(e->text)));
    if (e->field[0])
        json_object_set_new(o, "field", text_json(e->field, strlen(e->field)));
    if (e->suggestion[0])
        json_object_set_new(o, "suggestion", text_json(e->suggestion, strlen(e->suggestion)));
    json_object_set_new(o, "status", json_string("failed"));
    return o;
}

const struct field runner_error_fields[] = {
    {"error", FIELD_TEXT, FIELD_REQUIRED, .doc = "What is wrong, for people"},
    {"field", FIELD_TEXT, 0, .doc = "The field of the request at fault, if it is one"},
    {"suggestion", FIELD_TEXT, 0, .doc = "What was probably meant, if a name is near"},
    {"status", FIELD_TEXT, FIELD_REQUIRED, .doc = "\"failed\""},
    {0},
};

const struct dialect runner_dialect = {
    .name = "runner",
    .title = "Holm code runner",
    .doc = "Runs a program in a virtual machine of its own: source code in, output out.",
    .prefix = "/api/v1/",
    .error = runner_error,
    .error_fields = runner_error_fields,
};

/* Offers every word of a list that is separated by spaces. */
static void offer_words(struct nearest *near, const char *words, const char *meaning)
{
    char word[64];
    while (*words) {
        size_t n = strcspn(words, " ");
        size_t before = near->best_distance;
        snprintf(word, sizeof(word), "%.*s", (int)n, words);
        nearest_offer(near, word);
        if (near->best_distance < before)
            near->best = meaning;
        words += n + strspn(words + n, " ");
    }
}

int runner_language(const char *name, const struct language **ret, struct err *e)
{
    const struct language *lang = host_language_find(name);
    if (lang) {
        *ret = lang;
        return 0;
    }
    struct nearest near = {.word = name, .best_distance = SIZE_MAX};
    for (size_t i = 0; (lang = host_language(i)); i++) {
        offer_words(&near, lang->name, lang->name);
        offer_words(&near, lang->aliases, lang->name);
    }
    err_field(e, "language", "language not found: %.100s", name);
    snprintf(e->suggestion, sizeof(e->suggestion), "%s", near.best ? near.best : "");
    e->class = ERR_NOT_FOUND;
    return -ENOENT;
}

/* ---- GET /health ---- */

static int get_health(struct request *rq, struct answer *ret, struct err *e)
{
    ret->json = json_pack("{s:s, s:s}", "status", "healthy", "version", HOLM_VERSION);
    return ret->json ? 0 : -ENOMEM;
}

static const struct field health_fields[] = {
    {"status", FIELD_TEXT, FIELD_REQUIRED, .doc = "\"healthy\""},
    {"version", FIELD_TEXT, FIELD_REQUIRED, .doc = "Of Holm"},
    {0},
};

/* ---- GET /api/v1/languages ---- */

static const char *const states[] = {
    [LANGUAGE_MISSING] = "missing",     [LANGUAGE_BUILT] = "built",
    [LANGUAGE_PREPARING] = "preparing", [LANGUAGE_READY] = "ready",
    [LANGUAGE_FAILED] = "failed",
};

static json_t *words_json(const char *words)
{
    json_t *list = json_array();
    while (*words) {
        size_t n = strcspn(words, " ");
        json_array_append_new(list, json_stringn(words, n));
        words += n + strspn(words + n, " ");
    }
    return list;
}

static json_t *versions_json(struct host *h, const struct language *lang)
{
    char version[LANGUAGE_VERSION_SIZE];
    host_language_version(h, lang, version);
    return words_json(version);
}

static json_t *language_json(struct host *h, const struct language *lang, bool detailed)
{
    struct language_status status = {0};
    host_language_status(h, lang, &status);
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:o, s:o, s:s}", "name", lang->name, "extension",
                  lang->extension, "title", lang->title, "aliases", words_json(lang->aliases),
                  "versions", versions_json(h, lang), "status", states[status.state]);
    if (status.detail[0])
        json_object_set_new(o, "detail", text_json(status.detail, strlen(status.detail)));
    json_object_set_new(o, "pooled", json_integer(status.pooled));
    if (!detailed)
        return o;
    json_object_set_new(o, "image", json_string(lang->image));
    json_object_set_new(o, "file", json_string(lang->file));
    if (lang->compile)
        json_object_set_new(o, "compile", json_string(lang->compile));
    json_object_set_new(o, "run", json_string(lang->run));
    json_object_set_new(o, "hello", json_string(lang->hello));
    json_object_set_new(o, "memory_mib", json_integer(lang->memory_mib));
    if (lang->toolchain)
        json_object_set_new(o, "toolchain", json_string(lang->toolchain));
    return o;
}

static int get_languages(struct request *rq, struct answer *ret, struct err *e)
{
    json_t *list = json_array();
    const struct language *lang;
    for (size_t i = 0; (lang = host_language(i)); i++)
        json_array_append_new(list, language_json(rq->host, lang, false));
    json_int_t n = (json_int_t)json_array_size(list);
    ret->json = json_pack("{s:o, s:I}", "languages", list, "count", n);
    return ret->json ? 0 : -ENOMEM;
}

#define LANGUAGE_FIELDS                                                                     \
    {"name", FIELD_TEXT, FIELD_REQUIRED, .doc = "What `language` of execute is"},           \
        {"extension", FIELD_TEXT, FIELD_REQUIRED, .doc = "Of source files, like \".py\""},  \
        {"title", FIELD_TEXT, FIELD_REQUIRED, .doc = "For people"},                         \
        {"aliases", FIELD_TEXTS, FIELD_REQUIRED, .doc = "Other names of it"},               \
        {"versions", FIELD_TEXTS, FIELD_REQUIRED,                                           \
         .doc = "What its image has; empty when that is not known"},                        \
        {"status", FIELD_CHOICE, FIELD_REQUIRED, .choices = states_schema,                  \
         .doc = "Whether it can be run now"},                                               \
        {"pooled", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Warm machines that wait for it"}, \
    {                                                                                       \
        "detail", FIELD_TEXT, 0, .doc = "Why it cannot run, how far it is, what it lacks"   \
    }

static const char *const states_schema[] = {"missing", "built",  "preparing",
                                            "ready",   "failed", NULL};

static const struct field language_fields[] = {LANGUAGE_FIELDS, {0}};

static const struct field languages_fields[] = {
    {"languages", FIELD_OBJECTS, FIELD_REQUIRED, .fields = language_fields,
     .doc = "All that this version of Holm knows"},
    {"count", FIELD_INTEGER, FIELD_REQUIRED, .doc = "How many"},
    {0},
};

/* ---- GET /api/v1/languages/{lang} ---- */

static int get_language(struct request *rq, struct answer *ret, struct err *e)
{
    const struct language *lang;
    int r = runner_language(rq->params[0], &lang, e);
    if (r < 0)
        return r;
    ret->json = language_json(rq->host, lang, true);
    return ret->json ? 0 : -ENOMEM;
}

static const struct field language_detail_fields[] = {
    LANGUAGE_FIELDS,
    {"image", FIELD_TEXT, FIELD_REQUIRED, .doc = "The image it runs in"},
    {"file", FIELD_TEXT, FIELD_REQUIRED, .doc = "What the program's file is called"},
    {"compile", FIELD_TEXT, 0, .doc = "The command that compiles it, if it is compiled"},
    {"run", FIELD_TEXT, FIELD_REQUIRED, .doc = "The command that runs it"},
    {"hello", FIELD_TEXT, FIELD_REQUIRED, .doc = "A program that prints \"Hello, World!\""},
    {"memory_mib", FIELD_INTEGER, FIELD_REQUIRED, .doc = "Memory of its machine"},
    {"toolchain", FIELD_TEXT, 0,
     .doc = "What its image needs and no registry has: given to the build of the image"},
    {0},
};

/* ---- rows ---- */

static const int lookup_errors[] = {400, 404, 0};
static const int execute_errors[] = {400, 404, 409, 413, 415, 500, 502, 503, 504, 0};

const struct route runner_routes[] = {
    {
        .method = ROUTE_GET,
        .path = "/health",
        .operation = "health",
        .dialect = &runner_dialect,
        .handler = get_health,
        .response = health_fields,
        .flags = ROUTE_STATIC | ROUTE_OPEN,
        .doc = "Whether the daemon answers",
    },
    {
        .method = ROUTE_GET,
        .path = "/api/v1/languages",
        .operation = "listLanguages",
        .dialect = &runner_dialect,
        .handler = get_languages,
        .response = languages_fields,
        .doc = "All languages",
    },
    {
        .method = ROUTE_GET,
        .path = "/api/v1/languages/{lang}",
        .operation = "getLanguage",
        .dialect = &runner_dialect,
        .handler = get_language,
        .response = language_detail_fields,
        .errors = lookup_errors,
        .doc = "One language in detail",
    },
    {
        .method = ROUTE_POST,
        .path = "/api/v1/execute",
        .operation = "execute",
        .dialect = &runner_dialect,
        .handler = execute_handle,
        .request = execute_request,
        .input_bytes = sizeof(struct execute_input),
        .input_defaults = &execute_defaults,
        .response = execute_response,
        .errors = execute_errors,
        .flags = ROUTE_STREAMS | ROUTE_BATCH,
        .doc = "Run a program and return its output",
    },
    {
        .method = ROUTE_POST,
        .path = "/api/v1/run",
        .operation = "run",
        .dialect = &runner_dialect,
        .handler = run_handle,
        .request = run_request_fields,
        .input_bytes = sizeof(struct execute_input),
        .input_defaults = &execute_defaults,
        .response = run_response_fields,
        .errors = execute_errors,
        .flags = ROUTE_BATCH,
        .doc = "Run a program of files, once or once for each of several inputs",
    },
    {0},
};
