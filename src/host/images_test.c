/* SPDX-License-Identifier: Apache-2.0 */

/* Uploaded images on the fake engine: what the host says of them, and what is left on the disk. */

#include "host/test_host.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "host/host_priv.h"
#include "host/images.h"
#include "host/test_image_files.h"

#define ANOTHER "anotheranotheranothe"

static void create(struct test_host *t, const char *name, struct image_info *ret)
{
    struct err e = ERR_INIT;
    if (host_image_create(t->host, t->account, name, "for a test", ret, &e) < 0)
        fail_msg("create: %s", e.text);
}

static int upload(struct test_host *t, const char *id, enum image_part part, const void *data,
                  size_t len, struct err *e)
{
    struct image_upload *u = NULL;
    const char *p = data;
    int r = host_image_upload(t->host, t->account, id, part, (int64_t)len, &u, e);
    for (size_t at = 0; r == 0 && at < len; at += 1000)
        r = image_upload_write(u, p + at, len - at < 1000 ? len - at : 1000, e);
    if (r == 0)
        r = image_upload_finish(u, NULL, e);
    image_upload_free(u);
    return r;
}

static void upload_kernel(struct test_host *t, const char *id)
{
    unsigned char kernel[TEST_BZIMAGE_BYTES];
    struct err e = ERR_INIT;
    test_make_bzimage(kernel, "");
    if (upload(t, id, IMAGE_KERNEL, kernel, sizeof(kernel), &e) < 0)
        fail_msg("kernel: %s", e.text);
}

static void upload_both(struct test_host *t, const char *id)
{
    static unsigned char rootfs[TEST_EXT4_BYTES];
    struct err e = ERR_INIT;
    test_make_ext4(rootfs);
    upload_kernel(t, id);
    if (upload(t, id, IMAGE_ROOTFS, rootfs, sizeof(rootfs), &e) < 0)
        fail_msg("rootfs: %s", e.text);
}

static void get(struct test_host *t, const char *ref, struct image_info *ret)
{
    struct err e = ERR_INIT;
    if (host_image_get(t->host, t->account, ref, ret, &e) < 0)
        fail_msg("%s: %s", ref, e.text);
}

static void path_of(struct test_host *t, const char *id, const char *file, char ret[256])
{
    snprintf(ret, 256, "%s/images/%s%s%s", t->dir, id, *file ? "/" : "", file);
}

static bool is_there(struct test_host *t, const char *id, const char *file)
{
    char path[256];
    path_of(t, id, file, path);
    return access(path, F_OK) == 0;
}

static void launch(struct test_host *t, const char *image, struct vm_info *ret)
{
    test_launch(t, &(struct vm_launch){.image = image}, ret);
}

/* --- */

static void test_from_nothing_to_a_vm(void **state)
{
    struct test_host *t = *state;
    struct image_info i, again;
    struct vm_info v, copy;
    struct err e = ERR_INIT;
    create(t, "  mine ", &i);
    assert_string_equal("mine", i.name);
    assert_string_equal("missing", i.state);
    assert_non_null(strstr(i.detail, "no kernel and no root file system"));
    int r = host_vm_launch(t->host, &(struct vm_launch){.account = t->account, .image = i.id}, NULL,
                           &e);
    test_assert_err(r, &e, ERR_CONFLICT, "mine cannot be launched");
    upload_both(t, i.id);
    get(t, "mine", &again);
    assert_string_equal(i.id, again.id);
    assert_string_equal("ready", again.state);
    assert_int_equal(TEST_EXT4_BYTES, again.disk_bytes);
    assert_int_equal(TEST_BZIMAGE_BYTES, again.kernel_bytes);
    assert_true(again.kernel_uploaded_ns > i.created_ns);
    launch(t, i.id, &v);
    assert_string_equal(i.key, v.image);
    assert_string_equal("mine", v.source);
    assert_int_equal(TEST_EXT4_BYTES, v.disk_bytes);
    launch(t, "mine", &copy);
    vm_info_done(&v);
    vm_info_done(&copy);
}

