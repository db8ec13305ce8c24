/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/qemu/test_rig.h"

#define FIRST_UID 1700000000u

struct rig t;

/* A directory, id and uid for one more VM. */
struct vm_spec rig_spec(char id[ID_SIZE], char dir[256])
{
    id_new(id);
    snprintf(dir, 256, "%s/%s", t.dir, id);
    assert_int_equal(mkdir(dir, 0700), 0);
    return (struct vm_spec){.id = id,
                            .vm_dir = dir,
                            .shape = {.vcpus = 1, .memory_mib = 128},
                            .uid = FIRST_UID + (uid_t)t.n,
                            .ephemeral = true};
}

int rig_connect(const struct monitor *m)
{
    struct err e = ERR_INIT;
    int fd = engine_connect_agent(t.en, m, &e);
    if (fd < 0)
        fail_msg("connect: %s", e.text);
    return fd;
}

struct monitor rig_restore(const char *template_dir)
{
    char id[ID_SIZE], dir[256];
    struct vm_spec spec = rig_spec(id, dir);
    spec.template_dir = template_dir;
    struct monitor m;
    OK(engine_restore(t.en, &spec, &m, &e));
    t.all[t.n++] = m;
    return m;
}

struct monitor rig_boot(const struct vm_spec *spec)
{
    struct monitor m;
    OK(engine_boot(t.en, spec, &m, &e));
    t.all[t.n++] = m;
    return m;
}

struct capture_times rig_capture(const struct monitor *m, const char *name, enum capture_kind kind,
                                 char ret[256])
{
    struct capture_times times;
    snprintf(ret, 256, "%s/%s", t.dir, name);
    OK(engine_capture(t.en, m, ret, kind, &times, &e));
    printf("capture %s: pause %lld us, %llu dirty pages, total %lld us\n", name,
           (long long)times.pause_us, (unsigned long long)times.dirty_pages,
           (long long)times.total_us);
    return times;
}

/* What a guest remembers in memory and on disk, as "MEMORY/DISK". */
void rig_remember(int fd, const char *word)
{
    char command[256];
    auto_buf struct buf out = {0};
    snprintf(command, sizeof(command),
             "echo %s >/tmp/word; echo %s | dd of=/dev/vda bs=512 seek=2048 conv=sync 2>/dev/null; "
             "sync",
             word, word);
    test_guest_run(fd, command, &out);
}

void rig_assert_remembers(int fd, const char *word)
{
    char expected[128];
    auto_buf struct buf out = {0};
    snprintf(expected, sizeof(expected), "%s/%s/pristine\n", word, word);
    const char *text = test_guest_run(fd,
                                      "echo 3 >/proc/sys/vm/drop_caches; w=$(cat /tmp/word); "
                                      "d=$(dd if=/dev/vda bs=512 skip=2048 count=1 2>/dev/null | "
                                      "head -n1); echo $w/$d/$(head -n1 /dev/vda)",
                                      &out);
    assert_string_equal(text, expected);
}

void rig_assert_says(int fd, const char *command, const char *expected)
{
    auto_buf struct buf out = {0};
    assert_string_equal(test_guest_run(fd, command, &out), expected);
}

enum monitor_state rig_state(const struct monitor *m)
{
    enum monitor_state s = MONITOR_GONE;
    OK(engine_state(t.en, m, &s, &e));
    return s;
}

void rig_kill(const struct monitor *m)
{
    OK(engine_kill(t.en, m, &e));
    assert_int_equal(rig_state(m), MONITOR_GONE);
    OK(engine_kill(t.en, m, &e)); /* idempotent */
    OK(dir_remove(m->vm_dir));
}

int rig_setup(void **state)
{
    const struct engine_config config = {.qemu_binary = "qemu-system-x86_64",
                                         .accel = "auto",
                                         .helper_dir = getenv("HOLM_HELPER_DIR"),
                                         .jail = true};
    char id[ID_SIZE], dir[256];
    int64_t start_us = clock_mono_us();
    OK(engine_new("qemu", &config, &t.en, &e));
    struct vm_spec spec = rig_spec(id, dir);
    spec.kernel = t.guest.kernel;
    spec.initrd = t.guest.initrd;
    spec.rootfs = t.guest.rootfs;
    t.parent = rig_boot(&spec);
    t.parent_fd = rig_connect(&t.parent);
    rig_remember(t.parent_fd, "first");
    printf("boot to first exec %lld us\n", (long long)(clock_mono_us() - start_us));
    rig_capture(&t.parent, "first", CAPTURE_DURABLE, t.first);
    rig_assert_remembers(t.parent_fd, "first");
    return 0;
}

int rig_teardown(void **state)
{
    for (int i = 0; i < t.n; i++)
        (void)engine_kill(t.en, &t.all[i], NULL);
    if (t.parent_fd > 0)
        close(t.parent_fd);
    engine_free(t.en);
    return 0;
}
