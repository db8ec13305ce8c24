/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"

#include <errno.h>

#include "wire/test_tar.h"
#include "wire/untar.h"

/* What was read, as text: "f NAME MODE SIZE MTIME CONTENT\n". */
static int on_entry(void *arg, const struct ustar_entry *en, struct err *e)
{
    return buf_printf(arg, "%c %s %o %llu %lld ", en->type == USTAR_DIR ? 'd' : 'f', en->name,
                      en->mode, (unsigned long long)en->size, (long long)en->mtime_s);
}

static int on_content(void *arg, const void *data, size_t len, struct err *e)
{
    return buf_append(arg, data, len);
}

static int on_end(void *arg, struct err *e)
{
    return buf_append_str(arg, "\n");
}

static const struct untar_ops ops = {on_entry, on_content, on_end};

/* Reads in pieces of `step` bytes. */
static int read_all(const struct buf *tar, size_t step, struct buf *ret, struct err *e)
{
    struct untar u = {.ops = &ops, .arg = ret};
    int r = 0;
    for (size_t at = 0; r == 0 && at < tar->len; at += step)
        r = untar_feed(&u, tar->data + at, tar->len - at < step ? tar->len - at : step, e);
    r = r < 0 ? r : untar_finish(&u, e);
    untar_done(&u);
    return r;
}

static void expect(const struct buf *tar, const char *want)
{
    static const size_t steps[] = {1, 7, 512, 1000000};
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        auto_buf struct buf got = {0};
        struct err e = ERR_INIT;
        if (read_all(tar, steps[i], &got, &e) < 0)
            fail_msg("%s", e.text);
        assert_string_equal(want, buf_str(&got));
    }
}

static void refused(const struct buf *tar, const char *why)
{
    auto_buf struct buf got = {0};
    struct err e = ERR_INIT;
    assert_int_equal(-EINVAL, read_all(tar, 333, &got, &e));
    assert_int_equal(ERR_INVALID, e.class);
    assert_string_equal(why, e.text);
}

static void test_what_is_taken(void **state)
{
    auto_buf struct buf t = {0};
    test_tar_add(&t, '5', "./", "", 0);
    test_tar_add(&t, '5', "a//b/./", "", 0);
    test_tar_file(&t, "./a/b/c", "text");
    test_tar_file(&t, "empty", "");
    test_tar_add(&t, '\0', "old", "v7", 2);
    test_tar_add(&t, '0', "old dir/", "", 0);
    test_tar_add(&t, '7', "contiguous", "x", 1);
    test_tar_file(&t, "...", "dots");
    test_tar_file(&t, "\xc3\xa4\xff", "bytes");
    test_tar_end(&t);
    ustar_put_zeros(&t, 8192);
    expect(&t, "d  755 0 1700000000 \n"
               "d a/b 755 0 1700000000 \n"
               "f a/b/c 644 4 1700000000 text\n"
               "f empty 644 0 1700000000 \n"
               "f old 644 2 1700000000 v7\n"
               "d old dir 644 0 1700000000 \n"
               "f contiguous 644 1 1700000000 x\n"
               "f ... 644 4 1700000000 dots\n"
               "f \xc3\xa4\xff 644 5 1700000000 bytes\n");
}

static void test_long_names(void **state)
{
    auto_buf struct buf t = {0}, want = {0};
    char name[301], dir[160];
    memset(name, 'n', 300);
    name[100] = name[200] = '/';
    name[300] = '\0';
    memset(dir, 'd', 155);
    dir[155] = '\0';
    test_tar_add(&t, 'L', "././@LongLink", name, 301);
    test_tar_file(&t, "cut", "gnu");
    auto_buf struct buf record = {0};
    buf_printf(&record, "path=%s", name);
    test_tar_pax(&t, 'x', buf_str(&record));
    test_tar_file(&t, "cut", "pax");
    struct ustar_header *h = test_tar_header(&t, '0', "prefixed", 0);
    memcpy(h->prefix, dir, 155);
    test_tar_sum(h);
    test_tar_end(&t);
    buf_printf(&want, "f %s 644 3 1700000000 gnu\nf %s 644 3 1700000000 pax\n", name, name);
    buf_printf(&want, "f %s/prefixed 644 0 1700000000 \n", dir);
    expect(&t, buf_str(&want));
}

static void test_pax_records(void **state)
{
    auto_buf struct buf t = {0};
    test_tar_pax(&t, 'g', "comment=0123456789abcdef0123456789abcdef01234567");
    test_tar_pax(&t, 'x', "mtime=1234.567");
    test_tar_file(&t, "a", "1");
    test_tar_pax(&t, 'x', "size=3");
    test_tar_header(&t, '0', "b", 0);
    buf_append_str(&t, "abc");
    ustar_put_zeros(&t, 509);
    test_tar_pax(&t, 'x', "SCHILY.xattr.user.x=y");
    test_tar_file(&t, "c", "");
    test_tar_pax(&t, 'x', "mtime=-5");
    test_tar_file(&t, "d", "");
    test_tar_end(&t);
    expect(&t, "f a 644 1 1234 1\nf b 644 3 1700000000 abc\nf c 644 0 1700000000 \nf d 644 0 0 \n");
}

