/* SPDX-License-Identifier: Apache-2.0 */

/* Towards guests: questions over UDP and TCP, and the way back. Whatever a guest sends gets an
 * answer, or none; what it may keep here is bounded for each slot. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "host/dns_priv.h"

#define UDP_BURST 32 /* datagrams of one slot before the next one's turn */

static int slot_index(const struct dns *d, const struct dns_slot *s)
{
    return (int)(s - d->slots);
}

/* --- answers --- */

static void send_tcp(struct dns *d, struct dns_conn *c, const void *data, size_t len)
{
    unsigned char prefix[2] = {(unsigned char)(len >> 8), (unsigned char)len};
    c->waiting = false;
    c->deadline_ms = clock_mono_ms() + DNS_TIMEOUT_MS;
    buf_append(&c->out, prefix, sizeof(prefix));
    buf_append(&c->out, data, len);
    /* Sent, and the next question taken, at the event that this brings. */
    (void)dns_watch(d, c->fd, &c->source, EPOLLIN | EPOLLOUT);
}

/* A guest that does not take its datagrams loses them. */
static void send_udp(struct dns *d, const struct dns_query *q, const void *data, size_t len)
{
    unsigned char small[DNS_ERROR_MAX_BYTES];
    if (len > q->request.udp_bytes) {
        len = dns_msg_put_truncated(&q->request, small);
        data = small;
    }
    (void)sendto(d->slots[q->slot].sockets.udp, data, len, MSG_DONTWAIT | MSG_NOSIGNAL,
                 (const void *)&q->client, q->client_bytes);
}

void dns_guest_answer(struct dns *d, struct dns_query *q, const void *data, size_t len)
{
    if (q->conn)
        send_tcp(d, q->conn, data, len);
    else
        send_udp(d, q, data, len);
}

void dns_guest_error(struct dns *d, struct dns_query *q, enum dns_rcode rcode,
                     enum dns_reason reason)
{
    unsigned char m[DNS_ERROR_MAX_BYTES];
    dns_guest_answer(d, q, m, dns_msg_put_error(&q->request, rcode, reason, m));
}

/* Parses what `q` (slot and who asked) asks. -EBADMSG: nothing that can be answered. */
static int ask(struct dns *d, struct dns_query *q, const unsigned char *m, size_t len)
{
    int r = dns_msg_parse_request(m, len, &q->request);
    if (r < 0)
        return r;
    if (r > 0)
        dns_guest_error(d, q, (enum dns_rcode)r, DNS_REASON_NONE);
    else
        dns_upstream_ask(d, q);
    return 0;
}

/* --- UDP --- */

void dns_guest_udp(struct dns *d, struct dns_slot *s)
{
    unsigned char m[DNS_QUERY_MAX_BYTES];
    for (int i = 0; i < UDP_BURST; i++) {
        struct dns_query q = {.slot = slot_index(d, s), .client_bytes = sizeof(q.client)};
        ssize_t n = recvfrom(s->sockets.udp, m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC,
                             (void *)&q.client, &q.client_bytes);
        if (n < 0)
            return;
        if ((size_t)n <= sizeof(m))
            (void)ask(d, &q, m, (size_t)n);
    }
}

/* --- TCP --- */

void dns_guest_accept(struct dns *d, struct dns_slot *s)
{
    auto_close int fd = accept4(s->sockets.tcp, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 || d->n_conns == DNS_QUERIES_MAX || s->n_conns == DNS_CONNECTIONS_SLOT_MAX)
        return;
    struct dns_conn *c = calloc(1, sizeof(*c));
    if (!c)
        return;
    c->source = DNS_CONNECTION;
    c->slot = slot_index(d, s);
    c->in.max_bytes = 2 * (DNS_QUERY_MAX_BYTES + 2);
    c->out.max_bytes = DNS_TCP_MAX_BYTES + 2;
    c->deadline_ms = clock_mono_ms() + DNS_TIMEOUT_MS;
    if (dns_watch(d, fd, &c->source, EPOLLIN) < 0) {
        free(c);
        return;
    }
    c->fd = TAKE_FD(fd);
    d->conns[d->n_conns++] = c;
    s->n_conns++;
}

void dns_conn_free(struct dns *d, struct dns_conn *c)
{
    for (int i = d->n_queries - 1; i >= 0; i--)
        if (d->queries[i]->conn == c)
            dns_query_free(d, d->queries[i]);
    for (int i = 0; i < d->n_conns; i++) {
        if (d->conns[i] != c)
            continue;
        d->conns[i] = d->conns[--d->n_conns];
        break;
    }
    d->slots[c->slot].n_conns--;
    close(c->fd);
    buf_done(&c->in);
    buf_done(&c->out);
    free(c);
}

/* Takes the next question if there is one and none is on its way. */
static int take_question(struct dns *d, struct dns_conn *c)
{
    const unsigned char *m = (const unsigned char *)c->in.data;
    if (c->waiting || c->out.len || c->in.len < 2)
        return 0;
    size_t len = (size_t)m[0] << 8 | m[1];
    if (len > DNS_QUERY_MAX_BYTES || len < DNS_HEADER_BYTES)
        return -EBADMSG;
    if (c->in.len < 2 + len)
        return 0;
    struct dns_query q = {.slot = c->slot, .conn = c};
    c->waiting = true;
    int r = ask(d, &q, m + 2, len);
    buf_consume(&c->in, 2 + len);
    return r;
}

static int flush(struct dns_conn *c)
{
    while (c->out.len) {
        ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        buf_consume(&c->out, (size_t)n);
    }
    return 0;
}

/* Reads what fits. A client that sends more than it lets be answered waits: its socket is not
 * looked at while there is no room. */
static int fill(struct dns_conn *c)
{
    size_t room = c->in.max_bytes - c->in.len;
    if (!room)
        return 0;
    char *to = buf_reserve(&c->in, room);
    if (!to)
        return -ENOMEM;
    ssize_t n = recv(c->fd, to, room, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    c->in.len += (size_t)n;
    return n == 0 ? -ENODATA : 0;
}

void dns_guest_event(struct dns *d, struct dns_conn *c)
{
    /* Then only its end was waited for. */
    bool ended = !c->out.len && c->in.len == c->in.max_bytes;
    int r = ended ? -ENODATA : flush(c);
    if (r == 0)
        r = fill(c);
    if (r == 0)
        r = take_question(d, c);
    if (r < 0) {
        dns_conn_free(d, c);
        return;
    }
    bool room = c->in.len < c->in.max_bytes;
    (void)dns_watch(d, c->fd, &c->source, (room ? EPOLLIN : 0) | (c->out.len ? EPOLLOUT : 0));
}
