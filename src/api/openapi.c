/* SPDX-License-Identifier: Apache-2.0 */

/* jansson's setters take NULL as "fail" and say so; only the last result, the whole document, is
 * checked: json_object_set_new on a NULL object releases the value, so nothing leaks on the way. */

#include "api/openapi.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

static json_t *object_schema(const struct field *fields, bool closed, const void *defaults);

static json_t *text_schema(const struct field *f)
{
    json_t *s = json_pack("{s:s}", "type", "string");
    if (f->max_bytes)
        json_object_set_new(s, "maxLength", json_integer((json_int_t)f->max_bytes));
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
    if (f->max)
        json_object_set_new(s, "maxProperties", json_integer(f->max));
    return s;
}

static json_t *array_schema(const struct field *f, json_t *items)
{
    json_t *s = json_pack("{s:s, s:o}", "type", "array", "items", items);
    if (f->max)
        json_object_set_new(s, "maxItems", json_integer(f->max));
    return s;
}

static json_t *files_schema(const struct field *f)
{
    json_t *file =
        json_pack("{s:s, s:{s:{s:s}, s:{s:s}}, s:[s, s]}", "type", "object", "properties", "name",
                  "type", "string", "content", "type", "string", "required", "name", "content");
    return json_pack("{s:[o, o]}", "oneOf", map_schema(f), array_schema(f, file));
}

