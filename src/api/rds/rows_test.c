/* SPDX-License-Identifier: Apache-2.0 */

/* The rows over HTTP, with the stub host: what is answered, in which words, and what is passed on.
 * Every failure of the host has its status; without a key nothing is told; what is another
 * account's is not there. */

#include "api/rds/rds.h"

#include <string.h>

#include "api/native/test_util.h"
#include "base/limits.h"

#define CREATE "{\"cpu\":1,\"memMb\":256,\"allowIps\":[]}"
#define UNKNOWN "00000000-0000-8000-8000-000000000000"

/* A VM, a snapshot of it and an image of the admin's. */
struct fixture {
    struct native *native;
    char vm[64], snapshot[64], image[64];
};

static void ask(struct fixture *f, const struct call *c, struct reply *ret)
{
    static const char *const names[] = {"{vm}", "{snap}", "{img}"};
    const char *const values[] = {f->vm, f->snapshot, f->image};
    auto_buf struct buf path = {0};
    buf_append_str(&path, "/rds");
    for (const char *p = c->path; *p;) {
        size_t i = 0;
        while (i < ARRAY_SIZE(names) && strncmp(p, names[i], strlen(names[i])) != 0)
            i++;
        buf_append(&path, i < 3 ? values[i] : p, i < 3 ? strlen(values[i]) : 1);
        p += i < 3 ? strlen(names[i]) : 1;
    }
    struct call full = *c;
    full.path = buf_str(&path);
    native_call(f->native, &full, ret);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    auto_reply struct reply r = {0};
    native_setup((void **)&f->native);
    ask(f, &(struct call){"POST", "/v1/vms", CREATE, .status = 201}, &r);
    snprintf(f->vm, sizeof(f->vm), "%s", text_at(&r, "id"));
    ask(f, &(struct call){"POST", "/v1/vms/{vm}/snapshots", NULL, .status = 201}, &r);
    snprintf(f->snapshot, sizeof(f->snapshot), "%s", text_at(&r, "id"));
    ask(f,
        &(struct call){"POST", "/v1/images", "{\"name\":\"n\",\"description\":\"d\"}",
                       .status = 201},
        &r);
    snprintf(f->image, sizeof(f->image), "%s", text_at(&r, "id"));
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

static void assert_says(const struct reply *r, const char *message, const char *field)
{
    const char *has = json_string_value(json_object_get(r->json, "field"));
    if (strcmp(text_at(r, "message"), message) != 0 || strcmp(has ? has : "", field) != 0)
        fail_msg("not \"%s\" of \"%s\": %s", message, field, buf_str(&r->body));
}

/* ---- what is refused, and in which words ---- */

static const struct {
    const char *method, *path, *body;
    int status;
    const char *message, *field;
} refused[] = {
    {"GET", "/v1/vms/zzz", NULL, 400, "Invalid VM id", ""},
    {"GET", "/v1/vms/snap-" UNKNOWN, NULL, 400, "Invalid VM id", ""},
    {"GET", "/v1/vms/vm-" UNKNOWN, NULL, 404, "VM not found", ""},
    {"GET", "/v1/vms/vm-12345678-1234-4234-9234-123456789012", NULL, 404, "VM not found", ""},
    {"POST", "/v1/vms/" UNKNOWN "/start", NULL, 404, "VM not found", ""},
    {"POST", "/v1/vms/" UNKNOWN "/stop", NULL, 404, "VM not found", ""},
    {"DELETE", "/v1/vms/" UNKNOWN, NULL, 404, "VM not found", ""},
    {"GET", "/v1/vms/" UNKNOWN "/logs", NULL, 404, "VM not found", ""},
    {"POST", "/v1/vms/" UNKNOWN "/exec", "{\"cmd\":\"echo\"}", 404, "VM not found", ""},
    {"POST", "/v1/vms/" UNKNOWN "/run-ts", "{\"code\":\"1\"}", 404, "VM not found", ""},
    {"POST", "/v1/vms/" UNKNOWN "/snapshots", NULL, 404, "VM not found", ""},
    {"DELETE", "/v1/snapshots/x", NULL, 400, "Invalid snapshot id", ""},
    {"DELETE", "/v1/snapshots/snap-" UNKNOWN, NULL, 404, "Snapshot not found", ""},
    {"GET", "/v1/images/x", NULL, 400, "Invalid image id", ""},
    {"GET", "/v1/images/img-" UNKNOWN, NULL, 404, "Image not found", ""},
    {"POST", "/v1/images/img-" UNKNOWN "/set-default", NULL, 404, "Image not found", ""},
    {"DELETE", "/v1/images/img-" UNKNOWN, NULL, 404, "Image not found", ""},
    {"PUT", "/v1/images/img-" UNKNOWN "/kernel", "x", 404, "Image not found", ""},
    {"POST", "/v1/images", "{\"name\":\"x\"}", 400, "name and description are required",
     "description"},
    {"POST", "/v1/images", "{\"description\":\"x\"}", 400, "name and description are required",
     "name"},
    {"POST", "/v1/images", "{\"name\":\"\",\"description\":null}", 400,
     "name and description are required", "name"},
    {"POST", "/v1/images/{img}/set-default", NULL, 409, NULL, ""},
    {"PUT", "/v1/images/{img}/rootfs", "bad", 400, "this is no kernel", ""},
    {"GET", "/v1/vms/{vm}/logs?type=secrets", NULL, 400, "Invalid log type", "type"},
    {"GET", "/v1/vms/{vm}/logs?tail=x", NULL, 400, NULL, "tail"},
    {"POST", "/v1/vms", "{\"memMb\":256,\"allowIps\":[]}", 400, "missing required field \"cpu\"",
     "cpu"},
    {"POST", "/v1/vms", "{\"cpu\":1,\"memMb\":256}", 400, "missing required field \"allowIps\"",
     "allowIps"},
    {"POST", "/v1/vms", "{\"cpu\":0,\"memMb\":256,\"allowIps\":[]}", 400, "Invalid cpu (maxCpu=8)",
     "cpu"},
    {"POST", "/v1/vms", "{\"cpu\":9,\"memMb\":256,\"allowIps\":[]}", 400, "Invalid cpu (maxCpu=8)",
     "cpu"},
    {"POST", "/v1/vms", "{\"cpu\":1.5,\"memMb\":256,\"allowIps\":[]}", 400,
     "Invalid cpu (maxCpu=8)", "cpu"},
    {"POST", "/v1/vms", "{\"cpu\":\"1\",\"memMb\":256,\"allowIps\":[]}", 400, NULL, "cpu"},
    {"POST", "/v1/vms", "{\"cpu\":1,\"memMb\":127,\"allowIps\":[]}", 400,
     "Invalid memMb (maxMemMb=8192)", "memMb"},
    {"POST", "/v1/vms", "{\"cpu\":1,\"memMb\":8193,\"allowIps\":[]}", 400,
     "Invalid memMb (maxMemMb=8192)", "memMb"},
    {"POST", "/v1/vms", "{\"cpu\":1,\"memMb\":256,\"allowIps\":[\"a\"]}", 400, NULL, "allowIps[0]"},
    {"POST", "/v1/vms",
     "{\"cpu\":1,\"memMb\":256,\"allowIps\":[\"1.1.1.1\",\"::1\",\"::2\",\"::3\"]}", 400,
     "Too many allowIps (maxAllowIps=3)", "allowIps"},
    {"POST", "/v1/vms", "{\"cpu\":1,\"memMb\":256,\"allowIps\":[],\"diskSizeMb\":-1}", 400,
     "Invalid diskSizeMb", "diskSizeMb"},
    {"POST", "/v1/vms", "{\"cpu\":1,\"memMb\":256,\"allowIps\":[],\"diskSizeMb\":10}", 400,
     "diskSizeMb too small (min=300)", "diskSizeMb"},
    {"POST", "/v1/vms", "{\"cpu\":1,\"memMb\":256,\"allowIps\":[],\"diskSizeMb\":2000000000}", 400,
     "diskSizeMb too large (max=1048576)", "diskSizeMb"},
    {"POST", "/v1/vms", "{\"cpu\":1,\"memMb\":256,\"allowIps\":[],\"imageId\":\"img-" UNKNOWN "\"}",
     404, "Image not found", ""},
    {"POST", "/v1/vms", "{\"cpu\":1,\"memMb\":256,\"allowIps\":[],\"snapshotId\":\"x\"}", 400,
     "Invalid snapshot id", ""},
    {"POST", "/v1/vms",
     "{\"cpu\":1,\"memMb\":256,\"allowIps\":[],\"snapshotId\":\"snap-" UNKNOWN "\"}", 404,
     "Snapshot not found", ""},
    {"POST", "/v1/vms/{vm}/exec", "{}", 400, "missing required field \"cmd\"", "cmd"},
    {"POST", "/v1/vms/{vm}/exec", "{\"cmd\":\"\"}", 400, NULL, "cmd"},
    {"POST", "/v1/vms/{vm}/exec", "{\"cmd\":\"a\",\"env\":{\"A=\":\"1\"}}", 400,
     "Invalid env var name: A=", "env"},
    {"POST", "/v1/vms/{vm}/exec", "{\"cmd\":\"a\",\"timeoutMs\":120001}", 400,
     "timeoutMs exceeds maxExecTimeoutMs=120000", "timeoutMs"},
    {"POST", "/v1/vms/{vm}/exec", "{\"cmd\":\"a\",\"timeoutMs\":0}", 400, NULL, "timeoutMs"},
    {"POST", "/v1/vms/{vm}/exec", "{\"cmd\":\"half\"}", 502, "the guest is gone", ""},
    {"POST", "/v1/vms/{vm}/exec", "{\"cmd\"", 400, NULL, ""},
    {"POST", "/v1/vms/{vm}/exec", "[]", 400, NULL, ""},
    {"POST", "/v1/vms/{vm}/run-ts", "{}", 400, "give either code or path", "code"},
    {"POST", "/v1/vms/{vm}/run-ts", "{\"code\":\"1\",\"path\":\"a.ts\"}", 400,
     "give either code or path", "code"},
    {"POST", "/v1/vms/{vm}/run-ts", "{\"path\":\"../etc/a.ts\"}", 400,
     "path must be of a file in /workspace", "path"},
    {"POST", "/v1/vms/{vm}/run-ts", "{\"path\":\"/workspacer/a.ts\"}", 400,
     "path must be of a file in /workspace", "path"},
    {"POST", "/v1/vms/{vm}/run-ts", "{\"path\":\".\"}", 400, "path must be of a file in /workspace",
     "path"},
    {"POST", "/v1/vms/{vm}/run-ts", "{\"code\":\"1\",\"env\":[\"A\"]}", 400,
     "Invalid env entry (expected KEY=value): A", "env"},
    {"POST", "/v1/vms/{vm}/run-ts", "{\"code\":\"1\",\"env\":[\"A,B=1\"]}", 400,
     "Invalid env entry (expected KEY=value): A,B=1", "env"},
    {"POST", "/v1/vms/{vm}/run-ts", "{\"code\":\"1\",\"timeoutMs\":110001}", 400,
     "timeoutMs exceeds maxRunTsTimeoutMs=110000", "timeoutMs"},
    {"POST", "/v1/vms/{vm}/run-ts", "{\"code\":\"nodeno\"}", 409, "the VM's image has no deno", ""},
    {"GET", "/v1/nothing", NULL, 404, NULL, ""},
    {"PATCH", "/v1/vms", "{}", 405, NULL, ""},
};

static void test_refused(void **state)
{
    struct fixture *f = *state;
    auto_reply struct reply r = {0};
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        ask(f,
            &(struct call){refused[i].method, refused[i].path, refused[i].body,
                           .status = refused[i].status},
            &r);
        assert_says(&r, refused[i].message ? refused[i].message : text_at(&r, "message"),
                    refused[i].field);
    }
}

