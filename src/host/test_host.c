/* SPDX-License-Identifier: Apache-2.0 */
#include "host/test_host.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/proc.h"
#include "host/cpio.h"

#define PATIENCE_MS 60000

static void write_file(const char *dir, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(0, file_write_atomic(path, name, strlen(name), 0644));
}

/* As images/initramfs makes it, with an agent by name only. */
static void write_initrd(const char *dir)
{
    char path[256];
    auto_buf struct buf b = {0};
    snprintf(path, sizeof(path), "%s/kernel/initrd.img", dir);
    assert_int_equal(0, cpio_add(&b, "init", 0755, "agent", 5));
    assert_int_equal(0, cpio_end(&b));
    assert_int_equal(0, file_write_atomic(path, b.data, b.len, 0644));
}

static void make_data(const char *dir)
{
    static const char *const images[] = {"bash", "c", "nodejs", "perl", "python", "typescript"};
    char path[256];
    snprintf(path, sizeof(path), "%s/kernel", dir);
    assert_int_equal(0, dir_make(path, 0755));
    write_file(dir, "kernel/vmlinuz");
    write_initrd(dir);
    for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
        char name[64];
        snprintf(path, sizeof(path), "%s/images/%s", dir, images[i]);
        assert_int_equal(0, dir_make(path, 0755));
        snprintf(name, sizeof(name), "images/%s/rootfs.ext4", images[i]);
        write_file(dir, name);
    }
}

static void set(struct test_host *t, const char *assignment)
{
    struct err e = ERR_INIT;
    if (config_set(&t->config, assignment, &e) < 0)
        fail_msg("%s: %s", assignment, e.text);
}

void test_host_init(struct test_host *t, const char *const *settings)
{
    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    static const char *const basics[] = {
        "engine.engine=fake", "engine.jail=no", "network.enabled=no",  "pool.default=0",
        "pool.vms=0",         "vms.image=bash", "pool.prepare_all=yes"};
    char text[128];
    struct err e = ERR_INIT;
    *t = (struct test_host){0};
    strcpy(t->dir, "/tmp/holm-vms-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    make_data(t->dir);
    config_init(&t->config);
    for (size_t i = 0; i < ARRAY_SIZE(basics); i++)
        set(t, basics[i]);
    snprintf(text, sizeof(text), "paths.data_dir=%s", t->dir);
    set(t, text);
    snprintf(text, sizeof(text), "paths.helper_dir=%s", getenv("HOLM_ENGINE_DIR"));
    set(t, text);
    for (; settings && *settings; settings++)
        set(t, *settings);
    assert_int_equal(0, config_finish(&t->config, &e));
    test_host_start(t);
}

/* The images' own VMs have come and gone; most images are not there. */
static void await_images(struct host *h)
{
    const struct language *lang;
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    for (size_t i = 0; (lang = host_language(i)); i++) {
        struct language_status st = {.state = LANGUAGE_PREPARING};
        while (st.state == LANGUAGE_PREPARING) {
            host_language_status(h, lang, &st);
            assert_true(clock_mono_ms() < until_ms);
            poll(NULL, 0, st.state == LANGUAGE_PREPARING ? 2 : 0);
        }
        assert_true(st.state == LANGUAGE_READY || st.state == LANGUAGE_MISSING);
    }
}

void test_host_start(struct test_host *t)
{
    struct err e = ERR_INIT;
    struct account_info *list = NULL;
    size_t n = 0;
    if (host_new(&t->config, &t->host, &e) < 0)
        fail_msg("host: %s", e.text);
    await_images(t->host);
    assert_int_equal(0, host_account_list(t->host, &list, &n, &e));
    assert_true(n >= 1);
    memcpy(t->account, list[0].id, sizeof(t->account));
    free(list);
}

void test_host_stop(struct test_host *t)
{
    host_free(t->host);
    t->host = NULL;
}

/* Calls `each` for every process whose standard error is below the directory. */
static int each_monitor(const struct test_host *t, bool end)
{
    int n = 0;
    auto_closedir DIR *proc = opendir("/proc");
    for (struct dirent *de; (de = readdir(proc));) {
        char link[64], target[256];
        struct proc_ref ref;
        int pid = atoi(de->d_name);
        if (pid <= 1 || pid == getpid() || proc_ref_of(pid, &ref) < 0)
            continue;
        snprintf(link, sizeof(link), "/proc/%d/fd/2", pid);
        ssize_t len = readlink(link, target, sizeof(target) - 1);
        if (len <= 0 || (target[len] = '\0', strncmp(target, t->dir, strlen(t->dir)) != 0))
            continue;
        n++;
        auto_close int fd = end ? proc_ref_open(&ref) : -EBADF;
        if (fd >= 0)
            (void)proc_kill_wait(fd, 5000);
    }
    return n;
}

int test_count_monitors(const struct test_host *t)
{
    return each_monitor(t, false);
}

void test_kill_monitors(const struct test_host *t)
{
    each_monitor(t, true);
}

void test_host_done(struct test_host *t)
{
    host_free(t->host);
    t->host = NULL;
    each_monitor(t, true);
    dir_remove(t->dir);
}

int test_count_entries(const struct test_host *t, const char *name)
{
    char path[128];
    int n = 0;
    snprintf(path, sizeof(path), "%s/%s", t->dir, name);
    auto_closedir DIR *d = opendir(path);
    for (struct dirent *de; d && (de = readdir(d));)
        n += de->d_name[0] != '.';
    return n;
}

enum vm_state test_state(struct test_host *t, const char *id)
{
    struct vm_info v = {0};
    struct err e = ERR_INIT;
    if (host_vm_get(t->host, t->account, id, &v, &e) < 0)
        return VM_DELETED;
    enum vm_state state = v.state;
    vm_info_done(&v);
    return state;
}

void test_await_state(struct test_host *t, const char *id, enum vm_state state)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (test_state(t, id) != state) {
        if (clock_mono_ms() > until_ms)
            fail_msg("vm is %s, not %s", lifecycle_state_name(test_state(t, id)),
                     lifecycle_state_name(state));
        poll(NULL, 0, 5); /* the host tells nobody of a change of state */
    }
}

