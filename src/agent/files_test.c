/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "agent/test_client.h"
#include "base/limits.h"
#include "base/test.h"

struct fixture {
    char *dir;
    struct test_client client;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->dir = test_dir_make();
    test_client_start(&f->client, f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    test_client_stop(&f->client);
    test_dir_drop(&f->dir);
    free(f);
    return 0;
}

static void ask(struct fixture *f, struct test_request *q, const char *method, const char *path,
                const char *body)
{
    q->method = method;
    q->path = path;
    test_request(&f->client, q, body, body ? strlen(body) : 0, true);
    test_wait_closed(q);
}

/* The only entry of the agent's root should be `want` ("" for none): no temporary file is left. */
static void expect_entries(const struct fixture *f, const char *want)
{
    auto_closedir DIR *d = opendir(f->dir);
    auto_buf struct buf found = {0};
    for (struct dirent *de; (de = readdir(d));)
        if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
            buf_append_str(&found, de->d_name);
    assert_string_equal(want, buf_str(&found));
}

static void test_put_and_get(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    char path[PATH_MAX];
    auto_test_request struct test_request put = {0}, get = {0}, again = {0};
    ask(f, &put, "PUT", "/v1/files?path=/a%20b/c/d&mode=4751&uid=12&gid=34&parents=1", "content");
    assert_int_equal(getuid() == 0 ? 201 : 400, put.status);
    if (getuid() != 0)
        return;
    path_printf(path, sizeof(path), "%s/a b/c/d", f->dir);
    assert_int_equal(0, stat(path, &st));
    assert_int_equal(04751, st.st_mode & 07777);
    assert_int_equal(12, st.st_uid);
    assert_int_equal(34, st.st_gid);
    path_printf(path, sizeof(path), "%s/a b", f->dir);
    assert_int_equal(0, stat(path, &st));
    assert_int_equal(12, st.st_uid);
    ask(f, &get, "GET", "/v1/files?path=/a%20b/c/d", NULL);
    assert_int_equal(200, get.status);
    assert_string_equal("content", buf_str(&get.answer));
    ask(f, &again, "PUT", "/v1/files?path=//a%20b//c/d", "other");
    assert_int_equal(201, again.status);
    expect_entries(f, "a b");
}

static void test_refusals(void **state)
{
    static const struct {
        const char *method, *path;
        int status;
        const char *want;
    } rows[] = {
        {"GET", "/v1/files?path=/none", 404, "{\"error\":\"/none: no such file or directory\"}"},
        {"PUT", "/v1/files?path=/no/parent", 404,
         "{\"error\":\"/no/parent: no such file or directory\"}"},
        {"GET", "/v1/files", 400,
         "{\"error\":\"path must be an absolute path\",\"field\":\"path\"}"},
        {"GET", "/v1/files?path=rel", 400,
         "{\"error\":\"path must be an absolute path\",\"field\":\"path\"}"},
        {"GET", "/v1/files?path=/%00", 400,
         "{\"error\":\"path is badly encoded or too long\",\"field\":\"path\"}"},
        {"GET", "/v1/files?path=/%4", 400,
         "{\"error\":\"path is badly encoded or too long\",\"field\":\"path\"}"},
        {"GET", "/v1/files?path=/&mode=0644", 400,
         "{\"error\":\"unknown parameter \\\"mode\\\"\",\"field\":\"mode\"}"},
        {"PUT", "/v1/files?path=/x&mode=9", 400,
         "{\"error\":\"mode must be an octal number of at most 07777\",\"field\":\"mode\"}"},
        {"PUT", "/v1/files?path=/x&uid=4294967295", 400,
         "{\"error\":\"uid must be a number of at most 4294967294\",\"field\":\"uid\"}"},
        {"PUT", "/v1/files?path=/x&in_place=2", 400,
         "{\"error\":\"in_place must be a number of at most 1\",\"field\":\"in_place\"}"},
        {"PUT", "/v1/files?path=/x/", 400,
         "{\"error\":\"path must end with the name of a file\",\"field\":\"path\"}"},
        {"PUT", "/v1/files?path=/x/..", 400,
         "{\"error\":\"path must end with the name of a file\",\"field\":\"path\"}"},
        {"GET", "/v1/files?path=/", 409, "{\"error\":\"/: not a regular file\"}"},
        {"POST", "/v1/files?path=/", 405, "{\"error\":\"/v1/files does not take POST\"}"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_test_request struct test_request q = {0};
        ask(f, &q, rows[i].method, rows[i].path, NULL);
        assert_string_equal(rows[i].want, buf_str(&q.answer));
        assert_int_equal(rows[i].status, q.status);
    }
    expect_entries(f, "");
}

static void test_in_the_way(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    path_printf(path, sizeof(path), "%s/dir", f->dir);
    assert_int_equal(0, mkdir(path, 0755));
    path_printf(path, sizeof(path), "%s/dir/fifo", f->dir);
    assert_int_equal(0, mkfifo(path, 0600));
    auto_test_request struct test_request on_dir = {0}, below = {0}, fifo = {0};
    ask(f, &on_dir, "PUT", "/v1/files?path=/dir", "x");
    assert_int_equal(409, on_dir.status);
    assert_string_equal("{\"error\":\"/dir: Is a directory\"}", buf_str(&on_dir.answer));
    ask(f, &below, "PUT", "/v1/files?path=/dir/fifo/x&parents=1", "x");
    assert_int_equal(409, below.status);
    ask(f, &fifo, "GET", "/v1/files?path=/dir/fifo", NULL);
    assert_int_equal(409, fifo.status);
}

/* Neither ".." nor a symbolic link leads out of the root. */
static void test_confined(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    path_printf(path, sizeof(path), "%s/out", f->dir);
    assert_int_equal(0, symlink("/etc", path));
    auto_test_request struct test_request up = {0}, out = {0};
    ask(f, &up, "GET", "/v1/files?path=/../../../../etc/passwd", NULL);
    assert_int_equal(404, up.status);
    ask(f, &out, "GET", "/v1/files?path=/out/passwd", NULL);
    assert_int_equal(404, out.status);
}

static bool some_came(void *arg)
{
    struct test_request *q = arg;
    return q->sent_bytes > 0;
}

/* An upload that breaks off leaves nothing, and what was there before is unchanged. */
static void test_broken_upload(void **state)
{
    struct fixture *f = *state;
    auto_test_request struct test_request old = {0}, q = {0}, get = {0};
    auto_free char *data = calloc(1, 1 << 20);
    ask(f, &old, "PUT", "/v1/files?path=/a", "old");
    q.method = "PUT";
    q.path = "/v1/files?path=/a";
    test_request(&f->client, &q, data, 1 << 20, false);
    test_pump(&f->client, some_came, &q);
    agent_client_cancel(q.client->http, q.stream);
    q.closed = true;
    ask(f, &get, "GET", "/v1/files?path=/a", NULL);
    assert_string_equal("old", buf_str(&get.answer));
    expect_entries(f, "a");
}

static void test_large(void **state)
{
    struct fixture *f = *state;
    auto_test_request struct test_request put = {0}, get = {0};
    size_t size = 32 * MIB;
    auto_free char *data = malloc(size);
    for (size_t i = 0; i < size; i++)
        data[i] = (char)(i * 2654435761u >> 15);
    put.method = "PUT";
    put.path = "/v1/files?path=/large";
    test_request(&f->client, &put, data, size, true);
    test_wait_closed(&put);
    assert_int_equal(201, put.status);
    ask(f, &get, "GET", "/v1/files?path=/large", NULL);
    assert_int_equal(size, get.answer.len);
    assert_memory_equal(data, get.answer.data, size);
}

static void test_ranges(void **state)
{
    static const struct {
        const char *query;
        const char *want;
    } rows[] = {
        {"", "0123456789"},
        {"&offset=3", "3456789"},
        {"&length=4", "0123"},
        {"&offset=3&length=4", "3456"},
        {"&offset=8&length=9223372036854775807", "89"},
        {"&offset=10", ""},
        {"&offset=1000000", ""},
        {"&length=0", ""},
    };
    struct fixture *f = *state;
    auto_test_request struct test_request put = {0}, bad = {0};
    ask(f, &put, "PUT", "/v1/files?path=/a", "0123456789");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_test_request struct test_request q = {0};
        char path[128];
        snprintf(path, sizeof(path), "/v1/files?path=/a%s", rows[i].query);
        ask(f, &q, "GET", path, NULL);
        assert_int_equal(200, q.status);
        assert_string_equal(rows[i].want, buf_str(&q.answer));
    }
    ask(f, &bad, "GET", "/v1/files?path=/a&offset=-1", NULL);
    assert_int_equal(400, bad.status);
    assert_string_equal("{\"error\":\"offset must be a number of at most 9223372036854775807\","
                        "\"field\":\"offset\"}",
                        buf_str(&bad.answer));
}

/* Two at once, of which one gets the way around the page cache; and pieces of what it wrote. */
static void test_large_pieces(void **state)
{
    static const struct {
        size_t offset, length;
    } rows[] = {{0, 3000000}, {12345, 2500000}, {4096, 1048576}, {2999999, 600000}, {4000000, 1}};
    struct fixture *f = *state;
    const size_t size = 4 * MIB + 77;
    auto_free char *data = malloc(size);
    auto_test_request struct test_request a = {.method = "PUT", .path = "/v1/files?path=/a"};
    auto_test_request struct test_request b = {.method = "PUT", .path = "/v1/files?path=/b"};
    for (size_t i = 0; i < size; i++)
        data[i] = (char)(i * 2654435761u >> 15);
    test_request(&f->client, &a, data, size, true);
    test_request(&f->client, &b, data, size, true);
    test_wait_closed(&a);
    test_wait_closed(&b);
    for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
        size_t offset = rows[i / 2].offset, length = rows[i / 2].length;
        auto_test_request struct test_request q = {0}, other = {0};
        char path[128];
        /* Not from the page cache, as far as the file system lets us. */
        path_printf(path, sizeof(path), "%s/%s", f->dir, i % 2 ? "a" : "b");
        auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        fsync(fd);
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        snprintf(path, sizeof(path), "/v1/files?path=/%s&offset=%zu&length=%zu", i % 2 ? "a" : "b",
                 offset, length);
        other = (struct test_request){.method = "GET", .path = "/v1/files?path=/a"};
        test_request(&f->client, &other, NULL, 0, true);
        ask(f, &q, "GET", path, NULL);
        test_wait_closed(&other);
        size_t want = length < size - offset ? length : size - offset;
        assert_int_equal(want, q.answer.len);
        assert_memory_equal(data + offset, q.answer.data, want);
        assert_int_equal(size, other.answer.len);
        assert_memory_equal(data, other.answer.data, size);
    }
}

