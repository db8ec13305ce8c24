/* SPDX-License-Identifier: Apache-2.0 */

/* Every row over HTTP, with the stub host: it has a case here, which succeeds; what is refused, and
 * in which words; each failure of the host has its status; without a key nothing is told; what is
 * another account's is not there. */

#include <string.h>

#include "api/rds/test_util.h"
#include "base/limits.h"

/* ---- what is refused, and in which words ---- */

static const struct {
    const char *method, *path, *body;
    int status;
    const char *message, *field;
} refused[] = {
    {"GET", "/v1/vms/zzz", NULL, 400, "Invalid VM id", ""},
    {"GET", "/v1/vms/snap-" RDS_UNKNOWN, NULL, 400, "Invalid VM id", ""},
    {"GET", "/v1/vms/vm-" RDS_UNKNOWN, NULL, 404, "VM not found", ""},
    {"GET", "/v1/vms/vm-12345678-1234-4234-9234-123456789012", NULL, 404, "VM not found", ""},
    {"POST", "/v1/vms/" RDS_UNKNOWN "/start", NULL, 404, "VM not found", ""},
    {"POST", "/v1/vms/" RDS_UNKNOWN "/stop", NULL, 404, "VM not found", ""},
    {"DELETE", "/v1/vms/" RDS_UNKNOWN, NULL, 404, "VM not found", ""},
    {"GET", "/v1/vms/" RDS_UNKNOWN "/logs", NULL, 404, "VM not found", ""},
    {"POST", "/v1/vms/" RDS_UNKNOWN "/exec", "{\"cmd\":\"echo\"}", 404, "VM not found", ""},
    {"POST", "/v1/vms/" RDS_UNKNOWN "/run-ts", "{\"code\":\"1\"}", 404, "VM not found", ""},
    {"POST", "/v1/vms/" RDS_UNKNOWN "/snapshots", NULL, 404, "VM not found", ""},
    {"DELETE", "/v1/snapshots/x", NULL, 400, "Invalid snapshot id", ""},
    {"DELETE", "/v1/snapshots/snap-" RDS_UNKNOWN, NULL, 404, "Snapshot not found", ""},
    {"GET", "/v1/images/x", NULL, 400, "Invalid image id", ""},
    {"GET", "/v1/images/img-" RDS_UNKNOWN, NULL, 404, "Image not found", ""},
    {"POST", "/v1/images/img-" RDS_UNKNOWN "/set-default", NULL, 404, "Image not found", ""},
    {"DELETE", "/v1/images/img-" RDS_UNKNOWN, NULL, 404, "Image not found", ""},
    {"PUT", "/v1/images/img-" RDS_UNKNOWN "/kernel", "x", 404, "Image not found", ""},
    {"POST", "/v1/images", "{\"name\":\"x\"}", 400, "name and description are required",
     "description"},
    {"POST", "/v1/images", "{\"description\":\"x\"}", 400, "name and description are required",
     "name"},
    {"POST", "/v1/images", "{\"name\":\"\",\"description\":null}", 400,
     "name and description are required", "name"},
    {"POST", "/v1/images/{img}/set-default", NULL, 409, NULL, ""},
    {"PUT", "/v1/images/{img}/rootfs", "bad", 400, "this is no kernel", ""},
    {"PUT", "/v1/images/{img}/rootfs", "gone", 404, "Image not found", ""},
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
    {"POST", "/v1/vms",
     "{\"cpu\":1,\"memMb\":256,\"allowIps\":[],\"imageId\":\"img-" RDS_UNKNOWN "\"}", 404,
     "Image not found", ""},
    {"POST", "/v1/vms", "{\"cpu\":1,\"memMb\":256,\"allowIps\":[],\"snapshotId\":\"x\"}", 400,
     "Invalid snapshot id", ""},
    {"POST", "/v1/vms",
     "{\"cpu\":1,\"memMb\":256,\"allowIps\":[],\"snapshotId\":\"snap-" RDS_UNKNOWN "\"}", 404,
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
    struct rds_fixture *f = *state;
    auto_reply struct reply r = {0};
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        rds_ask(f,
                &(struct call){refused[i].method, refused[i].path, refused[i].body,
                               .status = refused[i].status},
                &r);
        rds_says(&r, refused[i].message ? refused[i].message : text_at(&r, "message"),
                 refused[i].field);
    }
}

/* ---- every row ---- */

static const struct {
    const char *operation, *query, *body;
    int status;
} calls[] = {
    {"rdsCreateVm", "", RDS_CREATE, 201},
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

static void call_row(struct rds_fixture *f, size_t i, const char *key, int status, struct reply *r)
{
    const struct route *row = row_of(calls[i].operation);
    char path[256];
    path_of(row, calls[i].query, path);
    rds_ask(f,
            &(struct call){route_method_name(row->method), path, calls[i].body, .key = key,
                           .status = status},
            r);
}

static void test_each_row_succeeds(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        void *own = NULL;
        auto_reply struct reply r = {0};
        rds_setup(&own);
        struct rds_fixture *f = own;
        if (strcmp(calls[i].operation, "rdsSetDefaultImage") == 0) {
            rds_ask(f, &(struct call){"PUT", "/v1/images/{img}/kernel", "k", .status = 204}, &r);
            rds_ask(f, &(struct call){"PUT", "/v1/images/{img}/rootfs", "r", .status = 204}, &r);
        }
        call_row(f, i, NULL, calls[i].status, &r);
        assert_true(calls[i].status != 204 || !r.body.len);
        rds_teardown(&own);
    }
}

static void test_without_a_key(void **state)
{
    auto_reply struct reply r = {0};
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        call_row(*state, i, "", 401, &r);
        rds_says(&r, "Unauthorized", "");
        call_row(*state, i, "holm_wrong", 401, &r);
        rds_says(&r, "Unauthorized", "");
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

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, rds_setup, rds_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_has_a_case),
        cmocka_unit_test(test_each_row_succeeds),
        TEST(test_refused),
        TEST(test_without_a_key),
        TEST(test_anothers),
        TEST(test_the_host_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
