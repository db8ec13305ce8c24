/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/guest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/limits.h"
#include "engine/fake/bounds.h"
#include "engine/fake/exec.h"
#include "wire/field.h"
#include "wire/report.h"

#define STATUS_NO_SPACE 507
#define FIRST_PID 100

void guest_boot(struct guest *g)
{
    uint8_t id[16];
    id_random(id, sizeof(id));
    for (size_t i = 0, at = 0; i < sizeof(id); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            g->boot_id[at++] = '-';
        at += (size_t)snprintf(g->boot_id + at, 3, "%02x", id[i]);
    }
    g->started_us = clock_mono_us();
    g->next_pid = FIRST_PID;
    g->clock_offset_ns = 0;
    g->clock_step_ms = 0;
    g->reseeded = false;
    g->end = GUEST_RUNS;
}

int guest_install(struct guest *g)
{
    static const char *const dirs[] = {"/etc", "/home/user", "/root",    "/run/holm",
                                       "/tmp", "/usr/bin",   "/var/lib", "/work"};
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(dirs); i++)
        r = files_make_dir(&g->files, dirs[i]);
    return r;
}

void guest_done(struct guest *g)
{
    vars_clear(&g->vars);
    files_done(&g->files);
    disk_done(&g->disk);
}

static const char magic[] = "HOLMFK2";

int guest_save(const struct guest *g, struct buf *out)
{
    pack_str(out, magic);
    pack_str(out, g->boot_id);
    pack_i64(out, clock_real_ns() + g->clock_offset_ns);
    pack_i64(out, clock_mono_us() - g->started_us);
    pack_i64(out, g->next_pid);
    vars_save(&g->vars, out);
    return out->failed ? -ENOMEM : 0;
}

static bool is_boot_id(const char *id)
{
    return strlen(id) == 36 && strspn(id, "0123456789abcdef-") == 36;
}

static int load(struct guest *g, struct unpack *u)
{
    char text[sizeof(magic)], boot_id[sizeof(g->boot_id)];
    int64_t now_ns = clock_real_ns();
    unpack_str(u, text, sizeof(text));
    unpack_str(u, boot_id, sizeof(boot_id));
    int64_t real_ns = unpack_range(u, 0, 2 * now_ns);
    int64_t uptime_us = unpack_range(u, 0, INT64_MAX / 2);
    int64_t next_pid = unpack_range(u, FIRST_PID, INT32_MAX);
    if (u->failed || strcmp(text, magic) != 0 || !is_boot_id(boot_id))
        return -EINVAL;
    int r = vars_load(&g->vars, u);
    if (r < 0 || u->left)
        return r < 0 ? r : -EINVAL;
    guest_boot(g);
    memcpy(g->boot_id, boot_id, sizeof(g->boot_id));
    g->clock_offset_ns = real_ns - now_ns;
    g->started_us = clock_mono_us() - uptime_us;
    g->next_pid = next_pid;
    return 0;
}

int guest_load(struct guest *g, const void *data, size_t len, struct err *e)
{
    struct unpack u = {.at = data, .left = len};
    int r = load(g, &u);
    if (r == 0)
        return 0;
    vars_clear(&g->vars);
    return r == -ENOMEM ? err_errno(e, r, "load the state")
                        : err_set(e, ERR_INVALID, "the saved state is damaged");
}

int64_t guest_due_us(const struct guest *g)
{
    return exec_due_us(g);
}

void guest_wake(struct guest *g)
{
    exec_wake(g);
}

void guest_skip(struct guest *g, int64_t us)
{
    exec_skip(g, us);
}

int64_t guest_cpu_us(const struct guest *g)
{
    return g->cpu_us;
}

/* --- answers --- */

void call_reply(struct call *c, int status, const char *json, size_t len)
{
    if (agent_server_respond(c->stream, status, "application/json", json, len) < 0)
        agent_server_abort(c->stream);
}

void call_fail(struct call *c, int status, const struct err *e)
{
    auto_json json_t *obj = json_object();
    json_t *text = json_string(e->text);
    json_object_set_new(obj, "error", text ? text : json_string("a name is no UTF-8"));
    if (e->field[0])
        json_object_set_new(obj, "field", json_string(e->field));
    auto_free char *json = json_dumps(obj, JSON_COMPACT);
    c->refused = true;
    if (json)
        call_reply(c, status ? status : err_http_status(e->class), json, strlen(json));
    else
        agent_server_abort(c->stream);
}

/* --- ready, restored, sync, power --- */

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
        agent_server_abort(c->stream);
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
    reply_report(c);
}

static void sync_files(struct call *c)
{
    call_reply(c, 200, "{}", 2);
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
    if (c->guest->ignores_power)
        return;
    c->guest->end = off ? GUEST_WANTS_OFF : GUEST_WANTS_REBOOT;
}

