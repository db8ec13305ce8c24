/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api_test.h"

#include <ctype.h>

#include "api/meta.h"
#include "api/native/native.h"
#include "api/openapi.h"
#include "api/rds/rds.h"
#include "api/runner/runner.h"

static json_t *at(json_t *j, const char *key)
{
    json_t *v = json_object_get(j, key);
    if (!v)
        fail_msg("no \"%s\"", key);
    return v;
}

/* Compares a part of the document, compactly written. */
static void is(json_t *part, const char *want)
{
    auto_free char *text = json_dumps(part, JSON_COMPACT | JSON_ENCODE_ANY);
    assert_string_equal(text, want);
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
    json_t *properties = at(schema, "properties"), *required = json_object_get(schema, "required");
    size_t n = 0, n_required = 0;
    for (const struct field *f = fields; f->name; f++, n++) {
        assert_true(strlen(json_string_value(at(at(properties, f->name), "description"))) > 0);
        n_required += (f->flags & FIELD_REQUIRED) != 0;
    }
    assert_int_equal(json_object_size(properties), n);
    assert_int_equal(json_array_size(required), n_required);
}

static size_t count_parameters(const struct route *r)
{
    size_t n = 0;
    for (const char *p = r->path; *p; p++)
        n += *p == '{';
    for (const struct field *f = r->query; f && f->name; f++)
        n++;
    return n;
}

