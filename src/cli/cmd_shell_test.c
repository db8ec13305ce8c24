/* SPDX-License-Identifier: Apache-2.0 */

/* shell, console, vm exec -t and logs, on terminals, against a server's WebSockets. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "cli/test_cmd.h"

#define TOKEN                                \
    CALL("POST", VM_A "/console-token", 200, \
         "{\"token\":\"T0\",\"expiresInSec\":60,\"websocketPath\":\"/v1/vms/x/console/ws\"}")
#define SOCKET(fn)                                   \
    {                                                \
        .path = "/v1/vms/x/console/ws", .talk = (fn) \
    }

/* Receives until all of `text` has come in binary messages, whatever the pieces. */
static bool receive_text(struct test_socket *ws, const char *text)
{
    auto_buf struct buf all = {0};
    auto_buf struct buf one = {0};
    while (all.len < strlen(text)) {
        if (test_ws_receive(ws, &one) != TEST_WS_BINARY)
            return false;
        buf_append(&all, one.data, one.len);
    }
    return !strcmp(buf_str(&all), text);
}

static bool receive_size(struct test_socket *ws, const char *want)
{
    auto_buf struct buf b = {0};
    return test_ws_receive(ws, &b) == TEST_WS_TEXT && !strcmp(buf_str(&b), want);
}

static void say(struct test_socket *ws, const char *text)
{
    test_ws_send(ws, TEST_WS_BINARY, text, strlen(text));
}

/* A shell that is typed to, resized, and exits with 7. What is not as expected closes with 1011. */
static void talk_shell(struct test_socket *ws)
{
    auto_buf struct buf b = {0};
    bool ok = receive_size(ws, "{\"type\":\"resize\",\"cols\":80,\"rows\":24}");
    say(ws, "\033[1mprompt$ ");
    ok = ok && receive_text(ws, "ls\003\r");
    test_ws_send(ws, TEST_WS_PING, "are you there", 13);
    ok = ok && test_ws_receive(ws, &b) == TEST_WS_PONG && !strcmp(buf_str(&b), "are you there");
    say(ws, "files\r\n");
    ok = ok && receive_size(ws, "{\"type\":\"resize\",\"cols\":132,\"rows\":50}");
    say(ws, "bye\r\n");
    test_ws_close(ws, ok ? 1000 : 1011, ok ? "exit 7" : "not as expected");
    test_ws_receive(ws, &b); /* the client's close frame */
}

static void test_shell(void **state)
{
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(VMS, TOKEN, SOCKET(talk_shell)));
    auto_buf struct buf shown = {0};
    struct test_tty t;
    test_tty_start(s, ARGV("shell", "lab"), &t);
    test_tty_expect(&t, "\033[1mprompt$ ", &shown);
    /* Ctrl-C is a key now, and the terminal echoes nothing by itself. */
    test_tty_type(&t, "ls\003\r");
    test_tty_expect(&t, "files\r\n", &shown);
    assert_null(strstr(buf_str(&shown), "ls"));
    struct winsize size = {.ws_row = 50, .ws_col = 132};
    assert_int_equal(ioctl(t.master, TIOCSWINSZ, &size), 0);
    kill(t.child.pid, SIGWINCH);
    test_tty_expect(&t, "bye\r\n", &shown);
    assert_int_equal(test_tty_end(&t), 7);
    assert_non_null(strstr(test_server_log(s), "POST " VM_A "/console-token {\"kind\":\"shell\"}\n"
                                               "GET /v1/vms/x/console/ws?session=T0\n"));
}

static void talk_exit_0(struct test_socket *ws)
{
    test_ws_close(ws, 1000, "exit 0");
}

/* What runs in the terminal, of shell and of exec -t. */
static void test_commands(void **state)
{
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(VMS, TOKEN, SOCKET(talk_exit_0)));
    const struct {
        const char *const *argv;
        const char *want;
    } rows[] = {
        {ARGV("shell", "lab", "-u", "user", "--", "top", "-u"),
         "{\"kind\":\"shell\",\"command\":[\"top\",\"-u\"],\"user\":\"user\"}"},
        {ARGV("vm", "exec", "-it", "lab", "top"), "{\"kind\":\"shell\",\"command\":[\"top\"]}"},
        {ARGV("vm", "exec", "-t", "-e", "A=b c", "--cwd", "/srv", "-u", "0:0", "lab", "top", "x"),
         "{\"kind\":\"shell\",\"command\":[\"env\",\"A=b c\",\"sh\",\"-c\",\"cd -- \\\"$0\\\" && "
         "exec "
         "\\\"$@\\\"\",\"/srv\",\"top\",\"x\"],\"user\":\"0:0\"}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        test_expect(s, rows[i].argv, 0, "", "");
        if (!strstr(test_server_log(s), rows[i].want))
            fail_msg("'%s' is not in '%s'", rows[i].want, test_server_log(s));
    }
}