/* ---- every row ---- */

static const struct {
    const char *operation, *query, *body;
    int status;
} calls[] = {
    {"rdsCreateVm", "", CREATE, 201},
    {"rdsListVms", "?unknown=1&unknown=2", NULL, 200},
    {"rdsGetVm", "", NULL, 200},
    {"rdsStartVm", "", NULL, 204},
    {"rdsStopVm", "", NULL, 204},
    {"rdsDeleteVm", "", NULL, 204},
    {"rdsGetVmLogs", "?type=firecracker.log&tail=2", NULL, 200},
    {"rdsExec", "", "{\"cmd\":\"echo\",\"cwd\":null,\"env\":null,\"timeoutMs\":null,\"x\":1}", 200},
    {"rdsRunTs", "", "{\"code\":\"1\",\"path\":null,\"secretEnv\":[]}", 200},
    {"rdsListSnapshots", "?scope=all", NULL, 200},
    {"rdsCreateSnapshot", "", NULL, 201},
    {"rdsDeleteSnapshot", "", NULL, 204},
    {"rdsListImages", "", NULL, 200},
    {"rdsCreateImage", "", "{\"name\":\"n\",\"description\":\"d\"}", 201},
    {"rdsGetImage", "", NULL, 200},
    {"rdsPutImageKernel", "", "kernel", 204},
    {"rdsPutImageRootfs", "", "rootfs", 204},
    {"rdsSetDefaultImage", "", NULL, 204},
    {"rdsDeleteImage", "", NULL, 204},
};

