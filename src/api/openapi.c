/* SPDX-License-Identifier: Apache-2.0 */

/* jansson's setters take NULL as "fail" and say so; only the last result, the whole document, is
 * checked: json_object_set_new on a NULL object releases the value, so nothing leaks on the way. */

#include "api/openapi.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "api/mount.h"
#include "api/openapi_30.h"
#include "api/server.h"
#include "base/buf.h"
#include "base/err.h"

#define NAME_SIZE 96

/* What a document is of, and for which listener. */
struct view {
    const struct dialect *dialect; /* NULL: all */
    const struct dialect *mount;
};

static json_t *object_schema(const struct field *fields, bool closed, const void *defaults);

static void set_bound(json_t *schema, const char *name, uint64_t bound)
{
    if (bound)
        json_object_set_new(schema, name, json_integer((json_int_t)bound));
}

static json_t *text_schema(const struct field *f)
{
    json_t *s = json_pack("{s:s}", "type", "string");
    set_bound(s, "minLength", (uint64_t)f->min);
    set_bound(s, "maxLength", f->max_bytes);
    return s;
}

static json_t *choice_schema(const struct field *f)
{
    json_t *values = json_array();
    for (size_t i = 0; f->choices[i]; i++)
        json_array_append_new(values, json_string(f->choices[i]));
    return json_pack("{s:s, s:o}", "type", "string", "enum", values);
}

static json_t *map_schema(const struct field *f)
{
    json_t *s =
        json_pack("{s:s, s:{s:s}}", "type", "object", "additionalProperties", "type", "string");
    set_bound(s, "maxProperties", (uint64_t)f->max);
    return s;
}

static json_t *array_schema(const struct field *f, json_t *items)
{
    json_t *s = json_pack("{s:s, s:o}", "type", "array", "items", items);
    set_bound(s, "minItems", (uint64_t)f->min);
    set_bound(s, "maxItems", (uint64_t)f->max);
    return s;
}

static json_t *files_schema(const struct field *f)
{
    json_t *file =
        json_pack("{s:s, s:{s:{s:s}, s:{s:s}}, s:[s, s]}", "type", "object", "properties", "name",
                  "type", "string", "content", "type", "string", "required", "name", "content");
    return json_pack("{s:[o, o]}", "oneOf", map_schema(f), array_schema(f, file));
}

/* The bound of bytes is that of all strings together, so each keeps to it. */
static json_t *inputs_schema(const struct field *f)
{
    json_t *one = json_pack("{s:s}", "type", "string");
    set_bound(one, "maxLength", f->max_bytes);
    return json_pack("{s:[o, o]}", "oneOf", one,
                     array_schema(f, json_pack("{s:s}", "type", "string")));
}

static json_t *number_schema(const struct field *f, const char *type)
{
    json_t *s = json_pack("{s:s}", "type", type);
    if (f->min || f->max) {
        json_object_set_new(s, "minimum", json_integer(f->min));
        json_object_set_new(s, "maximum", json_integer(f->max));
    }
    return s;
}

/* `closed`: nothing but the fields may be there, as in requests. */
static json_t *type_schema(const struct field *f, bool closed)
{
    switch (f->type) {
    case FIELD_TEXT:
        return text_schema(f);
    case FIELD_INTEGER:
        return number_schema(f, "integer");
    case FIELD_NUMBER:
        return number_schema(f, "number");
    case FIELD_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case FIELD_CHOICE:
        return choice_schema(f);
    case FIELD_TEXTS:
        return array_schema(f, json_pack("{s:s}", "type", "string"));
    case FIELD_MAP:
        return map_schema(f);
    case FIELD_FILES:
        return files_schema(f);
    case FIELD_INPUTS:
        return inputs_schema(f);
    case FIELD_OBJECT:
        return object_schema(f->fields, closed, NULL);
    case FIELD_OBJECTS:
        return array_schema(f, object_schema(f->fields, false, NULL));
    case FIELD_JSON:
        return f->fields ? object_schema(f->fields, false, NULL) : json_object();
    }
    return NULL;
}

