/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "wire/field.h"

void call_reply(struct call *c, int status, const char *json, size_t len)
{
    if (agent_server_respond(c->stream, status, "application/json", json, len) < 0)
        agent_server_abort(c->stream);
}

/* Paths need not be UTF-8, JSON has to be. */
static json_t *lossy_string(const char *text)
{
    json_t *j = json_string(text);
    if (j)
        return j;
    char plain[sizeof(((struct err *)0)->text)];
    snprintf(plain, sizeof(plain), "%s", text);
    for (char *p = plain; *p; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    return json_string(plain);
}

void call_fail(struct call *c, int status, const struct err *e)
{
    auto_json json_t *obj = json_object();
    json_object_set_new(obj, "error", lossy_string(e->text));
    if (e->field[0])
        json_object_set_new(obj, "field", lossy_string(e->field));
    auto_free char *text = json_dumps(obj, JSON_COMPACT);
    c->refused = true;
    if (text)
        call_reply(c, status ? status : err_http_status(e->class), text, strlen(text));
    else
        agent_server_abort(c->stream);
}

int call_file_error(int r, const char *what, struct err *e)
{
    switch (-r) {
    case ENOENT:
        err_set(e, ERR_NOT_FOUND, "%s: no such file or directory", what);
        return 0;
    case ENOSPC:
    case EDQUOT:
        err_set(e, ERR_FULL, "%s: no space left in the guest", what);
        return CALL_STATUS_NO_SPACE;
    case EISDIR:
    case ENOTDIR:
    case EEXIST:
    case EROFS:
    case ETXTBSY:
    case EBUSY:
    case EXDEV:
    case ENOTEMPTY:
        err_set(e, ERR_CONFLICT, "%s: %s", what, strerror(-r));
        return 0;
    case ENAMETOOLONG:
    case ELOOP:
    case EINVAL:
    case EACCES:
    case EPERM:
        err_set(e, ERR_INVALID, "%s: %s", what, strerror(-r));
        return 0;
    default:
        err_errno(e, r, "%s", what);
        return 0;
    }
}

/* Decodes percent-encoding up to the next "&"; "+" stays a plus, as in paths. */
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

int call_param(const struct call *c, const char *name, char *ret, size_t size, struct err *e)
{
    size_t name_len = strlen(name);
    for (const char *p = c->stream->query; *p;) {
        if (strncmp(p, name, name_len) == 0 && p[name_len] == '=') {
            int r = decode(p + name_len + 1, ret, size);
            return r < 0 ? err_field(e, name, "%s is badly encoded or too long", name) : 1;
        }
        p += strcspn(p, "&");
        p += *p == '&';
    }
    return 0;
}

static int number(const struct call *c, const char *name, int base, int64_t max, int64_t *ret,
                  struct err *e)
{
    char text[24];
    int r = call_param(c, name, text, sizeof(text), e);
    if (r <= 0)
        return r;
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, base);
    if (text[0] < '0' || text[0] > '9' || *end || errno || v > max)
        return err_field(e, name,
                         base == 8 ? "%s must be an octal number of at most 0%llo"
                                   : "%s must be a number of at most %lld",
                         name, (long long)max);
    *ret = v;
    return 0;
}

int call_number(const struct call *c, const char *name, int64_t max, int64_t *ret, struct err *e)
{
    return number(c, name, 10, max, ret, e);
}

int call_octal(const struct call *c, const char *name, int64_t max, int64_t *ret, struct err *e)
{
    return number(c, name, 8, max, ret, e);
}

int call_params_only(const struct call *c, const char *const names[], struct err *e)
{
    for (const char *p = c->stream->query; *p;) {
        size_t len = strcspn(p, "=&"), i = 0;
        while (names[i] && (strlen(names[i]) != len || strncmp(names[i], p, len) != 0))
            i++;
        if (!names[i]) {
            char name[48];
            snprintf(name, sizeof(name), "%.*s", (int)len, p);
            return err_field(e, name, "unknown parameter \"%s\"", name);
        }
        p += strcspn(p, "&");
        p += *p == '&';
    }
    return 0;
}
