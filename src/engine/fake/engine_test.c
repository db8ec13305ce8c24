/* SPDX-License-Identifier: Apache-2.0 */

/* What engine.h asks for beyond the life of one VM: disks, captures of each kind, consoles, faults
 * at the places of the engine's operations. */

#include "base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "engine/fake/bounds.h"
#include "engine/fake/starter.h"
#include "engine/fake/test_engine.h"

static void boot_kept(struct fixture *f)
{
    struct err e = ERR_INIT;
    f->spec.rootfs = NULL;
    if (engine_boot(f->engine, &f->spec, &f->m, &e) < 0)
        fail_msg("%s", e.text);
    test_connect(f);
}

static void test_a_disk_survives_its_monitor(void **state)
{
    struct fixture *f = *state;
    test_boot_connected(f);
    test_run(f, "put /root/note on the disk\nset colour blue", "");
    test_kill(f);
    boot_kept(f);
    test_run(f, "file /root/note\nget colour", "on the disk\nnot set: colour\n");
    test_run(f, "put /root/note changed\nset colour red", "");
    assert_int_equal(0, engine_power_button(f->engine, &f->m, NULL));
    test_kill(f);
    boot_kept(f);
    test_run(f, "file /root/note\nget colour", "changed\nnot set: colour\n");
    test_kill(f);
    /* From the image it is a new one. */
    f->spec.rootfs = f->file;
    test_boot_connected(f);
    test_run(f, "file /root/note", "no file /root/note\n");
}

static void test_a_vm_without_a_disk_does_not_boot(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    f->engine = test_engine_new("");
    f->spec.rootfs = NULL;
    assert_true(engine_boot(f->engine, &f->spec, &f->m, &e) < 0);
    assert_int_equal(ERR_NOT_FOUND, e.class);
    assert_non_null(strstr(e.text, "there is no disk"));
    test_assert_no_sockets(f->vm_dir);
}

static void test_memory_and_disk_are_captured(void **state)
{
    static const enum capture_kind kinds[] = {CAPTURE_DURABLE, CAPTURE_TRANSIENT};
    struct fixture *f = *state;
    test_boot_connected(f);
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        test_run(f, "put /root/note on the disk\nset colour blue", "");
        test_capture(f, kinds[i]);
        test_run(f, "put /root/note later\nset colour red", "");
        test_kill(f);
        test_restore(f);
        test_run(f, "file /root/note\nget colour", "on the disk\nblue\n");
        assert_int_equal(0, dir_remove(f->template_dir));
    }
    /* The template is gone, the clone's disk is whole. */
    test_kill(f);
    boot_kept(f);
    test_run(f, "file /root/note", "on the disk\n");
}

static void test_suspend_leaves_it_paused(void **state)
{
    struct fixture *f = *state;
    struct capture_times times = {0};
    struct err e = ERR_INIT;
    f->engine = test_engine_new("capture=fail:1");
    test_boot_connected(f);
    test_run(f, "set colour blue", "");
    assert_true(engine_capture(f->engine, &f->m, f->template_dir, CAPTURE_SUSPEND, &times, &e) < 0);
    assert_int_equal(MONITOR_RUNNING, test_state(f));
    assert_int_equal(
        0, engine_capture(f->engine, &f->m, f->template_dir, CAPTURE_SUSPEND, &times, &e));
    assert_int_equal(MONITOR_PAUSED, test_state(f));
    test_kill(f);
    test_restore(f);
    test_run(f, "get colour", "blue\n");
}

static void test_a_paused_vm_stays_paused_over_a_capture(void **state)
{
    struct fixture *f = *state;
    test_boot(f, "");
    assert_int_equal(0, engine_pause(f->engine, &f->m, NULL));
    test_capture(f, CAPTURE_DURABLE);
    assert_int_equal(MONITOR_PAUSED, test_state(f));
    assert_int_equal(0, engine_kill(f->engine, &f->m, NULL));
    test_restore(f);
    assert_int_equal(MONITOR_RUNNING, test_state(f));
}

static int capture_once(struct fixture *f, struct err *e)
{
    int r = engine_capture(f->engine, &f->m, f->template_dir, CAPTURE_TRANSIENT, NULL, e);
    dir_remove(f->template_dir);
    return r;
}

