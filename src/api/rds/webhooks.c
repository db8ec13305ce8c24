/* SPDX-License-Identifier: Apache-2.0 */

/* Webhooks of the account that asks. */

#include <errno.h>
#include <string.h>

#include "api/rds/rds.h"
#include "api/text.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "host/activity.h"
#include "host/webhooks.h"

/* --- as JSON --- */

static json_t *types_json(const char *types)
{
    char words[WEBHOOK_TYPES_SIZE];
    json_t *list = json_array();
    strcpy(words, types);
    for (char *save, *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save))
        json_array_append_new(list, json_string(word));
    return list;
}

static json_t *text_or_null(const char *text)
{
    return *text ? text_json(text, strlen(text)) : json_null();
}

static json_t *webhook_json(const struct webhook_info *w)
{
    return json_pack("{s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
                     rds_id_json("", w->id), "name", text_json(w->name, strlen(w->name)), "url",
                     text_json(w->url, strlen(w->url)), "enabled", w->enabled, "eventTypes",
                     types_json(w->types), "createdAt", rds_time_json(w->created_ns), "updatedAt",
                     rds_time_json(w->updated_ns), "lastStatus",
                     w->last_status ? json_integer(w->last_status) : json_null(), "lastError",
                     text_or_null(w->last_error), "lastTriedAt", rds_time_json(w->last_tried_ns));
}

#define WEBHOOK_FIELDS                                                                     \
    {"id", FIELD_TEXT, FIELD_REQUIRED, .doc = "A UUID"},                                   \
        {"name", FIELD_TEXT, FIELD_REQUIRED, .doc = "What it is for"},                     \
        {"url", FIELD_TEXT, FIELD_REQUIRED, .doc = "Where events are sent, by POST"},      \
        {"enabled", FIELD_BOOL, FIELD_REQUIRED, .doc = "Whether they are"},                \
        {"eventTypes", FIELD_TEXTS, FIELD_REQUIRED, .doc = "Only these; none: all"},       \
        {"createdAt", FIELD_TEXT, FIELD_REQUIRED, .doc = "When it was made"},              \
        {"updatedAt", FIELD_TEXT, FIELD_REQUIRED, .doc = "When it was changed"},           \
        {"lastStatus", FIELD_INTEGER, FIELD_REQUIRED | FIELD_NULLABLE, .max = 999,         \
         .doc = "HTTP status of the last try; null when none came"},                       \
        {"lastError", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE,                         \
         .doc = "Why that was no success"},                                                \
    {                                                                                      \
        "lastTriedAt", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE, .doc = "When that was" \
    }

static const struct field webhook_fields[] = {WEBHOOK_FIELDS, {0}};

static const struct field new_webhook_fields[] = {
    WEBHOOK_FIELDS,
    {"secret", FIELD_TEXT, FIELD_REQUIRED,
     .doc = "What bodies are signed with (X-Holm-Signature), shown this once"},
    {0},
};

/* --- from JSON --- */

struct webhook_input {
    struct field_text name, url;
    bool enabled;
    struct field_texts types;
};

#define INPUT_FIELDS(required)                                                     \
    {"name",                                                                       \
     FIELD_TEXT,                                                                   \
     required,                                                                     \
     offsetof(struct webhook_input, name),                                         \
     .max_bytes = WEBHOOK_NAME_SIZE - 1,                                           \
     .doc = "What it is for"},                                                     \
        {"url",                                                                    \
         FIELD_TEXT,                                                               \
         required,                                                                 \
         offsetof(struct webhook_input, url),                                      \
         .max_bytes = WEBHOOK_URL_SIZE - 1,                                        \
         .doc = "http:// or https://"},                                            \
        {"enabled", FIELD_BOOL, 0, offsetof(struct webhook_input, enabled),        \
         .doc = "Whether it is told of events; true when a new one does not say"}, \
    {                                                                              \
        "eventTypes", FIELD_TEXTS, 0, offsetof(struct webhook_input, types),       \
            .max = 64, .max_bytes = WEBHOOK_TYPES_SIZE - 64,                       \
            .doc = "Which; [] (as when it is new): all"                            \
    }

static const struct field create_fields[] = {INPUT_FIELDS(FIELD_REQUIRED), {0}};
static const struct field update_fields[] = {INPUT_FIELDS(0), {0}};

static bool is_given(const struct request *rq, const char *name)
{
    const json_t *value = json_object_get(rq->input.json, name);
    return value && !json_is_null(value);
}

/* `types` keeps the words that the patch then points to. */
static int patch_of(const struct request *rq, char types[WEBHOOK_TYPES_SIZE],
                    struct webhook_patch *ret, struct err *e)
{
    const struct webhook_input *in = rq->input.data;
    size_t n = 0;
    types[0] = '\0';
    for (size_t i = 0; i < in->types.n; i++) {
        const char *word = in->types.items[i];
        if (!*word || strchr(word, ' '))
            return err_field(e, "eventTypes", "there is no event type \"%.40s\"", word);
        n += (size_t)snprintf(types + n, WEBHOOK_TYPES_SIZE - n, "%s%s", i ? " " : "", word);
    }
    *ret = (struct webhook_patch){
        .name = in->name.data,
        .url = in->url.data,
        .types = is_given(rq, "eventTypes") ? types : NULL,
        .enabled = is_given(rq, "enabled") ? &in->enabled : NULL,
    };
    return 0;
}

