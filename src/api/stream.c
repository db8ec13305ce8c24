/* SPDX-License-Identifier: Apache-2.0 */

/* What runs blocks, and so does the HTTP library when it asks for the next piece, so the job has a
 * thread of its own, which writes finished lines into a socket pair; the connection's thread reads
 * them from the other end. The pair's buffer is the bound on what is held: a client that does not
 * read stops the job, as a full pipe does. But not for ever: the job's thread never blocks in the
 * pair for good, as it holds a VM that others wait for.
 *
 * Whether the job failed before there was anything to stream decides between an error with its own
 * status and an error event behind status 200. Both threads settle that with one compare and
 * exchange (`outcome`). */

#include "api/stream.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "api/request.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"

enum outcome {
    OUTCOME_OPEN,      /* nothing came yet */
    OUTCOME_STREAMING, /* status 200 was, or will be, sent */
    OUTCOME_FAILED,    /* `err` is the answer */
};

struct stream {
    const struct host *host;
    struct stream_job job;
    int client_fd;
    int read_fd;  /* the connection's thread */
    int write_fd; /* the job's thread */
    pthread_t thread;
    bool has_thread;
    atomic_bool abandoned;       /* nobody reads any more */
    atomic_bool is_broken;       /* a line could not be written, so no more are */
    _Atomic int64_t progress_ms; /* when bytes last went into the pair, or out of it */
    int64_t stall_max_ms;
    _Atomic int outcome;
    struct err err; /* written by the job's thread before OUTCOME_FAILED */
};

/* Settles the outcome unless it was; returns what it is. */
static int settle(struct stream *st, int outcome)
{
    int is = OUTCOME_OPEN;
    atomic_compare_exchange_strong(&st->outcome, &is, outcome);
    return is == OUTCOME_OPEN ? outcome : is;
}

static void note_progress(struct stream *st)
{
    atomic_store_explicit(&st->progress_ms, clock_mono_ms(), memory_order_relaxed);
}

/* ---- the job's thread ---- */

bool stream_cancelled(void *s)
{
    const struct stream *st = s;
    return atomic_load(&st->abandoned) || request_fd_hung_up(st->client_fd);
}

static bool is_stalled(const struct stream *st)
{
    int64_t since = atomic_load_explicit(&st->progress_ms, memory_order_relaxed);
    return clock_mono_ms() - since >= st->stall_max_ms;
}

/* The pair is full. Returns 0 when it is worth trying again. */
static int wait_for_room(struct stream *st)
{
    struct pollfd p = {.fd = st->write_fd, .events = POLLOUT};
    int n = poll(&p, 1, STREAM_ASK_INTERVAL_MS);
    if (n > 0 || (n < 0 && errno == EINTR))
        return 0;
    if (stream_cancelled(st) || host_is_stopping(st->host) || is_stalled(st))
        return -ECANCELED;
    return 0;
}

