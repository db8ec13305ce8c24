/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"

#include <errno.h>
#include <zlib.h>

#include "host/archive.h"
#include "host/vms_guest.h"
#include "wire/test_tar.h"
#include "wire/untar.h"

/* --- making --- */

static void gzip(const struct buf *in, int level, struct buf *ret)
{
    z_stream z = {.next_in = (uint8_t *)in->data, .avail_in = (uInt)in->len};
    assert_int_equal(Z_OK, deflateInit2(&z, level, Z_DEFLATED, 16 + 15, 9, Z_DEFAULT_STRATEGY));
    size_t room = deflateBound(&z, in->len) + 64;
    z.next_out = (uint8_t *)buf_reserve(ret, room);
    z.avail_out = (uInt)room;
    assert_int_equal(Z_STREAM_END, deflate(&z, Z_FINISH));
    ret->len += room - z.avail_out;
    deflateEnd(&z);
}

/* Takes it in pieces; *ret also when it is refused. */
static int take(const struct buf *gz, size_t dest_bytes, struct archive **ret, struct err *e)
{
    int r = archive_new(dest_bytes, ret, e);
    for (size_t at = 0; r == 0 && at < gz->len; at += 1000)
        r = archive_add(*ret, gz->data + at, gz->len - at < 1000 ? gz->len - at : 1000, e);
    return r < 0 ? r : archive_finish(*ret, e);
}

static int check_gz(const struct buf *gz, size_t dest_bytes, struct err *e)
{
    auto_archive struct archive *a = NULL;
    return take(gz, dest_bytes, &a, e);
}

static int check_tar(const struct buf *tar, struct err *e)
{
    auto_buf struct buf gz = {0};
    gzip(tar, 1, &gz);
    return check_gz(&gz, 10, e);
}

static void taken(const struct buf *tar)
{
    struct err e = ERR_INIT;
    if (check_tar(tar, &e) < 0)
        fail_msg("%s", e.text);
}

static void refused(const struct buf *tar, enum err_class class, const char *why)
{
    struct err e = ERR_INIT;
    assert_true(check_tar(tar, &e) < 0);
    assert_string_equal(why, e.text);
    assert_int_equal(class, e.class);
}

static void refused_gz(const struct buf *gz, const char *why)
{
    struct err e = ERR_INIT;
    assert_int_equal(-EINVAL, check_gz(gz, 10, &e));
    assert_string_equal(why, e.text);
    assert_int_equal(ERR_INVALID, e.class);
}

/* --- packing anew --- */

static int on_entry(void *arg, const struct ustar_entry *en, struct err *e)
{
    return buf_printf(arg, "%c %s %o %lld ", en->type == USTAR_DIR ? 'd' : 'f', en->name, en->mode,
                      (long long)en->mtime_s);
}

static int on_content(void *arg, const void *data, size_t len, struct err *e)
{
    return buf_append(arg, data, len);
}

static int on_end(void *arg, struct err *e)
{
    return buf_append_str(arg, "\n");
}

static int collect(void *arg, const void *data, size_t len, struct err *e)
{
    return buf_append(arg, data, len);
}

static void test_packed_anew(void **state)
{
    static const struct untar_ops ops = {on_entry, on_content, on_end};
    auto_buf struct buf t = {0}, gz = {0}, out = {0}, list = {0};
    test_tar_add(&t, '5', "./", "", 0);
    struct ustar_header *h = test_tar_header(&t, '5', "./d", 0);
    memcpy(h->mode, "0000000", 8);
    test_tar_sum(h);
    h = test_tar_header(&t, '0', "d/setuid", 2);
    memcpy(h->mode, "0006151", 8);
    memcpy(h->user, "root", 5);
    test_tar_sum(h);
    buf_append_str(&t, "su");
    ustar_put_zeros(&t, 510);
    test_tar_pax(&t, 'x', "SCHILY.xattr.security.capability=all");
    test_tar_file(&t, "caps", "");
    test_tar_end(&t);
    gzip(&t, 6, &gz);
    auto_archive struct archive *a = NULL;
    struct err e = ERR_INIT;
    assert_int_equal(0, take(&gz, 10, &a, &e));
    const struct archive_sink sink = {.write = collect, .arg = &out};
    assert_int_equal(0, archive_repack(a, &sink, &e));
    assert_null(memmem(out.data, out.len, "root", 4));
    assert_null(memmem(out.data, out.len, "capability", 10));
    struct untar u = {.ops = &ops, .arg = &list};
    assert_int_equal(0, untar_feed(&u, out.data, out.len, &e));
    assert_int_equal(0, untar_finish(&u, &e));
    untar_done(&u);
    assert_string_equal("d d 700 1700000000 \nf d/setuid 751 1700000000 su\n"
                        "f caps 644 1700000000 \n",
                        buf_str(&list));
}

