/* SPDX-License-Identifier: Apache-2.0 */

/* The loop that serves all links.
 *
 * Its thread only reads: what is to be written is written at once by whoever produced it, under the
 * link's lock, and comes back to the loop only when the socket was full. epoll is level-triggered
 * with a bounded read a turn, so a guest that floods gets one turn as everybody else does.
 *
 * A link is freed by the loop's thread alone, after a batch of events: an event that was already
 * fetched can then never point to a freed link, since a closing link leaves epoll before it is
 * handed over. */
#include "host/link.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/limits.h"
#include "host/link_priv.h"

#define EVENTS_PER_TURN 64

struct link_loop {
    pthread_t thread;
    bool started;
    int epoll_fd;
    int wake_fd; /* eventfd, edge-triggered, hence never read */

    pthread_mutex_t lock; /* owns the next group; a leaf */
    struct link *opened;  /* for the thread to greet */
    struct link *closed;  /* for the thread to free */
    bool stop;

    /* Owned by the thread. */
    struct link *greeting;
    char *in; /* AGENT_TURN_MAX_BYTES */
};

/* --- one link's bytes; all with its lock held --- */

void link_end(struct link *l, const char *reason)
{
    if (l->ended)
        return;
    l->ended = true;
    err_set(&l->end_err, ERR_UNAVAILABLE, "%s", reason);
    epoll_ctl(l->loop->epoll_fd, EPOLL_CTL_DEL, l->fd, NULL);
    shutdown(l->fd, SHUT_RDWR);
    buf_done(&l->out);
    pthread_cond_broadcast(&l->changed);
    link_stream_wake_all(l);
}

/* Fills l->out with something worth a system call. False: the session is over. */
static bool gather(struct link *l)
{
    /* What was sent goes at each turn: a guest that never reads all of it would make this grow. */
    buf_consume(&l->out, l->out_start);
    l->out_start = 0;
    while (l->out.len < AGENT_TURN_MAX_BYTES) {
        const void *data;
        ssize_t n = agent_client_take(l->client, &data);
        if (n <= 0)
            return n == 0;
        if (buf_append(&l->out, data, (size_t)n) < 0) {
            link_end(l, "out of memory");
            return false;
        }
        link_run_release(l);
    }
    return true;
}

