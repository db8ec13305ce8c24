/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/test.h"

struct fixture {
    char *dir;
    struct spool spool;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->dir = test_dir_make();
    assert_int_equal(0, spool_init(&f->spool, f->dir));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    spool_done(&f->spool);
    test_dir_drop(&f->dir);
    free(f);
    return 0;
}

/* Reads all from `offset` on, as "O5:text E8:text ...", pieces that follow each other joined. */
static void read_all(const struct spool *s, struct spool_cursor *c, size_t step, struct buf *out)
{
    struct spool_piece p;
    char buf[64];
    int64_t end = -1;
    enum frame_type last = FRAME_EXIT;
    for (ssize_t n; (n = spool_read(s, c, buf, step, &p)) > 0; end = p.offset + n) {
        if (p.type != last || p.offset != end)
            buf_printf(out, "%s%c%lld:", out->len ? " " : "", p.type, (long long)p.offset);
        buf_append(out, buf, (size_t)n);
        last = p.type;
    }
}

static void expect(const struct spool *s, int64_t offset, const char *want)
{
    for (size_t step = 1; step < 12; step += 5) {
        auto_buf struct buf got = {0};
        struct spool_cursor c = {.offset = offset};
        read_all(s, &c, step, &got);
        assert_string_equal(want, buf_str(&got));
    }
}

static void put(struct spool *s, enum frame_type type, const char *text)
{
    spool_append(s, type, text, strlen(text));
}

static void test_order(void **state)
{
    struct fixture *f = *state;
    struct spool *s = &f->spool;
    expect(s, 0, "");
    put(s, FRAME_STDOUT, "one ");
    put(s, FRAME_STDOUT, "two");
    put(s, FRAME_STDERR, "bad");
    put(s, FRAME_STDOUT, "three");
    assert_int_equal(15, s->end);
    assert_int_equal(0, spool_first(s));
    expect(s, 0, "O0:one two E7:bad O10:three");
    expect(s, 2, "O2:e two E7:bad O10:three");
    expect(s, 7, "E7:bad O10:three");
    expect(s, 14, "O14:e");
    expect(s, 15, "");
    expect(s, 1000, "");
}

/* A reader that has come to the end goes on in a frame that has grown meanwhile. */
static void test_follow(void **state)
{
    struct fixture *f = *state;
    struct spool *s = &f->spool;
    struct spool_cursor c = {0};
    auto_buf struct buf got = {0};
    put(s, FRAME_STDOUT, "abc");
    read_all(s, &c, 10, &got);
    put(s, FRAME_STDOUT, "def");
    put(s, FRAME_STDERR, "x");
    read_all(s, &c, 10, &got);
    assert_string_equal("O0:abc O3:def E6:x", buf_str(&got));
}

/* Byte number n of all output. */
static uint8_t byte_at(int64_t n)
{
    return (uint8_t)((uint64_t)n * 2654435761u >> 11);
}

static void fill(struct spool *s, size_t bytes, size_t piece)
{
    auto_free uint8_t *data = malloc(piece);
    for (size_t done = 0, n; done < bytes; done += n) {
        n = bytes - done < piece ? bytes - done : piece;
        for (size_t i = 0; i < n; i++)
            data[i] = byte_at(s->end + (int64_t)i);
        spool_append(s, s->end / 7 % 2 ? FRAME_STDERR : FRAME_STDOUT, data, n);
    }
}

static void check_from(const struct spool *s, int64_t offset)
{
    auto_free uint8_t *buf = malloc(100000);
    struct spool_cursor c = {.offset = offset};
    struct spool_piece p;
    int64_t at = offset > spool_first(s) ? offset : spool_first(s);
    for (ssize_t n; (n = spool_read(s, &c, buf, 100000, &p)) > 0; at += n) {
        assert_true(p.offset == at);
        for (ssize_t i = 0; i < n; i++)
            if (buf[i] != byte_at(at + i))
                fail_msg("wrong byte at %lld", (long long)(at + i));
    }
    assert_true(at == s->end);
}

static void test_rotation(void **state)
{
    struct fixture *f = *state;
    struct spool *s = &f->spool;
    struct spool_cursor behind = {.offset = 5};
    struct spool_piece p;
    char c;
    fill(s, 20 * MIB, 60000);
    assert_int_equal(1, spool_read(s, &behind, &c, 1, &p));
    fill(s, 90 * MIB, 65536);
    assert_true(spool_first(s) > 0);
    assert_true(s->end - spool_first(s) >= (int64_t)(32 * MIB));
    assert_true(s->end - spool_first(s) <= (int64_t)(2 * AGENT_JOB_SEGMENT_BYTES));
    /* A reader that was left behind goes on with what there is. */
    assert_int_equal(1, spool_read(s, &behind, &c, 1, &p));
    assert_true(p.offset == spool_first(s));
    check_from(s, 0);
    check_from(s, s->end - (int64_t)(10 * MIB) - 3);
    check_from(s, s->end - 1);
}

static void test_small_pieces(void **state)
{
    struct fixture *f = *state;
    fill(&f->spool, 1 * MIB, 3);
    check_from(&f->spool, 0);
    check_from(&f->spool, 700001);
}

/* On a full disk what was kept is lost, and it goes on. */
static void test_disk_full(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    struct spool s;
    if (mount("tmpfs", dir, "tmpfs", 0, "size=1m") < 0)
        skip();
    int r = spool_init(&s, dir);
    if (r == 0)
        fill(&s, 4 * MIB, 65536);
    int64_t end = s.end, first = spool_first(&s);
    check_from(&s, 0);
    put(&s, FRAME_STDOUT, "later");
    struct spool_cursor c = {.offset = end};
    struct spool_piece p = {0};
    char buf[8];
    ssize_t n = spool_read(&s, &c, buf, sizeof(buf), &p);
    spool_done(&s);
    umount2(dir, MNT_DETACH);
    assert_int_equal(0, r);
    assert_true(end == (int64_t)(4 * MIB));
    assert_true(first > 0);
    assert_int_equal(5, n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_follow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rotation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_small_pieces, setup, teardown),
        cmocka_unit_test(test_disk_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
