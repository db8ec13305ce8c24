/* SPDX-License-Identifier: Apache-2.0 */

/* Reading files out of root file systems that somebody made to break who reads them: in the jail
 * when the test has the privileges for one. */

#include "host/image_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/proc.h"
#include "host/cpio.h"
#include "host/host_priv.h"
#include "host/image_modules.h"
#include "host/test_host.h"

struct world {
    struct test_host t;
    char dir[256]; /* of an image */
};

static void run(const char *script, const char *dir)
{
    auto_buf struct buf out = {0};
    struct err e = ERR_INIT;
    const char *argv[] = {"sh", "-ec", script, "sh", dir, NULL};
    if (proc_run(argv, 60000, &out, &e) < 0)
        fail_msg("%s: %s", e.text, buf_str(&out));
}

static int setup(void **state)
{
    static const char *const jailed[] = {"engine.jail=yes", "engine.uid_first=1981025000", NULL};
    struct world *w = calloc(1, sizeof(*w));
    test_host_init(&w->t, geteuid() == 0 ? jailed : NULL);
    snprintf(w->dir, sizeof(w->dir), "%s/an-image", w->t.dir);
    run("mkdir -p \"$1/t/lib/modules/6.1-x/k\"; cd \"$1/t/lib/modules/6.1-x\"\n"
        "printf 'k/virtio_blk.ko:\\nk/ext4.ko.xz:\\nk/virtio_pci.ko:\\n' >modules.dep\n"
        "printf 'k/virtio_console.ko\\n' >modules.builtin\n"
        "printf 'ELF\\0depends=\\0' >k/virtio_blk.ko; cp k/virtio_blk.ko k/virtio_pci.ko\n"
        "printf 'packed\\0depends=virtio_blk\\0' | xz -c --check=crc32 >k/ext4.ko.xz\n"
        "ln -s /etc/passwd k/link; mkfifo k/fifo; head -c 3000000 /dev/zero >k/zeros.ko\n"
        "head -c 40000000 /dev/zero | gzip -9c >k/bomb.ko.gz; head -c 999 k/ext4.ko.xz >/dev/null\n"
        "echo junk >k/junk.ko.zst; cd \"$1\"; mke2fs -q -t ext4 -d t rootfs.ext4 32M; rm -rf t",
        w->dir);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    test_host_done(&w->t);
    free(w);
    return 0;
}

typedef int (*read_fn)(struct image_reader *rd, const char *path, struct buf *ret, struct err *e);

static int read_with(struct world *w, read_fn fn, const char *path, struct buf *ret, struct err *e)
{
    CLEANUP(image_reader_close) struct image_reader rd = {0};
    int r = image_reader_open(&rd, w->t.host, w->dir, e);
    return r < 0 ? r : fn(&rd, path, ret, e);
}

static void reads(struct world *w, read_fn fn, const char *path, const char *expected)
{
    auto_buf struct buf b = {.max_bytes = 1 << 20};
    struct err e = ERR_INIT;
    if (read_with(w, fn, path, &b, &e) < 0)
        fail_msg("%s: %s", path, e.text);
    assert_string_equal(expected, buf_str(&b));
}

static void test_files(void **state)
{
    struct world *w = *state;
    reads(w, image_reader_cat, "/lib/modules/6.1-x/modules.builtin", "k/virtio_console.ko\n");
    reads(w, image_reader_list, "/lib/modules", "6.1-x\n");
    reads(w, image_reader_unpack, "/lib/modules/6.1-x/k/ext4.ko.xz", "packed");
    reads(w, image_reader_cat, "/none", "");
    reads(w, image_reader_list, "/none", "");
    reads(w, image_reader_unpack, "/lib/modules/6.1-x/k/junk.ko.zst", "");
    reads(w, image_reader_cat, "/lib/modules/6.1-x/k/fifo", "");
    /* A link leads to the image's own file, of which there is none. */
    reads(w, image_reader_cat, "/lib/modules/6.1-x/k/link/x", "");
}

