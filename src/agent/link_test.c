/* SPDX-License-Identifier: Apache-2.0 */

/* Links and the requests that are not about programs or files. */

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "agent/agent.h"
#include "agent/link.h"
#include "agent/listen.h"
#include "agent/test_client.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/test.h"
#include "wire/hello.h"
#include "wire/report.h"

static void ask(struct test_client *t, struct test_request *q, const char *method, const char *path,
                const char *body)
{
    q->method = method;
    q->path = path;
    test_request(t, q, body, strlen(body), true);
    test_wait_closed(q);
}

static void test_ready(void **state)
{
    auto_test_request struct test_request a = {0}, b = {0};
    struct agent_report first, second;
    ask(*state, &a, "GET", "/v1/ready", "");
    ask(*state, &b, "GET", "/v1/ready", "");
    assert_int_equal(200, a.status);
    assert_int_equal(0, report_decode(a.answer.data, a.answer.len, &first, NULL));
    assert_int_equal(0, report_decode(b.answer.data, b.answer.len, &second, NULL));
    assert_string_equal(HOLM_VERSION, first.version);
    assert_int_equal(REPORT_PROTOCOL, first.protocol);
    assert_int_equal(36, strlen(first.boot_id));
    assert_int_equal(32, strlen(first.random));
    assert_string_not_equal(first.random, second.random);
}

/* On a host the clock and the generator are not the agent's: the report says so. */
static void test_restored_on_host(void **state)
{
    struct restored_request request = {.real_time_ns = 1, .entropy_len = 32};
    struct agent_report report;
    auto_buf struct buf body = {0};
    auto_test_request struct test_request q = {0};
    report_restored_encode(&request, &body);
    ask(*state, &q, "POST", "/v1/restored", buf_str(&body));
    assert_int_equal(200, q.status);
    assert_int_equal(0, report_decode(q.answer.data, q.answer.len, &report, NULL));
    assert_false(report.reseeded);
    assert_int_equal(0, report.clock_step_ms);
    assert_true(report.real_time_ns > 1000000000000000000);
}

static void test_sync(void **state)
{
    auto_test_request struct test_request q = {0};
    ask(*state, &q, "POST", "/v1/sync", "");
    assert_int_equal(200, q.status);
    assert_string_equal("{}", buf_str(&q.answer));
}