static void test_layers_are_bounded_and_flattened(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    test_boot_connected(f);
    test_run(f, "disk", "1 1 1\n");
    assert_int_equal(0, capture_once(f, &e));
    assert_int_equal(0, engine_flatten(f->engine, &f->m, &e)); /* there are few */
    test_run(f, "disk", "1 1 2\n");
    for (int i = 2; i < ENGINE_LAYERS_MAX; i++)
        assert_int_equal(0, capture_once(f, &e));
    assert_true(capture_once(f, &e) < 0);
    assert_int_equal(ERR_CONFLICT, e.class);
    assert_non_null(strstr(e.text, "layers"));
    assert_int_equal(0, engine_flatten(f->engine, &f->m, &e));
    test_run(f, "disk", "1 1 1\n");
    assert_int_equal(0, capture_once(f, &e));
    test_kill(f);
    boot_kept(f);
    test_run(f, "disk", "1 1 2\n");
}

static void test_the_disk_grows(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    f->spec.disk_bytes = 1000;
    test_boot_connected(f);
    test_run(f, "disk", "1000 1 1\n");
    assert_true(engine_resize_disk(f->engine, &f->m, 999, &e) < 0);
    assert_int_equal(ERR_INVALID, e.class);
    assert_non_null(strstr(e.text, "1000 bytes"));
    assert_int_equal(0, engine_resize_disk(f->engine, &f->m, 5000, &e));
    test_run(f, "disk", "5000 1 1\n");
    test_kill(f);
    f->spec.disk_bytes = 0;
    boot_kept(f);
    test_run(f, "disk", "5000 1 1\n");
    test_kill(f);
    f->spec.disk_bytes = 6000;
    boot_kept(f);
    test_run(f, "disk", "6000 1 1\n");
}

static void test_a_disk_smaller_than_its_image_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    f->engine = test_engine_new("");
    assert_int_equal(0, file_write_atomic(f->file, "12345", 5, 0644));
    f->spec.disk_bytes = 4;
    assert_true(engine_boot(f->engine, &f->spec, &f->m, &e) < 0);
    assert_int_equal(ERR_INVALID, e.class);
}

static void expect_bytes(int fd, const char *text)
{
    char got[64] = "";
    for (size_t n = 0; n < strlen(text);) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        assert_int_equal(1, poll(&p, 1, 60000));
        ssize_t more = read(fd, got + n, strlen(text) - n);
        assert_true(more > 0);
        n += (size_t)more;
    }
    assert_string_equal(got, text);
}

static void test_the_console_works_both_ways(void **state)
{
    struct fixture *f = *state;
    test_boot_connected(f);
    test_run(f, "console nobody hears this", "");
    int first = engine_connect_console(f->engine, &f->m, NULL);
    assert_true(first >= 0);
    auto_close int second = engine_connect_console(f->engine, &f->m, NULL);
    assert_true(second >= 0);
    assert_int_equal(0, fd_write_all(first, "ls\r", 3));
    expect_bytes(first, "ls\r");
    test_run(f, "console login:", "");
    expect_bytes(first, "login:\n");
    close(first);
    assert_int_equal(0, fd_write_all(second, "x", 1));
    expect_bytes(second, "x");
    test_kill(f);
    struct err e = ERR_INIT;
    assert_true(engine_connect_console(f->engine, &f->m, &e) < 0);
    assert_int_equal(ERR_UNAVAILABLE, e.class);
}

static void stop_process(pid_t pid)
{
    char path[64], stat[256] = "";
    path_printf(path, sizeof(path), "/proc/%d/stat", pid);
    assert_int_equal(0, kill(pid, SIGSTOP));
    while (!strstr(stat, ") T ")) {
        auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = read(fd, stat, sizeof(stat) - 1);
        assert_true(n > 0);
        stat[n] = '\0';
    }
}

/* As when a daemon dies and the next one asks at once: the monitor sees both in one turn, and what
 * comes gets the number of what went. */
static void test_a_connection_may_take_the_number_of_another(void **state)
{
    struct fixture *f = *state;
    char path[160], answer[16];
    test_boot_connected(f);
    int console = engine_connect_console(f->engine, &f->m, NULL);
    assert_int_equal(0, fd_write_all(console, "x", 1));
    expect_bytes(console, "x");
    stop_process(f->m.proc.pid);
    close(console);
    path_printf(path, sizeof(path), "%s/" STARTER_CONTROL_SOCKET, f->vm_dir);
    auto_close int control = unix_connect(path);
    assert_true(control >= 0);
    assert_int_equal(0, fd_write_all(control, "state\n", 6));
    assert_int_equal(0, kill(f->m.proc.pid, SIGCONT));
    struct pollfd p = {.fd = control, .events = POLLIN};
    assert_int_equal(1, poll(&p, 1, 10000));
    assert_true(read(control, answer, sizeof(answer)) > 0);
    assert_memory_equal("ok", answer, 2);
}

