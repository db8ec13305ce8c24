/* SPDX-License-Identifier: Apache-2.0 */

/* The requests that the fake guest's agent answers, one row each. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/limits.h"
#include "engine/fake/accept.h"
#include "engine/fake/call.h"
#include "engine/fake/exec.h"
#include "engine/fake/program.h"
#include "engine/fake/requests.h"
#include "engine/fake/warm.h"
#include "wire/field.h"
#include "wire/report.h"

/* --- ready, restored, sync, grow, power --- */

static void reply_report(struct call *c)
{
    const struct guest *g = c->guest;
    struct agent_report report = {
        .version = HOLM_VERSION,
        .protocol = REPORT_PROTOCOL,
        .uptime_ms = (clock_mono_us() - g->started_us) / 1000,
        .real_time_ns = clock_real_ns() + g->clock_offset_ns,
        .init = REPORT_INIT_AGENT,
        .clock_step_ms = g->clock_step_ms,
        .reseeded = g->reseeded,
    };
    uint8_t random[(sizeof(report.random) - 1) / 2];
    auto_buf struct buf json = {0};
    memcpy(report.boot_id, g->boot_id, sizeof(report.boot_id));
    id_random(random, sizeof(random));
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(report.random + 2 * i, 3, "%02x", random[i]);
    if (report_encode(&report, &json) < 0)
        call_abort(c);
    else
        call_reply(c, 200, json.data, json.len);
}

static void restored(struct call *c)
{
    struct guest *g = c->guest;
    struct restored_request q;
    struct err e = ERR_INIT;
    if (report_restored_decode(buf_str(&c->body), c->body.len, &q, &e) < 0) {
        call_fail(c, 0, &e);
        return;
    }
    int64_t offset_ns = q.real_time_ns - clock_real_ns();
    g->clock_step_ms = (offset_ns - g->clock_offset_ns) / 1000000;
    g->clock_offset_ns = offset_ns;
    g->reseeded = true;
    programs_settle(g, q.keep);
    guest_identify(g, q.id, q.hostname);
    reply_report(c);
}

static void sync_files(struct call *c)
{
    call_reply(c, 200, "{}", 2);
}

static void grow(struct call *c)
{
    struct disk *d = &c->guest->disk;
    struct disk_shape shape = d->shape;
    struct err e = ERR_INIT;
    auto_buf struct buf json = {0};
    shape.fs_bytes = shape.device_bytes;
    int r = c->guest->grow_fails ? err_set(&e, ERR_INTERNAL, "grow=fail was ordered") : 0;
    if (r == 0 && shape.fs_bytes != d->shape.fs_bytes)
        r = disk_reshape(d, &shape);
    buf_printf(&json, "{\"bytes\":%lld}", (long long)shape.fs_bytes);
    if (r < 0 && e.class == ERR_NONE)
        err_errno(&e, r, "grow the disk");
    if (r < 0)
        call_fail(c, 0, &e);
    else
        call_reply(c, 200, buf_str(&json), json.len);
}

static void power(struct call *c)
{
    static const char *const names[] = {"action", NULL};
    struct err e = ERR_INIT;
    const char *action = "";
    auto_json json_t *obj = NULL;
    int r = field_parse(buf_str(&c->body), c->body.len, &obj, &e);
    r = r < 0 ? r : field_only(obj, names, &e);
    r = r < 0 ? r : field_str(obj, "action", FIELD_REQUIRED, 16, &action, &e);
    bool off = strcmp(action, "off") == 0;
    if (r >= 0 && !off && strcmp(action, "reboot") != 0)
        r = err_field(&e, "action", "action must be \"off\" or \"reboot\"");
    if (r < 0) {
        call_fail(c, 0, &e);
        return;
    }
    call_reply(c, 200, "{}", 2);
    if (!c->guest->ignores_power)
        c->guest->end = off ? GUEST_WANTS_OFF : GUEST_WANTS_REBOOT;
}

/* --- routes --- */

