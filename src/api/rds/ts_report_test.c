/* SPDX-License-Identifier: Apache-2.0 */

/* Reports between what is for people, in pieces of any size, true and forged. */

#include "api/rds/ts_report.h"

#include <string.h>

#include "base/base64.h"
#include "base/limits.h"
#include "base/test.h"

struct fixture {
    struct ts_report t;
    struct buf text;
};

static void start(struct fixture *f)
{
    *f = (struct fixture){0};
    ts_report_init(&f->t, &f->text);
}

static void done(struct fixture *f)
{
    ts_report_done(&f->t);
    buf_done(&f->text);
}

/* "@" stands for the mark. */
static void expand(const struct fixture *f, const char *with_marks, struct buf *ret)
{
    for (; *with_marks; with_marks++) {
        if (*with_marks == '@')
            buf_append_str(ret, f->t.mark);
        else
            buf_append(ret, with_marks, 1);
    }
}

static void feed(struct fixture *f, const char *with_marks, size_t piece)
{
    auto_buf struct buf all = {0};
    expand(f, with_marks, &all);
    for (size_t at = 0; at < all.len; at += piece)
        assert_int_equal(
            ts_report_take(&f->t, all.data + at, all.len - at < piece ? all.len - at : piece), 0);
    assert_int_equal(ts_report_end(&f->t), 0);
}

/* What the answer is, for an exit code. */
static void assert_answer(const struct fixture *f, int code, const char *expected)
{
    auto_buf struct buf b = {0};
    json_t *json = json_pack("{s:i}", "exitCode", code);
    assert_int_equal(ts_report_answer(&f->t, json, &b), 0);
    assert_string_equal(buf_str(&b), expected);
    json_decref(json);
}

static const struct {
    const char *input, *text;
    int code;
    const char *answer;
} cases[] = {
    {"", "", 0, "{\"exitCode\":0}\n"},
    {"words\n", "words\n", 3, "{\"exitCode\":3}\n"},
    {"@r1\n", "", 0, "{\"exitCode\":0,\"result\":1}\n"},
    {"a@r{\"a\":[1,2]}\nb", "ab", 0, "{\"exitCode\":0,\"result\":{\"a\":[1,2]}}\n"},
    {"@r[\n@R1]\n", "", 0, "{\"exitCode\":0,\"result\":[1]}\n"},
    {"@r1\n@r2\n", "", 0, "{\"exitCode\":0,\"result\":2}\n"},
    {"@r1\n@e\"no\"\n", "", 0, "{\"exitCode\":1,\"result\":1,\"error\":\"no\"}\n"},
    {"@e1\n@x\n", "", 0, "{\"exitCode\":0}\n"},
    {"@e1\n@x\n@e2\n", "", 7, "{\"exitCode\":7,\"error\":2}\n"},
    {"@r12345678901234567890\n", "", 0, "{\"exitCode\":0,\"result\":12345678901234567890}\n"},
    {"@r0.30000000000000004\n", "", 0, "{\"exitCode\":0,\"result\":0.30000000000000004}\n"},
    /* Half a mark, a mark without an end, an unknown letter, an empty line. */
    {"\x1e"
     "0123\n",
     "\x1e"
     "0123\n",
     0, "{\"exitCode\":0}\n"},
    {"\x1e\x1e@r1\n\x1e", "\x1e\x1e\x1e", 0, "{\"exitCode\":0,\"result\":1}\n"},
    {"@?1\n@\n", "", 0, "{\"exitCode\":0}\n"},
    /* What is no JSON value. */
    {"@r1,2\n", "", 0,
     "{\"exitCode\":1,\"error\":{\"name\":\"RangeError\",\"message\":\"the "
     "result is no JSON, or too large\"}}\n"},
    {"@r}\n", "", 4,
     "{\"exitCode\":4,\"error\":{\"name\":\"RangeError\",\"message\":\"the result "
     "is no JSON, or too large\"}}\n"},
    {"@e{\n", "", 1, "{\"exitCode\":1}\n"},
    /* What Deno says when it cannot load a program. */
    {"error: SyntaxError: bad\n  |\n    at file:///x\n",
     "error: SyntaxError: bad\n  |\n    at file:///x\n", 1,
     "{\"exitCode\":1,\"error\":{\"name\":\"SyntaxError\",\"message\":\"bad\\n  |\",\"stack\":"
     "\"SyntaxError: bad\\n  |\\n    at file:///x\\n\"}}\n"},
    {"error: Module not found \"x\".\n", "error: Module not found \"x\".\n", 1,
     "{\"exitCode\":1,\"error\":{\"name\":\"Error\",\"message\":\"Module not found "
     "\\\"x\\\".\",\"stack\":\"Module not found \\\"x\\\".\\n\"}}\n"},
    {"error: mine\n", "error: mine\n", 1, "{\"exitCode\":1}\n"},
    {"error: Error:\n    at x", "error: Error:\n    at x", 1,
     "{\"exitCode\":1,\"error\":{\"name\":\"Error\",\"message\":\"\",\"stack\":\"Error:\\n    at "
     "x\"}}\n"},
};

