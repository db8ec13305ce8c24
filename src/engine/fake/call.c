/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "wire/field.h"

void call_reply(struct call *c, int status, const char *json, size_t len)
{
    if (agent_server_respond(c->stream, status, "application/json", json, len) < 0)
        call_abort(c);
}

void call_abort(struct call *c)
{
    c->refused = true;
    agent_server_abort(c->stream);
}

/* A path in the sentence need not be UTF-8, JSON has to be. */
static json_t *lossy_string(const char *text)
{
    json_t *j = json_string(text);
    return j ? j : json_string("the request has text that is not UTF-8");
}

void call_fail(struct call *c, int status, const struct err *e)
{
    auto_json json_t *obj = json_object();
    json_object_set_new(obj, "error", lossy_string(e->text));
    if (e->field[0])
        json_object_set_new(obj, "field", lossy_string(e->field));
    auto_free char *json = json_dumps(obj, JSON_COMPACT);
    c->refused = true;
    if (json)
        call_reply(c, status ? status : err_http_status(e->class), json, strlen(json));
    else
        call_abort(c);
}

void call_fail_file(struct call *c, int r, const char *path)
{
    struct err e = ERR_INIT;
    int status = 0;
    if (r == -ENOENT) {
        err_set(&e, ERR_NOT_FOUND, "%.300s: no such file or directory", path);
    } else if (r == -ENOSPC) {
        err_set(&e, ERR_FULL, "%.300s: no space left in the guest", path);
        status = CALL_STATUS_NO_SPACE;
    } else if (r == -EISDIR || r == -ENOTDIR || r == -EBUSY) {
        err_set(&e, ERR_CONFLICT, "%.300s: %s", path, strerror(-r));
    } else {
        err_errno(&e, r, "%.300s", path);
    }
    call_fail(c, status, &e);
}

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

static const char *next_param(const char *p)
{
    p += strcspn(p, "&");
    return p + (*p == '&');
}

int call_param(const struct call *c, const char *name, char *ret, size_t size, struct err *e)
{
    size_t len = strlen(name);
    for (const char *p = c->stream->query; *p; p = next_param(p)) {
        if (strncmp(p, name, len) != 0 || p[len] != '=')
            continue;
        return decode(p + len + 1, ret, size) < 0
                   ? err_field(e, name, "%s is badly encoded or too long", name)
                   : 1;
    }
    return 0;
}

int call_number(const struct call *c, const char *name, int base, int64_t max, int64_t *ret,
                struct err *e)
{
    char text[24], *end;
    int r = call_param(c, name, text, sizeof(text), e);
    if (r <= 0)
        return r;
    errno = 0;
    long long n = strtoll(text, &end, base);
    if (text[0] < '0' || text[0] > '9' || *end || errno || n > max)
        return err_field(e, name, "%s must be a number of at most %lld", name, (long long)max);
    *ret = n;
    return 1;
}

int call_params_only(const struct call *c, const char *const names[], struct err *e)
{
    for (const char *p = c->stream->query; *p; p = next_param(p)) {
        char name[48];
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(p, "=&"), p);
        size_t i = 0;
        while (names[i] && strcmp(names[i], name) != 0)
            i++;
        if (!names[i])
            return err_field(e, name, "unknown parameter \"%s\"", name);
    }
    return 0;
}