static const struct route *row_of(const char *operation)
{
    const struct route *r = NULL;
    for (size_t i = 0; (r = route_at(i)); i++) {
        if (strcmp(r->operation, operation) == 0)
            return r;
    }
    fail_msg("no row %s", operation);
    return NULL;
}

/* "/v1/vms/{vm}/exec": the parameter by what it follows. */
static void path_of(const struct route *r, const char *query, char ret[256])
{
    const char *kind = strstr(r->path, "/vms/")         ? "{vm}"
                       : strstr(r->path, "/snapshots/") ? "{snap}"
                                                        : "{img}";
    const char *id = strstr(r->path, "{id}");
    int n = id ? (int)(id - r->path) : (int)strlen(r->path);
    snprintf(ret, 256, "%.*s%s%s%s", n - 4, r->path + 4, id ? kind : "", id ? id + 4 : "", query);
}

static void call_row(struct fixture *f, size_t i, const char *key, int status, struct reply *r)
{
    const struct route *row = row_of(calls[i].operation);
    char path[256];
    path_of(row, calls[i].query, path);
    ask(f,
        &(struct call){route_method_name(row->method), path, calls[i].body, .key = key,
                       .status = status},
        r);
}

static void test_each_row_succeeds(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        void *own = NULL;
        auto_reply struct reply r = {0};
        setup(&own);
        struct fixture *f = own;
        if (strcmp(calls[i].operation, "rdsSetDefaultImage") == 0) {
            ask(f, &(struct call){"PUT", "/v1/images/{img}/kernel", "k", .status = 204}, &r);
            ask(f, &(struct call){"PUT", "/v1/images/{img}/rootfs", "r", .status = 204}, &r);
        }
        call_row(f, i, NULL, calls[i].status, &r);
        assert_true(calls[i].status != 204 || !r.body.len);
        teardown(&own);
    }
}

