/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/test_engine.h"

#include <sys/stat.h>

#include "base/test.h"

struct engine *test_engine_new(const char *faults)
{
    struct engine_config config = {.helper_dir = getenv("HOLM_FAKE_HELPER_DIR")};
    struct engine *en = NULL;
    struct err e = ERR_INIT;
    setenv("HOLM_FAKE_FAULTS", faults, 1);
    if (engine_new("fake", &config, &en, &e) < 0)
        fail_msg("%s", e.text);
    return en;
}

int test_engine_setup(void **state)
{
    static struct fixture f;
    f = (struct fixture){.guest.fd = -EBADF};
    strcpy(f.dir, "/tmp/holm-fake-XXXXXX");
    assert_non_null(mkdtemp(f.dir));
    path_printf(f.vm_dir, sizeof(f.vm_dir), "%s/vm", f.dir);
    path_printf(f.file, sizeof(f.file), "%s/file", f.dir);
    path_printf(f.template_dir, sizeof(f.template_dir), "%s/template", f.dir);
    assert_int_equal(0, mkdir(f.vm_dir, 0700));
    assert_int_equal(0, file_write_atomic(f.file, "x", 1, 0644));
    f.spec = (struct vm_spec){
        .id = "0123456789abcdefghij",
        .vm_dir = f.vm_dir,
        .shape = {.vcpus = 1, .memory_mib = 256},
        .rootfs = f.file,
        .kernel = f.file,
        .initrd = f.file,
        .template_dir = f.template_dir,
    };
    *state = &f;
    return 0;
}

int test_engine_teardown(void **state)
{
    struct fixture *f = *state;
    test_guest_close(&f->guest);
    if (f->engine && f->m.proc.pid)
        engine_kill(f->engine, &f->m, NULL);
    engine_free(f->engine);
    return dir_remove(f->dir);
}

void test_connect(struct fixture *f)
{
    struct err e = ERR_INIT;
    test_guest_close(&f->guest);
    int fd = engine_connect_agent(f->engine, &f->m, &e);
    assert_true(fd >= 0);
    assert_true(test_guest_open(&f->guest, fd));
}

void test_boot(struct fixture *f, const char *faults)
{
    struct err e = ERR_INIT;
    f->engine = f->engine ? f->engine : test_engine_new(faults);
    if (engine_boot(f->engine, &f->spec, &f->m, &e) < 0)
        fail_msg("%s", e.text);
}

void test_boot_connected(struct fixture *f)
{
    test_boot(f, "");
    test_connect(f);
}

enum monitor_state test_state(struct fixture *f)
{
    enum monitor_state s;
    assert_int_equal(0, engine_state(f->engine, &f->m, &s, NULL));
    return s;
}

void test_assert_no_sockets(const char *vm_dir)
{
    static const char *const names[] = {"agent.sock", "monitor.sock", "console.sock"};
    char path[256];
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        path_printf(path, sizeof(path), "%s/%s", vm_dir, names[i]);
        assert_int_equal(-1, access(path, F_OK));
    }
}

void test_run(struct fixture *f, const char *text, const char *expected)
{
    struct test_call c;
    test_guest_run(&f->guest, text, &c);
    assert_true(c.exited);
    assert_string_equal(buf_str(&c.out), expected);
    test_call_done(&c);
}

void test_kill(struct fixture *f)
{
    test_guest_close(&f->guest);
    assert_int_equal(0, engine_kill(f->engine, &f->m, NULL));
}

void test_capture(struct fixture *f, enum capture_kind kind)
{
    struct err e = ERR_INIT;
    if (engine_capture(f->engine, &f->m, f->template_dir, kind, NULL, &e) < 0)
        fail_msg("%s", e.text);
}

void test_restore(struct fixture *f)
{
    struct err e = ERR_INIT;
    if (engine_restore(f->engine, &f->spec, &f->m, &e) < 0)
        fail_msg("%s", e.text);
    test_connect(f);
}
