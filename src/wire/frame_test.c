/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/frame.h"

#include <errno.h>

#include "base/limits.h"
#include "base/test.h"

static void test_header(void **state)
{
    uint8_t head[FRAME_HEADER_BYTES];
    frame_header(head, FRAME_STDOUT, 0x10000);
    assert_memory_equal("O\1\0\0", head, 4);
    frame_header(head, FRAME_EXIT, 0x1234);
    assert_memory_equal("X\0\x12\x34", head, 4);
}

static void test_fixed(void **state)
{
    uint8_t frame[FRAME_HEADER_BYTES + FRAME_OFFSET_BYTES];
    frame_signal(frame, 9);
    assert_memory_equal("K\0\0\2\0\x9", frame, 6);
    frame_resize(frame, 24, 0x1234);
    assert_memory_equal("W\0\0\4\0\x18\x12\x34", frame, 8);
    assert_int_equal(0x1234, frame_number(frame + 6, 2));
    frame_offset(frame, INT64_MAX);
    assert_memory_equal("N\0\0\x8\x7f\xff\xff\xff\xff\xff\xff\xff", frame, 12);
    assert_true(frame_number(frame + 4, 8) == INT64_MAX);
    assert_true(frame_number(frame, 0) == 0);
}

/* Decodes `data` in pieces of `step` bytes into one line a frame: type, length, payload. */
static void decode_all(const char *data, size_t len, size_t step, struct buf *out)
{
    struct frame_decoder d = {0};
    for (size_t at = 0; at < len; at += step) {
        struct frame_input in = {(const uint8_t *)data + at, len - at < step ? len - at : step};
        struct frame_piece p;
        int r;
        while ((r = frame_decode(&d, FRAME_FROM_CLIENT, &in, &p, NULL)) > 0) {
            buf_append(out, p.data, p.len);
            if (p.end)
                buf_printf(out, "<%c%zu>", p.type, p.frame_len);
        }
        assert_int_equal(0, r);
        assert_int_equal(0, in.len);
    }
    assert_true(frame_at_boundary(&d));
}

static void test_any_split(void **state)
{
    static const char in[] = "S\0\0\5{...}S\0\0\0I\0\0\3abcI\0\0\0K\0\0\2\0\x9";
    for (size_t step = 1; step < sizeof(in); step++) {
        auto_buf struct buf out = {0};
        decode_all(in, sizeof(in) - 1, step, &out);
        assert_int_equal(30, out.len);
        assert_memory_equal("{...}<S5><S0>abc<I3><I0>\0\x9<K2>", out.data, 30);
    }
}

static void test_refusals(void **state)
{
    static const struct {
        const char *in;
        size_t len;
        const char *want;
    } rows[] = {
        {"O", 1, "unexpected exec frame of type 0x4f"},
        {"\0", 1, "unexpected exec frame of type 0x00"},
        {"I\1\0\1", 4, "an exec frame of 65537 bytes, more than 65536"},
        {"I\xff\xff\xff", 4, "an exec frame of 16777215 bytes, more than 65536"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct frame_decoder d = {0};
        struct frame_input in = {(const uint8_t *)rows[i].in, rows[i].len};
        struct frame_piece p;
        struct err e = ERR_INIT;
        assert_int_equal(-EINVAL, frame_decode(&d, FRAME_FROM_CLIENT, &in, &p, &e));
        assert_string_equal(rows[i].want, e.text);
    }
}

static void test_largest(void **state)
{
    struct frame_decoder d = {0};
    uint8_t head[FRAME_HEADER_BYTES];
    frame_header(head, FRAME_STDOUT, AGENT_FRAME_MAX_BYTES);
    struct frame_input in = {head, sizeof(head)};
    struct frame_piece p;
    assert_int_equal(0, frame_decode(&d, FRAME_FROM_AGENT, &in, &p, NULL));
    assert_false(frame_at_boundary(&d));
    assert_int_equal(AGENT_FRAME_MAX_BYTES, d.left);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),    cmocka_unit_test(test_fixed),
        cmocka_unit_test(test_any_split), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