/* Writes what is gathered. False: it could not all be written now. */
static bool write_out(struct link *l)
{
    while (l->out_start < l->out.len) {
        ssize_t n = send(l->fd, l->out.data + l->out_start, l->out.len - l->out_start,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            link_end(l, "the connection to the agent broke");
        if (n < 0)
            return false;
        l->out_start += (size_t)n;
    }
    l->out_start = 0;
    /* Most links are idle most of the time: they keep no big buffer. */
    if (l->out.cap > 4096)
        buf_done(&l->out);
    else
        buf_clear(&l->out);
    return true;
}

static void arm(struct link *l, bool blocked)
{
    if (l->ended || l->blocked == blocked)
        return;
    l->blocked = blocked;
    struct epoll_event ev = {.events = EPOLLIN | (blocked ? EPOLLOUT : 0), .data.ptr = l};
    epoll_ctl(l->loop->epoll_fd, EPOLL_CTL_MOD, l->fd, &ev);
}

void link_settle(struct link *l)
{
    bool blocked = false;
    link_run_release(l);
    for (size_t written = 0; !l->ended && !blocked;) {
        if (!gather(l) && agent_client_state(l->client) == AGENT_CLIENT_ENDED) {
            link_end(l, agent_client_reason(l->client));
            break;
        }
        if (l->ended || l->out.len == l->out_start)
            break;
        written += l->out.len - l->out_start;
        /* Beyond a turn's share it goes on when the loop comes round. */
        blocked = !write_out(l) || written >= AGENT_OUT_TURN_MAX_BYTES;
    }
    arm(l, blocked);
    link_run_wake(l);
}

static void read_in(struct link *l, char *in)
{
    ssize_t n = recv(l->fd, in, AGENT_TURN_MAX_BYTES, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0)
        link_end(l, n == 0 ? "the agent hung up" : "the connection to the agent broke");
    else if (agent_client_feed(l->client, in, (size_t)n) < 0)
        link_end(l, agent_client_reason(l->client));
}

/* --- the loop's thread --- */

static void link_free(struct link *l)
{
    if (!l)
        return;
    agent_client_free(l->client);
    buf_done(&l->out);
    close(l->fd);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static void turn(struct link_loop *loop, const struct epoll_event *ev)
{
    struct link *l = ev->data.ptr;
    if (!l)
        return; /* woken to look at the lists */
    AUTO_LOCK(&l->lock);
    if (l->ended)
        return;
    if (ev->events & ~(unsigned)EPOLLOUT)
        read_in(l, loop->in);
    link_settle(l);
}

/* One link's hello, when it is due. Clears `greeting` when there is no more to say. */
static void greet(struct link *l, int64_t now_ms)
{
    AUTO_LOCK(&l->lock);
    l->greeting = !l->ended && agent_client_state(l->client) == AGENT_CLIENT_HELLO;
    if (!l->greeting || now_ms < l->next_hello_ms)
        return;
    l->next_hello_ms = now_ms + AGENT_HELLO_REPEAT_MS;
    if (now_ms >= l->hello_deadline_ms)
        link_end(l, "the agent did not answer the hello");
    else if (!l->blocked)
        agent_client_hello(l->client);
    link_settle(l);
    l->greeting = !l->ended;
}

/* Greets whoever is to be greeted; returns how long epoll may wait. */
static int greet_all(struct link_loop *loop)
{
    int64_t now_ms = clock_mono_ms(), next_ms = now_ms + AGENT_HELLO_REPEAT_MS;
    for (struct link **p = &loop->greeting; *p;) {
        struct link *l = *p;
        greet(l, now_ms);
        if (!l->greeting) {
            *p = l->next_greeting;
            continue;
        }
        if (l->next_hello_ms < next_ms)
            next_ms = l->next_hello_ms;
        p = &l->next_greeting;
    }
    return loop->greeting ? clock_left_ms(next_ms) : -1;
}

static void free_closed(struct link_loop *loop, struct link *closed)
{
    for (struct link *l = closed, *next; l; l = next) {
        next = l->next_closed;
        struct link **p = &loop->greeting;
        while (*p && *p != l)
            p = &(*p)->next_greeting;
        if (*p)
            *p = l->next_greeting;
        link_free(l);
    }
}

/* Takes over what other threads have put into the lists. False: it is time to stop. */
static bool take_lists(struct link_loop *loop)
{
    struct link *opened, *closed;
    bool stop;
    {
        AUTO_LOCK(&loop->lock);
        opened = TAKE_PTR(loop->opened);
        closed = TAKE_PTR(loop->closed);
        stop = loop->stop;
    }
    while (opened) {
        struct link *l = opened;
        opened = l->next_greeting;
        l->next_greeting = loop->greeting;
        loop->greeting = l;
    }
    free_closed(loop, closed);
    return !stop;
}

static void *loop_main(void *arg)
{
    struct link_loop *loop = arg;
    struct epoll_event evs[EVENTS_PER_TURN];
    do {
        int n = epoll_wait(loop->epoll_fd, evs, EVENTS_PER_TURN, greet_all(loop));
        for (int i = 0; i < n; i++)
            turn(loop, &evs[i]);
    } while (take_lists(loop));
    return NULL;
}

/* --- requests of either kind --- */

static const struct agent_client_ops *ops_of(void *arg)
{
    return ((struct link_target *)arg)->ops;
}

static ssize_t on_pull(void *arg, void *out, size_t max, bool *ret_end)
{
    return ops_of(arg)->pull(arg, out, max, ret_end);
}

static void on_sent(void *arg)
{
    ops_of(arg)->sent(arg);
}

static void on_head(void *arg, int status)
{
    ops_of(arg)->head(arg, status);
}

static void on_data(void *arg, const void *data, size_t len)
{
    ops_of(arg)->data(arg, data, len);
}

static void on_ended(void *arg)
{
    if (ops_of(arg)->ended)
        ops_of(arg)->ended(arg);
}

static void on_closed(void *arg, bool complete, uint32_t h2_error)
{
    ops_of(arg)->closed(arg, complete, h2_error);
}

static const struct agent_client_ops target_ops = {
    .pull = on_pull,
    .sent = on_sent,
    .head = on_head,
    .data = on_data,
    .closed = on_closed,
    .ended = on_ended,
};

/* --- making and ending --- */

static int loop_start(struct link_loop *loop)
{
    loop->in = malloc(AGENT_TURN_MAX_BYTES);
    if (!loop->in)
        return -ENOMEM;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0)
        return -errno;
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd < 0)
        return -errno;
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &ev) < 0)
        return -errno;

    /* Signals are for the daemon's main thread. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = -pthread_create(&loop->thread, NULL, loop_main, loop);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    loop->started = r == 0;
    if (loop->started)
        pthread_setname_np(loop->thread, "links");
    return r;
}

static void loop_wake(struct link_loop *loop)
{
    /* It fails only when the counter is full, which is an edge as well. */
    if (eventfd_write(loop->wake_fd, 1) < 0)
        assert(errno == EAGAIN);
}

