/* SPDX-License-Identifier: Apache-2.0 */

/* Captures of real guests: generations, what a failure leaves, suspending. Part of qemu_vm_test. */

#include "engine/qemu/test_rig.h"

#include <dirent.h>
#include <sys/mount.h>

#include "engine/qemu/extents.h"
#include "engine/qemu/layers.h"

/* Overwrites some of a file in memory and of the disk with new noise and some with zeros. */
static void stir(int fd, int generation)
{
    char command[1000];
    auto_buf struct buf out = {0};
    snprintf(command, sizeof(command),
             "dd if=/dev/urandom of=/tmp/noise bs=4k seek=%d count=300 conv=notrunc 2>/dev/null; "
             "dd if=/dev/zero of=/tmp/noise bs=4k seek=%d count=100 conv=notrunc 2>/dev/null; "
             "dd if=/dev/urandom of=/dev/vda bs=4k seek=%d count=300 2>/dev/null; "
             "dd if=/dev/zero of=/dev/vda bs=4k seek=%d count=100 2>/dev/null; sync",
             generation * 200, generation * 150, 2000 + generation * 200, 2000 + generation * 150);
    test_guest_run(fd, command, &out);
}

/* Sums over memory and disk, taken inside; the disk's from the device itself. */
static void sums_inside(int fd, char ret[128])
{
    auto_buf struct buf out = {0};
    const char *text = test_guest_run(fd,
                                      "echo 3 >/proc/sys/vm/drop_caches; cat /tmp/noise | md5sum; "
                                      "dd if=/dev/vda bs=1M count=20 2>/dev/null | md5sum",
                                      &out);
    assert_true(strlen(text) > 64 && strlen(text) < 128);
    strcpy(ret, text);
}

static bool has_delta(const char *dir)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/delta", dir);
    return access(path, F_OK) == 0;
}

/* A child of a child of a child ... sees exactly what its parent saw, whose own going on changes
 * nothing. */
void test_descendants(void **state)
{
    static const enum capture_kind kinds[] = {CAPTURE_DURABLE, CAPTURE_TRANSIENT};
    char dir[256], name[32], before[128], after[128];
    struct monitor m = rig_restore(t.first);
    auto_close int fd = rig_connect(&m);
    int deltas = 0;
    for (int i = 0; i < 5; i++) {
        stir(fd, i);
        sums_inside(fd, before);
        snprintf(name, sizeof(name), "descendant-%d", i);
        rig_capture(&m, name, kinds[i % 2], dir);
        deltas += has_delta(dir);
        stir(fd, 9);
        struct monitor child = rig_restore(dir);
        auto_close int child_fd = rig_connect(&child);
        sums_inside(child_fd, after);
        assert_string_equal(before, after);
        rig_kill(&m);
        m = child;
        close(fd);
        fd = TAKE_FD(child_fd);
    }
    assert_true(deltas > 1);
    rig_kill(&m);
}

/* The guest stays paused, and what was captured is what it will be when it is woken. */
void test_suspend(void **state)
{
    char dir[256];
    struct monitor m = rig_restore(t.first);
    auto_close int fd = rig_connect(&m);
    rig_remember(fd, "asleep");
    rig_capture(&m, "suspended", CAPTURE_SUSPEND, dir);
    assert_int_equal(rig_state(&m), MONITOR_PAUSED);
    rig_kill(&m);
    struct monitor woken = rig_restore(dir);
    auto_close int woken_fd = rig_connect(&woken);
    rig_assert_remembers(woken_fd, "asleep");
    /* A failed one leaves the guest running. */
    struct err e = ERR_INIT;
    assert_true(engine_capture(t.en, &woken, "/proc/nowhere", CAPTURE_SUSPEND, NULL, &e) < 0);
    assert_int_equal(rig_state(&woken), MONITOR_RUNNING);
    rig_assert_remembers(woken_fd, "asleep");
    rig_kill(&woken);
}

static int entries(const char *dir)
{
    int n = 0;
    auto_closedir DIR *d = opendir(dir);
    assert_non_null(d);
    while (readdir(d))
        n++;
    return n - 2;
}

/* Whichever step finds the disk full: the guest runs as before, no trace is left, and with room the
 * same capture works. */
