/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <fcntl.h>

#include "base/limits.h"
#include "base/test.h"

/* Runs with stderr going to a file; returns what was logged. */
static void capture(struct buf *out, void (*fn)(void))
{
    char path[] = "/tmp/holm-log-XXXXXX";
    auto_close int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    auto_close int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    dup2(fd, STDERR_FILENO);
    fn();
    dup2(saved, STDERR_FILENO);
    lseek(fd, 0, SEEK_SET);
    assert_int_equal(fd_slurp(fd, out, 1 << 20), 0);
}

static void some_lines(void)
{
    log_debug("x", "dropped");
    log_warn("vm", "vm=%s text=%s", "abc", "a\nFAKE error\x1b[0m");
}

static void test_line(void **state)
{
    auto_buf struct buf out = {0};
    unsetenv("JOURNAL_STREAM");
    capture(&out, some_lines);
    assert_null(strstr(buf_str(&out), "dropped"));
    assert_non_null(strstr(buf_str(&out), " warn vm: vm=abc text=a?FAKE error?[0m\n"));
    assert_ptr_equal(strchr(buf_str(&out), '\n'), out.data + out.len - 1);
}

static void test_journal(void **state)
{
    auto_buf struct buf out = {0};
    setenv("JOURNAL_STREAM", "1:2", 1);
    capture(&out, some_lines);
    unsetenv("JOURNAL_STREAM");
    assert_memory_equal(buf_str(&out), "<4>warn vm: ", 12);
}

static void long_line(void)
{
    char text[2 * LOG_LINE_MAX_BYTES];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    log_error("m", "%s", text);
}

static void test_long(void **state)
{
    auto_buf struct buf out = {0};
    capture(&out, long_line);
    assert_in_range(out.len, LOG_LINE_MAX_BYTES / 2, LOG_LINE_MAX_BYTES);
    assert_int_equal(out.data[out.len - 1], '\n');
}

static void test_limit(void **state)
{
    struct log_limit limit = {0};
    int passed = 0;
    for (int i = 0; i < 1000; i++)
        passed += log_limit_pass(&limit);
    assert_int_equal(passed, LOG_LIMIT_BURST);
}

static void test_levels(void **state)
{
    enum log_level l = LOG_INFO;
    assert_true(log_parse_level("error", &l));
    assert_int_equal(l, LOG_ERROR);
    assert_false(log_parse_level("loud", &l));
    assert_int_equal(log_get_level(), LOG_INFO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line),  cmocka_unit_test(test_journal), cmocka_unit_test(test_long),
        cmocka_unit_test(test_limit), cmocka_unit_test(test_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
