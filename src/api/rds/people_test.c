/* SPDX-License-Identifier: Apache-2.0 */

/* The rows of sessions, keys, webhooks, activity and the overview over HTTP, with the stub host:
 * who may call them, every failure of the host in this dialect's words, cookies, events. */

#include "api/rds/rds.h"

#include <string.h>

#include "api/native/test_util.h"
#include "api/rds/events.h"
#include "base/limits.h"

#define HOOK "{\"name\":\"n\",\"url\":\"http://a.example/\"}"

enum who { ANYONE, ACCOUNT, ADMIN };

/* Calls that succeed; {hook} and {key} are there. */
static const struct row {
    const char *method, *path, *body;
    int status;
    enum who who;
    bool asks; /* the host, which may fail */
} rows[] = {
    {"POST", "/rds/auth/login", "{\"email\":\"a@b\",\"password\":\"p\"}", 200, ANYONE, true},
    {"POST", "/rds/auth/login", "{\"apiKey\":\"" STUB_BOB_KEY "\"}", 200, ANYONE, true},
    {"GET", "/rds/auth/methods", NULL, 200, ANYONE, false},
    {"POST", "/rds/auth/logout", NULL, 200, ANYONE, false},
    {"GET", "/rds/v1/admin/api-keys", NULL, 200, ACCOUNT, true},
    {"POST", "/rds/v1/admin/api-keys", "{\"name\":\"n\",\"expiresAt\":\"2199-01-01\"}", 201,
     ACCOUNT, true},
    {"POST", "/rds/v1/admin/api-keys/{key}/revoke", NULL, 204, ACCOUNT, true},
    {"GET", "/rds/v1/admin/overview", NULL, 200, ADMIN, true},
    {"GET", "/rds/v1/admin/activity?limit=5&before=9", NULL, 200, ADMIN, true},
    {"GET", "/rds/v1/admin/events", NULL, 200, ADMIN, true},
    {"GET", "/rds/v1/admin/webhooks", NULL, 200, ADMIN, true},
    {"POST", "/rds/v1/admin/webhooks", HOOK, 201, ADMIN, true},
    {"GET", "/rds/v1/admin/webhooks/event-types", NULL, 200, ADMIN, false},
    {"GET", "/rds/v1/admin/webhooks/{hook}", NULL, 200, ADMIN, true},
    {"PATCH", "/rds/v1/admin/webhooks/{hook}", "{\"enabled\":false}", 200, ADMIN, true},
    {"DELETE", "/rds/v1/admin/webhooks/{hook}", NULL, 204, ADMIN, true},
};

struct fixture {
    struct native *native;
    char hook[64], key[64];
};

static void ask(struct fixture *f, const struct row *row, const char *key, int status,
                struct reply *ret)
{
    static const char *const names[] = {"{hook}", "{key}"};
    const char *const values[] = {f->hook, f->key};
    auto_buf struct buf path = {0};
    for (const char *p = row->path; *p;) {
        size_t i = 0;
        while (i < ARRAY_SIZE(names) && strncmp(p, names[i], strlen(names[i])) != 0)
            i++;
        bool found = i < ARRAY_SIZE(names);
        buf_append(&path, found ? values[i] : p, found ? strlen(values[i]) : 1);
        p += found ? strlen(names[i]) : 1;
    }
    const struct call c = {row->method, buf_str(&path), row->body, .key = key, .status = status};
    native_call(f->native, &c, ret);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    auto_reply struct reply r = {0};
    native_setup((void **)&f->native);
    ask(f, &(struct row){"POST", "/rds/v1/admin/webhooks", HOOK}, NULL, 201, &r);
    snprintf(f->hook, sizeof(f->hook), "%s", text_at(&r, "id"));
    ask(f, &(struct row){"POST", "/rds/v1/admin/api-keys", "{\"name\":\"n\"}"}, NULL, 201, &r);
    snprintf(f->key, sizeof(f->key), "%s", text_at(&r, "id"));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    void *native = f->native;
    native_teardown(&native);
    free(f);
    return 0;
}

static void test_rows_succeed(void **state)
{
    auto_reply struct reply r = {0};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        ask(*state, &rows[i], rows[i].who == ANYONE ? "" : NULL, rows[i].status, &r);
}

