/* SPDX-License-Identifier: Apache-2.0 */

/* Programs that wait. The one of these tests is this program itself: --wait MANNER. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/test_client.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/test.h"
#include "wire/hello.h"

#define SELF "/proc/self/exe"
#define JOBS_FD 3
#define READY_FD 4

/* --- the program that waits --- */

static char *take_field(char **at)
{
    char *field = *at;
    *at += strlen(field) + 1;
    return field;
}

/* The whole job, its fields ended by NULs. */
static char *read_job(void)
{
    char head[32];
    size_t n = 0;
    while (n < sizeof(head) - 1 && read(JOBS_FD, head + n, 1) == 1 && head[n] != '\n')
        n++;
    head[n] = '\0';
    size_t len = strtoul(head, NULL, 10);
    char *job = n ? malloc(len) : NULL;
    if (!job || fd_read_all(JOBS_FD, job, len) < 0)
        _exit(0); /* nobody wants it any more */
    return job;
}

static int count_fds(void)
{
    int n = 0;
    auto_closedir DIR *d = opendir("/proc/self/fd");
    while (readdir(d))
        n++;
    return n - 3; /* ".", ".." and the directory */
}

/* Says what it was told, then does what its first argument says. */
static _Noreturn void become(char *at)
{
    char *args[8] = {NULL}, *cwd = take_field(&at), buf[4096];
    int n = atoi(take_field(&at));
    size_t bytes = 0;
    for (int i = 0; i < n; i++) {
        char *arg = take_field(&at);
        bytes += strlen(arg);
        if (i < 8)
            args[i] = arg;
    }
    close(JOBS_FD);
    close(READY_FD);
    printf("cwd %s args %d first \"%s\" bytes %zu fds %d\n", cwd, n, args[0] ? args[0] : "", bytes,
           count_fds());
    for (n = atoi(take_field(&at)); n > 0; n--)
        puts(take_field(&at));
    fflush(stdout);
    if (args[0] && strcmp(args[0], "hang") == 0)
        pause();
    for (ssize_t got; (got = read(0, buf, sizeof(buf))) > 0;)
        fwrite(buf, 1, (size_t)got, stdout);
    fflush(stdout);
    fputs("end\n", stderr);
    exit(7);
}

static void burn(long ms)
{
    struct rusage u;
    do
        getrusage(RUSAGE_SELF, &u);
    while (u.ru_utime.tv_sec * 1000 + u.ru_utime.tv_usec / 1000 < ms);
}

/* Before it is ready; what does not return never is. */
static void prepare(const char *manner, const char *fifo)
{
    char junk[4096] = "junk";
    if (strcmp(manner, "die") == 0) {
        fputs("no such module\n", stderr);
        exit(3);
    }
    while (strcmp(manner, "silent") == 0)
        pause();
    while (strcmp(manner, "flood") == 0)
        fwrite(junk, 1, sizeof(junk), stdout);
    if (strcmp(manner, "chatter") == 0 && write(READY_FD, "RR", 2) < 0)
        exit(1);
    if (strcmp(manner, "busy") == 0)
        burn(300);
    if (fifo && open(fifo, O_WRONLY) < 0)
        exit(1);
    if (strcmp(manner, "fork") == 0 && fork() == 0)
        pause();
}

static _Noreturn void wait_here(const char *manner, const char *fifo)
{
    prepare(manner, fifo);
    puts("noise that nobody shall see");
    fflush(stdout);
    for (;;) {
        if (write(READY_FD, "R", 1) != 1)
            exit(1);
        char *job = read_job(), *at = job;
        if (strcmp(take_field(&at), "run") == 0)
            become(at);
        if (strcmp(manner, "stuck") == 0)
            pause();
        puts("rehearsed");
        fflush(stdout);
        free(job);
    }
}

/* --- requests --- */

static void post(struct test_client *t, struct test_request *q, const char *path,
                 const struct exec_spec *spec)
{
    auto_buf struct buf json = {0};
    assert_int_equal(0, exec_spec_encode(spec, &json, NULL));
    q->method = "POST";
    q->path = path;
    test_request(t, q, json.data, json.len, true);
}