static int fail_late(void *arg, const void *data, size_t len, struct err *e)
{
    int *left = arg;
    return --*left ? 0 : err_set(e, ERR_UNAVAILABLE, "the guest is gone");
}

static void test_a_sink_that_fails(void **state)
{
    auto_buf struct buf t = {0}, gz = {0}, big = {0};
    ustar_put_zeros(&big, 2 << 20);
    test_tar_add(&t, '0', "big", big.data, big.len);
    test_tar_end(&t);
    gzip(&t, 1, &gz);
    auto_archive struct archive *a = NULL;
    int left = 3;
    const struct archive_sink sink = {.write = fail_late, .arg = &left};
    struct err e = ERR_INIT;
    assert_int_equal(0, take(&gz, 10, &a, &e));
    assert_true(archive_repack(a, &sink, &e) < 0);
    assert_string_equal("the guest is gone", e.text);
    assert_int_equal(0, left);
}

/* --- refusals --- */

static void test_what_is_no_archive(void **state)
{
    auto_buf struct buf t = {0}, gz = {0}, twice = {0}, none = {0}, text = {0}, damaged = {0};
    refused_gz(&none, "Invalid archive: it is empty");
    buf_append_str(&text, "this is no gzip at all");
    refused_gz(&text, "Invalid archive: it is no gzip");
    refused(&text, ERR_INVALID, "Invalid archive: it is no tar");
    for (int i = 0; i < 600; i++)
        buf_append_str(&text, "text");
    refused(&text, ERR_INVALID, "Invalid archive: it is no tar");

    test_tar_file(&t, "x", "content");
    test_tar_end(&t);
    gzip(&t, 6, &gz);
    for (size_t cut = 1; cut < gz.len; cut++) {
        struct buf part = {.data = gz.data, .len = cut};
        refused_gz(&part, "Invalid archive: it is cut off");
    }
    buf_append(&twice, gz.data, gz.len);
    buf_append(&twice, gz.data, gz.len);
    refused_gz(&twice, "Invalid archive: something follows its end");
    buf_append(&damaged, gz.data, gz.len);
    damaged.data[gz.len - 6] ^= 1; /* the checksum */
    refused_gz(&damaged, "Invalid archive: its compressed data is damaged");
    buf_append(&gz, "", 1);
    refused_gz(&gz, "Invalid archive: something follows its end");
}

static void test_conflicts(void **state)
{
    static const char why[] = "Invalid archive: a name is both a file's and a directory's";
    auto_buf struct buf file_first = {0}, dir_first = {0}, same = {0}, fine = {0}, deep = {0};
    test_tar_file(&file_first, "a", "");
    test_tar_file(&file_first, "a/b", "");
    test_tar_end(&file_first);
    refused(&file_first, ERR_INVALID, why);
    test_tar_file(&dir_first, "a/b", "");
    test_tar_file(&dir_first, "a-", "");
    test_tar_file(&dir_first, "./a", "");
    test_tar_end(&dir_first);
    refused(&dir_first, ERR_INVALID, why);
    test_tar_add(&same, '5', "a", "", 0);
    test_tar_file(&same, "a", "");
    test_tar_end(&same);
    refused(&same, ERR_INVALID, why);
    test_tar_file(&deep, "a", "");
    test_tar_add(&deep, '5', "a/b/c/d", "", 0);
    test_tar_end(&deep);
    refused(&deep, ERR_INVALID, why);
    /* As "tar -c dir dir/file" makes it. */
    test_tar_file(&fine, "a/b", "1");
    test_tar_file(&fine, "a.b", "");
    test_tar_file(&fine, "a-b", "");
    test_tar_add(&fine, '5', "a", "", 0);
    test_tar_file(&fine, "a/b", "2");
    test_tar_end(&fine);
    taken(&fine);
}

