/* SPDX-License-Identifier: Apache-2.0 */

/* vm exec, and what runs in the background: jobs, output, kill. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "cli/test_cmd.h"

#define EXEC VM_A "/exec"
#define STREAM(...)                                                                               \
    {                                                                                             \
        .path = EXEC, .method = "POST", .status = 200, .type = "application/x-ndjson", .steps = { \
            __VA_ARGS__                                                                           \
        }                                                                                         \
    }
#define EXIT_0 "{\"t\":\"x\",\"ms\":3}\n"

static void test_streams_and_exit_code(void **state)
{
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(VMS, STREAM("{\"t\":\"o\",\"d\":\"aGVs", "bG8K\"}\n{\"t\":\"e\",\"d\":\"/wD+\"}\n",
                            "{\"t\":\"x\",\"c\":7,\"ms\":3}\n")));
    auto_test_ran struct test_ran r;
    test_holm(
        s,
        &(struct test_run){.argv = ARGV("vm", "exec", "lab", "-u", "user", "--cwd", "/srv", "-e",
                                        "A=b", "-e", "C", "--timeout", "9", "--", "ls", "-i", "--"),
                           .env = ARGV("C=d"),
                           .input = "not read"},
        &r);
    assert_string_equal(buf_str(&r.out), "hello\n");
    assert_int_equal(r.err.len, 3);
    assert_memory_equal(buf_str(&r.err), "\xff\0\xfe", 3);
    assert_int_equal(r.code, 7);
    assert_string_equal(test_server_accept(s), "application/x-ndjson");
    assert_string_equal(test_server_body(s),
                        "{\"command\":[\"ls\",\"-i\",\"--\"],\"user\":\"user\",\"cwd\":\"/srv\","
                        "\"env\":{\"A\":\"b\",\"C\":\"d\"},\"timeoutSec\":9}");
}

static void test_stdin(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(VMS, STREAM(EXIT_0)));
    auto_test_ran struct test_ran r;
    test_holm(s,
              &(struct test_run){.argv = ARGV("vm", "exec", "-i", "lab", "cat"),
                                 .input = "\xff\0\n",
                                 .input_len = 3},
              &r);
    assert_string_equal(buf_str(&r.err), "");
    assert_int_equal(r.code, 0);
    assert_string_equal(test_server_body(s), "{\"command\":[\"cat\"],\"stdin\":\"/wAK\"}");
    auto_free char *large = calloc(1, (4 << 20) + 1);
    auto_test_ran struct test_ran r2;
    test_holm(s,
              &(struct test_run){.argv = ARGV("vm", "exec", "-i", "lab", "cat"),
                                 .input = large,
                                 .input_len = (4 << 20) + 1},
              &r2);
    assert_string_equal(buf_str(&r2.err), "holm: standard input is longer than 4096 KiB\n");
    assert_int_equal(r2.code, 125);
}

static void test_endings(void **state)
{
    static const struct {
        const char *events;
        int code;
        const char *err;
    } rows[] = {
        {"{\"t\":\"x\",\"c\":124,\"to\":true,\"ms\":2003}\n", 124,
         "holm: the command was ended at its timeout, after 2 s\n"},
        {"{\"t\":\"x\",\"c\":137,\"ms\":1}\n", 137, ""},
        {"{\"t\":\"x\",\"c\":127,\"ms\":1,\"d\":\"nosuch: not found\"}\n", 127,
         "holm: nosuch: not found\n"},
        {"{\"t\":\"x\",\"ms\":1,\"d\":\"the guest is gone\"}\n", 125, "holm: the guest is gone\n"},
        {"{\"t\":\"error\",\"error\":\"the machine died\",\"status\":502}\n", 125,
         "holm: the machine died\n"},
        {"{\"t\":\"o\",\"d\":\"!\"}\n", 125,
         "holm: the daemon sent an event that holds no base64 output\n"},
        {"", 125, "holm: the daemon's answer ended before the program did; its log says more\n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_test_server struct test_server *s =
            test_server_new(REPLIES(VMS, STREAM(rows[i].events)));
        test_expect(s, ARGV("vm", "exec", "lab", "x"), rows[i].code, "", rows[i].err);
    }
    auto_test_server struct test_server *json =
        test_server_new(REPLIES(VMS, CALL("POST", EXEC, 200, "{}")));
    test_expect_error(json, ARGV("vm", "exec", "lab", "x"), 125,
                      "/exec answers no stream of events; is it a holmd?");
    auto_test_server struct test_server *refused = test_server_new(
        REPLIES(VMS, CALL("POST", EXEC, 409, "{\"error\":{\"message\":\"the VM is stopped\"}}")));
    test_expect_error(refused, ARGV("vm", "exec", "lab", "x"), 125, "holm: the VM is stopped\n");
}

static void test_mistakes(void **state)
{
    test_expect_error(NULL, ARGV("vm", "exec"), 2, "which VM? 'holm vm list' shows all");
    test_expect_error(NULL, ARGV("vm", "exec", "lab"), 2,
                      "which command? e.g. holm vm exec lab -- uname -a");
    test_expect_error(NULL, ARGV("vm", "exec", "--timeout", "0", "lab", "x"), 2,
                      "--timeout takes a whole number of 1 to 604800, not '0'");
    test_expect_error(NULL, ARGV("vm", "exec", "-td", "lab", "x"), 2, "not with -d");
    test_expect_error(NULL, ARGV("vm", "exec", "-t", "--timeout", "3", "lab", "x"), 2,
                      "not with --timeout");
    test_expect_error(NULL, ARGV("vm", "exec", "lab", "\xff"), 2,
                      "word 1 of the command is not UTF-8 text");
    test_expect_error(NULL, ARGV("vm", "exec", "--nosuch", "lab", "x"), 2,
                      "unknown option '--nosuch'");
}

static void test_json(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(
        VMS, CALL("POST", EXEC, 200, "{\"exitCode\":3,\"stdout\":\"a\",\"timedOut\":false}"),
        CALL("POST", EXEC, 200, "{\"exitCode\":137,\"timedOut\":true}")));
    auto_test_ran struct test_ran r;
    test_holm(s, &(struct test_run){.argv = ARGV("vm", "exec", "--json", "lab", "x")}, &r);
    assert_int_equal(r.code, 3);
    auto_json json_t *o = json_loads(buf_str(&r.out), 0, NULL);
    assert_string_equal(json_text(o, "stdout"), "a");
    assert_string_equal(test_server_accept(s), "application/json");
    auto_test_ran struct test_ran late;
    test_holm(s, &(struct test_run){.argv = ARGV("vm", "exec", "--json", "lab", "x")}, &late);
    assert_int_equal(late.code, 124);
}

/* Ctrl-C: the connection is closed, by which the daemon knows to end the command. */
static void test_interrupt_ends_the_command(void **state)
{
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(VMS, STREAM("{\"t\":\"o\",\"d\":\"Z28K\"}\n", TEST_HANG)));
    struct test_child child;
    auto_buf struct buf out = {0};
    test_holm_start(s, &(struct test_run){.argv = ARGV("vm", "exec", "lab", "sleep", "99")},
                    &child);
    assert_true(test_read_until(child.out, "go\n", &out));
    kill(child.pid, SIGINT);
    test_server_wait_gone(s);
    assert_int_equal(test_holm_wait(&child), 130);
}

