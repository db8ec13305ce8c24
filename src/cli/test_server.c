/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/test_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include <microhttpd.h>

#include "base/test.h"
#include "cli/test_ws.h"

struct test_server {
    struct MHD_Daemon *mhd;
    const struct test_reply *replies;
    char url[64];
    pthread_mutex_t lock; /* owns what follows */
    pthread_cond_t changed;
    int served[TEST_REPLIES_MAX];
    struct buf body;
    struct buf log;
    char accept[64];
    char key[64];
    bool gone;
};

/* One request. */
struct exchange {
    struct test_server *server;
    struct MHD_Connection *conn;
    const struct test_reply *reply;
    struct buf query;
    struct buf body;
    size_t step;
    size_t offset;
};

static const struct test_reply not_found = {
    .path = "", .status = 404, .steps = {"{\"error\":\"no such path\"}"}};

static bool fits(const struct test_reply *r, const char *path, const char *method,
                 const char *query)
{
    return !strcmp(r->path, path) && (!r->method || !strcmp(r->method, method)) &&
           (!r->query || strstr(query, r->query));
}

static const struct test_reply *choose(struct test_server *s, const char *path, const char *method,
                                       const char *query)
{
    const struct test_reply *best = &not_found;
    size_t at = TEST_REPLIES_MAX;
    AUTO_LOCK(&s->lock);
    for (size_t i = 0; s->replies[i].path; i++) {
        assert_true(i < TEST_REPLIES_MAX);
        bool is_later = at < TEST_REPLIES_MAX && s->served[i];
        if (!fits(&s->replies[i], path, method, query) || is_later)
            continue;
        best = &s->replies[i];
        at = i;
        if (!s->served[i])
            break;
    }
    if (at < TEST_REPLIES_MAX)
        s->served[at]++;
    pthread_cond_broadcast(&s->changed);
    return best;
}

static void note_request(struct exchange *x, const char *path, const char *method)
{
    struct test_server *s = x->server;
    const char *accept = MHD_lookup_connection_value(x->conn, MHD_HEADER_KIND, "Accept");
    const char *key = MHD_lookup_connection_value(x->conn, MHD_HEADER_KIND, "X-API-Key");
    const char *type = MHD_lookup_connection_value(x->conn, MHD_HEADER_KIND, "Content-Type");
    bool is_json = type && !strcmp(type, "application/json");
    AUTO_LOCK(&s->lock);
    snprintf(s->accept, sizeof(s->accept), "%s", accept ? accept : "");
    snprintf(s->key, sizeof(s->key), "%s", key ? key : "");
    buf_clear(&s->body);
    buf_append(&s->body, buf_str(&x->body), x->body.len);
    buf_printf(&s->log, "%s %s%s%s%s%s\n", method, path, x->query.len ? "?" : "",
               buf_str(&x->query), is_json && x->body.len ? " " : "",
               is_json ? buf_str(&x->body) : "");
}

static void wait_client_gone(struct exchange *x)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->conn, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct pollfd p = {.fd = info->connect_fd, .events = POLLRDHUP};
    poll(&p, 1, -1);
    AUTO_LOCK(&x->server->lock);
    x->server->gone = true;
    pthread_cond_broadcast(&x->server->changed);
}

static ssize_t read_bytes(const struct test_reply *r, uint64_t pos, char *buf, size_t max)
{
    size_t n = r->size - pos < max ? r->size - pos : max;
    for (size_t i = 0; i < n; i++)
        buf[i] = r->data ? r->data[pos + i] : test_byte(pos + i);
    return n ? (ssize_t)n : MHD_CONTENT_READER_END_OF_STREAM;
}

