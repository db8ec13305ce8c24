/* SPDX-License-Identifier: Apache-2.0 */

/* Frames by hand, so that the client's library is not tested against itself. */

#include "cli/test_ws.h"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/sha1.h"
#include "base/test.h"

struct test_socket {
    int fd;
    struct MHD_UpgradeResponseHandle *handle;
    void (*talk)(struct test_socket *ws);
    char query[256];
    struct buf early; /* what came with the request */
};

static bool read_exactly(struct test_socket *ws, void *ret, size_t len)
{
    char *at = ret;
    while (len) {
        ssize_t n;
        if (ws->early.len) {
            n = (ssize_t)(len < ws->early.len ? len : ws->early.len);
            memcpy(at, ws->early.data, (size_t)n);
            buf_consume(&ws->early, (size_t)n);
        } else {
            n = recv(ws->fd, at, len, 0);
        }
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

int test_ws_receive(struct test_socket *ws, struct buf *ret)
{
    unsigned char head[2], more[8], mask[4];
    buf_clear(ret);
    if (!read_exactly(ws, head, 2))
        return -1;
    /* A client masks whatever it sends. */
    assert_true(head[1] & 0x80);
    size_t len = head[1] & 0x7f, extra = len == 126 ? 2 : len == 127 ? 8 : 0;
    if (!read_exactly(ws, more, extra))
        return -1;
    if (extra)
        len = 0;
    for (size_t i = 0; i < extra; i++)
        len = len << 8 | more[i];
    if (!read_exactly(ws, mask, 4) || (len && !read_exactly(ws, buf_reserve(ret, len), len)))
        return -1;
    for (size_t i = 0; i < len; i++)
        ret->data[i] = (char)(ret->data[i] ^ mask[i % 4]);
    ret->len += len;
    if (ret->data)
        ret->data[ret->len] = '\0';
    return head[0] & 0x0f;
}

void test_ws_raw(struct test_socket *ws, const void *data, size_t len)
{
    const char *at = data;
    while (len) {
        ssize_t n = send(ws->fd, at, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        at += n;
        len -= (size_t)n;
    }
}

void test_ws_send(struct test_socket *ws, int opcode, const void *data, size_t len)
{
    unsigned char head[4] = {(unsigned char)(0x80 | opcode), (unsigned char)len};
    assert_true(len < 1 << 16);
    if (len >= 126) {
        head[1] = 126;
        head[2] = (unsigned char)(len >> 8);
        head[3] = (unsigned char)len;
    }
    test_ws_raw(ws, head, len < 126 ? 2 : 4);
    test_ws_raw(ws, data, len);
}

void test_ws_close(struct test_socket *ws, int code, const char *reason)
{
    char data[126] = {(char)(code >> 8), (char)code};
    snprintf(data + 2, sizeof(data) - 2, "%s", reason);
    test_ws_send(ws, TEST_WS_CLOSE, data, 2 + strlen(reason));
}

const char *test_ws_query(const struct test_socket *ws)
{
    return ws->query;
}

/* Threads that talk. A server that is freed before they end closes sockets under them, whose
 * numbers then belong to the next test's. */
static pthread_mutex_t talks_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t talks_changed = PTHREAD_COND_INITIALIZER;
static int talks;

static void count_talk(int n)
{
    AUTO_LOCK(&talks_lock);
    talks += n;
    pthread_cond_broadcast(&talks_changed);
}

void test_ws_await_all(void)
{
    AUTO_LOCK(&talks_lock);
    while (talks > 0)
        pthread_cond_wait(&talks_changed, &talks_lock);
}

static void *run(void *arg)
{
    struct test_socket *ws = arg;
    ws->talk(ws);
    shutdown(ws->fd, SHUT_RDWR);
    MHD_upgrade_action(ws->handle, MHD_UPGRADE_ACTION_CLOSE);
    buf_done(&ws->early);
    free(ws);
    count_talk(-1);
    return NULL;
}

/* MHD_UpgradeHandler. The socket may be non-blocking; a thread of our own wants it otherwise. */
static void on_upgrade(void *arg, struct MHD_Connection *conn, void *state, const char *early,
                       size_t early_len, MHD_socket fd, struct MHD_UpgradeResponseHandle *handle)
{
    struct test_socket *ws = arg;
    pthread_t thread;
    ws->fd = fd;
    ws->handle = handle;
    fd_set_nonblock(fd, false);
    buf_append(&ws->early, early, early_len);
    count_talk(1);
    assert_int_equal(pthread_create(&thread, NULL, run, ws), 0);
    pthread_detach(thread);
}

enum MHD_Result test_ws_answer(struct MHD_Connection *conn, void (*talk)(struct test_socket *ws),
                               const char *query)
{
    const char *key = MHD_lookup_connection_value(conn, MHD_HEADER_KIND, "Sec-WebSocket-Key");
    unsigned char digest[SHA1_BYTES];
    auto_buf struct buf text = {0};
    auto_buf struct buf accept = {0};
    assert_non_null(key);
    buf_printf(&text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    sha1(text.data, text.len, digest);
    base64_encode(digest, sizeof(digest), &accept);
    struct test_socket *ws = calloc(1, sizeof(*ws));
    ws->talk = talk;
    snprintf(ws->query, sizeof(ws->query), "%s", query);
    struct MHD_Response *resp = MHD_create_response_for_upgrade(on_upgrade, ws);
    MHD_add_response_header(resp, "Upgrade", "websocket");
    MHD_add_response_header(resp, "Sec-WebSocket-Accept", buf_str(&accept));
    enum MHD_Result ok = MHD_queue_response(conn, MHD_HTTP_SWITCHING_PROTOCOLS, resp);
    MHD_destroy_response(resp);
    return ok;
}
