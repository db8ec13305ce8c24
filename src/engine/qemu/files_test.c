/* SPDX-License-Identifier: Apache-2.0 */

/* What the engine reads and writes without a VM: arguments, disk layers, manifests, the memory of a
 * process, cgroup paths. */

#include "base/test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "base/proc.h"
#include "engine/qemu/args.h"
#include "engine/qemu/cgroup.h"
#include "engine/qemu/layers.h"
#include "engine/qemu/manifest.h"
#include "engine/qemu/memory.h"
#include "engine/qemu/qcow2.h"

#define PAGE 4096
#define MEMORY_MIB 64

/* All arguments in one line. */
static void join(const struct argv *a, struct buf *ret)
{
    for (size_t i = 0; i < a->n; i++)
        buf_printf(ret, "%s ", a->v[i]);
}

static void test_arguments(void **state)
{
    const int layers[] = {10, 11, 12};
    struct args_spec spec = {.shape = {.vcpus = 2, .memory_mib = 256},
                             .ephemeral = true,
                             .agent_fd = 5,
                             .qmp_fd = 6,
                             .layer_fds = layers,
                             .top = 2,
                             .top_read_fd = 13,
                             .state_fd = 20,
                             .console_fd = 7,
                             .tap_fd = -1};
    auto_argv struct argv restore = {0};
    auto_argv struct argv boot = {0};
    auto_buf struct buf text = {0};
    args_build(&restore, &spec);
    join(&restore, &text);
    assert_false(restore.failed);
    assert_non_null(strstr(text.data, "-incoming fd:20"));
    assert_non_null(strstr(text.data, "-smp 2 -m 256"));
    assert_non_null(strstr(text.data, "-accel tcg"));
    assert_non_null(
        strstr(text.data, "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny"));
    assert_non_null(strstr(text.data, "-add-fd fd=12,set=3 -add-fd fd=13,set=3"));
    assert_non_null(strstr(text.data, "\"node-name\":\"l2\",\"file\":\"f2\",\"backing\":\"l1\","
                                      "\"read-only\":false"));
    assert_non_null(strstr(text.data, "\"no-flush\":true"));
    assert_non_null(strstr(text.data, "drive=l2"));
    assert_null(strstr(text.data, "-kernel"));
    assert_null(strstr(text.data, "microvm"));
    assert_non_null(strstr(text.data, "socket,id=console,fd=7,server=on,wait=off -serial"));
    assert_non_null(strstr(text.data, "-netdev hubport,id=net,hubid=0 -device virtio-net-pci"));
    spec.state_fd = -1;
    spec.tap_fd = 30;
    spec.kvm = true;
    spec.ephemeral = false;
    buf_clear(&text);
    args_build(&boot, &spec);
    join(&boot, &text);
    assert_null(strstr(text.data, "-incoming"));
    assert_non_null(strstr(text.data, "-accel kvm -cpu host"));
    assert_non_null(
        strstr(text.data, "-netdev tap,id=net,fd=30 -device virtio-net-pci,netdev=net"));
    assert_non_null(
        strstr(text.data, "-kernel /holm/kernel -initrd /holm/initrd -append console="));
    assert_null(strstr(text.data, "\"no-flush\":true"));
}

static void make_file(const char *dir, const char *name, const char *data, off_t size)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    auto_close int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, size), 0);
    assert_int_equal(pwrite(fd, data, strlen(data), 0), strlen(data));
}

