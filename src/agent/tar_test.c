/* SPDX-License-Identifier: Apache-2.0 */

/* PUT and GET /v1/tar against a real agent: what is unpacked where and whose it becomes, and that
 * neither an archive nor a link in the guest leads it elsewhere. */

#include "base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "agent/test_client.h"
#include "base/limits.h"
#include "wire/test_tar.h"
#include "wire/untar.h"

struct fixture {
    char *dir;
    struct test_client client;
    unsigned uid, gid; /* whose the files shall be */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->dir = test_dir_make();
    /* Only root can give files to somebody else. */
    f->uid = getuid() == 0 ? 1000 : getuid();
    f->gid = getuid() == 0 ? 1001 : getgid();
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

/* --- the guest's files --- */

static const char *at(const struct fixture *f, const char *path, char ret[PATH_MAX])
{
    path_printf(ret, PATH_MAX, "%s%s", f->dir, path);
    return ret;
}

static struct stat stat_of(const struct fixture *f, const char *path)
{
    char full[PATH_MAX];
    struct stat st;
    if (lstat(at(f, path, full), &st) < 0)
        fail_msg("%s: %s", path, strerror(errno));
    return st;
}

static bool exists(const struct fixture *f, const char *path)
{
    char full[PATH_MAX];
    struct stat st;
    return lstat(at(f, path, full), &st) == 0;
}

static void make_dir(const struct fixture *f, const char *path)
{
    char full[PATH_MAX];
    assert_int_equal(0, dir_make(at(f, path, full), 0755));
    assert_int_equal(0, chown(full, f->uid, f->gid));
}

static void make_link(const struct fixture *f, const char *path, const char *to)
{
    char full[PATH_MAX];
    assert_int_equal(0, symlink(to, at(f, path, full)));
}

static void make_file(const struct fixture *f, const char *path, const char *text)
{
    char full[PATH_MAX];
    assert_int_equal(0, file_write_atomic(at(f, path, full), text, strlen(text), 0644));
    assert_int_equal(0, chown(full, f->uid, f->gid));
}

static void content_is(const struct fixture *f, const char *path, const char *want)
{
    char full[PATH_MAX];
    auto_buf struct buf got = {0};
    assert_int_equal(0, file_read(at(f, path, full), &got, 1 << 20));
    assert_string_equal(want, buf_str(&got));
}

/* --- requests --- */

static void put(struct fixture *f, const char *query, const struct buf *tar, int status,
                const char *answer)
{
    char url[512];
    auto_test_request struct test_request q = {.method = "PUT", .path = url};
    path_printf(url, sizeof(url), "/v1/tar?%s&uid=%u&gid=%u", query, f->uid, f->gid);
    test_request(&f->client, &q, tar->data, tar->len, true);
    test_wait_closed(&q);
    assert_string_equal(answer, buf_str(&q.answer));
    assert_int_equal(status, q.status);
}

static void get(struct fixture *f, const char *query, int status, struct buf *ret)
{
    char url[512];
    auto_test_request struct test_request q = {.method = "GET", .path = url};
    path_printf(url, sizeof(url), "/v1/tar?%s", query);
    test_request(&f->client, &q, NULL, 0, true);
    test_wait_closed(&q);
    assert_int_equal(status, q.status);
    assert_true(q.complete);
    buf_append(ret, q.answer.data, q.answer.len);
}

#define WORK "root=/workspace"

static void test_unpacked(void **state)
{
    struct fixture *f = *state;
    auto_buf struct buf t = {0};
    test_tar_add(&t, '5', "d", "", 0);
    test_tar_file(&t, "d/file", "content");
    test_tar_file(&t, "made/on/the way", "");
    struct ustar_header *h = test_tar_header(&t, '0', "run", 0);
    memcpy(h->mode, "0006755", 8);
    test_tar_sum(h);
    test_tar_end(&t);
    put(f, WORK "&path=new/dest", &t, 201, "{}");
    content_is(f, "/workspace/new/dest/d/file", "content");
    static const char *const all[] = {"/workspace",
                                      "/workspace/new",
                                      "/workspace/new/dest",
                                      "/workspace/new/dest/d",
                                      "/workspace/new/dest/made/on",
                                      "/workspace/new/dest/run"};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        struct stat st = stat_of(f, all[i]);
        assert_int_equal(f->uid, st.st_uid);
        assert_int_equal(f->gid, st.st_gid);
        assert_int_equal(0755, st.st_mode & 07777);
    }
    struct stat st = stat_of(f, "/workspace/new/dest/d/file");
    assert_int_equal(0644, st.st_mode & 07777);
    assert_int_equal(1700000000, st.st_mtime);
    assert_int_equal(0, stat_of(f, "/workspace/new/dest/made/on/the way").st_size);
}

