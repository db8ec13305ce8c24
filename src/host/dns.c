/* SPDX-License-Identifier: Apache-2.0 */

/* One thread owns all sockets and questions. What others want of it they put into a list and wait
 * until it was done (calls); only policies and what was learned are under a lock, so that giving a
 * slot its policy waits for nobody.
 *
 * Events are taken from epoll one at a time: handling one may end what another is about, which then
 * cannot be pending here. */

#include "host/dns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "host/dns_priv.h"
#include "host/net_nft.h"

#define SWEEP_MS 500
#define LISTEN_BACKLOG 16

/* --- sockets --- */

/* On the unspecified address, since the tap and its addresses come and go; only what comes from the
 * tap gets here (net_rules.c). */
static int bind_socket(int type)
{
    struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(53)};
    struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(53)};
    int flags = SOCK_CLOEXEC | SOCK_NONBLOCK, one = 1, zero = 0;
    auto_close int fd = socket(AF_INET6, type | flags, 0);
    bool v6 = fd >= 0;
    if (!v6)
        fd = socket(AF_INET, type | flags, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        (v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) < 0))
        return -errno;
    const struct sockaddr *any = v6 ? (void *)&any6 : (void *)&any4;
    if (bind(fd, any, v6 ? sizeof(any6) : sizeof(any4)) < 0)
        return -errno;
    if (type == SOCK_STREAM && listen(fd, LISTEN_BACKLOG) < 0)
        return -errno;
    return TAKE_FD(fd);
}

int dns_sockets_open(struct dns_sockets *ret)
{
    auto_close int udp = bind_socket(SOCK_DGRAM);
    if (udp < 0)
        return udp;
    auto_close int tcp = bind_socket(SOCK_STREAM);
    if (tcp < 0)
        return tcp;
    ret->udp = TAKE_FD(udp);
    ret->tcp = TAKE_FD(tcp);
    return 0;
}

void dns_sockets_close(struct dns_sockets *s)
{
    cleanup_close(&s->udp);
    cleanup_close(&s->tcp);
    net_nfnl_close(s->nfnl);
    *s = (struct dns_sockets)DNS_SOCKETS_INIT;
}

int dns_watch(struct dns *d, int fd, enum dns_source *source, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = source};
    if (epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0)
        return 0;
    if (errno == EEXIST && epoll_ctl(d->epoll_fd, EPOLL_CTL_MOD, fd, &ev) == 0)
        return 0;
    return -errno;
}

/* --- calls: run by the thread, for others --- */

struct dns_call {
    int (*fn)(struct dns *d, struct dns_call *call);
    int slot;
    struct dns_sockets *sockets;
    int result;
    bool done;
    struct dns_call *next;
};

