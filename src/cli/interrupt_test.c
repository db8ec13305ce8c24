/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/interrupt.h"

#include <poll.h>

#include "base/test.h"

static void test_wait_and_write(void **state)
{
    struct interrupt CLEANUP(interrupt_done) in;
    int p[2];
    char got[4];
    assert_int_equal(interrupt_init(&in), 0);
    assert_int_equal(pipe(p), 0);
    assert_int_equal(interrupt_wait(&in, p[0], POLLIN, 0), -ETIMEDOUT);
    assert_int_equal(interrupt_write(&in, p[1], "abc", 3), 0);
    assert_int_equal(interrupt_wait(&in, p[0], POLLIN, -1), 0);
    assert_int_equal(fd_read_all(p[0], got, 3), 0);
    close(p[0]);
    assert_int_equal(interrupt_write(&in, p[1], "abc", 3), -EPIPE);
    close(p[1]);
    assert_int_equal(interrupt_write(&in, p[1], "abc", 3), -EBADF);
}

static void test_signal_stays(void **state)
{
    struct interrupt CLEANUP(interrupt_done) in;
    assert_int_equal(interrupt_init(&in), 0);
    assert_int_equal(interrupt_signal(&in), 0);
    raise(SIGTERM);
    assert_int_equal(interrupt_wait(&in, -1, 0, -1), -ECANCELED);
    assert_int_equal(interrupt_signal(&in), SIGTERM);
    assert_int_equal(interrupt_write(&in, STDOUT_FILENO, "x", 1), -ECANCELED);
}

/* nohup: what was ignored stays so. */
static void test_ignored(void **state)
{
    signal(SIGHUP, SIG_IGN);
    struct interrupt CLEANUP(interrupt_done) in;
    assert_int_equal(interrupt_init(&in), 0);
    raise(SIGHUP);
    assert_int_equal(interrupt_signal(&in), 0);
    signal(SIGHUP, SIG_DFL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wait_and_write),
        cmocka_unit_test(test_signal_stays),
        cmocka_unit_test(test_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
