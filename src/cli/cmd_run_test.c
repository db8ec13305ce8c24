/* SPDX-License-Identifier: Apache-2.0 */

/* `holm run`, the real program, against a server that speaks what the daemon does. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>

#include <jansson.h>

#include "base/test.h"
#include "cli/json.h"
#include "cli/test_server.h"

#define EXECUTE "/api/v1/execute"
#define NDJSON "application/x-ndjson"
#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
#define REPLIES(...) ((const struct test_reply[]){__VA_ARGS__, {0}})
#define STREAM(...)                                                              \
    {                                                                            \
        .path = EXECUTE, .status = 200, .type = NDJSON, .steps = { __VA_ARGS__ } \
    }
#define EXIT_0 "{\"t\":\"x\",\"c\":0,\"ms\":45,\"load_ms\":12}\n"

#define LANGUAGES                                                                    \
    {                                                                                \
        .path = "/api/v1/languages", .status = 200, .steps = {                       \
            "{\"languages\":[{\"name\":\"python\",\"extension\":\".py\"},{\"name\":" \
            "\"nodejs\",\"extension\":\".js\"}],\"count\":2}"                        \
        }                                                                            \
    }

static void expect_text(const struct buf *b, const char *text)
{
    if (!strstr(buf_str(b), text))
        fail_msg("'%s' is not in '%s'", text, buf_str(b));
}

static void test_streams_and_exit_code(void **state)
{
    /* Events cut in the middle, a kind from the future, an empty line, \r\n. */
    auto_test_server struct test_server *s = test_server_new(REPLIES(
        STREAM("{\"t\":\"o\",\"d\":\"aGVs", "bG8K\"}\n\n{\"t\":\"later\",\"x\":[1]}\r\n",
               "{\"t\":\"e\",\"d\":\"/wD+\"}\n{\"t\":\"x\",\"c\":7,\"ms\":45,\"load_ms\":12}")));
    auto_test_ran struct test_ran r;
    test_holm(s, &(struct test_run){.argv = ARGV("run", "python", "-c", "x", "--stats")}, &r);
    assert_string_equal(buf_str(&r.out), "hello\n");
    assert_memory_equal(buf_str(&r.err), "\xff\0\xfe", 3);
    assert_string_equal(buf_str(&r.err) + 3, "holm: ready after 12 ms, ran 45 ms\n");
    assert_int_equal(r.code, 7);
    assert_string_equal(test_server_accept(s), NDJSON);
    assert_string_equal(test_server_body(s), "{\"language\":\"python\",\"args\":[],\"env\":{},"
                                             "\"code\":\"x\"}");
}

static json_t *sent(struct test_server *s)
{
    json_t *o = json_loads(test_server_body(s), 0, NULL);
    assert_non_null(o);
    return o;
}

static void test_request_has_everything(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char script[128], file[160];
    snprintf(script, sizeof(script), "%s/script.py", dir);
    snprintf(file, sizeof(file), "data/a.bin=%s/a.bin", dir);
    assert_int_equal(file_write_atomic(script, "print(1)\n", 9, 0644), 0);
    assert_int_equal(file_write_atomic(file + 11, "\0\1", 2, 0644), 0);
    auto_test_server struct test_server *s = test_server_new(REPLIES(STREAM(EXIT_0)));
    auto_test_ran struct test_ran r;
    test_holm(s,
              &(struct test_run){
                  .argv = ARGV("run", "-e", "A=b=c", "--env=D", "python", "--timeout", "7", "-f",
                               file, script, "one", "--json", "--", "-x"),
                  .env = ARGV("D=from here", "HOLM_API_KEY=secret"),
                  .input = "line\n",
              },
              &r);
    assert_string_equal(buf_str(&r.err), "");
    assert_int_equal(r.code, 0);
    assert_string_equal(test_server_key(s), "secret");
    auto_json json_t *want = json_loads(
        "{\"language\":\"python\",\"timeout\":7,\"args\":[\"one\",\"--json\",\"--\",\"-x\"],"
        "\"env\":{\"A\":\"b=c\",\"D\":\"from here\"},\"files\":{\"data/a.bin\":\"AAE=\"},"
        "\"files_encoding\":\"base64\",\"code\":\"print(1)\\n\",\"stdin\":\"line\\n\","
        "\"stdin_encoding\":\"utf-8\"}",
        0, NULL);
    auto_json json_t *got = sent(s);
    assert_true(json_equal(want, got));
}

