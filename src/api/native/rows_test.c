/* SPDX-License-Identifier: Apache-2.0 */

/* What holds for every row: it has a case here, which succeeds; each failure of the host has its
 * status; without a key nothing is told; what is another account's is not there; a body that is
 * wrong is refused, and the field named. */

#include "api/native/test_util.h"

#include "api/route.h"
#include "base/limits.h"
#include "host/staging.h"

/* A call that succeeds. In path and body {vm} is the VM, {snap} a snapshot of it, {job} a command
 * in the background, {key} a key, {account} another account, {url} a staged file's. */
static const struct row_case {
    const char *operation;
    const char *path; /* behind the row's pattern: the query; NULL: none */
    const char *body;
    int status;
} cases[] = {
    {"healthz", NULL, NULL, 200},
    {"listVms", NULL, NULL, 200},
    {"launchVm", NULL,
     "{\"machineType\":\"c1m0.25\",\"name\":\"x\",\"metadata\":{\"a\":\"b\"},\"envVars\":{},"
     "\"firewall\":{},\"diskGiB\":4,\"ttl\":{\"seconds\":5,\"action\":\"stop\"},\"idle\":null}",
     201},
    {"getVm", NULL, NULL, 200},
    {"updateVm", NULL,
     "{\"name\":\"x\",\"metadata\":{},\"ttl\":null,"
     "\"idle\":{\"seconds\":5,\"action\":\"pause\"}}",
     200},
    {"deleteVm", NULL, NULL, 200},
    {"setFirewall", NULL, "{\"ingress\":{}}", 200},
    {"patchFirewall", NULL, "{\"egress\":{}}", 200},
    {"pauseVm", NULL, NULL, 200},
    {"resumeVm", NULL, NULL, 200},
    {"suspendVm", NULL, NULL, 200},
    {"startVm", NULL, NULL, 200},
    {"refreshTtl", NULL, NULL, 200},
    {"stopVm", NULL, "{\"timeoutSec\":1,\"force\":false}", 200},
    {"resizeVm", NULL, "{\"diskGiB\":3,\"machineType\":\"c2m4\"}", 200},
    {"forkVm", NULL, "{\"count\":2,\"name\":\"x\",\"metadata\":{}}", 201},
    {"getVmStats", NULL, NULL, 200},
    {"execInVm", NULL,
     "{\"command\":[\"echo\"],\"timeoutSec\":1,\"stdin\":\"\",\"cwd\":\"/\",\"env\":{},"
     "\"user\":\"x\",\"background\":false}",
     200},
    {"listExecs", NULL, NULL, 200},
    {"getExec", NULL, NULL, 200},
    {"getExecOutput", "?offset=0&follow=0", NULL, 200},
    {"deleteExec", "?signal=1", NULL, 200},
    {"getFile", "?path=/dir&list=1", NULL, 200},
    {"putFile", "?path=/x&mode=0600", NULL, 201},
    {"deleteFile", "?path=/there", NULL, 200},
    {"presignFile", NULL, "{\"path\":\"/x\"}", 200},
    {"fetchFile", NULL, "{\"url\":\"{url}\",\"path\":\"/x\",\"timeoutSec\":5}", 200},
    {"putStaged", "?{upload}", NULL, 200},
    {"getStaged", "?{download}", NULL, 200},
    {"createSnapshot", NULL, "{\"vmId\":\"{vm}\",\"name\":\"x\"}", 201},
    {"listSnapshots", NULL, NULL, 200},
    {"getSnapshot", NULL, NULL, 200},
    {"renameSnapshot", NULL, "{\"name\":\"x\"}", 200},
    {"deleteSnapshot", NULL, NULL, 200},
    {"createConsoleToken", NULL, "{\"kind\":\"shell\",\"command\":[\"top\"],\"user\":\"x\"}", 200},
    {"connectConsole", "?session=x", NULL, 400}, /* no handshake; console_test.c has the rest */
    {"getConsoleLog", NULL, NULL, 200},
    {"listKeys", NULL, NULL, 200},
    {"createKey", NULL,
     "{\"name\":\"x\",\"accountId\":\"{account}\",\"expiresAt\":\"2199-01-01T00:00:00Z\"}", 201},
    {"revokeKey", NULL, NULL, 200},
    {"getQuotas", NULL, NULL, 200},
    {"listAccounts", NULL, NULL, 200},
    {"createAccount", NULL,
     "{\"name\":\"x\",\"quotas\":{\"vcpu\":1,\"memoryMiB\":1,"
     "\"diskGiB\":1,\"snapshotCount\":1}}",
     201},
    {"getAccount", NULL, NULL, 200},
    {"updateAccount", NULL, "{\"name\":\"x\",\"quotas\":{\"vcpu\":1}}", 200},
    {"deleteAccount", NULL, NULL, 200},
    {"listMachineTypes", NULL, NULL, 200},
    {"listImages", NULL, NULL, 200},
    {"createImage", NULL, "{\"name\":\"x\",\"description\":\"y\"}", 201},
    {"getImage", NULL, NULL, 200},
    {"updateImage", NULL, "{\"name\":\"x\",\"description\":\"y\"}", 200},
    {"deleteImage", NULL, NULL, 200},
    {"setDefaultImage", NULL, NULL, 200},
    {"putImageKernel", NULL, NULL, 200},
    {"putImageRootfs", NULL, NULL, 200},
    {"listImageBuilds", NULL, NULL, 200},
    {"buildImage", NULL, "{\"name\":\"c\",\"sizeMib\":64,\"force\":true}", 202},
    {"buildImageFromOci", "?name=x&sizeMib=64", NULL, 202},
    {"buildImageFromDockerfile", "?name=y", NULL, 202},
    {"getImageBuild", NULL, NULL, 200},
    {"getImageBuildLog", NULL, NULL, 200},
    {"cancelImageBuild", NULL, NULL, 200},
    {"listRemoteImages", NULL, NULL, 200},
    {"pullImage", NULL, "{\"name\":\"python\",\"what\":\"both\"}", 202},
    {"pushImage", NULL, "{\"what\":\"image\"}", 202},
};