static void test_the_tap_is_held_while_the_monitor_runs(void **state)
{
    struct fixture *f = *state;
    int ends[2];
    char byte;
    assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    f->spec.tap_fd = ends[1];
    test_boot(f, "");
    close(ends[1]);
    assert_int_equal(-1, recv(ends[0], &byte, 1, MSG_DONTWAIT));
    assert_int_equal(EAGAIN, errno);
    test_kill(f);
    assert_int_equal(0, recv(ends[0], &byte, 1, MSG_DONTWAIT));
    close(ends[0]);
}

static void test_stats_of_an_idle_guest_stand_still(void **state)
{
    struct fixture *f = *state;
    struct monitor_stats a = {0}, b = {0};
    test_boot_connected(f);
    test_run(f, "print x", "x\n");
    assert_int_equal(0, engine_stats(f->engine, &f->m, &a, NULL));
    assert_int_equal(0, a.cpu_us);
    test_run(f, "print x\nio 4096", "x\n");
    assert_int_equal(0, engine_stats(f->engine, &f->m, &b, NULL));
    /* The program's own file is written, too. */
    assert_int_equal(4096 + strlen("print x\nio 4096"), b.io_bytes - a.io_bytes);
}

/* --- templates that are not to be restored --- */

static void test_a_foreign_template_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    test_boot(f, "");
    test_capture(f, CAPTURE_DURABLE);
    setenv("HOLM_FAKE_FINGERPRINT", "fake/other", 1);
    struct engine *other = test_engine_new("");
    unsetenv("HOLM_FAKE_FINGERPRINT");
    assert_true(engine_restore(other, &f->spec, &f->m, &e) < 0);
    assert_int_equal(ERR_CONFLICT, e.class);
    assert_non_null(strstr(e.text, "made by \"fake/2\", this is \"fake/other\""));
    engine_free(other);
}

static void test_a_template_with_one_wrong_byte_is_refused(void **state)
{
    static const char *const parts[] = {"state", "disk"};
    struct fixture *f = *state;
    char path[256];
    test_boot(f, "");
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        struct err e = ERR_INIT;
        auto_buf struct buf data = {0};
        test_capture(f, CAPTURE_DURABLE);
        path_printf(path, sizeof(path), "%s/%s", f->template_dir, parts[i]);
        assert_int_equal(0, file_read(path, &data, MIB));
        data.data[data.len / 2] ^= 1;
        assert_int_equal(0, file_write_atomic(path, data.data, data.len, 0600));
        struct monitor m;
        assert_true(engine_restore(f->engine, &f->spec, &m, &e) < 0);
        assert_int_equal(ERR_CONFLICT, e.class);
        assert_non_null(strstr(e.text, "is not what it was"));
        assert_int_equal(0, dir_remove(f->template_dir));
    }
}

/* --- faults --- */

static void test_operations_fail_on_order(void **state)
{
    struct fixture *f = *state;
    test_boot(f, "pause=fail:1,resume=fail:1,flatten=fail:1,resize=fail:1,stats=fail:1,"
                 "console=fail:1,power=fail:1,capture.pause=fail:1");
    struct monitor_stats stats;
    for (int i = 0; i < 2; i++) {
        struct err e[8] = {0};
        const char *const names[] = {"pause=fail",         "resume=fail", "flatten=fail",
                                     "resize=fail",        "stats=fail",  "console=fail",
                                     "capture.pause=fail", "power=fail"};
        const int r[] = {
            engine_pause(f->engine, &f->m, &e[0]),
            engine_resume(f->engine, &f->m, &e[1]),
            engine_flatten(f->engine, &f->m, &e[2]),
            engine_resize_disk(f->engine, &f->m, 100, &e[3]),
            engine_stats(f->engine, &f->m, &stats, &e[4]),
            engine_connect_console(f->engine, &f->m, &e[5]),
            engine_capture(f->engine, &f->m, f->template_dir, CAPTURE_DURABLE, NULL, &e[6]),
            engine_power_button(f->engine, &f->m, &e[7]),
        };
        if (i == 0)
            assert_int_equal(MONITOR_RUNNING, test_state(f));
        for (size_t n = 0; n < ARRAY_SIZE(r); n++) {
            assert_int_equal(i == 0, r[n] < 0);
            assert_int_equal(i == 0 ? ERR_INTERNAL : ERR_NONE, e[n].class);
            assert_true(i == 1 || strstr(e[n].text, names[n]));
        }
        if (r[5] >= 0)
            close(r[5]);
    }
}

