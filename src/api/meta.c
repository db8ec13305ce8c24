/* SPDX-License-Identifier: Apache-2.0 */
#include "api/meta.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/mount.h"
#include "api/openapi.h"
#include "api/rds/rds.h"
#include "api/request.h"
#include "api/runner/runner.h"
#include "api/server_impl.h"

#define DIALECTS_MAX 8
#define DOCUMENT_PATH_SIZE 64

static int get_index(struct request *rq, struct answer *ret, struct err *e)
{
    buf_append_str(&ret->body, "Holm " HOLM_VERSION "\n\n");
    const struct route *r;
    for (size_t i = 0; (r = route_at(i)); i++) {
        char path[MOUNT_PATH_SIZE];
        mount_path(rq->mount, r, path);
        buf_printf(&ret->body, "%-6s %-28s %s\n", route_method_name(r->method), path, r->doc);
    }
    return ret->body.failed ? -ENOMEM : 0;
}

static int get_metrics(struct request *rq, struct answer *ret, struct err *e)
{
    host_metrics(rq->host, &ret->body);
    metrics_write(rq->server->metrics, &ret->body);
    return ret->body.failed ? -ENOMEM : 0;
}

static int openapi_answer(const struct dialect *d, const struct request *rq, struct answer *ret)
{
    ret->json = openapi_make(d, rq->mount);
    return ret->json ? 0 : -ENOMEM;
}

/* Of everything; where a dialect is mounted, of that. */
static int get_openapi(struct request *rq, struct answer *ret, struct err *e)
{
    return openapi_answer(rq->mount, rq, ret);
}

#define DOCUMENT_PREFIX "/openapi/"

/* "/openapi/native.json" */
static int get_document(struct request *rq, struct answer *ret, struct err *e)
{
    char name[64];
    const char *at = rq->route->path + strlen(DOCUMENT_PREFIX);
    snprintf(name, sizeof(name), "%.*s", (int)(strrchr(at, '.') - at), at);
    return openapi_answer(route_dialect_find(name), rq, ret);
}

/* Where clients of the run-dat-sheesh API look for its document. */
static int get_swagger_json(struct request *rq, struct answer *ret, struct err *e)
{
    return openapi_answer(&rds_dialect, rq, ret);
}

static int get_openapi_list(struct request *rq, struct answer *ret, struct err *e)
{
    json_t *list = json_array();
    ret->json = json_pack("{s:o}", "documents", list);
    const struct dialect *d;
    for (size_t i = 0; (d = route_dialect_at(i)); i++) {
        char url[DOCUMENT_PATH_SIZE];
        snprintf(url, sizeof(url), DOCUMENT_PREFIX "%s.json", d->name);
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s}", "name", d->name, "title", d->title, "url", url));
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
        .operation = "openapi",
        .dialect = &meta_dialect,
        .handler = get_openapi,
        .flags = ROUTE_STATIC | ROUTE_OPEN,
        .doc = "OpenAPI document of everything here",
    },
    {
        .method = ROUTE_GET,
        .path = "/openapi",
        .operation = "openapiList",
        .dialect = &meta_dialect,
        .handler = get_openapi_list,
        .response = documents_fields,
        .flags = ROUTE_STATIC | ROUTE_OPEN,
        .doc = "List of the OpenAPI documents, one a dialect",
    },
    {
        .method = ROUTE_GET,
        .path = "/swagger/json",
        .operation = "swaggerJson",
        .dialect = &meta_dialect,
        .handler = get_swagger_json,
        .flags = ROUTE_STATIC | ROUTE_OPEN,
        .doc = "The same as /openapi/rds.json",
    },
    {0},
};

/* ---- a row for each document ---- */

struct route meta_document_routes[DIALECTS_MAX + 1];
static struct document_words {
    char path[DOCUMENT_PATH_SIZE], operation[DOCUMENT_PATH_SIZE], doc[96];
} document_words[DIALECTS_MAX];

void meta_add_document(const struct dialect *d)
{
    size_t n = 0;
    while (meta_document_routes[n].path)
        n++;
    assert(n < DIALECTS_MAX);
    struct document_words *w = &document_words[n];
    snprintf(w->path, sizeof(w->path), DOCUMENT_PREFIX "%s.json", d->name);
    snprintf(w->operation, sizeof(w->operation), "openapi%c%s", toupper((unsigned char)*d->name),
             d->name + 1);
    snprintf(w->doc, sizeof(w->doc), "OpenAPI document of: %s", d->title);
    meta_document_routes[n] = (struct route){
        .method = ROUTE_GET,
        .path = w->path,
        .operation = w->operation,
        .dialect = &meta_dialect,
        .handler = get_document,
        .flags = ROUTE_STATIC | ROUTE_OPEN,
        .doc = w->doc,
    };
}
