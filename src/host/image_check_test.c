/* SPDX-License-Identifier: Apache-2.0 */
#include "host/image_check.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/test.h"
#include "host/test_image_files.h"

static int file_of(const void *data, size_t len)
{
    int fd = memfd_create("image", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(0, fd_write_all(fd, data, len));
    return fd;
}

static void accept_kernel(const unsigned char *data, size_t len, enum image_kernel_form form,
                          const char *release)
{
    auto_close int fd = file_of(data, len);
    struct image_kernel k = {0};
    struct err e = ERR_INIT;
    if (image_check_kernel(fd, (int64_t)len, &k, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(form, k.form);
    assert_string_equal(release, k.release);
}

static void refuse(bool is_kernel, const void *data, size_t len, const char *why)
{
    auto_close int fd = file_of(data, len);
    struct image_kernel k;
    struct err e = ERR_INIT;
    int r = is_kernel ? image_check_kernel(fd, (int64_t)len, &k, &e)
                      : image_check_rootfs(fd, (int64_t)len, &e);
    assert_true(r < 0);
    assert_int_equal(ERR_INVALID, e.class);
    if (!strstr(e.text, why))
        fail_msg("\"%s\" does not say \"%s\"", e.text, why);
}

static void test_bzimages(void **state)
{
    unsigned char p[TEST_BZIMAGE_BYTES];
    test_make_bzimage(p, "6.1.0-31-amd64 (me@there) #1 SMP");
    accept_kernel(p, sizeof(p), IMAGE_KERNEL_BZIMAGE, "6.1.0-31-amd64");
    test_make_bzimage(p, "../../etc/passwd");
    accept_kernel(p, sizeof(p), IMAGE_KERNEL_BZIMAGE, "");
    test_put(p + 0x20e, 0xffff, 2); /* beyond its setup */
    accept_kernel(p, sizeof(p), IMAGE_KERNEL_BZIMAGE, "");
    refuse(true, p, sizeof(p) - 1, "cut off");
    test_put(p + 0x1f4, 0xffffffff, 4);
    refuse(true, p, sizeof(p), "cut off");
    test_make_bzimage(p, "");
    test_put(p + 0x206, 0x020b, 2);
    refuse(true, p, sizeof(p), "boot protocol 2.11");
    test_make_bzimage(p, "");
    p[0x211] = 0;
    refuse(true, p, sizeof(p), "zImage");
    test_make_bzimage(p, "");
    p[0x236] = 0;
    refuse(true, p, sizeof(p), "32-bit");
}

static void test_vmlinux(void **state)
{
    unsigned char p[TEST_VMLINUX_BYTES];
    test_make_vmlinux(p);
    accept_kernel(p, sizeof(p), IMAGE_KERNEL_VMLINUX, "6.9.0-test");
    refuse(true, p, 0x7ff, "cut off");
    refuse(true, p, 0x400, "cut off");
    p[0x220] = 'x'; /* the note's name */
    refuse(true, p, sizeof(p), "no PVH entry");
    test_make_vmlinux(p);
    test_put(p + 0x200, 0xfffffffc, 4); /* a name that ends nowhere */
    refuse(true, p, sizeof(p), "no PVH entry");
    test_make_vmlinux(p);
    test_put(p + 64 + 40, UINT64_C(1) << 40, 8);
    refuse(true, p, sizeof(p), "memory");
    test_make_vmlinux(p);
    test_put(p + 120 + 8, UINT64_MAX - 3, 8);
    refuse(true, p, sizeof(p), "cut off");
    test_make_vmlinux(p);
    p[4] = 1;
    refuse(true, p, sizeof(p), "not for x86-64");
    test_make_vmlinux(p);
    test_put(p + 16, 1, 2);
    refuse(true, p, sizeof(p), "no kernel");
    test_make_vmlinux(p);
    test_put(p + 56, 65535, 2);
    refuse(true, p, sizeof(p), "program headers");
    test_make_vmlinux(p);
    test_put(p + 32, UINT64_MAX, 8);
    refuse(true, p, sizeof(p), "program headers are missing");
}

static void test_ext4(void **state)
{
    static unsigned char p[TEST_EXT4_BYTES];
    unsigned char *sb = p + 1024;
    struct err e = ERR_INIT;
    test_make_ext4(p);
    auto_close int fd = file_of(p, sizeof(p));
    assert_int_equal(0, image_check_rootfs(fd, sizeof(p), &e));
    refuse(false, p, sizeof(p) - 1024, "cut off");
    refuse(false, p, sizeof(p) - 1, "cut off");
    test_put(sb + 4, 10, 4);
    refuse(false, p, sizeof(p) - 1, "no multiple");
    test_put(sb + 0x18, 6, 4);
    refuse(false, p, sizeof(p), "more than 4096");
    test_make_ext4(p);
    test_put(sb + 0x150, 1, 4); /* 2^32 blocks more */
    refuse(false, p, sizeof(p), "cut off");
    test_make_ext4(p);
    test_put(sb + 0x20, 0, 4);
    refuse(false, p, sizeof(p), "makes no sense");
    test_make_ext4(p);
    test_put(sb + 0xe0, 0, 4);
    refuse(false, p, sizeof(p), "journal on another");
    static const struct {
        uint32_t feature;
        const char *why;
    } features[] = {{0x8, "only the journal"}, {0x100, "multiple mount"}, {0x80000, "(0x80000)"}};
    for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
        test_make_ext4(p);
        test_put(sb + 0x60, 0x42 | features[i].feature, 4);
        refuse(false, p, sizeof(p), features[i].why);
    }
}

static void test_what_people_send_by_mistake(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *why;
    } rows[] = {
        {"\x1f\x8b", 2, "a gzip file: unpack it first"},
        {"QFI\xfb", 4, "a qcow2 disk"},
        {"hsqs", 4, "a squashfs"},
        {"070701", 6, "a cpio archive"},
        {"\xfd"
         "7zXZ",
         5, "an xz file"},
        {"nothing", 7, "this is no "},
    };
    static unsigned char p[TEST_EXT4_BYTES];
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        memset(p, 0, sizeof(p));
        memcpy(p, rows[i].bytes, rows[i].len);
        refuse(true, p, sizeof(p), rows[i].why);
        refuse(false, p, sizeof(p), rows[i].why);
    }
    test_make_ext4(p);
    refuse(true, p, sizeof(p), "an ext4 file system: it belongs to the rootfs");
    test_make_bzimage(p, "");
    refuse(false, p, TEST_BZIMAGE_BYTES, "a kernel");
    memset(p, 0, sizeof(p));
    test_put(p + 510, 0xaa55, 2);
    refuse(false, p, sizeof(p), "whole disk with partitions");
    refuse(true, p, 10, "too short");
    refuse(false, p, 0, "no ext4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bzimages),
        cmocka_unit_test(test_vmlinux),
        cmocka_unit_test(test_ext4),
        cmocka_unit_test(test_what_people_send_by_mistake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
