/* SPDX-License-Identifier: Apache-2.0 */

/* An acceptor listens for as long as a request for its address and port waits or has a connection.
 * It accepts only for a request that waits: what comes sooner stays in the kernel's queue. */
#include "agent/accept.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/exec_input.h"
#include "agent/netlink.h"
#include "base/cleanup.h"
#include "base/fd.h"

#define BACKLOG 64
#define ADDRESS_SIZE 64

struct acceptor {
    struct loop_watch watch; /* first: a pointer to it is a pointer to all */
    struct agent *agent;
    struct acceptor *next; /* in agent->acceptors */
    struct netlink_address address;
    int port;
    bool added;                     /* the address is ours, on the loopback interface */
    struct connection *connections; /* those that wait as well */
};

struct connection {
    struct loop_watch watch; /* first; fd negative: it waits for one */
    struct call *call;
    struct acceptor *acceptor;
    struct connection *next;
    struct exec_input input; /* a copy of the fd */
};

/* --- listening --- */

static socklen_t sockaddr_of(const struct netlink_address *a, int port,
                             struct sockaddr_storage *ret)
{
    *ret = (struct sockaddr_storage){.ss_family = (sa_family_t)a->family};
    if (a->family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)ret;
        in->sin_port = htons((uint16_t)port);
        in->sin_addr = a->v4;
        return sizeof(*in);
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
    in6->sin6_port = htons((uint16_t)port);
    in6->sin6_addr = a->v6;
    return sizeof(*in6);
}

static int change_loopback(const struct netlink_address *a,
                           int (*change)(int, int, const struct netlink_address *))
{
    auto_close int fd = netlink_open();
    return fd < 0 ? fd : change(fd, (int)if_nametoindex("lo"), a);
}

static int acceptor_bind(struct acceptor *k)
{
    struct sockaddr_storage sa;
    socklen_t len = sockaddr_of(&k->address, k->port, &sa);
    const struct sockaddr *p = (const struct sockaddr *)&sa;
    if (bind(k->watch.fd, p, len) == 0)
        return 0;
    if (errno != EADDRNOTAVAIL || !k->agent->options.guest)
        return -errno;
    int r = change_loopback(&k->address, netlink_add_address);
    k->added = r == 0;
    return r < 0 ? r : bind(k->watch.fd, p, len) < 0 ? -errno : 0;
}

static void acceptor_free(struct acceptor *k)
{
    if (!k)
        return;
    loop_unwatch(&k->agent->loop, &k->watch);
    cleanup_close(&k->watch.fd);
    if (k->added)
        change_loopback(&k->address, netlink_remove_address);
    free(k);
}
DEFINE_AUTO(struct acceptor *, acceptor_free)

static void on_connection(struct loop_watch *w, uint32_t events);

