/* SPDX-License-Identifier: Apache-2.0 */

/* What calls answer and pass on: VMs and their moves, commands, run-ts, logs, images. */

#include <string.h>

#include "api/rds/test_util.h"
#include "base/limits.h"

/* ---- VMs ---- */

static void test_a_vm(void **state)
{
    struct rds_fixture *f = *state;
    auto_reply struct reply r = {0};
    rds_ask(f,
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
    rds_ask(f,
            &(struct call){"POST", "/v1/vms",
                           "{\"cpu\":1,\"memMb\":256,\"allowIps\":[],\"diskSizeMb\":512}",
                           .status = 201},
            &r);
    assert_int_equal(number_at(&r, "diskSizeMb"), 2048);
}

static void test_from_a_snapshot(void **state)
{
    struct rds_fixture *f = *state;
    auto_reply struct reply r = {0};
    char body[256];
    snprintf(body, sizeof(body), "{\"cpu\":1,\"memMb\":256,\"allowIps\":[],\"snapshotId\":\"%s\"}",
             f->snapshot);
    rds_ask(f, &(struct call){"POST", "/v1/vms", body, .status = 201}, &r);
    assert_string_equal(text_at(&r, "provisionMode"), "snapshot");
    assert_string_equal(text_at(&r, "snapshotId"), f->snapshot);
    snprintf(body, sizeof(body), "{\"cpu\":2,\"memMb\":256,\"allowIps\":[],\"snapshotId\":\"%s\"}",
             f->snapshot);
    rds_ask(f, &(struct call){"POST", "/v1/vms", body, .status = 400}, &r);
    rds_says(&r, "Snapshot cpu/mem mismatch: snapshot=1/256 requested=2/256", "cpu");
    snprintf(body, sizeof(body),
             "{\"cpu\":1,\"memMb\":256,\"allowIps\":[],\"snapshotId\":\"%s\",\"imageId\":"
             "\"python\"}",
             f->snapshot);
    rds_ask(f, &(struct call){"POST", "/v1/vms", body, .status = 400}, &r);
    rds_says(&r, "Snapshot image mismatch: the snapshot is of another image", "imageId");
}

/* A VM of a snapshot, with a disk of so many MiB; `got` 0: it is refused. */
static void ask_for_disk(struct rds_fixture *f, const char *snapshot, int wanted, int got)
{
    auto_reply struct reply r = {0};
    char body[256];
    snprintf(body, sizeof(body),
             "{\"cpu\":1,\"memMb\":256,\"allowIps\":[],\"snapshotId\":\"%s\",\"diskSizeMb\":%d}",
             snapshot, wanted);
    rds_ask(f, &(struct call){"POST", "/v1/vms", body, .status = got ? 201 : 400}, &r);
    if (got)
        assert_int_equal(number_at(&r, "diskSizeMb"), got);
    else
        assert_string_equal(text_at(&r, "field"), "diskSizeMb");
}

static void test_disks_of_snapshots(void **state)
{
    struct rds_fixture *f = *state;
    auto_reply struct reply r = {0};
    char path[128];
    ask_for_disk(f, f->snapshot, 512, 2048);
    ask_for_disk(f, f->snapshot, 299, 0);
    rds_ask(f,
            &(struct call){"POST", "/v1/vms",
                           "{\"cpu\":1,\"memMb\":256,\"allowIps\":[],\"diskSizeMb\":4096}",
                           .status = 201},
            &r);
    snprintf(path, sizeof(path), "/v1/vms/%s/snapshots", text_at(&r, "id"));
    rds_ask(f, &(struct call){"POST", path, NULL, .status = 201}, &r);
    ask_for_disk(f, text_at(&r, "id"), 4095, 0);
    ask_for_disk(f, text_at(&r, "id"), 512, 0);
    ask_for_disk(f, text_at(&r, "id"), 5000, 5000);
}

static void test_quota(void **state)
{
    struct rds_fixture *f = *state;
    auto_reply struct reply r = {0};
    for (int i = 0; i < 3; i++) /* there are two */
        rds_ask(f, &(struct call){"POST", "/v1/vms", RDS_CREATE, .status = 201}, &r);
    rds_ask(f, &(struct call){"POST", "/v1/vms", RDS_CREATE, .status = 429}, &r);
    rds_says(&r, "VM quota exceeded (maxVms=5)", "");
    assert_non_null(reply_header(&r, "Retry-After"));
    rds_ask(f, &(struct call){"GET", "/v1/vms", NULL, .status = 200}, &r);
    assert_int_equal(json_array_size(r.json), 5);
}

/* One that would have to wait for ever is not left behind. */
static void test_a_launch_that_waits(void **state)
{
    struct rds_fixture *f = *state;
    auto_reply struct reply r = {0};
    rds_ask(f,
            &(struct call){"POST", "/v1/vms",
                           "{\"cpu\":1,\"memMb\":256,\"allowIps\":[],\"name\":\"queued\"}",
                           .status = 503},
            &r);
    rds_ask(f, &(struct call){"GET", "/v1/vms", NULL, .status = 200}, &r);
    assert_int_equal(json_array_size(r.json), 2);
}

static void assert_state(struct rds_fixture *f, const char *state)
{
    auto_reply struct reply r = {0};
    rds_ask(f, &(struct call){"GET", "/v1/vms/{vm}", NULL, .status = 200}, &r);
    assert_string_equal(text_at(&r, "state"), state);
}

static void test_moves(void **state)
{
    struct rds_fixture *f = *state;
    auto_reply struct reply r = {0};
    char pause[80];
    static const char *const moves[] = {"stop", "stop", "start", "start"};
    static const char *const states[] = {"STOPPED", "STOPPED", "RUNNING", "RUNNING"};
    for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
        char path[64];
        snprintf(path, sizeof(path), "/v1/vms/{vm}/%s", moves[i]);
        rds_ask(f, &(struct call){"POST", path, NULL, .status = 204}, &r);
        assert_state(f, states[i]);
    }
    snprintf(pause, sizeof(pause), "/v1/vms/%s/pause", f->vm + 3);
    native_call(f->native, &(struct call){"POST", pause, .status = 200}, &r);
    assert_state(f, "PAUSED");
    rds_ask(f, &(struct call){"POST", "/v1/vms/{vm}/snapshots", NULL, .status = 409}, &r);
    rds_says(&r, "VM must be RUNNING to snapshot (state=PAUSED)", "");
    rds_ask(f, &(struct call){"POST", "/v1/vms/{vm}/exec", "{\"cmd\":\"echo\"}", .status = 409},
            &r);
    rds_says(&r, "VM must be RUNNING to exec (state=PAUSED)", "");
    rds_ask(f, &(struct call){"POST", "/v1/vms/{vm}/run-ts", "{\"code\":\"1\"}", .status = 409},
            &r);
    rds_says(&r, "VM must be RUNNING to run-ts (state=PAUSED)", "");
    rds_ask(f, &(struct call){"POST", "/v1/vms/{vm}/start", NULL, .status = 204}, &r);
    assert_state(f, "RUNNING");
    /* The habits of some clients. */
    rds_ask(f,
            &(struct call){"POST", "/v1/vms/{vm}/stop", NULL,
                           .headers = "Content-Type: application/json\r\nContent-Length: 0\r\n",
                           .status = 204},
            &r);
    rds_ask(f, &(struct call){"POST", "/v1/vms/{vm}/start", "{}", .status = 204}, &r);
}