/* QEMU's own tool agrees with what is written here. */
static void test_layers(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char a[256], b[256], path[PATH_MAX];
    struct err e = ERR_INIT;
    snprintf(a, sizeof(a), "%s/a", dir);
    snprintf(b, sizeof(b), "%s/b", dir);
    assert_true(mkdir(a, 0700) == 0 && mkdir(b, 0700) == 0);
    assert_int_equal(layers_top(a), -1);
    make_file(a, "layer-0.raw", "root", 700 << 20); /* more than one L1 entry covers */
    assert_int_equal(layers_make(a, 1, &e), 0);
    assert_int_equal(layers_make(a, 2, &e), 0);
    assert_int_equal(layers_make(a, 2, &e), 0); /* replaces a leftover */
    assert_int_equal(layers_top(a), 2);
    assert_int_equal(layers_make(a, ENGINE_LAYERS_MAX + 1, &e), -EBUSY);
    assert_int_equal(e.class, ERR_CONFLICT);
    assert_int_equal(layers_link(a, b, 2, &e), 0);
    assert_int_equal(dir_remove(a), 0); /* b stands on its own */
    assert_int_equal(layers_path(b, 2, path, &e), 0);
    if (access("/usr/bin/qemu-img", X_OK) < 0)
        return;
    auto_buf struct buf out = {0};
    const char *const check[] = {"qemu-img", "check", path, NULL};
    if (proc_run(check, 60000, &out, &e) < 0)
        fail_msg("%s", e.text);
    const char *const info[] = {"qemu-img", "info", "--backing-chain", path, NULL};
    assert_int_equal(proc_run(info, 60000, &out, &e), 0);
    assert_non_null(strstr(buf_str(&out), "layer-0.raw"));
    assert_non_null(strstr(buf_str(&out), "backing file format: raw"));
    assert_non_null(strstr(buf_str(&out), "virtual size: 700 MiB"));
}

static void test_odd_disks_are_refused(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char path[256];
    struct err e = ERR_INIT;
    snprintf(path, sizeof(path), "%s/x", dir);
    assert_true(qcow2_create(path, 1000, "b", "raw", &e) < 0);
    assert_int_equal(e.class, ERR_INVALID);
    assert_true(qcow2_create(path, 0, "b", "raw", &e) < 0);
    assert_int_equal(qcow2_create(path, 1 << 20, "b", "raw", &e), 0);
    assert_int_equal(qcow2_create(path, 1 << 20, "b", "raw", &e), -EEXIST);
}

static void make_template(const char *dir)
{
    struct err e = ERR_INIT;
    struct manifest m = {
        .shape = {.vcpus = 1, .memory_mib = MEMORY_MIB}, .top_layer = 1, .fingerprint = "me"};
    make_file(dir, "memory", "ram", MEMORY_MIB << 20);
    make_file(dir, "state", "123456789", 9);
    make_file(dir, "layer-0.raw", "root", 1 << 20);
    assert_int_equal(layers_make(dir, 1, &e), 0);
    if (manifest_store(dir, &m, &e) < 0)
        fail_msg("%s", e.text);
}

