/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/routes.h"

#include <string.h>

#include "agent/accept.h"
#include "agent/agent.h"
#include "agent/exec.h"
#include "agent/files.h"
#include "agent/grow.h"
#include "agent/job.h"
#include "agent/link.h"
#include "agent/pack.h"
#include "agent/power.h"
#include "agent/restored.h"
#include "agent/sync.h"
#include "agent/tree.h"
#include "agent/unpack.h"
#include "agent/warm.h"
#include "base/cleanup.h"
#include "base/limits.h"

static const struct route routes[] = {
    {.method = "GET", .path = "/v1/ready", .text = restored_ready},
    {.method = "POST", .path = "/v1/restored", .text = restored_apply},
    {.method = "POST",
     .path = "/v1/exec",
     .begin = exec_begin,
     .body = exec_body,
     .body_end = exec_body_end,
     .closed = exec_closed},
    {.method = "PUT",
     .path = "/v1/files",
     .begin = files_put_begin,
     .body = files_put_body,
     .body_end = files_put_end,
     .closed = files_put_closed},
    {.method = "GET", .path = "/v1/files", .begin = files_get_begin, .closed = files_get_closed},
    {.method = "DELETE", .path = "/v1/files", .begin = tree_remove, .closed = tree_remove_closed},
    {.method = "GET", .path = "/v1/stat", .begin = tree_stat},
    {.method = "GET", .path = "/v1/list", .begin = tree_list},
    {.method = "PUT",
     .path = "/v1/tar",
     .begin = unpack_begin,
     .body = unpack_body,
     .body_end = unpack_body_end,
     .closed = unpack_closed},
    {.method = "GET", .path = "/v1/tar", .begin = pack_begin, .closed = pack_closed},
    {.method = "GET", .path = "/v1/jobs", .begin = job_list},
    {.method = "GET", .path = "/v1/jobs/", .begin = job_get_begin, .closed = job_get_closed},
    {.method = "POST", .path = "/v1/jobs/", .begin = job_signal},
    {.method = "DELETE", .path = "/v1/jobs/", .begin = job_forget},
    {.method = "POST",
     .path = "/v1/accept",
     .begin = accept_begin,
     .body = accept_body,
     .body_end = accept_body_end,
     .closed = accept_closed},
    {.method = "POST", .path = "/v1/warm", .text = warm_start, .closed = warm_closed},
    {.method = "POST", .path = "/v1/warm/rehearse", .text = warm_rehearse, .closed = warm_closed},
    {.method = "POST", .path = "/v1/grow", .begin = grow_begin, .closed = grow_closed},
    {.method = "POST", .path = "/v1/sync", .begin = sync_begin, .closed = sync_closed},
    {.method = "POST", .path = "/v1/power", .text = power_request},
};

static bool matches(const char *row, const char *path)
{
    size_t len = strlen(row);
    return row[len - 1] == '/' ? strncmp(row, path, len) == 0 : strcmp(row, path) == 0;
}

static const struct route *find(const struct agent_stream *st, struct err *e)
{
    bool path_known = false;
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        if (!matches(routes[i].path, st->path))
            continue;
        path_known = true;
        if (strcmp(routes[i].method, st->method) == 0)
            return &routes[i];
    }
    if (path_known)
        err_set(e, ERR_METHOD, "%s does not take %s", st->path, st->method);
    else
        err_set(e, ERR_NOT_FOUND, "no such path: %.200s", st->path);
    return NULL;
}

static void on_request(struct agent_stream *st)
{
    struct call *c = calloc(1, sizeof(*c));
    if (!c) {
        agent_server_abort(st);
        return;
    }
    struct err e = ERR_INIT;
    c->agent = link_agent(agent_server_owner(st->server));
    c->stream = st;
    c->body.max_bytes = AGENT_REPORT_MAX_BYTES;
    c->route = find(st, &e);
    st->data = c;
    if (!c->route)
        call_fail(c, 0, &e);
    else if (c->route->begin)
        c->route->begin(c);
}

static void take_text(struct call *c, const uint8_t *data, size_t len)
{
    struct err e = ERR_INIT;
    if (buf_append(&c->body, data, len) < 0) {
        err_set(&e, ERR_TOO_LARGE, "the body is larger than %llu bytes", AGENT_REPORT_MAX_BYTES);
        call_fail(c, 0, &e);
    }
    agent_server_consume(c->stream, len);
}

static void on_body(struct agent_stream *st, const uint8_t *data, size_t len)
{
    struct call *c = st->data;
    if (!c || c->refused || (!c->route->body && !c->route->text))
        agent_server_consume(st, len);
    else if (c->route->body)
        c->route->body(c, data, len);
    else
        take_text(c, data, len);
}

static void on_body_end(struct agent_stream *st)
{
    struct call *c = st->data;
    if (!c || c->refused)
        return;
    if (c->route->text)
        c->route->text(c);
    else if (c->route->body_end)
        c->route->body_end(c);
}

static void on_closed(struct agent_stream *st)
{
    struct call *c = st->data;
    if (!c)
        return;
    if (c->route && c->route->closed)
        c->route->closed(c);
    buf_done(&c->body);
    free(c);
}

const struct agent_server_ops routes_server_ops = {
    .request = on_request,
    .body = on_body,
    .body_end = on_body_end,
    .closed = on_closed,
};
