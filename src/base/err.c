/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct class_row {
    const char *name;
    int http_status;
    int errno_value;
};

static const struct class_row classes[ERR_CLASS_COUNT] = {
    [ERR_NONE] = {"none", 500, EIO},
    [ERR_INVALID] = {"invalid", 400, EINVAL},
    [ERR_UNAUTHORIZED] = {"unauthorized", 401, EACCES},
    [ERR_FORBIDDEN] = {"forbidden", 403, EPERM},
    [ERR_NOT_FOUND] = {"not_found", 404, ENOENT},
    [ERR_METHOD] = {"method_not_allowed", 405, EOPNOTSUPP},
    [ERR_CONFLICT] = {"conflict", 409, EBUSY},
    [ERR_TOO_LARGE] = {"too_large", 413, E2BIG},
    [ERR_UNSUPPORTED] = {"unsupported", 415, ENOTSUP},
    [ERR_RANGE] = {"range", 416, ERANGE},
    [ERR_TIMEOUT] = {"timeout", 504, ETIMEDOUT},
    [ERR_RATE] = {"rate_limited", 429, EAGAIN},
    [ERR_FULL] = {"full", 503, EAGAIN},
    [ERR_UNAVAILABLE] = {"unavailable", 502, ENOTCONN},
    [ERR_INTERNAL] = {"internal", 500, EIO},
};

static const struct class_row *class_row(enum err_class class)
{
    return (unsigned)class < ERR_CLASS_COUNT ? &classes[class] : &classes[ERR_INTERNAL];
}

int err_http_status(enum err_class class)
{
    return class_row(class)->http_status;
}

const char *err_class_name(enum err_class class)
{
    return class_row(class)->name;
}

static int set_va(struct err *e, enum err_class class, const char *fmt, va_list ap)
{
    if (e) {
        e->class = class;
        e->field[0] = '\0';
        e->suggestion[0] = '\0';
        e->retry_after_s = 0;
        vsnprintf(e->text, sizeof(e->text), fmt, ap);
    }
    return -class_row(class)->errno_value;
}

int err_set(struct err *e, enum err_class class, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int r = set_va(e, class, fmt, ap);
    va_end(ap);
    return r;
}

int err_field(struct err *e, const char *field, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int r = set_va(e, ERR_INVALID, fmt, ap);
    va_end(ap);
    if (e)
        snprintf(e->field, sizeof(e->field), "%s", field);
    return r;
}

int err_errno(struct err *e, int r, const char *fmt, ...)
{
    if (!e)
        return r;
    char what[sizeof(e->text)];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    err_set(e, ERR_INTERNAL, "%.*s: %s", (int)(sizeof(what) - 96), what, strerror(-r));
    return r;
}

int err_wrap(struct err *e, int r, const char *fmt, ...)
{
    if (!e)
        return r;
    char context[256], text[sizeof(e->text)];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(context, sizeof(context), fmt, ap);
    va_end(ap);
    if (e->class == ERR_NONE)
        return err_errno(e, r, "%s", context);
    memcpy(text, e->text, sizeof(text));
    text[sizeof(text) - sizeof(context) - 3] = '\0';
    snprintf(e->text, sizeof(e->text), "%s: %s", context, text);
    return r;
}