static void test_cases(void **state)
{
    static const size_t pieces[] = {1, 2, 7, 1000};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (size_t p = 0; p < ARRAY_SIZE(pieces); p++) {
            struct fixture f;
            start(&f);
            feed(&f, cases[i].input, pieces[p]);
            assert_string_equal(buf_str(&f.text), cases[i].text);
            assert_answer(&f, cases[i].code, cases[i].answer);
            done(&f);
        }
    }
}

/* A line that is longer than any of ours is text, and memory does not grow with it. */
static void test_a_line_without_end(void **state)
{
    struct fixture f;
    char piece[1024];
    memset(piece, 'z', sizeof(piece));
    start(&f);
    ts_report_take(&f.t, f.t.mark, strlen(f.t.mark));
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(ts_report_take(&f.t, piece, sizeof(piece)), 0);
        assert_true(f.t.pending.len <= TS_PIECE_BYTES + TS_MARK_SIZE + sizeof(piece));
    }
    ts_report_end(&f.t);
    assert_int_equal(f.text.len, RDS_OUTPUT_MAX_BYTES);
    assert_answer(&f, 0, "{\"exitCode\":0}\n");
    done(&f);
}

/* A result that never ends stops at its bound, and one that has too many values is none. */
static void test_bounds(void **state)
{
    static const char too_much[] = "{\"exitCode\":1,\"error\":{\"name\":\"RangeError\","
                                   "\"message\":\"the result is no JSON, or too large\"}}\n";
    struct fixture f;
    auto_buf struct buf line = {0};
    start(&f);
    expand(&f, "@r\"", &line);
    for (int i = 0; i < 3000; i++)
        buf_append_str(&line, "z");
    buf_append_str(&line, "\n");
    line.data[strlen(f.t.mark)] = 'r';
    for (int i = 0; i < 1000; i++) {
        ts_report_take(&f.t, line.data, line.len);
        line.data[strlen(f.t.mark)] = 'R';
    }
    assert_true(f.t.result.len <= RDS_RESULT_MAX_BYTES);
    assert_answer(&f, 0, too_much);
    done(&f);

    start(&f);
    buf_clear(&line);
    expand(&f, "@r[0\n", &line);
    ts_report_take(&f.t, line.data, line.len);
    buf_clear(&line);
    expand(&f, "@R,0,0,0,0,0,0,0,0\n", &line);
    for (size_t i = 0; i < RDS_RESULT_VALUES_MAX / 8; i++)
        ts_report_take(&f.t, line.data, line.len);
    buf_clear(&line);
    expand(&f, "@R]\n", &line);
    ts_report_take(&f.t, line.data, line.len);
    assert_answer(&f, 0, too_much);
    done(&f);
}

static void test_marks_differ(void **state)
{
    struct fixture a, b;
    start(&a);
    start(&b);
    assert_int_equal(strlen(a.t.mark), TS_MARK_SIZE - 1);
    assert_string_not_equal(a.t.mark, b.t.mark);
    done(&a);
    done(&b);
}

static void test_preload(void **state)
{
    static const char head[] = "data:text/javascript;base64,";
    struct fixture f;
    auto_buf struct buf url = {0}, source = {0};
    start(&f);
    assert_int_equal(ts_report_preload(&f.t, &url), 0);
    assert_memory_equal(url.data, head, strlen(head));
    assert_int_equal(base64_decode(url.data + strlen(head), url.len - strlen(head), &source), 0);
    assert_non_null(strstr(buf_str(&source), f.t.mark + 1));
    assert_non_null(strstr(buf_str(&source), "'\\x1e"));
    assert_non_null(strstr(buf_str(&source), "globalThis.result"));
    done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),   cmocka_unit_test(test_a_line_without_end),
        cmocka_unit_test(test_bounds),  cmocka_unit_test(test_marks_differ),
        cmocka_unit_test(test_preload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