static void test_what_was_there(void **state)
{
    struct fixture *f = *state;
    auto_buf struct buf t = {0}, over = {0}, under = {0};
    make_dir(f, "/workspace");
    make_dir(f, "/workspace/d");
    make_file(f, "/workspace/d/old", "old");
    make_file(f, "/workspace/f", "a longer text");
    make_file(f, "/outside", "outside");
    make_link(f, "/workspace/link", "../outside");
    test_tar_add(&t, '5', "d", "", 0);
    test_tar_file(&t, "f", "new");
    test_tar_file(&t, "link", "now a file");
    test_tar_end(&t);
    put(f, WORK, &t, 201, "{}");
    content_is(f, "/workspace/d/old", "old");
    content_is(f, "/workspace/f", "new");
    content_is(f, "/workspace/link", "now a file");
    content_is(f, "/outside", "outside");
    test_tar_file(&over, "d", "x");
    test_tar_end(&over);
    put(f, WORK, &over, 409, "{\"error\":\"d: Is a directory\"}");
    test_tar_add(&under, '5', "f", "", 0);
    test_tar_end(&under);
    put(f, WORK, &under, 409, "{\"error\":\"f: Not a directory\"}");
    put(f, WORK "&path=f", &t, 409, "{\"error\":\"f: Not a directory\"}");
}

/* Wherever a link stands, nothing is written behind it. */
static void test_links_are_not_followed(void **state)
{
    struct fixture *f = *state;
    auto_buf struct buf file = {0}, dir = {0}, plain = {0};
    make_dir(f, "/etc");
    make_dir(f, "/workspace");
    make_dir(f, "/workspace/real");
    make_link(f, "/workspace/out", "/etc");
    make_link(f, "/workspace/up", "..");
    make_link(f, "/workspace/inside", "real");
    test_tar_file(&plain, "passwd", "x");
    test_tar_end(&plain);
    static const char *const dests[] = {"out", "up", "up/etc", "inside", "out/deeper"};
    for (size_t i = 0; i < ARRAY_SIZE(dests); i++) {
        char query[64], want[128];
        path_printf(query, sizeof(query), WORK "&path=%s", dests[i]);
        path_printf(want, sizeof(want),
                    "{\"error\":\"%s: a symbolic link, which is not followed\"}", dests[i]);
        put(f, query, &plain, 400, want);
    }
    test_tar_file(&file, "out/passwd", "x");
    test_tar_end(&file);
    put(f, WORK, &file, 400, "{\"error\":\"out/passwd: a symbolic link, which is not followed\"}");
    test_tar_add(&dir, '5', "out", "", 0);
    test_tar_end(&dir);
    put(f, WORK, &dir, 400, "{\"error\":\"out: a symbolic link, which is not followed\"}");
    put(f, WORK "&path=..", &plain, 400, "{\"error\":\"..: leads out of where it must be\"}");
    put(f, WORK "&path=real/../../etc", &plain, 400,
        "{\"error\":\"real/../../etc: leads out of where it must be\"}");
    make_link(f, "/elsewhere", "/etc");
    put(f, "root=/elsewhere", &plain, 400,
        "{\"error\":\"/elsewhere: a symbolic link, which is not followed\"}");
    assert_false(exists(f, "/etc/passwd"));
    assert_false(exists(f, "/etc/deeper"));
    assert_false(exists(f, "/passwd"));
    assert_false(exists(f, "/workspace/real/passwd"));
}

