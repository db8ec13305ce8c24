/* SPDX-License-Identifier: Apache-2.0 */

/* Each wall of the jail, tried by a program inside; and the same program outside, where what the
 * wall forbids must work: else the attempt would prove nothing. Needs root; exits 77 without. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/test.h"
#include "engine/qemu/launch.h"

#define TEST_UID 1700001234u

extern char **environ;

static const char *helper_dir;

/* What the probe is to be shown. */
struct host {
    char other[300];    /* a file of another VM */
    char template[300]; /* a file it was given a read-only descriptor of */
    pid_t bystander;
    int port;
};

static void make_host(const char *dir, struct host *ret, int *ret_listen_fd)
{
    char other_dir[256];
    snprintf(other_dir, sizeof(other_dir), "%s/other", dir);
    assert_int_equal(mkdir(other_dir, 0700), 0);
    snprintf(ret->other, sizeof(ret->other), "%s/secret", other_dir);
    snprintf(ret->template, sizeof(ret->template), "%s/template", dir);
    assert_int_equal(file_write_atomic(ret->other, "secret", 6, 0600), 0);
    assert_int_equal(file_write_atomic(ret->template, "template", 8, 0444), 0);
    char name[] = "sleep", seconds[] = "600", *argv[] = {name, seconds, NULL};
    assert_int_equal(posix_spawn(&ret->bystander, "/bin/sleep", NULL, NULL, argv, environ), 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    *ret_listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(*ret_listen_fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(*ret_listen_fd, 8), 0);
    assert_int_equal(getsockname(*ret_listen_fd, (struct sockaddr *)&a, &len), 0);
    ret->port = ntohs(a.sin_port);
}

/* Runs the probe and returns what it printed. */
static void probe(const char *vm_dir, const struct host *h, bool jail, struct buf *ret)
{
    char program[PATH_MAX], log[PATH_MAX];
    struct err e = ERR_INIT;
    auto_launch struct launch l = {.helper_dir = helper_dir,
                                   .vm_dir = vm_dir,
                                   .jail = jail,
                                   .uid = TEST_UID,
                                   .file_bytes = 1 << 20};
    snprintf(program, sizeof(program), "%s/jail-probe", helper_dir);
    assert_int_equal(mkdir(vm_dir, 0700), 0);
    assert_int_equal(launch_give_file(&l, h->template, O_RDONLY, &e), LAUNCH_FIRST_FD);
    if (jail)
        argv_add(&l.binds, "%s", program);
    argv_add(&l.program, "%s", jail ? "/jail-probe" : program);
    argv_add(&l.program, "%s", h->other);
    argv_add(&l.program, "%s", h->template);
    argv_add(&l.program, "%d", h->bystander);
    argv_add(&l.program, "%d", h->port);
    struct proc_ref proc;
    if (launch_run(&l, &proc, &e) < 0)
        fail_msg("%s", e.text);
    int status = -1;
    auto_close int pidfd = proc_ref_open(&proc);
    assert_int_equal(proc_wait(pidfd, 60000, &status), 0);
    assert_int_equal(status, 0);
    snprintf(log, sizeof(log), "%s/monitor.log", vm_dir);
    assert_int_equal(file_read(log, ret, 65536), 0);
}

static void assert_line(const struct buf *text, const char *name, const char *value)
{
    char line[64];
    snprintf(line, sizeof(line), "%s %s\n", name, value);
    if (!strstr(buf_str(text), line))
        fail_msg("expected \"%s %s\" in:\n%s", name, value, buf_str(text));
}

static void test_walls(void **state)
{
    /* Refused inside; outside, as root, all of it works. */
    static const char *const walls[] = {
        "read-other", "read-passwd",   "write-template", "write-root", "see-root", "signal",
        "ptrace",     "connect",       "capability",     "setuid",     "setgid",   "mount",
        "mknod",      "new-namespace", "gain",           "host-name",
    };
    auto_test_dir char *dir = test_dir_make();
    char inside_dir[256], outside_dir[256];
    struct host h;
    auto_close int listen_fd = -1;
    auto_buf struct buf inside = {0};
    auto_buf struct buf outside = {0};
    make_host(dir, &h, &listen_fd);
    snprintf(inside_dir, sizeof(inside_dir), "%s/inside", dir);
    snprintf(outside_dir, sizeof(outside_dir), "%s/outside", dir);
    probe(inside_dir, &h, true, &inside);
    probe(outside_dir, &h, false, &outside);
    kill(h.bystander, SIGKILL);
    waitpid(h.bystander, NULL, 0);
    for (size_t i = 0; i < ARRAY_SIZE(walls); i++) {
        assert_line(&inside, walls[i], "no");
        assert_line(&outside, walls[i], "yes");
    }
    assert_line(&inside, "first-process", "yes");
    assert_line(&outside, "first-process", "no");
    assert_line(&inside, "groups", "no");
    /* A read-only descriptor stays one, in and out; reading from it is what it is for. */
    assert_line(&inside, "write-fd", "no");
    assert_line(&inside, "read-fd", "yes");
    assert_line(&outside, "write-fd", "no");
}

static void test_nothing_leaks_to_the_host(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char vm_dir[256];
    auto_launch struct launch l = {
        .helper_dir = helper_dir, .jail = true, .uid = TEST_UID, .file_bytes = 1 << 20};
    auto_buf struct buf before = {0};
    auto_buf struct buf during = {0};
    auto_buf struct buf status = {0};
    struct err e = ERR_INIT;
    struct proc_ref proc;
    snprintf(vm_dir, sizeof(vm_dir), "%s/vm", dir);
    l.vm_dir = vm_dir;
    assert_int_equal(mkdir(vm_dir, 0700), 0);
    assert_int_equal(file_read("/proc/self/mountinfo", &before, 4 << 20), 0);
    argv_add(&l.program, "/usr/bin/sleep");
    argv_add(&l.program, "600");
    if (launch_run(&l, &proc, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(file_read("/proc/self/mountinfo", &during, 4 << 20), 0);
    assert_string_equal(buf_str(&before), buf_str(&during));
    char path[64], expected[64];
    snprintf(path, sizeof(path), "/proc/%d/status", proc.pid);
    assert_int_equal(file_read(path, &status, 65536), 0);
    snprintf(expected, sizeof(expected), "Uid:\t%u\t%u\t%u\t%u\n", TEST_UID, TEST_UID, TEST_UID,
             TEST_UID);
    assert_non_null(strstr(buf_str(&status), expected));
    assert_non_null(strstr(buf_str(&status), "CapBnd:\t0000000000000000\n"));
    assert_non_null(strstr(buf_str(&status), "NoNewPrivs:\t1\n"));
    auto_close int pidfd = proc_ref_open(&proc);
    assert_int_equal(proc_kill_wait(pidfd, 60000), 0);
}

static void test_failed_steps_are_told(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    struct err e = ERR_INIT;
    struct proc_ref proc;
    auto_launch struct launch l = {.helper_dir = helper_dir,
                                   .vm_dir = dir,
                                   .jail = true,
                                   .uid = TEST_UID,
                                   .file_bytes = 1 << 20};
    argv_add(&l.program, "/no/such/program");
    assert_true(launch_run(&l, &proc, &e) < 0);
    assert_string_equal(e.text, "run /no/such/program: No such file or directory");
    argv_add(&l.cgroups, "/no/such/cgroup.procs");
    assert_true(launch_run(&l, &proc, &e) < 0);
    assert_string_equal(e.text, "join /no/such/cgroup.procs: No such file or directory");
    l.uid = 0; /* a jail for root is none */
    assert_true(launch_run(&l, &proc, &e) < 0);
    assert_string_equal(e.text, "understand the orders: Invalid argument");
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}

int main(void)
{
    helper_dir = getenv("HOLM_HELPER_DIR");
    if (geteuid() != 0 || !helper_dir) {
        printf("needs root and HOLM_HELPER_DIR\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walls),
        cmocka_unit_test(test_nothing_leaks_to_the_host),
        cmocka_unit_test(test_failed_steps_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