static void test_bounds(void **state)
{
    struct world *w = *state;
    struct err e = ERR_INIT;
    auto_buf struct buf b = {.max_bytes = 1 << 20};
    int r = read_with(w, image_reader_cat, "/lib/modules/6.1-x/k/zeros.ko", &b, &e);
    assert_int_equal(-EINVAL, r);
    assert_non_null(strstr(e.text, "larger than 1 MiB"));
    auto_buf struct buf bomb = {.max_bytes = 1 << 20};
    r = read_with(w, image_reader_unpack, "/lib/modules/6.1-x/k/bomb.ko.gz", &bomb, &e);
    assert_int_equal(-EINVAL, r);
    assert_int_equal(0, test_count_entries(&w->t, "an-image") - 1); /* rootfs.ext4 alone */
}

static void test_a_deadline_of_all(void **state)
{
    struct world *w = *state;
    CLEANUP(image_reader_close) struct image_reader rd = {0};
    auto_buf struct buf b = {.max_bytes = 1 << 20};
    struct err e = ERR_INIT;
    assert_int_equal(0, image_reader_open(&rd, w->t.host, w->dir, &e));
    assert_int_equal(0, image_reader_cat(&rd, "/lib/modules/6.1-x/modules.dep", &b, &e));
    rd.deadline_ms = clock_mono_ms();
    assert_int_equal(-EINVAL, image_reader_cat(&rd, "/lib/modules/6.1-x/modules.dep", &b, &e));
    assert_string_equal("its root file system takes too long to be read", e.text);
}

static void assert_module(struct world *w, const char *name, bool there)
{
    char path[512];
    auto_buf struct buf b = {0};
    const void *data;
    size_t len;
    snprintf(path, sizeof(path), "%s/modules.cpio", w->dir);
    assert_int_equal(0, file_read(path, &b, IMAGE_MODULES_MAX_BYTES));
    assert_true(cpio_find(b.data, b.len, name, &data, &len) == there);
}

static void test_modules(void **state)
{
    struct world *w = *state;
    struct image_modules m = {.host = w->t.host, .dir = w->dir, .to = w->dir, .release = "6.1-x"};
    struct err e = ERR_INIT;
    if (image_modules_make(&m, &e) < 0)
        fail_msg("%s", e.text);
    assert_module(w, "modules/00-virtio_pci.ko", true);
    assert_module(w, "modules/01-virtio_blk.ko", true);
    assert_module(w, "modules/02-ext4.ko", true);
    assert_module(w, "modules/03-virtio_rng.ko", false);
    m.release = ""; /* there is only one */
    assert_int_equal(0, image_modules_make(&m, &e));
    assert_module(w, "modules/02-ext4.ko", true);
    m.release = "6.2";
    assert_int_equal(0, image_modules_make(&m, &e));
    assert_module(w, "modules/00-virtio_pci.ko", false);
}

/* Whatever stands in it, who reads it comes back with bytes or an error. */
static void test_broken_file_systems(void **state)
{
    struct world *w = *state;
    char path[512];
    unsigned seed = 7;
    snprintf(path, sizeof(path), "%s/rootfs.ext4", w->dir);
    auto_close int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    for (int i = 0; i < 12; i++) {
        for (int n = 0; n < 2000; n++) {
            seed = seed * 1103515245 + 12345;
            unsigned char byte = (unsigned char)(seed >> 16);
            /* The superblock's magic stays: it was looked at before. */
            off_t at = 2048 + (off_t)(seed >> 8) % (i % 2 ? 200000 : 3000000);
            assert_int_equal(1, pwrite(fd, &byte, 1, at));
        }
        struct image_modules m = {
            .host = w->t.host, .dir = w->dir, .to = w->dir, .release = "6.1-x"};
        struct err e = ERR_INIT;
        if (image_modules_make(&m, &e) < 0)
            assert_int_equal(ERR_INVALID, e.class);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
    if (argc > 1)
        setenv("HOLM_ENGINE_DIR", argv[1], 1);
    const struct CMUnitTest tests[] = {
        TEST(test_files),
        TEST(test_bounds),
        TEST(test_a_deadline_of_all),
        TEST(test_modules),
        TEST(test_broken_file_systems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
