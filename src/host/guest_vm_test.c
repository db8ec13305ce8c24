/* SPDX-License-Identifier: Apache-2.0 */

/* The typed calls against the agent in a real guest, which is its init: what an agent on a host
 * does not do, and with `bench` as the third argument, how fast it is. Needs root, QEMU and the
 * images; exits 77 (skipped) without.
 *
 *     guest_vm_test AGENT SOURCE_ROOT [bench] */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/proc.h"
#include "engine/engine.h"
#include "host/guest.h"

#define LONG_MS 300000
#define MEMORY_MIB 256
#define GUEST_UID 1700010000u

static struct {
    const char *agent, *root;
    char dir[64];
    char kernel_dir[128];
    char vm_dir[128];
    struct engine *en;
    struct monitor vm;
    struct link_loop *loop;
    struct link *link;
} t;

/* In the call, `ep` is where its error goes. */
#define OK(call)                                          \
    do {                                                  \
        struct err ok_err = ERR_INIT, *ep = &ok_err;      \
        int ok_r = (call);                                \
        if (ok_r < 0)                                     \
            fail_msg("%s: %d %s", #call, ok_r, ep->text); \
    } while (0)

static struct link_wait until(int ms)
{
    return (struct link_wait){.deadline_ms = clock_mono_ms() + ms};
}

static int64_t soon(void)
{
    return clock_mono_ms() + LONG_MS;
}

static const char *data_dir(void)
{
    const char *dir = getenv("HOLM_DATA");
    return dir ? dir : "/var/lib/holm";
}

/* --- the machine --- */

/* An initramfs with this build's agent. */
static void make_initrd(void)
{
    static const char *const names[] = {"vmlinuz", "version", "config", "modules"};
    char program[256], initrd[256];
    path_printf(t.kernel_dir, sizeof(t.kernel_dir), "%s/kernel", t.dir);
    assert_int_equal(mkdir(t.kernel_dir, 0755), 0);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char from[256], to[256];
        path_printf(from, sizeof(from), "%s/kernel/%s", data_dir(), names[i]);
        path_printf(to, sizeof(to), "%s/%s", t.kernel_dir, names[i]);
        assert_int_equal(symlink(from, to), 0);
    }
    path_printf(program, sizeof(program), "%s/images/initramfs", t.root);
    path_printf(initrd, sizeof(initrd), "%s/initrd.img", t.kernel_dir);
    const char *const argv[] = {program,      "--agent", t.agent, "--kernel",
                                t.kernel_dir, "--out",   initrd,  NULL};
    OK(proc_run(argv, LONG_MS, NULL, ep));
}

static void connect_link(const struct monitor *m, struct link **ret)
{
    struct err e = ERR_INIT;
    int fd = engine_connect_agent(t.en, m, &e);
    if (fd < 0)
        fail_msg("connect: %s", e.text);
    OK(link_open(t.loop, fd, LONG_MS, ret, ep));
    struct link_wait w = until(LONG_MS);
    struct guest_identity who = {.id = "abc123", .hostname = "vm-test"};
    OK(guest_restored(*ret, &w, &who, NULL, ep));
}

static int setup(void **state)
{
    const struct engine_config config = {.qemu_binary = "qemu-system-x86_64",
                                         .accel = "auto",
                                         .helper_dir = getenv("HOLM_HELPER_DIR"),
                                         .jail = true};
    char kernel[256], initrd[256], rootfs[256];
    static char id[ID_SIZE];
    snprintf(t.dir, sizeof(t.dir), "/var/tmp/holm-guest-XXXXXX");
    assert_non_null(mkdtemp(t.dir));
    assert_int_equal(chmod(t.dir, 0755), 0);
    make_initrd();
    path_printf(kernel, sizeof(kernel), "%s/vmlinuz", t.kernel_dir);
    path_printf(initrd, sizeof(initrd), "%s/initrd.img", t.kernel_dir);
    path_printf(rootfs, sizeof(rootfs), "%s/images/bash/rootfs.ext4", data_dir());
    path_printf(t.vm_dir, sizeof(t.vm_dir), "%s/vm", t.dir);
    assert_int_equal(mkdir(t.vm_dir, 0700), 0);
    id_new(id);
    OK(engine_new("qemu", &config, &t.en, ep));
    struct vm_spec spec = {
        .id = id,
        .vm_dir = t.vm_dir,
        .shape = {.vcpus = 1, .memory_mib = MEMORY_MIB},
        .uid = GUEST_UID,
        .ephemeral = true,
        .kernel = kernel,
        .initrd = initrd,
        .rootfs = rootfs,
        .disk_bytes = 3 * GIB,
    };
    OK(engine_boot(t.en, &spec, &t.vm, ep));
    OK(link_loop_new(&t.loop, ep));
    connect_link(&t.vm, &t.link);
    return 0;
}

