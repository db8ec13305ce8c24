/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/event.h"

#include "base/test.h"
#include "cli/ndjson.h"

static int parse(const char *line, struct event *ret, struct err *e)
{
    return event_parse(line, strlen(line), ret, e);
}

static void test_kinds(void **state)
{
    auto_event struct event o = {0};
    auto_event struct event x = {0};
    auto_event struct event failed = {0};
    auto_event struct event other = {0};
    assert_int_equal(parse("{\"t\":\"o\",\"d\":\"AAE=\"}", &o, NULL), 0);
    assert_int_equal(o.kind, EVENT_OUT);
    assert_int_equal(o.data.len, 2);
    assert_int_equal(parse("{\"t\":\"x\",\"c\":137,\"to\":true,\"ms\":1.5,\"load_ms\":2,"
                           "\"signal\":\"SIGKILL\"}",
                           &x, NULL),
                     0);
    assert_int_equal(x.kind, EVENT_EXIT);
    assert_int_equal(x.exit_code, 137);
    assert_true(x.timed_out && x.exec_ms == 1.5 && x.load_ms == 2);
    assert_string_equal(x.signal, "SIGKILL");
    auto_event struct event none = {0};
    assert_int_equal(parse("{\"t\":\"x\",\"ms\":1,\"d\":\"no such program\"}", &none, NULL), 0);
    assert_int_equal(none.kind, EVENT_EXIT);
    assert_int_equal(none.exit_code, 0);
    assert_string_equal(none.error, "no such program");
    assert_int_equal(parse("{\"t\":\"error\"}", &failed, NULL), 0);
    assert_int_equal(failed.status, 500);
    assert_string_equal(failed.error, "it failed and did not say why");
    assert_int_equal(parse("{\"t\":\"new\"}", &other, NULL), 0);
    assert_int_equal(other.kind, EVENT_OTHER);
}

static void test_refuses(void **state)
{
    static const char *const bad[] = {
        "",
        "1",
        "{",
        "{}",
        "{\"t\":1}",
        "{\"t\":\"o\"}",
        "{\"t\":\"o\",\"d\":1}",
        "{\"t\":\"e\",\"d\":\"A\"}",
        "{\"t\":\"x\",\"c\":\"0\"}",
        "{\"t\":\"o\",\"t\":\"e\",\"d\":\"\"}",
        "{\"t\":\"o\",\"d\":\"\"} x",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        auto_event struct event ev = {0};
        struct err e = ERR_INIT;
        assert_true(parse(bad[i], &ev, &e) < 0);
        assert_int_equal(e.class, ERR_UNAVAILABLE);
    }
}

/* Collects lines, each followed by '|'. */
static int collect(void *arg, const char *line, size_t len, struct err *e)
{
    buf_append(arg, line, len);
    buf_append_str(arg, "|");
    return len == 4 && !memcmp(line, "stop", 4) ? -EPIPE : 0;
}

/* However the bytes come in pieces, the lines are the same. */
static void test_lines_in_pieces(void **state)
{
    static const char text[] = "one\r\n\ntwo\nthree\n\r\nfour";
    size_t len = sizeof(text) - 1;
    for (size_t piece = 1; piece <= len; piece++) {
        auto_buf struct buf lines = {0};
        struct ndjson CLEANUP(ndjson_done) n = {.max_bytes = 5, .line_fn = collect, .arg = &lines};
        struct err e = ERR_INIT;
        for (size_t i = 0; i < len; i += piece)
            assert_int_equal(ndjson_feed(&n, text + i, piece < len - i ? piece : len - i, &e), 0);
        assert_int_equal(ndjson_end(&n, &e), 0);
        assert_string_equal(buf_str(&lines), "one|two|three|four|");
    }
}

static void test_line_bound(void **state)
{
    auto_buf struct buf lines = {0};
    struct ndjson CLEANUP(ndjson_done) n = {.max_bytes = 4, .line_fn = collect, .arg = &lines};
    struct err e = ERR_INIT;
    assert_int_equal(ndjson_feed(&n, "abcd\nab", 7, &e), 0);
    assert_true(ndjson_feed(&n, "cde", 3, &e) < 0);
    assert_int_equal(e.class, ERR_TOO_LARGE);
    assert_int_equal(n.line.len, 2);
}

static void test_callback_ends_it(void **state)
{
    auto_buf struct buf lines = {0};
    struct ndjson CLEANUP(ndjson_done) n = {.max_bytes = 64, .line_fn = collect, .arg = &lines};
    assert_int_equal(ndjson_feed(&n, "a\nstop\nb\n", 9, NULL), -EPIPE);
    assert_string_equal(buf_str(&lines), "a|stop|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_lines_in_pieces),
        cmocka_unit_test(test_line_bound),
        cmocka_unit_test(test_callback_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