static void test_refusals(void **state)
{
    static const struct {
        const char *method, *path, *body;
        int status;
        const char *want;
    } rows[] = {
        {"GET", "/", "", 404, "{\"error\":\"no such path: /\"}"},
        {"POST", "/v1/ready", "", 405, "{\"error\":\"/v1/ready does not take POST\"}"},
        {"POST", "/v1/restored", "{}", 400,
         "{\"error\":\"real_time_ns is missing\",\"field\":\"real_time_ns\"}"},
        {"POST", "/v1/power", "{\"action\":\"fly\"}", 400,
         "{\"error\":\"action must be \\\"off\\\" or \\\"reboot\\\"\",\"field\":\"action\"}"},
        {"POST", "/v1/power", "{\"action\":\"off\"}", 409,
         "{\"error\":\"this agent does not run in a guest of its own\"}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_test_request struct test_request q = {0};
        ask(*state, &q, rows[i].method, rows[i].path, rows[i].body);
        assert_string_equal(rows[i].want, buf_str(&q.answer));
        assert_int_equal(rows[i].status, q.status);
    }
    auto_test_request struct test_request large = {.method = "POST", .path = "/v1/power"};
    auto_free char *body = calloc(1, AGENT_REPORT_MAX_BYTES + 1);
    test_request(*state, &large, body, AGENT_REPORT_MAX_BYTES + 1, true);
    test_wait_closed(&large);
    assert_int_equal(413, large.status);
}

static bool has_output(void *arg)
{
    return ((struct test_request *)arg)->out.len > 0;
}

/* A new client on the same byte stream, in the middle of the old one's session and even of one of
 * its frames: its hello is answered, the old session's program has become an orphan. */
static void resync(const void *torn, size_t torn_len)
{
    struct test_client t, next;
    test_client_start(&t, NULL);
    auto_test_request struct test_request q = {.keep_out = true};
    struct exec_spec spec = {.argv = ARGV("sh", "-c", "echo $$; exec sleep 1000")};
    test_exec(&t, &q, &spec, false);
    test_pump(&t, has_output, &q);
    pid_t program = (pid_t)atoi(buf_str(&q.out));
    q.closed = true;
    assert_int_equal(0, fd_write_all(t.fd, torn, torn_len));

    int fd = dup(t.fd);
    char line[HELLO_LINE_SIZE];
    next = (struct test_client){.fd = fd};
    /* Repetitions of a hello that is not the next client's own, each read by itself. */
    for (int i = 0; i < 3; i++) {
        hello_line("00000000000000000000000000000000", line);
        assert_int_equal(0, fd_write_all(fd, line, HELLO_LINE_LEN));
        struct pollfd p = {.fd = fd, .events = POLLIN};
        poll(&p, 1, 100);
    }
    test_client_connect(&next, fd);
    auto_test_request struct test_request ready = {0};
    ask(&next, &ready, "GET", "/v1/ready", "");
    assert_int_equal(200, ready.status);
    test_restored(&next, false);
    /* It was reaped by the agent, so the number is free once it is gone. */
    auto_test_request struct test_request gone = {0};
    char script[64];
    snprintf(script, sizeof(script), "while kill -0 %d 2>/dev/null; do :; done", (int)program);
    test_sh(&next, &gone, script);
    close(fd);
    agent_client_free(next.http);
    test_client_stop(&t);
}

static void test_resync_between_frames(void **state)
{
    resync("", 0);
}

static void test_resync_in_payload(void **state)
{
    /* The header of a PING-sized unknown frame of 16,000 bytes, which never come. */
    resync("\x00\x3e\x80\xfe\0\0\0\0\0", 9);
}

static void test_garbage_then_hello(void **state)
{
    int fds[2];
    struct agent_options options = {.init = REPORT_INIT_IMAGE};
    assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
    pid_t pid = fork();
    if (pid == 0) {
        struct agent agent;
        struct link *link;
        close(fds[0]);
        agent_init(&agent, &options, NULL);
        agent.stop_without_links = true;
        link_new(&agent, fds[1], LINK_SOCKET, &link);
        _exit(agent_run(&agent) < 0);
    }
    close(fds[1]);
    struct test_client t;
    assert_int_equal(0, fd_write_all(fds[0], "\0\xff garbage\nHOLM/1 12", 20));
    test_client_connect(&t, fds[0]);
    t.agent = pid;
    auto_test_request struct test_request q = {0};
    ask(&t, &q, "GET", "/v1/ready", "");
    assert_int_equal(200, q.status);
    test_client_stop(&t);
}

/* Somebody who believes in a session gets an answer that is no HTTP/2. */
static void test_complaint(void **state)
{
    int fds[2];
    char answer[16] = "";
    struct agent agent;
    struct agent_options options = {.init = REPORT_INIT_IMAGE};
    struct link *link;
    assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
    assert_int_equal(0, agent_init(&agent, &options, NULL));
    assert_int_equal(0, link_new(&agent, fds[1], LINK_SOCKET, &link));
    link_input(link, "\0\0\4\10\0\0\0\0\0", 9);
    link_input(link, "\0\0\4\10\0\0\0\0\0", 9);
    agent_settle(&agent);
    assert_int_equal(9, read(fds[0], answer, sizeof(answer)));
    assert_string_equal("HOLM/1 -\n", answer);
    agent_done(&agent);
    close(fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ready, test_client_setup, test_client_teardown),
        cmocka_unit_test_setup_teardown(test_restored_on_host, test_client_setup,
                                        test_client_teardown),
        cmocka_unit_test_setup_teardown(test_sync, test_client_setup, test_client_teardown),
        cmocka_unit_test_setup_teardown(test_refusals, test_client_setup, test_client_teardown),
        cmocka_unit_test(test_resync_between_frames),
        cmocka_unit_test(test_resync_in_payload),
        cmocka_unit_test(test_garbage_then_hello),
        cmocka_unit_test(test_complaint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
