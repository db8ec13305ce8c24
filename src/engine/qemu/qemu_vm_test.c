/* SPDX-License-Identifier: Apache-2.0 */

/* The real engine with real guests: boot, capture, restore over two generations, pause, damage,
 * adoption, and that nothing is left. Needs root, QEMU, a kernel; exits 77 (skipped) without. */

#include "engine/qemu/test_rig.h"

#include "base/log.h"
#include "engine/qemu/layers.h"
#include "engine/qemu/manifest.h"

/* A sum over all bytes of a template's files. */
static uint64_t sum_of(const char *dir)
{
    static const char *const names[] = {"memory",        "delta",         "extents",
                                        "state",         "template.json", "layer-0.raw",
                                        "layer-1.qcow2", "layer-2.qcow2"};
    uint64_t sum = 14695981039346656037u;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char path[512];
        auto_buf struct buf b = {0};
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        if (access(path, F_OK) == 0)
            assert_int_equal(file_read(path, &b, 512u << 20), 0);
        for (size_t k = 0; k < b.len; k++)
            sum = (sum ^ (unsigned char)b.data[k]) * 1099511628211u;
    }
    return sum;
}

static void test_generations(void **state)
{
    uint64_t sum = sum_of(t.first);
    int64_t start_us = clock_mono_us();
    struct monitor a = rig_restore(t.first);
    int64_t started_us = clock_mono_us();
    auto_close int a_fd = rig_connect(&a);
    auto_buf struct buf out = {0};
    test_guest_run(a_fd, "echo", &out);
    printf("restore call %lld us, to first exec %lld us\n", (long long)(started_us - start_us),
           (long long)(clock_mono_us() - start_us));
    struct monitor b = rig_restore(t.first);
    auto_close int b_fd = rig_connect(&b);
    rig_assert_remembers(a_fd, "first");
    rig_remember(a_fd, "child");
    rig_assert_remembers(b_fd, "first");
    rig_assert_remembers(t.parent_fd, "first");

    char second[256];
    rig_capture(&a, "second", CAPTURE_DURABLE, second);
    rig_assert_remembers(a_fd, "child");
    uint64_t second_sum = sum_of(second);
    rig_remember(a_fd, "later");
    struct monitor c = rig_restore(second);
    auto_close int c_fd = rig_connect(&c);
    rig_assert_remembers(c_fd, "child");
    rig_remember(c_fd, "grandchild");
    rig_assert_remembers(b_fd, "first");
    rig_assert_remembers(a_fd, "later");

    /* A template stands on its own: the first may go, with the VM that made the second. */
    rig_kill(&a);
    rig_kill(&b);
    assert_int_equal(sum_of(t.first), sum);
    assert_int_equal(sum_of(second), second_sum);
    struct monitor d = rig_restore(second);
    auto_close int d_fd = rig_connect(&d);
    rig_assert_remembers(d_fd, "child");
    rig_assert_remembers(c_fd, "grandchild");
    rig_kill(&c);
    rig_kill(&d);
}

static void test_capture_again_and_again(void **state)
{
    struct monitor m = rig_restore(t.first);
    auto_close int fd = rig_connect(&m);
    char name[32], word[32], dir[256] = "";
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "again-%d", i);
        snprintf(word, sizeof(word), "word%d", i);
        rig_remember(fd, word);
        rig_capture(&m, name, CAPTURE_DURABLE, dir);
        rig_assert_remembers(fd, word);
    }
    struct monitor child = rig_restore(dir);
    auto_close int child_fd = rig_connect(&child);
    rig_assert_remembers(child_fd, "word2");
    struct err e = ERR_INIT;
    assert_true(engine_capture(t.en, &m, dir, CAPTURE_DURABLE, NULL, &e) < 0);
    assert_int_equal(e.class, ERR_CONFLICT);
    rig_kill(&m);
    rig_kill(&child);
}