static void test_what_is_refused(void **state)
{
    struct test_host *t = *state;
    struct image_info i;
    struct err e = ERR_INIT;
    unsigned char bad[TEST_BZIMAGE_BYTES] = {0x1f, 0x8b};
    create(t, "mine", &i);
    test_assert_err(upload(t, i.id, IMAGE_KERNEL, bad, sizeof(bad), &e), &e, ERR_INVALID, "gzip");
    test_assert_err(upload(t, i.id, IMAGE_ROOTFS, bad, sizeof(bad), &e), &e, ERR_INVALID, "gzip");
    assert_false(is_there(t, i.id, "vmlinuz"));
    assert_false(is_there(t, i.id, ".upload-kernel"));
    struct image_upload *u = NULL, *second = NULL;
    int r = host_image_upload(t->host, t->account, i.id, IMAGE_KERNEL,
                              (int64_t)IMAGE_KERNEL_MAX_BYTES + 1, &u, &e);
    test_assert_err(r, &e, ERR_TOO_LARGE, "512 MiB");
    assert_int_equal(0, host_image_upload(t->host, t->account, i.id, IMAGE_KERNEL, -1, &u, &e));
    r = host_image_upload(t->host, t->account, i.id, IMAGE_KERNEL, -1, &second, &e);
    test_assert_err(r, &e, ERR_CONFLICT, "under way");
    test_assert_err(host_image_delete(t->host, t->account, i.id, &e), &e, ERR_CONFLICT,
                    "under way");
    test_assert_err(host_image_update(t->host, t->account, i.id, "x", NULL, NULL, &e), &e,
                    ERR_CONFLICT, "under way");
    image_upload_free(u);
    struct {
        const char *name, *text;
    } names[] = {{"", "empty"}, {" \t", "empty"}, {"a\nb", "control"}, {"bash", "Holm's own"}};
    for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
        r = host_image_create(t->host, t->account, names[n].name, NULL, NULL, &e);
        test_assert_err(r, &e, ERR_INVALID, names[n].text);
        assert_string_equal("name", e.field);
    }
    test_assert_err(host_image_delete(t->host, t->account, "bash", &e), &e, ERR_CONFLICT,
                    "vms.image");
    test_assert_err(host_image_delete(t->host, ANOTHER, "perl", &e), &e, ERR_FORBIDDEN, "own");
    r = host_image_update(t->host, t->account, "bash", "x", NULL, NULL, &e);
    test_assert_err(r, &e, ERR_FORBIDDEN, "own");
    r = host_image_upload(t->host, t->account, "bash", IMAGE_KERNEL, -1, &u, &e);
    test_assert_err(r, &e, ERR_FORBIDDEN, "own");
    r = host_image_get(t->host, ANOTHER, i.id, NULL, &e);
    test_assert_err(r, &e, ERR_NOT_FOUND, "no image");
    test_assert_err(host_image_delete(t->host, ANOTHER, i.id, &e), &e, ERR_NOT_FOUND, "no image");
    create(t, "mine", &i);
    r = host_image_get(t->host, t->account, "mine", NULL, &e);
    test_assert_err(r, &e, ERR_CONFLICT, "use the id");
}

static void test_zeros_become_holes(void **state)
{
    struct test_host *t = *state;
    static unsigned char rootfs[16 * 1024 * 1024];
    struct image_info i;
    struct err e = ERR_INIT;
    struct stat st;
    char path[256];
    create(t, "holes", &i);
    test_make_ext4(rootfs);
    rootfs[5000000] = 7;
    rootfs[sizeof(rootfs) - 1] = 9;
    assert_int_equal(0, upload(t, i.id, IMAGE_ROOTFS, rootfs, sizeof(rootfs), &e));
    path_of(t, i.id, "rootfs.ext4", path);
    assert_int_equal(0, stat(path, &st));
    assert_int_equal(sizeof(rootfs), st.st_size);
    assert_int_equal(0444, st.st_mode & 0777);
    assert_true(st.st_blocks * 512 <= 64 * 1024);
    auto_buf struct buf b = {0};
    assert_int_equal(0, file_read(path, &b, sizeof(rootfs)));
    assert_memory_equal(rootfs, b.data, sizeof(rootfs));
}

