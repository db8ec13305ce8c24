/* SPDX-License-Identifier: Apache-2.0 */

/* Output as it comes. host_run blocks, and so does the HTTP library when it asks for the next
 * piece, so the run has a thread of its own, which writes finished lines into a socket pair; the
 * connection's thread reads them from the other end. The pair's buffer is the bound on what is
 * held: a client that does not read stops the program, as a full pipe does. But not for ever: the
 * run's thread never blocks in the pair for good, as it holds a VM that others wait for.
 *
 * Whether the run failed before there was anything to stream decides between an error with its own
 * status and an error event behind status 200. Both threads settle that with one compare and
 * exchange (`outcome`). */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "api/runner/execute.h"
#include "api/runner/runner.h"
#include "base/base64.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"

enum outcome {
    OUTCOME_OPEN,      /* nothing came yet */
    OUTCOME_STREAMING, /* status 200 was, or will be, sent */
    OUTCOME_FAILED,    /* `err` is the answer */
};

struct stream {
    struct host *host;
    struct job job;
    int client_fd;
    int read_fd;  /* the connection's thread */
    int write_fd; /* the run's thread */
    pthread_t thread;
    bool has_thread;
    atomic_bool abandoned;       /* nobody reads any more */
    atomic_bool is_broken;       /* a line could not be written, so no more are */
    _Atomic int64_t progress_ms; /* when bytes last went into the pair, or out of it */
    int64_t stall_max_ms;
    _Atomic int outcome;
    struct err err; /* written by the run's thread before OUTCOME_FAILED */
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

/* ---- the run's thread ---- */

static bool on_cancelled(void *arg)
{
    const struct stream *st = arg;
    return atomic_load(&st->abandoned) || request_fd_hung_up(st->client_fd);
}

static bool is_stalled(const struct stream *st)
{
    int64_t since = atomic_load_explicit(&st->progress_ms, memory_order_relaxed);
    return clock_mono_ms() - since >= st->stall_max_ms;
}

/* The pair is full. Returns 0 when it is worth trying again. */
static int wait_for_room(const struct stream *st)
{
    struct pollfd p = {.fd = st->write_fd, .events = POLLOUT};
    int n = poll(&p, 1, STREAM_ASK_INTERVAL_MS);
    if (n > 0 || (n < 0 && errno == EINTR))
        return 0;
    if (on_cancelled((void *)st) || host_is_stopping(st->host) || is_stalled(st))
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

/* Writes a whole line or, from the first failure on, nothing: what follows half a line would be
 * taken for its end. -ECANCELED: the client does not read, or nobody is to wait for it. */
static int write_line(struct stream *st, const char *data, size_t len)
{
    if (atomic_load(&st->is_broken))
        return -ECANCELED;
    /* The bound is on waiting for the client; the program may have been silent for longer. */
    note_progress(st);
    int r = write_some(st, data, len);
    if (r < 0)
        atomic_store(&st->is_broken, true);
    return r;
}

static int on_output(void *arg, int stream, const void *data, size_t len)
{
    struct stream *st = arg;
    settle(st, OUTCOME_STREAMING);
    auto_buf struct buf line = {0};
    buf_printf(&line, "{\"t\":\"%c\",\"d\":\"", stream == 1 ? 'o' : 'e');
    base64_encode(data, len, &line);
    buf_append_str(&line, "\"}\n");
    return line.failed ? -ENOMEM : write_line(st, line.data, line.len);
}

static int append(const char *data, size_t len, void *arg)
{
    return buf_append(arg, data, len) < 0 ? -1 : 0;
}

static void write_event(struct stream *st, json_t *event)
{
    auto_buf struct buf line = {0};
    /* Without a last event the client knows that it has not seen the end. */
    if (json_dump_callback(event, append, &line, JSON_COMPACT) == 0 &&
        buf_append_str(&line, "\n") == 0)
        write_line(st, line.data, line.len);
    json_decref(event);
}

static json_t *exit_event(const struct run_result *r)
{
    json_t *o = json_pack("{s:s, s:i, s:I, s:I}", "t", "x", "c", r->exit_code, "ms",
                          (json_int_t)(r->exec_us + 500) / 1000, "load_ms",
                          (json_int_t)(r->load_us + 500) / 1000);
    char name[16];
    if (r->timed_out)
        json_object_set_new(o, "to", json_true());
    if (r->signal)
        json_object_set_new(o, "signal", json_string(job_signal_name(r->signal, name)));
    return o;
}

static json_t *error_event(const struct err *e)
{
    json_t *o = json_pack("{s:s, s:i}", "t", "error", "status", err_http_status(e->class));
    json_t *shape = runner_error(e);
    json_object_update(o, shape);
    json_decref(shape);
    return o;
}

static void *run(void *arg)
{
    struct stream *st = arg;
    CLEANUP(run_result_done) struct run_result result = {0};
    struct err e = ERR_INIT;
    int r = host_run(st->host, &st->job.run, &result, &e);
    if (r < 0) {
        if (e.class == ERR_NONE)
            err_errno(&e, r, "run the program");
        st->err = e;
    }
    if (settle(st, r < 0 ? OUTCOME_FAILED : OUTCOME_STREAMING) == OUTCOME_STREAMING)
        write_event(st, r < 0 ? error_event(&e) : exit_event(&result));
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
    job_done(&st->job);
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
    st->job.run.output = on_output;
    st->job.run.cancelled = on_cancelled;
    st->job.run.arg = st;
    int r = pthread_create(&st->thread, NULL, run, st);
    st->has_thread = r == 0;
    return -r;
}

static void stream_freep(struct stream **st)
{
    if (*st)
        stream_free(*st);
}

int stream_start(struct request *rq, struct job *j, struct answer *ret, struct err *e)
{
    CLEANUP(stream_freep) struct stream *st = calloc(1, sizeof(*st));
    if (!st)
        return err_errno(e, -ENOMEM, "stream the output");
    st->read_fd = st->write_fd = -1;
    st->host = rq->host;
    st->client_fd = rq->fd;
    st->stall_max_ms = (int64_t)rq->send_timeout_s * 1000;
    st->job = *j;
    *j = (struct job){0};
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