static int write_some(struct stream *st, const char *data, size_t len)
{
    while (len) {
        ssize_t n = send(st->write_fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        int r = n < 0 ? -errno : 0;
        if (r == -EAGAIN)
            r = wait_for_room(st);
        if (r < 0 && r != -EINTR)
            return r;
        if (n < 0)
            continue;
        note_progress(st);
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

int stream_write(struct stream *st, const char *line, size_t len)
{
    settle(st, OUTCOME_STREAMING);
    /* What follows half a line would be taken for its end. */
    if (atomic_load(&st->is_broken))
        return -ECANCELED;
    /* The bound is on waiting for the client; the job may have been silent for longer. */
    note_progress(st);
    int r = write_some(st, line, len);
    if (r < 0)
        atomic_store(&st->is_broken, true);
    return r < 0 ? -ECANCELED : 0;
}

static int append(const char *data, size_t len, void *arg)
{
    return buf_append(arg, data, len) < 0 ? -1 : 0;
}

int stream_write_json(struct stream *st, json_t *line)
{
    auto_buf struct buf text = {0};
    bool made = line &&
                json_dump_callback(line, append, &text,
                                   JSON_COMPACT | JSON_REAL_PRECISION(ANSWER_DIGITS)) == 0 &&
                buf_append_str(&text, "\n") == 0;
    json_decref(line);
    return made ? stream_write(st, text.data, text.len) : -ENOMEM;
}

static void *run(void *arg)
{
    struct stream *st = arg;
    struct err e = ERR_INIT;
    int r = st->job.run(st, st->job.arg, &e);
    if (r < 0) {
        if (e.class == ERR_NONE)
            err_errno(&e, r, "stream the output");
        st->err = e;
    }
    int outcome = settle(st, r < 0 ? OUTCOME_FAILED : OUTCOME_STREAMING);
    /* Without a last event the client knows that it has not seen the end. */
    if (r < 0 && outcome == OUTCOME_STREAMING)
        (void)stream_write_json(st, st->job.error_line(&e));
    shutdown(st->write_fd, SHUT_RDWR);
    return NULL;
}

/* ---- the connection's thread ---- */

static void stream_free(void *arg)
{
    struct stream *st = arg;
    atomic_store(&st->abandoned, true);
    if (st->read_fd >= 0)
        shutdown(st->read_fd, SHUT_RDWR); /* a blocked writer fails now */
    if (st->has_thread)
        pthread_join(st->thread, NULL);
    cleanup_close(&st->read_fd);
    cleanup_close(&st->write_fd);
    if (st->job.free)
        st->job.free(st->job.arg);
    free(st);
}

/* Waits for something to read. Returns false when the client has gone. */
static bool wait_readable(const struct stream *st, int timeout_ms)
{
    struct pollfd p[] = {{.fd = st->read_fd, .events = POLLIN},
                         {.fd = st->client_fd, .events = POLLRDHUP}};
    int n;
    do {
        n = poll(p, 2, timeout_ms);
    } while (n < 0 && errno == EINTR);
    return n <= 0 || p[0].revents || !p[1].revents;
}

static ssize_t stream_read(void *arg, char *buf, size_t max)
{
    struct stream *st = arg;
    if (!wait_readable(st, -1))
        return ANSWER_STREAM_BROKEN;
    ssize_t n = recv(st->read_fd, buf, max, 0);
    note_progress(st);
    if (n == 0 && !atomic_load(&st->is_broken))
        return ANSWER_STREAM_END;
    return n > 0 ? n : ANSWER_STREAM_BROKEN;
}

static int start_thread(struct stream *st)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    st->read_fd = fds[0];
    st->write_fd = fds[1];
    int r = pthread_create(&st->thread, NULL, run, st);
    st->has_thread = r == 0;
    return -r;
}

static void stream_freep(struct stream **st)
{
    if (*st)
        stream_free(*st);
}

int stream_start(struct request *rq, const struct stream_job *job, struct answer *ret,
                 struct err *e)
{
    CLEANUP(stream_freep) struct stream *st = calloc(1, sizeof(*st));
    if (!st) {
        if (job->free)
            job->free(job->arg);
        return err_errno(e, -ENOMEM, "stream the output");
    }
    st->read_fd = st->write_fd = -1;
    st->host = rq->host;
    st->client_fd = rq->fd;
    st->stall_max_ms = (int64_t)rq->send_timeout_s * 1000;
    st->job = *job;
    int r = start_thread(st);
    if (r < 0)
        return err_errno(e, r, "stream the output");
    (void)wait_readable(st, HTTP_STREAM_STATUS_WAIT_MS);
    if (settle(st, OUTCOME_STREAMING) == OUTCOME_FAILED) {
        *e = st->err;
        return -EIO;
    }
    ret->content_type = "application/x-ndjson";
    ret->stream.read = stream_read;
    ret->stream.free = stream_free;
    ret->stream.arg = TAKE_PTR(st);
    return 0;
}