/* A world with one of everything. */
struct rows {
    struct native *native;
    struct staging_ticket ticket;
    char snapshot[UUID_SIZE], job[UUID_SIZE], key[UUID_SIZE], account[UUID_SIZE];
    char image[UUID_SIZE], build[UUID_SIZE];
};

/* Both, so that it can be anybody's default. */
static void add_image_files(struct rows *w)
{
    static const char *const parts[] = {"kernel", "rootfs"};
    auto_reply struct reply r = {0};
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        char path[96];
        snprintf(path, sizeof(path), "/v1/images/%s/%s", w->image, parts[i]);
        native_call(w->native, &(struct call){"PUT", path, .status = 200}, &r);
    }
}

static int rows_setup(void **state)
{
    struct rows *w = calloc(1, sizeof(*w));
    void *native = NULL;
    native_setup(&native);
    w->native = native;
    stub_remote_set(true);
    auto_reply struct reply r = {0};
    char body[128];
    vm_call(
        w->native,
        &(struct call){"PATCH", "", "{\"ttl\":{\"seconds\":9,\"action\":\"stop\"}}", .status = 200},
        &r);
    snprintf(body, sizeof(body), "{\"vmId\":\"%s\"}", w->native->vm);
    native_call(w->native, &(struct call){"POST", "/v1/snapshots", body, .status = 201}, &r);
    snprintf(w->snapshot, UUID_SIZE, "%s", text_at(&r, "id"));
    native_call(w->native, &(struct call){"POST", "/v1/keys", .status = 201}, &r);
    snprintf(w->key, UUID_SIZE, "%s", text_at(&r, "id"));
    native_call(w->native,
                &(struct call){"POST", "/v1/accounts", "{\"name\":\"ann\"}", .status = 201}, &r);
    snprintf(w->account, UUID_SIZE, "%s", text_at(&r, "id"));
    native_call(w->native,
                &(struct call){"POST", "/v1/images", "{\"name\":\"own\"}", .status = 201}, &r);
    snprintf(w->image, UUID_SIZE, "%s", text_at(&r, "id"));
    add_image_files(w);
    native_call(w->native,
                &(struct call){"POST", "/v1/builds", "{\"name\":\"python\"}", .status = 202}, &r);
    snprintf(w->build, UUID_SIZE, "%s", text_at(&r, "id"));
    uuid_from_id("runningrunningrunnin", w->job);
    vm_call(w->native, &(struct call){"PUT", "/files?path=/there", .status = 201}, &r);
    assert_int_equal(staging_sign(host_staging(NULL), STUB_ADMIN, 99, &w->ticket, NULL), 0);
    auto_close int fd = -1;
    assert_int_equal(staging_create(host_staging(NULL), &fd, NULL), 0);
    assert_int_equal(staging_commit(host_staging(NULL), w->ticket.object, fd, NULL), 0);
    *state = w;
    return 0;
}