int test_host_setup_with(void **state, const char *const *settings)
{
    struct test_host *t = calloc(1, sizeof(*t));
    test_host_init(t, settings);
    *state = t;
    return 0;
}

int test_host_setup(void **state)
{
    return test_host_setup_with(state, NULL);
}

int test_host_teardown(void **state)
{
    test_host_done(*state);
    free(*state);
    return 0;
}

void test_assert_err(int r, const struct err *e, enum err_class class, const char *text)
{
    assert_true(r < 0);
    if (e->class != class || !strstr(e->text, text))
        fail_msg("%s: %s", err_class_name(e->class), e->text);
}

void test_launch(struct test_host *t, const struct vm_launch *rq, struct vm_info *ret)
{
    struct err e = ERR_INIT;
    struct vm_launch mine = *rq;
    struct vm_info v = {0};
    if (!mine.account)
        mine.account = t->account;
    if (host_vm_launch(t->host, &mine, &v, &e) < 0)
        fail_msg("launch: %s", e.text);
    test_await_state(t, v.id, VM_RUNNING);
    char id[ID_SIZE];
    memcpy(id, v.id, sizeof(id));
    vm_info_done(&v);
    assert_int_equal(0, host_vm_get(t->host, mine.account, id, ret, &e));
}

void test_launch_default(struct test_host *t, char ret_id[ID_SIZE])
{
    struct vm_info v;
    test_launch(t, &(struct vm_launch){0}, &v);
    memcpy(ret_id, v.id, ID_SIZE);
    vm_info_done(&v);
}

static int collect(void *arg, int stream, const void *data, size_t len)
{
    return stream == 1 ? buf_append(arg, data, len) : 0;
}

const char *test_script(struct test_host *t, const char *id, const char *script)
{
    static char text[65536];
    auto_buf struct buf out = {.max_bytes = sizeof(text) - 1};
    const char *argv[] = {"sh", "-c", script};
    struct vm_exec x = {.argv = argv, .n_argv = 3, .output = collect, .arg = &out};
    struct exec_exit exit = {0};
    struct err e = ERR_INIT;
    if (host_vm_exec(t->host, t->account, id, &x, &exit, &e) < 0)
        fail_msg("exec %s: %s", script, e.text);
    assert_int_equal(0, exit.code);
    strcpy(text, buf_str(&out));
    return text;
}