static void test_reader_gone(void **state)
{
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(VMS, STREAM("{\"t\":\"o\",\"d\":\"Z28K\"}\n", TEST_HANG)));
    struct test_child child;
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    close(fds[0]);
    test_holm_start(
        s, &(struct test_run){.argv = ARGV("vm", "exec", "lab", "yes"), .fds = {0, fds[1]}},
        &child);
    close(fds[1]);
    test_server_wait_gone(s);
    assert_int_equal(test_holm_wait(&child), 141);
}

#define JOBS                                                                                   \
    OK(EXEC, "[{\"execId\":\"7k2abc\",\"command\":[\"make\",\"-j4\"],\"running\":true,"        \
             "\"durationMs\":65000,\"outputBytes\":2048},{\"execId\":\"7k9xyz\",\"command\":[" \
             "\"false\"],\"running\":false,\"exitCode\":1,\"durationMs\":10,\"outputBytes\":0}]")

static void test_background(void **state)
{
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(VMS, CALL("POST", EXEC, 202, "{\"execId\":\"7k2abc\"}"), JOBS));
    test_expect(s, ARGV("vm", "exec", "-d", "lab", "--", "make", "-j4"), 0, "7k2abc\n", "");
    assert_string_equal(test_server_body(s),
                        "{\"command\":[\"make\",\"-j4\"],\"background\":true}");
    test_expect(s, ARGV("vm", "jobs", "lab"), 0,
                "JOB     STATE     TOOK   OUTPUT  COMMAND\n"
                "7k2abc  running  1m 5s  2.0 KiB  make -j4\n"
                "7k9xyz  exit 1      0s      0 B  false\n",
                "");
}

