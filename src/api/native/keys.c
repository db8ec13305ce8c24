/* SPDX-License-Identifier: Apache-2.0 */

/* API keys: one's own, and others' for the admin. */

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "api/native/native.h"
#include "api/text.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"

static json_t *key_json(const struct key_info *k)
{
    return json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:o}", "id", native_id_json(k->id), "name",
                     text_json(k->name, strlen(k->name)), "accountId", native_id_json(k->account),
                     "prefix", k->prefix, "createdAt", native_time_json(k->created_ns), "expiresAt",
                     native_time_json(k->expires_ns), "lastUsedAt",
                     native_time_json(k->last_used_ns));
}

/* The account that is asked for: one's own, or, for the admin, any that is there. */
static int choose_account(const struct request *rq, const char *uuid, char ret[ID_SIZE],
                          struct err *e)
{
    struct account_info a;
    memcpy(ret, rq->account, ID_SIZE);
    if (!uuid)
        return 0;
    char id[ID_SIZE] = "";
    bool is_id = uuid_to_id(uuid, id);
    if (is_id && strcmp(id, rq->account) == 0)
        return 0;
    if (!rq->is_admin)
        return err_set(e, ERR_FORBIDDEN, "only the admin may ask for another account's keys");
    if (!is_id)
        return native_parse_id(uuid, "account", id, e);
    memcpy(ret, id, ID_SIZE);
    return host_account_get(rq->host, id, &a, e);
}

/* ---- POST /v1/keys ---- */

struct create_input {
    struct field_text name, account, expires;
};

static const struct field create_request[] = {
    {"name", FIELD_TEXT, 0, offsetof(struct create_input, name),
     .max_bytes = ACCOUNT_NAME_MAX_BYTES, .doc = "What it is for"},
    {"accountId", FIELD_TEXT, 0, offsetof(struct create_input, account), .max_bytes = 64,
     .doc = "Whose it is; the admin may name another account"},
    {"expiresAt", FIELD_TEXT, 0, offsetof(struct create_input, expires), .max_bytes = 64,
     .doc = "An RFC 3339 time from which on it is worth nothing; never when it is not given"},
    {0},
};

static int create(struct request *rq, struct answer *ret, struct err *e)
{
    const struct create_input *in = rq->input.data;
    char account[ID_SIZE], key[KEY_SIZE];
    struct key_info k;
    struct key_wish w = {.account = account, .name = in->name.data};
    int r = choose_account(rq, in->account.data, account, e);
    if (r == 0 && in->expires.data)
        r = text_time("expiresAt", in->expires.data, &w.expires_ns, e);
    if (r == 0)
        r = host_key_create(rq->host, &w, &k, key, e);
    if (r < 0)
        return r;
    ret->json = key_json(&k);
    json_object_set_new(ret->json, "key", json_string(key));
    explicit_bzero(key, sizeof(key));
    return ret->json ? 0 : -ENOMEM;
}

/* ---- GET /v1/keys ---- */

struct list_query {
    struct field_text account;
};

static const struct field list_query[] = {
    {"accountId", FIELD_TEXT, 0, offsetof(struct list_query, account), .max_bytes = 64,
     .doc = "Whose; the admin may name another account"},
    {0},
};

static int list(struct request *rq, struct answer *ret, struct err *e)
{
    const struct list_query *q = rq->query.data;
    char account[ID_SIZE];
    auto_free struct key_info *keys = NULL;
    size_t n = 0;
    int r = choose_account(rq, q->account.data, account, e);
    if (r == 0)
        r = host_key_list(rq->host, account, &keys, &n, e);
    if (r < 0)
        return r;
    ret->json = json_array();
    for (size_t i = 0; i < n; i++) {
        if (key_is_live(&keys[i], clock_real_ns()))
            json_array_append_new(ret->json, key_json(&keys[i]));
    }
    return ret->json ? 0 : -ENOMEM;
}

/* ---- DELETE /v1/keys/{id} ---- */

static int revoke_key(struct request *rq, struct answer *ret, struct err *e)
{
    char id[ID_SIZE];
    int r = native_id(rq, 0, "key", id, e);
    if (r == 0)
        r = host_key_revoke(rq->host, rq->is_admin ? NULL : rq->account, id, e);
    if (r > 0) /* what was revoked is not there for this API */
        r = native_parse_id(NULL, "key", id, e);
    return r < 0 ? r : native_deleted(id, true, ret);
}

/* ---- rows ---- */

#define KEY_FIELDS                                                                        \
    {"id", FIELD_TEXT, FIELD_REQUIRED, .doc = "A UUID; not the key"},                     \
        {"name", FIELD_TEXT, FIELD_REQUIRED, .doc = "What it is for"},                    \
        {"accountId", FIELD_TEXT, FIELD_REQUIRED, .doc = "Whose it is"},                  \
        {"prefix", FIELD_TEXT, FIELD_REQUIRED, .doc = "How the key begins"},              \
        {"createdAt", FIELD_TEXT, FIELD_REQUIRED, .doc = "When it was made"},             \
        {"expiresAt", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE,                        \
         .doc = "From then on it is worth nothing"},                                      \
    {                                                                                     \
        "lastUsedAt", FIELD_TEXT, FIELD_REQUIRED | FIELD_NULLABLE, .doc = "To the minute" \
    }

static const struct field key_fields[] = {KEY_FIELDS, {0}};

static const struct field new_key_fields[] = {
    KEY_FIELDS,
    {"key", FIELD_TEXT, FIELD_REQUIRED, .doc = "The key, shown this once"},
    {0},
};

const struct route native_key_routes[] = {
    {
        NATIVE_ROW(GET, "/v1/keys", "listKeys"),
        .handler = list,
        .query = list_query,
        .query_bytes = sizeof(struct list_query),
        .response = key_fields,
        .flags = ROUTE_ACCOUNT | ROUTE_LIST,
        .doc = "The account's keys",
    },
    {
        NATIVE_ROW(POST, "/v1/keys", "createKey"),
        .handler = create,
        .request = create_request,
        .input_bytes = sizeof(struct create_input),
        .response = new_key_fields,
        .success = 201,
        .flags = ROUTE_ACCOUNT | ROUTE_BODY_OPTIONAL,
        .doc = "Make a key, which is shown this once",
    },
    {
        NATIVE_ROW(DELETE, "/v1/keys/{id}", "revokeKey"),
        .handler = revoke_key,
        .response = native_deleted_fields,
        .flags = ROUTE_ACCOUNT,
        .doc = "Revoke a key, at once",
    },
    {0},
};