/* Makes null one of the types; a schema without a type allows it as it is. */
static void allow_null(json_t *schema)
{
    json_t *type = json_object_get(schema, "type"), *choices = json_object_get(schema, "enum");
    if (type)
        json_object_set_new(schema, "type", json_pack("[O, s]", type, "null"));
    if (choices)
        json_array_append_new(choices, json_null());
}

/* What the field has when it is not given; NULL: nothing to speak of. */
static json_t *default_value(const struct field *f, const void *defaults)
{
    if (!defaults || f->flags & FIELD_REQUIRED)
        return NULL;
    const void *at = (const char *)defaults + f->offset;
    if (f->type == FIELD_INTEGER)
        return json_integer(*(const int64_t *)at);
    if (f->type == FIELD_BOOL)
        return json_boolean(*(const bool *)at);
    if (f->type == FIELD_CHOICE)
        return json_string(f->choices[*(const int *)at]);
    return NULL;
}

static json_t *field_schema(const struct field *f, bool closed, const void *defaults)
{
    json_t *s = type_schema(f, closed);
    if (f->flags & FIELD_NULLABLE)
        allow_null(s);
    json_t *value = default_value(f, defaults);
    if (value)
        json_object_set_new(s, "default", value);
    return s;
}

static json_t *object_schema(const struct field *fields, bool closed, const void *defaults)
{
    json_t *properties = json_object(), *required = json_array();
    for (const struct field *f = fields; f->name; f++) {
        json_t *s = field_schema(f, closed, defaults);
        json_object_set_new(s, "description", json_string(f->doc));
        json_object_set_new(properties, f->name, s);
        if (f->flags & FIELD_REQUIRED)
            json_array_append_new(required, json_string(f->name));
    }
    json_t *s = json_pack("{s:s, s:o}", "type", "object", "properties", properties);
    if (json_array_size(required)) /* 3.0 has no empty one */
        json_object_set(s, "required", required);
    json_decref(required);
    if (closed)
        json_object_set_new(s, "additionalProperties", json_false());
    return s;
}

static json_t *reference(const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "#/components/schemas/%s", name);
    return json_pack("{s:s}", "$ref", path);
}

/* Whether another dialect has an operation of this name too. */
static bool is_shared(const struct route *row)
{
    const struct route *r;
    for (size_t i = 0; (r = route_at(i)); i++) {
        if (r->dialect != row->dialect && strcmp(r->operation, row->operation) == 0)
            return true;
    }
    return false;
}

/* "execute"; in a document of all dialects "nativeListVms" for what several have. */
static void operation_name(const struct view *v, const struct route *r, char ret[NAME_SIZE])
{
    if (v->dialect || !is_shared(r))
        snprintf(ret, NAME_SIZE, "%s", r->operation);
    else
        snprintf(ret, NAME_SIZE, "%s%c%s", r->dialect->name, toupper((unsigned char)*r->operation),
                 r->operation + 1);
}

/* Names of schemas: executeRequest, executeResponse. */
static void schema_name(const struct view *v, const struct route *r, const char *suffix,
                        char ret[NAME_SIZE])
{
    char operation[NAME_SIZE];
    operation_name(v, r, operation);
    snprintf(ret, NAME_SIZE, "%s%s", operation, suffix);
}

static void error_name(const struct view *v, const struct dialect *d, char ret[NAME_SIZE])
{
    snprintf(ret, NAME_SIZE, "%sError", v->dialect ? "" : d->name);
}

/* {type: {"schema": schema}} */
static json_t *content(const char *type, json_t *schema)
{
    return json_pack("{s:{s:o}}", type, "schema", schema);
}

/* Bytes as they are; 3.1 says nothing more of them. */
static json_t *bytes_schema(const char *type)
{
    return strncmp(type, "text/", 5) == 0 ? json_pack("{s:s}", "type", "string") : json_object();
}

static json_t *response_schema(const struct view *v, const struct route *r)
{
    char name[NAME_SIZE];
    schema_name(v, r, "Response", name);
    const char *type = r->flags & ROUTE_LIST ? "string" : "object";
    json_t *schema = r->response ? reference(name) : json_pack("{s:s}", "type", type);
    if (!(r->flags & (ROUTE_LIST | ROUTE_BATCH)))
        return schema;
    json_t *list = json_pack("{s:s, s:O}", "type", "array", "items", schema);
    if (r->flags & ROUTE_BATCH)
        list = json_pack("{s:[O, o]}", "oneOf", schema, list);
    json_decref(schema);
    return list;
}