static void post_wait(struct test_client *t, struct test_request *q, const char *path,
                      const struct exec_spec *spec)
{
    post(t, q, path, spec);
    test_wait_closed(q);
}

/* Starts one that waits, and returns its pid. */
static pid_t start(struct test_client *t, const char *path, const char *manner)
{
    auto_test_request struct test_request q = {0};
    struct exec_spec spec = {.argv = ARGV(SELF, "--wait", manner), .timeout_ms = TEST_WAIT_MS};
    int pid = 0;
    post_wait(t, &q, path, &spec);
    if (q.status != 200)
        fail_msg("%d %s", q.status, buf_str(&q.answer));
    assert_int_equal(1, sscanf(buf_str(&q.answer), "{\"pid\":%d}", &pid));
    return pid;
}

static struct exec_spec run_spec(char **argv)
{
    return (struct exec_spec){.argv = argv, .warm = (char *)(uintptr_t) "run"};
}

static void run(struct test_client *t, struct test_request *q, char **argv)
{
    struct exec_spec spec = run_spec(argv);
    q->keep_out = true;
    test_exec(t, q, &spec, true);
    test_wait_closed(q);
}

static void expect_refusal(const struct test_request *q, int status, const char *want)
{
    assert_string_equal(want, buf_str(&q->answer));
    assert_int_equal(status, q->status);
}

/* --- the hand-over --- */

static void test_hand_over(void **state)
{
    auto_test_request struct test_request q = {.keep_out = true};
    struct exec_spec spec = run_spec(ARGV("", "two"));
    spec.env = ARGV("A=1", "B=");
    spec.cwd = (char *)(uintptr_t) "/usr";
    spec.has_stdin = true;
    pid_t pid = start(*state, "/v1/warm?id=run", "plain");
    test_exec(*state, &q, &spec, false);
    test_send_frame(&q, FRAME_STDIN, "in\0put", 6);
    test_send(&q, NULL, 0, true);
    test_wait_closed(&q);
    static const char want[] = "cwd /usr args 2 first \"\" bytes 3 fds 3\nA=1\nB=\nin\0put";
    assert_int_equal(pid, q.pid);
    assert_int_equal(sizeof(want) - 1, q.out.len);
    assert_memory_equal(want, q.out.data, q.out.len);
    assert_string_equal("end\n", buf_str(&q.err));
    assert_int_equal(7, q.exit.code);
    assert_int_equal(q.out.len, q.exit.stdout_bytes);

    auto_test_request struct test_request again = {0};
    run(*state, &again, ARGV("x"));
    expect_refusal(&again, 409, "{\"error\":\"no program run waits\"}");
}

/* Without input there is nothing to read, as with /dev/null. */
static void test_no_input(void **state)
{
    auto_test_request struct test_request q = {0};
    start(*state, "/v1/warm?id=run", "plain");
    run(*state, &q, ARGV("x"));
    assert_string_equal("cwd / args 1 first \"x\" bytes 1 fds 3\n", buf_str(&q.out));
    assert_int_equal(7, q.exit.code);
}

/* More than a pipe holds. */
static void test_large_job(void **state)
{
    enum { ARGS = 16, BYTES = 60000 };
    auto_test_request struct test_request q = {0};
    char *argv[ARGS + 1] = {NULL}, want[128];
    auto_free char *arg = calloc(1, BYTES + 1);
    memset(arg, 'x', BYTES);
    for (int i = 0; i < ARGS; i++)
        argv[i] = i ? arg : (char *)(uintptr_t) "";
    start(*state, "/v1/warm?id=run", "plain");
    run(*state, &q, argv);
    snprintf(want, sizeof(want), "cwd / args %d first \"\" bytes %d fds 3\n", ARGS,
             (ARGS - 1) * BYTES);
    assert_string_equal(want, buf_str(&q.out));
}

static void test_timeout(void **state)
{
    auto_test_request struct test_request q = {.keep_out = true};
    struct exec_spec spec = run_spec(ARGV("hang"));
    spec.timeout_ms = 100;
    start(*state, "/v1/warm?id=run", "fork");
    test_exec(*state, &q, &spec, true);
    test_wait_closed(&q);
    assert_true(q.exit.timed_out);
    assert_int_equal(SIGKILL, q.exit.signal);
}