/* `end` is called when the body is complete; without `body` that is kept in the call. */
struct route {
    const char *method;
    const char *path; /* an asterisk is one part of it, which becomes the call's name */
    void (*begin)(struct call *c);
    void (*body)(struct call *c, const uint8_t *data, size_t len);
    void (*end)(struct call *c);
    void (*closed)(struct call *c);
};

static const struct route routes[] = {
    {"GET", "/v1/ready", .end = reply_report},
    {"POST", "/v1/restored", .end = restored},
    {"POST", "/v1/exec", exec_begin, exec_body, exec_body_end, exec_closed},
    {"PUT", "/v1/files", .begin = requests_put_begin, .end = requests_put_end,
     .closed = requests_put_closed},
    {"GET", "/v1/files", .end = requests_get, .closed = requests_get_closed},
    {"DELETE", "/v1/files", .end = requests_remove},
    {"GET", "/v1/stat", .end = requests_stat},
    {"GET", "/v1/list", .end = requests_list},
    {"PUT", "/v1/tar", requests_tar_put_begin, requests_tar_put_body, requests_tar_put_end,
     requests_tar_closed},
    {"GET", "/v1/tar", .end = requests_tar_get, .closed = requests_tar_closed},
    {"POST", "/v1/warm", .end = warm_start},
    {"POST", "/v1/warm/rehearse", .end = warm_rehearse},
    {"POST", "/v1/grow", .end = grow},
    {"GET", "/v1/jobs", .end = jobs_list},
    {"GET", "/v1/jobs/*", .end = jobs_get},
    {"DELETE", "/v1/jobs/*", .end = jobs_forget},
    {"GET", "/v1/jobs/*/output", .end = jobs_output, .closed = jobs_output_closed},
    {"POST", "/v1/jobs/*/signal", .end = jobs_signal},
    {"POST", "/v1/accept", accept_begin, accept_body, accept_body_end, accept_closed},
    {"POST", "/v1/sync", .end = sync_files},
    {"POST", "/v1/power", .end = power},
};

/* Fills `name` with what stands for the asterisk. */
static bool matches(const char *pattern, const char *path, char name[EXEC_JOB_ID_MAX_BYTES + 1])
{
    const char *star = strchr(pattern, '*');
    if (!star)
        return strcmp(pattern, path) == 0;
    size_t before = (size_t)(star - pattern);
    if (strncmp(pattern, path, before) != 0)
        return false;
    size_t len = strcspn(path + before, "/");
    if (len == 0 || len > EXEC_JOB_ID_MAX_BYTES || strcmp(path + before + len, star + 1) != 0)
        return false;
    memcpy(name, path + before, len);
    name[len] = '\0';
    return true;
}

static const struct route *find(struct call *c, struct err *e)
{
    const struct agent_stream *st = c->stream;
    bool path_known = false;
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        if (!matches(routes[i].path, st->path, c->name))
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
    struct err e = ERR_INIT;
    struct call *c = calloc(1, sizeof(*c));
    if (!c) {
        agent_server_abort(st);
        return;
    }
    *c = (struct call){.guest = agent_server_owner(st->server), .stream = st};
    c->body.max_bytes = AGENT_REPORT_MAX_BYTES;
    st->data = c;
    c->route = find(c, &e);
    if (!c->route)
        call_fail(c, 0, &e);
    else if (c->route->begin)
        c->route->begin(c);
}

static void on_body(struct agent_stream *st, const uint8_t *data, size_t len)
{
    struct call *c = st->data;
    if (c && !c->refused && c->route->body) {
        c->route->body(c, data, len);
        return;
    }
    if (c && !c->refused && buf_append(&c->body, data, len) < 0) {
        struct err e = ERR_INIT;
        err_set(&e, ERR_TOO_LARGE, "the body is larger than %zu bytes", c->body.max_bytes);
        call_fail(c, 0, &e);
    }
    agent_server_consume(st, len);
}

static void on_body_end(struct agent_stream *st)
{
    struct call *c = st->data;
    if (c && !c->refused)
        c->route->end(c);
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

const struct agent_server_ops call_server_ops = {
    .request = on_request,
    .body = on_body,
    .body_end = on_body_end,
    .closed = on_closed,
};
