/* SPDX-License-Identifier: Apache-2.0 */

/* Manifests, and the parts of sparse files. */

#include "base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/id.h"
#include "base/limits.h"
#include "host/remote_piece.h"

#define SUM "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEAD                                                               \
    "{\"format\":1,\"kind\":\"image\",\"name\":\"python\",\"generation\":" \
    "\"abcdefghij0123456789\","                                            \
    "\"fingerprint\":\"\",\"created_at\":\"\",\"files\":["
#define FILE_HEAD(name)                                                                     \
    "{\"name\":\"" name "\",\"bytes\":1000,\"mode\":292,\"changed_ns\":5,\"sha256\":\"" SUM \
    "\",\"rootfs\":false,\"parts\":["
#define PART(bytes, extents) \
    "{\"bytes\":" bytes ",\"sha256\":\"" SUM "\",\"extents\":[" extents "]}"
#define END "]}]}"

static int read_text(const char *text, struct remote_manifest *m, struct err *e)
{
    return remote_manifest_read(text, strlen(text), REMOTE_PUBLISHED, m, e);
}

static void test_manifest(void **state)
{
    struct remote_manifest m;
    struct err e = ERR_INIT;
    const char *text =
        HEAD FILE_HEAD("rootfs.ext4") PART("7", "0,10,20,30") "," PART("8", "100,900") END;
    if (read_text(text, &m, &e) < 0)
        fail_msg("%s", e.text);
    assert_string_equal("python", m.name);
    assert_int_equal(2, m.files[0].n_parts);
    assert_int_equal(7, m.files[0].parts[1].at);
    assert_int_equal(15, remote_object_bytes(&m.files[0]));
    assert_int_equal(940, remote_data_bytes(&m.files[0]));
    auto_buf struct buf b = {0};
    assert_int_equal(0, remote_manifest_write(&m, REMOTE_PUBLISHED, &b));
    assert_string_equal(text, buf_str(&b));
    remote_manifest_done(&m);
}

static void test_a_manifest_is_sealed(void **state)
{
    auto_buf struct buf b = {0};
    struct err e = ERR_INIT;
    size_t len = 0;
    buf_append_str(&b, "{\"a\":1}");
    assert_int_equal(0, remote_manifest_seal(&b));
    assert_int_equal(0, remote_manifest_unseal(&b, &len, &e));
    assert_int_equal(7, len);
    for (size_t i = 0; i < b.len; i++) {
        b.data[i] ^= 1;
        assert_true(remote_manifest_unseal(&b, &len, &e) < 0);
        b.data[i] ^= 1;
    }
    for (; b.len > 0; b.len--) {
        struct buf cut = {.data = b.data, .len = b.len - 1};
        assert_true(remote_manifest_unseal(&cut, &len, &e) < 0);
    }
    assert_string_equal("its manifest is damaged", e.text);
}

static void test_manifests_that_are_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "[]",
        "{}",
        HEAD FILE_HEAD("../x") END,
        HEAD FILE_HEAD(".x") END,
        HEAD FILE_HEAD("journal.json") END,
        HEAD FILE_HEAD("a") "]}," FILE_HEAD("a") END,
        HEAD FILE_HEAD("a") PART("0", "0,10") END,
        HEAD FILE_HEAD("a") PART("67108865", "0,10") END,
        HEAD FILE_HEAD("a") PART("1", "") END,
        HEAD FILE_HEAD("a") PART("1", "0") END,
        HEAD FILE_HEAD("a") PART("1", "0,0") END,
        HEAD FILE_HEAD("a") PART("1", "-1,5") END,
        HEAD FILE_HEAD("a") PART("1", "0,1001") END,
        HEAD FILE_HEAD("a") PART("1", "999,2") END,
        HEAD FILE_HEAD("a") PART("1", "0,9223372036854775807") END,
        HEAD FILE_HEAD("a") PART("1", "9223372036854775807,1") END,
        HEAD FILE_HEAD("a") PART("1", "10,10,19,1") END,
        HEAD FILE_HEAD("a") PART("1", "10,10") "," PART("1", "0,5") END,
        HEAD FILE_HEAD("a") PART("1", "\"0\",10") END,
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct remote_manifest m;
        struct err e = ERR_INIT;
        if (read_text(rows[i], &m, &e) == 0)
            fail_msg("taken: %s", rows[i]);
        assert_int_equal(ERR_UNAVAILABLE, e.class);
        assert_non_null(strstr(e.text, "makes no sense"));
    }
    struct remote_manifest m;
    struct err e = ERR_INIT;
    assert_true(read_text("{\"format\":2}", &m, &e) < 0);
    assert_non_null(strstr(e.text, "format 2"));
}