static void test_pause_resume(void **state)
{
    struct monitor m = rig_restore(t.first);
    auto_close int fd = rig_connect(&m);
    rig_assert_remembers(fd, "first");
    assert_int_equal(rig_state(&m), MONITOR_RUNNING);
    OK(engine_pause(t.en, &m, &e));
    OK(engine_pause(t.en, &m, &e));
    assert_int_equal(rig_state(&m), MONITOR_PAUSED);
    char dir[256];
    rig_capture(&m, "paused", CAPTURE_DURABLE, dir);
    assert_int_equal(rig_state(&m), MONITOR_PAUSED);
    OK(engine_resume(t.en, &m, &e));
    OK(engine_resume(t.en, &m, &e));
    assert_int_equal(rig_state(&m), MONITOR_RUNNING);
    rig_assert_remembers(fd, "first");
    /* What was captured from a paused VM runs when restored. */
    struct monitor child = rig_restore(dir);
    auto_close int child_fd = rig_connect(&child);
    rig_assert_remembers(child_fd, "first");
    struct monitor_stats stats;
    OK(engine_stats(t.en, &m, &stats, &e));
    printf("pss %llu KiB, private %llu KiB, disk %llu KiB\n",
           (unsigned long long)stats.pss_bytes >> 10, (unsigned long long)stats.private_bytes >> 10,
           (unsigned long long)stats.disk_bytes >> 10);
    assert_true(stats.cpu_us > 0 && stats.pss_bytes > 0 && stats.private_bytes > 0);
    rig_kill(&m);
    rig_kill(&child);
}

/* A monitor that is not our child, as after a restart of the daemon. */
static void test_adoption(void **state)
{
    int pipe_fds[2];
    struct monitor m;
    char id[ID_SIZE], dir[256];
    struct vm_spec spec = rig_spec(id, dir);
    spec.template_dir = t.first;
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int r = engine_restore(t.en, &spec, &m, NULL);
        _exit(r < 0 || write(pipe_fds[1], &m, sizeof(m)) != sizeof(m));
    }
    close(pipe_fds[1]);
    assert_int_equal(fd_read_all(pipe_fds[0], &m, sizeof(m)), 0);
    close(pipe_fds[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    t.all[t.n++] = m;
    assert_int_equal(rig_state(&m), MONITOR_RUNNING);
    auto_close int fd = rig_connect(&m);
    rig_assert_remembers(fd, "first");
    char again[256];
    rig_capture(&m, "adopted", CAPTURE_DURABLE, again);
    rig_assert_remembers(fd, "first");
    rig_kill(&m);
}

/* Links a template's files into a new directory and breaks one of them. */
static void copy_template(const char *name, char ret[256])
{
    char from[512], to[512];
    snprintf(ret, 256, "%s/%s", t.dir, name);
    assert_int_equal(mkdir(ret, 0700), 0);
    const struct layers chain = {.n = 2, .number = {0, 1}};
    OK(layers_link(t.first, ret, &chain, &e));
    static const char *const names[] = {"memory", "state", "template.json"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        snprintf(from, sizeof(from), "%s/%s", t.first, names[i]);
        snprintf(to, sizeof(to), "%s/%s", ret, names[i]);
        assert_int_equal(file_copy(from, to, 0600), 0);
    }
}

/* A manifest for what is there. */
static void store_manifest(const char *dir, const char *fingerprint)
{
    char path[512];
    struct manifest m = {.shape = {.vcpus = 1, .memory_mib = 128},
                         .chain = {.n = 2, .number = {0, 1}}};
    snprintf(m.fingerprint, sizeof(m.fingerprint), "%s", fingerprint);
    snprintf(path, sizeof(path), "%s/template.json", dir);
    assert_int_equal(unlink(path), 0);
    OK(manifest_store(dir, NULL, &m, &e));
}

static void assert_refused(const char *dir, int class, const char *why)
{
    char id[ID_SIZE], vm_dir[256];
    struct vm_spec spec = rig_spec(id, vm_dir);
    spec.template_dir = dir;
    struct monitor m;
    struct err e = ERR_INIT;
    assert_true(engine_restore(t.en, &spec, &m, &e) < 0);
    assert_int_equal(e.class, class);
    assert_non_null(strstr(e.text, why));
}

static void test_damaged_templates(void **state)
{
    char dir[256], path[512];
    copy_template("short-state", dir);
    snprintf(path, sizeof(path), "%s/state", dir);
    assert_int_equal(truncate(path, 1000), 0);
    assert_refused(dir, ERR_CONFLICT, "device state is not as long");

    copy_template("bad-state", dir);
    snprintf(path, sizeof(path), "%s/state", dir);
    auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "oops", 4, 5000), 4);
    assert_refused(dir, ERR_CONFLICT, "device state is not what it was");

    copy_template("short-memory", dir);
    snprintf(path, sizeof(path), "%s/memory", dir);
    assert_int_equal(truncate(path, 4096), 0);
    assert_refused(dir, ERR_CONFLICT, "memory is not as long");

    copy_template("no-layer", dir);
    snprintf(path, sizeof(path), "%s/layer-1.qcow2", dir);
    assert_int_equal(unlink(path), 0);
    assert_refused(dir, ERR_CONFLICT, "layer-1.qcow2");

    copy_template("foreign", dir);
    store_manifest(dir, "another");
    assert_refused(dir, ERR_CONFLICT, "made by \"another\"");

    snprintf(path, sizeof(path), "%s/template.json", dir);
    assert_int_equal(unlink(path), 0);
    assert_refused(dir, ERR_NOT_FOUND, "no template");
}