static int teardown(void **state)
{
    link_close(t.link);
    link_loop_free(t.loop);
    if (t.vm.proc.pid)
        (void)engine_kill(t.en, &t.vm, NULL);
    engine_free(t.en);
    dir_remove(t.dir);
    return 0;
}

/* --- programs --- */

struct collected {
    struct buf out;
};

static int collect(void *arg, int stream, const void *data, size_t len)
{
    struct collected *c = arg;
    return buf_append(&c->out, data, len);
}

/* The output of both streams of a login shell's command. */
static void sh(const char *script, struct collected *c)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    struct exec_spec spec = {.argv = (char **)argv, .login = true};
    struct guest_exec x = {.spec = &spec, .output = collect, .arg = c, .deadline_ms = soon()};
    struct exec_exit exit;
    buf_clear(&c->out);
    OK(guest_exec(t.link, &x, &exit, ep));
}

static void expect_sh(const char *script, const char *want)
{
    struct collected c = {0};
    sh(script, &c);
    assert_string_equal(buf_str(&c.out), want);
    buf_done(&c.out);
}

static void test_identity(void **state)
{
    expect_sh("hostname; cat /run/holm/vm.json",
              "vm-test\n{\"id\":\"abc123\",\"hostname\":\"vm-test\"}\n");
}

static void test_login(void **state)
{
    expect_sh("echo $HOME $USER $SHELL $LANG; pwd; id -un",
              "/root root /bin/bash C.UTF-8\n/root\nroot\n");
}

/* The card is there in every machine; nobody is at its other end here. */
static void test_network(void **state)
{
    expect_sh(
        "grep -c eth0 /proc/net/dev; grep -c '^eth0' /proc/net/route;"
        "grep -c '^fd00686f6c6d00000000000000000002.* eth0$' /proc/net/if_inet6;"
        "grep -c '^0*00 00 .* fd00686f6c6d00000000000000000001 .* eth0$' /proc/net/ipv6_route",
        "1\n2\n1\n1\n");
}

static void test_grow(void **state)
{
    struct collected c = {0};
    sh("stat -f -c %b /", &c);
    long before = atol(buf_str(&c.out));
    OK(guest_grow(t.link, 1, soon(), ep));
    sh("stat -f -c %b /", &c);
    assert_true(atol(buf_str(&c.out)) > before * 5 / 4);
    OK(guest_grow(t.link, 1, soon(), ep)); /* again: nothing to do */
    buf_done(&c.out);
}

static void test_terminal(void **state)
{
    char *argv[] = {NULL};
    struct exec_spec spec = {.argv = argv, .login = true, .pty_rows = 10, .pty_cols = 40};
    struct guest_program *p;
    struct exec_exit exit;
    struct link_wait w = until(LONG_MS);
    auto_buf struct buf got = {0};
    int stream;
    char some[512];
    OK(guest_program_open(t.link, &spec, &w, &p, ep));
    OK(guest_program_resize(p, 30, 100, &w, ep));
    static const char text[] = "stty size; tty; exit 7\n";
    OK(guest_program_write(p, text, strlen(text), &w, ep));
    for (ssize_t n; (n = guest_program_read(p, some, sizeof(some), &stream, &w, NULL)) > 0;)
        buf_append(&got, some, (size_t)n);
    guest_program_exit(p, &exit);
    guest_program_free(p);
    assert_int_equal(exit.code, 7);
    assert_non_null(strstr(buf_str(&got), "30 100\r\n"));
    assert_non_null(strstr(buf_str(&got), "/dev/pts/"));
}