static void test_who_may_call_them(void **state)
{
    auto_reply struct reply r = {0};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].who == ANYONE)
            continue;
        ask(*state, &rows[i], "", 401, &r);
        assert_string_equal(buf_str(&r.body), "{\"message\":\"Unauthorized\"}\n");
        ask(*state, &rows[i], "holm_wrong", 401, &r);
        if (rows[i].who == ADMIN)
            ask(*state, &rows[i], STUB_BOB_KEY, 403, &r);
    }
}

static void test_the_host_fails(void **state)
{
    static const enum err_class classes[] = {ERR_INVALID, ERR_FORBIDDEN, ERR_CONFLICT,
                                             ERR_RATE,    ERR_FULL,      ERR_INTERNAL};
    auto_reply struct reply r = {0};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        for (size_t c = 0; rows[i].asks && c < ARRAY_SIZE(classes); c++) {
            stub_fail_next(classes[c]);
            ask(*state, &rows[i], rows[i].who == ANYONE ? "" : NULL, err_http_status(classes[c]),
                &r);
            assert_int_equal(json_object_size(r.json), 1);
            assert_true(*text_at(&r, "message"));
        }
    }
}

/* --- cookies --- */

static void sign_in(struct fixture *f, const char *body, const char *headers, char ret[256])
{
    auto_reply struct reply r = {0};
    native_call(f->native,
                &(struct call){"POST", "/rds/auth/login", body, .key = "", .headers = headers,
                               .status = 200},
                &r);
    snprintf(ret, 256, "%s", reply_header(&r, "Set-Cookie"));
    assert_string_equal(reply_header(&r, "Cache-Control"), "no-store");
    const char *first = strcasestr(buf_str(&r.head), "Cache-Control");
    assert_null(strcasestr(first + 1, "Cache-Control"));
}

static void sign_out(struct fixture *f, const char *token, struct reply *ret)
{
    char headers[512];
    snprintf(headers, sizeof(headers), "Cookie: a=b; rds_session=%s; c=d\r\n", token);
    native_call(
        f->native,
        &(struct call){"POST", "/rds/auth/logout", .key = "", .headers = headers, .status = 200},
        ret);
}