/* Each of them is small, and takes a hundred times that once it is parsed: it is not. */
static void test_a_manifest_of_too_many_lists(void **state)
{
    auto_buf struct buf b = {0};
    struct remote_manifest m;
    struct err e = ERR_INIT;
    buf_append_str(&b, "{\"format\":2,\"x\":[0");
    for (size_t i = 0; i < REMOTE_MANIFEST_LISTS_MAX; i++)
        buf_append_str(&b, ",{}");
    buf_append_str(&b, "]}");
    assert_true(remote_manifest_read(buf_str(&b), b.len, REMOTE_PUBLISHED, &m, &e) < 0);
    assert_non_null(strstr(e.text, "makes no sense")); /* it was not even asked for its format */
}

/* --- files --- */

static int make_file(void)
{
    int fd = memfd_create("remote", MFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void put_random(int fd, int64_t at, size_t len)
{
    auto_free char *p = malloc(len);
    id_random(p, len);
    assert_int_equal(len, pwrite(fd, p, len, at));
}

static void sum_of(int fd, char ret[REMOTE_SUM_SIZE])
{
    struct err e = ERR_INIT;
    if (remote_sum(fd, NULL, ret, &e) < 0)
        fail_msg("%s", e.text);
}

/* The file as the journal of a push gives it back. */
static void read_back(struct remote_file *f)
{
    struct remote_manifest m = {.name = "x", .n_files = 1}, again;
    struct err e = ERR_INIT;
    auto_buf struct buf b = {0};
    id_new(m.generation);
    m.files[0] = *f;
    assert_int_equal(0, remote_manifest_write(&m, REMOTE_JOURNAL, &b));
    if (remote_manifest_read(buf_str(&b), b.len, REMOTE_JOURNAL, &again, &e) < 0)
        fail_msg("%s", e.text);
    remote_file_clear(f);
    *f = again.files[0];
}

/* Cuts `from` into parts and writes them to `to`. After the first part another reader goes on, as
 * after a push that was cut off. */
static void carry(int from, int to, struct remote_file *f, size_t *ret_parts)
{
    struct remote_reader r;
    struct err e = ERR_INIT;
    struct stat st;
    auto_buf struct buf data = {0};
    bool any = true;
    assert_int_equal(0, fstat(from, &st));
    f->bytes = st.st_size;
    assert_int_equal(0, ftruncate(to, st.st_size));
    assert_int_equal(0, remote_reader_init(&r, from, &e));
    for (size_t n = 0; any; n++) {
        if (n == 1) { /* as if begun anew */
            read_back(f);
            const struct remote_extent *last = &f->extents[f->n_extents - 1];
            remote_reader_done(&r);
            assert_int_equal(0, remote_reader_init(&r, from, &e));
            assert_int_equal(0, remote_reader_skip(&r, last->at + last->bytes, &e));
        }
        assert_int_equal(0, remote_part_make(&r, f, &data, &any, &e));
        if (!any)
            break;
        const struct remote_part *p = &f->parts[n];
        assert_true(remote_part_ok(p, buf_str(&data), data.len));
        if (remote_part_write(to, f, p, buf_str(&data), data.len, &e) < 0)
            fail_msg("%s", e.text);
    }
    remote_reader_sum(&r, f->sha256);
    remote_reader_done(&r);
    *ret_parts = f->n_parts;
}

static void check_same(int from, struct remote_file *f, size_t *ret_parts)
{
    char a[REMOTE_SUM_SIZE], b[REMOTE_SUM_SIZE];
    auto_close int to = make_file();
    carry(from, to, f, ret_parts);
    sum_of(from, a);
    sum_of(to, b);
    assert_string_equal(a, b);
    assert_string_equal(a, f->sha256);
    struct stat x, y;
    assert_int_equal(0, fstat(from, &x));
    assert_int_equal(0, fstat(to, &y));
    assert_int_equal(x.st_size, y.st_size);
    assert_true(y.st_blocks <= x.st_blocks);
}

static void test_parts(void **state)
{
    struct remote_file f = {.name = "f"};
    auto_close int fd = make_file();
    size_t n;
    for (int i = 0; i < 20; i++)
        put_random(fd, i * INT64_C(5000000), 1200000);
    put_random(fd, 150000000, 17);
    assert_int_equal(0, ftruncate(fd, 200000001));
    check_same(fd, &f, &n);
    assert_in_range(n, 2, 4);
    assert_true(f.parts[0].bytes >= (int64_t)REMOTE_PART_BYTES);
    assert_true(remote_data_bytes(&f) < 30000000);
    remote_file_clear(&f);
}

static void test_files_of_nothing(void **state)
{
    struct remote_file f = {.name = "f"};
    static const char zeros[200000];
    auto_close int fd = make_file();
    size_t n;
    check_same(fd, &f, &n);
    assert_int_equal(0, n);
    assert_int_equal(sizeof(zeros), write(fd, zeros, sizeof(zeros)));
    check_same(fd, &f, &n);
    assert_int_equal(0, n);
    remote_file_clear(&f);
}

/* The sum is of bytes and places: neither holes nor anything but what is in the file counts. */
static void test_sums(void **state)
{
    char a[REMOTE_SUM_SIZE], b[REMOTE_SUM_SIZE];
    static const char zeros[70000];
    auto_close int x = make_file(), y = make_file();
    assert_int_equal(1, pwrite(x, "x", 1, 100000));
    assert_int_equal(sizeof(zeros), pwrite(y, zeros, sizeof(zeros), 0));
    assert_int_equal(1, pwrite(y, "x", 1, 100000));
    sum_of(x, a);
    sum_of(y, b);
    assert_string_equal(a, b);
    assert_int_equal(0, ftruncate(y, 100002));
    sum_of(y, b);
    assert_string_not_equal(a, b);
}

static void test_parts_that_lie(void **state)
{
    struct remote_file f = {.name = "f"};
    struct remote_reader r;
    struct err e = ERR_INIT;
    auto_buf struct buf data = {0};
    auto_close int fd = make_file(), to = make_file();
    bool any;
    put_random(fd, 0, 100000);
    assert_int_equal(0, remote_reader_init(&r, fd, &e));
    assert_int_equal(0, remote_part_make(&r, &f, &data, &any, &e));
    remote_reader_done(&r);
    struct remote_part *p = &f.parts[0];
    f.extents[0].bytes--;
    assert_true(remote_part_write(to, &f, p, buf_str(&data), data.len, &e) < 0);
    assert_int_equal(ERR_UNAVAILABLE, e.class);
    assert_non_null(strstr(e.text, "is not made of what its manifest says"));
    f.extents[0].bytes += 2;
    assert_true(remote_part_write(to, &f, p, buf_str(&data), data.len, &e) < 0);
    f.extents[0].bytes--;
    assert_true(remote_part_write(to, &f, p, buf_str(&data), data.len - 1, &e) < 0);
    assert_int_equal(0, remote_part_write(to, &f, p, buf_str(&data), data.len, &e));
    data.data[data.len / 2] ^= 1;
    assert_false(remote_part_ok(p, buf_str(&data), data.len));
    remote_file_clear(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manifest),
        cmocka_unit_test(test_a_manifest_is_sealed),
        cmocka_unit_test(test_manifests_that_are_refused),
        cmocka_unit_test(test_a_manifest_of_too_many_lists),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_files_of_nothing),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_parts_that_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