static void test_without_a_key(void **state)
{
    auto_reply struct reply r = {0};
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        call_row(*state, i, "", 401, &r);
        assert_says(&r, "Unauthorized", "");
        call_row(*state, i, "holm_wrong", 401, &r);
        assert_says(&r, "Unauthorized", "");
    }
}

/* What needs no thing of somebody's works for everyone. */
static void test_anothers(void **state)
{
    auto_reply struct reply r = {0};
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        bool is_about = strchr(row_of(calls[i].operation)->path, '{');
        call_row(*state, i, STUB_BOB_KEY, is_about ? 404 : calls[i].status, &r);
        if (json_is_array(r.json) && strcmp(calls[i].operation, "rdsListImages") != 0 &&
            strcmp(calls[i].operation, "rdsListVms") != 0)
            assert_int_equal(json_array_size(r.json), 0);
    }
}

static void test_the_host_fails(void **state)
{
    static const enum err_class classes[] = {ERR_CONFLICT, ERR_TOO_LARGE, ERR_TIMEOUT,
                                             ERR_RATE,     ERR_FULL,      ERR_UNAVAILABLE,
                                             ERR_INTERNAL, ERR_FORBIDDEN};
    auto_reply struct reply r = {0};
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        for (size_t c = 0; c < ARRAY_SIZE(classes); c++) {
            stub_fail_next(classes[c]);
            call_row(*state, i, NULL, err_http_status(classes[c]), &r);
            assert_true(*text_at(&r, "message"));
            bool waits = classes[c] == ERR_RATE || classes[c] == ERR_FULL;
            assert_int_equal(waits, reply_header(&r, "Retry-After") != NULL);
        }
        stub_fail_next(ERR_NONE);
    }
}

/* ---- VMs ---- */