static void test_output(void **state)
{
    const struct test_reply output = {
        .path = EXEC "/7k2abc/output",
        .status = 200,
        .type = "application/x-ndjson",
        .steps = {"{\"t\":\"o\",\"d\":\"aGVsbG8K\",\"off\":6}\n", EXIT_0},
    };
    struct test_reply so_far = output;
    so_far.query = "follow=0";
    so_far.steps[1] = NULL;
    auto_test_server struct test_server *s =
        test_server_new((const struct test_reply[]){VMS, JOBS, so_far, output, {0}});
    test_expect(s, ARGV("vm", "output", "lab", "7k2", "--no-follow", "--offset", "0"), 0, "hello\n",
                "");
    test_expect(s, ARGV("vm", "output", "lab", "7k2abc", "--offset", "12"), 0, "hello\n", "");
    assert_non_null(strstr(test_server_log(s), "GET " EXEC "/7k2abc/output?offset=12&follow=1\n"));
    test_expect_error(s, ARGV("vm", "output", "lab", "7k"), 125,
                      "'7k' may be any of 2 jobs: 7k2abc, 7k9xyz; give more of the id");
    test_expect_error(s, ARGV("vm", "output", "lab"), 2,
                      "which VM, and which job of it? 'holm vm jobs VM' shows all");
    test_expect_error(s, ARGV("vm", "output", "lab", "7k2", "--offset", "-1"), 2,
                      "--offset takes a number of bytes, not '-1'");
}

static void test_kill(void **state)
{
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(VMS, JOBS, CALL("DELETE", EXEC "/7k2abc", 200, "{\"execId\":\"7k2abc\"}")));
    static const struct {
        const char *signal, *number;
    } rows[] = {{"KILL", "9"}, {"sigint", "2"}, {"12", "12"}};
    test_expect(s, ARGV("vm", "kill", "lab", "7k2"), 0, "", "");
    assert_non_null(strstr(test_server_log(s), "DELETE " EXEC "/7k2abc?signal=15\n"));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char want[100];
        test_expect(s, ARGV("vm", "kill", "lab", "7k2", "-s", rows[i].signal), 0, "", "");
        snprintf(want, sizeof(want), "DELETE " EXEC "/7k2abc?signal=%s\n", rows[i].number);
        assert_non_null(strstr(test_server_log(s), want));
    }
    test_expect_error(s, ARGV("vm", "kill", "lab", "7k2", "-s", "NOPE"), 2,
                      "there is no signal 'NOPE'; e.g. TERM, INT, KILL or 9");
}

int main(int argc, char **argv)
{
    assert_true(argc > 1);
    test_holm_set(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_and_exit_code),
        cmocka_unit_test(test_stdin),
        cmocka_unit_test(test_endings),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_interrupt_ends_the_command),
        cmocka_unit_test(test_reader_gone),
        cmocka_unit_test(test_background),
        cmocka_unit_test(test_output),
        cmocka_unit_test(test_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
