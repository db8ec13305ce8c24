/* SPDX-License-Identifier: Apache-2.0 */

/* Images of containers, from an upload to a VM on the fake engine; holm-oci in its jail, as root
 * only. */

#include "host/test_host.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/proc.h"
#include "host/build_oci.h"
#include "host/images.h"
#include "oci/test_archive.h"
#include "wire/ustar.h"

#define PATIENCE_MS 120000

static const char config[] = "{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"Env\":["
                             "\"PATH=/bin\",\"COLOUR=blue\"],\"WorkingDir\":\"/srv\"}}";

#define ARCHIVE(...) ARCHIVE_WITH(config, GZIP, __VA_ARGS__)

static int setup(void **state)
{
    static const char script[] = "#!/bin/sh\necho python default=yes\n";
    static const char *const jailed[] = {"engine.jail=yes", NULL};
    char path[128];
    test_host_setup_with(state, geteuid() == 0 ? jailed : NULL);
    struct test_host *t = *state;
    snprintf(path, sizeof(path), "%s/recipes", t->dir);
    assert_int_equal(0, dir_make(path, 0755));
    snprintf(t->config.images_dir, sizeof(t->config.images_dir), "%s", path);
    snprintf(path, sizeof(path), "%s/recipes/build", t->dir);
    assert_int_equal(0, file_write_atomic(path, script, strlen(script), 0755));
    return 0;
}

/* Uploads it, and waits for its end. Takes `archive`. */
static void make(struct test_host *t, const struct upload_order *o, struct buf archive,
                 struct build_info *ret)
{
    struct err e = ERR_INIT;
    struct build_upload *u = NULL;
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    if (host_build_upload(t->host, o, &u, &e) < 0)
        fail_msg("upload: %s", e.text);
    for (size_t at = 0; at < archive.len; at += 1000) {
        size_t n = archive.len - at < 1000 ? archive.len - at : 1000;
        assert_int_equal(0, build_upload_write(u, archive.data + at, n, &e));
    }
    assert_int_equal(0, build_upload_finish(u, ret, &e));
    build_upload_free(u);
    buf_done(&archive);
    while (ret->state == BUILD_WAITING || ret->state == BUILD_RUNNING) {
        assert_true(clock_mono_ms() < until_ms);
        poll(NULL, 0, 5);
        assert_int_equal(0, host_build_get(t->host, ret->id, ret, &e));
    }
    assert_int_equal(0, test_count_entries(t, "tmp"));
}

static void make_good(struct test_host *t, const char *name, int size_mib, struct buf archive)
{
    struct build_info b;
    make(t, &(struct upload_order){UPLOAD_OCI, name, size_mib, -1}, archive, &b);
    if (b.state != BUILD_DONE)
        fail_msg("%s: %s", build_state_name(b.state), b.detail);
}

static void make_bad(struct test_host *t, struct buf archive, const char *text)
{
    struct build_info b;
    make(t, &(struct upload_order){UPLOAD_OCI, "mine", 64, -1}, archive, &b);
    assert_int_equal(b.state, BUILD_FAILED);
    if (!strstr(b.detail, text))
        fail_msg("%s; expected: %s", b.detail, text);
}

/* What debugfs says to a request about the image. */
static void ask(struct test_host *t, const char *image, const char *request, struct buf *ret)
{
    char path[128];
    struct err e = ERR_INIT;
    snprintf(path, sizeof(path), "%s/images/%s/rootfs.ext4", t->dir, image);
    const char *const argv[] = {"/usr/sbin/debugfs", "-R", request, path, NULL};
    buf_clear(ret);
    if (proc_run(argv, 30000, ret, &e) < 0)
        fail_msg("%s", e.text);
}

static void asked(struct test_host *t, const char *image, const char *request, const char *text)
{
    auto_buf struct buf out = {0};
    ask(t, image, request, &out);
    if (!strstr(buf_str(&out), text))
        fail_msg("%s: not in \"%s\": %s", request, buf_str(&out), text);
}

static void is_sound(struct test_host *t, const char *image)
{
    char path[128];
    struct err e = ERR_INIT;
    snprintf(path, sizeof(path), "%s/images/%s/rootfs.ext4", t->dir, image);
    const char *const argv[] = {"/usr/sbin/e2fsck", "-fn", path, NULL};
    if (proc_run(argv, 30000, NULL, &e) < 0)
        fail_msg("%s", e.text);
}