static void test_code_from_stdin(void **state)
{
    const char *const *const argvs[] = {ARGV("run", "python"), ARGV("run", "python", "-", "a")};
    for (size_t i = 0; i < ARRAY_SIZE(argvs); i++) {
        auto_test_server struct test_server *s = test_server_new(REPLIES(STREAM(EXIT_0)));
        auto_test_ran struct test_ran r;
        test_holm(s, &(struct test_run){.argv = argvs[i], .input = "print('ä')"}, &r);
        assert_int_equal(r.code, 0);
        auto_json json_t *got = sent(s);
        assert_string_equal(json_text(got, "code"), "print('ä')");
        assert_null(json_object_get(got, "stdin"));
        assert_int_equal(json_array_size(json_object_get(got, "args")), i);
    }
}

static void test_binary_stdin(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(STREAM(EXIT_0)));
    auto_test_ran struct test_ran r;
    test_holm(s,
              &(struct test_run){
                  .argv = ARGV("run", "python", "-c", "x"), .input = "\xff\0\n", .input_len = 3},
              &r);
    assert_int_equal(r.code, 0);
    auto_json json_t *got = sent(s);
    assert_string_equal(json_text(got, "stdin"), "/wAK");
    assert_string_equal(json_text(got, "stdin_encoding"), "base64");
}

static void test_no_stdin(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(STREAM(EXIT_0)));
    auto_test_ran struct test_ran r;
    test_holm(s, &(struct test_run){.argv = ARGV("run", "-n", "python", "-c", "x"), .input = "y"},
              &r);
    assert_int_equal(r.code, 0);
    assert_null(strstr(test_server_body(s), "stdin"));
}

