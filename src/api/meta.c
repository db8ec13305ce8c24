/* SPDX-License-Identifier: Apache-2.0 */
#include "api/meta.h"

#include <errno.h>
#include <string.h>

#include "api/native/native.h"
#include "api/openapi.h"
#include "api/request.h"
#include "api/runner/runner.h"
#include "api/server_impl.h"

static int get_index(struct request *rq, struct answer *ret, struct err *e)
{
    buf_append_str(&ret->body, "Holm " HOLM_VERSION "\n\n");
    const struct route *r;
    for (size_t i = 0; (r = route_at(i)); i++)
        buf_printf(&ret->body, "%-6s %-28s %s\n", route_method_name(r->method), r->path, r->doc);
    return ret->body.failed ? -ENOMEM : 0;
}

static int get_metrics(struct request *rq, struct answer *ret, struct err *e)
{
    host_metrics(rq->host, &ret->body);
    metrics_write(rq->server->metrics, &ret->body);
    return ret->body.failed ? -ENOMEM : 0;
}

static int openapi_answer(const struct dialect *d, struct answer *ret)
{
    ret->json = openapi_make(d);
    return ret->json ? 0 : -ENOMEM;
}

static int get_openapi_native(struct request *rq, struct answer *ret, struct err *e)
{
    return openapi_answer(&native_dialect, ret);
}

static int get_openapi_runner(struct request *rq, struct answer *ret, struct err *e)
{
    return openapi_answer(&runner_dialect, ret);
}

static int get_openapi_server(struct request *rq, struct answer *ret, struct err *e)
{
    return openapi_answer(&meta_dialect, ret);
}

/* Every dialect that has rows has a document. */
static int get_openapi_list(struct request *rq, struct answer *ret, struct err *e)
{
    json_t *list = json_array();
    ret->json = json_pack("{s:o}", "documents", list);
    const struct dialect *last = NULL;
    const struct route *r;
    for (size_t i = 0; (r = route_at(i)); i++) {
        if (r->dialect == last)
            continue;
        last = r->dialect;
        char url[64];
        snprintf(url, sizeof(url), "/openapi/%s.json", last->name);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", last->name, "title",
                                              last->title, "url", url));
    }
    return ret->json ? 0 : -ENOMEM;
}

static const struct field document_fields[] = {
    {"name", FIELD_TEXT, FIELD_REQUIRED, .doc = "Of the dialect"},
    {"title", FIELD_TEXT, FIELD_REQUIRED, .doc = "What it is"},
    {"url", FIELD_TEXT, FIELD_REQUIRED, .doc = "Path of its OpenAPI document"},
    {0},
};

static const struct field documents_fields[] = {
    {"documents", FIELD_OBJECTS, FIELD_REQUIRED, .fields = document_fields, .doc = "One a dialect"},
    {0},
};

const struct dialect meta_dialect = {
    .name = "server",
    .title = "Holm server",
    .doc = "What is about the server itself: index, metrics and the OpenAPI documents.",
    .error = runner_error,
    .error_fields = runner_error_fields,
};

const struct route meta_routes[] = {
    {
        .method = ROUTE_GET,
        .path = "/",
        .operation = "index",
        .dialect = &meta_dialect,
        .handler = get_index,
        .content_type = "text/plain; charset=utf-8",
        .flags = ROUTE_STATIC | ROUTE_OPEN,
        .doc = "This list",
    },
    {
        .method = ROUTE_GET,
        .path = "/metrics",
        .operation = "metrics",
        .dialect = &meta_dialect,
        .handler = get_metrics,
        .content_type = "text/plain; version=0.0.4; charset=utf-8",
        .flags = ROUTE_OPEN,
        .doc = "Metrics in Prometheus text format",
    },
    {
        .method = ROUTE_GET,
        .path = "/openapi.json",
        .operation = "openapiList",
        .dialect = &meta_dialect,
        .handler = get_openapi_list,
        .response = documents_fields,
        .flags = ROUTE_STATIC | ROUTE_OPEN,
        .doc = "List of the OpenAPI documents, one a dialect",
    },
    {
        .method = ROUTE_GET,
        .path = "/openapi/native.json",
        .operation = "openapiNative",
        .dialect = &meta_dialect,
        .handler = get_openapi_native,
        .flags = ROUTE_STATIC | ROUTE_OPEN,
        .doc = "OpenAPI document of the VMs",
    },
    {
        .method = ROUTE_GET,
        .path = "/openapi/runner.json",
        .operation = "openapiRunner",
        .dialect = &meta_dialect,
        .handler = get_openapi_runner,
        .flags = ROUTE_STATIC | ROUTE_OPEN,
        .doc = "OpenAPI document of the code runner",
    },
    {
        .method = ROUTE_GET,
        .path = "/openapi/server.json",
        .operation = "openapiServer",
        .dialect = &meta_dialect,
        .handler = get_openapi_server,
        .flags = ROUTE_STATIC | ROUTE_OPEN,
        .doc = "OpenAPI document of these paths",
    },
    {0},
};
