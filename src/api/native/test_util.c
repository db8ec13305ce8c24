/* SPDX-License-Identifier: Apache-2.0 */
#include "api/native/test_util.h"

static int key_account(void *arg, const char *key, char ret_account[ID_SIZE], bool *ret_admin,
                       struct err *e)
{
    return host_key_account(arg, key, ret_account, ret_admin, e);
}

int native_setup(void **state)
{
    struct native *n = calloc(1, sizeof(*n));
    const struct server_config config = {.key_account = key_account};
    test_server_start(&n->ts, &config);
    auto_reply struct reply r = {0};
    native_call(n, &(struct call){"POST", "/v1/vms", "{}", .status = 201}, &r);
    snprintf(n->vm, sizeof(n->vm), "%s", text_at(&r, "id"));
    *state = n;
    return 0;
}

int native_teardown(void **state)
{
    struct native *n = *state;
    test_server_stop(&n->ts);
    free(n);
    return 0;
}

/* Files of images are PUT as they are; all else is JSON. */
static const char *content_type(const struct call *c)
{
    return strcmp(c->method, "PUT") == 0 &&
                   (strstr(c->path, "/images/") || strstr(c->path, "/builds/"))
               ? "Content-Type: application/octet-stream\r\n"
               : "Content-Type: application/json\r\n";
}

void native_call(struct native *n, const struct call *c, struct reply *ret)
{
    char headers[1024];
    const char *key = c->key ? c->key : STUB_ADMIN_KEY;
    snprintf(headers, sizeof(headers), "%s%s%s%s%s", *key ? "X-API-Key: " : "", key,
             *key ? "\r\n" : "", c->body ? content_type(c) : "", c->headers ? c->headers : "");
    reply_done(ret);
    request(&n->ts, c->method, c->path, headers, c->body, ret);
    if (c->status && ret->status != c->status)
        fail_msg("%s %s %s: %d %s", c->method, c->path, c->body ? c->body : "", ret->status,
                 buf_str(&ret->body));
}

void vm_call(struct native *n, const struct call *c, struct reply *ret)
{
    char path[1024];
    snprintf(path, sizeof(path), "/v1/vms/%s%s", n->vm, c->path);
    struct call full = *c;
    full.path = path;
    native_call(n, &full, ret);
}

json_t *value_at(const json_t *json, const char *path)
{
    const json_t *at = json;
    for (const char *p = path; *p;) {
        char piece[64];
        int len = (int)strcspn(p, ".");
        snprintf(piece, sizeof(piece), "%.*s", len, p);
        p += len + (p[len] == '.');
        at = json_is_array(at) ? json_array_get(at, strtoul(piece, NULL, 10))
                               : json_object_get(at, piece);
        if (!at)
            fail_msg("no \"%s\" of %s in %s", piece, path, json_dumps(json, 0));
    }
    return (json_t *)at;
}

const char *text_at(const struct reply *r, const char *path)
{
    const char *s = json_string_value(value_at(r->json, path));
    if (!s)
        fail_msg("%s is no string: %s", path, buf_str(&r->body));
    return s;
}

long long number_at(const struct reply *r, const char *path)
{
    json_t *v = value_at(r->json, path);
    if (!json_is_integer(v))
        fail_msg("%s is no integer: %s", path, buf_str(&r->body));
    return json_integer_value(v);
}

bool is_there(const struct reply *r, const char *key)
{
    return json_object_get(r->json, key) != NULL;
}

void assert_error(const struct reply *r, const char *code, const char *field)
{
    const char *has = json_string_value(json_object_get(value_at(r->json, "error"), "field"));
    if (strcmp(text_at(r, "error.code"), code) != 0 || strcmp(has ? has : "", field) != 0)
        fail_msg("not %s of %s: %s", code, field, buf_str(&r->body));
    assert_string_equal(text_at(r, "message"), text_at(r, "error.message"));
}