static int rows_teardown(void **state)
{
    struct rows *w = *state;
    void *native = w->native;
    stub_remote_set(false);
    native_teardown(&native);
    free(w);
    return 0;
}

static const struct row_case *case_of(const struct route *row)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        if (strcmp(cases[i].operation, row->operation) == 0)
            return &cases[i];
    }
    fail_msg("%s has no case", row->operation);
    return NULL;
}

/* What a word in braces stands for; {id} is that of the thing the path begins with. */
static void expand_one(const struct rows *w, const char *path, const char *name, struct buf *ret)
{
    if (strcmp(name, "id") == 0)
        name = strncmp(path, "/v1/vms", 7) == 0            ? "vm"
               : strncmp(path, "/v1/snapshots", 13) == 0   ? "snap"
               : strncmp(path, "/v1/keys", 8) == 0         ? "key"
               : strncmp(path, "/v1/builds/", 11) == 0     ? "build"
               : strcmp(path, "/v1/images/{id}/push") == 0 ? "own image"
               : strncmp(path, "/v1/images", 10) == 0      ? "image"
                                                           : "account";
    if (strcmp(name, "vm") == 0)
        buf_append_str(ret, w->native->vm);
    else if (strcmp(name, "snap") == 0)
        buf_append_str(ret, w->snapshot);
    else if (strcmp(name, "build") == 0)
        buf_append_str(ret, w->build);
    else if (strcmp(name, "image") == 0)
        buf_append_str(ret, w->image);
    else if (strcmp(name, "own image") == 0)
        buf_append_str(ret, "bash"); /* Holm's */
    else if (strcmp(name, "execId") == 0)
        buf_append_str(ret, w->job);
    else if (strcmp(name, "key") == 0)
        buf_append_str(ret, w->key);
    else if (strcmp(name, "account") == 0)
        buf_append_str(ret, w->account);
    else if (strcmp(name, "object") == 0)
        buf_append_str(ret, w->ticket.object);
    else if (strcmp(name, "upload") == 0)
        buf_append_str(ret, w->ticket.upload_query);
    else if (strcmp(name, "download") == 0)
        buf_append_str(ret, w->ticket.download_query);
    else if (strcmp(name, "url") == 0)
        buf_printf(ret, "http://x/v1/staging/%s?%s", w->ticket.object, w->ticket.download_query);
    else
        buf_printf(ret, "{%s}", name);
}

static void expand(const struct rows *w, const char *path, const char *text, struct buf *ret)
{
    while (text && *text) {
        size_t len = *text == '{' ? strspn(text + 1, "abcdefghijklmnopqrstuvwxyzI") : 0;
        char name[16] = "";
        if (len && len < sizeof(name) && text[len + 1] == '}') {
            memcpy(name, text + 1, len);
            expand_one(w, path, name, ret);
            text += len + 2;
        } else {
            buf_append(ret, text++, 1);
        }
    }
}

/* Calls a row; `body` NULL: its case's. */
static void call_row(const struct rows *w, const struct route *row, const char *key,
                     const char *body, struct reply *ret)
{
    const struct row_case *c = case_of(row);
    auto_buf struct buf path = {0}, text = {0};
    expand(w, row->path, row->path, &path);
    expand(w, row->path, c->path, &path);
    expand(w, row->path, body ? body : c->body, &text);
    native_call(w->native,
                &(struct call){route_method_name(row->method), buf_str(&path),
                               body || c->body ? buf_str(&text) : NULL, .key = key},
                ret);
}

typedef void (*row_fn)(struct rows *w, const struct route *row);