/* --- files --- */

/* Decodes percent-encoding up to the next "&". */
static int decode(const char *in, char *ret, size_t size)
{
    size_t n = 0;
    for (; *in && *in != '&'; in++) {
        char c = *in;
        if (c == '%') {
            char hex[3] = {in[1], in[1] ? in[2] : '\0'};
            uint8_t byte;
            if (field_hex(hex, &byte, 1) != 1)
                return -EINVAL;
            c = (char)byte;
            in += 2;
        }
        if (c == '\0' || n + 1 >= size)
            return -EINVAL;
        ret[n++] = c;
    }
    ret[n] = '\0';
    return 0;
}

/* The `path` of the query; mode, owner and parents mean nothing here. */
static int query_path(const struct call *c, char ret[AGENT_PATH_MAX_BYTES], struct err *e)
{
    char text[AGENT_PATH_MAX_BYTES];
    for (const char *p = c->stream->query; *p; p += strcspn(p, "&"), p += *p == '&') {
        if (strncmp(p, "path=", 5) != 0)
            continue;
        if (decode(p + 5, text, sizeof(text)) < 0)
            return err_field(e, "path", "path is badly encoded or too long");
        if (text[0] == '/' && files_resolve(NULL, text, ret, AGENT_PATH_MAX_BYTES) == 0)
            return 0;
        break;
    }
    return err_field(e, "path", "path must be an absolute path");
}

static void put_begin(struct call *c)
{
    struct err e = ERR_INIT;
    char path[AGENT_PATH_MAX_BYTES];
    c->body.max_bytes = FAKE_FILES_MAX_BYTES;
    if (query_path(c, path, &e) < 0)
        call_fail(c, 0, &e);
    else if (!(c->path = strdup(path)))
        agent_server_abort(c->stream);
}

static void put_end(struct call *c)
{
    struct err e = ERR_INIT;
    if (!c->path)
        return;
    int r = files_write(&c->guest->files, c->path, c->body.data, c->body.len);
    if (r == 0) {
        call_reply(c, 201, "{}", 2);
        return;
    }
    err_set(&e, ERR_FULL, "%.300s: no space left in the guest", c->path);
    call_fail(c, STATUS_NO_SPACE, &e);
}

static void get_file(struct call *c)
{
    struct err e = ERR_INIT;
    char path[AGENT_PATH_MAX_BYTES];
    int r = query_path(c, path, &e);
    const struct blob *b = r < 0 ? NULL : files_find(&c->guest->files, path);
    if (r == 0 && !b)
        err_set(&e, ERR_NOT_FOUND, "%.300s: no such file or directory", path);
    if (!b)
        call_fail(c, 0, &e);
    else if (agent_server_respond(c->stream, 200, "application/octet-stream", b->data, b->len) < 0)
        agent_server_abort(c->stream);
}

/* --- routes: `end` is called when the body is complete; without `body` it is kept in the call ---
 */

struct route {
    const char *method, *path;
    void (*begin)(struct call *c);
    void (*body)(struct call *c, const uint8_t *data, size_t len);
    void (*end)(struct call *c);
};

static const struct route routes[] = {
    {.method = "GET", .path = "/v1/ready", .end = reply_report},
    {.method = "POST", .path = "/v1/restored", .end = restored},
    {.method = "POST",
     .path = "/v1/exec",
     .begin = exec_begin,
     .body = exec_body,
     .end = exec_body_end},
    {.method = "PUT", .path = "/v1/files", .begin = put_begin, .end = put_end},
    {.method = "GET", .path = "/v1/files", .end = get_file},
    {.method = "POST", .path = "/v1/sync", .end = sync_files},
    {.method = "POST", .path = "/v1/power", .end = power},
};

/* NULL: none, and `e` says why when it is wanted. */
static const struct route *find(const struct agent_stream *st, struct err *e)
{
    bool path_known = false;
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        if (strcmp(routes[i].path, st->path) != 0)
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
    const struct route *route = find(st, &e);
    if (!route)
        call_fail(c, 0, &e);
    else if (route->begin)
        route->begin(c);
}

static void on_body(struct agent_stream *st, const uint8_t *data, size_t len)
{
    struct call *c = st->data;
    const struct route *route = find(st, NULL);
    if (c && !c->refused && route->body) {
        route->body(c, data, len);
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
        find(st, NULL)->end(c);
}

static void on_closed(struct agent_stream *st)
{
    struct call *c = st->data;
    if (!c)
        return;
    exec_closed(c);
    buf_done(&c->body);
    free(c->path);
    free(c);
}

const struct agent_server_ops guest_server_ops = {
    .request = on_request,
    .body = on_body,
    .body_end = on_body_end,
    .closed = on_closed,
};