static void test_in_use(void **state)
{
    struct test_host *t = *state;
    struct image_info i;
    struct vm_info v;
    struct snapshot_info s;
    struct err e = ERR_INIT;
    char id[ID_SIZE], snapshot[ID_SIZE];
    create(t, "used", &i);
    upload_both(t, i.id);
    launch(t, i.id, &v);
    memcpy(id, v.id, sizeof(id));
    vm_info_done(&v);
    test_assert_err(host_image_delete(t->host, t->account, i.id, &e), &e, ERR_CONFLICT,
                    "1 VMs and 0");
    assert_int_equal(0, host_snapshot_create(t->host, t->account, id, NULL, &s, &e));
    memcpy(snapshot, s.id, sizeof(snapshot));
    snapshot_info_done(&s);
    assert_int_equal(0, host_vm_delete(t->host, t->account, id, &e));
    test_assert_err(host_image_delete(t->host, t->account, i.id, &e), &e, ERR_CONFLICT,
                    "0 VMs and 1");
    test_launch(t, &(struct vm_launch){.snapshot = snapshot, .image = "used"}, &v);
    memcpy(id, v.id, sizeof(id));
    vm_info_done(&v);
    int r = host_vm_launch(
        t->host, &(struct vm_launch){.account = t->account, .snapshot = snapshot, .image = "bash"},
        NULL, &e);
    test_assert_err(r, &e, ERR_INVALID, "the snapshot is of image");
    assert_int_equal(0, host_vm_delete(t->host, t->account, id, &e));
    assert_int_equal(0, host_snapshot_delete(t->host, t->account, snapshot, &e));
    assert_int_equal(0, host_image_delete(t->host, t->account, i.id, &e));
    assert_false(is_there(t, i.id, ""));
    r = host_image_get(t->host, t->account, i.id, NULL, &e);
    test_assert_err(r, &e, ERR_NOT_FOUND, "no image");
}

static void test_its_kernel_goes_with_a_vm(void **state)
{
    struct test_host *t = *state;
    struct image_info i;
    struct vm_info v;
    struct stat before, after;
    char path[256], vm_path[256];
    struct err e = ERR_INIT;
    create(t, "kernel", &i);
    upload_both(t, i.id);
    path_of(t, i.id, "vmlinuz", path);
    assert_int_equal(0, stat(path, &before));
    launch(t, i.id, &v);
    snprintf(vm_path, sizeof(vm_path), "%s/vms/%s/vmlinuz", t->dir, v.id);
    upload_kernel(t, i.id); /* another one */
    assert_int_equal(0, stat(path, &after));
    assert_int_not_equal(before.st_ino, after.st_ino);
    assert_int_equal(0, stat(vm_path, &after));
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(0, host_vm_stop(t->host, t->account, v.id, 0, NULL, &e));
    assert_int_equal(0, host_vm_start(t->host, t->account, v.id, NULL, &e));
    assert_int_equal(0, stat(vm_path, &after));
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(0, host_vm_suspend(t->host, t->account, v.id, NULL, &e));
    assert_int_equal(0, host_vm_resume(t->host, t->account, v.id, NULL, &e));
    assert_int_equal(0, stat(vm_path, &after));
    assert_int_equal(before.st_ino, after.st_ino);
    vm_info_done(&v);
    launch(t, i.id, &v); /* of the new one */
    snprintf(vm_path, sizeof(vm_path), "%s/vms/%s/vmlinuz", t->dir, v.id);
    assert_int_equal(0, stat(vm_path, &after));
    assert_int_not_equal(before.st_ino, after.st_ino);
    vm_info_done(&v);
}

