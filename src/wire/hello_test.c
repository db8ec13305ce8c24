/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/hello.h"

#include "base/test.h"

#define NONCE "0123456789abcdef0123456789abcdef"
#define LINE "HOLM/1 " NONCE "\n"

static void test_nonce_and_line(void **state)
{
    char nonce[HELLO_NONCE_SIZE], other[HELLO_NONCE_SIZE], line[HELLO_LINE_SIZE];
    hello_nonce_new(nonce);
    hello_nonce_new(other);
    assert_string_not_equal(nonce, other);
    assert_int_equal(HELLO_NONCE_LEN, strspn(nonce, "0123456789abcdef"));
    hello_line(NONCE, line);
    assert_string_equal(LINE, line);
    assert_int_equal(HELLO_LINE_LEN, strlen(line));
}

/* Finds `want` lines in `text`, whichever way it is cut in two. */
static void expect_lines(const char *text, size_t len, int want)
{
    for (size_t cut = 0; cut <= len; cut++) {
        struct hello_scan s = {0};
        int found = 0;
        for (size_t at = 0, used; at < len; at += used) {
            size_t piece = at < cut ? cut - at : len - at;
            found += hello_scan_feed(&s, text + at, piece, &used);
        }
        assert_int_equal(want, found);
        if (want)
            assert_string_equal(NONCE, s.nonce);
    }
}

static void test_scan(void **state)
{
    static const struct {
        const char *text;
        int lines;
    } rows[] = {
        {LINE, 1},
        {LINE LINE LINE, 3},
        {"garbage" LINE, 1},
        {"HOLM/1 0123" LINE, 1},
        {"HHOLM/1 HOLM/" LINE "HOLM/1", 1},
        {"HOLM/1 0123456789ABCDEF0123456789abcdef\n", 0},
        {"HOLM/1 0123456789abcdef0123456789abcde\n", 0},
        {"HOLM/1 0123456789abcdef0123456789abcdef0\n", 0},
        {"HOLM/2 0123456789abcdef0123456789abcdef\n", 0},
        {"HOLM/1 -\n" LINE, 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        expect_lines(rows[i].text, strlen(rows[i].text), rows[i].lines);
    expect_lines("\0\0\xff" LINE "\0", 3 + HELLO_LINE_LEN + 1, 1);
}

static void test_is_lines(void **state)
{
    assert_true(hello_is_lines(LINE, HELLO_LINE_LEN));
    assert_true(hello_is_lines(LINE LINE, 2 * HELLO_LINE_LEN));
    assert_false(hello_is_lines("", 0));
    assert_false(hello_is_lines(LINE "x", HELLO_LINE_LEN + 1));
    assert_false(hello_is_lines(LINE, HELLO_LINE_LEN - 1));
    assert_false(
        hello_is_lines(LINE "HOLM/1 1123456789abcdef0123456789abcdef\n", 2 * HELLO_LINE_LEN));
}

/* Old bytes, another session's answer, ours three times, then HTTP/2: in pieces of every size. */
static void test_client(void **state)
{
    for (size_t piece = 1; piece < 200; piece++) {
        struct hello_client c;
        hello_client_init(&c);
        char in[400];
        int head =
            snprintf(in, sizeof(in), "old\n" LINE "HOLM/1 %s\nHOLM/1 %s\nHOLM/1 -\nHOLM/1 %s\n",
                     c.nonce, c.nonce, c.nonce);
        memcpy(in + head, "\0\0\x06\x04HOLM", 8);
        size_t len = (size_t)head + 8, skipped = 0;
        for (size_t at = 0; at < len && !c.passed;) {
            size_t n = len - at < piece ? len - at : piece;
            size_t skip = hello_client_feed(&c, in + at, n);
            assert_true(skip <= n);
            skipped += skip;
            assert_true(skip == n || c.passed);
            at += n;
        }
        assert_true(c.answered);
        assert_int_equal(head, skipped);
    }
}

static void test_client_waits(void **state)
{
    struct hello_client c;
    hello_client_init(&c);
    assert_int_equal(HELLO_LINE_LEN + 1, hello_client_feed(&c, LINE "\0", HELLO_LINE_LEN + 1));
    assert_false(c.answered);
    assert_false(c.passed);
}

static void test_server(void **state)
{
    static const char in[] = "\xffjunk" HELLO_PREFACE LINE LINE "junk" HELLO_PREFACE "rest";
    struct hello_server s = {0};
    size_t used, at = 0, len = sizeof(in) - 1;
    /* The first preface follows no hello and is passed over. */
    assert_int_equal(HELLO_LINE, hello_server_feed(&s, in, len, &used));
    at += used;
    assert_int_equal(5 + HELLO_PREFACE_LEN + HELLO_LINE_LEN, at);
    assert_string_equal(NONCE, s.scan.nonce);
    assert_int_equal(HELLO_LINE, hello_server_feed(&s, in + at, len - at, &used));
    at += used;
    assert_int_equal(HELLO_SESSION, hello_server_feed(&s, in + at, len - at, &used));
    at += used;
    assert_string_equal("rest", in + at);
    assert_false(s.preface_allowed);
}

static void test_server_bytewise(void **state)
{
    static const char in[] = LINE HELLO_PREFACE;
    struct hello_server s = {0};
    int lines = 0, sessions = 0;
    for (size_t i = 0; i < sizeof(in) - 1; i++) {
        size_t used;
        enum hello_event event = hello_server_feed(&s, in + i, 1, &used);
        lines += event == HELLO_LINE;
        sessions += event == HELLO_SESSION;
        assert_int_equal(1, used);
    }
    assert_int_equal(1, lines);
    assert_int_equal(1, sessions);
}

static void test_server_bare(void **state)
{
    struct hello_server s = {.preface_allowed = true};
    size_t used;
    assert_int_equal(HELLO_SESSION, hello_server_feed(&s, HELLO_PREFACE, HELLO_PREFACE_LEN, &used));
    assert_int_equal(HELLO_PREFACE_LEN, used);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nonce_and_line),  cmocka_unit_test(test_scan),
        cmocka_unit_test(test_is_lines),        cmocka_unit_test(test_client),
        cmocka_unit_test(test_client_waits),    cmocka_unit_test(test_server),
        cmocka_unit_test(test_server_bytewise), cmocka_unit_test(test_server_bare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