/* An address that is not the guest's is, for as long as somebody accepts there. */
static void test_accept(void **state)
{
    const char *argv[] = {
        "bash", "-c", "exec 3<>/dev/tcp/169.254.1.1/80; echo ping >&3; read x <&3; echo $x", NULL};
    struct exec_spec spec = {.argv = (char **)argv, .login = true};
    struct guest_program *p;
    struct link_stream *s;
    struct link_wait w = until(LONG_MS);
    char got[64];
    int stream;
    /* The acceptor is there first, without a connection: a second request keeps it alive. */
    struct link_head head = {"POST", "/v1/accept?port=80&address=169.254.1.1", .has_body = true};
    struct link_stream *keep;
    OK(link_stream_open(t.link, &head, &w, &keep, ep));
    OK(guest_program_open(t.link, &spec, &w, &p, ep));
    int status;
    OK(link_stream_status(keep, &w, &status, ep));
    s = keep;
    assert_int_equal(status, 200);
    assert_int_equal(link_stream_read(s, got, sizeof(got), &w, NULL), 5);
    assert_memory_equal(got, "ping\n", 5);
    OK(link_stream_write(s, "pong\n", 5, &w, ep));
    assert_int_equal(guest_program_read(p, got, sizeof(got), &stream, &w, NULL), 5);
    assert_memory_equal(got, "pong\n", 5);
    guest_program_free(p);
    link_stream_free(s);
    expect_sh("sleep 0.2; grep -c 169.254.1.1 /proc/net/fib_trie", "0\n");
}

struct job_text {
    struct buf out;
};

static int take_job(void *arg, int stream, int64_t offset, const void *data, size_t len)
{
    return buf_append(arg, data, len);
}

/* A job and a program go on in a session that follows, when it says so. */
static void test_sessions(void **state)
{
    const char *argv[] = {"sh", "-c", "echo up; read x </tmp/fifo; echo $x", NULL};
    const char *orphan[] = {"sh", "-c", "echo $$ >/tmp/pid; exec sleep 1000", NULL};
    struct exec_spec spec = {.argv = (char **)argv, .login = true, .job = (char *)"j1"};
    struct exec_spec other = {.argv = (char **)orphan, .login = true};
    struct guest_program *p;
    struct link_wait w = until(LONG_MS);
    auto_buf struct buf got = {0};
    expect_sh("mkfifo /tmp/fifo", "");
    OK(guest_job_start(t.link, &spec, NULL, 0, soon(), ep));
    OK(guest_program_open(t.link, &other, &w, &p, ep));
    expect_sh("while ! test -s /tmp/pid; do :; done", "");
    link_close(t.link);
    guest_program_free(p);
    struct guest_identity who = {.keep = true};
    struct err e = ERR_INIT;
    int fd = engine_connect_agent(t.en, &t.vm, &e);
    OK(link_open(t.loop, fd, LONG_MS, &t.link, ep));
    OK(guest_restored(t.link, &w, &who, NULL, ep));
    expect_sh("kill -0 $(cat /tmp/pid) && echo kept; kill $(cat /tmp/pid)", "kept\n");
    expect_sh("echo go >/tmp/fifo", "");
    struct guest_job_output o = {.follow = true, .output = take_job, .arg = &got};
    OK(guest_job_output(t.link, "j1", &o, ep));
    assert_string_equal(buf_str(&got), "up\ngo\n");
    assert_int_equal(o.exit.code, 0);
}

static int take_console(int fd, struct buf *got, const char *want)
{
    int64_t deadline_ms = soon();
    while (!strstr(buf_str(got), want) && clock_mono_ms() < deadline_ms) {
        char *room = buf_reserve(got, 4096);
        ssize_t n = read(fd, room, 4096);
        if (n <= 0)
            return -1;
        got->len += (size_t)n;
        got->data[got->len] = '\0';
    }
    return 0;
}

static void test_console(void **state)
{
    struct err e = ERR_INIT;
    auto_buf struct buf got = {0};
    auto_close int fd = engine_connect_console(t.en, &t.vm, &e);
    if (fd < 0)
        fail_msg("%s", e.text);
    static const char text[] = "echo \"<$((40 + 2)) $(id -un) $(tty)>\"\r";
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(take_console(fd, &got, "<42 root /dev/ttyS0>"), 0);
    assert_int_equal(write(fd, "exit\r", 5), 5);
}

/* --- how fast --- */

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void bench_exec(void)
{
    enum { N = 60 };
    const char *argv[] = {"/bin/true", NULL};
    struct exec_spec spec = {.argv = (char **)argv};
    int64_t us[N], inside[N];
    for (int i = 0; i < N; i++) {
        struct guest_exec x = {.spec = &spec, .deadline_ms = soon()};
        struct exec_exit exit;
        int64_t start_us = clock_mono_us();
        OK(guest_exec(t.link, &x, &exit, ep));
        us[i] = clock_mono_us() - start_us;
        inside[i] = exit.wall_us;
    }
    qsort(us + 10, N - 10, sizeof(*us), compare);
    qsort(inside + 10, N - 10, sizeof(*us), compare);
    printf("exec /bin/true: p50 %lld us, p90 %lld us; in the guest p50 %lld us\n",
           (long long)us[10 + (N - 10) / 2], (long long)us[10 + (N - 10) * 9 / 10],
           (long long)inside[10 + (N - 10) / 2]);
    for (int i = 0; i < N; i++) {
        int64_t start_us = clock_mono_us();
        OK(guest_wait_ready(t.link, soon(), NULL, ep));
        us[i] = clock_mono_us() - start_us;
    }
    qsort(us + 10, N - 10, sizeof(*us), compare);
    printf("ready: p50 %lld us\n", (long long)us[10 + (N - 10) / 2]);
}

