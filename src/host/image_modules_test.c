/* SPDX-License-Identifier: Apache-2.0 */
#include "host/image_modules.h"

#include <errno.h>

#include "base/limits.h"
#include "base/test.h"
#include "host/cpio.h"
#include "host/vm_words.h"

/* Modules by path, and what each says that it depends on. */
struct disk {
    const struct {
        const char *path, *depends;
    } files[16];
    int reads;
};

static int read_one(void *arg, const char *path, struct buf *ret, struct err *e)
{
    struct disk *d = arg;
    d->reads++;
    for (size_t i = 0; i < ARRAY_SIZE(d->files) && d->files[i].path; i++) {
        if (strcmp(d->files[i].path, path) != 0)
            continue;
        buf_append(ret, "ELF\0x", 5);
        buf_append(ret, "\0depends=", 9);
        buf_append(ret, d->files[i].depends, strlen(d->files[i].depends) + 1);
    }
    return 0;
}

static void assert_order(const struct buf *archive, const char *const *names)
{
    size_t n = 0;
    const void *data;
    for (; names[n]; n++) {
        char path[64];
        size_t len;
        snprintf(path, sizeof(path), "modules/%02zu-%s.ko", n, names[n]);
        if (!cpio_find(archive->data, archive->len, path, &data, &len))
            fail_msg("no %s", path);
    }
}

static const char all[] = "kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko\n"
                          "kernel/fs/jbd2/jbd2.ko:\n"
                          "kernel/drivers/virtio/virtio.ko:\n"
                          "kernel/drivers/virtio/virtio_pci.ko: x\n"
                          "kernel/drivers/block/virtio_blk.ko.xz\n"
                          "kernel/drivers/char/virtio_console.ko\n"
                          "kernel/drivers/char/hw_random/virtio-rng.ko\n"
                          "kernel/other.ko\n";

static void test_what_is_needed_comes_first(void **state)
{
    static const char *const order[] = {"virtio", "virtio_pci", "virtio_blk", "virtio_console",
                                        "jbd2",   "ext4",       "virtio-rng", NULL};
    struct disk d = {{{"kernel/fs/ext4/ext4.ko", "jbd2,not-there"},
                      {"kernel/fs/jbd2/jbd2.ko", ""},
                      {"kernel/drivers/virtio/virtio.ko", "virtio_pci"}, /* a circle */
                      {"kernel/drivers/virtio/virtio_pci.ko", "virtio"},
                      {"kernel/drivers/block/virtio_blk.ko.xz", "virtio"},
                      {"kernel/drivers/char/virtio_console.ko", "virtio"},
                      {"kernel/drivers/char/hw_random/virtio-rng.ko", "virtio"}}};
    struct image_module_source src = {.paths = all, .builtin = "", .read = read_one, .arg = &d};
    auto_buf struct buf archive = {0};
    size_t n = 0;
    struct err e = ERR_INIT;
    assert_int_equal(0, image_modules_pack(&src, &archive, &n, &e));
    assert_int_equal(7, n);
    assert_int_equal(7, d.reads);
    assert_order(&archive, order);
}

static void refuse(const char *paths, const char *builtin, const char *why)
{
    struct disk d = {{{"a/virtio_pci.ko", ""}}};
    struct image_module_source src = {
        .paths = paths, .builtin = builtin, .read = read_one, .arg = &d};
    auto_buf struct buf archive = {0};
    size_t n = 0;
    struct err e = ERR_INIT;
    assert_int_equal(-EINVAL, image_modules_pack(&src, &archive, &n, &e));
    assert_int_equal(ERR_INVALID, e.class);
    if (!strstr(e.text, why))
        fail_msg("\"%s\" does not say \"%s\"", e.text, why);
}

