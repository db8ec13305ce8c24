/* SPDX-License-Identifier: Apache-2.0 */

/* The guest's file table and its disk on the host. */

#include "base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "engine/fake/bounds.h"
#include "engine/fake/disk.h"
#include "engine/fake/pack.h"

static void test_paths(void **state)
{
    char path[16];
    assert_int_equal(0, files_resolve("/work", "a/./b//c/..", path, sizeof(path)));
    assert_string_equal(path, "/work/a/b");
    assert_int_equal(0, files_resolve("/work", "../../../x", path, sizeof(path)));
    assert_string_equal(path, "/x");
    assert_int_equal(0, files_resolve("/work", "/abs/", path, sizeof(path)));
    assert_string_equal(path, "/abs");
    assert_int_equal(0, files_resolve(NULL, "x", path, sizeof(path)));
    assert_string_equal(path, "/x");
    assert_int_equal(-EINVAL, files_resolve("/work", "", path, sizeof(path)));
    assert_int_equal(0, files_resolve("/work", "..", path, sizeof(path)));
    assert_string_equal(path, "/");
    assert_int_equal(-ENAMETOOLONG, files_resolve("/work", "0123456789", path, sizeof(path)));
}

static void test_the_table_is_bounded(void **state)
{
    struct files f = {0};
    char path[32];
    for (int i = 0; i < FAKE_FILES_MAX; i++) {
        snprintf(path, sizeof(path), "/%d", i * 7919 % FAKE_FILES_MAX);
        assert_int_equal(0, files_write(&f, path, path, strlen(path)));
    }
    assert_int_equal(FAKE_FILES_MAX, f.n);
    assert_int_equal(-ENOSPC, files_write(&f, "/more", "", 0));
    assert_int_equal(0, files_write(&f, "/7", "again", 5));
    assert_string_equal(files_find(&f, "/7")->data, "again");
    assert_null(files_find(&f, "/more"));
    size_t before = f.bytes;
    auto_free char *large = calloc(1, FAKE_FILES_MAX_BYTES);
    assert_non_null(large);
    assert_int_equal(-ENOSPC, files_write(&f, "/8", large, FAKE_FILES_MAX_BYTES));
    assert_int_equal(before, f.bytes);
    files_done(&f);
}

static void put(struct files *f, const char *path, const char *text)
{
    assert_int_equal(0, files_write(f, path, text, strlen(text)));
}

static void test_directories(void **state)
{
    struct files f = {0};
    put(&f, "/a/b/c", "x");
    put(&f, "/a-b", "y");
    put(&f, "/a/d", "z");
    assert_true(files_is_dir(&f, "/") && files_is_dir(&f, "/a") && files_is_dir(&f, "/a/b"));
    assert_false(files_is_dir(&f, "/a/d") || files_is_dir(&f, "/no"));
    assert_null(files_find(&f, "/a"));
    assert_int_equal(-EISDIR, files_write(&f, "/a/b", "", 0));
    assert_int_equal(-EISDIR, files_write(&f, "/", "", 0));
    assert_int_equal(-ENOTDIR, files_write(&f, "/a/d/e", "", 0));
    assert_int_equal(-ENOTDIR, files_make_dir(&f, "/a/d"));
    assert_int_equal(0, files_make_dir(&f, "/a/b"));
    assert_string_equal("/a/b", f.list[files_first_below(&f, "/a")].path);
    assert_string_equal("/a", f.list[files_first_below(&f, "/")].path);
    assert_int_equal(-ENOENT, files_remove(&f, "/a/no"));
    assert_int_equal(-EBUSY, files_remove(&f, "/"));
    assert_int_equal(0, files_remove(&f, "/a"));
    assert_int_equal(1, f.n);
    assert_int_equal(1, f.bytes);
    assert_string_equal("/a-b", f.list[0].path);
    files_done(&f);
}

static void fill(struct files *f)
{
    const struct file_attr attr = {
        .type = FILE_LINK, .mode = 0777, .uid = 7, .gid = 8, .mtime_ms = -1};
    assert_int_equal(0, files_write(f, "/a", "x\0y", 3));
    put(f, "/b", "");
    put(f, "/dir/c", "in a directory");
    assert_int_equal(0, files_put(f, "/dir/link", &attr, "c", 1));
}

static void assert_same(const struct files *a, const struct files *b)
{
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->bytes, b->bytes);
    assert_true(files_hash(a, NULL, PACK_HASH_START) == files_hash(b, NULL, PACK_HASH_START));
    for (size_t i = 0; i < a->n; i++) {
        assert_string_equal(a->list[i].path, b->list[i].path);
        assert_int_equal(0, memcmp(&a->list[i].attr, &b->list[i].attr, sizeof(struct file_attr)));
    }
}

static const struct disk_shape shape = {.device_bytes = 5000, .fs_bytes = 4000, .layers = 3};

