/* SPDX-License-Identifier: Apache-2.0 */

/* holm cp: files, directories, streams, in both directions and between VMs. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/proc.h"
#include "cli/test_cmd.h"

#define FILES VM_A "/files"
#define FILES_C VM_C "/files"
#define STAT(files, kind)                                                            \
    {                                                                                \
        .path = files, .method = "GET", .query = "stat=1", .status = 200, .steps = { \
            "{\"type\":\"" kind "\",\"size\":3,\"mode\":488}" /* 0750 */             \
        }                                                                            \
    }
#define NO_STAT(files)                                                               \
    {                                                                                \
        .path = files, .method = "GET", .query = "stat=1", .status = 404, .steps = { \
            "{\"error\":{\"message\":\"no such file\"}}"                             \
        }                                                                            \
    }
#define GET(files, ...)                                                                    \
    {                                                                                      \
        .path = files, .method = "GET", .status = 200, .type = "application/octet-stream", \
        __VA_ARGS__                                                                        \
    }
#define PUT(files) CALL("PUT", files, 201, "{\"path\":\"x\",\"size\":1}")

static void path_in(const char *dir, const char *name, char ret[PATH_MAX])
{
    snprintf(ret, PATH_MAX, "%s/%s", dir, name);
}

static void test_file_into_vm(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char path[PATH_MAX];
    path_in(dir, "a b.txt", path);
    assert_int_equal(file_write_atomic(path, "hello", 5, 0751), 0);
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(VMS, NO_STAT(FILES), PUT(FILES)));
    test_expect(s, ARGV("cp", path, "lab:x+y"), 0, "", "");
    assert_string_equal(test_server_body(s), "hello");
    assert_non_null(strstr(test_server_log(s), "PUT " FILES "?path=/root/x+y&mode=0751\n"));
    test_expect(s, ARGV("cp", path, "lab:/srv/"), 0, "", "");
    assert_non_null(strstr(test_server_log(s), "PUT " FILES "?path=/srv/a b.txt&mode=0751\n"));
    auto_test_server struct test_server *into =
        test_server_new(REPLIES(VMS, STAT(FILES, "dir"), PUT(FILES)));
    test_expect(into, ARGV("cp", path, "lab:/srv"), 0, "", "");
    assert_non_null(strstr(test_server_log(into), "PUT " FILES "?path=/srv/a b.txt&mode=0751\n"));
}

static void test_stream_into_vm(void **state)
{
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(VMS, NO_STAT(FILES), PUT(FILES)));
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    struct test_child child;
    test_holm_start(s, &(struct test_run){.argv = ARGV("cp", "-", "lab:dump"), .fds = {fds[0]}},
                    &child);
    close(fds[0]);
    assert_int_equal(fd_write_all(fds[1], "one", 3), 0);
    assert_int_equal(fd_write_all(fds[1], "two", 3), 0);
    close(fds[1]);
    assert_int_equal(test_holm_wait(&child), 0);
    assert_string_equal(test_server_body(s), "onetwo");
    assert_non_null(strstr(test_server_log(s), "PUT " FILES "?path=/root/dump&mode=0644\n"));
    auto_test_server struct test_server *dir = test_server_new(REPLIES(VMS, STAT(FILES, "dir")));
    test_expect_error(dir, ARGV("cp", "-", "lab:/srv"), 125,
                      "/srv is a directory; a stream needs a file name there");
}

static void test_large_file(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char path[PATH_MAX];
    size_t size = (8 << 20) + 13;
    path_in(dir, "got", path);
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(VMS, STAT(FILES, "file"), GET(FILES, .size = size, .has_length = true),
                NO_STAT(FILES_C), PUT(FILES_C)));
    test_expect(s, ARGV("cp", "lab:/big", path), 0, "", "");
    auto_buf struct buf got = {0};
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
    assert_int_equal(file_read(path, &got, size), 0);
    assert_int_equal(got.len, size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(got.data[i], test_byte(i));
    /* The same between two VMs, and back from the file. */
    for (int i = 0; i < 2; i++) {
        test_expect(s, ARGV("cp", i ? path : "lab:/big", "7777:/copy"), 0, "", "");
        assert_int_equal(test_server_body_len(s), size);
        assert_memory_equal(test_server_body(s), got.data, size);
        assert_non_null(strstr(test_server_log(s), "PUT " FILES_C "?path=/copy&mode=0750\n"));
    }
}