static void test_disk_full(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    if (mount("tmpfs", dir, "tmpfs", 0, "size=1m") < 0)
        skip();
    struct test_client t;
    test_client_start(&t, dir);
    auto_test_request struct test_request q = {.method = "PUT", .path = "/v1/files?path=/a"};
    auto_free char *data = calloc(1, 4 * MIB);
    test_request(&t, &q, data, 4 * MIB, true);
    test_wait_closed(&q);
    test_client_stop(&t);
    auto_closedir DIR *d = opendir(dir);
    int entries = 0;
    while (readdir(d))
        entries++;
    umount2(dir, MNT_DETACH);
    assert_int_equal(507, q.status);
    assert_string_equal("{\"error\":\"/a: no space left in the guest\"}", buf_str(&q.answer));
    assert_int_equal(2, entries); /* nothing but "." and ".." */
}

/* Whoever has the file open sees what was put; a new one is as any other, and so is what stands in
 * the place of something else. */
static void test_in_place(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX], got[16] = "";
    struct stat st;
    auto_test_request struct test_request first = {0}, second = {0}, other = {0}, link = {0};
    if (getuid() != 0)
        skip();
    ask(f, &first, "PUT", "/v1/files?path=/x&in_place=1", "longer");
    assert_int_equal(201, first.status);
    path_printf(path, sizeof(path), "%s/x", f->dir);
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    ask(f, &second, "PUT", "/v1/files?path=/x&mode=0600&uid=12&gid=34&in_place=1", "new");
    assert_int_equal(201, second.status);
    assert_int_equal(3, read(fd, got, sizeof(got)));
    assert_string_equal("new", got);
    assert_int_equal(0, fstat(fd, &st));
    assert_int_equal(0600, st.st_mode & 07777);
    assert_int_equal(12, st.st_uid);
    assert_int_equal(1, st.st_nlink);
    expect_entries(f, "x");

    ask(f, &other, "PUT", "/v1/files?path=/x", "else");
    assert_int_equal(201, other.status);
    assert_int_equal(0, fstat(fd, &st));
    assert_int_equal(0, st.st_nlink);

    assert_int_equal(0, unlink(path));
    assert_int_equal(0, symlink("/target", path));
    ask(f, &link, "PUT", "/v1/files?path=/x&in_place=1", "file");
    assert_int_equal(201, link.status);
    expect_entries(f, "x");
    assert_int_equal(0, lstat(path, &st));
    assert_true(S_ISREG(st.st_mode));
}

#define FILES_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILES_TEST(test_put_and_get),     FILES_TEST(test_refusals), FILES_TEST(test_in_place),
        FILES_TEST(test_in_the_way),      FILES_TEST(test_confined), FILES_TEST(test_broken_upload),
        FILES_TEST(test_large),           FILES_TEST(test_ranges),   FILES_TEST(test_large_pieces),
        cmocka_unit_test(test_disk_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