static void test_signal(void **state)
{
    auto_test_request struct test_request q = {.keep_out = true};
    struct exec_spec spec = run_spec(ARGV("hang"));
    uint8_t sig[] = {0, SIGTERM};
    start(*state, "/v1/warm?id=run", "plain");
    test_exec(*state, &q, &spec, false);
    test_wait_started(&q);
    test_send_frame(&q, FRAME_SIGNAL, sig, sizeof(sig));
    test_wait_closed(&q);
    assert_int_equal(SIGTERM, q.exit.signal);
}

/* What it took to become ready is not the program's. */
static void test_times(void **state)
{
    auto_test_request struct test_request q = {0};
    start(*state, "/v1/warm?id=run", "busy");
    run(*state, &q, ARGV("x"));
    assert_true(q.exit.user_us + q.exit.system_us < 200000);
    assert_true(q.exit.user_us >= 0 && q.exit.system_us >= 0 && q.exit.wall_us > 0);
    assert_int_equal(7, q.exit.code);
}

static int open_fifo(const char *dir, char ret_path[PATH_MAX])
{
    assert_int_equal(0, path_printf(ret_path, PATH_MAX, "%s/fifo", dir));
    assert_int_equal(0, mkfifo(ret_path, 0600));
    int fd = open(ret_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* Waits until no process has the FIFO open for writing: those that had it are gone. */
static void wait_fifo_closed(int fd)
{
    char c;
    assert_int_equal(0, fd_set_nonblock(fd, false));
    while (read(fd, &c, 1) > 0)
        ;
}

static pid_t start_with_fifo(struct test_client *t, const char *manner, const char *fifo)
{
    auto_test_request struct test_request q = {0};
    struct exec_spec spec = {.argv = ARGV(SELF, "--wait", manner, fifo)};
    int pid = 0;
    post_wait(t, &q, "/v1/warm?id=run", &spec);
    assert_int_equal(1, sscanf(buf_str(&q.answer), "{\"pid\":%d}", &pid));
    return pid;
}

static void test_cancel_kills_group(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char path[PATH_MAX];
    auto_close int fifo = open_fifo(dir, path);
    start_with_fifo(*state, "fork", path);
    auto_test_request struct test_request q = {.keep_out = true}, other = {0};
    struct exec_spec spec = run_spec(ARGV("hang"));
    test_exec(*state, &q, &spec, false);
    test_wait_started(&q);
    agent_client_cancel(q.client->http, q.stream);
    q.closed = true;
    test_sh(*state, &other, "true"); /* sends the cancellation */
    wait_fifo_closed(fifo);
}

/* Nothing else waits once the program runs that a machine is for. */
static void test_alone(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char path[PATH_MAX];
    auto_close int fifo = open_fifo(dir, path);
    start_with_fifo(*state, "plain", path);
    start(*state, "/v1/warm?id=other", "plain");
    auto_test_request struct test_request q = {.keep_out = true}, again = {0};
    struct exec_spec spec = {.argv = ARGV("x"), .warm = (char *)(uintptr_t) "other"};
    spec.alone = true;
    test_exec(*state, &q, &spec, true);
    test_wait_closed(&q);
    assert_int_equal(7, q.exit.code);
    wait_fifo_closed(fifo);
    run(*state, &again, ARGV("x"));
    expect_refusal(&again, 409, "{\"error\":\"no program run waits\"}");
}

/* --- what goes wrong --- */

/* Killed behind the agent's back: what it had started goes too, and its name is free. */
static void test_killed(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char path[PATH_MAX];
    auto_close int fifo = open_fifo(dir, path);
    auto_test_request struct test_request q = {0}, again = {0};
    pid_t pid = start_with_fifo(*state, "fork", path);
    assert_int_equal(0, kill(pid, SIGKILL));
    wait_fifo_closed(fifo);
    run(*state, &q, ARGV("x"));
    expect_refusal(&q, 409, "{\"error\":\"no program run waits\"}");
    start(*state, "/v1/warm?id=run", "plain");
    run(*state, &again, ARGV("x"));
    assert_int_equal(7, again.exit.code);
}

static void test_failures(void **state)
{
    static const struct {
        const char *manner;
        int timeout_ms;
        const char *want;
    } rows[] = {
        {"die", 0, "it ended with code 3: no such module\\n"},
        {"silent", 100, "it was not ready in time"},
        {"flood", 0, "it writes without end"},
        {"chatter", 0, "it does not keep to the protocol"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char want[256];
        auto_test_request struct test_request q = {0};
        struct exec_spec spec = {.argv = ARGV(SELF, "--wait", rows[i].manner),
                                 .timeout_ms = rows[i].timeout_ms};
        post_wait(*state, &q, "/v1/warm?id=run", &spec);
        snprintf(want, sizeof(want), "{\"error\":\"waiting program run: %s\"}", rows[i].want);
        expect_refusal(&q, 409, want);
    }
}

static void test_refusals(void **state)
{
    static const struct {
        const char *path, *body;
        int status;
        const char *want;
    } rows[] = {
        {"/v1/warm", "", 400,
         "{\"error\":\"id must be 1 to 32 characters of 0-9a-z\",\"field\":\"id\"}"},
        {"/v1/warm?id=A", "", 400,
         "{\"error\":\"id must be 1 to 32 characters of 0-9a-z\",\"field\":\"id\"}"},
        {"/v1/warm?id=a&x=1", "", 400,
         "{\"error\":\"unknown parameter \\\"x\\\"\",\"field\":\"x\"}"},
        {"/v1/warm?id=a", "{}", 400,
         "{\"error\":\"argv must be a list of strings\",\"field\":\"argv\"}"},
        {"/v1/warm?id=a", "{\"argv\":[\"a\"],\"job\":\"a\"}", 400,
         "{\"error\":\"a waiting program is no job, and has no terminal, login or user\","
         "\"field\":\"job\"}"},
        {"/v1/warm?id=a", "{\"argv\":[\"a\"],\"pty\":{\"rows\":1,\"cols\":1}}", 400,
         "{\"error\":\"a waiting program is no job, and has no terminal, login or user\","
         "\"field\":\"pty\"}"},
        {"/v1/warm?id=a", "{\"argv\":[\"a\"],\"warm\":\"a\"}", 400,
         "{\"error\":\"this is how one is started\",\"field\":\"warm\"}"},
        {"/v1/warm?id=a", "{\"argv\":[\"no-such-program\"]}", 400,
         "{\"error\":\"argv[0] \\\"no-such-program\\\": not found\",\"field\":\"argv\"}"},
        {"/v1/warm/rehearse", "{\"argv\":[\"a\"]}", 400,
         "{\"error\":\"warm must say which program rehearses\",\"field\":\"warm\"}"},
        {"/v1/warm/rehearse", "{\"argv\":[],\"warm\":\"a\"}", 409,
         "{\"error\":\"no program a waits\"}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_test_request struct test_request q = {.method = "POST", .path = rows[i].path};
        test_request(*state, &q, rows[i].body, strlen(rows[i].body), true);
        test_wait_closed(&q);
        expect_refusal(&q, rows[i].status, rows[i].want);
    }
}

static void test_names_and_numbers(void **state)
{
    auto_test_request struct test_request twice = {0}, many = {0}, user = {0};
    struct exec_spec spec = {.argv = ARGV(SELF, "--wait", "plain")};
    struct exec_spec other = run_spec(ARGV("x"));
    start(*state, "/v1/warm?id=run", "plain");
    post_wait(*state, &twice, "/v1/warm?id=run", &spec);
    expect_refusal(&twice, 409, "{\"error\":\"there is a waiting program run already\"}");
    for (int i = 1; i < AGENT_WARM_MAX; i++) {
        char path[64];
        snprintf(path, sizeof(path), "/v1/warm?id=n%d", i);
        start(*state, path, "plain");
    }
    post_wait(*state, &many, "/v1/warm?id=more", &spec);
    expect_refusal(&many, 409, "{\"error\":\"8 programs wait already\"}");
    other.uid = 1;
    test_exec(*state, &user, &other, true);
    test_wait_closed(&user);
    expect_refusal(&user, 409, "{\"error\":\"the waiting program run is another user's\"}");
}

/* Who starts one and goes away leaves nothing behind. */
static void test_cancelled_start(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char path[PATH_MAX], c;
    auto_close int fifo = open_fifo(dir, path);
    auto_test_request struct test_request q = {0}, other = {0};
    struct exec_spec spec = {.argv = ARGV("sh", "-c", "exec 9>$0; echo up >&9; sleep 1000", path)};
    post(*state, &q, "/v1/warm?id=run", &spec);
    test_sh(*state, &other, "true");
    assert_int_equal(0, fd_set_nonblock(fifo, false));
    assert_int_equal(1, read(fifo, &c, 1)); /* it runs */
    agent_client_cancel(q.client->http, q.stream);
    q.closed = true;
    auto_test_request struct test_request sent = {0};
    test_sh(*state, &sent, "true");
    wait_fifo_closed(fifo);
}

/* --- rehearsals --- */

static void test_rehearse(void **state)
{
    auto_test_request struct test_request first = {0}, second = {0}, q = {0};
    struct exec_spec spec = run_spec(ARGV(NULL));
    spec.timeout_ms = TEST_WAIT_MS;
    pid_t pid = start(*state, "/v1/warm?id=run", "plain");
    post_wait(*state, &first, "/v1/warm/rehearse", &spec);
    assert_int_equal(200, first.status);
    post_wait(*state, &second, "/v1/warm/rehearse", &spec);
    assert_int_equal(200, second.status);
    run(*state, &q, ARGV("x"));
    assert_int_equal(pid, q.pid);
    assert_string_equal("cwd / args 1 first \"x\" bytes 1 fds 3\n", buf_str(&q.out));
}

static void test_stuck_rehearsal(void **state)
{
    auto_test_request struct test_request q = {0}, busy = {0}, gone = {0};
    struct exec_spec spec = run_spec(ARGV("x"));
    spec.timeout_ms = 200;
    start(*state, "/v1/warm?id=run", "stuck");
    post(*state, &q, "/v1/warm/rehearse", &spec);
    run(*state, &busy, ARGV("x"));
    expect_refusal(&busy, 409, "{\"error\":\"the waiting program run is not ready\"}");
    test_wait_closed(&q);
    expect_refusal(&q, 409, "{\"error\":\"waiting program run: it was not ready in time\"}");
    run(*state, &gone, ARGV("x"));
    expect_refusal(&gone, 409, "{\"error\":\"no program run waits\"}");
}

/* --- sessions --- */

/* Nothing came from the first client's last word on, as after a restore; what ran is killed, what
 * waits is not. */
static void test_restore(void **state)
{
    struct test_client next, *t = *state;
    char line[HELLO_LINE_SIZE];
    pid_t pid = start(t, "/v1/warm?id=run", "plain");
    int fd = dup(t->fd);
    hello_line("00000000000000000000000000000000", line);
    /* A frame that is none ends the session; what follows is looked at for a hello. */
    assert_int_equal(0, fd_write_all(fd, "\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9));
    assert_int_equal(0, fd_write_all(fd, line, HELLO_LINE_LEN));
    test_client_connect(&next, fd);
    test_restored(&next, false);
    auto_test_request struct test_request q = {0};
    run(&next, &q, ARGV("x"));
    assert_int_equal(pid, q.pid);
    assert_int_equal(7, q.exit.code);
    close(next.fd);
    agent_client_free(next.http);
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "--wait") == 0)
        wait_here(argv[2], argv[3]);
#define WARM_TEST(f) cmocka_unit_test_setup_teardown(f, test_client_setup, test_client_teardown)
    const struct CMUnitTest tests[] = {
        WARM_TEST(test_hand_over),       WARM_TEST(test_no_input),
        WARM_TEST(test_large_job),       WARM_TEST(test_timeout),
        WARM_TEST(test_signal),          WARM_TEST(test_times),
        WARM_TEST(test_killed),          WARM_TEST(test_cancel_kills_group),
        WARM_TEST(test_failures),        WARM_TEST(test_refusals),
        WARM_TEST(test_rehearse),        WARM_TEST(test_names_and_numbers),
        WARM_TEST(test_restore),         WARM_TEST(test_alone),
        WARM_TEST(test_stuck_rehearsal), WARM_TEST(test_cancelled_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