static void wake(struct dns *d)
{
    uint64_t one = 1;
    if (write(d->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
        log_error("dns", "wake: %m");
}

static int call(struct dns *d, struct dns_call *c)
{
    AUTO_LOCK(&d->lock);
    c->next = d->calls;
    d->calls = c;
    wake(d);
    while (!c->done)
        pthread_cond_wait(&d->answered, &d->lock);
    return c->result;
}

static void run_calls(struct dns *d)
{
    pthread_mutex_lock(&d->lock);
    struct dns_call *calls = TAKE_PTR(d->calls);
    pthread_mutex_unlock(&d->lock);
    while (calls) {
        struct dns_call *c = calls;
        calls = c->next;
        int result = c->fn(d, c);
        pthread_mutex_lock(&d->lock);
        c->result = result;
        c->done = true;
        pthread_cond_broadcast(&d->answered);
        pthread_mutex_unlock(&d->lock);
    }
}

/* --- slots --- */

static int open_slot(struct dns *d, struct dns_call *c)
{
    struct dns_slot *s = &d->slots[c->slot];
    s->udp_source = DNS_GUEST_UDP;
    s->tcp_source = DNS_GUEST_TCP;
    int r = dns_watch(d, c->sockets->udp, &s->udp_source, EPOLLIN);
    if (r == 0)
        r = dns_watch(d, c->sockets->tcp, &s->tcp_source, EPOLLIN);
    if (r < 0) {
        epoll_ctl(d->epoll_fd, EPOLL_CTL_DEL, c->sockets->udp, NULL);
        return r;
    }
    s->sockets = *c->sockets;
    s->open = true;
    *c->sockets = (struct dns_sockets)DNS_SOCKETS_INIT;
    return 0;
}

static void drop_clients(struct dns *d, int slot)
{
    for (int i = d->n_conns - 1; i >= 0; i--)
        if (d->conns[i]->slot == slot)
            dns_conn_free(d, d->conns[i]);
    for (int i = d->n_queries - 1; i >= 0; i--)
        if (d->queries[i]->slot == slot)
            dns_query_free(d, d->queries[i]);
}

/* Questions that wait in the socket are the old guest's too. */
static int forget_slot(struct dns *d, struct dns_call *c)
{
    struct dns_slot *s = &d->slots[c->slot];
    char byte;
    drop_clients(d, c->slot);
    while (s->open && recv(s->sockets.udp, &byte, 1, MSG_DONTWAIT) >= 0)
        ;
    for (int fd; s->open && (fd = accept4(s->sockets.tcp, NULL, NULL, SOCK_CLOEXEC)) >= 0;)
        close(fd);
    AUTO_LOCK(&d->lock);
    free(TAKE_PTR(s->learned));
    s->n_learned = s->next_learned = 0;
    return 0;
}

static int close_slot(struct dns *d, struct dns_call *c)
{
    struct dns_slot *s = &d->slots[c->slot];
    if (!s->open)
        return 0;
    forget_slot(d, c);
    s->open = false;
    dns_sockets_close(&s->sockets);
    return 0;
}

int dns_open(struct dns *d, int slot, struct dns_sockets *sockets)
{
    struct dns_call c = {.fn = open_slot, .slot = slot, .sockets = sockets};
    return call(d, &c);
}

void dns_close(struct dns *d, int slot)
{
    struct dns_call c = {.fn = close_slot, .slot = slot};
    dns_set_policy(d, slot, NULL, 0);
    call(d, &c);
}

void dns_forget(struct dns *d, int slot)
{
    struct dns_call c = {.fn = forget_slot, .slot = slot};
    call(d, &c);
}

void dns_set_policy(struct dns *d, int slot, const struct net_policy *policy, uint32_t mark)
{
    struct dns_slot *s = &d->slots[slot];
    struct net_policy *own = policy ? net_policy_ref(policy) : NULL;
    pthread_mutex_lock(&d->lock);
    struct net_policy *old = s->policy;
    s->policy = own;
    s->mark = mark;
    bool refill = own && s->n_learned;
    s->refill = refill;
    d->refill |= refill;
    pthread_mutex_unlock(&d->lock);
    net_policy_free(old);
    if (refill)
        wake(d);
}

/* --- the thread --- */

static void refill_sets(struct dns *d)
{
    pthread_mutex_lock(&d->lock);
    bool any = d->refill;
    d->refill = false;
    pthread_mutex_unlock(&d->lock);
    for (int i = 0; any && i < d->n_slots; i++) {
        pthread_mutex_lock(&d->lock);
        bool refill = d->slots[i].refill;
        d->slots[i].refill = false;
        pthread_mutex_unlock(&d->lock);
        if (refill)
            dns_refill(d, i);
    }
}

static void sweep(struct dns *d)
{
    int64_t now = clock_mono_ms();
    if (now - d->swept_ms < SWEEP_MS)
        return;
    d->swept_ms = now;
    for (int i = d->n_queries - 1; i >= 0; i--) {
        struct dns_query *q = d->queries[i];
        if (q->deadline_ms > now)
            continue;
        dns_guest_error(d, q, DNS_SERVFAIL, DNS_REASON_NONE);
        dns_query_free(d, q);
    }
    for (int i = d->n_conns - 1; i >= 0; i--)
        if (!d->conns[i]->waiting && d->conns[i]->deadline_ms <= now)
            dns_conn_free(d, d->conns[i]);
}

static void handle(struct dns *d, enum dns_source *source)
{
    uint64_t count;
    switch (*source) {
    case DNS_WAKE:
        if (read(d->wake_fd, &count, sizeof(count)) < 0)
            return;
        run_calls(d);
        refill_sets(d);
        break;
    case DNS_GUEST_UDP:
        dns_guest_udp(d, (void *)((char *)source - offsetof(struct dns_slot, udp_source)));
        break;
    case DNS_GUEST_TCP:
        dns_guest_accept(d, (void *)((char *)source - offsetof(struct dns_slot, tcp_source)));
        break;
    case DNS_CONNECTION:
        dns_guest_event(d, (struct dns_conn *)source);
        break;
    case DNS_QUERY:
        dns_upstream_event(d, (struct dns_query *)source);
        break;
    }
}

static bool is_stopping(struct dns *d)
{
    AUTO_LOCK(&d->lock);
    return d->stopping;
}

static void *serve(void *arg)
{
    struct dns *d = arg;
    while (!is_stopping(d)) {
        struct epoll_event ev;
        int n = epoll_wait(d->epoll_fd, &ev, 1, d->n_queries || d->n_conns ? SWEEP_MS : -1);
        if (n < 0 && errno != EINTR)
            log_error("dns", "epoll: %m");
        if (n == 1)
            handle(d, ev.data.ptr);
        sweep(d);
    }
    return NULL;
}

/* --- life --- */

static int init(struct dns *d, const struct dns_config *config, struct err *e)
{
    int r = dns_upstream_init(d, config->resolver, e);
    if (r < 0)
        return r;
    d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (d->epoll_fd < 0 || d->wake_fd < 0)
        return err_errno(e, -errno, "resolver");
    d->wake_source = DNS_WAKE;
    r = dns_watch(d, d->wake_fd, &d->wake_source, EPOLLIN);
    if (r == 0)
        r = -pthread_create(&d->thread, NULL, serve, d);
    d->thread_runs = r == 0;
    return r < 0 ? err_errno(e, r, "resolver") : 0;
}

int dns_new(const struct dns_config *config, struct dns **ret, struct err *e)
{
    struct dns *d = calloc(1, sizeof(*d));
    struct dns_slot *slots = calloc((size_t)config->slots, sizeof(*slots));
    if (!d || !slots) {
        free(d);
        free(slots);
        return err_errno(e, -ENOMEM, "resolver");
    }
    d->epoll_fd = d->wake_fd = -EBADF;
    d->slots = slots;
    d->n_slots = config->slots;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->answered, NULL);
    for (int i = 0; i < d->n_slots; i++)
        slots[i].sockets = (struct dns_sockets)DNS_SOCKETS_INIT;
    int r = init(d, config, e);
    if (r < 0) {
        dns_free(d);
        return r;
    }
    *ret = d;
    return 0;
}

static void stop(struct dns *d)
{
    if (!d->thread_runs)
        return;
    pthread_mutex_lock(&d->lock);
    d->stopping = true;
    pthread_mutex_unlock(&d->lock);
    wake(d);
    pthread_join(d->thread, NULL);
}

void dns_free(struct dns *d)
{
    if (!d)
        return;
    stop(d);
    for (int i = 0; i < d->n_slots; i++) {
        drop_clients(d, i);
        dns_sockets_close(&d->slots[i].sockets);
        net_policy_free(d->slots[i].policy);
        free(d->slots[i].learned);
    }
    cleanup_close(&d->epoll_fd);
    cleanup_close(&d->wake_fd);
    pthread_cond_destroy(&d->answered);
    pthread_mutex_destroy(&d->lock);
    free(d->slots);
    free(d);
}
