/* SPDX-License-Identifier: Apache-2.0 */

/* Dirty memory of a process, this one, and the files that are made of it. */

#include "base/test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "engine/qemu/bitmap.h"
#include "engine/qemu/extents.h"
#include "engine/qemu/memory.h"
#include "engine/qemu/pages.h"

#define PAGE EXTENTS_PAGE_BYTES
#define PAGES 4096
#define BYTES ((size_t)PAGES * PAGE)

static void path_in(const char *dir, const char *name, char ret[256])
{
    snprintf(ret, 256, "%s/%s", dir, name);
}

/* Maps the files of a directory as the monitor does: the delta's extents over the memory. */
static char *map_files(const char *dir)
{
    char path[256];
    auto_buf struct buf list = {0};
    path_in(dir, PAGES_MEMORY, path);
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *m = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    assert_ptr_not_equal(m, MAP_FAILED);
    path_in(dir, PAGES_EXTENTS, path);
    if (file_read(path, &list, 1 << 20) < 0)
        return m;
    path_in(dir, PAGES_DELTA, path);
    auto_close int delta = open(path, O_RDONLY | O_CLOEXEC);
    const struct extent *v = (const struct extent *)list.data;
    assert_true(extents_valid(v, list.len / sizeof(*v), PAGES));
    for (size_t i = 0; i < list.len / sizeof(*v); i++) {
        off_t at = (off_t)v[i].page * PAGE;
        assert_ptr_not_equal(mmap(m + at, (size_t)v[i].pages * PAGE, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_FIXED, delta, at),
                             MAP_FAILED);
    }
    return m;
}

/* Makes in `dir` the files of this process's mapping of the files in `from`. Returns whether there
 * is a delta. */
static bool capture(const char *from, const char *dir, uint64_t *ret_pages)
{
    char memory[256], delta[256], part[256];
    struct err e = ERR_INIT;
    struct pages p;
    struct memory_view view;
    struct memory_dirty dirty;
    bool is_delta = false;
    assert_int_equal(mkdir(dir, 0700), 0);
    path_in(from, PAGES_MEMORY, memory);
    path_in(from, PAGES_DELTA, delta);
    path_in(dir, "part", part);
    assert_int_equal(pages_open(from, &p, &e), 0);
    int r = memory_find(getpid(), memory, p.delta_fd >= 0 ? delta : NULL, &view, &e);
    if (r == 0)
        r = memory_prepare(&view, &dirty, &e);
    auto_close int out = open(part, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(out, BYTES), 0);
    if (r == 0)
        r = memory_take(&view, &dirty, out, &e);
    if (r == 0)
        r = memory_flush(&dirty, out, &e);
    const struct pages_target to = {from, dir, part, out};
    if (r == 0)
        r = pages_complete(&p, &dirty, &to, &is_delta, &e);
    if (r < 0)
        fail_msg("%s", e.text);
    *ret_pages = dirty.pages;
    memory_done(&dirty);
    pages_done(&p);
    return is_delta;
}

static void make_hole(const char *dir)
{
    char path[256];
    assert_int_equal(mkdir(dir, 0700), 0);
    path_in(dir, PAGES_MEMORY, path);
    auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, BYTES), 0);
}

/* Writes into a few pages, some of them with zeros, and reads others. */
static void scribble(char *m, unsigned *seed, int n)
{
    for (int i = 0; i < n; i++) {
        size_t page = (size_t)rand_r(seed) % PAGES;
        size_t run = 1 + (size_t)rand_r(seed) % 5;
        for (size_t k = page; k < page + run && k < PAGES; k++)
            memset(m + k * PAGE, rand_r(seed) % 3 ? rand_r(seed) % 256 : 0, PAGE);
        volatile char sink = m[(size_t)rand_r(seed) % BYTES];
        (void)sink;
    }
}

/* Each generation is restored from the one before, changed, and captured: the files of each hold
 * exactly what the process saw. */