static void test_manifest(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    struct manifest m;
    struct err e = ERR_INIT;
    make_template(dir);
    assert_int_equal(manifest_load(dir, "me", &m, &e), 0);
    assert_int_equal(m.shape.memory_mib, MEMORY_MIB);
    assert_int_equal(m.state_crc32, 0xcbf43926); /* CRC-32's check value for these nine digits */
    static const struct {
        const char *file, *data;
        off_t size;
        const char *why;
    } damages[] = {
        {"state", "123456780", 9, "device state is not what it was"},
        {"state", "1234", 4, "device state is not as long"},
        {"memory", "", 1 << 20, "memory is not as long"},
        {"layer-0.raw", "", 2 << 20, "disk is not as long"},
        {"layer-1.qcow2", "", 1 << 20, "disk is not as long"},
        {"template.json", "{\"format\": 1", 12, "template.json cannot be read"},
        {"template.json", "{}", 2, "template.json cannot be read"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
        make_template(dir);
        make_file(dir, damages[i].file, damages[i].data, damages[i].size);
        e = (struct err)ERR_INIT;
        assert_true(manifest_load(dir, "me", &m, &e) < 0);
        assert_int_equal(e.class, ERR_CONFLICT);
        if (!strstr(e.text, damages[i].why))
            fail_msg("\"%s\" is not in \"%s\"", damages[i].why, e.text);
    }
    make_template(dir);
    assert_true(manifest_load(dir, "you", &m, &e) < 0);
    assert_non_null(strstr(e.text, "made by \"me\", this is \"you\""));
}

/* Only what this process wrote into its private mapping is found, zeros become holes. */
static void test_dirty_memory(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char base[256], copy[256];
    struct err e = ERR_INIT;
    size_t size = 64 * PAGE;
    snprintf(base, sizeof(base), "%s/base", dir);
    snprintf(copy, sizeof(copy), "%s/copy", dir);
    auto_free char *image = malloc(size);
    memset(image, 'b', size);
    assert_int_equal(file_write_atomic(base, image, size, 0400), 0);
    auto_close int fd = open(base, O_RDONLY | O_CLOEXEC);
    char *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    assert_ptr_not_equal(m, MAP_FAILED);
    volatile char sink = m[5 * PAGE]; /* read only: not dirty */
    (void)sink;
    m[0] = '0';
    m[7 * PAGE] = '7';
    m[8 * PAGE + 99] = '8';
    memset(m + 20 * PAGE, 0, 2 * PAGE);
    m[63 * PAGE] = 'e';
    assert_int_equal(file_copy(base, copy, 0600), 0);
    auto_close int out = open(copy, O_RDWR | O_CLOEXEC);
    uint64_t pages = 0;
    if (memory_copy_dirty(getpid(), base, out, &pages, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(pages, 6);
    auto_buf struct buf result = {0};
    assert_int_equal(file_read(copy, &result, size), 0);
    assert_memory_equal(result.data, m, size);
    assert_int_equal(lseek(out, 20 * PAGE, SEEK_HOLE), 20 * PAGE);
    munmap(m, size);
    assert_true(memory_copy_dirty(getpid(), base, out, &pages, &e) < 0);
    assert_non_null(strstr(e.text, "maps 0 of"));
}

static void test_cgroup_paths(void **state)
{
    static const char mounts[] =
        "24 1 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
        "31 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct\n"
        "32 24 0:28 / /sys/fs/cgroup/memory rw shared:5 - cgroup cgroup rw,memory\n"
        "33 24 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    static const char self[] = "5:memory:/a/b\n4:cpu,cpuacct:/\n0::/x\n";
    char path[PATH_MAX];
    assert_true(cgroup_v1_path(mounts, self, "memory", path));
    assert_string_equal(path, "/sys/fs/cgroup/memory/a/b");
    assert_true(cgroup_v1_path(mounts, self, "cpu", path));
    assert_string_equal(path, "/sys/fs/cgroup/cpu,cpuacct");
    assert_false(cgroup_v1_path(mounts, self, "pids", path));
    assert_false(cgroup_v1_path("", "", "cpu", path));
    assert_false(cgroup_v1_path("x\n\n - \n", "a:b\n::\n:", "cpu", path));
}

/* Groups are made where this host allows it, and are gone afterwards. */
static void test_cgroups(void **state)
{
    struct cgroup_host h;
    struct machine_shape shape = {.vcpus = 1, .memory_mib = 128};
    auto_argv struct argv procs = {0};
    char id[ID_SIZE];
    struct err e = ERR_INIT;
    if (geteuid() != 0)
        skip();
    cgroup_find(NULL, &h);
    id_new(id);
    cgroup_make(&h, id, &shape, 64, &procs);
    for (size_t i = 0; i < procs.n; i++)
        assert_int_equal(access(procs.v[i], W_OK), 0);
    assert_int_equal(cgroup_remove(&h, id, &e), 0);
    for (size_t i = 0; i < procs.n; i++)
        assert_int_not_equal(access(procs.v[i], F_OK), 0);
    assert_int_equal(cgroup_remove(&h, id, &e), 0);
    cgroup_find("/nowhere", &h);
    assert_int_equal(h.version, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_odd_disks_are_refused),
        cmocka_unit_test(test_manifest),
        cmocka_unit_test(test_dirty_memory),
        cmocka_unit_test(test_cgroup_paths),
        cmocka_unit_test(test_cgroups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