/* Does the operation in a process of its own, as a daemon would; returns how that one ended. */
static int in_child(struct fixture *f, const char *faults, void (*operation)(struct fixture *f))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        f->engine = test_engine_new(faults);
        operation(f);
        _exit(0);
    }
    assert_int_equal(pid, waitpid(pid, &status, 0));
    return status;
}

static void child_boot(struct fixture *f)
{
    engine_boot(f->engine, &f->spec, &f->m, NULL);
}

static void child_restore(struct fixture *f)
{
    engine_restore(f->engine, &f->spec, &f->m, NULL);
}

static void child_pause(struct fixture *f)
{
    engine_pause(f->engine, &f->m, NULL);
}

static void child_capture(struct fixture *f)
{
    engine_capture(f->engine, &f->m, f->template_dir, CAPTURE_SUSPEND, NULL, NULL);
}

static void child_kill(struct fixture *f)
{
    engine_kill(f->engine, &f->m, NULL);
}

static bool dies(struct fixture *f, const char *faults, void (*operation)(struct fixture *f))
{
    int status = in_child(f, faults, operation);
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGKILL;
    assert_int_equal(0, WEXITSTATUS(status));
    return false;
}

/* Whether a monitor of the VM runs that nobody wrote down. */
static bool somebody_runs(struct fixture *f)
{
    char path[256];
    path_printf(path, sizeof(path), "%s/monitor.sock", f->vm_dir);
    auto_close int fd = unix_connect(path);
    return fd >= 0;
}

static void kill_unknown(struct fixture *f)
{
    struct monitor unknown = f->m;
    strcpy(unknown.id, f->spec.id);
    strcpy(unknown.vm_dir, f->vm_dir);
    unknown.proc = (struct proc_ref){0};
    assert_int_equal(0, engine_kill(f->engine, &unknown, NULL));
    test_assert_no_sockets(f->vm_dir);
}

static void test_the_daemon_dies_at_each_place_of_a_start(void **state)
{
    struct fixture *f = *state;
    test_boot(f, "");
    test_capture(f, CAPTURE_DURABLE);
    test_kill(f);
    assert_true(dies(f, "die=boot.begin", child_boot) && !somebody_runs(f));
    assert_true(dies(f, "die=boot.mid", child_boot) && somebody_runs(f));
    kill_unknown(f);
    assert_true(dies(f, "die=boot.end:1", child_boot) && somebody_runs(f));
    kill_unknown(f);
    assert_true(dies(f, "die=restore.begin", child_restore) && !somebody_runs(f));
    assert_true(dies(f, "die=restore.mid", child_restore) && somebody_runs(f));
    kill_unknown(f);
    assert_true(dies(f, "die=restore.end", child_restore) && somebody_runs(f));
    kill_unknown(f);
    assert_false(dies(f, "die=restore.end:2", child_restore));
    kill_unknown(f);
}

static void test_the_daemon_dies_in_the_middle_of_a_capture(void **state)
{
    struct fixture *f = *state;
    test_boot(f, "");
    assert_true(dies(f, "die=capture.begin", child_capture));
    assert_int_equal(MONITOR_RUNNING, test_state(f));
    assert_true(dies(f, "die=capture.mid", child_capture));
    assert_int_equal(MONITOR_PAUSED, test_state(f));
    assert_int_equal(-1, access(f->template_dir, F_OK));
    char part[256];
    path_printf(part, sizeof(part), "%s.new", f->template_dir);
    assert_int_equal(0, dir_remove(part));
    assert_int_equal(0, engine_resume(f->engine, &f->m, NULL));
    assert_true(dies(f, "die=capture.end", child_capture));
    test_kill(f);
    test_restore(f);
}