static void check_row(json_t *doc, const struct route *r)
{
    char method[16], name[96], tags[64];
    snprintf(tags, sizeof(tags), "[\"%s\"]", r->dialect->name);
    snprintf(method, sizeof(method), "%s", route_method_name(r->method));
    for (char *p = method; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    json_t *op = at(at(at(doc, "paths"), r->path), method);
    assert_string_equal(json_string_value(at(op, "operationId")), r->operation);
    assert_string_equal(json_string_value(at(op, "summary")), r->doc);
    json_t *responses = at(op, "responses");
    char success[8];
    snprintf(success, sizeof(success), "%d", r->websocket ? 101 : r->success ? r->success : 200);
    at(responses, success);
    for (const int *s = r->errors; s && *s; s++) {
        char status[8];
        snprintf(status, sizeof(status), "%d", *s);
        at(responses, status);
    }
    is(at(op, "tags"), tags);
    assert_int_equal(json_array_size(at(op, "parameters")), count_parameters(r));
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
    const struct dialect *const dialects[] = {&native_dialect, &rds_dialect, &runner_dialect,
                                              &meta_dialect, &test_dialect};
    size_t n_rows = 0, n_operations = 0;
    while (route_at(n_rows))
        n_rows++;
    for (size_t d = 0; d < ARRAY_SIZE(dialects); d++) {
        json_t *doc = openapi_make(dialects[d], NULL);
        assert_string_equal(json_string_value(at(doc, "openapi")),
                            dialects[d] == &rds_dialect ? "3.0.3" : "3.1.0");
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
    json_t *doc = openapi_make(&runner_dialect, NULL);
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
    json_t *doc = openapi_make(&runner_dialect, NULL);
    json_t *responses = at(at(at(at(doc, "paths"), "/api/v1/execute"), "post"), "responses");
    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
        assert_string_not_equal(json_string_value(at(at(responses, statuses[i]), "description")),
                                "");
    json_decref(doc);
}

static json_t *operation(json_t *doc, const char *path, const char *method)
{
    return at(at(at(doc, "paths"), path), method);
}

static void test_parameters_and_security(void **state)
{
    json_t *doc = openapi_make(&test_dialect, NULL);
    json_t *query = at(operation(doc, "/test/query", "get"), "parameters");
    is(json_array_get(query, 1),
       "{\"name\":\"offset\",\"in\":\"query\",\"description\":\"A number\",\"required\":false,"
       "\"schema\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":1000,\"default\":7}}");
    is(at(json_array_get(query, 5), "name"), "\"metadata.KEY\"");
    is(at(operation(doc, "/test/nested/{id}", "post"), "parameters"),
       "[{\"name\":\"id\",\"in\":\"path\",\"description\":\"Which one\",\"required\":true,"
       "\"schema\":{\"type\":\"string\"}}]");
    is(at(operation(doc, "/test/account", "get"), "security"),
       "[{\"apiKey\":[]},{\"bearer\":[]},{\"session\":[]}]");
    is(at(operation(doc, "/test/signed", "get"), "security"), "[]");
    assert_null(json_object_get(operation(doc, "/test/list", "get"), "security"));
    json_t *admin = at(operation(doc, "/test/admin", "get"), "responses");
    at(admin, "401");
    at(admin, "403");
    json_decref(doc);
}

static void test_bodies(void **state)
{
    json_t *doc = openapi_make(&test_dialect, NULL);
    json_t *schemas = at(at(doc, "components"), "schemas");
    json_t *nested = at(at(schemas, "testNestedRequest"), "properties");
    is(at(at(nested, "ttl"), "type"), "[\"object\",\"null\"]");
    is(at(at(nested, "ttl"), "additionalProperties"), "false");
    is(at(at(nested, "ttl"), "required"), "[\"seconds\"]");
    is(at(at(nested, "idle"), "type"), "\"object\"");
    is(at(nested, "policy"), "{\"description\":\"Anything\"}");
    is(at(at(nested, "command"), "minItems"), "1");
    is(at(at(operation(doc, "/test/nested/{id}", "post"), "requestBody"), "required"), "true");
    is(at(at(operation(doc, "/test/optional", "post"), "requestBody"), "required"), "false");
    is(at(at(operation(doc, "/test/upload", "put"), "requestBody"), "content"),
       "{\"*/*\":{\"schema\":{}}}");
    assert_null(json_object_get(operation(doc, "/test/none", "post"), "requestBody"));
    json_decref(doc);
}

static void test_ways_to_succeed(void **state)
{
    json_t *doc = openapi_make(&test_dialect, NULL);
    is(at(at(operation(doc, "/test/none", "delete"), "responses"), "204"),
       "{\"description\":\"Success\"}");
    is(at(at(operation(doc, "/test/socket", "get"), "responses"), "101"),
       "{\"description\":\"The connection is a WebSocket\"}");
    json_t *list = at(at(operation(doc, "/test/list", "get"), "responses"), "200");
    is(at(at(at(list, "content"), "application/json"), "schema"),
       "{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/testListResponse\"}}");
    json_t *file = at(operation(doc, "/test/file", "get"), "responses");
    json_t *whole = at(at(file, "200"), "content");
    is(at(at(whole, "application/octet-stream"), "schema"), "{}");
    is(at(at(at(whole, "application/json"), "schema"), "type"), "\"object\"");
    at(at(at(file, "206"), "content"), "application/octet-stream");
    is(at(file, "204"), "{\"description\":\"Nothing\"}");
    json_t *native = openapi_make(&native_dialect, NULL);
    json_t *shapes = at(at(operation(native, "/v1/vms/{id}/files", "get"), "responses"), "200");
    shapes = at(at(at(shapes, "content"), "application/json"), "schema");
    assert_int_equal(json_array_size(at(shapes, "oneOf")), 2);
    json_decref(native);
    is(at(at(file, "416"), "description"), "\"The range begins beyond the end\"");
    json_decref(doc);
}

/* What the server itself answers is in every row's responses, as far as it applies. */
static void test_common_errors(void **state)
{
    json_t *doc = openapi_make(&test_dialect, NULL);
    json_t *limited = at(operation(doc, "/test/limited", "post"), "responses");
    assert_string_equal(
        json_string_value(at(at(at(at(limited, "429"), "headers"), "Retry-After"), "description")),
        "Seconds");
    assert_null(json_object_get(at(operation(doc, "/test/list", "get"), "responses"), "429"));
    json_t *nested = at(operation(doc, "/test/nested/{id}", "post"), "responses");
    at(nested, "413");
    at(nested, "415");
    at(nested, "503");
    assert_null(json_object_get(at(operation(doc, "/test/signed", "get"), "responses"), "401"));
    json_decref(doc);
}

static void test_a_document_of_30(void **state)
{
    json_t *doc = openapi_make(&rds_dialect, &rds_dialect);
    json_t *vm = at(at(at(doc, "components"), "schemas"), "rdsGetVmResponse");
    is(at(at(vm, "properties"), "imageId"),
       "{\"type\":\"string\",\"description\":\"The image that its disk began with\","
       "\"nullable\":true}");
    json_t *upload = at(operation(doc, "/v1/vms/{id}/files/upload", "post"), "requestBody");
    static const char *const types[] = {"application/gzip", "application/x-gzip",
                                        "application/octet-stream"};
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        is(at(at(upload, "content"), types[i]),
           "{\"schema\":{\"type\":\"string\",\"format\":\"binary\"}}");
    json_t *license = at(at(doc, "info"), "license");
    assert_null(json_object_get(license, "identifier"));
    at(license, "url");
    json_decref(doc);
}

/* Two dialects may have operations of the same name; in one document each has its own. */
static void test_everything_in_one_document(void **state)
{
    json_t *doc = openapi_make(NULL, NULL), *names = json_object();
    const char *path, *method;
    json_t *methods, *op;
    size_t n = 0;
    assert_true(check_refs(doc, doc) > 0);
    json_object_foreach(at(doc, "paths"), path, methods)
    {
        json_object_foreach(methods, method, op)
        {
            json_object_set(names, json_string_value(at(op, "operationId")), op);
            n++;
        }
    }
    assert_int_equal(json_object_size(names), n);
    while (route_at(n))
        n++;
    assert_int_equal(json_object_size(names), n);
    is(at(at(names, "testExecute"), "tags"), "[\"test\"]");
    is(at(at(names, "runnerExecute"), "tags"), "[\"runner\"]");
    json_t *schemas = at(at(doc, "components"), "schemas");
    at(schemas, "runnerExecuteRequest");
    at(schemas, "testError");
    at(schemas, "nativeError");
    json_decref(names);
    json_decref(doc);
}

static void test_paths_of_a_listener_with_a_mount(void **state)
{
    json_t *doc = openapi_make(&test_dialect, &test_dialect);
    at(at(doc, "paths"), "/list");
    assert_null(json_object_get(at(doc, "paths"), "/test/list"));
    json_decref(doc);
    doc = openapi_make(&native_dialect, &test_dialect);
    at(at(doc, "paths"), "/native/v1/vms");
    assert_null(json_object_get(at(doc, "paths"), "/v1/vms"));
    json_decref(doc);
}

int main(void)
{
    route_add_rows(test_rows);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_is_in_the_document_of_its_dialect),
        cmocka_unit_test(test_execute_schema_says_its_bounds),
        cmocka_unit_test(test_execute_names_what_may_go_wrong),
        cmocka_unit_test(test_parameters_and_security),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_ways_to_succeed),
        cmocka_unit_test(test_common_errors),
        cmocka_unit_test(test_a_document_of_30),
        cmocka_unit_test(test_everything_in_one_document),
        cmocka_unit_test(test_paths_of_a_listener_with_a_mount),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
