/* SPDX-License-Identifier: Apache-2.0 */

/* Requests whose body and answer are streams.
 *
 * What the answer brings is put into `queue` by whoever fed the client. A reader takes the whole
 * queue and then serves itself from it without the lock; as it does, the window is given back in
 * portions. Both together are never more than AGENT_WINDOW_BYTES.
 *
 * A writer lends its bytes (`lent`) and waits until the client has pulled them all. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "host/link.h"
#include "host/link_priv.h"

/* Window is given back in portions of this: each takes the lock. */
#define CONSUME_BYTES (AGENT_WINDOW_BYTES / 8)

/* The link's lock owns it, but for what the reader has. */
struct link_stream {
    struct link_target target;
    struct link *link;
    struct link_stream *next; /* in link->streams */
    int32_t id;
    bool open; /* the client knows us */
    bool complete;
    bool no_memory;
    _Atomic bool shutdown;
    int status; /* 0: none yet */

    struct buf queue; /* came, and no reader has taken it */
    bool reader_waits;
    pthread_cond_t readable; /* also the status */

    const char *lent;
    size_t lent_len;
    bool body_ended;
    bool writer_waits;
    pthread_cond_t writable;

    /* The reader's. */
    struct buf taken;
    size_t taken_at;
    size_t unconsumed; /* bytes read whose window was not given back */
};

/* --- events, with the link's lock held --- */

static void wake_reader(struct link_stream *s)
{
    if (s->reader_waits)
        pthread_cond_broadcast(&s->readable);
    s->reader_waits = false;
}

static void wake_writer(struct link_stream *s)
{
    if (s->writer_waits)
        pthread_cond_signal(&s->writable);
    s->writer_waits = false;
}

void link_stream_wake_all(struct link *l)
{
    for (struct link_stream *s = l->streams; s; s = s->next) {
        wake_reader(s);
        wake_writer(s);
    }
}

static ssize_t on_pull(void *arg, void *out, size_t max, bool *ret_end)
{
    struct link_stream *s = arg;
    size_t n = s->lent_len < max ? s->lent_len : max;
    if (n) {
        memcpy(out, s->lent, n);
        s->lent += n;
        s->lent_len -= n;
        if (!s->lent_len)
            wake_writer(s);
    }
    *ret_end = s->body_ended && !s->lent_len;
    return (ssize_t)n;
}

static void on_sent(void *arg)
{
}

static void on_head(void *arg, int status)
{
    struct link_stream *s = arg;
    s->status = status;
    wake_reader(s);
}

static void on_data(void *arg, const void *data, size_t len)
{
    struct link_stream *s = arg;
    s->no_memory |= buf_append(&s->queue, data, len) < 0;
    if (s->queue.len > s->link->queued_peak_bytes)
        s->link->queued_peak_bytes = s->queue.len;
    wake_reader(s);
}

static void on_ended(void *arg)
{
    struct link_stream *s = arg;
    s->complete = true;
    wake_reader(s);
}

static void on_closed(void *arg, bool complete, uint32_t h2_error)
{
    struct link_stream *s = arg;
    s->open = false;
    s->complete = complete;
    wake_reader(s);
    wake_writer(s);
}

static const struct agent_client_ops stream_ops = {
    .pull = on_pull,
    .sent = on_sent,
    .head = on_head,
    .data = on_data,
    .closed = on_closed,
    .ended = on_ended,
};

/* --- opening and freeing --- */

static void stream_destroy(struct link_stream *s)
{
    pthread_cond_destroy(&s->readable);
    pthread_cond_destroy(&s->writable);
    buf_done(&s->queue);
    buf_done(&s->taken);
    free(s);
}

static int open_request(struct link_stream *s, const struct link_head *head, struct err *e)
{
    struct link *l = s->link;
    int32_t id = agent_client_open(l->client, head->method, head->path,
                                   head->has_body ? AGENT_BODY_DUPLEX : AGENT_BODY_NONE, s);
    if (id < 0)
        return err_errno(e, id, "request to the agent");
    s->id = id;
    s->open = true;
    s->next = l->streams;
    l->streams = s;
    l->refs++;
    link_settle(l);
    return 0;
}

int link_stream_open(struct link *l, const struct link_head *head, const struct link_wait *w,
                     struct link_stream **ret, struct err *e)
{
    struct link_stream *s = calloc(1, sizeof(*s));
    if (!s)
        return err_errno(e, -ENOMEM, "request to the agent");
    s->target.ops = &stream_ops;
    s->link = l;
    s->body_ended = !head->has_body;
    link_cond_init(&s->readable);
    link_cond_init(&s->writable);
    struct link_waiter waiter;
    int r;
    {
        AUTO_LOCK(&l->lock);
        l->n_calls++; /* link_close waits for us */
        link_waiter_init(&waiter, l, w);
        r = link_waiter_room(&waiter, 1, e);
        r = r < 0 ? r : open_request(s, head, e);
        if (--l->n_calls == 0)
            pthread_cond_broadcast(&l->changed);
    }
    if (r < 0) {
        stream_destroy(s);
        return r;
    }
    *ret = s;
    return 0;
}

