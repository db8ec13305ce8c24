/* SPDX-License-Identifier: Apache-2.0 */

/* API keys of the account that asks, in that API's form. */

#include <errno.h>
#include <string.h>

#include "api/rds/rds.h"
#include "api/text.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "host/accounts.h"

static json_t *key_json(const struct key_info *k)
{
    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:o}", "id", rds_id_json("", k->id), "name",
                     text_json(k->name, strlen(k->name)), "prefix", k->prefix, "createdAt",
                     rds_time_json(k->created_ns), "expiresAt", rds_time_json(k->expires_ns),
                     "lastUsedAt", rds_time_json(k->last_used_ns), "revokedAt",
                     rds_time_json(k->revoked_ns));
}

#define KEY_FIELDS                                                                           \
    {"id", FIELD_TEXT, FIELD_REQUIRED, .doc = "A UUID; not the key"},                        \
        {"name", FIELD_TEXT, FIELD_REQUIRED, .doc = "What it is for"},                       \
        {"prefix", FIELD_TEXT, FIELD_REQUIRED, .doc = "How the key begins"},                 \
        {"createdAt", FIELD_TEXT, FIELD_REQUIRED, .doc = "When it was made"},                \
        {"expiresAt", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE,                           \
         .doc = "From then on it is worth nothing"},                                         \
        {"lastUsedAt", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE, .doc = "To the minute"}, \
    {                                                                                        \
        "revokedAt", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE, .doc = "If it was"         \
    }

static const struct field key_fields[] = {KEY_FIELDS, {0}};

static const struct field new_key_fields[] = {
    KEY_FIELDS,
    {"apiKey", FIELD_TEXT, FIELD_REQUIRED, .doc = "The key, shown this once"},
    {0},
};

static int list(struct request *rq, struct answer *ret, struct err *e)
{
    auto_free struct key_info *keys = NULL;
    size_t n = 0;
    int r = host_key_list(rq->host, rq->account, &keys, &n, e);
    if (r < 0)
        return r;
    ret->json = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(ret->json, key_json(&keys[i]));
    return ret->json ? 0 : -ENOMEM;
}

struct create_input {
    struct field_text name, expires;
};

static const struct field create_fields[] = {
    {"name", FIELD_TEXT, FIELD_REQUIRED, offsetof(struct create_input, name), .min = 1,
     .max_bytes = ACCOUNT_NAME_MAX_BYTES, .doc = "What it is for"},
    {"expiresAt", FIELD_TEXT, 0, offsetof(struct create_input, expires), .max_bytes = 64,
     .doc = "An RFC 3339 time, or a date; never when it is null or not given"},
    {0},
};

static int create(struct request *rq, struct answer *ret, struct err *e)
{
    const struct create_input *in = rq->input.data;
    char key[KEY_SIZE];
    struct key_info k;
    struct key_wish w = {.account = rq->account, .name = in->name.data, .form = KEY_FORM_RDS};
    int r = in->expires.data ? text_time("expiresAt", in->expires.data, &w.expires_ns, e) : 0;
    if (r == 0)
        r = host_key_create(rq->host, &w, &k, key, e);
    if (r < 0)
        return r;
    ret->json = key_json(&k);
    json_object_set_new(ret->json, "apiKey", json_string(key));
    explicit_bzero(key, sizeof(key));
    return ret->json ? 0 : -ENOMEM;
}

static int revoke_key(struct request *rq, struct answer *ret, struct err *e)
{
    char id[ID_SIZE];
    int r = rds_id(rq, 0, RDS_KEY, id, e);
    if (r == 0)
        r = rds_failed(host_key_revoke(rq->host, rq->account, id, e), RDS_KEY, e);
    return r < 0 ? r : 0; /* once more is as good as once */
}

const struct route rds_key_routes[] = {
    {
        RDS_ROW(GET, "/rds/v1/admin/api-keys", "rdsListApiKeys"),
        .handler = list,
        .response = key_fields,
        .flags = ROUTE_ACCOUNT | ROUTE_LIST,
        .doc = "The account's keys, revoked ones too",
    },
    {
        RDS_ROW(POST, "/rds/v1/admin/api-keys", "rdsCreateApiKey"),
        .handler = create,
        .request = create_fields,
        .input_bytes = sizeof(struct create_input),
        .response = new_key_fields,
        .success = 201,
        .flags = ROUTE_ACCOUNT,
        .doc = "Make a key, which is shown this once",
    },
    {
        RDS_ROW(POST, "/rds/v1/admin/api-keys/{id}/revoke", "rdsRevokeApiKey"),
        .handler = revoke_key,
        .success = 204,
        .content_type = "",
        .flags = ROUTE_ACCOUNT,
        .doc = "Make a key worthless, at once; sessions that were begun with it end",
    },
    {0},
};