/* A device state that is what its manifest says but not what QEMU can load: the monitor dies, and
 * the next call tells its last words. */
static void test_monitor_that_dies(void **state)
{
    char dir[256], path[512];
    copy_template("unloadable", dir);
    snprintf(path, sizeof(path), "%s/state", dir);
    auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "????????????????", 16, 0), 16);
    char fingerprint[MANIFEST_FINGERPRINT_SIZE];
    OK(engine_fingerprint(t.en, fingerprint, sizeof(fingerprint), &e));
    store_manifest(dir, fingerprint);
    struct monitor vm = rig_restore(dir);
    auto_close int pidfd = proc_ref_open(&vm.proc);
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    if (pidfd >= 0)
        assert_int_equal(poll(&p, 1, 60000), 1);
    struct err e = ERR_INIT;
    assert_true(engine_pause(t.en, &vm, &e) < 0);
    assert_int_equal(e.class, ERR_UNAVAILABLE);
    assert_non_null(strstr(e.text, "the monitor has ended: qemu"));
    rig_kill(&vm);
}

/* Capturing into a place that cannot be made fails and changes nothing. */
static void test_failed_capture(void **state)
{
    struct monitor m = rig_restore(t.first);
    auto_close int fd = rig_connect(&m);
    char dir[256];
    snprintf(dir, sizeof(dir), "%s/nowhere/at-all", t.dir);
    struct err e = ERR_INIT;
    assert_true(engine_capture(t.en, &m, dir, CAPTURE_DURABLE, NULL, &e) < 0);
    assert_int_equal(rig_state(&m), MONITOR_RUNNING);
    rig_remember(fd, "unharmed");
    rig_assert_remembers(fd, "unharmed");
    struct layers chain;
    assert_int_equal(layers_find(m.vm_dir, &chain, &e), 0);
    assert_int_equal(layers_top(&chain), 2);
    rig_capture(&m, "after-failure", CAPTURE_DURABLE, dir);
    struct monitor child = rig_restore(dir);
    auto_close int child_fd = rig_connect(&child);
    rig_assert_remembers(child_fd, "unharmed");
    rig_kill(&m);
    rig_kill(&child);
}