static void test_a_vm(void **state)
{
    struct fixture *f = *state;
    auto_reply struct reply r = {0};
    ask(f,
        &(struct call){"POST", "/v1/vms",
                       "{\"cpu\":2,\"memMb\":512.0,\"allowIps\":[\"10.0.0.0/8\",\"::1\"],"
                       "\"outboundInternet\":true,\"diskSizeMb\":4096,\"name\":\"lab\","
                       "\"imageId\":\"python\",\"peerLinks\":[]}",
                       .status = 201},
        &r);
    assert_memory_equal(text_at(&r, "id"), "vm-", 3);
    assert_string_equal(text_at(&r, "state"), "RUNNING");
    assert_int_equal(number_at(&r, "cpu"), 2);
    assert_int_equal(number_at(&r, "memMb"), 512);
    assert_int_equal(number_at(&r, "diskSizeMb"), 4096);
    assert_string_equal(text_at(&r, "guestIp"), "172.16.0.2");
    assert_string_equal(text_at(&r, "name"), "lab");
    assert_string_equal(text_at(&r, "provisionMode"), "boot");
    assert_true(json_is_true(value_at(r.json, "outboundInternet")));
    assert_memory_equal(text_at(&r, "imageId"), "img-", 4);
    assert_false(is_there(&r, "snapshotId"));
    assert_true(*text_at(&r, "createdAt"));
    /* What the clients of smaller images ask for is no less than the image's. */
    ask(f,
        &(struct call){"POST", "/v1/vms",
                       "{\"cpu\":1,\"memMb\":256,\"allowIps\":[],\"diskSizeMb\":512}",
                       .status = 201},
        &r);
    assert_int_equal(number_at(&r, "diskSizeMb"), 2048);
}

static void test_from_a_snapshot(void **state)
{
    struct fixture *f = *state;
    auto_reply struct reply r = {0};
    char body[256];
    snprintf(body, sizeof(body), "{\"cpu\":1,\"memMb\":256,\"allowIps\":[],\"snapshotId\":\"%s\"}",
             f->snapshot);
    ask(f, &(struct call){"POST", "/v1/vms", body, .status = 201}, &r);
    assert_string_equal(text_at(&r, "provisionMode"), "snapshot");
    assert_string_equal(text_at(&r, "snapshotId"), f->snapshot);
    snprintf(body, sizeof(body), "{\"cpu\":2,\"memMb\":256,\"allowIps\":[],\"snapshotId\":\"%s\"}",
             f->snapshot);
    ask(f, &(struct call){"POST", "/v1/vms", body, .status = 400}, &r);
    assert_says(&r, "Snapshot cpu/mem mismatch: snapshot=1/256 requested=2/256", "cpu");
    snprintf(body, sizeof(body),
             "{\"cpu\":1,\"memMb\":256,\"allowIps\":[],\"snapshotId\":\"%s\",\"imageId\":"
             "\"python\"}",
             f->snapshot);
    ask(f, &(struct call){"POST", "/v1/vms", body, .status = 400}, &r);
    assert_says(&r, "Snapshot image mismatch: the snapshot is of another image", "imageId");
}

static void test_quota(void **state)
{
    struct fixture *f = *state;
    auto_reply struct reply r = {0};
    for (int i = 0; i < 3; i++) /* there are two */
        ask(f, &(struct call){"POST", "/v1/vms", CREATE, .status = 201}, &r);
    ask(f, &(struct call){"POST", "/v1/vms", CREATE, .status = 429}, &r);
    assert_says(&r, "VM quota exceeded (maxVms=5)", "");
    assert_non_null(reply_header(&r, "Retry-After"));
    ask(f, &(struct call){"GET", "/v1/vms", NULL, .status = 200}, &r);
    assert_int_equal(json_array_size(r.json), 5);
}

/* One that would have to wait for ever is not left behind. */
static void test_a_launch_that_waits(void **state)
{
    struct fixture *f = *state;
    auto_reply struct reply r = {0};
    ask(f,
        &(struct call){"POST", "/v1/vms",
                       "{\"cpu\":1,\"memMb\":256,\"allowIps\":[],\"name\":\"queued\"}",
                       .status = 503},
        &r);
    ask(f, &(struct call){"GET", "/v1/vms", NULL, .status = 200}, &r);
    assert_int_equal(json_array_size(r.json), 2);
}

static void assert_state(struct fixture *f, const char *state)
{
    auto_reply struct reply r = {0};
    ask(f, &(struct call){"GET", "/v1/vms/{vm}", NULL, .status = 200}, &r);
    assert_string_equal(text_at(&r, "state"), state);
}