static void test_where_it_goes(void **state)
{
    auto_buf struct buf t = {0}, gz = {0}, record = {0};
    struct err e = ERR_INIT;
    buf_append_str(&record, "path=");
    for (int i = 0; i < 2000; i++)
        buf_append_str(&record, "d/");
    buf_append_str(&record, "end");
    test_tar_pax(&t, 'x', buf_str(&record)); /* 4003 bytes */
    test_tar_file(&t, "x", "");
    test_tar_end(&t);
    gzip(&t, 6, &gz);
    assert_int_equal(0, check_gz(&gz, 4095 - 1 - 4003, &e));
    assert_int_equal(-EINVAL, check_gz(&gz, 4095 - 4003, &e));
    assert_string_equal("Invalid archive: a name is too long for where it goes", e.text);
}

/* --- bounds --- */

static void add_entries(struct buf *t, int n)
{
    for (int i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof(name), "d%d/f%d", i % 100, i);
        test_tar_file(t, name, "");
    }
    test_tar_end(t);
}

static void test_entries(void **state)
{
    auto_buf struct buf most = {0}, more = {0};
    add_entries(&most, ARCHIVE_ENTRIES_MAX);
    taken(&most);
    add_entries(&more, ARCHIVE_ENTRIES_MAX + 1);
    refused(&more, ERR_TOO_LARGE, "Archive has more than 10000 entries");
}

static void test_contents(void **state)
{
    static const char why[] = "Archive unpacks to more than 52428800 bytes";
    auto_buf struct buf most = {0}, more = {0}, zeros = {0}, said = {0}, huge = {0};
    ustar_put_zeros(&zeros, ARCHIVE_UNPACKED_MAX_BYTES - 1);
    test_tar_add(&most, '0', "big", zeros.data, zeros.len);
    buf_append(&more, most.data, most.len);
    test_tar_file(&most, "one", "1");
    test_tar_end(&most);
    taken(&most);
    test_tar_file(&more, "two", "12");
    test_tar_end(&more);
    refused(&more, ERR_TOO_LARGE, why);
    test_tar_header(&said, '0', "x", ARCHIVE_UNPACKED_MAX_BYTES + 1);
    refused(&said, ERR_TOO_LARGE, why);
    test_tar_pax(&huge, 'x', "size=999999999999999999");
    test_tar_header(&huge, '0', "x", 0);
    refused(&huge, ERR_TOO_LARGE, why);
}

/* Nothing of this is a content, and it still ends early. */
static void test_bombs(void **state)
{
    auto_buf struct buf t = {0}, zeros = {0}, names = {0}, name = {0};
    ustar_put_zeros(&zeros, 1 << 20);
    test_tar_end(&t);
    for (int i = 0; i < 128; i++)
        buf_append(&t, zeros.data, zeros.len);
    refused(&t, ERR_TOO_LARGE, "Archive unpacks to too much");
    buf_append_str(&name, "path=");
    for (int i = 0; i < 2000; i++)
        buf_append_str(&name, "d/");
    for (int i = 0; i < 2000; i++) {
        test_tar_pax(&names, 'x', buf_str(&name));
        test_tar_add(&names, '5', "x", "", 0);
    }
    test_tar_end(&names);
    refused(&names, ERR_TOO_LARGE, "Archive has names of more than 4194304 bytes together");
}

static void test_compressed_bytes(void **state)
{
    auto_archive struct archive *a = NULL;
    auto_buf struct buf zeros = {0};
    struct err e = ERR_INIT;
    ustar_put_zeros(&zeros, ARCHIVE_MAX_BYTES + 1);
    assert_int_equal(0, archive_new(10, &a, &e));
    assert_int_equal(-E2BIG, archive_add(a, zeros.data, zeros.len, &e));
    assert_string_equal("Body too large", e.text);
    assert_int_equal(ERR_TOO_LARGE, e.class);
}

/* Nine of its ten MiB, none of which is its end. */
static struct archive *hold_much(const struct buf *gz, struct err *e, int *r)
{
    struct archive *a = NULL;
    assert_int_equal(0, archive_new(10, &a, e));
    *r = archive_add(a, gz->data, 9 << 20, e);
    return a;
}