static void test_cookies(void **state)
{
    char cookie[256], token[64];
    auto_reply struct reply r = {0};
    sign_in(*state, "{\"email\":\"a@b\",\"password\":\"p\"}", NULL, cookie);
    assert_int_equal(sscanf(cookie, "rds_session=%43[^;]", token), 1);
    assert_string_equal(strchr(cookie, ';'), "; Path=/; HttpOnly; SameSite=Lax; Max-Age=604800");
    sign_in(*state, "{\"email\":\"a@b\",\"password\":\"p\"}", "X-Forwarded-Proto: https\r\n",
            cookie);
    assert_non_null(strstr(cookie, "; Secure"));
    sign_in(*state, "{\"email\":\"a@b\",\"password\":\"p\"}", "X-Forwarded-Proto: http\r\n",
            cookie);
    assert_null(strstr(cookie, "Secure"));
    sign_out(*state, token, &r);
    assert_string_equal(reply_header(&r, "Set-Cookie"),
                        "rds_session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    sign_out(*state, "nonsense", &r);
}

static void test_me_by_key(void **state)
{
    auto_reply struct reply r = {0};
    const struct row me = {"GET", "/rds/auth/me"};
    ask(*state, &me, STUB_BOB_KEY, 200, &r);
    assert_string_equal(text_at(&r, "email"), "");
    assert_string_equal(text_at(&r, "accountName"), "bob");
    assert_false(json_boolean_value(value_at(r.json, "admin")));
    assert_null(reply_header(&r, "Set-Cookie"));
}

/* --- events --- */

static void test_events(void **state)
{
    auto_reply struct reply r = {0};
    const struct row events = {"GET", "/rds/v1/admin/events"};
    ask(*state, &events, NULL, 200, &r);
    assert_string_equal(reply_header(&r, "Content-Type"), "text/event-stream");
    assert_memory_equal(r.body.data, "retry: 2000\n\nevent: activity\nid: 2\ndata: {\"id\":2,", 49);
    assert_string_equal(r.body.data + r.body.len - 3, "}\n\n");
}

/* Ids are this dialect's, also inside. */
static void test_an_event_as_json(void **state)
{
    const char *vm = "aaaaaaaaaaaaaaaaaaaa";
    json_t *data = json_pack("{s:s, s:[s, s], s:s, s:s, s:i}", "vm", vm, "children", vm, vm,
                             "image", "bash", "reason", vm, "n", 5);
    struct activity a = {.id = 7,
                         .type = "snapshot.created",
                         .entity = "bbbbbbbbbbbbbbbbbbbb",
                         .name = (char *)"n",
                         .text = (char *)"t",
                         .data = data};
    json_t *o = rds_event_json(&a);
    json_t *vm_id = rds_id_json("vm-", vm), *snap_id = rds_id_json("snap-", a.entity);
    assert_string_equal(json_string_value(value_at(o, "entityType")), "snapshot");
    assert_true(json_equal(value_at(o, "entityId"), snap_id));
    assert_true(json_equal(value_at(o, "meta.vm"), vm_id));
    assert_true(json_equal(value_at(o, "meta.children.1"), vm_id));
    assert_string_equal(json_string_value(value_at(o, "meta.image")), "bash");
    assert_string_equal(json_string_value(value_at(o, "meta.reason")), vm);
    assert_true(json_is_null(value_at(o, "accountId")));
    json_decref(o);
    json_decref(vm_id);
    json_decref(snap_id);
    json_decref(data);
}

/* --- what is refused --- */

static void test_refused(void **state)
{
    static const struct {
        const char *method, *path, *body;
        int status;
        const char *field;
    } cases[] = {
        {"POST", "/rds/auth/login", "{}", 400, "email"},
        {"POST", "/rds/auth/login", "{\"email\":\"a@b\"}", 400, "password"},
        {"POST", "/rds/auth/login", "{\"email\":\"a@b\",\"password\":\"x\"}", 401, NULL},
        {"POST", "/rds/auth/login", "{\"apiKey\":\"x\"}", 401, NULL},
        {"POST", "/rds/v1/admin/api-keys", "{}", 400, "name"},
        {"POST", "/rds/v1/admin/api-keys", "{\"name\":\"x\",\"expiresAt\":\"x\"}", 400,
         "expiresAt"},
        {"POST", "/rds/v1/admin/api-keys", "{\"name\":\"x\",\"expiresAt\":\"1970-01-01\"}", 400,
         "expiresAt"},
        {"POST", "/rds/v1/admin/api-keys/x/revoke", NULL, 400, NULL},
        {"GET", "/rds/v1/admin/activity?limit=501", NULL, 400, "limit"},
        {"GET", "/rds/v1/admin/activity?before=x", NULL, 400, "before"},
        {"GET", "/rds/v1/admin/events?after=-1", NULL, 400, "after"},
        {"POST", "/rds/v1/admin/webhooks", "{\"name\":\"x\"}", 400, "url"},
        {"POST", "/rds/v1/admin/webhooks",
         "{\"name\":\"x\",\"url\":\"http://a/\",\"eventTypes\":[\"a b\"]}", 400, "eventTypes"},
        {"PATCH", "/rds/v1/admin/webhooks/{hook}", "{\"enabled\":1}", 400, "enabled"},
        {"GET", "/rds/v1/admin/webhooks/x", NULL, 400, NULL},
        {"DELETE", "/rds/v1/admin/webhooks/00000000-0000-8000-8000-000000000000", NULL, 404, NULL},
    };
    auto_reply struct reply r = {0};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct row row = {cases[i].method, cases[i].path, cases[i].body};
        ask(*state, &row, NULL, cases[i].status, &r);
        const char *field = json_string_value(json_object_get(r.json, "field"));
        if (cases[i].field ? !field || strcmp(field, cases[i].field) != 0 : field != NULL)
            fail_msg("%s: %s", cases[i].path, buf_str(&r.body));
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rows_succeed),   TEST(test_who_may_call_them),
        TEST(test_the_host_fails), TEST(test_cookies),
        TEST(test_me_by_key),      TEST(test_events),
        TEST(test_refused),        cmocka_unit_test(test_an_event_as_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