/* Lines of JSON, each with these fields. */
static json_t *lines_schema(const char *type, json_t *line)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "type", "string", "description",
                     "One JSON object a line; contentSchema is of each", "contentMediaType", type,
                     "contentSchema", line);
}

static json_t *success_content(const struct view *v, const struct route *r)
{
    if (r->content_type && r->response)
        return content(r->content_type, lines_schema(r->content_type, response_schema(v, r)));
    if (r->content_type)
        return content(r->content_type, bytes_schema(r->content_type));
    json_t *c = content("application/json", response_schema(v, r));
    if (r->flags & ROUTE_STREAMS)
        json_object_set_new(c, "application/x-ndjson",
                            json_pack("{s:{s:s, s:s}}", "schema", "type", "string", "description",
                                      "One JSON object a line, as things happen"));
    return c;
}

static const char *status_words(int status)
{
    switch (status) {
    case 400:
        return "The request is malformed; the error names the field";
    case 401:
        return "No API key or session, or a wrong one";
    case 403:
        return "Not for this key or page, or a quota is exhausted";
    case 404:
        return "There is no such thing";
    case 409:
        return "What it needs is in a state that does not allow it";
    case 413:
        return "A bound is exceeded; the error names the field";
    case 415:
        return "Content-Type is none that is taken";
    case 416:
        return "The range begins beyond the end";
    case 429:
        return "Too many requests in this minute; try again after Retry-After seconds";
    case 500:
        return "A fault of the server";
    case 502:
        return "The machine that ran it is gone, or cannot be made on this host";
    case 503:
        return "No room at this moment; try again after Retry-After seconds";
    case 504:
        return "A machine or its agent did not answer in time";
    }
    return "Error";
}

static json_t *response_at(json_t *all, int status, const char *words)
{
    char key[8];
    snprintf(key, sizeof(key), "%d", status);
    if (!json_object_get(all, key))
        json_object_set_new(all, key, json_pack("{s:s}", "description", words));
    return json_object_get(all, key);
}

/* What a type may hold besides. */
static void add_content(json_t *all, const char *type, json_t *media)
{
    json_t *there = json_object_get(all, type), *schema = json_object_get(media, "schema");
    if (there)
        schema = json_pack("{s:[O, O]}", "oneOf", json_object_get(there, "schema"), schema);
    if (there)
        json_object_set_new(there, "schema", schema);
    else
        json_object_set(all, type, media);
}

/* A status may have several types of content, and a type several shapes. */
static void add_success(json_t *all, int status, const char *words, json_t *types)
{
    json_t *response = response_at(all, status, words), *media;
    const char *type;
    if (types && !json_object_get(response, "content"))
        json_object_set_new(response, "content", json_object());
    json_object_foreach(types, type, media)
        add_content(json_object_get(response, "content"), type, media);
    json_decref(types);
}

static json_t *other_content(const struct route_success *s)
{
    if (s->content_type)
        return *s->content_type ? content(s->content_type, bytes_schema(s->content_type)) : NULL;
    return content("application/json", s->response ? object_schema(s->response, false, NULL)
                                                   : json_pack("{s:s}", "type", "object"));
}

static void add_error(const struct view *v, const struct route *r, json_t *all, int status)
{
    char name[NAME_SIZE];
    error_name(v, r->dialect, name);
    json_t *response = response_at(all, status, status_words(status));
    json_object_set_new(response, "content", content("application/json", reference(name)));
    if (status == 429 || status == 503)
        json_object_set_new(response, "headers",
                            json_pack("{s:{s:s, s:{s:s}}}", "Retry-After", "description", "Seconds",
                                      "schema", "type", "integer"));
}