static void test_from_an_archive_to_a_vm(void **state)
{
    struct test_host *t = *state;
    struct image_info i;
    struct vm_info vm;
    struct err e = ERR_INIT;
    make_good(
        t, "mine", 0,
        ARCHIVE(LAYER({"bin/hello", '0', "#!hello", 04755, 70000}, {"bin/hi", '1', "bin/hello"},
                      {"old", '0', "x"}, {"dev/null", '3'}, {"link", '2', "bin/hello"}),
                LAYER({".wh.old", '0'}, {"srv/new", '0', "y"})));
    is_sound(t, "mine");
    asked(t, "mine", "stat /bin/hello", "Mode:  04755");
    asked(t, "mine", "stat /bin/hello", "User: 70000");
    asked(t, "mine", "stat /bin/hello", "Links: 2");
    asked(t, "mine", "cat /bin/hi", "#!hello");
    asked(t, "mine", "cat /srv/new", "y");
    asked(t, "mine", "stat /old", "not found");
    asked(t, "mine", "stat /dev/null", "character special");
    asked(t, "mine", "stat /link", "Fast link dest: \"bin/hello\"");
    asked(t, "mine", "cat /etc/environment", "PATH=/bin\nCOLOUR=blue\n");
    asked(t, "mine", "cat /etc/holm/container.json", "\"WorkingDir\": \"/srv\"");
    asked(t, "mine", "cat /etc/resolv.conf", "nameserver 172.16.0.1");
    assert_int_equal(0, host_image_get(t->host, t->account, "mine", &i, &e));
    assert_true(i.builtin);
    assert_string_equal(i.state, "ready");
    assert_int_equal(i.disk_bytes, 2048LL << 20);
    test_launch(t, &(struct vm_launch){.image = "mine"}, &vm);
    assert_string_equal(vm.image, "mine");
    vm_info_done(&vm);
}

static void test_again_and_smaller(void **state)
{
    struct test_host *t = *state;
    struct image_info i;
    struct err e = ERR_INIT;
    make_good(t, "mine", 64, ARCHIVE(LAYER({"one", '0', "1"})));
    make_good(t, "mine", 32, ARCHIVE(LAYER({"two", '0', "2"})));
    is_sound(t, "mine");
    asked(t, "mine", "stat /one", "not found");
    asked(t, "mine", "cat /two", "2");
    assert_int_equal(0, host_image_get(t->host, t->account, "mine", &i, &e));
    assert_int_equal(i.disk_bytes, 32LL << 20);
    /* One that fails changes nothing. */
    make_bad(t, ARCHIVE(LAYER({"../three", '0', "3"})), "a name with \"..\"");
    asked(t, "mine", "cat /two", "2");
}

/* What ext4 has of its own is there once, and has what an archive has in it. */
static void test_lost_and_found(void **state)
{
    struct test_host *t = *state;
    make_good(t, "mine", 64,
              ARCHIVE(LAYER({"lost+found", '5', .mode = 0750}, {"lost+found/x", '0', "found"},
                            {"y", '1', "lost+found/x"}, {"a/lost+found", '0', "another"})));
    is_sound(t, "mine");
    asked(t, "mine", "stat /lost+found", "Mode:  0750");
    asked(t, "mine", "cat /lost+found/x", "found");
    asked(t, "mine", "cat /y", "found");
    asked(t, "mine", "cat /a/lost+found", "another");
    make_bad(t, ARCHIVE(LAYER({"lost+found", '0', "x"})), "its /lost+found is no directory");
    make_bad(t, ARCHIVE(LAYER({"a", '0', "x"}, {"lost+found", '1', "a"})), "is no directory");
    make_bad(t, ARCHIVE(LAYER({"lost+found", '2', "a"})), "is no directory");
}

/* More than the links that a directory can have. */
static void test_too_many_directories(void **state)
{
    struct test_host *t = *state;
    struct buf layer = {0};
    for (int i = 0; i <= 64000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "many/%d", i);
        test_put(&layer, &(struct test_put){name, '5'});
    }
    ustar_put_zeros(&layer, 1024);
    struct build_info b;
    make(t, &(struct upload_order){UPLOAD_OCI, "mine", 0, -1}, ARCHIVE(layer), &b);
    assert_int_equal(b.state, BUILD_FAILED);
    assert_string_equal(b.detail, "\"many\" has more than 64000 directories in it");
}

static void test_what_is_refused(void **state)
{
    struct test_host *t = *state;
    struct buf b = {0};
    make_bad(t, b, "it is empty");
    make_bad(t, LAYER({"x", '0', "y"}), "neither oci-layout");
    make_bad(t, ARCHIVE(LAYER({"a", '1', "/etc/shadow"})), "is a hard link to something");
    buf_append(&b, "\x1f\x8b\x08\0\0", 5);
    make_bad(t, b, "compressed");
    struct image_info i;
    struct err e = ERR_INIT;
    int r = host_image_get(t->host, t->account, "mine", &i, &e);
    test_assert_err(r, &e, ERR_NOT_FOUND, "mine");
}

static void test_too_large_for_its_size(void **state)
{
    struct test_host *t = *state;
    auto_free char *large = malloc((24 << 20) + 1);
    for (int i = 0; i < 24 << 20; i++)
        large[i] = (char)('a' + i % 13);
    large[24 << 20] = '\0';
    struct build_info b;
    make(t, &(struct upload_order){UPLOAD_OCI, "mine", 16, -1},
         ARCHIVE_WITH(config, ZSTD, LAYER({"large", '0', large})), &b);
    assert_int_equal(b.state, BUILD_FAILED);
    assert_string_equal(b.detail, "the image's file system is too small: give it a larger size");
}