static json_t *type_schema(const struct field *f)
{
    switch (f->type) {
    case FIELD_TEXT:
        return text_schema(f);
    case FIELD_INTEGER: {
        json_t *s = json_pack("{s:s, s:I}", "type", "integer", "minimum", (json_int_t)f->min);
        if (f->max)
            json_object_set_new(s, "maximum", json_integer(f->max));
        return s;
    }
    case FIELD_NUMBER:
        return json_pack("{s:s}", "type", "number");
    case FIELD_JSON:
        return f->fields ? object_schema(f->fields, false, NULL) : json_object();
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
    case FIELD_OBJECT:
        return object_schema(f->fields, false, NULL);
    case FIELD_OBJECTS:
        return array_schema(f, object_schema(f->fields, false, NULL));
    }
    return NULL;
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

static json_t *object_schema(const struct field *fields, bool closed, const void *defaults)
{
    json_t *properties = json_object(), *required = json_array();
    for (const struct field *f = fields; f->name; f++) {
        json_t *s = type_schema(f);
        json_object_set_new(s, "description", json_string(f->doc));
        json_t *value = default_value(f, defaults);
        if (value)
            json_object_set_new(s, "default", value);
        json_object_set_new(properties, f->name, s);
        if (f->flags & FIELD_REQUIRED)
            json_array_append_new(required, json_string(f->name));
    }
    json_t *s = json_pack("{s:s, s:o, s:o}", "type", "object", "properties", properties, "required",
                          required);
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

/* Names of schemas: executeRequest, executeResponse. */
static void schema_name(const struct route *r, const char *suffix, char ret[96])
{
    snprintf(ret, 96, "%s%s", r->operation, suffix);
}

static json_t *success_content(const struct route *r)
{
    if (r->content_type)
        return json_pack("{s:{s:{s:s}}}", r->content_type, "schema", "type", "string");
    char name[96];
    schema_name(r, "Response", name);
    json_t *schema = r->response ? reference(name) : json_pack("{s:s}", "type", "object");
    json_t *content = json_pack("{s:{s:o}}", "application/json", "schema", schema);
    if (r->flags & ROUTE_STREAMS)
        json_object_set_new(content, "application/x-ndjson",
                            json_pack("{s:{s:s, s:s}}", "schema", "type", "string", "description",
                                      "One JSON object a line, as things happen"));
    return content;
}

static const char *status_words(int status)
{
    switch (status) {
    case 400:
        return "The request is malformed; the error names the field";
    case 404:
        return "There is no such thing";
    case 409:
        return "What it needs is in a state that does not allow it";
    case 413:
        return "A bound is exceeded; the error names the field";
    case 415:
        return "Content-Type is not application/json";
    case 502:
        return "The machine that ran it is gone, or cannot be made on this host";
    case 503:
        return "No room at this moment; try again after Retry-After seconds";
    case 504:
        return "A machine or its agent did not answer in time";
    }
    return "Error";
}

static json_t *responses(const struct route *r)
{
    char status[8];
    snprintf(status, sizeof(status), "%d", r->success ? r->success : 200);
    json_t *all = json_pack("{s:{s:s, s:o}}", status, "description", "Success", "content",
                            success_content(r));
    for (const int *s = r->errors; s && *s; s++) {
        snprintf(status, sizeof(status), "%d", *s);
        json_t *content = json_pack("{s:{s:o}}", "application/json", "schema", reference("Error"));
        json_object_set_new(
            all, status,
            json_pack("{s:s, s:o}", "description", status_words(*s), "content", content));
    }
    return all;
}

/* The pieces of the path in braces. */
static json_t *parameters(const struct route *r)
{
    json_t *all = json_array();
    for (const char *p = strchr(r->path, '{'); p; p = strchr(p, '{')) {
        size_t n = strcspn(++p, "}");
        json_array_append_new(all, json_pack("{s:s%, s:s, s:b, s:{s:s}}", "name", p, n, "in",
                                             "path", "required", 1, "schema", "type", "string"));
    }
    return all;
}

static json_t *operation(const struct route *r)
{
    json_t *op = json_pack("{s:s, s:s, s:o, s:o}", "operationId", r->operation, "summary", r->doc,
                           "parameters", parameters(r), "responses", responses(r));
    if (r->flags & ROUTE_OPEN)
        json_object_set_new(op, "security", json_array());
    if (r->request) {
        char name[96];
        schema_name(r, "Request", name);
        json_object_set_new(op, "requestBody",
                            json_pack("{s:b, s:{s:{s:o}}}", "required", 1, "content",
                                      "application/json", "schema", reference(name)));
    }
    return op;
}

static void add_row(json_t *paths, json_t *schemas, const struct route *r)
{
    char name[96], method[16];
    snprintf(method, sizeof(method), "%s", route_method_name(r->method));
    for (char *p = method; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    if (!json_object_get(paths, r->path))
        json_object_set_new(paths, r->path, json_object());
    json_object_set_new(json_object_get(paths, r->path), method, operation(r));
    if (r->request) {
        schema_name(r, "Request", name);
        json_object_set_new(schemas, name, object_schema(r->request, true, r->input_defaults));
    }
    if (r->response) {
        schema_name(r, "Response", name);
        json_object_set_new(schemas, name, object_schema(r->response, false, NULL));
    }
}

json_t *openapi_make(const struct dialect *dialect)
{
    json_t *paths = json_object(), *schemas = json_object();
    json_object_set_new(schemas, "Error", object_schema(dialect->error_fields, false, NULL));
    const struct route *r;
    for (size_t i = 0; (r = route_at(i)); i++) {
        if (r->dialect == dialect)
            add_row(paths, schemas, r);
    }
    json_t *info = json_pack("{s:s, s:s, s:s, s:{s:s, s:s}}", "title", dialect->title, "version",
                             HOLM_VERSION, "description", dialect->doc, "license", "name",
                             "Apache 2.0", "identifier", "Apache-2.0");
    json_t *keys =
        json_pack("{s:{s:s, s:s, s:s}, s:{s:s, s:s}}", "apiKey", "type", "apiKey", "in", "header",
                  "name", "X-API-Key", "bearer", "type", "http", "scheme", "bearer");
    return json_pack("{s:s, s:o, s:[{s:s}], s:[{s:[]}, {s:[]}, {}], s:o, s:{s:o, s:o}}", "openapi",
                     "3.1.0", "info", info, "servers", "url", "/", "security", "apiKey", "bearer",
                     "paths", paths, "components", "schemas", schemas, "securitySchemes", keys);
}