/* After -c our options are ours up to the first other word, which may look like an option. */
static void test_words_after_code(void **state)
{
    const struct {
        const char *const *argv;
        const char *args;
    } rows[] = {
        {ARGV("run", "python", "-c", "x", "--timeout", "5", "a", "--stats"), "[\"a\",\"--stats\"]"},
        {ARGV("run", "python", "-c", "x", "--", "--stats"), "[\"--stats\"]"},
        {ARGV("run", "python", "-c", "x", "--foo", "--stats"), "[\"--foo\",\"--stats\"]"},
        {ARGV("run", "-c", "x", "python", "b"), "[\"b\"]"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_test_server struct test_server *s = test_server_new(REPLIES(STREAM(EXIT_0)));
        auto_test_ran struct test_ran r;
        test_holm(s, &(struct test_run){.argv = rows[i].argv}, &r);
        assert_int_equal(r.code, 0);
        auto_json json_t *got = sent(s);
        auto_json json_t *want = json_loads(rows[i].args, 0, NULL);
        assert_true(json_equal(json_object_get(got, "args"), want));
    }
}

static void test_endings(void **state)
{
    static const struct {
        const char *event;
        int code;
        const char *err;
    } rows[] = {
        {"{\"t\":\"x\",\"c\":124,\"to\":true,\"ms\":2003,\"load_ms\":1}\n", 124,
         "ended at its timeout, after 2 s; --timeout gives it more"},
        {"{\"t\":\"x\",\"c\":139,\"signal\":\"SIGSEGV\",\"ms\":1,\"load_ms\":1}\n", 139, ""},
        {"{\"t\":\"error\",\"error\":\"the machine died\",\"status\":502}\n", 125,
         "holm: the machine died"},
        {"{\"t\":\"o\",\"d\":\"!\"}\n", 125, "holds no base64 output"},
        {"nonsense\n", 125, "is not a JSON object"},
        {"", 125, "ended before the program did"},
        {EXIT_0 EXIT_0, 125, "went on after the end"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_test_server struct test_server *s = test_server_new(REPLIES(STREAM(rows[i].event)));
        auto_test_ran struct test_ran r;
        test_holm(s, &(struct test_run){.argv = ARGV("run", "python", "-c", "x")}, &r);
        assert_int_equal(r.code, rows[i].code);
        expect_text(&r.err, rows[i].err);
        assert_string_equal(buf_str(&r.out), "");
    }
}

static void test_refusals(void **state)
{
    static const struct {
        int status;
        const char *body, *err;
    } rows[] = {
        {400, "{\"error\":\"timeout: must be at most 300\"}", "holm: timeout: must be at most 300"},
        {401, "{\"error\":\"no key\"}", "holm: no key; give a key with --key or HOLM_API_KEY"},
        {404, "{\"error\":\"language not found\"}",
         "holm: unknown language: pyhton\nAvailable: python, nodejs\nDid you mean python?\n"},
        {413, "{\"error\":\"too large\"}", "holm: too large"},
        {500, "{\"error\":\"broken\"}", "holm: broken; the daemon's log says more"},
        {502, "<html>", "answers status 502 and no reason; is it the address of a holmd?"},
        {200, "[]", "not a JSON object"},
        {200, "{}", "has no exit code"},
        {503, "{\"error\":\"full\\u001b[2J\"}", "holm: full?[2J"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_test_server struct test_server *s = test_server_new(REPLIES(
            {.path = EXECUTE, .status = rows[i].status, .steps = {rows[i].body}}, LANGUAGES));
        auto_test_ran struct test_ran r;
        test_holm(s, &(struct test_run){.argv = ARGV("run", "--wait=0", "pyhton", "-c", "x")}, &r);
        assert_int_equal(r.code, 125);
        expect_text(&r.err, rows[i].err);
        assert_string_equal(buf_str(&r.out), "");
    }
}

static void test_unreachable(void **state)
{
    auto_test_ran struct test_ran r;
    test_holm(NULL, &(struct test_run){.argv = ARGV("run", "python", "-c", "x")}, &r);
    assert_int_equal(r.code, 125);
    assert_string_equal(
        buf_str(&r.err),
        "holm: no daemon answers at http://127.0.0.1:1 (Connection refused); start it with ./demo "
        "or 'systemctl start holmd', or set HOLM_URL or --url to where it listens\n");
}

static void test_not_streamed(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(
        {.path = EXECUTE,
         .status = 200,
         .steps = {"{\"stdout\":\"a\\u0000b\",\"stderr\":\"c\",\"exit_code\":3,\"load_time\":"
                   "\"125ms\",\"exec_time\":\"45ms\"}"}}));
    auto_test_ran struct test_ran r;
    test_holm(s, &(struct test_run){.argv = ARGV("run", "--stats", "python", "-c", "x")}, &r);
    assert_int_equal(r.code, 3);
    assert_int_equal(r.out.len, 3);
    assert_memory_equal(r.out.data, "a\0b", 3);
    assert_string_equal(buf_str(&r.err), "cholm: ready after 125 ms, ran 45 ms\n");
}

static void test_json(void **state)
{
    const char *answer = "{\"stdout\":\"1\\n\",\"stderr\":\"\",\"exit_code\":4,\"load_time\":"
                         "\"1ms\",\"exec_time\":\"2ms\"}";
    auto_test_server struct test_server *s = test_server_new(
        REPLIES({.path = EXECUTE, .status = 200, .steps = {answer}},
                {.path = EXECUTE, .status = 400, .steps = {"{\"error\":\"bad\"}"}}));
    const struct test_run run = {.argv = ARGV("run", "python", "-c", "x", "--json")};
    auto_test_ran struct test_ran r;
    test_holm(s, &run, &r);
    assert_int_equal(r.code, 4);
    auto_json json_t *got = json_loads(buf_str(&r.out), 0, NULL);
    auto_json json_t *want = json_loads(answer, 0, NULL);
    assert_true(json_equal(got, want));
    assert_string_equal(test_server_accept(s), "application/json");
    auto_test_ran struct test_ran r2;
    test_holm(s, &run, &r2);
    assert_int_equal(r2.code, 125);
    assert_non_null(strstr(buf_str(&r2.out), "\"error\": \"bad\""));
    assert_string_equal(buf_str(&r2.err), "holm: bad\n");
}

/* Turned away twice, by status and by event, then taken. */
static void test_busy_then_taken(void **state)
{
    auto_test_server struct test_server *s =
        test_server_new(REPLIES({.path = EXECUTE,
                                 .status = 503,
                                 .retry_after = "1",
                                 .steps = {"{\"error\":\"python is being prepared\"}"}},
                                STREAM("{\"t\":\"error\",\"error\":\"full\",\"status\":503}\n"),
                                STREAM("{\"t\":\"o\",\"d\":\"b2s=\"}\n", EXIT_0)));
    auto_test_ran struct test_ran r;
    test_holm(s, &(struct test_run){.argv = ARGV("run", "python", "-c", "x")}, &r);
    assert_int_equal(r.code, 0);
    assert_string_equal(buf_str(&r.out), "ok");
    assert_string_equal(buf_str(&r.err), "");
    assert_int_equal(test_server_count(s, EXECUTE), 3);
}

static void test_busy_too_long(void **state)
{
    auto_test_server struct test_server *s =
        test_server_new(REPLIES({.path = EXECUTE,
                                 .status = 503,
                                 .retry_after = "30",
                                 .steps = {"{\"error\":\"python is being prepared\"}"}}));
    auto_test_ran struct test_ran r;
    test_holm(s, &(struct test_run){.argv = ARGV("run", "-w", "1", "python", "-c", "x")}, &r);
    assert_int_equal(r.code, 125);
    assert_string_equal(buf_str(&r.err), "holm: python is being prepared\n");
    /* Once more at the end of the second, unless the first try alone took that long. */
    assert_in_range(test_server_count(s, EXECUTE), 1, 2);
}

static void test_interrupt_closes_connection(void **state)
{
    static const int signals[] = {SIGINT, SIGTERM};
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        auto_test_server struct test_server *s =
            test_server_new(REPLIES(STREAM("{\"t\":\"o\",\"d\":\"Z28K\"}\n", TEST_HANG)));
        auto_buf struct buf out = {0};
        struct test_child c;
        test_holm_start(s, &(struct test_run){.argv = ARGV("run", "python", "-c", "x")}, &c);
        assert_true(test_read_until(c.out, "go\n", &out));
        kill(c.pid, signals[i]);
        test_server_wait_gone(s);
        assert_int_equal(test_holm_wait(&c), 128 + signals[i]);
    }
}

/* A reader that does not read must not keep Ctrl-C from working. */
static void test_interrupt_with_full_pipe(void **state)
{
    auto_buf struct buf line = {0};
    buf_append_str(&line, "{\"t\":\"o\",\"d\":\"");
    for (int i = 0; i < 200000; i += 4)
        buf_append_str(&line, "QUFB");
    buf_append_str(&line, "\"}\n");
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(STREAM(buf_str(&line), TEST_HANG)));
    struct test_child c;
    test_holm_start(s, &(struct test_run){.argv = ARGV("run", "python", "-c", "x")}, &c);
    /* The pipe is full when as much waits in it as it holds. */
    int waiting = 0;
    while (waiting < fcntl(c.out, F_GETPIPE_SZ)) {
        assert_int_equal(ioctl(c.out, FIONREAD, &waiting), 0);
        sched_yield();
    }
    kill(c.pid, SIGINT);
    test_server_wait_gone(s);
    assert_int_equal(test_holm_wait(&c), 130);
}