/* The rights are the user's, not the agent's. */
static void test_rights(void **state)
{
    struct fixture *f = *state;
    auto_buf struct buf t = {0};
    if (getuid() != 0)
        skip();
    make_dir(f, "/workspace");
    make_dir(f, "/workspace/roots");
    char full[PATH_MAX];
    assert_int_equal(0, chown(at(f, "/workspace/roots", full), 0, 0));
    test_tar_file(&t, "roots/x", "x");
    test_tar_end(&t);
    put(f, WORK, &t, 400, "{\"error\":\"roots/x: Permission denied\"}");
    put(f, WORK "&path=roots/sub", &t, 400, "{\"error\":\"roots/sub: Permission denied\"}");
    assert_false(exists(f, "/workspace/roots/x"));
    /* And the agent has its own again. */
    auto_test_request struct test_request q = {.method = "PUT",
                                               .path = "/v1/files?path=/workspace/roots/x"};
    test_request(&f->client, &q, "x", 1, true);
    test_wait_closed(&q);
    assert_int_equal(201, q.status);
    assert_int_equal(0, stat_of(f, "/workspace/roots/x").st_uid);
}

static void test_archives_that_are_refused(void **state)
{
    struct fixture *f = *state;
    auto_buf struct buf up = {0}, link = {0}, cut = {0};
    test_tar_file(&up, "first", "");
    test_tar_file(&up, "../up", "");
    put(f, WORK, &up, 400, "{\"error\":\"Invalid archive: the name \\\"../up\\\" leads upwards\"}");
    assert_false(exists(f, "/up"));
    test_tar_header(&link, '2', "l", 0);
    put(f, WORK, &link, 400, "{\"error\":\"Invalid archive: \\\"l\\\" is a symbolic link\"}");
    assert_false(exists(f, "/workspace/l"));
    test_tar_file(&cut, "x", "content");
    put(f, WORK, &cut, 400, "{\"error\":\"Invalid archive: it is cut off\"}");
}

static void test_refusals(void **state)
{
    static const struct {
        const char *method, *path;
        int status;
        const char *want;
    } rows[] = {
        {"PUT", "/v1/tar", 400, "{\"error\":\"root must be an absolute path\",\"field\":\"root\"}"},
        {"GET", "/v1/tar?root=x", 400,
         "{\"error\":\"root must be an absolute path\",\"field\":\"root\"}"},
        {"GET", "/v1/tar?root=/&path=/x", 400,
         "{\"error\":\"path must be relative to root\",\"field\":\"path\"}"},
        {"GET", "/v1/tar?root=/&uid=1", 400,
         "{\"error\":\"unknown parameter \\\"uid\\\"\",\"field\":\"uid\"}"},
        {"GET", "/v1/tar?root=/none", 404, "{\"error\":\"/none: no such file or directory\"}"},
        {"GET", "/v1/tar?root=/&path=none", 404, "{\"error\":\"none: no such file or directory\"}"},
        {"GET", "/v1/tar?root=/&path=fifo", 409,
         "{\"error\":\"fifo is neither a file nor a directory\"}"},
        {"GET", "/v1/tar?root=/&path=link", 400,
         "{\"error\":\"link: a symbolic link, which is not followed\"}"},
        {"GET", "/v1/tar?root=/d&path=../f", 400,
         "{\"error\":\"../f: leads out of where it must be\"}"},
        {"DELETE", "/v1/tar", 405, "{\"error\":\"/v1/tar does not take DELETE\"}"},
    };
    struct fixture *f = *state;
    char full[PATH_MAX];
    assert_int_equal(0, mkfifo(at(f, "/fifo", full), 0644));
    make_dir(f, "/d");
    make_file(f, "/f", "secret");
    make_link(f, "/link", "f");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_test_request struct test_request q = {.method = rows[i].method, .path = rows[i].path};
        test_request(&f->client, &q, NULL, 0, true);
        test_wait_closed(&q);
        assert_string_equal(rows[i].want, buf_str(&q.answer));
        assert_int_equal(rows[i].status, q.status);
    }
}

/* --- packing --- */

/* The headers of an archive, as "TYPE NAME SIZE [-> LINK]\n", without interpreting it otherwise. */
static void list(const struct buf *tar, struct buf *ret)
{
    const struct ustar_header *h;
    for (size_t i = 0; i + 512 <= tar->len; i += 512) {
        h = (const struct ustar_header *)(const void *)(tar->data + i);
        if (!h->type && !h->name[0])
            break;
        unsigned long size = strtoul(h->size, NULL, 8);
        buf_printf(ret, "%c %.100s %lu%s%.100s\n", h->type, h->name, size, h->link[0] ? " -> " : "",
                   h->link);
        i += size + ustar_padding(size);
    }
}

