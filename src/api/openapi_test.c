/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"

#include <ctype.h>

#include "api/meta.h"
#include "api/openapi.h"
#include "api/runner/runner.h"

static json_t *at(json_t *j, const char *key)
{
    json_t *v = json_object_get(j, key);
    if (!v)
        fail_msg("no \"%s\"", key);
    return v;
}

/* Every "$ref" below points to something that is there. */
static int check_refs(json_t *doc, json_t *node)
{
    static const char prefix[] = "#/components/schemas/";
    int n = 0;
    const char *key;
    json_t *value;
    json_object_foreach(node, key, value)
    {
        if (strcmp(key, "$ref") == 0) {
            const char *ref = json_string_value(value);
            assert_int_equal(strncmp(ref, prefix, strlen(prefix)), 0);
            at(at(at(doc, "components"), "schemas"), ref + strlen(prefix));
            n++;
        }
        n += check_refs(doc, value);
    }
    size_t i;
    json_array_foreach(node, i, value) n += check_refs(doc, value);
    return n;
}

static void check_schema(json_t *schema, const struct field *fields)
{
    json_t *properties = at(schema, "properties"), *required = at(schema, "required");
    size_t n = 0, n_required = 0;
    for (const struct field *f = fields; f->name; f++, n++) {
        assert_true(strlen(json_string_value(at(at(properties, f->name), "description"))) > 0);
        n_required += (f->flags & FIELD_REQUIRED) != 0;
    }
    assert_int_equal(json_object_size(properties), n);
    assert_int_equal(json_array_size(required), n_required);
}

static void check_row(json_t *doc, const struct route *r)
{
    char method[16], name[96];
    snprintf(method, sizeof(method), "%s", route_method_name(r->method));
    for (char *p = method; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    json_t *op = at(at(at(doc, "paths"), r->path), method);
    assert_string_equal(json_string_value(at(op, "operationId")), r->operation);
    assert_string_equal(json_string_value(at(op, "summary")), r->doc);
    json_t *responses = at(op, "responses");
    at(responses, "200");
    for (const int *s = r->errors; s && *s; s++) {
        char status[8];
        snprintf(status, sizeof(status), "%d", *s);
        at(responses, status);
    }
    assert_int_equal(json_array_size(at(op, "parameters")), strchr(r->path, '{') != NULL);
    json_t *schemas = at(at(doc, "components"), "schemas");
    if (r->request) {
        at(op, "requestBody");
        snprintf(name, sizeof(name), "%sRequest", r->operation);
        check_schema(at(schemas, name), r->request);
    }
    if (r->response) {
        snprintf(name, sizeof(name), "%sResponse", r->operation);
        check_schema(at(schemas, name), r->response);
    }
}

static void test_every_row_is_in_the_document_of_its_dialect(void **state)
{
    const struct dialect *const dialects[] = {&runner_dialect, &meta_dialect};
    size_t n_rows = 0, n_operations = 0;
    while (route_at(n_rows))
        n_rows++;
    for (size_t d = 0; d < ARRAY_SIZE(dialects); d++) {
        json_t *doc = openapi_make(dialects[d]);
        assert_string_equal(json_string_value(at(doc, "openapi")), "3.1.0");
        assert_true(check_refs(doc, doc) > 0);
        const struct route *r;
        for (size_t i = 0; (r = route_at(i)); i++) {
            if (r->dialect == dialects[d])
                check_row(doc, r);
        }
        const char *path;
        json_t *methods;
        json_object_foreach(at(doc, "paths"), path, methods) n_operations +=
            json_object_size(methods);
        json_decref(doc);
    }
    assert_int_equal(n_operations, n_rows);
}

static void test_execute_schema_says_its_bounds(void **state)
{
    json_t *doc = openapi_make(&runner_dialect);
    json_t *schema = at(at(at(doc, "components"), "schemas"), "executeRequest");
    json_t *timeout = at(at(schema, "properties"), "timeout");
    assert_int_equal(json_integer_value(at(timeout, "minimum")), 1);
    assert_int_equal(json_integer_value(at(timeout, "maximum")), 300);
    assert_int_equal(json_integer_value(at(timeout, "default")), 30);
    assert_true(json_is_false(at(schema, "additionalProperties")));
    assert_int_equal(json_array_size(at(at(at(schema, "properties"), "files"), "oneOf")), 2);
    json_decref(doc);
}

/* What the host and the server may say of a run, each with its status. */
static void test_execute_names_what_may_go_wrong(void **state)
{
    static const char *const statuses[] = {"400", "404", "409", "413", "415",
                                           "500", "502", "503", "504"};
    json_t *doc = openapi_make(&runner_dialect);
    json_t *responses = at(at(at(at(doc, "paths"), "/api/v1/execute"), "post"), "responses");
    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
        assert_string_not_equal(json_string_value(at(at(responses, statuses[i]), "description")),
                                "");
    json_decref(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_is_in_the_document_of_its_dialect),
        cmocka_unit_test(test_execute_schema_says_its_bounds),
        cmocka_unit_test(test_execute_names_what_may_go_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