static void test_reader_gone(void **state)
{
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(STREAM("{\"t\":\"o\",\"d\":\"Z28K\"}\n", TEST_HANG)));
    int p[2];
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    close(p[0]);
    auto_test_ran struct test_ran r;
    test_holm(s, &(struct test_run){.argv = ARGV("run", "python", "-c", "x"), .fds = {0, p[1]}},
              &r);
    close(p[1]);
    assert_int_equal(r.code, 141);
    assert_string_equal(buf_str(&r.err), "");
    test_server_wait_gone(s);
}

static void test_disk_full(void **state)
{
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(STREAM("{\"t\":\"o\",\"d\":\"Z28K\"}\n", EXIT_0)));
    auto_close int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    auto_test_ran struct test_ran r;
    test_holm(s, &(struct test_run){.argv = ARGV("run", "python", "-c", "x"), .fds = {0, full}},
              &r);
    assert_int_equal(r.code, 125);
    assert_non_null(strstr(buf_str(&r.err), "write to standard output: No space left on device"));
}

static void test_bounds_and_files(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(STREAM(EXIT_0)));
    auto_free char *big = calloc(1, (5 << 20) + 1);
    memset(big, 'x', 5 << 20);
    const struct {
        const char *const *argv;
        const char *input, *err;
        int code;
    } rows[] = {
        {ARGV("run", "python", "-c", "x"), big, "standard input is longer than 4096 KiB", 125},
        {ARGV("run", "python"), big, "standard input is longer than 1024 KiB", 125},
        {ARGV("run", "python"), "\xff", "code in standard input is not UTF-8", 2},
        {ARGV("run", "python", "-c", "\xc3"), "", "code in -c is not UTF-8", 2},
        {ARGV("run", "python", "-c", "x", "a", "\xc3"), "", "argument 2 of the program", 2},
        {ARGV("run", "python", "/no/such"), "", "cannot read /no/such: No such file", 125},
        {ARGV("run", "python", "/"), "", "/ is a directory", 2},
        {ARGV("run", "-f", "/etc/passwd", "python", "-c", "x"), "", "has to be relative", 2},
        {ARGV("run", "-f", "a=/dev/null", "-f", "a=/dev/null", "python", "-c", "x"), "",
         "--file a: given twice", 2},
        {ARGV("run", "-e", "=x", "python", "-c", "x"), "", "--env takes NAME=VALUE", 2},
        {ARGV("run", "-e", "NOT_SET", "python", "-c", "x"), "", "it is not set here", 2},
        {ARGV("run", "-t", "301", "python", "-c", "x"), "", "whole number of 1 to 300", 2},
        {ARGV("run", "-t", "5s", "python", "-c", "x"), "", "not '5s'", 2},
        {ARGV("run"), "", "which language?", 2},
        {ARGV("run", "python", "-c"), "", "option '--code' needs a value", 2},
        {ARGV("run", "--tiemout=3", "python"), "", "did you mean '--timeout'?", 2},
        {ARGV("run", "--url", "localhost:80", "python", "-c", "x"), "", "not the address", 2},
        {ARGV("run", "--url", "file:///etc", "python", "-c", "x"), "", "not the address", 2},
        {ARGV("run", "--key", "a\nb", "python", "-c", "x"), "", "control characters", 2},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_test_ran struct test_ran r;
        test_holm(s, &(struct test_run){.argv = rows[i].argv, .input = rows[i].input}, &r);
        assert_int_equal(r.code, rows[i].code);
        expect_text(&r.err, rows[i].err);
    }
    assert_int_equal(test_server_count(s, EXECUTE), 0);
}

