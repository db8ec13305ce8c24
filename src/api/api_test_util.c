/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/log.h"

void test_server_start(struct test_server *ts, const struct server_config *config)
{
    signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_ERROR);
    static const struct listener_config any_port = {.address = "127.0.0.1:0"};
    struct server_config c = config ? *config : (struct server_config){0};
    c.host = stub_host_new();
    stub_vms_reset();
    if (!c.listeners) {
        c.listeners = &any_port;
        c.n_listeners = 1;
    }
    struct err e = ERR_INIT;
    if (server_new(&c, &ts->server, &e) < 0)
        fail_msg("server_new: %s", e.text);
    const char *address = server_address(ts->server, 0);
    ts->port = strncmp(address, "unix:", 5) == 0 ? 0 : atoi(strrchr(address, ':') + 1);
}

void test_server_stop(struct test_server *ts)
{
    server_free(ts->server);
    ts->server = NULL;
    stub_vms_reset(); /* also its files */
}

int test_setup(void **state)
{
    struct test_server *ts = calloc(1, sizeof(*ts));
    test_server_start(ts, NULL);
    *state = ts;
    return 0;
}

int test_teardown(void **state)
{
    test_server_stop(*state);
    free(*state);
    return 0;
}

void reply_done(struct reply *r)
{
    buf_done(&r->head);
    buf_done(&r->body);
    json_decref(r->json);
    *r = (struct reply){0};
}

const char *reply_header(const struct reply *r, const char *name)
{
    static char value[512];
    size_t n = strlen(name);
    for (const char *line = strstr(buf_str(&r->head), "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, n) != 0 || line[n] != ':')
            continue;
        const char *v = line + n + 1 + strspn(line + n + 1, " ");
        snprintf(value, sizeof(value), "%.*s", (int)strcspn(v, "\r"), v);
        return value;
    }
    return NULL;
}

const char *reply_string(const struct reply *r, const char *key)
{
    const char *s = json_string_value(json_object_get(r->json, key));
    return s ? s : "";
}

int client_connect(const struct test_server *ts)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)ts->port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

void client_send(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* a server that has had enough closes: what it said is read next */
        data += n;
        len -= (size_t)n;
    }
}

void client_send_text(int fd, const char *text)
{
    client_send(fd, text, strlen(text));
}

/* Appends what comes next; false: the other side closed. */
static bool read_some(int fd, struct buf *b)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, TEST_PATIENCE_MS) != 1)
        fail_msg("no answer; so far: %s", buf_str(b));
    char *room = buf_reserve(b, 65536);
    ssize_t n = recv(fd, room, 65536, 0);
    if (n <= 0)
        return false;
    b->len += (size_t)n;
    b->data[b->len] = '\0';
    return true;
}

void client_read_all(int fd, struct buf *ret)
{
    while (read_some(fd, ret))
        ;
}

void client_read_head(int fd, struct reply *ret, struct buf *rest)
{
    const char *end;
    while (!(end = strstr(buf_str(rest), "\r\n\r\n"))) {
        if (!read_some(fd, rest))
            fail_msg("closed instead of an answer; so far: %s", buf_str(rest));
    }
    size_t n = (size_t)(end - rest->data) + 4;
    buf_append(&ret->head, rest->data, n);
    buf_consume(rest, n);
    ret->status = atoi(ret->head.data + strlen("HTTP/1.1 "));
}

/* The next chunk's bytes are appended to `ret`; false: it was the last. */
static bool read_chunk(int fd, struct buf *rest, struct buf *ret)
{
    char *end;
    while (!(end = strstr(buf_str(rest), "\r\n"))) {
        if (!read_some(fd, rest))
            fail_msg("closed in the middle of a chunk");
    }
    size_t n = strtoul(rest->data, NULL, 16), head = (size_t)(end - rest->data) + 2;
    while (rest->len < head + n + 2) {
        if (!read_some(fd, rest))
            fail_msg("closed in the middle of a chunk");
    }
    buf_append(ret, rest->data + head, n);
    buf_consume(rest, head + n + 2);
    return n > 0;
}

bool line_read(struct line_reader *lr, struct buf *ret)
{
    char *nl;
    while (!(nl = strchr(buf_str(&lr->text), '\n'))) {
        if (!read_chunk(lr->fd, &lr->raw, &lr->text))
            return false;
    }
    size_t n = (size_t)(nl - lr->text.data);
    buf_clear(ret);
    buf_append(ret, lr->text.data, n);
    buf_consume(&lr->text, n + 1);
    return true;
}

void line_reader_done(struct line_reader *lr)
{
    buf_done(&lr->raw);
    buf_done(&lr->text);
}

void client_read(int fd, bool has_body, struct reply *ret)
{
    auto_buf struct buf rest = {0};
    client_read_head(fd, ret, &rest);
    if (ret->status == 100) {
        buf_clear(&ret->head);
        client_read_head(fd, ret, &rest);
    }
    const char *length = reply_header(ret, "Content-Length");
    size_t want = length && has_body ? strtoul(length, NULL, 10) : 0;
    if (has_body && reply_header(ret, "Transfer-Encoding")) {
        while (read_chunk(fd, &rest, &ret->body))
            ;
    }
    while (rest.len < want) {
        if (!read_some(fd, &rest))
            fail_msg("closed in the middle of a body");
    }
    buf_append(&ret->body, buf_str(&rest), want);
    ret->json = json_loadb(buf_str(&ret->body), ret->body.len, JSON_ALLOW_NUL, NULL);
    const char *connection = reply_header(ret, "Connection");
    ret->closed = connection && strcasecmp(connection, "close") == 0;
}

void request(const struct test_server *ts, const char *method, const char *path,
             const char *headers, const char *body, struct reply *ret)
{
    auto_close int fd = client_connect(ts);
    auto_buf struct buf b = {0};
    buf_printf(&b, "%s %s HTTP/1.1\r\n", method, path);
    if (!headers || !strcasestr(headers, "Host:"))
        buf_append_str(&b, "Host: localhost\r\n");
    buf_append_str(&b, headers ? headers : "");
    if (body)
        buf_printf(&b, "Content-Length: %zu\r\n", strlen(body));
    buf_append_str(&b, "\r\n");
    buf_append_str(&b, body ? body : "");
    client_send(fd, b.data, b.len);
    client_read(fd, strcmp(method, "HEAD") != 0, ret);
}

void execute(const struct test_server *ts, const char *json, struct reply *ret)
{
    request(ts, "POST", "/api/v1/execute", "Content-Type: application/json\r\n", json, ret);
}