static void test_generations(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    unsigned seed = 7;
    char from[256], to[256];
    int deltas = 0, wholes = 0;
    path_in(dir, "g0", from);
    make_hole(from);
    char *m = map_files(from);
    for (int i = 1; i <= 30; i++) {
        char name[16];
        uint64_t pages;
        snprintf(name, sizeof(name), "g%d", i);
        path_in(dir, name, to);
        scribble(m, &seed, i == 1 ? 600 : 60);
        bool is_delta = capture(from, to, &pages);
        deltas += is_delta;
        wholes += !is_delta;
        assert_true(pages > 0 && pages < PAGES);
        char *child = map_files(to);
        assert_memory_equal(child, m, BYTES);
        munmap(m, BYTES);
        m = child;
        memcpy(from, to, sizeof(from));
    }
    munmap(m, BYTES);
    /* Small changes share the whole file; when they have become many there is a new one. */
    assert_true(deltas > 20);
    assert_true(wholes > 1);
}

/* Only what was written is dirty, zeros are holes, and the shared file is not copied. */
static void test_what_is_stored(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char a[256], b[256], c[256], path[256];
    uint64_t pages;
    path_in(dir, "a", a);
    path_in(dir, "b", b);
    path_in(dir, "c", c);
    make_hole(a);
    char *m = map_files(a);
    memset(m, 'b', 100 * PAGE);
    assert_false(capture(a, b, &pages));
    assert_int_equal(pages, 100);
    munmap(m, BYTES);
    m = map_files(b);
    volatile char sink = m[5 * PAGE]; /* read only: not dirty */
    (void)sink;
    m[7 * PAGE] = '7';
    memset(m + 50 * PAGE, 0, 2 * PAGE);
    m[4095 * PAGE] = 'e';
    assert_true(capture(b, c, &pages));
    assert_int_equal(pages, 4);
    struct stat shared, base;
    path_in(b, PAGES_MEMORY, path);
    assert_int_equal(stat(path, &base), 0);
    path_in(c, PAGES_MEMORY, path);
    assert_int_equal(stat(path, &shared), 0);
    assert_int_equal(shared.st_ino, base.st_ino);
    path_in(c, PAGES_DELTA, path);
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(lseek(fd, 0, SEEK_DATA), 7 * PAGE);
    assert_int_equal(lseek(fd, 50 * PAGE, SEEK_DATA), 4095 * PAGE);
    munmap(m, BYTES);
}

/* Memory that is not all there, or not in order, is no guest's. */
static void test_odd_mappings(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char a[256], path[256];
    struct memory_view view;
    struct err e = ERR_INIT;
    path_in(dir, "a", a);
    make_hole(a);
    path_in(a, PAGES_MEMORY, path);
    assert_true(memory_find(getpid(), path, NULL, &view, &e) < 0);
    assert_non_null(strstr(e.text, "maps 0 of"));
    char *m = map_files(a);
    assert_int_equal(memory_find(getpid(), path, NULL, &view, &e), 0);
    assert_int_equal(view.address, (uint64_t)m);
    assert_int_equal(view.pages, PAGES);
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_ptr_not_equal(mmap(m + 4 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 9 * PAGE),
                         MAP_FAILED);
    assert_true(memory_find(getpid(), path, NULL, &view, &e) < 0);
    assert_non_null(strstr(e.text, "out of order"));
    munmap(m, BYTES);
}

static void test_extents(void **state)
{
    static const struct extent good[] = {{0, 1}, {1, 5}, {9, 1}}, apart[] = {{5, 2}, {6, 1}},
                               empty[] = {{1, 0}}, huge[] = {{UINT32_MAX, UINT32_MAX}};
    assert_true(extents_valid(good, 3, 10));
    assert_true(extents_valid(NULL, 0, 10));
    assert_false(extents_valid(good, 3, 9));
    assert_false(extents_valid(apart, 2, 100));
    assert_false(extents_valid(empty, 1, 100));
    assert_false(extents_valid(huge, 1, UINT32_MAX));
    assert_false(extents_valid(good, EXTENTS_MAX + 1, 100));
}

static void test_bitmap(void **state)
{
    uint64_t map[4] = {0};
    bitmap_set(map, 3, 200);
    assert_false(bitmap_get(map, 2));
    assert_true(bitmap_get(map, 3) && bitmap_get(map, 199));
    assert_false(bitmap_get(map, 200));
    assert_int_equal(bitmap_find(map, 0, 256, true), 3);
    assert_int_equal(bitmap_find(map, 3, 256, false), 200);
    assert_int_equal(bitmap_find(map, 3, 100, false), 100);
    assert_int_equal(bitmap_find(map, 200, 256, true), 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generations),  cmocka_unit_test(test_what_is_stored),
        cmocka_unit_test(test_odd_mappings), cmocka_unit_test(test_extents),
        cmocka_unit_test(test_bitmap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
