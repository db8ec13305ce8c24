/* SPDX-License-Identifier: Apache-2.0 */
#include "base/proc.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/test.h"

static void test_run(void **state)
{
    auto_buf struct buf out = {0};
    struct err e = ERR_INIT;
    const char *ok[] = {"sh", "-c", "echo out; echo err >&2", NULL};
    assert_int_equal(proc_run(ok, 10000, &out, &e), 0);
    assert_string_equal(buf_str(&out), "out\nerr\n");
    const char *bad[] = {"sh", "-c", "echo first; echo the reason; exit 3", NULL};
    assert_int_equal(proc_run(bad, 10000, NULL, &e), -EIO);
    assert_non_null(strstr(e.text, "status 3: the reason"));
    const char *none[] = {"no-such-program-here", NULL};
    assert_int_equal(proc_run(none, 10000, NULL, &e), -ENOENT);
}

static void test_timeout(void **state)
{
    struct err e = ERR_INIT;
    const char *hang[] = {"sh", "-c", "sleep 1000 & wait", NULL};
    assert_int_equal(proc_run(hang, 50, NULL, &e), -ETIMEDOUT);
    assert_int_equal(e.class, ERR_TIMEOUT);
}

static void test_ref(void **state)
{
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    struct proc_ref ref;
    assert_int_equal(proc_ref_of(pid, &ref), 0);
    auto_close int fd = proc_ref_open(&ref);
    assert_true(fd >= 0);
    struct proc_ref none = {0}, other = ref;
    assert_int_equal(proc_ref_open(&none), -ESRCH);
    other.start_ticks++;
    assert_int_equal(proc_ref_open(&other), -ESRCH);
    assert_int_equal(proc_wait(fd, 0, NULL), -ETIMEDOUT);
    assert_int_equal(proc_kill_wait(fd, 10000), 0);
    assert_int_equal(proc_ref_open(&ref), -ESRCH);
    assert_int_equal(proc_kill_wait(fd, 10000), 0);
}

static void test_status(void **state)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(7);
    struct proc_ref ref;
    assert_int_equal(proc_ref_of(pid, &ref), 0);
    auto_close int fd = proc_ref_open(&ref);
    int status = 0;
    assert_int_equal(proc_wait(fd, 10000, &status), 0);
    assert_int_equal(status, 7);
}

static void test_nice(void **state)
{
    pid_t pid = fork();
    if (pid == 0) {
        proc_set_own_nice(7);
        raise(SIGSTOP);
        _exit(getpriority(PRIO_PROCESS, 0));
    }
    int status;
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)pid), 7);
    proc_set_nice(pid, 9);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)pid), 9);
    kill(pid, SIGCONT);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 9);
    proc_set_nice(pid, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run),    cmocka_unit_test(test_timeout), cmocka_unit_test(test_ref),
        cmocka_unit_test(test_status), cmocka_unit_test(test_nice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