static void test_the_default(void **state)
{
    struct test_host *t = *state;
    struct image_info i;
    struct vm_info v;
    struct err e = ERR_INIT;
    create(t, "mine", &i);
    int r = host_image_set_default(t->host, t->account, i.id, &e);
    test_assert_err(r, &e, ERR_CONFLICT, "no kernel");
    r = host_image_set_default(t->host, t->account, "none", &e);
    test_assert_err(r, &e, ERR_NOT_FOUND, "no image");
    upload_both(t, i.id);
    assert_int_equal(0, host_image_set_default(t->host, t->account, i.id, &e));
    test_host_stop(t);
    test_host_start(t);
    get(t, "mine", &i);
    assert_true(i.is_default);
    launch(t, NULL, &v);
    assert_string_equal(i.id, v.image);
    assert_int_equal(0, host_vm_delete(t->host, t->account, v.id, &e));
    vm_info_done(&v);
    assert_int_equal(0, host_image_delete(t->host, t->account, i.id, &e));
    get(t, "bash", &i);
    assert_true(i.is_default);
    assert_int_equal(0, host_image_set_default(t->host, t->account, "python", &e));
    launch(t, NULL, &v);
    assert_string_equal("python", v.image);
    vm_info_done(&v);
}

static void test_what_a_killed_daemon_left(void **state)
{
    struct test_host *t = *state;
    struct image_info i;
    char path[256];
    create(t, "kept", &i);
    upload_both(t, i.id);
    test_host_stop(t);
    path_of(t, i.id, ".upload-rootfs", path);
    assert_int_equal(0, file_write_atomic(path, "half", 4, 0600));
    path_of(t, "orphanorphanorphanor", "", path);
    assert_int_equal(0, dir_make(path, 0700));
    path_of(t, "orphanorphanorphanor", "vmlinuz", path);
    assert_int_equal(0, file_write_atomic(path, "x", 1, 0600));
    /* Renamed, and the store does not know yet. */
    unsigned char kernel[TEST_BZIMAGE_BYTES + 512] = {0};
    test_make_bzimage(kernel, "");
    path_of(t, i.id, "vmlinuz", path);
    assert_int_equal(0, file_write_atomic(path, kernel, sizeof(kernel), 0444));
    test_host_start(t);
    assert_false(is_there(t, i.id, ".upload-rootfs"));
    assert_false(is_there(t, "orphanorphanorphanor", ""));
    get(t, "kept", &i);
    assert_int_equal(sizeof(kernel), i.kernel_bytes);
    assert_string_equal("ready", i.state);
}

static int64_t disk_usage(struct test_host *t)
{
    struct account_info a;
    assert_int_equal(0, host_account_get(t->host, t->account, &a, NULL));
    return a.usage.disk_bytes;
}

static void test_the_quota_of_disk(void **state)
{
    static unsigned char rootfs[TEST_EXT4_BYTES];
    const int64_t both = TEST_EXT4_BYTES + TEST_BZIMAGE_BYTES;
    struct test_host *t = *state;
    struct image_info i;
    struct image_upload *u = NULL;
    struct err e = ERR_INIT;
    struct quota limits = {-1, -1, both, -1};
    test_make_ext4(rootfs);
    create(t, "mine", &i);
    assert_int_equal(0, host_account_update(t->host, t->account, NULL, &limits, NULL, &e));
    upload_both(t, i.id);
    assert_int_equal(both, disk_usage(t));
    upload_both(t, i.id); /* in the place of what was there */
    assert_int_equal(both, disk_usage(t));
    test_host_stop(t);
    test_host_start(t);
    assert_int_equal(both, disk_usage(t));
    create(t, "more", &i);
    test_assert_err(upload(t, i.id, IMAGE_ROOTFS, rootfs, sizeof(rootfs), &e), &e, ERR_FORBIDDEN,
                    "quota of disk");
    /* One that does not tell its length is refused at its end. */
    assert_int_equal(0, host_image_upload(t->host, t->account, i.id, IMAGE_ROOTFS, -1, &u, &e));
    assert_int_equal(0, image_upload_write(u, rootfs, sizeof(rootfs), &e));
    test_assert_err(image_upload_finish(u, NULL, &e), &e, ERR_FORBIDDEN, "quota of disk");
    image_upload_free(u);
    assert_false(is_there(t, i.id, "rootfs.ext4"));
    assert_int_equal(both, disk_usage(t));
    assert_int_equal(0, host_image_delete(t->host, t->account, "mine", &e));
    assert_int_equal(0, disk_usage(t));
    upload_both(t, i.id);
    assert_int_equal(both, disk_usage(t));
}