/* In a world of its own, since a case may delete what it is about. */
static void each_row(row_fn fn)
{
    const struct route *row;
    for (size_t i = 0; (row = route_at(i)); i++) {
        if (row->dialect != &native_dialect)
            continue;
        void *w = NULL;
        rows_setup(&w);
        fn(w, row);
        rows_teardown(&w);
    }
}

static void fail_row(const struct route *row, const char *what, const struct reply *r)
{
    fail_msg("%s: %s: %d %s", row->operation, what, r->status, buf_str(&r->body));
}

/* ---- it succeeds, with all that it promises ---- */

static void check_fields(const struct route *row, const json_t *object, const struct field *fields)
{
    for (const struct field *f = fields; f->name; f++) {
        const json_t *v = json_object_get(object, f->name);
        if (!v && f->flags & FIELD_REQUIRED)
            fail_msg("%s: its answer has no \"%s\"", row->operation, f->name);
        if (v && json_is_null(v) && !(f->flags & FIELD_NULLABLE))
            fail_msg("%s: \"%s\" of its answer is null", row->operation, f->name);
    }
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        const struct field *f = fields;
        while (f->name && strcmp(f->name, key) != 0)
            f++;
        if (!f->name)
            fail_msg("%s: its answer has \"%s\", which is not described", row->operation, key);
    }
}

static void succeeds(struct rows *w, const struct route *row)
{
    auto_reply struct reply r = {0};
    call_row(w, row, NULL, NULL, &r);
    if (r.status != case_of(row)->status)
        fail_row(row, "its case", &r);
    if (!row->response || row->content_type || strcmp(row->operation, "getFile") == 0)
        return;
    if (row->flags & ROUTE_LIST) {
        for (size_t i = 0; i < json_array_size(r.json); i++)
            check_fields(row, json_array_get(r.json, i), row->response);
    } else {
        check_fields(row, r.json, row->response);
    }
}

static void test_every_row_succeeds(void **state)
{
    each_row(succeeds);
}

/* ---- each failure of the host has its status ---- */

/* These ask the host for nothing that can fail so, or take one of its failures for an answer. */
static bool takes_failure(const struct route *row, enum err_class class)
{
    static const char *const never[] = {"healthz", "putStaged", "getStaged", "connectConsole",
                                        "listMachineTypes"};
    for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
        if (strcmp(never[i], row->operation) == 0)
            return true;
    }
    return class == ERR_CONFLICT && strcmp(row->operation, "deleteExec") == 0;
}

static void fails(struct rows *w, const struct route *row)
{
    static const enum err_class classes[] = {ERR_INVALID,  ERR_FORBIDDEN,   ERR_NOT_FOUND,
                                             ERR_CONFLICT, ERR_TOO_LARGE,   ERR_TIMEOUT,
                                             ERR_FULL,     ERR_UNAVAILABLE, ERR_INTERNAL};
    for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
        if (takes_failure(row, classes[i]))
            continue;
        auto_reply struct reply r = {0};
        stub_fail_next(classes[i]);
        call_row(w, row, NULL, NULL, &r);
        if (r.status != err_http_status(classes[i]) ||
            strcmp(text_at(&r, "error.code"), err_class_name(classes[i])) != 0)
            fail_row(row, err_class_name(classes[i]), &r);
        if (classes[i] == ERR_FULL)
            assert_string_equal(reply_header(&r, "Retry-After"), "3");
        if (classes[i] == ERR_CONFLICT)
            assert_string_equal(reply_header(&r, "x-should-retry"), "false");
    }
}

static void test_every_failure_has_its_status(void **state)
{
    each_row(fails);
}

/* ---- from inside of a VM ---- */

