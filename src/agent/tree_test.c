/* SPDX-License-Identifier: Apache-2.0 */

/* stat, list and DELETE. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "agent/test_client.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/test.h"
#include "wire/guest_stat.h"

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

static void ask(struct fixture *f, struct test_request *q, const char *method, const char *path)
{
    q->method = method;
    q->path = path;
    test_request(&f->client, q, NULL, 0, true);
    test_wait_closed(q);
}

static char *in(const struct fixture *f, const char *name)
{
    static char path[2][PATH_MAX];
    static int turn;
    turn = !turn;
    assert_int_equal(0, path_printf(path[turn], PATH_MAX, "%s/%s", f->dir, name));
    return path[turn];
}

static void put(const struct fixture *f, const char *name, const char *text)
{
    auto_close int fd = open(in(f, name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    assert_int_equal(strlen(text), write(fd, text, strlen(text)));
}

static bool is_there(const struct fixture *f, const char *name)
{
    struct stat st;
    return lstat(in(f, name), &st) == 0;
}

static void expect_stat(struct fixture *f, const char *path, struct guest_stat *ret)
{
    auto_test_request struct test_request q = {0};
    ask(f, &q, "GET", path);
    assert_int_equal(200, q.status);
    assert_int_equal(0, guest_stat_decode(q.answer.data, q.answer.len, ret, NULL));
}

static void test_stat(void **state)
{
    struct fixture *f = *state;
    struct guest_stat st;
    put(f, "file", "12345");
    assert_int_equal(0, chmod(in(f, "file"), 04751));
    assert_int_equal(0, symlink("file", in(f, "link")));
    assert_int_equal(0, mkfifo(in(f, "fifo"), 0600));
    const struct timespec times[2] = {{.tv_sec = 5, .tv_nsec = 6000000}, {5, 6000000}};
    assert_int_equal(0, utimensat(AT_FDCWD, in(f, "file"), times, 0));
    expect_stat(f, "/v1/stat?path=/file", &st);
    assert_int_equal(GUEST_FILE, st.type);
    assert_int_equal(5, st.size);
    assert_int_equal(04751, st.mode);
    assert_int_equal(getuid(), st.uid);
    assert_int_equal(5006, st.mtime_ms);
    expect_stat(f, "/v1/stat?path=/link", &st);
    assert_int_equal(GUEST_LINK, st.type);
    expect_stat(f, "/v1/stat?path=/fifo", &st);
    assert_int_equal(GUEST_OTHER, st.type);
    expect_stat(f, "/v1/stat?path=/../..", &st);
    assert_int_equal(GUEST_DIR, st.type);
}

static void test_list(void **state)
{
    struct fixture *f = *state;
    auto_test_request struct test_request empty = {0}, q = {0};
    json_t *entries = NULL, *entry;
    size_t i, names = 0;
    ask(f, &empty, "GET", "/v1/list?path=/");
    assert_string_equal("{\"entries\":[]}", buf_str(&empty.answer));
    put(f, "a\"b", "1");
    put(f, "\xff", "12");
    assert_int_equal(0, mkdir(in(f, "dir"), 0700));
    ask(f, &q, "GET", "/v1/list?path=/");
    assert_int_equal(200, q.status);
    assert_int_equal(0, guest_list_decode(q.answer.data, q.answer.len, &entries, NULL));
    assert_int_equal(3, json_array_size(entries));
    json_array_foreach(entries, i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "name"));
        json_int_t size = json_integer_value(json_object_get(entry, "size"));
        names += strcmp(name, "a\"b") == 0 && size == 1;
        names += strcmp(name, "\xef\xbf\xbd") == 0 && size == 2;
        names += strcmp(name, "dir") == 0;
    }
    assert_int_equal(3, names);
    json_decref(entries);
}

static void test_list_too_many(void **state)
{
    struct fixture *f = *state;
    auto_test_request struct test_request q = {0};
    char name[32];
    for (int i = 0; i <= AGENT_LIST_MAX; i++) {
        snprintf(name, sizeof(name), "%d", i);
        int fd = creat(in(f, name), 0600);
        assert_true(fd >= 0);
        close(fd);
    }
    ask(f, &q, "GET", "/v1/list?path=/");
    assert_int_equal(413, q.status);
    assert_string_equal("{\"error\":\"the directory has more than 10000 entries\"}",
                        buf_str(&q.answer));
}

static void test_remove(void **state)
{
    struct fixture *f = *state;
    auto_test_request struct test_request file = {0}, link = {0}, dir = {0}, gone = {0};
    auto_test_dir char *outside = test_dir_make();
    char path[PATH_MAX];
    path_printf(path, sizeof(path), "%s/precious", outside);
    close(creat(path, 0600));
    put(f, "file", "x");
    assert_int_equal(0, symlink(outside, in(f, "link")));
    assert_int_equal(0, mkdir(in(f, "dir"), 0755));
    assert_int_equal(0, mkdir(in(f, "dir/sub"), 0755));
    put(f, "dir/sub/x", "x");
    assert_int_equal(0, symlink(outside, in(f, "dir/sub/link")));

    ask(f, &file, "DELETE", "/v1/files?path=/file");
    assert_int_equal(200, file.status);
    assert_string_equal("{}", buf_str(&file.answer));
    assert_false(is_there(f, "file"));
    ask(f, &link, "DELETE", "/v1/files?path=/link");
    assert_int_equal(200, link.status);
    assert_false(is_there(f, "link"));
    ask(f, &dir, "DELETE", "/v1/files?path=/dir//");
    assert_int_equal(200, dir.status);
    assert_false(is_there(f, "dir"));
    assert_int_equal(0, access(path, F_OK)); /* links were removed, not followed */
    ask(f, &gone, "DELETE", "/v1/files?path=/dir");
    assert_int_equal(404, gone.status);
    assert_string_equal("{\"error\":\"/dir: no such file or directory\"}", buf_str(&gone.answer));
}