static void test_packed(void **state)
{
    struct fixture *f = *state;
    auto_buf struct buf t = {0}, got = {0}, one = {0}, empty = {0};
    char full[PATH_MAX];
    make_dir(f, "/workspace");
    make_dir(f, "/workspace/d");
    make_file(f, "/workspace/d/f", "content");
    make_link(f, "/workspace/d/f2", "/etc/passwd");
    assert_int_equal(0, unlink(at(f, "/workspace/d/f2", full)));
    get(f, WORK "&path=d", 200, &t);
    list(&t, &got);
    assert_string_equal("5 ./ 0\n0 ./f 7\n", buf_str(&got));
    assert_int_equal(0, t.len % 512);
    buf_clear(&got);
    get(f, WORK "&path=d/f", 200, &one);
    list(&one, &got);
    assert_string_equal("0 f 7\n", buf_str(&got));
    make_dir(f, "/workspace/empty");
    buf_clear(&got);
    get(f, WORK "&path=empty", 200, &empty);
    list(&empty, &got);
    assert_string_equal("5 ./ 0\n", buf_str(&got));
}

static void test_links_are_packed_as_links(void **state)
{
    struct fixture *f = *state;
    auto_buf struct buf t = {0}, got = {0};
    char full[PATH_MAX];
    make_dir(f, "/workspace");
    make_link(f, "/workspace/l", "/etc/passwd");
    assert_int_equal(0, mkfifo(at(f, "/workspace/fifo", full), 0644));
    get(f, WORK, 200, &t);
    list(&t, &got);
    assert_string_equal("5 ./ 0\n2 ./l 0 -> /etc/passwd\n", buf_str(&got));
}

/* --- there and back --- */

static int on_entry(void *arg, const struct ustar_entry *en, struct err *e)
{
    size_t *n = arg;
    *n += 1;
    return 0;
}

static int on_content(void *arg, const void *data, size_t len, struct err *e)
{
    size_t *n = arg;
    for (size_t i = 0; i < len; i++)
        n[1] += ((const unsigned char *)data)[i];
    n[2] += len;
    return 0;
}

static int on_end(void *arg, struct err *e)
{
    return 0;
}

static void measure(const struct buf *tar, size_t ret[3])
{
    static const struct untar_ops ops = {on_entry, on_content, on_end};
    struct err e = ERR_INIT;
    struct untar u = {.ops = &ops, .arg = ret};
    ret[0] = ret[1] = ret[2] = 0;
    if (untar_feed(&u, tar->data, tar->len, &e) < 0 || untar_finish(&u, &e) < 0)
        fail_msg("%s", e.text);
    untar_done(&u);
}

/* Deeper than directories are held open, and larger than goes by the page cache. */
static void test_round_trip(void **state)
{
    struct fixture *f = *state;
    auto_buf struct buf t = {0}, back = {0}, name = {0}, big = {0};
    for (int i = 0; i < 3 << 20; i += 4)
        buf_append(&big, &(uint32_t){(uint32_t)i * 2654435761u}, 4);
    buf_append(&big, "odd", 3);
    for (int i = 0; i < 60; i++) {
        buf_printf(&name, "%sd%d", i ? "/" : "", i);
        auto_buf struct buf file = {0};
        buf_printf(&file, "%s/file %d \xc3\xa4", buf_str(&name), i);
        struct ustar_entry en = {.type = USTAR_FILE,
                                 .name = buf_str(&file),
                                 .mode = 0644,
                                 .size = i % 20 == 7 ? big.len : (size_t)i};
        ustar_put(&t, &en);
        buf_append(&t, big.data, en.size);
        ustar_put_zeros(&t, ustar_padding(en.size));
    }
    test_tar_end(&t);
    put(f, WORK, &t, 201, "{}");
    get(f, WORK, 200, &back);
    size_t there[3], here[3];
    measure(&t, there);
    measure(&back, here);
    assert_int_equal(60 + 60 + 1, here[0]); /* with the directories */
    assert_int_equal(there[1], here[1]);
    assert_int_equal(there[2], here[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_unpacked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_was_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_links_are_not_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rights, setup, teardown),
        cmocka_unit_test_setup_teardown(test_archives_that_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_packed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_links_are_packed_as_links, setup, teardown),
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
