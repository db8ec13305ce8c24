/* SPDX-License-Identifier: Apache-2.0 */
#include "api/openapi_30.h"

#include <string.h>

/* [T, null] */
static void rename_null(json_t *schema)
{
    json_t *types = json_object_get(schema, "type");
    if (!json_is_array(types))
        return;
    json_object_set_new(schema, "nullable", json_true());
    json_object_set(schema, "type", json_array_get(types, 0));
}

static void rename_bytes(json_t *content)
{
    json_t *schema = json_object_get(content, "schema");
    if (!json_is_object(schema) || json_object_size(schema) > 0)
        return;
    json_object_set_new(schema, "type", json_string("string"));
    json_object_set_new(schema, "format", json_string("binary"));
}

static void walk(json_t *value)
{
    const char *name;
    json_t *member;
    size_t i;
    rename_null(value);
    rename_bytes(value);
    json_object_foreach(value, name, member) walk(member);
    json_array_foreach(value, i, member) walk(member);
}

void openapi_30(json_t *document)
{
    json_t *license = json_object_get(json_object_get(document, "info"), "license");
    json_object_set_new(document, "openapi", json_string("3.0.3"));
    json_object_set_new(license, "url", json_string("https://www.apache.org/licenses/LICENSE-2.0"));
    json_object_del(license, "identifier");
    walk(document);
}
