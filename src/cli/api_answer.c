/* SPDX-License-Identifier: Apache-2.0 */

/* Two shapes of errors come: {"error": "sentence"} of the runner, and {"error": {"code", "message",
 * "field"}} of the native API. */

#include "cli/api_answer.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "cli/json.h"

static int parse(const struct api_answer *a, json_type type, json_t **ret, struct err *e)
{
    json_t *v = json_loadb(buf_str(&a->body), a->body.len, JSON_ALLOW_NUL, NULL);
    if (v && json_typeof(v) == type) {
        *ret = v;
        return 0;
    }
    json_decref(v);
    return err_set(e, ERR_UNAVAILABLE, "the answer is not a JSON %s",
                   type == JSON_ARRAY ? "list" : "object");
}

int api_answer_json(const struct api_answer *a, json_t **ret, struct err *e)
{
    return parse(a, JSON_OBJECT, ret, e);
}

/* The class whose meaning is nearest; only used to tell errors apart in this program. */
static enum err_class class_of(int status)
{
    static const struct {
        int status;
        enum err_class class;
    } rows[] = {
        {400, ERR_INVALID}, {401, ERR_UNAUTHORIZED}, {403, ERR_FORBIDDEN}, {404, ERR_NOT_FOUND},
        {405, ERR_METHOD},  {409, ERR_CONFLICT},     {413, ERR_TOO_LARGE}, {415, ERR_UNSUPPORTED},
        {429, ERR_FULL},    {502, ERR_UNAVAILABLE},  {503, ERR_FULL},      {504, ERR_TIMEOUT},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].status == status)
            return rows[i].class;
    }
    return ERR_INTERNAL;
}

static void hint(const struct api_client *c, const struct api_answer *a, char *ret, size_t size)
{
    const char *source = api_client_key_source(c);
    ret[0] = '\0';
    if (a->status == 401 && source)
        snprintf(ret, size,
                 "; the key is from %s: give another one with --key or HOLM_API_KEY ('holm key "
                 "create' makes one)",
                 source);
    else if (a->status == 401)
        snprintf(ret, size,
                 "; give a key with --key or HOLM_API_KEY, or keep it in ~/.config/holm/key ('sudo "
                 "holm key create NAME' on the daemon's host makes one)");
    else if (a->status >= 500 && a->status != 503)
        snprintf(ret, size, "; the daemon's log says more");
}

int api_answer_error(const struct api_client *c, const struct api_answer *a, struct err *e)
{
    auto_json json_t *o = NULL;
    char what_to_do[256];
    (void)api_answer_json(a, &o, NULL);
    const json_t *inner = json_object_get(o, "error");
    const char *text = json_text(o, "error");
    if (json_is_object(inner))
        text = json_text(inner, "message");
    if (!*text)
        text = json_text(o, "message");
    if (!*text)
        return err_set(e, class_of(a->status),
                       "%s answers status %d and no reason; is it the address of a holmd?",
                       api_client_url(c), a->status);
    const char *field = json_text(inner, "field");
    bool is_named = !*field || strstr(text, field);
    hint(c, a, what_to_do, sizeof(what_to_do));
    return err_set(e, class_of(a->status), "%.80s%s%.380s%s", is_named ? "" : field,
                   is_named ? "" : ": ", text, what_to_do);
}

static int get(struct api_client *c, const char *path, json_type type, json_t **ret, struct err *e)
{
    auto_api_answer struct api_answer a = {0};
    struct api_request rq = {.path = path, .timeout_s = CLI_REQUEST_TIMEOUT_S};
    int r = api_client_send(c, &rq, &a, e);
    if (r < 0)
        return r;
    if (a.status != 200)
        return api_answer_error(c, &a, e);
    r = parse(&a, type, ret, e);
    return r < 0 ? err_wrap(e, r, "%s%s", api_client_url(c), path) : 0;
}

int api_client_get(struct api_client *c, const char *path, json_t **ret, struct err *e)
{
    return get(c, path, JSON_OBJECT, ret, e);
}

int api_client_get_list(struct api_client *c, const char *path, json_t **ret, struct err *e)
{
    return get(c, path, JSON_ARRAY, ret, e);
}

int api_client_call(struct api_client *c, const struct api_call *call, json_t **ret,
                    int *ret_status, struct err *e)
{
    auto_api_answer struct api_answer a = {0};
    auto_free char *body = call->body ? json_dumps(call->body, JSON_COMPACT) : NULL;
    if (call->body && !body)
        return err_errno(e, -ENOMEM, "make a request");
    struct api_request rq = {
        .path = call->path,
        .method = call->method,
        .body = body,
        .body_len = body ? strlen(body) : 0,
        .timeout_s = call->timeout_s < 0    ? 0
                     : call->timeout_s == 0 ? CLI_REQUEST_TIMEOUT_S
                                            : call->timeout_s,
    };
    int r = api_client_send(c, &rq, &a, e);
    if (r < 0)
        return r;
    if (a.status < 200 || a.status > 299)
        return api_answer_error(c, &a, e);
    if (ret_status)
        *ret_status = a.status;
    if (!ret)
        return 0;
    r = parse(&a, JSON_OBJECT, ret, e);
    return r < 0 ? err_wrap(e, r, "%s%s", api_client_url(c), call->path) : 0;
}