static void test_moves(void **state)
{
    struct fixture *f = *state;
    auto_reply struct reply r = {0};
    char pause[80];
    static const char *const moves[] = {"stop", "stop", "start", "start"};
    static const char *const states[] = {"STOPPED", "STOPPED", "RUNNING", "RUNNING"};
    for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
        char path[64];
        snprintf(path, sizeof(path), "/v1/vms/{vm}/%s", moves[i]);
        ask(f, &(struct call){"POST", path, NULL, .status = 204}, &r);
        assert_state(f, states[i]);
    }
    snprintf(pause, sizeof(pause), "/v1/vms/%s/pause", f->vm + 3);
    native_call(f->native, &(struct call){"POST", pause, .status = 200}, &r);
    assert_state(f, "PAUSED");
    ask(f, &(struct call){"POST", "/v1/vms/{vm}/snapshots", NULL, .status = 409}, &r);
    assert_says(&r, "VM must be RUNNING to snapshot (state=PAUSED)", "");
    ask(f, &(struct call){"POST", "/v1/vms/{vm}/exec", "{\"cmd\":\"echo\"}", .status = 409}, &r);
    assert_says(&r, "VM must be RUNNING to exec (state=PAUSED)", "");
    ask(f, &(struct call){"POST", "/v1/vms/{vm}/run-ts", "{\"code\":\"1\"}", .status = 409}, &r);
    assert_says(&r, "VM must be RUNNING to run-ts (state=PAUSED)", "");
    ask(f, &(struct call){"POST", "/v1/vms/{vm}/start", NULL, .status = 204}, &r);
    assert_state(f, "RUNNING");
    /* The habits of some clients. */
    ask(f,
        &(struct call){"POST", "/v1/vms/{vm}/stop", NULL,
                       .headers = "Content-Type: application/json\r\nContent-Length: 0\r\n",
                       .status = 204},
        &r);
    ask(f, &(struct call){"POST", "/v1/vms/{vm}/start", "{}", .status = 204}, &r);
}

/* ---- commands ---- */

static void exec(struct fixture *f, const char *body, struct reply *r)
{
    ask(f, &(struct call){"POST", "/v1/vms/{vm}/exec", body, .status = 200}, r);
}

static void assert_out(const struct reply *r, int code, const char *out, const char *err)
{
    assert_int_equal(number_at(r, "exitCode"), code);
    assert_string_equal(text_at(r, "stdout"), out);
    assert_string_equal(text_at(r, "stderr"), err);
}

static void test_exec(void **state)
{
    auto_reply struct reply r = {0};
    exec(*state, "{\"cmd\":\"echo a  b\"}", &r);
    assert_out(&r, 0, "a b\n", "");
    exec(*state, "{\"cmd\":\"err oops\"}", &r);
    assert_out(&r, 0, "", "oops\n");
    exec(*state, "{\"cmd\":\"exit 3\"}", &r);
    assert_out(&r, 3, "", "");
    exec(*state, "{\"cmd\":\"kill\"}", &r);
    assert_out(&r, 137, "", "");
    exec(*state, "{\"cmd\":\"timeout\",\"timeoutMs\":5.5}", &r);
    assert_out(&r, -1, "", "\nTimeout exceeded");
    exec(*state, "{\"cmd\":\"show\",\"cwd\":\"a/./../b//c\",\"env\":{\"A\":\"1\\n\"}}", &r);
    assert_out(&r, 0,
               "cwd=/workspace/b/c user=1000:1000 env={\"A\": \"1\\n\"} timeout=30000 stdin=", "");
    exec(*state, "{\"cmd\":\"show\",\"cwd\":\"/missing\"}", &r);
    assert_out(&r, 0, "cwd=/workspace user=1000:1000 env=- timeout=30000 stdin=", "");
    exec(*state, "{\"cmd\":\"nobash 4\"}", &r);
    assert_out(&r, 4, "", "");
    exec(*state, "{\"cmd\":\"flood\"}", &r);
    assert_int_equal(json_string_length(value_at(r.json, "stdout")), RDS_OUTPUT_MAX_BYTES);
}

/* A command that is too long for an argument comes by another way. */
static void test_a_long_command(void **state)
{
    struct fixture *f = *state;
    auto_reply struct reply r = {0};
    auto_buf struct buf body = {0};
    buf_append_str(&body, "{\"cmd\":\"");
    for (int i = 0; i < 20000; i++)
        buf_append_str(&body, "show  ");
    buf_append_str(&body, "\"}");
    exec(f, buf_str(&body), &r);
    assert_memory_equal(text_at(&r, "stdout"), "cwd=/workspace ", 15);
    body.len -= 2;
    while (body.len < RDS_CMD_MAX_BYTES + 100)
        buf_append_str(&body, "show  ");
    buf_append_str(&body, "\"}");
    ask(f, &(struct call){"POST", "/v1/vms/{vm}/exec", buf_str(&body), .status = 413}, &r);
}