static void test_out_of_vm(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char path[PATH_MAX], link[PATH_MAX];
    auto_buf struct buf got = {0};
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(VMS, STAT(FILES, "file"), GET(FILES, .steps = {"hello ", "world"})));
    test_expect(s, ARGV("cp", "lab:/etc/motd", dir), 0, "", "");
    path_in(dir, "motd", path);
    assert_int_equal(file_read(path, &got, 100), 0);
    assert_string_equal(buf_str(&got), "hello world");
    test_expect(s, ARGV("cp", "lab:/etc/motd", "-"), 0, "hello world", "");
    test_expect(s, ARGV("cp", "lab:/etc/motd", "/dev/null"), 0, "", "");
    /* Through a link, not over it. */
    path_in(dir, "link", link);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(file_write_atomic(path, "old", 3, 0600), 0);
    test_expect(s, ARGV("cp", "lab:/etc/motd", link), 0, "", "");
    struct stat st;
    assert_true(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
    buf_clear(&got);
    assert_int_equal(file_read(path, &got, 100), 0);
    assert_string_equal(buf_str(&got), "hello world");
}

/* What breaks off on its way leaves what was there. */
static void test_broken_download(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char path[PATH_MAX];
    auto_buf struct buf got = {0};
    path_in(dir, "file", path);
    assert_int_equal(file_write_atomic(path, "old", 3, 0600), 0);
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(VMS, STAT(FILES, "file"), GET(FILES, .steps = {"half", TEST_HANG})));
    struct test_child child;
    test_holm_start(s, &(struct test_run){.argv = ARGV("cp", "lab:/x", path)}, &child);
    test_server_wait_count(s, FILES, 2);
    kill(child.pid, SIGTERM);
    assert_int_equal(test_holm_wait(&child), 143);
    test_server_wait_gone(s);
    assert_int_equal(file_read(path, &got, 100), 0);
    assert_string_equal(buf_str(&got), "old");
    /* Nothing is left beside it. */
    auto_buf struct buf list = {0};
    assert_int_equal(proc_run((const char *const[]){"ls", "-A", dir, NULL}, 60000, &list, NULL), 0);
    assert_string_equal(buf_str(&list), "file\n");
}

static void make_tree(const char *dir)
{
    char path[PATH_MAX];
    path_in(dir, "src", path);
    assert_int_equal(dir_make(path, 0755), 0);
    path_in(dir, "src/sub", path);
    assert_int_equal(dir_make(path, 0700), 0);
    path_in(dir, "src/sub/tool", path);
    assert_int_equal(file_write_atomic(path, "#!", 2, 0777), 0);
    assert_int_equal(chmod(path, 04777), 0);
    path_in(dir, "src/link", path);
    assert_int_equal(symlink("sub/tool", path), 0);
}

static mode_t mode_of(const char *dir, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    path_in(dir, name, path);
    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode;
}

/* A directory in, and the archive that it became out again. */
static void test_directories(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char src[PATH_MAX], out[PATH_MAX];
    make_tree(dir);
    path_in(dir, "src", src);
    path_in(dir, "out", out);
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(VMS, NO_STAT(FILES), PUT(FILES)));
    test_expect(s, ARGV("cp", src, "lab:/srv/app"), 0, "", "");
    assert_non_null(strstr(test_server_log(s), "PUT " FILES "?path=/srv/app\n"));
    size_t size = test_server_body_len(s);
    auto_free char *archive = calloc(1, size + 20000);
    memcpy(archive, test_server_body(s), size);
    /* More padding than tar will take. */
    auto_test_server struct test_server *back = test_server_new(
        REPLIES(VMS, STAT(FILES, "dir"), GET(FILES, .data = archive, .size = size + 20000)));
    test_expect(back, ARGV("cp", "lab:/srv/app", out), 0, "", "");
    assert_int_equal(mode_of(dir, "out/sub"), S_IFDIR | 0700);
    assert_int_equal(mode_of(dir, "out/sub/tool"), S_IFREG | 0777);
    assert_true(S_ISLNK(mode_of(dir, "out/link")));
    /* It is there now, so the next one goes into it; and as a stream. */
    test_expect(back, ARGV("cp", "lab:/srv/app", out), 0, "", "");
    assert_int_equal(mode_of(dir, "out/app/sub/tool"), S_IFREG | 0777);
    auto_test_ran struct test_ran r;
    test_holm(back, &(struct test_run){.argv = ARGV("cp", "lab:/srv/app", "-")}, &r);
    assert_int_equal(r.out.len, size + 20000);
    assert_memory_equal(r.out.data, archive, size);
}