static void test_power_button(void **state)
{
    struct monitor m = rig_restore(t.first);
    OK(engine_power_button(t.en, &m, &e));
    assert_int_equal(rig_state(&m), MONITOR_RUNNING); /* this guest does not listen to it */
    rig_kill(&m);
}

/* The daemon died before it wrote the process down, and that process has been ended by uid. */
static void test_kill_without_a_process(void **state)
{
    struct monitor m = rig_restore(t.first);
    struct monitor unknown = m;
    unknown.proc = (struct proc_ref){0};
    auto_close int pidfd = proc_ref_open(&m.proc);
    assert_int_equal(proc_kill_wait(pidfd, 60000), 0);
    OK(engine_kill(t.en, &unknown, &e));
    assert_int_equal(rig_state(&m), MONITOR_GONE);
    OK(engine_kill(t.en, &unknown, &e));
    rig_kill(&m);
}

static void test_facts(void **state)
{
    struct engine_fact facts[32];
    int n = engine_facts(t.en, facts, 32);
    bool jail = false;
    for (int i = 0; i < n; i++) {
        static const char *const words[] = {"yes", "no", "degraded"};
        printf("%s: %s. %s\n", facts[i].name, words[facts[i].state], facts[i].detail);
        assert_true(facts[i].detail[0] != '\0');
        jail |= strcmp(facts[i].name, "jail") == 0 && facts[i].state == FACT_YES;
    }
    assert_true(jail);
    assert_int_equal(engine_facts(t.en, facts, 1), 1);
}

/* Last: nothing of all those VMs is left on the host. */
static void test_nothing_left(void **state)
{
    close(t.parent_fd);
    t.parent_fd = -1;
    rig_kill(&t.parent);
    auto_buf struct buf mounts = {0};
    assert_int_equal(file_read("/proc/self/mountinfo", &mounts, 16 << 20), 0);
    assert_null(strstr(buf_str(&mounts), t.dir));
    assert_null(strstr(buf_str(&mounts), "holm-jail"));
    static const char *const groups[] = {"memory", "cpu", "pids", "unified", "."};
    for (int i = 0; i < t.n; i++) {
        char path[256];
        for (size_t k = 0; k < ARRAY_SIZE(groups); k++) {
            snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/holm-%s", groups[k], t.all[i].id);
            assert_int_not_equal(access(path, F_OK), 0);
        }
        /* An adopted one is reaped by init, whenever it gets to it. */
        auto_close int pidfd = proc_ref_open(&t.all[i].proc);
        if (pidfd != -ESRCH && proc_wait(pidfd, 0, NULL) != 0)
            fail_msg("vm %d of %d, process %d is still there", i, t.n, t.all[i].proc.pid);
    }
}

int main(void)
{
    if (geteuid() != 0) {
        printf("needs root\n");
        return 77;
    }
    auto_test_dir char *dir = test_dir_make();
    t.dir = dir;
    if (!test_guest_make(dir, &t.guest))
        return 77;
    if (getenv("HOLM_TEST_DEBUG"))
        log_set_level(LOG_DEBUG);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generations),
        cmocka_unit_test(test_capture_again_and_again),
        cmocka_unit_test(test_pause_resume),
        cmocka_unit_test(test_adoption),
        cmocka_unit_test(test_damaged_templates),
        cmocka_unit_test(test_monitor_that_dies),
        cmocka_unit_test(test_failed_capture),
        cmocka_unit_test(test_descendants),
        cmocka_unit_test(test_suspend),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_flatten),
        cmocka_unit_test(test_never_flattened),
        cmocka_unit_test(test_killed_flatten),
        cmocka_unit_test(test_lost_monitor),
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_console),
        cmocka_unit_test(test_network),
        cmocka_unit_test(test_power_button),
        cmocka_unit_test(test_kill_without_a_process),
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_nothing_left),
    };
    if (getenv("HOLM_TEST_FILTER"))
        cmocka_set_test_filter(getenv("HOLM_TEST_FILTER"));
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
