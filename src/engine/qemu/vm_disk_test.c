/* SPDX-License-Identifier: Apache-2.0 */

/* The disks of real guests: many layers, growing, starting again. Part of qemu_vm_test. */

#include "engine/qemu/test_rig.h"

#include <sys/stat.h>

#include "engine/qemu/layers.h"

/* One of the rig's, whose disk counts: flushes reach the host's. */
static struct monitor restore_kept(const char *template_dir)
{
    char id[ID_SIZE], dir[256];
    struct monitor m;
    struct vm_spec spec = rig_spec(id, dir);
    spec.template_dir = template_dir;
    spec.ephemeral = false;
    OK(engine_restore(t.en, &spec, &m, &e));
    t.all[t.n++] = m;
    return m;
}

static int layers_of(const char *dir)
{
    struct layers chain;
    OK(layers_find(dir, &chain, &e));
    return chain.n - 1;
}

static void write_block(int fd, int at, int n)
{
    char command[256];
    auto_buf struct buf out = {0};
    snprintf(command, sizeof(command),
             "yes %d | dd of=/dev/vda bs=4k seek=%d count=%d iflag=fullblock 2>/dev/null; sync", at,
             300 + at, n);
    test_guest_run(fd, command, &out);
}

static void disk_sum(int fd, char ret[64])
{
    auto_buf struct buf out = {0};
    snprintf(ret, 64, "%s",
             test_guest_run(fd,
                            "echo 3 >/proc/sys/vm/drop_caches; "
                            "dd if=/dev/vda bs=1M count=16 2>/dev/null | md5sum",
                            &out));
}

/* Many captures of one VM, and of clones of clones: the chains stay short, the disks right. */
void test_flatten(void **state)
{
    char dir[256], name[32], before[64], after[64];
    struct monitor m = restore_kept(t.first);
    auto_close int fd = rig_connect(&m);
    int most = 0;
    for (int i = 0; i < 50; i++) {
        write_block(fd, i, 20);
        snprintf(name, sizeof(name), "many-%d", i);
        rig_capture(&m, name, CAPTURE_TRANSIENT, dir);
        if (i % 10 == 9) {
            OK(engine_flatten(t.en, &m, &e));
            assert_true(layers_of(m.vm_dir) <= ENGINE_LAYERS_FLATTEN);
        }
        most = layers_of(dir) > most ? layers_of(dir) : most;
    }
    assert_true(most > ENGINE_LAYERS_FLATTEN / 2);
    OK(engine_flatten(t.en, &m, &e)); /* few layers: nothing to do */
    disk_sum(fd, before);
    struct monitor last = rig_restore(dir);
    auto_close int last_fd = rig_connect(&last);
    disk_sum(last_fd, after);
    assert_string_equal(before, after);
    rig_assert_remembers(last_fd, "first");
    snprintf(name, sizeof(name), "%s/many-7", t.dir); /* templates keep their layers */
    struct monitor early = rig_restore(name);
    auto_close int early_fd = rig_connect(&early);
    rig_assert_says(early_fd, "dd if=/dev/vda bs=4k skip=307 count=1 2>/dev/null | head -n1",
                    "7\n");
    rig_assert_remembers(early_fd, "first");
    rig_kill(&early);
    rig_kill(&last);
    rig_kill(&m);
}

/* Nobody flattens: the capture does it itself before there is no more room. */
void test_never_flattened(void **state)
{
    char dir[256], name[32];
    struct monitor m = rig_restore(t.first);
    auto_close int fd = rig_connect(&m);
    rig_remember(fd, "never");
    for (int i = 0; i < ENGINE_LAYERS_MAX + 6; i++) {
        snprintf(name, sizeof(name), "never-%d", i);
        rig_capture(&m, name, CAPTURE_TRANSIENT, dir);
        assert_true(layers_of(m.vm_dir) <= ENGINE_LAYERS_MAX);
    }
    rig_assert_remembers(fd, "never");
    struct monitor child = rig_restore(dir);
    auto_close int child_fd = rig_connect(&child);
    rig_assert_remembers(child_fd, "never");
    rig_kill(&child);
    rig_kill(&m);
}

/* Adds layers that hold something, so that merging them takes a while. */
static void pile_up(const struct monitor *m, int fd, const char *prefix)
{
    char name[32], dir[256];
    for (int i = 0; layers_of(m->vm_dir) <= ENGINE_LAYERS_FLATTEN; i++) {
        write_block(fd, i * 200, 300);
        snprintf(name, sizeof(name), "%s-%d", prefix, i);
        rig_capture(m, name, CAPTURE_TRANSIENT, dir);
        OK(dir_remove(dir));
    }
}

/* A daemon that is killed during a flattening, at one moment or another: the next one's captures
 * and flattenings work, and the disk is what it was. */