/* Without a terminal: what is piped in is typed, and then Ctrl-D, until it is heard. */
static void talk_piped(struct test_socket *ws)
{
    bool ok = receive_text(ws, "echo hi\n\004") && receive_text(ws, "\004");
    say(ws, ok ? "hi\r\n" : "not as expected");
    test_ws_close(ws, 1000, "exit 0");
}

static void test_piped(void **state)
{
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(VMS, TOKEN, SOCKET(talk_piped)));
    auto_test_ran struct test_ran r;
    test_holm(s, &(struct test_run){.argv = ARGV("shell", "lab"), .input = "echo hi\n"}, &r);
    assert_string_equal(buf_str(&r.err), "");
    assert_string_equal(buf_str(&r.out), "hi\r\n");
    assert_int_equal(r.code, 0);
}

/* Messages in pieces, of all lengths, text and binary; more than anything would hold. */
static void talk_flood(struct test_socket *ws)
{
    static char bytes[60000];
    memset(bytes, 'x', sizeof(bytes));
    test_ws_raw(ws, "\x01\x02he", 4); /* a text's beginning */
    test_ws_send(ws, TEST_WS_PING, "", 0);
    test_ws_raw(ws, "\x80\x03llo", 5); /* and its end */
    for (int i = 0; i < 100; i++)
        test_ws_send(ws, TEST_WS_BINARY, bytes, sizeof(bytes));
    test_ws_close(ws, 1000, "exit 3");
    auto_buf struct buf b = {0};
    while (test_ws_receive(ws, &b) >= 0)
        ;
}

static void test_flood(void **state)
{
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(VMS, TOKEN, SOCKET(talk_flood)));
    auto_test_ran struct test_ran r;
    test_holm(s, &(struct test_run){.argv = ARGV("shell", "lab")}, &r);
    assert_string_equal(buf_str(&r.err), "");
    assert_int_equal(r.code, 3);
    assert_int_equal(r.out.len, 5 + 100 * 60000);
    assert_memory_equal(r.out.data, "helloxxx", 8);
}

static void talk_lost(struct test_socket *ws)
{
    say(ws, "half");
}

static void talk_garbage(struct test_socket *ws)
{
    test_ws_raw(ws, "\xff\xff\xff\xff garbage", 12);
    auto_buf struct buf b = {0};
    while (test_ws_receive(ws, &b) >= 0)
        ;
}

static void talk_going_away(struct test_socket *ws)
{
    test_ws_close(ws, 1001, "the VM was\033 stopped");
}

static void talk_no_code(struct test_socket *ws)
{
    test_ws_close(ws, 1000, "");
}