static int acceptor_new(struct agent *a, const struct netlink_address *address, int port,
                        struct acceptor **ret)
{
    static const int on = 1;
    CLEANUP(acceptor_freep) struct acceptor *k = calloc(1, sizeof(*k));
    if (!k)
        return -ENOMEM;
    *k = (struct acceptor){.agent = a, .address = *address, .port = port};
    k->watch.ready = on_connection;
    k->watch.fd = socket(address->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (k->watch.fd < 0 || setsockopt(k->watch.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        return -errno;
    int r = acceptor_bind(k);
    if (r == 0 && listen(k->watch.fd, BACKLOG) < 0)
        r = -errno;
    if (r < 0)
        return r;
    k->next = a->acceptors;
    a->acceptors = k;
    *ret = TAKE_PTR(k);
    return 0;
}

static struct acceptor *acceptor_find(const struct agent *a, const struct netlink_address *address,
                                      int port)
{
    struct acceptor *k = a->acceptors;
    while (k && (k->port != port || memcmp(&k->address, address, sizeof(*address)) != 0))
        k = k->next;
    return k;
}

/* Listens while somebody waits, and ends when nobody is left. */
static int acceptor_update(struct acceptor *k)
{
    struct agent *a = k->agent;
    bool waits = false;
    for (struct connection *n = k->connections; n; n = n->next)
        waits |= n->watch.fd < 0;
    if (!waits)
        loop_unwatch(&a->loop, &k->watch);
    else if (!k->watch.active)
        return loop_watch(&a->loop, &k->watch, EPOLLIN);
    if (k->connections)
        return 0;
    struct acceptor **at = &a->acceptors;
    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    acceptor_free(k);
    return 0;
}

/* --- connections --- */

static ssize_t pull(struct agent_stream *st, uint8_t *buf, size_t size)
{
    const struct call *c = st->data;
    const struct connection *n = c->data;
    ssize_t got;
    do
        got = read(n->watch.fd, buf, size);
    while (got < 0 && errno == EINTR);
    if (got > 0)
        return got;
    return got == 0 ? AGENT_PULL_END : errno == EAGAIN ? AGENT_PULL_LATER : AGENT_PULL_ABORT;
}

static void on_ready(struct loop_watch *w, uint32_t events)
{
    agent_server_resume(((struct connection *)w)->call->stream);
}

static int connect_call(struct connection *n)
{
    struct agent *a = n->call->agent;
    int copy = fcntl(n->watch.fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return -errno;
    n->input.shuts_down = true;
    n->watch.ready = on_ready;
    int r = exec_input_open(&n->input, copy);
    /* Edge-triggered: a full window must not turn into a busy loop. */
    r = r < 0 ? r : loop_watch(&a->loop, &n->watch, EPOLLIN | EPOLLET);
    r = r < 0 ? r
              : agent_server_respond_pull(n->call->stream, 200, "application/octet-stream", pull);
    if (r == 0 && n->call->stream->body_ended)
        exec_input_end(&n->input);
    return r;
}

/* For the request that has waited longest: new ones are put in front. */
static void on_connection(struct loop_watch *w, uint32_t events)
{
    struct acceptor *k = (struct acceptor *)w;
    struct connection *oldest = NULL;
    for (struct connection *n = k->connections; n; n = n->next)
        oldest = n->watch.fd < 0 ? n : oldest;
    if (!oldest)
        return;
    int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return; /* it went away again */
    oldest->watch.fd = fd;
    if (connect_call(oldest) < 0 || acceptor_update(k) < 0)
        agent_server_abort(oldest->call->stream);
}

static int decode(struct call *c, struct netlink_address *ret_address, int *ret_port, struct err *e)
{
    static const char *const names[] = {"address", "port", NULL};
    char text[ADDRESS_SIZE] = "127.0.0.1";
    int64_t port = 0;
    int r = call_params_only(c, names, e);
    r = r < 0 ? r : call_param(c, "address", text, sizeof(text), e);
    r = r < 0 ? r : call_number(c, "port", 65535, &port, e);
    if (r < 0)
        return r;
    if (port == 0)
        return err_field(e, "port", "port is missing or 0");
    if (netlink_address_parse(text, ret_address) < 0)
        return err_field(e, "address", "address is none of IPv4 or IPv6");
    *ret_port = (int)port;
    return 0;
}

/* An acceptor for it, which may be there already. */
static int find_or_listen(struct call *c, struct acceptor **ret, struct err *e)
{
    struct netlink_address address;
    int port = 0;
    int r = decode(c, &address, &port, e);
    if (r < 0)
        return r;
    *ret = acceptor_find(c->agent, &address, port);
    r = *ret ? 0 : acceptor_new(c->agent, &address, port, ret);
    if (r == 0)
        return 0;
    err_set(e, r == -EADDRINUSE || r == -EADDRNOTAVAIL ? ERR_CONFLICT : ERR_INTERNAL,
            "listen at port %d: %s", port, strerror(-r));
    return r;
}

void accept_begin(struct call *c)
{
    struct err e = ERR_INIT;
    struct acceptor *k;
    auto_free struct connection *n = calloc(1, sizeof(*n));
    if (!n) {
        c->refused = true;
        agent_server_abort(c->stream);
        return;
    }
    if (find_or_listen(c, &k, &e) < 0) {
        call_fail(c, 0, &e);
        return;
    }
    c->stream->duplex = true;
    n->watch.fd = -EBADF;
    n->call = c;
    n->acceptor = k;
    n->next = k->connections;
    exec_input_init(&n->input, c);
    k->connections = n;
    c->data = TAKE_PTR(n);
    if (acceptor_update(k) < 0)
        agent_server_abort(c->stream);
}

/* What is sent before there is a connection waits in the window. */
void accept_body(struct call *c, const uint8_t *data, size_t len)
{
    struct connection *n = c->data;
    ssize_t kept = 0;
    if (n->watch.fd < 0)
        kept = buf_append(&n->input.held, data, len) < 0 ? -ENOMEM : (ssize_t)len;
    else
        kept = exec_input_take(&n->input, data, len);
    if (kept < 0)
        agent_server_abort(c->stream);
    else
        agent_server_consume(c->stream, len - (size_t)kept);
}

void accept_body_end(struct call *c)
{
    struct connection *n = c->data;
    if (n->watch.fd >= 0)
        exec_input_end(&n->input);
}

void accept_closed(struct call *c)
{
    struct connection *n = c->data;
    if (!n)
        return;
    exec_input_close(&n->input);
    loop_unwatch(&c->agent->loop, &n->watch);
    cleanup_close(&n->watch.fd);
    struct connection **at = &n->acceptor->connections;
    while (*at != n)
        at = &(*at)->next;
    *at = n->next;
    acceptor_update(n->acceptor);
    free(n);
}
