/* SPDX-License-Identifier: Apache-2.0 */

/* Requests over a link, blocking for their caller.
 *
 * A `struct call` is one link_run on its caller's stack, a `struct item` one of its requests. Both
 * belong to the link's lock. They can live on the stack because the caller leaves only after the
 * client has forgotten them: closed, or cancelled.
 *
 * What an answer brings is put into the item's queue by whoever fed the client (the loop's thread).
 * The caller swaps the queue for an empty one and works on it without the lock; only then is the
 * window given back. The queue and what the caller has in hand together are thus never more than
 * AGENT_WINDOW_BYTES. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"
#include "host/link.h"
#include "host/link_priv.h"

struct item {
    struct link_target target;
    struct link_request *rq;
    struct call *call;
    int32_t stream;
    size_t piece; /* of rq->body, the next to send, and where in it */
    size_t offset;
    struct buf queue; /* for the sink */
    bool open;        /* the client knows us */
    bool sent;        /* the body has left */
    bool complete;
    bool too_large;
    bool no_memory;
};

struct call {
    struct call *next;
    struct link *link;
    struct link_waiter waiter;
    struct item *items;
    size_t n_items;
    size_t n_open;
    size_t n_unsent; /* bodies of requests without `hold` that have not left */
    bool held;       /* a body waits for n_unsent to be 0 */
    bool wake;       /* the caller is to be woken */
    bool news;       /* something happened since the caller looked */
    pthread_cond_t cond;
};

static bool is_ok(int status)
{
    return status >= 200 && status < 300;
}

/* --- events, with the link's lock held --- */

static void mark(struct call *k)
{
    k->link->n_wake += !k->wake;
    k->wake = k->news = true;
}

static ssize_t on_pull(void *arg, void *out, size_t max, bool *ret_end)
{
    struct item *it = arg;
    if (it->rq->hold && it->call->n_unsent)
        return 0;
    size_t done = 0;
    while (done < max && it->piece < it->rq->n_body) {
        const struct iovec *v = &it->rq->body[it->piece];
        size_t n = v->iov_len - it->offset < max - done ? v->iov_len - it->offset : max - done;
        if (n)
            memcpy((char *)out + done, (const char *)v->iov_base + it->offset, n);
        done += n;
        it->offset += n;
        if (it->offset == v->iov_len) {
            it->piece++;
            it->offset = 0;
        }
    }
    *ret_end = it->piece == it->rq->n_body;
    return (ssize_t)done;
}

static void on_sent(void *arg)
{
    struct item *it = arg;
    if (!it->sent && !it->rq->hold)
        it->call->n_unsent--;
    it->sent = true;
}

static void on_head(void *arg, int status)
{
    struct item *it = arg;
    it->rq->status = status;
}

static void on_data(void *arg, const void *data, size_t len)
{
    struct item *it = arg;
    struct link *l = it->call->link;
    if (it->rq->sink && is_ok(it->rq->status)) {
        it->no_memory |= buf_append(&it->queue, data, len) < 0;
        if (it->queue.len > l->queued_peak_bytes)
            l->queued_peak_bytes = it->queue.len;
        mark(it->call);
        return;
    }
    int r = buf_append(&it->rq->answer, data, len);
    it->too_large |= r == -E2BIG;
    it->no_memory |= r == -ENOMEM;
    if (r < 0)
        mark(it->call);
    agent_client_consume(l->client, it->stream, len);
}

static void on_closed(void *arg, bool complete, uint32_t h2_error)
{
    struct item *it = arg;
    struct call *k = it->call;
    on_sent(it); /* nothing of it will be any more */
    it->open = false;
    it->complete = complete;
    k->n_open--;
    if (k->n_open == 0 || !complete || !is_ok(it->rq->status))
        mark(k);
}

static const struct agent_client_ops item_ops = {
    .pull = on_pull,
    .sent = on_sent,
    .head = on_head,
    .data = on_data,
    .closed = on_closed,
};

void link_run_release(struct link *l)
{
    for (struct call *k = l->calls; k; k = k->next) {
        if (!k->held || k->n_unsent)
            continue;
        k->held = false;
        for (size_t i = 0; i < k->n_items; i++) {
            if (k->items[i].open && k->items[i].rq->hold)
                agent_client_resume(l->client, k->items[i].stream);
        }
    }
}

void link_run_wake(struct link *l)
{
    if (l->n_change_waiters && (l->ended || agent_client_room(l->client)))
        pthread_cond_broadcast(&l->changed);
    if (!l->n_wake && !l->ended)
        return;
    for (struct call *k = l->calls; k; k = k->next) {
        if (k->wake || l->ended)
            pthread_cond_signal(&k->cond);
        k->wake = false;
    }
    l->n_wake = 0;
}

/* --- the caller's side, with the link's lock held but where it says so --- */

/* Hands a queue to its sink; the lock is not held meanwhile. */
static int item_deliver(struct link *l, struct item *it, struct err *e)
{
    struct buf taken = it->queue;
    it->queue = (struct buf){0};
    pthread_mutex_unlock(&l->lock);
    int r = it->rq->sink(it->rq->arg, taken.data, taken.len);
    pthread_mutex_lock(&l->lock);
    if (!l->ended && r >= 0) {
        agent_client_consume(l->client, it->stream, taken.len);
        link_settle(l);
    }
    /* Its memory is used again unless more has come meanwhile. */
    size_t used = taken.len;
    buf_clear(&taken);
    if (used && !it->queue.data)
        it->queue = taken;
    else
        buf_done(&taken);
    if (r >= 0)
        return 0;
    err_set(e, ERR_UNAVAILABLE, "ended by the receiver of its output");
    return -ECANCELED;
}