static void test_bad_ends(void **state)
{
    static const struct {
        void (*talk)(struct test_socket *ws);
        const char *out, *err;
    } rows[] = {
        {talk_lost, "half", "was lost; 'holm status' shows whether it is alive"},
        {talk_garbage, "", "sends what is no WebSocket's; is it a holmd?"},
        {talk_going_away, "", "holm: the terminal was closed: the VM was? stopped\n"},
        {talk_no_code, "", "holm: the terminal was closed\n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_test_server struct test_server *s =
            test_server_new(REPLIES(VMS, TOKEN, SOCKET(rows[i].talk)));
        auto_test_ran struct test_ran r;
        test_holm(s, &(struct test_run){.argv = ARGV("shell", "lab")}, &r);
        test_has(&r.err, rows[i].err);
        assert_string_equal(buf_str(&r.out), rows[i].out);
        assert_int_equal(r.code, 125);
    }
}

static void test_refusals(void **state)
{
    static const struct {
        struct test_reply token, socket;
        const char *err;
    } rows[] = {
        {CALL("POST", VM_A "/console-token", 409, "{\"error\":{\"message\":\"it is paused\"}}"),
         OK("/x", ""), "holm: it is paused\n"},
        {CALL("POST", VM_A "/console-token", 200, "{\"token\":\"a b\",\"websocketPath\":\"/x\"}"),
         OK("/x", ""), "names no WebSocket to connect to; is it a holmd?"},
        {TOKEN, OK("/x", ""), "holm: no such path\n"},
        {TOKEN,
         {.path = "/v1/vms/x/console/ws",
          .status = 401,
          .has_length = true,
          .steps = {"{\"error\":{\"message\":\"the console token was used\"}}"}},
         "holm: the console token was used; give a key"},
        {TOKEN,
         {.path = "/v1/vms/x/console/ws", .status = 200, .steps = {"<p>"}},
         "answers status 200 and no reason; is it the address of a holmd?"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_test_server struct test_server *s =
            test_server_new((const struct test_reply[]){VMS, rows[i].token, rows[i].socket, {0}});
        test_expect_error(s, ARGV("shell", "lab"), 125, rows[i].err);
    }
}

static void talk_wait(struct test_socket *ws)
{
    auto_buf struct buf b = {0};
    say(ws, "ready\r\n");
    while (test_ws_receive(ws, &b) >= 0)
        ;
}

/* Whatever ends it, the terminal is as before (test_tty_end looks). */
static void test_signals(void **state)
{
    static const int signals[] = {SIGTERM, SIGHUP, SIGINT};
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        auto_test_server struct test_server *s =
            test_server_new(REPLIES(VMS, TOKEN, SOCKET(talk_wait)));
        auto_buf struct buf shown = {0};
        struct test_tty t;
        test_tty_start(s, ARGV("shell", "lab"), &t);
        test_tty_expect(&t, "ready\r\n", &shown);
        struct termios raw;
        assert_int_equal(tcgetattr(t.slave, &raw), 0);
        assert_int_equal(raw.c_lflag & (ICANON | ECHO | ISIG), 0);
        kill(t.child.pid, signals[i]);
        assert_int_equal(test_tty_end(&t), 128 + signals[i]);
    }
}

static void talk_console(struct test_socket *ws)
{
    auto_buf struct buf b = {0};
    say(ws, "login: ");
    bool ok = receive_text(ws, "root\r");
    say(ws, ok ? "ok" : "not as expected");
    while (test_ws_receive(ws, &b) >= 0)
        ;
}

static void test_console(void **state)
{
    auto_test_server struct test_server *s =
        test_server_new(REPLIES(VMS, TOKEN, SOCKET(talk_console)));
    auto_buf struct buf shown = {0};
    struct test_tty t;
    test_tty_start(s, ARGV("console", "lab"), &t);
    test_tty_expect(&t, "login: ", &shown);
    test_has(&shown, "holm: Ctrl-] quits\r\n");
    test_tty_type(&t, "root\r");
    test_tty_expect(&t, "ok", &shown);
    test_tty_type(&t, "\x1d never sent");
    assert_int_equal(test_tty_end(&t), 0);
    assert_non_null(
        strstr(test_server_log(s), "POST " VM_A "/console-token {\"kind\":\"serial\"}\n"));
}

static void talk_log(struct test_socket *ws)
{
    say(ws, "more\n");
    test_ws_close(ws, 1000, "");
}

static void test_logs(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(
        VMS, TOKEN, SOCKET(talk_log),
        {.path = VM_A "/console", .status = 200, .type = "text/plain", .steps = {"boot\n"}}));
    test_expect(s, ARGV("logs", "lab"), 0, "boot\n", "");
    test_expect(s, ARGV("logs", "lab", "--tail", "7"), 0, "boot\n", "");
    assert_non_null(strstr(test_server_log(s), "GET " VM_A "/console?tail=7\n"));
    test_expect(s, ARGV("logs", "lab", "-f", "-n", "7"), 0, "boot\nmore\n", "");
    test_expect_error(s, ARGV("logs", "lab", "-n", "0"), 2,
                      "--tail takes a whole number of 1 to 1000000, not '0'");
    auto_test_server struct test_server *none =
        test_server_new(REPLIES(VMS, {.path = VM_A "/console",
                                      .status = 409,
                                      .steps = {"{\"error\":{\"message\":\"it has none\"}}"}}));
    test_expect_error(none, ARGV("logs", "lab"), 125, "holm: it has none\n");
}

static void test_unix_socket(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char path[128];
    snprintf(path, sizeof(path), "%s/api", dir);
    auto_test_server struct test_server *s =
        test_server_new_unix(REPLIES(VMS, TOKEN, SOCKET(talk_exit_0)), path);
    test_expect(s, ARGV("shell", "lab"), 0, "", "");
}

int main(int argc, char **argv)
{
    assert_true(argc > 1);
    test_holm_set(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shell),    cmocka_unit_test(test_commands),
        cmocka_unit_test(test_piped),    cmocka_unit_test(test_flood),
        cmocka_unit_test(test_bad_ends), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_signals),  cmocka_unit_test(test_console),
        cmocka_unit_test(test_logs),     cmocka_unit_test(test_unix_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