/* What the server answers before a handler is asked. */
static void add_common_errors(const struct view *v, const struct route *r, json_t *all)
{
    bool is_limited = r->rate_per_min || r->dialect->rate_per_min;
    const struct {
        int status;
        bool applies;
    } rows[] = {
        {400, true},
        {401, !(r->flags & (ROUTE_OPEN | ROUTE_SIGNED))},
        {403, !(r->flags & ROUTE_SIGNED)},
        {413, r->request != NULL},
        {416, (r->flags & ROUTE_RANGES) != 0},
        {415, r->request != NULL},
        {429, is_limited},
        {503, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].applies)
            add_error(v, r, all, rows[i].status);
    }
}

static json_t *responses(const struct view *v, const struct route *r)
{
    json_t *all = json_object();
    bool is_bare = r->content_type && !*r->content_type;
    if (r->websocket)
        response_at(all, 101, "The connection is a WebSocket");
    else
        add_success(all,
                    r->success ? r->success
                    : is_bare  ? 204
                               : 200,
                    "Success", is_bare ? NULL : success_content(v, r));
    for (const struct route_success *s = r->others; s && s->status; s++)
        add_success(all, s->status, s->doc, other_content(s));
    for (const int *s = r->errors; s && *s; s++)
        add_error(v, r, all, *s);
    add_common_errors(v, r, all);
    return all;
}