/* On a disk that is small enough to be filled. */
static void test_no_room(void **state)
{
    struct test_host *t = *state;
    char tmp[128];
    struct build_info b;
    auto_buf struct buf large = {0};
    snprintf(tmp, sizeof(tmp), "%s/tmp", t->dir);
    if (geteuid() != 0 || mount("tmpfs", tmp, "tmpfs", 0, "size=576m") < 0) {
        print_message("nothing can be mounted here: not tested\n");
        skip();
    }
    char *to = buf_reserve(&large, 100 << 20);
    memset(to, 'x', 100 << 20);
    to[100 << 20] = '\0';
    make(t, &(struct upload_order){UPLOAD_OCI, "mine", 256, -1}, ARCHIVE(LAYER({"large", '0', to})),
         &b);
    assert_int_equal(b.state, BUILD_FAILED);
    assert_string_equal(b.detail, "the host's disk has no room for this image");
}

static int teardown_mount(void **state)
{
    struct test_host *t = *state;
    char tmp[128];
    snprintf(tmp, sizeof(tmp), "%s/tmp", t->dir);
    umount2(tmp, MNT_DETACH);
    return test_host_teardown(state);
}

static void test_names(void **state)
{
    struct test_host *t = *state;
    static const struct {
        struct upload_order order;
        enum err_class class;
        const char *field, *text;
    } cases[] = {
        {{UPLOAD_OCI, "", 0, -1}, ERR_INVALID, "name", "1 to 63"},
        {{UPLOAD_OCI, "../x", 0, -1}, ERR_INVALID, "name", "a-z"},
        {{UPLOAD_OCI, "-x", 0, -1}, ERR_INVALID, "name", "begin with -"},
        {{UPLOAD_OCI, "kernel", 0, -1}, ERR_INVALID, "name", "\"kernel\""},
        {{UPLOAD_OCI, "abcdefghij0123456789", 0, -1}, ERR_INVALID, "name", "an id"},
        {{UPLOAD_OCI, "python", 0, -1}, ERR_CONFLICT, "name", "Holm's own"},
        {{UPLOAD_OCI, "x", 15, -1}, ERR_INVALID, "sizeMib", "16 to"},
        {{UPLOAD_OCI, "x", 0, INT64_MAX}, ERR_TOO_LARGE, "", "64 GiB"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err e = ERR_INIT;
        struct build_upload *u = NULL;
        int r = host_build_upload(t->host, &cases[i].order, &u, &e);
        test_assert_err(r, &e, cases[i].class, cases[i].text);
        assert_string_equal(e.field, cases[i].field);
    }
    assert_int_equal(0, test_count_entries(t, "tmp"));
}

/* FROM scratch needs no registry. */
static void test_a_dockerfile(void **state)
{
    struct test_host *t = *state;
    struct build_info b;
    if (container_build_needs() || geteuid() != 0) {
        print_message("no buildah here: not tested\n");
        skip();
    }
    make(t, &(struct upload_order){UPLOAD_DOCKERFILE, "built", 64, -1},
         LAYER(
             {"Dockerfile", '0', "FROM scratch\nCOPY dir /there\nENV NAME=value\nWORKDIR /there\n"},
             {"dir/file", '0', "content"}),
         &b);
    if (b.state != BUILD_DONE) {
        struct err e = ERR_INIT;
        auto_buf struct buf log = {0};
        host_build_log(t->host, b.id, &log, &e);
        fail_msg("%s\n%s", b.detail, buf_str(&log));
    }
    is_sound(t, "built");
    asked(t, "built", "cat /there/file", "content");
    asked(t, "built", "cat /etc/environment", "NAME=value");
    make(t, &(struct upload_order){UPLOAD_DOCKERFILE, "built", 64, -1},
         LAYER({"Dockerfile", '0', "FROM scratch\nCOPY nothing /\n"}), &b);
    assert_string_equal(b.detail, "the Dockerfile failed: see the log");
    make(t, &(struct upload_order){UPLOAD_DOCKERFILE, "built", 64, -1}, LAYER({"README", '0', "x"}),
         &b);
    assert_string_equal(b.detail, "there is no Dockerfile in the directory");
    asked(t, "built", "cat /there/file", "content");
}

int main(int argc, char **argv)
{
    setenv("HOLM_ENGINE_DIR", argv[1], 1);
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, test_host_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_from_an_archive_to_a_vm),
        TEST(test_again_and_smaller),
        TEST(test_lost_and_found),
        TEST(test_too_many_directories),
        TEST(test_what_is_refused),
        TEST(test_too_large_for_its_size),
        cmocka_unit_test_setup_teardown(test_no_room, setup, teardown_mount),
        TEST(test_names),
        TEST(test_a_dockerfile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