void test_full_disk(void **state)
{
    static const enum capture_kind kinds[] = {CAPTURE_DURABLE, CAPTURE_TRANSIENT, CAPTURE_SUSPEND};
    static const int sizes_kib[] = {4, 64, 256, 1024, 4096};
    char small[256], out[300], options[64], full[256];
    struct monitor m = rig_restore(t.first);
    auto_close int fd = rig_connect(&m);
    rig_remember(fd, "cramped");
    stir(fd, 1);
    rig_capture(&m, "roomy", CAPTURE_DURABLE, full);
    snprintf(small, sizeof(small), "%s/small", t.dir);
    snprintf(out, sizeof(out), "%s/x", small);
    assert_int_equal(mkdir(small, 0700), 0);
    assert_int_equal(mount("small", small, "tmpfs", 0, "size=4k"), 0);
    for (size_t i = 0; i < ARRAY_SIZE(sizes_kib); i++) {
        snprintf(options, sizeof(options), "size=%dk", sizes_kib[i]);
        assert_int_equal(mount("small", small, NULL, MS_REMOUNT, options), 0);
        struct err e = ERR_INIT;
        int r = engine_capture(t.en, &m, out, kinds[i % ARRAY_SIZE(kinds)], NULL, &e);
        assert_true(r < 0);
        assert_int_equal(e.class, ERR_INTERNAL);
        assert_int_equal(entries(small), 0);
        assert_int_equal(rig_state(&m), MONITOR_RUNNING);
        rig_assert_remembers(fd, "cramped");
    }
    assert_int_equal(mount("small", small, NULL, MS_REMOUNT, "size=64m"), 0);
    OK(engine_capture(t.en, &m, out, CAPTURE_DURABLE, NULL, &e));
    struct monitor child = rig_restore(out), other = rig_restore(full);
    auto_close int child_fd = rig_connect(&child);
    auto_close int other_fd = rig_connect(&other);
    rig_assert_remembers(child_fd, "cramped");
    rig_assert_remembers(other_fd, "cramped");
    rig_kill(&child);
    rig_kill(&other);
    rig_kill(&m);
    assert_int_equal(umount2(small, MNT_DETACH), 0);
}

/* Changes one byte of a file, by way of a copy: the file itself may be shared. */
static void damage(const char *dir, const char *name, off_t at)
{
    char path[512], copy[520];
    unsigned char byte;
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    snprintf(copy, sizeof(copy), "%s.copy", path);
    assert_int_equal(file_copy(path, copy, 0600), 0);
    assert_int_equal(rename(copy, path), 0);
    auto_close int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

/* Links a template's files into a new directory. */
static void link_template(const char *from, const char *to)
{
    assert_int_equal(mkdir(to, 0700), 0);
    auto_closedir DIR *d = opendir(from);
    for (struct dirent *entry; (entry = readdir(d));) {
        char a[600], b[600];
        snprintf(a, sizeof(a), "%s/%s", from, entry->d_name);
        snprintf(b, sizeof(b), "%s/%s", to, entry->d_name);
        if (entry->d_name[0] != '.')
            assert_int_equal(link(a, b), 0);
    }
}

void test_damage(void **state)
{
    static const struct {
        const char *file;
        const char *why;
    } kinds[] = {
        {"memory", "its memory is not what it was (memory)"},
        {"delta", "its memory is not what it was (delta)"},
        {"extents", "its memory is not what it was (extents)"},
        {"state", "its device state is not what it was (state)"},
        {"layer-0.raw", "its disk is not what it was (layer-0.raw)"},
        {"layer-1.qcow2", "its disk is not what it was (layer-1.qcow2)"},
        {"layer-2.qcow2", "its disk is not what it was (layer-2.qcow2)"},
        {"template.json", "template.json cannot be read"},
    };
    char good[256], bad[300], vm_dir[256], id[ID_SIZE];
    struct monitor m = rig_restore(t.first), vm;
    auto_close int fd = rig_connect(&m);
    rig_remember(fd, "whole");
    rig_capture(&m, "whole", CAPTURE_DURABLE, good);
    rig_kill(&m);
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct err e = ERR_INIT;
        snprintf(bad, sizeof(bad), "%s/damaged-%zu", t.dir, i);
        link_template(good, bad);
        damage(bad, kinds[i].file, 0);
        struct vm_spec spec = rig_spec(id, vm_dir);
        spec.template_dir = bad;
        assert_true(engine_restore(t.en, &spec, &vm, &e) < 0);
        assert_int_equal(e.class, ERR_CONFLICT);
        if (!strstr(e.text, kinds[i].why))
            fail_msg("\"%s\" is not in \"%s\"", kinds[i].why, e.text);
        assert_int_equal(entries(vm_dir), 0);
    }
}