static void test_numbers(void **state)
{
    auto_buf struct buf t = {0};
    struct ustar_header *h = test_tar_header(&t, '0', "binary", 0);
    memset(h->size, 0, sizeof(h->size));
    h->size[0] = (char)0x80;
    h->size[11] = 3;
    memset(h->mtime, 0xff, sizeof(h->mtime)); /* -1 */
    memcpy(h->mode, "  4755 ", 8);
    test_tar_sum(h);
    buf_append_str(&t, "abc");
    ustar_put_zeros(&t, 509);
    /* An old program's sum of signed characters. */
    h = test_tar_header(&t, '0', "\xff", 0);
    int other;
    ustar_sum(h, &other);
    snprintf(h->sum, sizeof(h->sum), "%06o", (unsigned)other);
    test_tar_end(&t);
    expect(&t, "f binary 4755 3 0 abc\nf \xff 644 0 1700000000 \n");
}

static void refused_name(const char *name, const char *why)
{
    auto_buf struct buf t = {0};
    test_tar_file(&t, name, "x");
    test_tar_end(&t);
    refused(&t, why);
}

static void refused_type(char type, const char *why)
{
    auto_buf struct buf t = {0};
    test_tar_header(&t, type, "x", 0);
    test_tar_end(&t);
    refused(&t, why);
}

static void refused_pax(char type, const char *record, const char *why)
{
    auto_buf struct buf t = {0};
    test_tar_pax(&t, type, record);
    test_tar_file(&t, "x", "");
    test_tar_end(&t);
    refused(&t, why);
}

static void test_names_that_are_refused(void **state)
{
    refused_name("/etc/passwd", "Invalid archive: the name \"/etc/passwd\" is absolute");
    refused_name("../x", "Invalid archive: the name \"../x\" leads upwards");
    refused_name("a/../../x", "Invalid archive: the name \"a/../../x\" leads upwards");
    refused_name("a/..", "Invalid archive: the name \"a/..\" leads upwards");
    refused_name("", "Invalid archive: the name \"\" is empty");
    refused_name(".", "Invalid archive: the name \".\" is no file's");
    refused_name("\n\"x/../x", "Invalid archive: the name \"??x/../x\" leads upwards");
    refused_pax('x', "path=/abs", "Invalid archive: the name \"/abs\" is absolute");
    refused_pax('x', "path=a/../../b", "Invalid archive: the name \"a/../../b\" leads upwards");
    refused_pax('x', "path=", "Invalid archive: the name \"\" is empty");

    auto_buf struct buf nul = {0}, both = {0}, longest = {0}, part = {0}, record = {0};
    test_tar_add(&nul, 'L', "././@LongLink", "a\0b", 4);
    test_tar_file(&nul, "x", "");
    test_tar_end(&nul);
    refused(&nul, "Invalid archive: the name \"a?b\" has a NUL");
    test_tar_add(&both, 'L', "././@LongLink", "a", 2);
    test_tar_pax(&both, 'x', "path=b");
    refused(&both, "Invalid archive: an entry's name is given twice");
    buf_append_str(&record, "path=");
    for (int i = 0; i < 256; i++)
        buf_append_str(&record, "c");
    test_tar_pax(&part, 'x', buf_str(&record));
    test_tar_file(&part, "x", "");
    struct err e = ERR_INIT;
    auto_buf struct buf got = {0};
    assert_int_equal(-EINVAL, read_all(&part, 512, &got, &e));
    assert_non_null(strstr(e.text, "ccc...\" is too long"));
    for (int i = 0; i < 4096; i++)
        buf_append_str(&record, i % 2 ? "/" : "c");
    test_tar_pax(&longest, 'x', buf_str(&record));
    test_tar_file(&longest, "x", "");
    assert_int_equal(-EINVAL, read_all(&longest, 512, &got, &e));
    assert_non_null(strstr(e.text, "is too long"));
}

static void test_kinds_that_are_refused(void **state)
{
    refused_type('1', "Invalid archive: \"x\" is a hard link");
    refused_type('2', "Invalid archive: \"x\" is a symbolic link");
    refused_type('3', "Invalid archive: \"x\" is a device");
    refused_type('4', "Invalid archive: \"x\" is a device");
    refused_type('6', "Invalid archive: \"x\" is a FIFO");
    refused_type('S', "Invalid archive: \"x\" is a sparse file");
    refused_type('V', "Invalid archive: \"x\" is of an unknown kind");
    refused_type('M', "Invalid archive: \"x\" is of an unknown kind");
    refused_pax('x', "GNU.sparse.major=1", "Invalid archive: sparse files are not taken");
    refused_pax('g', "GNU.sparse.name=x", "Invalid archive: sparse files are not taken");
    refused_pax('g', "path=y", "Invalid archive: a global header gives a path or size");
    refused_pax('g', "size=1", "Invalid archive: a global header gives a path or size");
}

