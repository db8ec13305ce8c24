/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/test.h"

static void write_file(const char *path, const char *text)
{
    assert_int_equal(file_write_atomic(path, text, strlen(text), 0640), 0);
}

static void test_atomic(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char path[PATH_MAX];
    path_printf(path, sizeof(path), "%s/f", dir);
    write_file(path, "one");
    write_file(path, "two");
    auto_buf struct buf b = {0};
    assert_int_equal(file_read(path, &b, 10), 0);
    assert_string_equal(buf_str(&b), "two");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(file_read(path, &b, 2), -E2BIG);
    assert_int_equal(file_write_atomic("/nowhere/f", "x", 1, 0600), -ENOENT);
}

static void test_copy_keeps_holes(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char from[PATH_MAX], to[PATH_MAX];
    path_printf(from, sizeof(from), "%s/from", dir);
    path_printf(to, sizeof(to), "%s/to", dir);
    auto_close int fd = open(from, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, 64 << 20), 0);
    assert_int_equal(pwrite(fd, "middle", 6, 32 << 20), 6);
    assert_int_equal(file_copy(from, to, 0600), 0);
    assert_int_equal(file_copy(from, to, 0600), -EEXIST);
    struct stat st;
    assert_int_equal(stat(to, &st), 0);
    assert_int_equal(st.st_size, 64 << 20);
    assert_true(st.st_blocks * 512 < 1 << 20);
    auto_close int copy = open(to, O_RDONLY | O_CLOEXEC);
    char text[6];
    assert_int_equal(pread(copy, text, 6, 32 << 20), 6);
    assert_memory_equal(text, "middle", 6);
}

static void test_remove(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char deep[PATH_MAX], keep[PATH_MAX], link[PATH_MAX], top[PATH_MAX];
    path_printf(keep, sizeof(keep), "%s/keep", dir);
    path_printf(top, sizeof(top), "%s/top", dir);
    path_printf(deep, sizeof(deep), "%s/a/b/c", top);
    path_printf(link, sizeof(link), "%s/link", top);
    assert_int_equal(dir_make(deep, 0700), 0);
    assert_int_equal(dir_make(deep, 0700), 0);
    write_file(keep, "precious");
    assert_int_equal(symlink(dir, link), 0);
    assert_int_equal(dir_remove(top), 0);
    assert_int_equal(access(keep, F_OK), 0);
    assert_int_equal(access(top, F_OK), -1);
    assert_int_equal(dir_remove(top), 0);
}

static void test_unix(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char path[PATH_MAX];
    path_printf(path, sizeof(path), "%s/s", dir);
    auto_close int l = unix_listen(path, 0600, 4);
    assert_true(l >= 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    auto_close int c = unix_connect(path);
    auto_close int s = accept4(l, NULL, NULL, SOCK_CLOEXEC);
    assert_true(c >= 0 && s >= 0);
    assert_int_equal(fd_write_all(c, "ping", 4), 0);
    char got[4];
    assert_int_equal(fd_read_all(s, got, 4), 0);
    assert_memory_equal(got, "ping", 4);
    close(TAKE_FD(c));
    assert_int_equal(fd_read_all(s, got, 1), -ENODATA);
    auto_close int again = unix_listen(path, 0660, 4);
    assert_true(again >= 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660); /* the usual umask, 022, would leave 0640 */
    assert_int_equal(unix_connect("/nowhere/socket"), -ENOENT);
}

static void test_path_printf(void **state)
{
    char p[8];
    assert_int_equal(path_printf(p, sizeof(p), "%s", "1234567"), 0);
    assert_int_equal(path_printf(p, sizeof(p), "%s", "12345678"), -ENAMETOOLONG);
    assert_string_equal(p, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_atomic),      cmocka_unit_test(test_copy_keeps_holes),
        cmocka_unit_test(test_remove),      cmocka_unit_test(test_unix),
        cmocka_unit_test(test_path_printf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