/* What a parameter of the path is, told by the piece before it. */
static const char *parameter_doc(const char *path, const char *brace)
{
    static const struct {
        const char *piece, *doc;
    } docs[] = {
        {"/accounts/", "Id of the account"},
        {"/api-keys/", "Id of the API key"},
        {"/builds/", "Id of the build"},
        {"/exec/", "Id of the command"},
        {"/images/", "Id of the image"},
        {"/keys/", "Id of the API key"},
        {"/languages/", "Name of the language, or an alias"},
        {"/snapshots/", "Id of the snapshot"},
        {"/staging/", "Id of the staged object"},
        {"/vms/", "Id of the VM"},
        {"/webhooks/", "Id of the webhook"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(docs); i++) {
        size_t n = strlen(docs[i].piece);
        if ((size_t)(brace - path) >= n && strncmp(brace - n, docs[i].piece, n) == 0)
            return docs[i].doc;
    }
    return "Which one";
}

static json_t *query_parameter(const struct field *f, const void *defaults)
{
    char name[80];
    bool is_map = f->type == FIELD_MAP;
    snprintf(name, sizeof(name), "%s%s", f->name, is_map ? ".KEY" : "");
    json_t *schema =
        is_map ? json_pack("{s:s}", "type", "string") : field_schema(f, true, defaults);
    return json_pack("{s:s, s:s, s:s, s:b, s:o}", "name", name, "in", "query", "description",
                     f->doc, "required", (f->flags & FIELD_REQUIRED) != 0, "schema", schema);
}

/* The pieces of the path in braces, then the query's. */
static json_t *parameters(const struct route *r)
{
    json_t *all = json_array();
    for (const char *p = strchr(r->path, '{'); p; p = strchr(p, '{')) {
        const char *doc = parameter_doc(r->path, p);
        size_t n = strcspn(++p, "}");
        json_array_append_new(all, json_pack("{s:s%, s:s, s:s, s:b, s:{s:s}}", "name", p, n, "in",
                                             "path", "description", doc, "required", 1, "schema",
                                             "type", "string"));
    }
    for (const struct field *f = r->query; f && f->name; f++)
        json_array_append_new(all, query_parameter(f, r->query_defaults));
    return all;
}

/* The body as it comes. */
static json_t *upload_content(const struct route *r)
{
    static const char *const any[] = {"*/*", NULL};
    json_t *all = json_object();
    for (const char *const *type = r->upload_types ? r->upload_types : any; *type; type++)
        json_object_set_new(all, *type, json_pack("{s:{}}", "schema"));
    return all;
}

/* NULL: takes none. */
static json_t *request_body(const struct view *v, const struct route *r)
{
    char name[NAME_SIZE];
    schema_name(v, r, "Request", name);
    if (r->request)
        return json_pack("{s:b, s:o}", "required", !(r->flags & ROUTE_BODY_OPTIONAL), "content",
                         content("application/json", reference(name)));
    if (r->upload)
        return json_pack("{s:b, s:o}", "required", 1, "content", upload_content(r));
    return NULL;
}

static json_t *operation(const struct view *v, const struct route *r)
{
    char name[NAME_SIZE];
    operation_name(v, r, name);
    json_t *op =
        json_pack("{s:s, s:[s], s:s, s:o, s:o}", "operationId", name, "tags", r->dialect->name,
                  "summary", r->doc, "parameters", parameters(r), "responses", responses(v, r));
    if (r->flags & (ROUTE_OPEN | ROUTE_SIGNED))
        json_object_set_new(op, "security", json_array());
    if (r->flags & (ROUTE_ACCOUNT | ROUTE_ADMIN))
        json_object_set_new(op, "security",
                            json_pack("[{s:[]}, {s:[]}, {s:[]}]", "apiKey", "bearer", "session"));
    json_t *body = request_body(v, r);
    if (body)
        json_object_set_new(op, "requestBody", body);
    return op;
}

static void add_schemas(const struct view *v, json_t *schemas, const struct route *r)
{
    char name[NAME_SIZE];
    if (r->request) {
        schema_name(v, r, "Request", name);
        json_object_set_new(schemas, name,
                            object_schema(r->request, !r->dialect->is_open, r->input_defaults));
    }
    if (r->response) {
        schema_name(v, r, "Response", name);
        json_object_set_new(schemas, name, object_schema(r->response, false, NULL));
    }
}

static void add_row(const struct view *v, json_t *paths, json_t *schemas, const struct route *r)
{
    char method[16], path[MOUNT_PATH_SIZE];
    snprintf(method, sizeof(method), "%s", route_method_name(r->method));
    for (char *p = method; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    mount_path(v->mount, r, path);
    if (!json_object_get(paths, path))
        json_object_set_new(paths, path, json_object());
    json_object_set_new(json_object_get(paths, path), method, operation(v, r));
    add_schemas(v, schemas, r);
}

/* Of one dialect its errors' schema and its tag. */
static void add_dialect(const struct view *v, json_t *schemas, json_t *tags,
                        const struct dialect *d)
{
    char name[NAME_SIZE];
    error_name(v, d, name);
    json_object_set_new(schemas, name, object_schema(d->error_fields, false, NULL));
    json_array_append_new(tags, json_pack("{s:s, s:s}", "name", d->name, "description", d->doc));
}

static json_t *info_json(const struct view *v)
{
    const struct dialect *d = v->dialect;
    return json_pack("{s:s, s:s, s:s, s:{s:s, s:s}}", "title", d ? d->title : "Holm", "version",
                     HOLM_VERSION, "description",
                     d ? d->doc : "All the APIs of this server; the tags tell them apart.",
                     "license", "name", "Apache 2.0", "identifier", "Apache-2.0");
}

static json_t *security_schemes(void)
{
    return json_pack("{s:{s:s, s:s, s:s}, s:{s:s, s:s}, s:{s:s, s:s, s:s}}", "apiKey", "type",
                     "apiKey", "in", "header", "name", "X-API-Key", "bearer", "type", "http",
                     "scheme", "bearer", "session", "type", "apiKey", "in", "cookie", "name",
                     SESSION_COOKIE);
}

json_t *openapi_make(const struct dialect *dialect, const struct dialect *mount)
{
    const struct view v = {dialect, mount};
    json_t *paths = json_object(), *schemas = json_object(), *tags = json_array();
    const struct dialect *d;
    for (size_t i = 0; (d = route_dialect_at(i)); i++) {
        if (!dialect || d == dialect)
            add_dialect(&v, schemas, tags, d);
    }
    const struct route *r;
    for (size_t i = 0; (r = route_at(i)); i++) {
        if (!dialect || r->dialect == dialect)
            add_row(&v, paths, schemas, r);
    }
    json_t *security = json_pack("[{s:[]}, {s:[]}, {s:[]}, {}]", "apiKey", "bearer", "session");
    json_t *doc =
        json_pack("{s:s, s:o, s:[{s:s}], s:o, s:o, s:o, s:{s:o, s:o}}", "openapi", "3.1.0", "info",
                  info_json(&v), "servers", "url", "/", "tags", tags, "security", security, "paths",
                  paths, "components", "schemas", schemas, "securitySchemes", security_schemes());
    if (dialect && dialect->has_openapi_30)
        openapi_30(doc);
    return doc;
}