/* ---- commands ---- */

static void exec(struct rds_fixture *f, const char *body, struct reply *r)
{
    rds_ask(f, &(struct call){"POST", "/v1/vms/{vm}/exec", body, .status = 200}, r);
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
    struct rds_fixture *f = *state;
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
    rds_ask(f, &(struct call){"POST", "/v1/vms/{vm}/exec", buf_str(&body), .status = 413}, &r);
}

static void test_client_leaves(void **state)
{
    struct rds_fixture *f = *state;
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
static void run_ts(struct rds_fixture *f, const char *body, char ret[2048])
{
    auto_reply struct reply r = {0};
    rds_ask(f, &(struct call){"POST", "/v1/vms/{vm}/run-ts", body, .status = 200}, &r);
    snprintf(ret, 2048, "%s", "");
    const char *out = text_at(&r, "stdout"), *preload = strstr(out, "--preload=");
    const char *rest = preload + strcspn(preload, " ");
    snprintf(ret, 2048, "%.*s%s", (int)(preload - out), out, rest);
}

#define ALWAYS "run --quiet --no-prompt "
#define OURS "--allow-read=/workspace,/tmp --allow-write=/workspace,/tmp "
#define ENV "env={\"DENO_DIR\": \"/workspace/.deno\", \"DENO_NO_UPDATE_CHECK\": \"1\", "

static void test_run_ts(void **state)
{
    char out[2048];
    run_ts(*state, "{\"code\":\"hi\\u0000\",\"args\":[\"a\",\"-b\"],\"timeoutMs\":7}", out);
    assert_string_equal(out, ALWAYS OURS " - a -b\ncwd=/workspace user=1000:1000 " ENV
                                         "\"NO_COLOR\": \"1\"} timeout=7 stdin=hi");
    run_ts(*state, "{\"path\":\"a/b.ts\",\"env\":[\"B=2=3\",\"A=\"]}", out);
    assert_string_equal(out, ALWAYS OURS
                        "--allow-env=B,A  /workspace/a/b.ts\ncwd=/workspace/a user=1000:1000 "
                        "env={\"A\": \"\", \"B\": \"2=3\", \"DENO_DIR\": \"/workspace/.deno\", "
                        "\"DENO_NO_UPDATE_CHECK\": \"1\", "
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
    struct rds_fixture *f = *state;
    auto_reply struct reply r = {0};
    char out[2048];
    static const char head[] = ALWAYS OURS "--allow-net  -\n";
    rds_ask(f,
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
    struct rds_fixture *f = *state;
    auto_reply struct reply r = {0};
    rds_ask(f, &(struct call){"GET", "/v1/vms/{vm}/logs", NULL, .status = 200}, &r);
    assert_string_equal(text_at(&r, "type"), "firecracker.log");
    assert_int_equal(json_array_size(value_at(r.json, "lines")), 3);
    assert_string_equal(text_at(&r, "lines.0"), "life \xef\xbf\xbd"
                                                "0");
    assert_string_equal(text_at(&r, "lines.2"), "life \xef\xbf\xbd"
                                                "2");
    assert_true(json_is_false(value_at(r.json, "truncated")));
    assert_true(*text_at(&r, "updatedAt"));
    rds_ask(f,
            &(struct call){"GET", "/v1/vms/{vm}/logs?type=firecracker.stdout.log&tail=-4", NULL,
                           .status = 200},
            &r);
    assert_int_equal(json_array_size(value_at(r.json, "lines")), 1);
    assert_string_equal(text_at(&r, "lines.0"), "console \xef\xbf\xbd"
                                                "2");
    assert_true(json_is_true(value_at(r.json, "truncated")));
    rds_ask(f,
            &(struct call){"GET", "/v1/vms/{vm}/logs?type=firecracker.stderr.log&tail=5000", NULL,
                           .status = 200},
            &r);
    assert_string_equal(text_at(&r, "lines.0"), "monitor \xef\xbf\xbd"
                                                "0");
}

static void test_an_image(void **state)
{
    struct rds_fixture *f = *state;
    auto_reply struct reply r = {0};
    rds_ask(f, &(struct call){"GET", "/v1/images/{img}", NULL, .status = 200}, &r);
    assert_string_equal(text_at(&r, "name"), "n");
    assert_string_equal(text_at(&r, "description"), "d");
    assert_true(json_is_null(value_at(r.json, "kernelFilename")));
    assert_true(json_is_null(value_at(r.json, "rootfsUploadedAt")));
    assert_true(json_is_null(value_at(r.json, "baseRootfsBytes")));
    assert_true(json_is_false(value_at(r.json, "hasKernel")));
    assert_true(json_is_false(value_at(r.json, "builtin")));
    rds_ask(f, &(struct call){"PUT", "/v1/images/{img}/kernel", "12345", .status = 204}, &r);
    rds_ask(f, &(struct call){"PUT", "/v1/images/{img}/rootfs", "123", .status = 204}, &r);
    rds_ask(f, &(struct call){"POST", "/v1/images/{img}/set-default", NULL, .status = 204}, &r);
    rds_ask(f, &(struct call){"GET", "/v1/images/{img}", NULL, .status = 200}, &r);
    assert_string_equal(text_at(&r, "kernelFilename"), "vmlinuz");
    assert_string_equal(text_at(&r, "rootfsFilename"), "rootfs.ext4");
    assert_true(*text_at(&r, "kernelUploadedAt"));
    assert_int_equal(number_at(&r, "baseRootfsBytes"), 3);
    assert_true(json_is_true(value_at(r.json, "isDefault")));
    rds_ask(f, &(struct call){"DELETE", "/v1/images/{img}", NULL, .status = 204}, &r);
}

/* The host would let an admin delete one. */
static void test_built_in_images_stay(void **state)
{
    struct rds_fixture *f = *state;
    auto_reply struct reply list = {0}, r = {0};
    static const char *const keys[] = {NULL, STUB_BOB_KEY}, *const ids[] = {"0.id", "1.id"};
    rds_ask(f, &(struct call){"GET", "/v1/images", NULL, .status = 200}, &list);
    for (size_t i = 0; i < 4; i++) {
        char path[64];
        snprintf(path, sizeof(path), "/v1/images/%s", text_at(&list, ids[i / 2]));
        rds_ask(f, &(struct call){"DELETE", path, .key = keys[i % 2], .status = 403}, &r);
        rds_ask(f, &(struct call){"GET", path, NULL, .status = 200}, &r);
        assert_true(json_is_true(value_at(r.json, "builtin")));
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, rds_setup, rds_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
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
        TEST(test_built_in_images_stay),
        TEST(test_disks_of_snapshots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
