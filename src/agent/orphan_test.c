/* SPDX-License-Identifier: Apache-2.0 */

/* Programs whose session ends under them. */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "agent/test_client.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/test.h"
#include "wire/hello.h"

struct fixture {
    char *dir;
    char fifo_path[PATH_MAX];
    int fifo; /* open for reading; programs write to it */
    struct test_client first, next;
};

static void start(struct fixture *f, int64_t orphan_ms)
{
    struct agent_options options = {.init = REPORT_INIT_IMAGE, .orphan_ms = orphan_ms};
    *f = (struct fixture){.dir = test_dir_make()};
    path_printf(f->fifo_path, sizeof(f->fifo_path), "%s/fifo", f->dir);
    assert_int_equal(0, mkfifo(f->fifo_path, 0600));
    f->fifo = open(f->fifo_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(f->fifo >= 0);
    assert_int_equal(0, fd_set_nonblock(f->fifo, false));
    test_client_start_with(&f->first, &options);
}

static void stop(struct fixture *f)
{
    close(f->fifo);
    test_client_stop(&f->first);
    test_dir_drop(&f->dir);
}

/* Nothing came from the first client's last word on: a new client on the same byte stream, as after
 * a restore. */
static void next_client(struct fixture *f, struct test_request *old)
{
    int fd = dup(f->first.fd);
    char line[HELLO_LINE_SIZE];
    old->closed = true;
    hello_line("00000000000000000000000000000000", line);
    /* A frame that is none ends the session; what follows is looked at for a hello. */
    assert_int_equal(0, fd_write_all(fd, "\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9));
    assert_int_equal(0, fd_write_all(fd, line, HELLO_LINE_LEN));
    test_client_connect(&f->next, fd);
}

static void next_done(struct fixture *f)
{
    close(f->next.fd);
    agent_client_free(f->next.http);
}

static bool has_line(void *arg)
{
    const struct test_request *q = arg;
    return strchr(buf_str(&q->out), '\n') != NULL || q->closed;
}

static void run(struct fixture *f, struct test_request *q, const char *script, bool terminal)
{
    struct exec_spec spec = {.argv = ARGV("sh", "-c", script, f->fifo_path), .has_stdin = true};
    spec.pty_rows = spec.pty_cols = terminal ? 24 : 0;
    q->keep_out = true;
    test_exec(&f->first, q, &spec, false);
    test_pump(&f->first, has_line, q);
}

/* All that the program still writes to the FIFO until everybody has closed it. */
static void expect_rest(struct fixture *f, const char *want)
{
    char got[256];
    size_t n = 0;
    for (ssize_t k; (k = read(f->fifo, got + n, sizeof(got) - 1 - n)) > 0;)
        n += (size_t)k;
    got[n] = '\0';
    assert_string_equal(want, got);
}

/* Waits for the end of its input, floods its output, tells of it. */
#define SCRIPT                                                  \
    "exec 9>$0; echo up; cat >/dev/null; echo input ended >&9;" \
    "head -c 1000000 /dev/zero; echo done >&9"

static void test_kept(void **state)
{
    struct fixture f;
    struct test_request q = {0};
    start(&f, 0);
    run(&f, &q, SCRIPT, false);
    next_client(&f, &q);
    test_restored(&f.next, true);
    expect_rest(&f, "input ended\ndone\n");
    /* And the agent is fine. */
    auto_test_request struct test_request after = {0};
    test_sh(&f.next, &after, "echo fine");
    assert_string_equal("fine\n", buf_str(&after.out));
    test_request_done(&q);
    next_done(&f);
    stop(&f);
}

/* Its output is not read until it is decided, so it is not done before. */
static void test_not_kept(void **state)
{
    struct fixture f;
    struct test_request q = {0};
    start(&f, 0);
    run(&f, &q, "exec 9>$0; trap '' HUP TERM; echo up; head -c 1000000 /dev/zero; echo done >&9",
        false);
    next_client(&f, &q);
    test_restored(&f.next, false);
    expect_rest(&f, "");
    test_request_done(&q);
    next_done(&f);
    stop(&f);
}

/* On a terminal neither an end of input nor a hang-up comes. */
static void test_kept_terminal(void **state)
{
    struct fixture f;
    struct test_request q = {0};
    char got[8];
    start(&f, 0);
    run(&f, &q,
        "exec 9>$0; trap 'echo hup >&9' HUP; echo up; head -c 100000 /dev/zero;"
        "echo done >&9; read x; echo read >&9",
        true);
    next_client(&f, &q);
    test_restored(&f.next, true);
    assert_int_equal(5, read(f.fifo, got, sizeof(got)));
    assert_memory_equal("done\n", got, 5);
    test_request_done(&q);
    next_done(&f);
    stop(&f); /* the agent's end kills it */
}

static void test_timer(void **state)
{
    struct fixture f;
    struct test_request q = {0};
    start(&f, 1);
    run(&f, &q, "exec 9>$0; echo up; exec sleep 1000", false);
    next_client(&f, &q); /* which does not say `restored` */
    expect_rest(&f, "");
    test_request_done(&q);
    next_done(&f);
    stop(&f);
}

/* A cancelled request is no orphan, also when the session ends right afterwards. */
static void test_cancelled(void **state)
{
    struct fixture f;
    struct test_request q = {0};
    start(&f, 0);
    run(&f, &q, "exec 9>$0; echo up; exec sleep 1000", false);
    agent_client_cancel(f.first.http, q.stream);
    auto_test_request struct test_request other = {0};
    test_sh(&f.first, &other, "true");
    q.closed = true;
    expect_rest(&f, "");
    test_request_done(&q);
    stop(&f);
}

/* One that has ended while it waited, with output that nobody has read. */
static void test_ended_meanwhile(void **state)
{
    for (int keep = 0; keep < 2; keep++) {
        struct fixture f;
        struct test_request q = {0};
        start(&f, 0);
        run(&f, &q, "exec 9>$0; echo up; cat >/dev/null; echo out; echo err >&2", false);
        next_client(&f, &q);
        expect_rest(&f, "");
        test_restored(&f.next, keep);
        test_restored(&f.next, !keep);
        test_request_done(&q);
        next_done(&f);
        stop(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept),          cmocka_unit_test(test_not_kept),
        cmocka_unit_test(test_kept_terminal), cmocka_unit_test(test_timer),
        cmocka_unit_test(test_cancelled),     cmocka_unit_test(test_ended_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