static void test_a_disk_is_saved_and_loaded(void **state)
{
    struct files f = {0}, g = {0};
    struct disk_shape s = {0};
    struct err e = ERR_INIT;
    auto_buf struct buf saved = {0};
    fill(&f);
    assert_int_equal(0, disk_save(&shape, &f, &saved));
    assert_int_equal(0, disk_load(&s, &g, &saved, &e));
    assert_same(&f, &g);
    assert_int_equal(0, memcmp(&s, &shape, sizeof(s)));
    files_done(&g);
    size_t whole = saved.len;
    size_t shortest = 8 + 4 + 4 + 24; /* of the shape alone */
    for (saved.len = 0; saved.len < whole; saved.len++) {
        struct disk_shape cut = {0};
        int r = disk_load(&cut, &g, &saved, &e);
        if (r < 0) {
            assert_int_equal(ERR_INVALID, e.class);
            assert_null(g.list);
            assert_int_equal(0, cut.layers);
        } else {
            /* Whole records only. */
            assert_true(saved.len >= shortest && g.n < f.n);
            files_done(&g);
        }
    }
    files_done(&f);
}

static void test_a_disk_survives_whoever_wrote_it(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    struct files f = {0}, g = {0};
    struct disk d = {.shape = shape}, again = {0};
    struct disk_shape larger = {.device_bytes = 9000, .fs_bytes = 9000, .layers = 4};
    struct err e = ERR_INIT;
    assert_int_equal(-ENOENT, disk_open(&again, dir, &g, &e));
    assert_int_equal(ERR_NOT_FOUND, e.class);
    assert_int_equal(0, disk_create(&d, dir, &f, &e));
    fill(&f);
    put(&f, "/gone/x", "x");
    assert_int_equal(0, files_remove(&f, "/gone"));
    put(&f, "/gone", "a file in the place of a directory");
    assert_int_equal(0, disk_reshape(&d, &larger));
    /* Nothing is closed: the other one finds what was written so far, twice. */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(0, disk_open(&again, dir, &g, &e));
        assert_same(&f, &g);
        assert_int_equal(0, memcmp(&again.shape, &larger, sizeof(larger)));
        files_done(&g);
        disk_done(&again);
    }
    files_done(&f);
    disk_done(&d);
}

static void append_to_log(const char *dir, const char *text)
{
    char path[PATH_MAX];
    path_printf(path, sizeof(path), "%s/disk.log", dir);
    auto_close int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(0, fd_write_all(fd, text, strlen(text)));
}

static void test_a_torn_record_at_the_end_is_dropped(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    struct files f = {0}, g = {0};
    struct disk d = {.shape = shape}, again = {0};
    struct err e = ERR_INIT;
    assert_int_equal(0, disk_create(&d, dir, &f, &e));
    fill(&f);
    append_to_log(dir, "\x40"
                       "to");
    assert_int_equal(0, disk_open(&again, dir, &g, &e));
    assert_same(&f, &g);
    put(&g, "/later", "x");
    files_done(&g);
    disk_done(&again);
    assert_int_equal(0, disk_open(&again, dir, &g, &e));
    assert_string_equal("x", files_find(&g, "/later")->data);
    files_done(&f);
    files_done(&g);
    disk_done(&d);
    disk_done(&again);
}

static void save_template(const char *dir, const struct files *f)
{
    char path[PATH_MAX];
    auto_buf struct buf saved = {0};
    path_printf(path, sizeof(path), "%s/disk", dir);
    assert_int_equal(0, disk_save(&shape, f, &saved));
    assert_int_equal(0, file_write_atomic(path, saved.data, saved.len, 0600));
}

static void test_a_clone_leaves_its_template_alone(void **state)
{
    auto_test_dir char *from = test_dir_make();
    auto_test_dir char *to = test_dir_make();
    struct files f = {0}, g = {0}, h = {0};
    struct disk d = {0};
    struct err e = ERR_INIT;
    fill(&f);
    save_template(from, &f);
    for (int i = 0; i < 2; i++) { /* also over the disk that is there */
        assert_int_equal(0, disk_clone(&d, to, from, &g, &e));
        assert_int_equal(shape.layers + 1, d.shape.layers);
        assert_same(&f, &g);
        put(&g, "/mine", "x");
        assert_int_equal(0, disk_compact(&d, &g));
        files_done(&g);
        disk_done(&d);
    }
    assert_int_equal(0, dir_remove(from));
    assert_int_equal(0, disk_open(&d, to, &h, &e));
    assert_string_equal("x", files_find(&h, "/mine")->data);
    files_done(&f);
    files_done(&h);
    disk_done(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_the_table_is_bounded),
        cmocka_unit_test(test_directories),
        cmocka_unit_test(test_a_disk_is_saved_and_loaded),
        cmocka_unit_test(test_a_disk_survives_whoever_wrote_it),
        cmocka_unit_test(test_a_torn_record_at_the_end_is_dropped),
        cmocka_unit_test(test_a_clone_leaves_its_template_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