static void test_remove_refused(void **state)
{
    static const struct {
        const char *path;
        int status;
    } rows[] = {
        {"/v1/files?path=/", 400},     {"/v1/files?path=/..", 400}, {"/v1/files?path=/a/.", 400},
        {"/v1/files?path=rel", 400},   {"/v1/files", 400},          {"/v1/files?path=/x/y", 404},
        {"/v1/files?path=/&x=1", 400},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_test_request struct test_request q = {0};
        ask(f, &q, "DELETE", rows[i].path);
        assert_int_equal(rows[i].status, q.status);
    }
}

/* A mounted file system is not removed, nor anything in it. */
static void test_remove_mount(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    auto_test_request struct test_request top = {0}, above = {0};
    assert_int_equal(0, mkdir(in(f, "dir"), 0755));
    assert_int_equal(0, mkdir(in(f, "dir/mnt"), 0755));
    path_printf(path, sizeof(path), "%s/dir/mnt", f->dir);
    if (mount("tmpfs", path, "tmpfs", 0, "size=1m") < 0)
        skip();
    put(f, "dir/mnt/x", "x");
    ask(f, &top, "DELETE", "/v1/files?path=/dir/mnt");
    ask(f, &above, "DELETE", "/v1/files?path=/dir");
    bool left = is_there(f, "dir/mnt/x");
    umount2(path, MNT_DETACH);
    assert_int_equal(409, top.status);
    assert_int_equal(409, above.status);
    assert_true(left);
}

/* Nobody waits any more; it goes on, and the agent lives. */
static void test_remove_abandoned(void **state)
{
    struct fixture *f = *state;
    auto_test_request struct test_request q = {.method = "DELETE", .path = "/v1/files?path=/dir"};
    auto_test_request struct test_request ready = {0};
    assert_int_equal(0, mkdir(in(f, "dir"), 0755));
    test_request(&f->client, &q, NULL, 0, true);
    agent_client_cancel(f->client.http, q.stream);
    q.closed = true;
    ask(f, &ready, "GET", "/v1/ready");
    assert_int_equal(200, ready.status);
}

#define TREE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TREE_TEST(test_stat),
        TREE_TEST(test_list),
        TREE_TEST(test_list_too_many),
        TREE_TEST(test_remove),
        TREE_TEST(test_remove_refused),
        TREE_TEST(test_remove_mount),
        TREE_TEST(test_remove_abandoned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