void link_stream_free(struct link_stream *s)
{
    if (!s)
        return;
    struct link *l = s->link;
    {
        AUTO_LOCK(&l->lock);
        assert(!s->reader_waits && !s->writer_waits);
        struct link_stream **p = &l->streams;
        while (*p != s)
            p = &(*p)->next;
        *p = s->next;
        if (s->open) {
            agent_client_cancel(l->client, s->id);
            if (!l->ended)
                link_settle(l);
        }
    }
    stream_destroy(s);
    link_unref(l);
}

void link_stream_shutdown(struct link_stream *s)
{
    AUTO_LOCK(&s->link->lock);
    s->shutdown = true;
    wake_reader(s);
    wake_writer(s);
}

/* --- waiting, with the lock held --- */

/* Why nothing more will happen; 0: something may. */
static int stream_check(const struct link_stream *s, struct err *e)
{
    if (s->shutdown) {
        err_set(e, ERR_UNAVAILABLE, "shut down");
        return -ECANCELED;
    }
    if (s->no_memory)
        return err_errno(e, -ENOMEM, "the agent's answer");
    if (s->link->ended)
        return link_end_error(s->link, e);
    if (!s->open && !s->complete)
        return err_set(e, ERR_UNAVAILABLE, "the agent gave the request up");
    return 0;
}

/* An event clears `*waits`, also one that comes while the poll's callback is asked. */
static int sleep_on(struct link_waiter *w, bool *waits, pthread_cond_t *cond, struct err *e)
{
    *waits = true;
    int r = link_waiter_poll(w, e);
    if (r == 0 && *waits)
        link_waiter_sleep(w, cond);
    *waits = false;
    return r;
}

int link_stream_status(struct link_stream *s, const struct link_wait *w, int *ret, struct err *e)
{
    struct link_waiter waiter;
    AUTO_LOCK(&s->link->lock);
    link_waiter_init(&waiter, s->link, w);
    while (!s->status) {
        int r = stream_check(s, e);
        r = r < 0 ? r : sleep_on(&waiter, &s->reader_waits, &s->readable, e);
        if (r < 0)
            return r;
    }
    *ret = s->status;
    return 0;
}

/* --- reading --- */

static void give_back(struct link_stream *s)
{
    struct link *l = s->link;
    if (!s->unconsumed || l->ended)
        return;
    agent_client_consume(l->client, s->id, s->unconsumed);
    s->unconsumed = 0;
    link_settle(l);
}

/* 1: there is something in `taken`; 0: the answer's end. */
static int take_queue(struct link_stream *s, const struct link_wait *w, struct err *e)
{
    struct link_waiter waiter;
    AUTO_LOCK(&s->link->lock);
    give_back(s);
    link_waiter_init(&waiter, s->link, w);
    while (!s->queue.len || s->shutdown || s->no_memory) {
        if (s->complete && !s->queue.len && !s->shutdown)
            return 0;
        int r = stream_check(s, e);
        r = r < 0 ? r : sleep_on(&waiter, &s->reader_waits, &s->readable, e);
        if (r < 0)
            return r;
    }
    /* The two take turns, so that their memory is used again. */
    struct buf empty = s->taken;
    buf_clear(&empty);
    s->taken = s->queue;
    s->queue = empty;
    s->taken_at = 0;
    return 1;
}

ssize_t link_stream_read(struct link_stream *s, void *buf, size_t max, const struct link_wait *w,
                         struct err *e)
{
    assert(max > 0);
    if (s->shutdown || s->taken_at == s->taken.len) {
        int r = take_queue(s, w, e);
        if (r <= 0)
            return r;
    }
    size_t left = s->taken.len - s->taken_at, n = left < max ? left : max;
    memcpy(buf, s->taken.data + s->taken_at, n);
    s->taken_at += n;
    s->unconsumed += n;
    if (s->unconsumed >= CONSUME_BYTES) {
        AUTO_LOCK(&s->link->lock);
        give_back(s);
    }
    return (ssize_t)n;
}

/* --- writing --- */

static int write_check(const struct link_stream *s, struct err *e)
{
    int r = stream_check(s, e);
    if (r < 0 || s->open)
        return r;
    err_set(e, ERR_CONFLICT, "the agent has answered and takes no more");
    return -EPIPE;
}

int link_stream_write(struct link_stream *s, const void *data, size_t len,
                      const struct link_wait *w, struct err *e)
{
    struct link *l = s->link;
    struct link_waiter waiter;
    AUTO_LOCK(&l->lock);
    assert(!s->lent_len && !s->body_ended);
    int r = write_check(s, e);
    if (r < 0 || !len)
        return r;
    link_waiter_init(&waiter, l, w);
    s->lent = data;
    s->lent_len = len;
    agent_client_resume(l->client, s->id);
    link_settle(l);
    while (r == 0 && s->lent_len) {
        r = write_check(s, e);
        r = r < 0 ? r : sleep_on(&waiter, &s->writer_waits, &s->writable, e);
    }
    s->lent_len = 0;
    return r;
}

int link_stream_end(struct link_stream *s, const struct link_wait *w, struct err *e)
{
    struct link *l = s->link;
    AUTO_LOCK(&l->lock);
    int r = write_check(s, e);
    if (r < 0)
        return r;
    s->body_ended = true;
    agent_client_resume(l->client, s->id);
    link_settle(l);
    return 0;
}