static void test_client_leaves(void **state)
{
    struct fixture *f = *state;
    static const char body[] = "{\"cmd\":\"block\"}";
    auto_close int fd = client_connect(&f->native->ts);
    auto_buf struct buf b = {0};
    buf_printf(&b,
               "POST /rds/v1/vms/%s/exec HTTP/1.1\r\nHost: localhost\r\n"
               "X-API-Key: " STUB_ADMIN_KEY "\r\nContent-Type: application/json\r\n"
               "Content-Length: %zu\r\n\r\n%s",
               f->vm, strlen(body), body);
    client_send(fd, b.data, b.len);
    sem_wait(&stub_started);
    close(TAKE_FD(fd));
    sem_wait(&stub_cancelled);
}

/* How Deno is called; the module that makes `result` is cut out. */
static void run_ts(struct fixture *f, const char *body, char ret[2048])
{
    auto_reply struct reply r = {0};
    ask(f, &(struct call){"POST", "/v1/vms/{vm}/run-ts", body, .status = 200}, &r);
    snprintf(ret, 2048, "%s", "");
    const char *out = text_at(&r, "stdout"), *preload = strstr(out, "--preload=");
    const char *rest = preload + strcspn(preload, " ");
    snprintf(ret, 2048, "%.*s%s", (int)(preload - out), out, rest);
}

#define ALWAYS "run --quiet --no-prompt "
#define OURS "--allow-read=/workspace,/tmp --allow-write=/workspace,/tmp "
#define ENV "env={\"DENO_NO_UPDATE_CHECK\": \"1\", "

static void test_run_ts(void **state)
{
    char out[2048];
    run_ts(*state, "{\"code\":\"hi\\u0000\",\"args\":[\"a\",\"-b\"],\"timeoutMs\":7}", out);
    assert_string_equal(out, ALWAYS OURS " - a -b\ncwd=/workspace user=1000:1000 " ENV
                                         "\"NO_COLOR\": \"1\"} timeout=7 stdin=hi");
    run_ts(*state, "{\"path\":\"a/b.ts\",\"env\":[\"B=2=3\",\"A=\"]}", out);
    assert_string_equal(out, ALWAYS OURS
                        "--allow-env=B,A  /workspace/a/b.ts\ncwd=/workspace/a user=1000:1000 "
                        "env={\"A\": \"\", \"B\": \"2=3\", \"DENO_NO_UPDATE_CHECK\": \"1\", "
                        "\"NO_COLOR\": \"1\"} timeout=30000 stdin=");
    run_ts(*state, "{\"code\":\"\",\"denoFlags\":[\"-A\"]}", out);
    assert_memory_equal(out, ALWAYS "-A  -\n", strlen(ALWAYS "-A  -\n"));
    run_ts(*state, "{\"code\":\"\",\"denoFlags\":[\"--allow-read\",\"--allow-write=/x\"]}", out);
    static const char wider[] =
        ALWAYS "--allow-write=/workspace,/tmp --allow-read --allow-write=/x  -\n";
    assert_memory_equal(out, wider, strlen(wider));
}

static void test_run_ts_with_internet(void **state)
{
    struct fixture *f = *state;
    auto_reply struct reply r = {0};
    char out[2048];
    static const char head[] = ALWAYS OURS "--allow-net  -\n";
    ask(f,
        &(struct call){"POST", "/v1/vms",
                       "{\"cpu\":1,\"memMb\":256,\"allowIps\":[],\"outboundInternet\":true}",
                       .status = 201},
        &r);
    snprintf(f->vm, sizeof(f->vm), "%s", text_at(&r, "id"));
    run_ts(f, "{\"code\":\"\"}", out);
    assert_memory_equal(out, head, strlen(head));
}

/* ---- logs, images ---- */

