/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"

#include <pthread.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "engine/qemu/qmp.h"

#define GREETING "{\"QMP\": {\"version\": {}}}\r\n{\"return\": {}, \"id\": \"@\"}\r\n"

/* A monitor that says its lines when a client comes, whatever it asks, and hangs up. Before a line
 * with '@' it waits for a command, whose id it puts there. */
struct monitor {
    int listen_fd;
    const char *says;
    bool stays; /* does not hang up until the client has */
};

/* Reads a command and says the line with its id. */
static void say_answer(int fd, const char *line, int len)
{
    char id[64] = "";
    auto_buf struct buf in = {0};
    auto_json json_t *command = NULL;
    while (qmp_take_message(&in, &command) == -EAGAIN) {
        char *room = buf_reserve(&in, 4096);
        ssize_t n = recv(fd, room, 1, 0); /* not a byte of the next command */
        if (n <= 0)
            return;
        in.len += (size_t)n;
        in.data[in.len] = '\0';
    }
    snprintf(id, sizeof(id), "%s", json_string_value(json_object_get(command, "id")));
    const char *at = memchr(line, '@', (size_t)len);
    auto_buf struct buf out = {0};
    buf_printf(&out, "%.*s%s%.*s", (int)(at - line), line, id, (int)(line + len - at - 1), at + 1);
    (void)!send(fd, out.data, out.len, MSG_NOSIGNAL);
}

static void *serve(void *arg)
{
    const struct monitor *m = arg;
    char in[4096];
    auto_close int fd = accept(m->listen_fd, NULL, NULL);
    for (const char *line = m->says; *line;) {
        const char *end = strchr(line, '\n');
        int len = (int)(end ? end + 1 - line : (ptrdiff_t)strlen(line));
        if (memchr(line, '@', (size_t)len))
            say_answer(fd, line, len);
        else
            (void)!send(fd, line, (size_t)len, MSG_NOSIGNAL);
        line += len;
    }
    if (m->stays)
        while (recv(fd, in, sizeof(in), 0) > 0)
            ;
    return NULL;
}

/* Connects to such a monitor and runs one command; returns the result. */
static int converse(struct monitor m, int timeout_ms, json_t **ret, struct err *e)
{
    auto_test_dir char *dir = test_dir_make();
    char path[256];
    pthread_t thread;
    snprintf(path, sizeof(path), "%s/q", dir);
    auto_close int fd = unix_listen(path, 0600, 4);
    m.listen_fd = fd;
    assert_int_equal(pthread_create(&thread, NULL, serve, &m), 0);
    struct qmp q = QMP_INIT;
    int r = qmp_connect(&q, path, timeout_ms, e);
    if (r == 0)
        r = qmp_run(&q, "query-status", NULL, ret, e);
    qmp_done(&q);
    pthread_join(thread, NULL);
    return r;
}

static void test_conversation(void **state)
{
    auto_json json_t *value = NULL;
    struct err e = ERR_INIT;
    /* What a former client asked is answered first, and is none of our business. */
    struct monitor m = {.says = "{\"return\": {}, \"id\": \"1-0\"}\r\n" GREETING
                                "{\"event\": \"RESUME\"}\r\n"
                                "{\"return\": {\"status\": \"old\"}, \"id\": \"1-1\"}\r\n"
                                "{\"return\": {\"status\": \"running\"}, \"id\": \"@\"}\r\n",
                        .stays = true};
    assert_int_equal(converse(m, 10000, &value, &e), 0);
    assert_string_equal(json_string_value(json_object_get(value, "status")), "running");
}

static void test_errors(void **state)
{
    static const struct {
        const char *says;
        int class;
        const char *text;
    } rows[] = {
        {GREETING
         "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no way\"}, \"id\": \"@\"}\r\n",
         ERR_INTERNAL, "query-status: no way"},
        {GREETING "{\"error\": 5, \"id\": \"@\"}\r\n", ERR_INTERNAL, "query-status: failed"},
        {GREETING "{\"id\": \"@\"}\r\n", ERR_UNAVAILABLE, "answer makes no sense"},
        {"hello\r\n", ERR_UNAVAILABLE, "not JSON"},
        {"[1]\r\n", ERR_UNAVAILABLE, "not JSON"},
        {"{\"return\": {}}\r\n", ERR_UNAVAILABLE, "greeting makes no sense"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct err e = ERR_INIT;
        struct monitor m = {.says = rows[i].says, .stays = true};
        assert_true(converse(m, 10000, NULL, &e) < 0);
        assert_int_equal(e.class, rows[i].class);
        assert_non_null(strstr(e.text, rows[i].text));
    }
    struct err e = ERR_INIT;
    assert_true(converse((struct monitor){.says = ""}, 10000, NULL, &e) < 0);
    assert_int_equal(e.class, ERR_UNAVAILABLE);
}

static void test_silence_is_a_timeout(void **state)
{
    struct err e = ERR_INIT;
    struct monitor m = {.says = "{\"QMP\": {}}\r\n", .stays = true};
    assert_true(converse(m, 20, NULL, &e) < 0);
    assert_int_equal(e.class, ERR_TIMEOUT);
}

static void test_nobody_listens(void **state)
{
    struct err e = ERR_INIT;
    struct qmp q = QMP_INIT;
    assert_true(qmp_connect(&q, "/nowhere/q", 1000, &e) < 0);
    assert_int_equal(e.class, ERR_UNAVAILABLE);
}

static void test_endless_line(void **state)
{
    auto_free char *line = malloc(QMP_MESSAGE_MAX_BYTES + 8192);
    memset(line, ' ', QMP_MESSAGE_MAX_BYTES + 8191);
    line[QMP_MESSAGE_MAX_BYTES + 8191] = '\0';
    struct err e = ERR_INIT;
    assert_true(converse((struct monitor){.says = line, .stays = true}, 60000, NULL, &e) < 0);
    assert_non_null(strstr(e.text, "too long"));
}

static void test_messages_in_pieces(void **state)
{
    auto_buf struct buf in = {0};
    json_t *m = NULL;
    buf_append_str(&in, "{\"a\":");
    assert_int_equal(qmp_take_message(&in, &m), -EAGAIN);
    buf_append_str(&in, " 1}\r\n{\"b\": 2}\n");
    assert_int_equal(qmp_take_message(&in, &m), 0);
    json_decref(m);
    assert_int_equal(qmp_take_message(&in, &m), 0);
    assert_int_equal(json_integer_value(json_object_get(m, "b")), 2);
    json_decref(m);
    assert_int_equal(qmp_take_message(&in, &m), -EAGAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversation),         cmocka_unit_test(test_errors),
        cmocka_unit_test(test_silence_is_a_timeout), cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_endless_line),         cmocka_unit_test(test_messages_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