/* --- the calls --- */

static int list(struct request *rq, struct answer *ret, struct err *e)
{
    auto_free struct webhook_info *all = NULL;
    size_t n = 0;
    int r = host_webhook_list(rq->host, rq->account, &all, &n, e);
    if (r < 0)
        return r;
    ret->json = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(ret->json, webhook_json(&all[i]));
    return ret->json ? 0 : -ENOMEM;
}

static int create(struct request *rq, struct answer *ret, struct err *e)
{
    char types[WEBHOOK_TYPES_SIZE];
    struct webhook_patch p;
    struct webhook_info w;
    int r = patch_of(rq, types, &p, e);
    if (r == 0)
        r = host_webhook_create(rq->host, rq->account, &p, &w, e);
    if (r < 0)
        return r;
    ret->json = webhook_json(&w);
    json_object_set_new(ret->json, "secret", json_string(w.secret));
    explicit_bzero(&w, sizeof(w));
    return ret->json ? 0 : -ENOMEM;
}

static int get(struct request *rq, struct answer *ret, struct err *e)
{
    char id[ID_SIZE];
    struct webhook_info w;
    int r = rds_id(rq, 0, RDS_WEBHOOK, id, e);
    if (r == 0)
        r = rds_failed(host_webhook_get(rq->host, rq->account, id, &w, e), RDS_WEBHOOK, e);
    if (r < 0)
        return r;
    ret->json = webhook_json(&w);
    return ret->json ? 0 : -ENOMEM;
}

static int update(struct request *rq, struct answer *ret, struct err *e)
{
    char id[ID_SIZE], types[WEBHOOK_TYPES_SIZE];
    struct webhook_patch p;
    struct webhook_info w;
    int r = rds_id(rq, 0, RDS_WEBHOOK, id, e);
    if (r == 0)
        r = patch_of(rq, types, &p, e);
    if (r == 0)
        r = rds_failed(host_webhook_update(rq->host, rq->account, id, &p, &w, e), RDS_WEBHOOK, e);
    if (r < 0)
        return r;
    ret->json = webhook_json(&w);
    return ret->json ? 0 : -ENOMEM;
}

static int delete_one(struct request *rq, struct answer *ret, struct err *e)
{
    char id[ID_SIZE];
    int r = rds_id(rq, 0, RDS_WEBHOOK, id, e);
    return r < 0 ? r
                 : rds_failed(host_webhook_delete(rq->host, rq->account, id, e), RDS_WEBHOOK, e);
}

static int list_types(struct request *rq, struct answer *ret, struct err *e)
{
    const char *type;
    ret->json = json_array();
    for (size_t i = 0; (type = host_activity_type(i)); i++)
        json_array_append_new(ret->json, json_string(type));
    return ret->json ? 0 : -ENOMEM;
}

#define ADMIN (ROUTE_ACCOUNT | ROUTE_ADMIN)

const struct route rds_webhook_routes[] = {
    {
        RDS_ROW(GET, "/rds/v1/admin/webhooks", "rdsListWebhooks"),
        .handler = list,
        .response = webhook_fields,
        .flags = ADMIN | ROUTE_LIST,
        .doc = "The account's webhooks",
    },
    {
        RDS_ROW(POST, "/rds/v1/admin/webhooks", "rdsCreateWebhook"),
        .handler = create,
        .request = create_fields,
        .input_bytes = sizeof(struct webhook_input),
        .response = new_webhook_fields,
        .success = 201,
        .flags = ADMIN,
        .doc = "Make one; the secret is shown this once",
    },
    {
        RDS_ROW(GET, "/rds/v1/admin/webhooks/event-types", "rdsListEventTypes"),
        .handler = list_types,
        .flags = ADMIN | ROUTE_LIST,
        .doc = "What webhooks can be told of: an array of strings",
    },
    {
        RDS_ROW(GET, "/rds/v1/admin/webhooks/{id}", "rdsGetWebhook"),
        .handler = get,
        .response = webhook_fields,
        .flags = ADMIN,
        .doc = "One webhook",
    },
    {
        RDS_ROW(PATCH, "/rds/v1/admin/webhooks/{id}", "rdsUpdateWebhook"),
        .handler = update,
        .request = update_fields,
        .input_bytes = sizeof(struct webhook_input),
        .response = webhook_fields,
        .flags = ADMIN,
        .doc = "Change what is given",
    },
    {
        RDS_ROW(DELETE, "/rds/v1/admin/webhooks/{id}", "rdsDeleteWebhook"),
        .handler = delete_one,
        .success = 204,
        .content_type = "",
        .flags = ADMIN,
        .doc = "Remove one",
    },
    {0},
};
