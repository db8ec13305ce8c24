/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/event.h"

#include <stdio.h>

#include <jansson.h>

#include "base/base64.h"
#include "cli/json.h"

static int fail(struct err *e, const char *what)
{
    return err_set(e, ERR_UNAVAILABLE, "the daemon sent an event that %s", what);
}

static int parse_data(json_t *o, enum event_kind kind, struct event *ret, struct err *e)
{
    json_t *d = json_object_get(o, "d");
    if (!json_is_string(d) ||
        base64_decode(json_string_value(d), json_string_length(d), &ret->data) < 0)
        return fail(e, "holds no base64 output");
    ret->kind = kind;
    return 0;
}

static int parse_exit(json_t *o, struct event *ret, struct err *e)
{
    json_t *code = json_object_get(o, "c");
    if (code && !json_is_integer(code))
        return fail(e, "ends the program with an exit code that is no number");
    ret->kind = EVENT_EXIT;
    ret->exit_code = (int)(json_integer_value(code) & 0xff);
    ret->timed_out = json_is_true(json_object_get(o, "to"));
    ret->exec_ms = json_number_value(json_object_get(o, "ms"));
    ret->load_ms = json_number_value(json_object_get(o, "load_ms"));
    snprintf(ret->signal, sizeof(ret->signal), "%s", json_text(o, "signal"));
    snprintf(ret->error, sizeof(ret->error), "%s", json_text(o, "d"));
    return 0;
}

static int parse_error(json_t *o, struct event *ret)
{
    const char *text = json_text(o, "error");
    json_int_t status = json_integer_value(json_object_get(o, "status"));
    ret->kind = EVENT_ERROR;
    ret->status = status >= 400 && status <= 599 ? (int)status : 500;
    snprintf(ret->error, sizeof(ret->error), "%s", *text ? text : "it failed and did not say why");
    return 0;
}

int event_parse(const char *line, size_t len, struct event *ret, struct err *e)
{
    auto_json json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(o))
        return fail(e, "is not a JSON object");
    const char *t = json_text(o, "t");
    if (!*t)
        return fail(e, "has no kind");
    if (!strcmp(t, "o"))
        return parse_data(o, EVENT_OUT, ret, e);
    if (!strcmp(t, "e"))
        return parse_data(o, EVENT_ERR, ret, e);
    if (!strcmp(t, "x"))
        return parse_exit(o, ret, e);
    if (!strcmp(t, "error"))
        return parse_error(o, ret);
    ret->kind = EVENT_OTHER;
    return 0;
}

void event_done(struct event *ev)
{
    buf_done(&ev->data);
    *ev = (struct event){0};
}