/* MHD_ContentReaderCallback: one step at a time. */
static ssize_t read_body(void *arg, uint64_t pos, char *buf, size_t max)
{
    struct exchange *x = arg;
    if (x->reply->size)
        return read_bytes(x->reply, pos, buf, max);
    const char *step = x->step < TEST_STEPS_MAX ? x->reply->steps[x->step] : NULL;
    if (!step || (step != TEST_HANG && !*step))
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (step == TEST_HANG) {
        wait_client_gone(x);
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    size_t left = strlen(step) - x->offset, n = left < max ? left : max;
    memcpy(buf, step + x->offset, n);
    x->offset += n;
    if (n == left) {
        x->step++;
        x->offset = 0;
    }
    return (ssize_t)n;
}

static enum MHD_Result answer(struct exchange *x)
{
    const struct test_reply *r = x->reply;
    uint64_t size = r->size ? r->size : r->steps[0] != NULL ? strlen(r->steps[0]) : 0;
    struct MHD_Response *resp = MHD_create_response_from_callback(
        r->has_length ? size : MHD_SIZE_UNKNOWN, 1 << 16, read_body, x, NULL);
    MHD_add_response_header(resp, "Content-Type", r->type ? r->type : "application/json");
    if (r->retry_after)
        MHD_add_response_header(resp, "Retry-After", r->retry_after);
    enum MHD_Result ok = MHD_queue_response(x->conn, (unsigned)r->status, resp);
    MHD_destroy_response(resp);
    return ok;
}

static enum MHD_Result add_to_query(void *arg, enum MHD_ValueKind kind, const char *key,
                                    const char *value)
{
    struct buf *query = arg;
    buf_printf(query, "%s%s%s%s", query->len ? "&" : "", key, value ? "=" : "", value ? value : "");
    return MHD_YES;
}

static struct exchange *begin(struct test_server *s, struct MHD_Connection *conn, const char *path,
                              const char *method)
{
    struct exchange *x = calloc(1, sizeof(*x));
    x->server = s;
    x->conn = conn;
    MHD_get_connection_values(conn, MHD_GET_ARGUMENT_KIND, add_to_query, &x->query);
    x->reply = choose(s, path, method, buf_str(&x->query));
    return x;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *conn, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *len, void **state)
{
    struct exchange *x = *state;
    bool is_new = !x;
    if (is_new)
        x = *state = begin(arg, conn, url, method);
    if (is_new && !x->reply->refuses)
        return MHD_YES;
    if (*len) {
        buf_append(&x->body, data, *len);
        *len = 0;
        return MHD_YES;
    }
    note_request(x, url, method);
    return x->reply->talk ? test_ws_answer(conn, x->reply->talk, buf_str(&x->query)) : answer(x);
}

static void on_completed(void *arg, struct MHD_Connection *conn, void **state,
                         enum MHD_RequestTerminationCode why)
{
    struct exchange *x = *state;
    if (x && why != MHD_REQUEST_TERMINATED_COMPLETED_OK) {
        /* It may have gone before its answer began. */
        AUTO_LOCK(&x->server->lock);
        x->server->gone = true;
        pthread_cond_broadcast(&x->server->changed);
    }
    if (x) {
        buf_done(&x->query);
        buf_done(&x->body);
    }
    free(x);
}

static struct test_server *start(const struct test_reply *replies, int listen_fd)
{
    struct test_server *s = calloc(1, sizeof(*s));
    s->replies = replies;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->mhd = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
                                  MHD_ALLOW_UPGRADE,
                              0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, listen_fd,
                              MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
    assert_non_null(s->mhd);
    return s;
}

struct test_server *test_server_new(const struct test_reply *replies)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&addr, len) == 0 && listen(fd, 64) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    struct test_server *s = start(replies, fd);
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d", ntohs(addr.sin_port));
    return s;
}

struct test_server *test_server_new_unix(const struct test_reply *replies, const char *path)
{
    int fd = unix_listen(path, 0600, 64);
    assert_true(fd >= 0);
    struct test_server *s = start(replies, fd);
    snprintf(s->url, sizeof(s->url), "unix:%s", path);
    return s;
}

void test_server_free(struct test_server *s)
{
    test_ws_await_all();
    MHD_stop_daemon(s->mhd);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    buf_done(&s->body);
    buf_done(&s->log);
    free(s);
}

const char *test_server_url(const struct test_server *s)
{
    return s->url;
}

const char *test_server_body(const struct test_server *s)
{
    return buf_str(&s->body);
}

size_t test_server_body_len(const struct test_server *s)
{
    return s->body.len;
}

const char *test_server_log(const struct test_server *s)
{
    return buf_str(&s->log);
}

const char *test_server_accept(const struct test_server *s)
{
    return s->accept;
}

const char *test_server_key(const struct test_server *s)
{
    return s->key;
}

/* The lock is held. */
static int count(const struct test_server *s, const char *path)
{
    int n = 0;
    for (size_t i = 0; s->replies[i].path; i++)
        n += strcmp(s->replies[i].path, path) ? 0 : s->served[i];
    return n;
}

int test_server_count(struct test_server *s, const char *path)
{
    AUTO_LOCK(&s->lock);
    return count(s, path);
}

void test_server_wait_count(struct test_server *s, const char *path, int n)
{
    AUTO_LOCK(&s->lock);
    while (count(s, path) < n)
        pthread_cond_wait(&s->changed, &s->lock);
}

void test_server_wait_gone(struct test_server *s)
{
    AUTO_LOCK(&s->lock);
    while (!s->gone)
        pthread_cond_wait(&s->changed, &s->lock);
}
