/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/qemu/qmp.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/limits.h"
#include "engine/qemu/sockets.h"

int qmp_take_message(struct buf *in, json_t **ret)
{
    const char *end = in->len ? memchr(in->data, '\n', in->len) : NULL;
    if (!end)
        return -EAGAIN;
    size_t len = (size_t)(end - in->data);
    json_t *m = json_loadb(in->data, len, JSON_REJECT_DUPLICATES, NULL);
    buf_consume(in, len + 1);
    if (json_is_object(m)) {
        *ret = m;
        return 0;
    }
    json_decref(m);
    return -EBADMSG;
}

static int wait_readable(const struct qmp *q, struct err *e)
{
    for (;;) {
        int left_ms = clock_left_ms(q->deadline_ms);
        struct pollfd p = {.fd = q->fd, .events = POLLIN};
        int n = left_ms ? poll(&p, 1, left_ms) : 0;
        if (n > 0)
            return 0;
        if (n == 0)
            return err_set(e, ERR_TIMEOUT, "the monitor does not answer");
        if (errno != EINTR)
            return err_errno(e, -errno, "poll");
    }
}

static int receive(struct qmp *q, json_t **ret, struct err *e)
{
    for (;;) {
        int r = qmp_take_message(&q->in, ret);
        if (r == 0)
            return 0;
        if (r != -EAGAIN)
            return err_set(e, ERR_UNAVAILABLE, "the monitor sent something that is not JSON");
        r = wait_readable(q, e);
        if (r < 0)
            return r;
        char *room = buf_reserve(&q->in, 4096);
        if (!room)
            return err_set(e, ERR_UNAVAILABLE, "the monitor sent too long a message");
        ssize_t n = recv(q->fd, room, 4096, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            return err_set(e, ERR_UNAVAILABLE, "the monitor hung up");
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return err_errno(e, -errno, "read from the monitor");
        q->in.len += n > 0 ? (size_t)n : 0;
    }
}

/* Sends a line, with `fd` as ancillary data unless it is negative. */
static int send_line(struct qmp *q, const char *text, size_t len, int fd)
{
    struct iovec iov = {.iov_base = (void *)text, .iov_len = len};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd >= 0) {
        msg.msg_control = control.room;
        msg.msg_controllen = sizeof(control.room);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        *c = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    }
    /* The socket has a send timeout; a short write means that the monitor stopped reading. */
    ssize_t n = sendmsg(q->fd, &msg, MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN ? -ETIMEDOUT : -errno;
    return (size_t)n == len ? 0 : -ETIMEDOUT;
}

static void make_id(const struct qmp *q, unsigned number, char ret[48])
{
    snprintf(ret, 48, "%llx-%u", (unsigned long long)q->started_us, number);
}

/* Waits for the answer to the next command that has none yet; events and answers to others are
 * dropped. */
int qmp_answer(struct qmp *q, const char *command, json_t **ret, struct err *e)
{
    char expected[48];
    make_id(q, q->answered++, expected);
    for (;;) {
        auto_json json_t *m = NULL;
        int r = receive(q, &m, e);
        if (r < 0)
            return err_wrap(e, r, "%s", command);
        const char *id = json_string_value(json_object_get(m, "id"));
        if (!id || strcmp(id, expected) != 0)
            continue;
        json_t *error = json_object_get(m, "error");
        if (error) {
            const char *text = json_string_value(json_object_get(error, "desc"));
            return err_set(e, ERR_INTERNAL, "%s: %s", command, text ? text : "failed");
        }
        json_t *value = json_object_get(m, "return");
        if (!value)
            return err_set(e, ERR_UNAVAILABLE, "%s: the monitor's answer makes no sense", command);
        if (ret)
            *ret = json_incref(value);
        return 0;
    }
}

static int send_command(struct qmp *q, const char *command, json_t *arguments, int fd,
                        struct err *e)
{
    auto_json json_t *args = arguments;
    char id[48];
    make_id(q, q->sent++, id);
    auto_json json_t *m = json_pack("{s:s s:s}", "execute", command, "id", id);
    if (!m || (args && json_object_set(m, "arguments", args) < 0))
        return err_errno(e, -ENOMEM, "%s", command);
    auto_free char *text = json_dumps(m, JSON_COMPACT);
    auto_buf struct buf line = {0};
    if (!text || buf_printf(&line, "%s\n", text) < 0)
        return err_errno(e, -ENOMEM, "%s", command);
    int r = send_line(q, line.data, line.len, fd);
    if (r == -ETIMEDOUT)
        return err_set(e, ERR_TIMEOUT, "%s: the monitor does not read", command);
    if (r < 0)
        return err_set(e, ERR_UNAVAILABLE, "%s: the monitor hung up", command);
    return 0;
}

int qmp_send(struct qmp *q, const char *command, json_t *arguments, struct err *e)
{
    return send_command(q, command, arguments, -EBADF, e);
}

int qmp_run(struct qmp *q, const char *command, json_t *arguments, json_t **ret, struct err *e)
{
    int r = qmp_send(q, command, arguments, e);
    return r < 0 ? r : qmp_answer(q, command, ret, e);
}

int qmp_add_fd(struct qmp *q, int fd, int set, const char *word, struct err *e)
{
    auto_json json_t *value = NULL;
    json_t *args =
        json_pack("{s:o* s:s*}", "fdset-id", set < 0 ? NULL : json_integer(set), "opaque", word);
    int r = send_command(q, "add-fd", args, fd, e);
    if (r == 0)
        r = qmp_answer(q, "add-fd", &value, e);
    if (r < 0)
        return r;
    json_t *id = json_object_get(value, "fdset-id");
    if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > INT32_MAX)
        return err_set(e, ERR_UNAVAILABLE, "add-fd: the monitor's answer makes no sense");
    return (int)json_integer_value(id);
}

/* What a former client asked may be answered first. */
static int await_greeting(struct qmp *q, struct err *e)
{
    for (;;) {
        auto_json json_t *m = NULL;
        int r = receive(q, &m, e);
        if (r < 0)
            return r;
        if (json_object_get(m, "QMP"))
            return 0;
        if (!json_object_get(m, "id") && !json_object_get(m, "event"))
            return err_set(e, ERR_UNAVAILABLE, "the monitor's greeting makes no sense");
    }
}

int qmp_connect(struct qmp *q, const char *path, int timeout_ms, struct err *e)
{
    *q = (struct qmp){.fd = -EBADF,
                      .in = {.max_bytes = QMP_MESSAGE_MAX_BYTES},
                      .deadline_ms = clock_mono_ms() + timeout_ms,
                      .started_us = clock_mono_us()};
    int fd = sockets_connect(path, timeout_ms);
    if (fd == -EAGAIN)
        return err_set(e, ERR_TIMEOUT, "the monitor accepts no connection");
    if (fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "the monitor cannot be reached: %s", strerror(-fd));
    q->fd = fd;
    int r = await_greeting(q, e);
    if (r == 0)
        r = qmp_run(q, "qmp_capabilities", NULL, NULL, e);
    if (r < 0)
        qmp_done(q);
    return r;
}

void qmp_done(struct qmp *q)
{
    cleanup_close(&q->fd);
    q->fd = -EBADF;
    buf_done(&q->in);
}
