/* SPDX-License-Identifier: Apache-2.0 */
#include "api/native/native.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "api/text.h"
#include "base/clock.h"
#include "base/limits.h"

/* ---- ids ---- */

int native_parse_id(const char *text, const char *noun, char ret[ID_SIZE], struct err *e)
{
    if (text && uuid_to_id(text, ret))
        return 0;
    return err_set(e, ERR_NOT_FOUND, "there is no %s \"%.64s\"", noun, text ? text : "");
}

int native_id(const struct request *rq, size_t param, const char *noun, char ret[ID_SIZE],
              struct err *e)
{
    return native_parse_id(rq->params[param], noun, ret, e);
}

int native_vm(const struct request *rq, char ret[ID_SIZE], struct err *e)
{
    return native_id(rq, 0, "VM", ret, e);
}

json_t *native_id_json(const char *id)
{
    char uuid[UUID_SIZE];
    uuid_from_id(id, uuid);
    return *uuid ? json_string(uuid) : json_null();
}

/* ---- values ---- */

json_t *native_time_json(int64_t real_ns)
{
    char text[CLOCK_RFC3339_SIZE];
    if (!real_ns)
        return json_null();
    clock_rfc3339(real_ns, text);
    return json_string(text);
}

json_t *native_gib_json(int64_t bytes)
{
    int64_t gib = (int64_t)GIB;
    return bytes % gib ? json_real((double)bytes / (double)gib) : json_integer(bytes / gib);
}

int64_t native_round_up(double n)
{
    int64_t whole = (int64_t)n;
    return whole + ((double)whole < n);
}

int64_t native_gib_bytes(double gib)
{
    return native_round_up(gib * (double)(GIB / MIB)) * (int64_t)MIB;
}

/* The sentence for one entry of a map. */
static int bad_entry(const char *name, const char *key, const char *what, struct err *e)
{
    char field[64];
    snprintf(field, sizeof(field), "%s[\"%.40s\"]", name, key);
    return err_field(e, field, "field \"%s\" %s", field, what);
}

static int too_large(int r, struct err *e)
{
    if (e)
        e->class = ERR_TOO_LARGE;
    return r == -EINVAL ? -E2BIG : r;
}

static int count_json(const char *data, size_t len, void *arg)
{
    *(size_t *)arg += len;
    return 0;
}

static int check_json_bytes(const char *name, json_t *object, struct err *e)
{
    size_t bytes = 0;
    json_dump_callback(object, count_json, &bytes, JSON_COMPACT);
    if (bytes <= VM_MAP_MAX_BYTES)
        return 0;
    return too_large(err_field(e, name,
                               "field \"%s\" has %zu bytes as JSON, at most %d are allowed", name,
                               bytes, VM_MAP_MAX_BYTES),
                     e);
}

static int check_metadata_entry(const char *name, const char *key, const json_t *value,
                                struct err *e)
{
    if (!*key)
        return bad_entry(name, key, "has an empty name", e);
    if (strlen(key) > VM_MAP_NAME_MAX_BYTES)
        return too_large(bad_entry(name, key, "has a name of more than 256 bytes", e), e);
    if (json_string_length(value) > VM_METADATA_VALUE_MAX_BYTES)
        return too_large(bad_entry(name, key, "has a value of more than 4096 bytes", e), e);
    return 0;
}

int native_check_metadata(const char *name, json_t *object, struct err *e)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        int r = check_metadata_entry(name, key, value, e);
        if (r < 0)
            return r;
    }
    return check_json_bytes(name, object, e);
}

static bool is_shell_name(const char *s)
{
    if (!isalpha((unsigned char)*s) && *s != '_')
        return false;
    while (isalnum((unsigned char)*s) || *s == '_')
        s++;
    return !*s;
}

static int check_env_entry(const char *name, const char *key, const char *value, struct err *e)
{
    if (strlen(key) > VM_MAP_NAME_MAX_BYTES)
        return too_large(bad_entry(name, key, "has a name of more than 256 bytes", e), e);
    if (!is_shell_name(key))
        return bad_entry(name, key,
                         "needs a name of letters, digits and \"_\" that begins with no digit", e);
    if (strpbrk(value, "\r\n"))
        return bad_entry(name, key, "has a value with a line break", e);
    return 0;
}

int native_check_env(const char *name, json_t *object, struct err *e)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        int r = check_env_entry(name, key, json_string_value(value), e);
        if (r < 0)
            return r;
    }
    return check_json_bytes(name, object, e);
}

int native_deleted(const char *id, bool deleted, struct answer *ret)
{
    ret->json = json_pack("{s:o, s:b}", "id", native_id_json(id), "deleted", deleted);
    return ret->json ? 0 : -ENOMEM;
}

const struct field native_deleted_fields[] = {
    {"id", FIELD_TEXT, FIELD_REQUIRED, .doc = "What it was about"},
    {"deleted", FIELD_BOOL, FIELD_REQUIRED, .doc = "Whether it is gone"},
    {0},
};

void native_strip_field(struct err *e, const char *prefix)
{
    size_t n = strlen(prefix);
    if (e && strncmp(e->field, prefix, n) == 0)
        memmove(e->field, e->field + n, strlen(e->field + n) + 1);
}

/* ---- errors ---- */

/* The outer "message" is for clients that look there. */
static json_t *error_json(const struct err *e)
{
    json_t *inner = json_pack("{s:s, s:o}", "code", err_class_name(e->class), "message",
                              text_json(e->text, strlen(e->text)));
    if (e->field[0])
        json_object_set_new(inner, "field", text_json(e->field, strlen(e->field)));
    return json_pack("{s:o, s:o}", "error", inner, "message", text_json(e->text, strlen(e->text)));
}

static const struct field inner_error_fields[] = {
    {"code", FIELD_TEXT, FIELD_REQUIRED, .doc = "What kind of failure it is"},
    {"message", FIELD_TEXT, FIELD_REQUIRED, .doc = "A sentence for people"},
    {"field", FIELD_TEXT, 0, .doc = "The field of the request that is at fault"},
    {0},
};

static const struct field error_fields[] = {
    {"error", FIELD_OBJECT, FIELD_REQUIRED, .fields = inner_error_fields, .doc = "What failed"},
    {"message", FIELD_TEXT, FIELD_REQUIRED, .doc = "The same sentence"},
    {0},
};

const int native_errors[] = {400, 401, 403, 404, 409, 413, 415, 500, 502, 503, 504, 0};

const struct dialect native_dialect = {
    .name = "native",
    .title = "Holm",
    .doc = "Virtual machines that live: the FastVM API, and Holm's extensions of it.",
    .prefix = "/v1/",
    .alias = "/native",
    .error = error_json,
    .error_fields = error_fields,
    .says_no_retry = true,
};

/* ---- GET /healthz ---- */

static int get_health(struct request *rq, struct answer *ret, struct err *e)
{
    ret->json = json_pack("{s:s, s:s}", "status", "ok", "version", HOLM_VERSION);
    return ret->json ? 0 : -ENOMEM;
}

static const struct field health_fields[] = {
    {"status", FIELD_TEXT, FIELD_REQUIRED, .doc = "\"ok\""},
    {"version", FIELD_TEXT, FIELD_REQUIRED, .doc = "Of the daemon"},
    {0},
};

const struct route native_routes[] = {
    {
        .method = ROUTE_GET,
        .path = "/healthz",
        .operation = "healthz",
        .dialect = &native_dialect,
        .handler = get_health,
        .response = health_fields,
        .flags = ROUTE_STATIC | ROUTE_OPEN,
        .doc = "Whether the daemon answers",
    },
    {0},
};