int link_loop_new(struct link_loop **ret, struct err *e)
{
    struct link_loop *loop = calloc(1, sizeof(*loop));
    if (!loop)
        return err_errno(e, -ENOMEM, "link loop");
    loop->epoll_fd = loop->wake_fd = -EBADF;
    pthread_mutex_init(&loop->lock, NULL);
    int r = loop_start(loop);
    if (r < 0) {
        link_loop_free(loop);
        return err_errno(e, r, "link loop");
    }
    *ret = loop;
    return 0;
}

void link_loop_free(struct link_loop *loop)
{
    if (!loop)
        return;
    if (loop->started) {
        {
            AUTO_LOCK(&loop->lock);
            loop->stop = true;
        }
        loop_wake(loop);
        pthread_join(loop->thread, NULL);
    }
    assert(!loop->greeting && !loop->opened && !loop->closed);
    cleanup_close(&loop->wake_fd);
    cleanup_close(&loop->epoll_fd);
    pthread_mutex_destroy(&loop->lock);
    free(loop->in);
    free(loop);
}

/* Says the first hello and hands the link to the loop. */
static int link_start(struct link *l)
{
    struct link_loop *loop = l->loop;
    {
        AUTO_LOCK(&l->lock);
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = l};
        if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, l->fd, &ev) < 0)
            return -errno;
        agent_client_hello(l->client);
        link_settle(l);
    }
    {
        AUTO_LOCK(&loop->lock);
        l->next_greeting = loop->opened;
        loop->opened = l;
    }
    loop_wake(loop);
    return 0;
}

int link_open(struct link_loop *loop, int fd, int hello_timeout_ms, struct link **ret,
              struct err *e)
{
    struct link *l = calloc(1, sizeof(*l));
    if (!l) {
        close(fd);
        return err_errno(e, -ENOMEM, "link");
    }
    int64_t now_ms = clock_mono_ms();
    *l = (struct link){
        .loop = loop,
        .fd = fd,
        .refs = 1,
        .greeting = true,
        .next_hello_ms = now_ms + AGENT_HELLO_REPEAT_MS,
        .hello_deadline_ms = now_ms + hello_timeout_ms,
    };
    pthread_mutex_init(&l->lock, NULL);
    link_cond_init(&l->changed);
    int r = agent_client_new(&target_ops, &l->client);
    if (r == 0)
        r = link_start(l);
    if (r < 0) {
        link_free(l);
        return err_errno(e, r, "link");
    }
    *ret = l;
    return 0;
}

void link_unref(struct link *l)
{
    struct link_loop *loop = l->loop;
    {
        AUTO_LOCK(&l->lock);
        if (--l->refs)
            return;
    }
    {
        AUTO_LOCK(&loop->lock);
        l->next_closed = loop->closed;
        loop->closed = l;
    }
    loop_wake(loop);
}

void link_shutdown(struct link *l)
{
    AUTO_LOCK(&l->lock);
    link_end(l, "the vm is being ended");
    link_run_wake(l);
}

void link_close(struct link *l)
{
    if (!l)
        return;
    {
        AUTO_LOCK(&l->lock);
        link_end(l, "the connection to the agent was closed");
        link_run_wake(l);
        while (l->n_calls)
            pthread_cond_wait(&l->changed, &l->lock);
    }
    link_unref(l);
}

bool link_ended(struct link *l, struct err *ret)
{
    AUTO_LOCK(&l->lock);
    if (l->ended && ret)
        *ret = l->end_err;
    return l->ended;
}

void link_get_stats(struct link *l, struct link_stats *ret)
{
    AUTO_LOCK(&l->lock);
    size_t open = 0;
    if (!l->ended)
        open = AGENT_STREAMS_MAX - agent_client_room(l->client);
    *ret = (struct link_stats){.queued_peak_bytes = l->queued_peak_bytes, .open_requests = open};
}