static void test_what_is_missing(void **state)
{
    static const char builtin[] =
        "kernel/virtio_blk.ko\nkernel/virtio_console.ko\nkernel/ext4.ko\n";
    refuse("x.ko\n", builtin, "no virtio_pci");
    refuse("a/virtio_blk.ko:\n", "", "virtio_blk.ko is not there");
    /* Paths that lead elsewhere are none. */
    refuse("../virtio_pci.ko\n/x/virtio_pci.ko\na b/virtio_pci.ko\na$(x)/virtio_pci.ko\n", builtin,
           "no virtio_pci");
    struct disk d = {{{"a/virtio_pci.ko", ""}}};
    struct image_module_source src = {
        .paths = "a/virtio_pci.ko", .builtin = builtin, .read = read_one, .arg = &d};
    auto_buf struct buf archive = {0};
    size_t n = 0;
    assert_int_equal(0, image_modules_pack(&src, &archive, &n, NULL));
    assert_int_equal(1, n);
}

static void test_a_bound_on_all(void **state)
{
    struct disk d = {{{"a/virtio_pci.ko", ""}}};
    struct image_module_source src = {
        .paths = "a/virtio_pci.ko", .builtin = "", .read = read_one, .arg = &d};
    auto_buf struct buf archive = {.max_bytes = 100};
    struct err e = ERR_INIT;
    size_t n;
    assert_int_equal(-EINVAL, image_modules_pack(&src, &archive, &n, &e));
    assert_non_null(strstr(e.text, "more than"));
}

/* Each needs the next, so all would be in memory before the first is packed. */
static int read_large(void *arg, const char *path, struct buf *ret, struct err *e)
{
    static char zeros[4 << 20];
    char depends[32];
    int *reads = arg, n = snprintf(depends, sizeof(depends), "%cdepends=m%d", 0, ++*reads);
    buf_append(ret, depends, (size_t)n + 1);
    return buf_append(ret, zeros, sizeof(zeros));
}

static void test_a_bound_on_what_is_read(void **state)
{
    auto_buf struct buf paths = {0};
    auto_buf struct buf archive = {.max_bytes = IMAGE_MODULES_MAX_BYTES};
    struct err e = ERR_INIT;
    int reads = 0;
    size_t n;
    buf_append_str(&paths, "virtio_pci.ko\n");
    for (int i = 1; i < IMAGE_MODULES_MAX; i++)
        buf_printf(&paths, "m%d.ko\n", i);
    struct image_module_source src = {
        .paths = buf_str(&paths), .builtin = "", .read = read_large, .arg = &reads};
    assert_int_equal(-EINVAL, image_modules_pack(&src, &archive, &n, &e));
    assert_string_equal("its modules have more than 64 MiB", e.text);
    assert_int_equal(16, reads);
}

static void assert_words(const char *console, const char *expected)
{
    char words[VM_WORDS_SIZE];
    vm_words_pick(console, strlen(console), words);
    assert_string_equal(expected, words);
}

static void test_last_words(void **state)
{
    assert_words("", "");
    assert_words("\n\n  \n", "");
    assert_words("one\r\ntwo\r\nthree\nfour\n", "two | three | four");
    assert_words("[    1.234567] VFS: Cannot open root device\n"
                 "[    1.3] Kernel panic - not syncing: VFS\n"
                 "[    1.4] CPU: 0 PID: 1\n---[ end Kernel panic - not syncing ]---",
                 "VFS: Cannot open root device | Kernel panic - not syncing: VFS");
    assert_words("\x1b[31mred\x1b[0m \x01\x02 end", "red end");
    char many[1000], words[VM_WORDS_SIZE];
    memset(many, 'x', sizeof(many));
    vm_words_pick(many, sizeof(many), words);
    assert_int_equal(VM_WORDS_SIZE - 1, strlen(words));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_needed_comes_first),
        cmocka_unit_test(test_what_is_missing),
        cmocka_unit_test(test_a_bound_on_all),
        cmocka_unit_test(test_a_bound_on_what_is_read),
        cmocka_unit_test(test_last_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
