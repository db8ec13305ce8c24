/* SPDX-License-Identifier: Apache-2.0 */
#include "host/staging.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/test.h"

#define ANN "annannannannannannan"
#define BOB "bobbobbobbobbobbobbo"

/* The clock and the disk of the tests. (With 64-bit file offsets libc calls it fstatvfs64.) */
static int64_t shift_s;
static bool disk_full;

int64_t __real_clock_real_ns(void);
int64_t __wrap_clock_real_ns(void);
int64_t __wrap_clock_real_ns(void)
{
    return __real_clock_real_ns() + shift_s * 1000000000LL;
}

int __real_fstatvfs64(int fd, struct statvfs *ret);
int __wrap_fstatvfs64(int fd, struct statvfs *ret);
int __wrap_fstatvfs64(int fd, struct statvfs *ret)
{
    int r = __real_fstatvfs64(fd, ret);
    ret->f_bavail = disk_full ? 1 : STAGING_FREE_MIN_BYTES / ret->f_frsize;
    return r;
}

struct world {
    char *dir;
    struct staging *staging;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    w->dir = test_dir_make();
    char path[PATH_MAX];
    path_printf(path, sizeof(path), "%s/staging", w->dir);
    assert_int_equal(staging_new(path, &w->staging, NULL), 0);
    shift_s = 0;
    disk_full = false;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    staging_free(w->staging);
    test_dir_drop(&w->dir);
    free(w);
    return 0;
}

static int count_files(const struct world *w)
{
    char path[PATH_MAX];
    path_printf(path, sizeof(path), "%s/staging", w->dir);
    auto_closedir DIR *d = opendir(path);
    int n = 0;
    for (struct dirent *de; (de = readdir(d));)
        n += de->d_type == DT_REG;
    return n;
}

static void put(struct world *w, const char *object, const char *text)
{
    auto_close int fd = -1;
    assert_int_equal(staging_create(w->staging, &fd, NULL), 0);
    assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
    assert_int_equal(staging_commit(w->staging, object, fd, NULL), 0);
}

static void assert_holds(struct world *w, const char *object, const char *text)
{
    auto_close int fd = -1;
    auto_buf struct buf b = {0};
    uint64_t bytes = 0;
    assert_int_equal(staging_open(w->staging, object, &fd, &bytes, NULL), 0);
    assert_int_equal(bytes, strlen(text));
    assert_int_equal(fd_slurp(fd, &b, 1000), 0);
    assert_string_equal(buf_str(&b), text);
}

static void test_round_trip(void **state)
{
    struct world *w = *state;
    struct staging_ticket t;
    uint64_t max = 0;
    int fd = -1;
    struct err e = ERR_INIT;
    assert_int_equal(staging_sign(w->staging, ANN, 1000, &t, NULL), 0);
    assert_true(id_valid(t.object));
    assert_int_equal(t.expires_s, STAGING_URL_S);
    assert_int_equal(staging_check(w->staging, true, t.object, t.upload_query, &max, NULL), 0);
    assert_int_equal(max, 1000);
    assert_int_equal(staging_check(w->staging, false, t.object, t.download_query, NULL, NULL), 0);
    uint64_t bytes;
    assert_int_equal(staging_open(w->staging, t.object, &fd, &bytes, &e), -ENOENT);
    assert_int_equal(e.class, ERR_NOT_FOUND);

    assert_int_equal(staging_create(w->staging, &fd, NULL), 0);
    close(fd); /* an upload that was broken off */
    put(w, t.object, "one");
    assert_holds(w, t.object, "one");
    auto_close int reader = -1;
    assert_int_equal(staging_open(w->staging, t.object, &reader, &bytes, NULL), 0);
    put(w, t.object, "another");
    assert_holds(w, t.object, "another");
    auto_buf struct buf b = {0};
    assert_int_equal(fd_slurp(reader, &b, 1000), 0);
    assert_string_equal(buf_str(&b), "one");
    assert_int_equal(count_files(w), 2); /* with the key */
}

static void assert_refused(struct world *w, bool upload, const char *object, const char *query)
{
    struct err e = ERR_INIT;
    uint64_t max = 7;
    assert_int_equal(staging_check(w->staging, upload, object, query, &max, &e), -EPERM);
    assert_int_equal(e.class, ERR_FORBIDDEN);
    assert_non_null(strstr(e.text, "is not valid"));
    assert_int_equal(max, 7);
}