/* 1: something was delivered, and more may have come meanwhile; 0: there was nothing. */
static int call_deliver(struct call *k, struct err *e)
{
    int any = 0;
    for (size_t i = 0; i < k->n_items; i++) {
        struct item *it = &k->items[i];
        if (!it->queue.len)
            continue;
        int r = item_deliver(k->link, it, e);
        if (r < 0)
            return r;
        any = 1;
    }
    return any;
}

/* What is wrong with a request, 0 for nothing (as yet). */
static int item_check(const struct item *it, struct err *e)
{
    const struct link_request *rq = it->rq;
    if (it->no_memory)
        return err_errno(e, -ENOMEM, "%s to the agent", rq->method);
    if (it->too_large)
        return err_set(e, ERR_TOO_LARGE, "the agent's answer is larger than %zu bytes",
                       rq->answer.max_bytes);
    if (!it->open && !it->complete)
        return err_set(e, ERR_UNAVAILABLE, "the agent gave the request up");
    return 0;
}

/* 1: the batch is decided, 0: go on waiting. The first request at fault is the one that counts. */
static int call_check(const struct call *k, struct err *e)
{
    for (size_t i = 0; i < k->n_items; i++) {
        int r = item_check(&k->items[i], e);
        if (r < 0)
            return r;
        if (!k->items[i].open && !is_ok(k->items[i].rq->status))
            return 1;
    }
    return k->n_open == 0;
}

static int call_open(struct call *k, struct err *e)
{
    struct link *l = k->link;
    for (size_t i = 0; i < k->n_items; i++) {
        struct item *it = &k->items[i];
        k->held |= it->rq->hold;
        k->n_unsent += !it->rq->hold;
        int32_t id = agent_client_open(l->client, it->rq->method, it->rq->path,
                                       it->rq->n_body ? AGENT_BODY_REQUEST : AGENT_BODY_NONE, it);
        if (id < 0)
            return err_errno(e, id, "request to the agent");
        it->stream = id;
        it->open = true;
        k->n_open++;
    }
    link_settle(l);
    return 0;
}

/* What came is delivered before anything is concluded from how it went on. */
static int call_wait(struct call *k, struct err *e)
{
    struct link *l = k->link;
    for (;;) {
        k->news = false;
        int r = call_deliver(k, e);
        if (r < 0)
            return r;
        bool delivered = r > 0;
        r = delivered ? 0 : call_check(k, e);
        if (r != 0)
            return r < 0 ? r : 0;
        if (l->ended && !delivered)
            return link_end_error(l, e);
        r = link_waiter_poll(&k->waiter, e);
        if (r < 0)
            return r;
        if (!delivered && !k->news && !l->ended)
            link_waiter_sleep(&k->waiter, &k->cond);
    }
}

static void call_enter(struct call *k, const struct link_wait *w)
{
    struct link *l = k->link;
    link_waiter_init(&k->waiter, l, w);
    link_cond_init(&k->cond);
    k->next = l->calls;
    l->calls = k;
    l->n_calls++;
}

/* Makes the client forget the call, and the link too. */
static void call_leave(struct call *k)
{
    struct link *l = k->link;
    for (size_t i = 0; i < k->n_items; i++) {
        if (k->items[i].open)
            agent_client_cancel(l->client, k->items[i].stream);
        buf_done(&k->items[i].queue);
    }
    if (k->n_open)
        link_settle(l);
    l->n_wake -= k->wake;
    struct call **p = &l->calls;
    while (*p != k)
        p = &(*p)->next;
    *p = k->next;
    pthread_cond_destroy(&k->cond);
    if (--l->n_calls == 0)
        pthread_cond_broadcast(&l->changed);
}

int link_wait_open(struct link *l, const struct link_wait *w, struct err *e)
{
    assert(w->deadline_ms > 0);
    struct call k = {.link = l};
    int r = 0;
    AUTO_LOCK(&l->lock);
    call_enter(&k, w);
    while (r == 0 && !l->ended && agent_client_state(l->client) == AGENT_CLIENT_HELLO)
        r = link_waiter_sleep_changed(&k.waiter, e);
    call_leave(&k);
    return r == 0 && l->ended ? link_end_error(l, e) : r;
}

int link_run(struct link *l, struct link_request *rqs, size_t n, const struct link_wait *w,
             struct err *e)
{
    assert(n > 0 && n <= LINK_BATCH_MAX && w->deadline_ms > 0);
    auto_free struct item *items = calloc(n, sizeof(*items));
    if (!items)
        return err_errno(e, -ENOMEM, "request to the agent");
    struct call k = {.link = l, .items = items, .n_items = n};
    for (size_t i = 0; i < n; i++) {
        items[i] = (struct item){.target.ops = &item_ops, .rq = &rqs[i], .call = &k};
        rqs[i].status = 0;
        if (!rqs[i].answer.max_bytes)
            rqs[i].answer.max_bytes = AGENT_REPORT_MAX_BYTES;
    }
    AUTO_LOCK(&l->lock);
    call_enter(&k, w);
    int r = link_waiter_room(&k.waiter, n, e);
    if (r == 0)
        r = call_open(&k, e);
    if (r == 0)
        r = call_wait(&k, e);
    call_leave(&k);
    return r;
}