void test_killed_flatten(void **state)
{
    char dir[256], name[32], before[64], after[64];
    struct monitor m = restore_kept(t.first);
    auto_close int fd = rig_connect(&m);
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof(name), "killed-%d", i);
        pile_up(&m, fd, name);
        disk_sum(fd, before);
        pid_t pid = fork();
        if (pid == 0)
            _exit(engine_flatten(t.en, &m, NULL) < 0);
        poll(NULL, 0, i * i * 4);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        if (i % 2)
            OK(engine_flatten(t.en, &m, &e));
        rig_capture(&m, name, CAPTURE_TRANSIENT, dir);
        struct monitor child = rig_restore(dir);
        auto_close int child_fd = rig_connect(&child);
        disk_sum(child_fd, after);
        assert_string_equal(before, after);
        rig_kill(&child);
    }
    disk_sum(fd, after);
    assert_string_equal(before, after);
    rig_kill(&m);
}

static struct monitor boot_again(const struct monitor *old, uint64_t disk_bytes)
{
    const struct vm_spec spec = {.id = old->id,
                                 .vm_dir = old->vm_dir,
                                 .shape = old->shape,
                                 .kernel = t.guest.kernel,
                                 .initrd = t.guest.initrd,
                                 .disk_bytes = disk_bytes,
                                 .uid = old->uid};
    return rig_boot(&spec);
}

/* A monitor that is killed during a flattening: the disk in its directory is what it was, and a
 * guest that is booted from it finds what it wrote. */
void test_lost_monitor(void **state)
{
    char before[64], after[64];
    struct monitor m = restore_kept(t.first);
    int fd = rig_connect(&m);
    pile_up(&m, fd, "lost");
    disk_sum(fd, before);
    close(fd);
    pid_t pid = fork();
    if (pid == 0)
        _exit(engine_flatten(t.en, &m, NULL) < 0);
    poll(NULL, 0, 30);
    assert_int_equal(kill(m.proc.pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    OK(engine_kill(t.en, &m, &e));
    struct monitor again = boot_again(&m, 0);
    fd = rig_connect(&again);
    disk_sum(fd, after);
    close(fd);
    assert_string_equal(before, after);
    rig_kill(&again);
}

#define SECTORS "cat /sys/block/vda/size"

void test_resize(void **state)
{
    char dir[256];
    struct err no = ERR_INIT;
    struct monitor m = restore_kept(t.first);
    int fd = rig_connect(&m);
    rig_remember(fd, "grown");
    rig_assert_says(fd, SECTORS, "131072\n");
    assert_true(engine_resize_disk(t.en, &m, TEST_GUEST_DISK_BYTES / 2, &no) < 0);
    assert_int_equal(no.class, ERR_INVALID);
    assert_true(engine_resize_disk(t.en, &m, TEST_GUEST_DISK_BYTES + 1, &no) < 0);
    assert_int_equal(no.class, ERR_INVALID);
    OK(engine_resize_disk(t.en, &m, TEST_GUEST_DISK_BYTES, &e));
    OK(engine_resize_disk(t.en, &m, 60ull << 30, &e));
    rig_assert_says(fd, "while [ $(" SECTORS ") = 131072 ]; do usleep 10000; done; " SECTORS,
                    "125829120\n");
    rig_assert_says(fd,
                    "echo far | dd of=/dev/vda bs=512 seek=125829119 conv=sync 2>/dev/null; sync; "
                    "dd if=/dev/vda bs=512 skip=125829119 2>/dev/null | head -n1",
                    "far\n");
    rig_assert_remembers(fd, "grown");
    /* Beyond what its monitor was started for it takes a capability, which this host may lack. */
    if (engine_resize_disk(t.en, &m, 66ull << 30, &no) < 0)
        assert_int_equal(no.class, ERR_CONFLICT);
    else
        OK(engine_resize_disk(t.en, &m, 67ull << 30, &e));
    /* A clone, and a boot from the disk, have the new size; the latter may ask for more. */
    rig_capture(&m, "grown", CAPTURE_DURABLE, dir);
    close(fd);
    struct monitor child = rig_restore(dir);
    fd = rig_connect(&child);
    rig_assert_says(fd, "[ $(" SECTORS ") -ge 125829120 ]; echo $?", "0\n");
    rig_assert_remembers(fd, "grown");
    close(fd);
    rig_kill(&child);
    OK(engine_kill(t.en, &m, &e));
    assert_true(engine_boot(t.en,
                            &(struct vm_spec){.id = m.id,
                                              .vm_dir = m.vm_dir,
                                              .shape = m.shape,
                                              .kernel = t.guest.kernel,
                                              .initrd = t.guest.initrd,
                                              .disk_bytes = 1 << 20,
                                              .uid = m.uid},
                            &m, &no) < 0);
    assert_int_equal(no.class, ERR_INVALID);
    struct monitor again = boot_again(&m, 70ull << 30);
    fd = rig_connect(&again);
    rig_assert_says(fd, SECTORS, "146800640\n");
    rig_assert_says(fd, "dd if=/dev/vda bs=512 skip=2048 count=1 2>/dev/null | head -n1",
                    "grown\n");
    struct monitor_stats a, b;
    OK(engine_stats(t.en, &again, &a, &e));
    rig_assert_says(fd, "dd if=/dev/vda of=/dev/null bs=1M count=16 2>/dev/null; echo", "\n");
    OK(engine_stats(t.en, &again, &b, &e));
    assert_true(b.io_bytes >= a.io_bytes + (16 << 20));
    close(fd);
    rig_kill(&again);
}