static void test_archives_together(void **state)
{
    struct archive *all[64] = {0};
    auto_buf struct buf t = {0}, gz = {0}, content = {0};
    struct err e = ERR_INIT;
    int held = 0, r = 0;
    ustar_put_zeros(&content, 9 << 20);
    test_tar_add(&t, '0', "x", content.data, content.len);
    gzip(&t, 0, &gz);
    while (r == 0 && held < 64)
        all[held++] = hold_much(&gz, &e, &r);
    assert_int_equal(ARCHIVES_MAX_BYTES / (9 << 20) + 1, held);
    assert_int_equal(ERR_FULL, e.class);
    archive_free(all[0]);
    archive_free(all[1]);
    all[0] = hold_much(&gz, &e, &r);
    assert_int_equal(0, r);
    archive_free(all[0]);
    for (int i = 2; i < held; i++)
        archive_free(all[i]);
}

/* --- out --- */

struct source {
    const struct buf *data;
    size_t at, step;
    bool fails;
};

ssize_t __wrap_vm_stream_read(struct vm_stream *s, void *buf, size_t max, struct err *e);

/* The stream is a struct source here. */
ssize_t __wrap_vm_stream_read(struct vm_stream *s, void *buf, size_t max, struct err *e)
{
    struct source *from = (struct source *)(void *)s;
    size_t n = from->data->len - from->at;
    n = n < from->step ? n : from->step;
    n = n < max ? n : max;
    if (n == 0 && from->fails)
        return err_set(e, ERR_UNAVAILABLE, "the guest is gone");
    if (n)
        memcpy(buf, from->data->data + from->at, n);
    from->at += n;
    return (ssize_t)n;
}

static ssize_t read_all(struct source *from, size_t step, struct buf *ret, struct err *e)
{
    CLEANUP(archive_reader_freep) struct archive_reader *ar = NULL;
    ssize_t n;
    assert_int_equal(0, archive_reader_new((struct vm_stream *)(void *)from, &ar, e));
    while ((n = archive_read(ar, buf_reserve(ret, step), step, e)) > 0)
        ret->len += (size_t)n;
    return n;
}

static void expect_gunzip(const struct buf *gz, const struct buf *want)
{
    auto_buf struct buf got = {0};
    z_stream z = {.next_in = (uint8_t *)gz->data, .avail_in = (uInt)gz->len};
    assert_int_equal(Z_OK, inflateInit2(&z, 16 + 15));
    z.next_out = (uint8_t *)buf_reserve(&got, want->len + 1);
    z.avail_out = (uInt)want->len + 1;
    assert_int_equal(Z_STREAM_END, inflate(&z, Z_FINISH));
    assert_int_equal(0, z.avail_in);
    assert_int_equal(want->len, z.total_out);
    assert_memory_equal(want->data, got.data, want->len);
    inflateEnd(&z);
}

static void test_compressing(void **state)
{
    static const size_t lens[] = {0, 1, 1024, 131072, 1000000}, steps[] = {1, 100, 4096, 1 << 20};
    for (size_t i = 0; i < ARRAY_SIZE(lens) * ARRAY_SIZE(steps); i++) {
        size_t len = lens[i % ARRAY_SIZE(lens)], step = steps[i / ARRAY_SIZE(lens)];
        auto_buf struct buf data = {0}, gz = {0};
        struct err e = ERR_INIT;
        for (size_t k = 0; k < len; k += 4)
            buf_append(&data, &(uint32_t){k % 3 ? (uint32_t)(k * 2654435761u) : 0}, 4);
        struct source from = {.data = &data, .step = 1 + step * 3 / 2};
        assert_int_equal(0, read_all(&from, step, &gz, &e));
        expect_gunzip(&gz, &data);
    }
}

static void test_a_guest_that_goes(void **state)
{
    auto_buf struct buf data = {0}, gz = {0};
    struct err e = ERR_INIT;
    ustar_put_zeros(&data, 500000);
    struct source from = {.data = &data, .step = 1000, .fails = true};
    assert_true(read_all(&from, 4096, &gz, &e) < 0);
    assert_string_equal("the guest is gone", e.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packed_anew),        cmocka_unit_test(test_a_sink_that_fails),
        cmocka_unit_test(test_what_is_no_archive), cmocka_unit_test(test_conflicts),
        cmocka_unit_test(test_where_it_goes),      cmocka_unit_test(test_entries),
        cmocka_unit_test(test_contents),           cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_compressed_bytes),   cmocka_unit_test(test_archives_together),
        cmocka_unit_test(test_compressing),        cmocka_unit_test(test_a_guest_that_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