static void test_headers_that_are_refused(void **state)
{
    static const char *const records[] = {"", "5 a=b", "x a=b\n", "99 a=b\n", "6 =ab\n", "5 abc\n"};
    for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
        auto_buf struct buf t = {0};
        test_tar_add(&t, 'x', "pax", records[i], strlen(records[i]));
        test_tar_end(&t);
        refused(&t, i ? "Invalid archive: a pax header is malformed"
                      : "Invalid archive: a number in a header is malformed");
    }
    refused_pax('x', "size=1x", "Invalid archive: an entry's size in a pax header is no number");
    refused_pax('x', "size=", "Invalid archive: an entry's size in a pax header is no number");

    auto_buf struct buf twice = {0}, dangling = {0}, big = {0}, size = {0}, dir = {0}, sum = {0};
    test_tar_pax(&twice, 'x', "mtime=1");
    test_tar_pax(&twice, 'x', "mtime=2");
    refused(&twice, "Invalid archive: an entry has two pax headers");
    test_tar_pax(&dangling, 'x', "mtime=1");
    test_tar_end(&dangling);
    refused(&dangling, "Invalid archive: a header of an entry that does not come");
    test_tar_header(&big, 'x', "pax", UNTAR_EXTRA_MAX_BYTES + 1);
    refused(&big, "Invalid archive: a name or pax header is too long");
    struct ustar_header *h = test_tar_header(&size, '0', "x", 0);
    memset(h->size, 0xff, sizeof(h->size));
    test_tar_sum(h);
    refused(&size, "Invalid archive: a number in a header is malformed");
    test_tar_add(&dir, '5', "d", "x", 1);
    refused(&dir, "Invalid archive: a directory has a content");
    test_tar_file(&sum, "x", "");
    h = test_tar_header(&sum, '0', "y", 0);
    h->name[1] = 'z';
    refused(&sum, "Invalid archive: a header is damaged");
}

static void test_ends(void **state)
{
    auto_buf struct buf t = {0}, junk = {0}, lone = {0}, none = {0}, again = {0};
    test_tar_file(&t, "x", "content");
    refused(&t, "Invalid archive: it is cut off"); /* no end at all */
    for (size_t cut = 1; cut < t.len; cut += 100) {
        struct buf part = {.data = t.data, .len = cut};
        refused(&part,
                cut < 512 ? "Invalid archive: it is no tar" : "Invalid archive: it is cut off");
    }
    ustar_put_zeros(&lone, 512); /* one block of the two is enough, as for everybody */
    expect(&lone, "");
    refused(&none, "Invalid archive: it is cut off");
    for (int i = 0; i < 600; i++)
        buf_append_str(&junk, "junk");
    refused(&junk, "Invalid archive: it is no tar");
    test_tar_end(&t);
    buf_append(&again, t.data, t.len);
    buf_append(&again, t.data, t.len); /* GNU tar would need --ignore-zeros to see the second one */
    refused(&again, "Invalid archive: something follows its end");
    buf_append(&t, "\0\0\0x", 4);
    refused(&t, "Invalid archive: something follows its end");
}

/* What ustar.c writes, this reads. */
static void test_round_trip(void **state)
{
    auto_buf struct buf t = {0}, want = {0};
    char name[1001];
    memset(name, 'n', 1000);
    for (int i = 50; i < 1000; i += 50)
        name[i] = '/';
    name[1000] = '\0';
    static const size_t lens[] = {1, 98, 99, 100, 101, 999};
    for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
        const char *tail = name + 1000 - lens[i];
        tail += *tail == '/';
        const struct ustar_entry dir = {.type = USTAR_DIR, .name = tail, .mode = 0700};
        const struct ustar_entry file = {.type = USTAR_FILE,
                                         .name = tail,
                                         .mode = 0640,
                                         .uid = UINT32_MAX,
                                         .size = 2,
                                         .mtime_s = 0x1ffffffffLL};
        ustar_put(&t, &dir);
        ustar_put(&t, &file);
        buf_append_str(&t, "xy");
        ustar_put_zeros(&t, ustar_padding(2));
        buf_printf(&want, "d %s 700 0 0 \nf %s 640 2 8589934591 xy\n", tail, tail);
    }
    test_tar_end(&t);
    expect(&t, buf_str(&want));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_taken),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_pax_records),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_names_that_are_refused),
        cmocka_unit_test(test_kinds_that_are_refused),
        cmocka_unit_test(test_headers_that_are_refused),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