static void test_bad_archives(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char out[PATH_MAX];
    path_in(dir, "out", out);
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(VMS, STAT(FILES, "dir"), GET(FILES, .size = 1 << 20)));
    test_expect_error(s, ARGV("cp", "lab:/srv", out), 125,
                      "holm: tar did not copy everything (it ended with 2); its words are above\n");
}

static void test_mistakes(void **state)
{
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(VMS, NO_STAT(FILES), STAT(FILES_C, "dir")));
    test_expect_error(s, ARGV("cp", "a", "/b"), 2,
                      "one of the two has to be in a VM: write VM:PATH, like lab:/b\n");
    test_expect_error(s, ARGV("cp", "a"), 2, "from where to where?");
    test_expect_error(s, ARGV("cp", "./a:b", "/c"), 2, "one of the two has to be in a VM");
    test_expect_error(s, ARGV("cp", "lab:/nosuch", "x"), 125, "holm: there is no lab:/nosuch\n");
    test_expect_error(s, ARGV("cp", "nosuch:/x", "x"), 125, "there is no VM 'nosuch'");
    test_expect_error(s, ARGV("cp", "/no/such", "lab:/x"), 125, "holm: there is no /no/such\n");
    test_expect_error(s, ARGV("cp", "7777:/srv", "/etc/passwd"), 125,
                      "/etc/passwd is a file; a directory cannot be copied over it");
    test_expect_error(s, ARGV("cp", "7777:/srv", "/no/such/dir"), 125,
                      "cannot make the directory /no/such/dir: No such file or directory");
}

static void test_refusals(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char path[PATH_MAX];
    path_in(dir, "big", path);
    auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, 32 << 20), 0);
    struct test_reply full = {.path = FILES,
                              .method = "PUT",
                              .status = 413,
                              .refuses = true,
                              .steps = {"{\"error\":{\"message\":\"the disk is full\"}}"}};
    struct test_reply gone = {.path = FILES_C,
                              .method = "GET",
                              .status = 502,
                              .steps = {"{\"error\":{\"message\":\"the guest is gone\"}}"}};
    auto_test_server struct test_server *s = test_server_new((const struct test_reply[]){
        VMS, NO_STAT(FILES), full, STAT(FILES_C, "file"), gone, PUT(VM_B "/files"), {0}});
    test_expect(s, ARGV("cp", path, "lab:/x"), 125, "", "holm: the disk is full\n");
    test_expect(s, ARGV("cp", "7777:/x", path), 125, "",
                "holm: the guest is gone; the daemon's log says more\n");
    test_expect(s, ARGV("cp", "7777:/x", "lab:/x"), 125, "",
                "holm: the guest is gone; the daemon's log says more\n");
    assert_int_equal(test_server_count(s, FILES), 3);
}

static void test_progress(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char path[PATH_MAX];
    path_in(dir, "got", path);
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(VMS, STAT(FILES, "file"), GET(FILES, .size = 2 << 20, .has_length = true)));
    auto_buf struct buf out = {0};
    assert_int_equal(test_on_terminal(s, ARGV("cp", "lab:/big", path), NULL, &out), 0);
    test_has(&out, "lab:/big: 2.0 MiB in ");
}

int main(int argc, char **argv)
{
    assert_true(argc > 1);
    test_holm_set(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_into_vm),    cmocka_unit_test(test_stream_into_vm),
        cmocka_unit_test(test_large_file),      cmocka_unit_test(test_out_of_vm),
        cmocka_unit_test(test_broken_download), cmocka_unit_test(test_directories),
        cmocka_unit_test(test_bad_archives),    cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_refusals),        cmocka_unit_test(test_progress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