static void test_logs(void **state)
{
    struct fixture *f = *state;
    auto_reply struct reply r = {0};
    ask(f, &(struct call){"GET", "/v1/vms/{vm}/logs", NULL, .status = 200}, &r);
    assert_string_equal(text_at(&r, "type"), "firecracker.log");
    assert_int_equal(json_array_size(value_at(r.json, "lines")), 3);
    assert_string_equal(text_at(&r, "lines.0"), "life \xef\xbf\xbd"
                                                "0");
    assert_string_equal(text_at(&r, "lines.2"), "life \xef\xbf\xbd"
                                                "2");
    assert_true(json_is_false(value_at(r.json, "truncated")));
    assert_true(*text_at(&r, "updatedAt"));
    ask(f,
        &(struct call){"GET", "/v1/vms/{vm}/logs?type=firecracker.stdout.log&tail=-4", NULL,
                       .status = 200},
        &r);
    assert_int_equal(json_array_size(value_at(r.json, "lines")), 1);
    assert_string_equal(text_at(&r, "lines.0"), "console \xef\xbf\xbd"
                                                "2");
    assert_true(json_is_true(value_at(r.json, "truncated")));
    ask(f,
        &(struct call){"GET", "/v1/vms/{vm}/logs?type=firecracker.stderr.log&tail=5000", NULL,
                       .status = 200},
        &r);
    assert_string_equal(text_at(&r, "lines.0"), "monitor \xef\xbf\xbd"
                                                "0");
}

static void test_an_image(void **state)
{
    struct fixture *f = *state;
    auto_reply struct reply r = {0};
    ask(f, &(struct call){"GET", "/v1/images/{img}", NULL, .status = 200}, &r);
    assert_string_equal(text_at(&r, "name"), "n");
    assert_string_equal(text_at(&r, "description"), "d");
    assert_true(json_is_null(value_at(r.json, "kernelFilename")));
    assert_true(json_is_null(value_at(r.json, "rootfsUploadedAt")));
    assert_true(json_is_null(value_at(r.json, "baseRootfsBytes")));
    assert_true(json_is_false(value_at(r.json, "hasKernel")));
    assert_true(json_is_false(value_at(r.json, "builtin")));
    ask(f, &(struct call){"PUT", "/v1/images/{img}/kernel", "12345", .status = 204}, &r);
    ask(f, &(struct call){"PUT", "/v1/images/{img}/rootfs", "123", .status = 204}, &r);
    ask(f, &(struct call){"POST", "/v1/images/{img}/set-default", NULL, .status = 204}, &r);
    ask(f, &(struct call){"GET", "/v1/images/{img}", NULL, .status = 200}, &r);
    assert_string_equal(text_at(&r, "kernelFilename"), "vmlinuz");
    assert_string_equal(text_at(&r, "rootfsFilename"), "rootfs.ext4");
    assert_true(*text_at(&r, "kernelUploadedAt"));
    assert_int_equal(number_at(&r, "baseRootfsBytes"), 3);
    assert_true(json_is_true(value_at(r.json, "isDefault")));
    ask(f, &(struct call){"DELETE", "/v1/images/{img}", NULL, .status = 204}, &r);
    ask(f, &(struct call){"GET", "/v1/images", NULL, .status = 200}, &r);
    assert_true(json_is_true(value_at(r.json, "0.builtin")));
    char id[64];
    snprintf(id, sizeof(id), "/v1/images/%s", text_at(&r, "0.id"));
    ask(f, &(struct call){"DELETE", id, NULL, .status = 403}, &r);
}

/* ---- */

static void test_every_row_has_a_case(void **state)
{
    static const struct route *const tables[] = {rds_vm_routes,       rds_log_routes,
                                                 rds_exec_routes,     rds_run_ts_routes,
                                                 rds_snapshot_routes, rds_image_routes};
    for (size_t t = 0; t < ARRAY_SIZE(tables); t++) {
        for (const struct route *r = tables[t]; r->path; r++) {
            bool found = false;
            for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
                found = found || strcmp(calls[i].operation, r->operation) == 0;
            if (!found)
                fail_msg("%s has no case", r->operation);
        }
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_has_a_case),
        cmocka_unit_test(test_each_row_succeeds),
        TEST(test_refused),
        TEST(test_without_a_key),
        TEST(test_anothers),
        TEST(test_the_host_fails),
        TEST(test_a_vm),
        TEST(test_from_a_snapshot),
        TEST(test_quota),
        TEST(test_a_launch_that_waits),
        TEST(test_moves),
        TEST(test_exec),
        TEST(test_a_long_command),
        TEST(test_client_leaves),
        TEST(test_run_ts),
        TEST(test_run_ts_with_internet),
        TEST(test_logs),
        TEST(test_an_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
