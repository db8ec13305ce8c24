/* SPDX-License-Identifier: Apache-2.0 */

/* What the engine reads and writes without a VM: arguments, disk layers, manifests, cgroup paths.
 */

#include "base/test.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "base/proc.h"
#include "engine/qemu/args.h"
#include "engine/qemu/cgroup.h"
#include "engine/qemu/layers.h"
#include "engine/qemu/manifest.h"
#include "engine/qemu/qcow2.h"

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
    const struct layers chain = {.n = 3, .number = {0, 1, 7}};
    struct args_spec spec = {.shape = {.vcpus = 2, .memory_mib = 256},
                             .ephemeral = true,
                             .agent_fd = 5,
                             .qmp_fd = 6,
                             .chain = &chain,
                             .layer_fds = layers,
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
    assert_non_null(strstr(text.data, "-add-fd fd=12,set=3,opaque=write-7 -add-fd fd=13,set=3"));
    assert_non_null(strstr(text.data, "\"node-name\":\"l7\",\"file\":\"n7\",\"backing\":\"l1\","
                                      "\"read-only\":false"));
    assert_non_null(strstr(text.data, "\"no-flush\":true"));
    assert_non_null(strstr(text.data, "drive=l7"));
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
static void check_with_qemu(const char *path)
{
    struct err e = ERR_INIT;
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
    assert_non_null(strstr(buf_str(&out), "virtual size: 800 MiB"));
}

static void test_layers(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char a[256], b[256], path[PATH_MAX];
    struct err e = ERR_INIT;
    struct layers chain = {.n = 1}, found;
    uint64_t bytes;
    snprintf(a, sizeof(a), "%s/a", dir);
    snprintf(b, sizeof(b), "%s/b", dir);
    assert_true(mkdir(a, 0700) == 0 && mkdir(b, 0700) == 0);
    assert_int_equal(layers_find(a, &found, &e), -ENOENT);
    make_file(a, "layer-0.raw", "root", 700 << 20); /* more than one L1 entry covers */
    assert_int_equal(layers_push(a, &chain, 0, &e), 0);
    assert_int_equal(layers_push(a, &chain, 800 << 20, &e), 0);
    chain.n--;
    assert_int_equal(layers_push(a, &chain, 800 << 20, &e), 0); /* replaces a leftover */
    assert_int_equal(layers_top(&chain), 2);
    assert_int_equal(layers_disk_bytes(a, 2, &bytes, &e), 0);
    assert_int_equal(bytes, 800 << 20);
    struct layers other = chain;
    assert_int_equal(layers_push(a, &other, 1 << 20, &e), -EINVAL);
    assert_int_equal(e.class, ERR_INVALID);
    other.n = ENGINE_LAYERS_MAX + 1;
    assert_int_equal(layers_push(a, &other, 0, &e), -EBUSY);
    assert_int_equal(e.class, ERR_CONFLICT);
    assert_int_equal(layers_find(a, &found, &e), 0);
    assert_memory_equal(&found, &chain, sizeof(found));
    assert_int_equal(layers_link(a, b, &chain, &e), 0);
    assert_int_equal(layers_own_bytes(b), 0);
    assert_int_equal(dir_remove(a), 0); /* b stands on its own */
    assert_true(layers_own_bytes(b) > 0);
    assert_int_equal(layers_path(b, 2, path, &e), 0);
    check_with_qemu(path);
    /* What nobody stands on is cleared away; what is no layer's name is nobody's business. */
    make_file(b, "layer-9.qcow2", "", 0);
    make_file(b, "layer-09.qcow2", "", 0);
    assert_int_equal(layers_find(b, &found, &e), 0); /* an empty one was never used */
    assert_int_equal(layers_top(&found), 2);
    layers_tidy(b, &found);
    snprintf(path, sizeof(path), "%s/layer-9.qcow2", b);
    assert_int_not_equal(access(path, F_OK), 0);
    snprintf(path, sizeof(path), "%s/layer-09.qcow2", b);
    assert_int_equal(access(path, F_OK), 0);
}

/* A monitor can write its last layer's header: nothing but lower layers is followed. */
static void test_hostile_headers(void **state)
{
    static const char *const backings[] = {"/etc/shadow",    "../layer-0.raw", "layer-2.qcow2",
                                           "layer-3.qcow2",  "layer-00.raw",   "layer--1.qcow2",
                                           "layer-0.raw/..", "layer-1.raw",    "layer-1.qcow2\n"};
    auto_test_dir char *dir = test_dir_make();
    char path[256];
    struct layers chain;
    make_file(dir, "layer-0.raw", "root", 1 << 20);
    snprintf(path, sizeof(path), "%s/layer-2.qcow2", dir);
    for (size_t i = 0; i < ARRAY_SIZE(backings); i++) {
        struct err e = ERR_INIT;
        (void)unlink(path);
        assert_int_equal(qcow2_create(path, 1 << 20, backings[i], "raw", &e), 0);
        assert_true(layers_read(dir, 2, &chain, &e) < 0);
        assert_int_equal(e.class, ERR_CONFLICT);
        assert_non_null(strstr(e.text, "layer 2 of the disk stands on no layer below"));
    }
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

static struct sums sums;

static void make_template(const char *dir)
{
    struct err e = ERR_INIT;
    struct manifest m = {.shape = {.vcpus = 1, .memory_mib = MEMORY_MIB},
                         .delta = true,
                         .chain = {.n = 1},
                         .fingerprint = "me"};
    make_file(dir, "memory", "ram", MEMORY_MIB << 20);
    make_file(dir, "delta", "pages", MEMORY_MIB << 20);
    make_file(dir, "extents", "", 8);
    make_file(dir, "state", "123456789", 9);
    make_file(dir, "layer-0.raw", "root", 1 << 20);
    assert_int_equal(layers_push(dir, &m.chain, 0, &e), 0);
    if (manifest_store(dir, &sums, &m, &e) < 0)
        fail_msg("%s", e.text);
}

static void test_manifest(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    struct manifest m;
    struct err e = ERR_INIT;
    sums_init(&sums);
    make_template(dir);
    assert_int_equal(manifest_load(dir, "me", &sums, &m, &e), 0);
    assert_int_equal(m.shape.memory_mib, MEMORY_MIB);
    assert_true(m.delta && m.chain.n == 2 && layers_top(&m.chain) == 1);
    static const struct {
        const char *file, *data;
        off_t size;
        const char *why;
    } damages[] = {
        {"state", "123456780", 9, "device state is not what it was"},
        {"state", "1234", 4, "device state is not as long"},
        {"memory", "ran", MEMORY_MIB << 20, "memory is not what it was (memory)"},
        {"memory", "", 1 << 20, "memory is not as long"},
        {"delta", "", MEMORY_MIB << 20, "memory is not what it was (delta)"},
        {"extents", "1", 8, "memory is not what it was (extents)"},
        {"layer-0.raw", "roof", 1 << 20, "disk is not what it was (layer-0.raw)"},
        {"layer-0.raw", "", 2 << 20, "disk is not as long"},
        {"layer-1.qcow2", "", 1 << 20, "disk is not as long"},
        {"template.json", "{\"format\": 2", 12, "template.json cannot be read"},
        {"template.json", "{}", 2, "template.json cannot be read"},
        {"template.json", "{\"format\": 1, \"engine\": \"qemu\"}", 31, "format 1, not qemu, 2"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
        make_template(dir);
        make_file(dir, damages[i].file, damages[i].data, damages[i].size);
        e = (struct err)ERR_INIT;
        assert_true(manifest_load(dir, "me", &sums, &m, &e) < 0);
        assert_int_equal(e.class, ERR_CONFLICT);
        if (!strstr(e.text, damages[i].why))
            fail_msg("\"%s\" is not in \"%s\"", damages[i].why, e.text);
    }
    make_template(dir);
    assert_true(manifest_load(dir, "you", &sums, &m, &e) < 0);
    assert_non_null(strstr(e.text, "made by \"me\", this is \"you\""));
    sums_done(&sums);
}

/* Holes and zeros are the same, and what is remembered is not read again. */
static void test_sums(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char path[256];
    struct sum a, b;
    snprintf(path, sizeof(path), "%s/x", dir);
    sums_init(&sums);
    auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(pwrite(fd, "end", 3, 300000) == 3);
    assert_false(sums_know(&sums, path));
    assert_int_equal(sums_of(&sums, path, &a), 0);
    assert_true(sums_know(&sums, path));
    char zeros[100000] = {0};
    assert_true(pwrite(fd, zeros, sizeof(zeros), 70000) == sizeof(zeros));
    assert_int_equal(sums_of(&sums, path, &b), 0);
    assert_string_equal(a.hex, b.hex);
    /* Longer by a zero, a byte at another place: other sums. */
    assert_int_equal(ftruncate(fd, 300004), 0);
    assert_int_equal(sums_of(&sums, path, &b), 0);
    assert_string_not_equal(a.hex, b.hex);
    assert_true(pwrite(fd, "\0\0\0\0end", 7, 300000) == 7 && ftruncate(fd, 300003) == 0);
    assert_int_equal(sums_of(&sums, path, &b), 0);
    assert_string_not_equal(a.hex, b.hex);
    assert_true(sums_of(&sums, "/nowhere/x", &b) < 0);
    sums_done(&sums);
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
        cmocka_unit_test(test_arguments),       cmocka_unit_test(test_layers),
        cmocka_unit_test(test_hostile_headers), cmocka_unit_test(test_odd_disks_are_refused),
        cmocka_unit_test(test_manifest),        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_cgroup_paths),    cmocka_unit_test(test_cgroups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