static void cpu_us(int64_t ret[2])
{
    struct monitor_stats st;
    struct rusage u;
    OK(engine_stats(t.en, &t.vm, &st, ep));
    getrusage(RUSAGE_SELF, &u);
    ret[0] = (int64_t)st.cpu_us;
    ret[1] = (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000LL + u.ru_utime.tv_usec +
             u.ru_stime.tv_usec;
}

static long rss_kib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

/* CPU time of the monitor and of this process: what the figures of a busy machine do not tell. */
static void print_cpu(const char *what, size_t mib, int64_t us, const int64_t before[2])
{
    int64_t after[2];
    cpu_us(after);
    printf("%s %zu MiB: %.1f MB/s; monitor %.1f ms/MiB, we %.2f ms/MiB; our memory at most %ld "
           "KiB\n",
           what, mib, (double)mib * 1048576 / (double)us,
           (double)(after[0] - before[0]) / 1000 / (double)mib,
           (double)(after[1] - before[1]) / 1000 / (double)mib, rss_kib());
}

static void bench_write(size_t mib)
{
    static char block[256 * 1024];
    const struct guest_file f = {.path = "/var/tmp/big", .mode = 0600};
    struct link_stream *s;
    struct link_wait w = until(LONG_MS);
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (char)(i * 2654435761u >> 15);
    int64_t cpu[2], start_us = clock_mono_us();
    cpu_us(cpu);
    OK(guest_open_write(t.link, &f, &w, &s, ep));
    for (size_t i = 0; i < mib * 4; i++)
        OK(link_stream_write(s, block, sizeof(block), &w, ep));
    OK(link_stream_end(s, &w, ep));
    OK(guest_finish_write(s, &w, ep));
    int64_t us = clock_mono_us() - start_us;
    link_stream_free(s);
    print_cpu("write", mib, us, cpu);
}

static void bench_read(size_t mib)
{
    static char block[256 * 1024];
    struct guest_range g = {"/var/tmp/big", 0, -1};
    struct link_stream *s;
    struct link_wait w = until(LONG_MS);
    size_t bytes = 0;
    int64_t cpu[2], start_us = clock_mono_us();
    cpu_us(cpu);
    OK(guest_open_read(t.link, &g, &w, &s, ep));
    for (ssize_t n; (n = link_stream_read(s, block, sizeof(block), &w, NULL)) > 0;)
        bytes += (size_t)n;
    int64_t us = clock_mono_us() - start_us;
    link_stream_free(s);
    assert_true(bytes == mib * MIB);
    print_cpu("read", mib, us, cpu);
}

static void bench(void **state)
{
    const char *mib = getenv("BENCH_MIB");
    size_t n = mib ? (size_t)atoi(mib) : 256;
    setlinebuf(stdout);
    if (getenv("BENCH_SCRIPT")) {
        struct collected c = {0};
        sh(getenv("BENCH_SCRIPT"), &c);
        printf("%s", buf_str(&c.out));
        buf_done(&c.out);
    }
    OK(guest_grow(t.link, 1, soon(), ep));
    bench_exec();
    bench_write(n);
    bench_read(n);
    bench_exec();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity), cmocka_unit_test(test_login),
        cmocka_unit_test(test_network),  cmocka_unit_test(test_grow),
        cmocka_unit_test(test_terminal), cmocka_unit_test(test_accept),
        cmocka_unit_test(test_sessions), cmocka_unit_test(test_console),
    };
    const struct CMUnitTest benches[] = {cmocka_unit_test(bench)};
    char image[256];
    if (argc < 3)
        return 77;
    t.agent = argv[1];
    t.root = argv[2];
    path_printf(image, sizeof(image), "%s/images/bash/rootfs.ext4", data_dir());
    if (geteuid() != 0 || access(image, R_OK) < 0)
        return 77;
    if (argc > 3)
        return cmocka_run_group_tests(benches, setup, teardown);
    return cmocka_run_group_tests(tests, setup, teardown);
}