static void test_the_daemon_dies_in_other_operations(void **state)
{
    struct fixture *f = *state;
    test_boot(f, "");
    assert_true(dies(f, "die=pause.begin", child_pause));
    assert_int_equal(MONITOR_RUNNING, test_state(f));
    assert_true(dies(f, "die=pause.end", child_pause));
    assert_int_equal(MONITOR_PAUSED, test_state(f));
    assert_true(dies(f, "die=kill.begin", child_kill));
    assert_int_equal(MONITOR_PAUSED, test_state(f));
    assert_true(dies(f, "die=kill.mid", child_kill));
    assert_int_equal(MONITOR_GONE, test_state(f));
    kill_unknown(f);
}

/* The other end of the FIFO is opened when the operation has come there, and not before. */
static void test_an_operation_waits_at_a_place(void **state)
{
    struct fixture *f = *state;
    char fifo[128], faults[256];
    int status;
    path_printf(fifo, sizeof(fifo), "%s/fifo", f->dir);
    path_printf(faults, sizeof(faults), "wait=pause.end:%s", fifo);
    assert_int_equal(0, mkfifo(fifo, 0600));
    test_boot(f, "");
    pid_t pid = fork();
    if (pid == 0) {
        f->engine = test_engine_new(faults);
        child_pause(f);
        _exit(0);
    }
    int fd = open(fifo, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(MONITOR_PAUSED, test_state(f));
    assert_int_equal(0, waitpid(pid, &status, WNOHANG));
    close(fd);
    assert_int_equal(pid, waitpid(pid, &status, 0));
    assert_int_equal(0, status);
}

static void test_a_slow_agent_answers_in_the_end(void **state)
{
    struct fixture *f = *state;
    char path[128], byte;
    path_printf(path, sizeof(path), "%s/now", f->dir);
    setenv("HOLM_FAKE_SLOW", path, 1);
    test_boot(f, "boot.agent=slow");
    unsetenv("HOLM_FAKE_SLOW");
    auto_close int fd = engine_connect_agent(f->engine, &f->m, NULL);
    assert_int_equal(0, fd_write_all(fd, "HOLM/1 0123456789abcdef0123456789abcdef\n", 40));
    assert_int_equal(MONITOR_RUNNING, test_state(f));
    assert_int_equal(MONITOR_RUNNING, test_state(f));
    assert_int_equal(-1, recv(fd, &byte, 1, MSG_DONTWAIT));
    assert_int_equal(0, file_write_atomic(path, "", 0, 0600));
    /* Said again until it is answered, as a real client does. */
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n = 0;
    for (int i = 0; n == 0 && i < 600; i++) {
        assert_int_equal(0, fd_write_all(fd, "HOLM/1 0123456789abcdef0123456789abcdef\n", 40));
        n = poll(&p, 1, 100);
    }
    assert_int_equal(1, n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_ENGINE(test_a_disk_survives_its_monitor),
        TEST_ENGINE(test_a_vm_without_a_disk_does_not_boot),
        TEST_ENGINE(test_memory_and_disk_are_captured),
        TEST_ENGINE(test_suspend_leaves_it_paused),
        TEST_ENGINE(test_a_paused_vm_stays_paused_over_a_capture),
        TEST_ENGINE(test_layers_are_bounded_and_flattened),
        TEST_ENGINE(test_the_disk_grows),
        TEST_ENGINE(test_a_disk_smaller_than_its_image_is_refused),
        TEST_ENGINE(test_the_console_works_both_ways),
        TEST_ENGINE(test_a_connection_may_take_the_number_of_another),
        TEST_ENGINE(test_the_tap_is_held_while_the_monitor_runs),
        TEST_ENGINE(test_stats_of_an_idle_guest_stand_still),
        TEST_ENGINE(test_a_foreign_template_is_refused),
        TEST_ENGINE(test_a_template_with_one_wrong_byte_is_refused),
        TEST_ENGINE(test_operations_fail_on_order),
        TEST_ENGINE(test_the_daemon_dies_at_each_place_of_a_start),
        TEST_ENGINE(test_the_daemon_dies_in_the_middle_of_a_capture),
        TEST_ENGINE(test_the_daemon_dies_in_other_operations),
        TEST_ENGINE(test_an_operation_waits_at_a_place),
        TEST_ENGINE(test_a_slow_agent_answers_in_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