/* The directory cannot be synced without a descriptor, and by then the file is in place. */
static void test_a_sync_that_fails_comes_after_the_file(void **state)
{
    static unsigned char kernel[TEST_BZIMAGE_BYTES + 512];
    struct test_host *t = *state;
    struct image_info i;
    struct image_upload *u = NULL;
    struct err e = ERR_INIT;
    struct rlimit had, few;
    int taken[512], n = 0;
    create(t, "mine", &i);
    upload_kernel(t, i.id);
    test_make_bzimage(kernel, "");
    assert_int_equal(0, host_image_upload(t->host, t->account, i.id, IMAGE_KERNEL, -1, &u, &e));
    assert_int_equal(0, image_upload_write(u, kernel, sizeof(kernel), &e));
    assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &had));
    few = (struct rlimit){.rlim_cur = ARRAY_SIZE(taken), .rlim_max = had.rlim_max};
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &few));
    while (n < (int)ARRAY_SIZE(taken) && (taken[n] = dup(0)) >= 0)
        n++;
    int r = image_upload_finish(u, &i, &e);
    while (n--)
        close(taken[n]);
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &had));
    image_upload_free(u);
    test_assert_err(r, &e, ERR_INTERNAL, "the kernel is in place");
    assert_null(strstr(e.text, t->dir));
    get(t, "mine", &i);
    assert_int_equal(sizeof(kernel), i.kernel_bytes);
    assert_int_equal(sizeof(kernel), disk_usage(t));
    upload_both(t, i.id); /* it is not held any more */
    assert_int_equal(TEST_BZIMAGE_BYTES + TEST_EXT4_BYTES, disk_usage(t));
}

/* --- a launch and a deletion at the same time --- */

struct racer {
    struct test_host *t;
    const char *image;
    int result;
    char vm[ID_SIZE];
};

static void *race(void *arg)
{
    struct racer *r = arg;
    struct vm_info v = {0};
    struct err e = ERR_INIT;
    r->result = host_vm_launch(
        r->t->host, &(struct vm_launch){.account = r->t->account, .image = r->image}, &v, &e);
    memcpy(r->vm, v.id, sizeof(r->vm));
    if (r->result == 0)
        vm_info_done(&v);
    else
        assert_true(e.class == ERR_INVALID || e.class == ERR_NOT_FOUND);
    return NULL;
}

/* Never both. */
static void test_a_launch_or_a_deletion(void **state)
{
    struct test_host *t = *state;
    struct image_info i;
    bool is_new = true;
    for (int n = 0; n < 30; n++) {
        struct err e = ERR_INIT;
        if (is_new) {
            create(t, "raced", &i);
            upload_both(t, i.id);
        }
        struct racer r = {.t = t, .image = i.id};
        pthread_t thread;
        assert_int_equal(0, pthread_create(&thread, NULL, race, &r));
        if (n % 2)
            sched_yield();
        int deleted = host_image_delete(t->host, t->account, i.id, &e);
        pthread_join(thread, NULL);
        assert_false(deleted == 0 && r.result == 0);
        if (deleted < 0)
            assert_int_equal(ERR_CONFLICT, e.class);
        if (r.result == 0) {
            test_await_state(t, r.vm, VM_RUNNING);
            assert_int_equal(0, host_vm_delete(t->host, t->account, r.vm, &e));
        }
        is_new = deleted == 0;
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, test_host_setup, test_host_teardown)

int main(int argc, char **argv)
{
    if (argc > 1)
        setenv("HOLM_ENGINE_DIR", argv[1], 1);
    const struct CMUnitTest tests[] = {
        TEST(test_from_nothing_to_a_vm),
        TEST(test_what_is_refused),
        TEST(test_zeros_become_holes),
        TEST(test_in_use),
        TEST(test_its_kernel_goes_with_a_vm),
        TEST(test_the_default),
        TEST(test_what_a_killed_daemon_left),
        TEST(test_the_quota_of_disk),
        TEST(test_a_sync_that_fails_comes_after_the_file),
        TEST(test_a_launch_or_a_deletion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