/* At the guests' listener there is nothing but staged files, also for one who has a key. */
static void test_guests_reach_staged_files_only(void **state)
{
    static const struct listener_config listener = {.address = "127.0.0.1:0",
                                                    .trust = LISTENER_GUESTS};
    const struct server_config config = {.listeners = &listener, .n_listeners = 1};
    struct native n = {0};
    test_server_start(&n.ts, &config);
    struct rows w = {.native = &n};
    assert_int_equal(staging_sign(host_staging(NULL), STUB_BOB, 99, &w.ticket, NULL), 0);
    const struct route *row;
    auto_reply struct reply r = {0};
    for (size_t i = 0; (row = route_at(i)); i++) {
        if (row->dialect != &native_dialect || row->flags & ROUTE_GUEST)
            continue;
        call_row(&w, row, NULL, NULL, &r);
        if (r.status != 403)
            fail_row(row, "at the guests' listener", &r);
    }
    static const char *const others[] = {"/", "/metrics", "/openapi.json", "/health", "/nothing"};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        native_call(&n, &(struct call){"GET", others[i], .status = 403}, &r);
    char path[512];
    snprintf(path, sizeof(path), "/v1/staging/%s?%s", w.ticket.object, w.ticket.upload_query);
    reply_done(&r);
    request(&n.ts, "PUT", path, "Host: holm.example.org\r\n", "from inside", &r);
    assert_int_equal(r.status, 200);
    snprintf(path, sizeof(path), "/v1/staging/%s?%s", w.ticket.object, w.ticket.download_query);
    native_call(&n, &(struct call){"GET", path, .key = "", .status = 200}, &r);
    assert_string_equal(buf_str(&r.body), "from inside");
    test_server_stop(&n.ts);
}

/* ---- keys and owners ---- */

static void needs_key(struct rows *w, const struct route *row)
{
    static const char *const keys[] = {"", "holm_wrong", STUB_BOB_KEY "x"};
    if (row->flags & (ROUTE_OPEN | ROUTE_SIGNED))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        auto_reply struct reply r = {0};
        call_row(w, row, keys[i], NULL, &r);
        if (r.status != 401)
            fail_row(row, "without a key", &r);
        assert_error(&r, "unauthorized", "");
    }
}

static void test_every_row_needs_a_key(void **state)
{
    each_row(needs_key);
}

static void is_not_there_for_others(struct rows *w, const struct route *row)
{
    bool names_one = strstr(row->path, "{id}") || strcmp(row->operation, "createSnapshot") == 0;
    if (!names_one || row->flags & ROUTE_SIGNED)
        return;
    auto_reply struct reply r = {0};
    call_row(w, row, STUB_BOB_KEY, NULL, &r);
    if (r.status != (row->flags & ROUTE_ADMIN ? 403 : 404))
        fail_row(row, "of another account", &r);
    /* Nothing was done: it is as before for its owner. */
    vm_call(w->native, &(struct call){"GET", "", .status = 200}, &r);
    assert_string_equal(text_at(&r, "status"), "running");
    assert_string_equal(text_at(&r, "name"), "vm-12345678");
}

static void test_what_is_anothers_is_not_there(void **state)
{
    each_row(is_not_there_for_others);
}

/* Ids that are none. */
static void knows_no_such_id(struct rows *w, const struct route *row)
{
    static const char *const ids[] = {"x", "00000000-0000-4000-8000-000000000001",
                                      "00000000-0000-8000-8000-000000040000", "%20", "..%2f.."};
    if (!strstr(row->path, "{id}") || row->flags & ROUTE_SIGNED)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        auto_reply struct reply r = {0};
        auto_buf struct buf path = {0}, text = {0};
        const char *at = strstr(row->path, "{id}");
        buf_append(&path, row->path, (size_t)(at - row->path));
        buf_append_str(&path, ids[i]);
        expand(w, row->path, at + 4, &path);
        expand(w, row->path, case_of(row)->path, &path);
        expand(w, row->path, case_of(row)->body, &text);
        native_call(w->native,
                    &(struct call){route_method_name(row->method), buf_str(&path),
                                   case_of(row)->body ? buf_str(&text) : NULL},
                    &r);
        if (r.status != 404)
            fail_row(row, ids[i], &r);
    }
}

static void test_no_such_id(void **state)
{
    each_row(knows_no_such_id);
}

/* ---- bodies that are wrong ---- */

static unsigned long random_state;

static unsigned dice(unsigned n)
{
    random_state = random_state * 6364136223846793005ul + 1442695040888963407ul;
    return (unsigned)(random_state >> 33) % n;
}