static void test_forged(void **state)
{
    struct world *w = *state;
    struct staging_ticket t, other;
    assert_int_equal(staging_sign(w->staging, ANN, 1000, &t, NULL), 0);
    assert_int_equal(staging_sign(w->staging, ANN, 1000, &other, NULL), 0);
    assert_refused(w, true, t.object, t.download_query);
    assert_refused(w, false, t.object, t.upload_query);
    assert_refused(w, true, other.object, t.upload_query);
    assert_refused(w, true, "../key", t.upload_query);
    assert_refused(w, true, "key", t.upload_query);
    char q[STAGING_QUERY_SIZE + 2];
    size_t len = strlen(t.upload_query);
    for (size_t i = 0; i < len; i++) {
        strcpy(q, t.upload_query);
        q[i] = q[i] == '1' ? '2' : '1';
        assert_refused(w, true, t.object, q);
        strcpy(q, t.upload_query);
        q[i] = '\0';
        assert_refused(w, true, t.object, q);
    }
    snprintf(q, sizeof(q), "%s&", t.upload_query);
    assert_refused(w, true, t.object, q);
    snprintf(q, sizeof(q), "0%s", t.upload_query);
    assert_refused(w, true, t.object, q);
    const char *const bad[] = {"",
                               "max=",
                               "max=1",
                               "max=1&",
                               "max=-1&expires=1&",
                               "max=1&expires=",
                               "max=1&expires=99999999999999999999&signature=",
                               "max=1&expires=18446744073709551615&signature=0"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_refused(w, true, t.object, bad[i]);
}

static void test_expired(void **state)
{
    struct world *w = *state;
    struct staging_ticket t;
    struct err e = ERR_INIT;
    assert_int_equal(staging_sign(w->staging, ANN, 1000, &t, NULL), 0);
    shift_s = STAGING_URL_S - 60;
    assert_int_equal(staging_check(w->staging, false, t.object, t.download_query, NULL, NULL), 0);
    shift_s = STAGING_URL_S;
    assert_int_equal(staging_check(w->staging, false, t.object, t.download_query, NULL, &e),
                     -EPERM);
    assert_non_null(strstr(e.text, "has expired"));
}

static void test_owner(void **state)
{
    struct world *w = *state;
    struct staging_ticket t;
    struct err e = ERR_INIT;
    assert_int_equal(staging_sign(w->staging, ANN, 1, &t, NULL), 0);
    assert_int_equal(staging_check_owner(w->staging, ANN, t.object, NULL), 0);
    assert_int_equal(staging_check_owner(w->staging, BOB, t.object, &e), -ENOENT);
    assert_int_equal(e.class, ERR_NOT_FOUND);
    assert_int_equal(staging_check_owner(w->staging, ANN, "key", &e), -ENOENT);
    id_new(t.object);
    assert_int_equal(staging_check_owner(w->staging, ANN, t.object, &e), -ENOENT);
}

/* What was signed by one daemon is good for the next one. */
static void test_again(void **state)
{
    struct world *w = *state;
    struct staging_ticket t;
    struct staging *again = NULL;
    char path[PATH_MAX], key[PATH_MAX];
    struct stat st;
    path_printf(path, sizeof(path), "%s/staging", w->dir);
    path_printf(key, sizeof(key), "%s/key", path);
    assert_int_equal(staging_sign(w->staging, ANN, 1, &t, NULL), 0);
    put(w, t.object, "x");
    assert_int_equal(stat(key, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(staging_new(path, &again, NULL), 0);
    assert_int_equal(staging_check(again, true, t.object, t.upload_query, NULL, NULL), 0);
    assert_int_equal(staging_check_owner(again, ANN, t.object, NULL), 0);
    staging_free(TAKE_PTR(again));

    assert_int_equal(truncate(key, 5), 0);
    assert_int_equal(staging_new(path, &again, NULL), 0);
    assert_int_equal(staging_check(again, true, t.object, t.upload_query, NULL, NULL), -EPERM);
    staging_free(again);
}

static void test_sweep(void **state)
{
    struct world *w = *state;
    struct staging_ticket t;
    assert_int_equal(staging_sign(w->staging, ANN, 1, &t, NULL), 0);
    put(w, t.object, "x");
    char left[PATH_MAX];
    path_printf(left, sizeof(left), "%s/staging/.new-aaaaaaaaaaaaaaaaaaaa", w->dir);
    assert_int_equal(file_write_atomic(left, "x", 1, 0600), 0);
    shift_s = STAGING_KEEP_S - STAGING_URL_S - 60;
    staging_sweep(w->staging);
    assert_int_equal(count_files(w), 3);
    shift_s = STAGING_KEEP_S - STAGING_URL_S + 60;
    staging_sweep(w->staging);
    assert_int_equal(count_files(w), 1);
    assert_int_equal(staging_sign(w->staging, ANN, 1, &t, NULL), 0);
}

static void test_disk_full(void **state)
{
    struct world *w = *state;
    struct err e = ERR_INIT;
    int fd = -1;
    disk_full = true;
    assert_int_equal(staging_create(w->staging, &fd, &e), -EAGAIN);
    assert_int_equal(e.class, ERR_FULL);
    assert_int_equal(e.retry_after_s, STAGING_RETRY_S);
    assert_int_equal(fd, -1);
}

static void test_no_dir(void **state)
{
    struct world *w = *state;
    struct staging *s = NULL;
    struct err e = ERR_INIT;
    assert_true(staging_new("/proc/nowhere", &s, &e) < 0);
    assert_non_null(strstr(e.text, "/proc/nowhere"));
    int fd = open("/dev/null", O_RDONLY);
    assert_int_equal(staging_commit(w->staging, "../x", fd, &e), -ENOENT);
    assert_true(staging_commit(w->staging, "aaaaaaaaaaaaaaaaaaaa", fd, &e) < 0);
    assert_int_equal(e.class, ERR_INTERNAL);
    close(fd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip), TEST(test_forged), TEST(test_expired),   TEST(test_owner),
        TEST(test_again),      TEST(test_sweep),  TEST(test_disk_full), TEST(test_no_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