/* A terminal for stderr; returns its other side. */
static int open_terminal(int *ret_slave)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 && errno == ENOENT)
        skip(); /* a chroot without /dev/pts */
    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    *ret_slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(*ret_slave >= 0);
    struct winsize ws = {.ws_col = 60, .ws_row = 20};
    ioctl(*ret_slave, TIOCSWINSZ, &ws);
    return master;
}

static void test_progress_on_a_terminal(void **state)
{
    auto_test_server struct test_server *s =
        test_server_new(REPLIES({.path = EXECUTE,
                                 .status = 503,
                                 .retry_after = "1",
                                 .steps = {"{\"error\":\"python is being prepared\"}"}},
                                STREAM("{\"t\":\"e\",\"d\":\"b2sK\"}\n", EXIT_0)));
    auto_close int slave = -1;
    auto_close int master = open_terminal(&slave);
    auto_buf struct buf screen = {0};
    struct test_child c;
    test_holm_start(
        s, &(struct test_run){.argv = ARGV("run", "python", "-c", "x"), .fds = {0, 0, slave}}, &c);
    assert_true(test_read_until(master, "python is being prepared", &screen));
    /* Erased before the program's own words. */
    assert_true(test_read_until(master, "\r\033[Kok\r\n", &screen));
    assert_int_equal(test_holm_wait(&c), 0);
}

int main(int argc, char **argv)
{
    assert_true(argc > 1);
    test_holm_set(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_and_exit_code),
        cmocka_unit_test(test_request_has_everything),
        cmocka_unit_test(test_code_from_stdin),
        cmocka_unit_test(test_binary_stdin),
        cmocka_unit_test(test_no_stdin),
        cmocka_unit_test(test_words_after_code),
        cmocka_unit_test(test_endings),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_unreachable),
        cmocka_unit_test(test_not_streamed),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_busy_then_taken),
        cmocka_unit_test(test_busy_too_long),
        cmocka_unit_test(test_interrupt_closes_connection),
        cmocka_unit_test(test_interrupt_with_full_pipe),
        cmocka_unit_test(test_reader_gone),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_bounds_and_files),
        cmocka_unit_test(test_progress_on_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