/* A value that a field must refuse, or NULL: it takes all. */
static json_t *wrong_value(const struct field *f)
{
    static const enum field_type texts[] = {FIELD_TEXT, FIELD_CHOICE};
    bool is_text = f->type == texts[0] || f->type == texts[1];
    bool is_number = f->type == FIELD_INTEGER || f->type == FIELD_NUMBER;
    bool is_object = f->type == FIELD_OBJECT || f->type == FIELD_MAP;
    switch (dice(9)) {
    case 0:
        return is_text ? json_integer(1) : json_string("a string");
    case 1:
        return f->type == FIELD_TEXTS ? json_pack("[i]", 1) : json_pack("[s]", "a");
    case 2:
        return is_object ? json_pack("{s:[]}", "nothing like it") : json_pack("{s:s}", "a", "b");
    case 3:
        return f->type == FIELD_BOOL ? json_integer(0) : json_true();
    case 4:
        return f->type == FIELD_NUMBER ? json_integer(-5) : json_real(1.5);
    case 5:
        return is_number ? json_integer(INT64_MAX) : json_integer(-1);
    case 6:
        return is_text && f->max_bytes ? json_stringn_nocheck("a\0b", 3) : json_pack("[[]]");
    case 7:
        return f->flags & FIELD_REQUIRED ? json_null() : json_pack("[{}]");
    default:
        return f->type == FIELD_CHOICE ? json_string("no such choice") : json_pack("[n]");
    }
}

static void must_refuse(const struct rows *w, const struct route *row, json_t *body,
                        const char *field)
{
    auto_reply struct reply r = {0};
    auto_free char *text = json_dumps(body, JSON_COMPACT);
    call_row(w, row, NULL, text, &r);
    const char *named = r.status == 400 || r.status == 413
                            ? json_string_value(json_object_get(value_at(r.json, "error"), "field"))
                            : NULL;
    if (!named || strncmp(named, field, strlen(field)) != 0)
        fail_msg("%s: %s of %s: %d %s", row->operation, field, text, r.status, buf_str(&r.body));
}

/* One mistake in a body that is right otherwise. */
static void spoil(const struct rows *w, const struct route *row, const struct field *fields)
{
    auto_buf struct buf right = {0};
    expand(w, row->path, case_of(row)->body, &right);
    json_t *body = json_loads(buf_str(&right), 0, NULL);
    size_t n = 0;
    while (fields[n].name)
        n++;
    const struct field *f = &fields[dice((unsigned)n)];
    unsigned what = dice(12);
    if (what == 0) {
        json_object_set_new(body, "noSuchField", json_integer(1));
        must_refuse(w, row, body, "noSuchField");
    } else if (what == 1 && f->flags & FIELD_REQUIRED) {
        json_object_del(body, f->name);
        must_refuse(w, row, body, f->name);
    } else if (f->type != FIELD_JSON) {
        json_object_set_new(body, f->name, wrong_value(f));
        must_refuse(w, row, body, f->name);
    }
    json_decref(body);
}

static void refuse_garbage(const struct rows *w, const struct route *row)
{
    static const char *const garbage[] = {"{",        "[]",     "null", "\"{}\"",           "{}x",
                                          "{\"a\":}", "\xff{}", "1e9",  "{\"a\":1,\"a\":2}"};
    for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
        auto_reply struct reply r = {0};
        call_row(w, row, NULL, garbage[i], &r);
        if (r.status != 400)
            fail_row(row, garbage[i], &r);
        assert_string_equal(text_at(&r, "error.code"), "invalid");
    }
}

static void refuses(struct rows *w, const struct route *row)
{
    if (!row->request)
        return;
    random_state = 42;
    refuse_garbage(w, row);
    for (int i = 0; i < 200; i++)
        spoil(w, row, row->request);
}

static void test_wrong_bodies_are_refused(void **state)
{
    each_row(refuses);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_succeeds),
        cmocka_unit_test(test_every_failure_has_its_status),
        cmocka_unit_test(test_guests_reach_staged_files_only),
        cmocka_unit_test(test_every_row_needs_a_key),
        cmocka_unit_test(test_what_is_anothers_is_not_there),
        cmocka_unit_test(test_no_such_id),
        cmocka_unit_test(test_wrong_bodies_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
