/* SPDX-License-Identifier: Apache-2.0 */

/* Towards the upstream resolver. Every question has a socket of its own, so a source port of its
 * own that the kernel chose at random, besides a random id; an answer must come from the address
 * that was asked, and repeat the question. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "host/dns_priv.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define RESOLV_LOOK_MS 1000
#define RESOLV_MAX_BYTES (64 * KIB)
#define DNS_PORT 53

enum { CLASS_IN = 1, TYPE_IXFR = 251, TYPE_AXFR = 252 };

/* --- which one --- */

/* "ADDRESS", "ADDRESS:PORT" for IPv4, "[ADDRESS]:PORT" for IPv6. */
static int parse_resolver(const char *text, struct sockaddr_storage *ret, socklen_t *ret_bytes)
{
    char address[80];
    struct sockaddr_in *v4 = (void *)ret;
    struct sockaddr_in6 *v6 = (void *)ret;
    int port = DNS_PORT;
    snprintf(address, sizeof(address), "%s", text[0] == '[' ? text + 1 : text);
    char *colon = strrchr(address, ':'), *bracket = strchr(address, ']');
    bool with_port = bracket ? bracket[1] == ':' : colon && strchr(address, ':') == colon;
    if (bracket)
        *bracket = '\0';
    if (with_port) {
        *colon = '\0';
        port = atoi(colon + 1);
        if (port < 1 || port > UINT16_MAX)
            return -EINVAL;
    }
    memset(ret, 0, sizeof(*ret));
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        *ret_bytes = sizeof(*v4);
        return 0;
    }
    if (inet_pton(AF_INET6, address, &v6->sin6_addr) != 1)
        return -EINVAL;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    *ret_bytes = sizeof(*v6);
    return 0;
}

static void read_resolv_conf(struct dns *d)
{
    auto_buf struct buf b = {0};
    d->upstream_bytes = 0;
    if (file_read(RESOLV_CONF, &b, RESOLV_MAX_BYTES) < 0)
        return;
    char *rest = b.data;
    for (char *line; rest && (line = strsep(&rest, "\n"));) {
        char address[80];
        if (sscanf(line, " nameserver %79s", address) == 1 &&
            parse_resolver(address, &d->upstream, &d->upstream_bytes) == 0)
            return;
    }
}

/* The host's resolver changes when it changes networks. */
static void look_at_resolv_conf(struct dns *d)
{
    struct stat st;
    int64_t now = clock_mono_ms(), mtime = 0;
    if (d->resolver[0] || (d->resolv_looked_ms && now - d->resolv_looked_ms < RESOLV_LOOK_MS))
        return;
    d->resolv_looked_ms = now;
    if (stat(RESOLV_CONF, &st) == 0)
        mtime = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    if (mtime && mtime == d->resolv_mtime_ns)
        return;
    d->resolv_mtime_ns = mtime;
    read_resolv_conf(d);
}

int dns_upstream_init(struct dns *d, const char *resolver, struct err *e)
{
    snprintf(d->resolver, sizeof(d->resolver), "%s", resolver ? resolver : "");
    if (d->resolver[0] && parse_resolver(d->resolver, &d->upstream, &d->upstream_bytes) < 0)
        return err_set(e, ERR_INVALID,
                       "network resolver \"%.64s\": not an address, or ADDRESS:PORT", resolver);
    return 0;
}

/* --- questions --- */

void dns_query_free(struct dns *d, struct dns_query *q)
{
    for (int i = 0; i < d->n_queries; i++) {
        if (d->queries[i] != q)
            continue;
        d->queries[i] = d->queries[--d->n_queries];
        break;
    }
    d->slots[q->slot].n_queries--;
    cleanup_close(&q->fd);
    buf_done(&q->data);
    free(q);
}

static int open_upstream(struct dns *d, struct dns_query *q)
{
    int type = q->conn ? SOCK_STREAM : SOCK_DGRAM;
    auto_close int fd = socket(d->upstream.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const void *)&d->upstream, d->upstream_bytes) < 0 && errno != EINPROGRESS)
        return -errno;
    int r = dns_watch(d, fd, &q->source, q->conn ? EPOLLOUT : EPOLLIN);
    if (r == 0)
        q->fd = TAKE_FD(fd);
    return r;
}

static int send_question(struct dns_query *q)
{
    unsigned char m[2 + DNS_FORWARD_MAX_BYTES];
    size_t len = dns_msg_put_forward(&q->request, q->id, m + 2);
    m[0] = (unsigned char)(len >> 8);
    m[1] = (unsigned char)len;
    /* A new connection takes so little at once. */
    ssize_t n = q->conn ? send(q->fd, m, len + 2, MSG_NOSIGNAL | MSG_DONTWAIT)
                        : send(q->fd, m + 2, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    return n == (ssize_t)(q->conn ? len + 2 : len) ? 0 : -EIO;
}

static int start(struct dns *d, struct dns_query *q)
{
    look_at_resolv_conf(d);
    if (!d->upstream_bytes)
        return -EDESTADDRREQ;
    if (getrandom(&q->id, sizeof(q->id), 0) != sizeof(q->id))
        return -EIO;
    int r = open_upstream(d, q);
    return r == 0 && !q->conn ? send_question(q) : r;
}

/* What the policy says to the question itself; *ret_reason is for the guest. */
static enum dns_rcode judge(struct dns *d, const struct dns_query *q, enum dns_reason *ret_reason)
{
    const struct dns_question *question = &q->request.question;
    auto_policy struct net_policy *p = dns_slot_policy(d, q->slot, NULL);
    *ret_reason = DNS_REASON_PROHIBITED;
    if (!p || question->class != CLASS_IN || question->type == TYPE_AXFR ||
        question->type == TYPE_IXFR)
        return DNS_REFUSED;
    if (!net_policy_name_useful(p, question->name))
        return DNS_REFUSED;
    *ret_reason = DNS_REASON_BLOCKED;
    return net_policy_name_allowed(p, question->name) ? DNS_NOERROR : DNS_NXDOMAIN;
}

void dns_upstream_ask(struct dns *d, const struct dns_query *from)
{
    static struct log_limit limit;
    struct dns_slot *s = &d->slots[from->slot];
    struct dns_query refused = *from;
    enum dns_reason reason;
    enum dns_rcode rcode = judge(d, from, &reason);
    if (rcode != DNS_NOERROR) {
        dns_guest_error(d, &refused, rcode, reason);
        return;
    }
    struct dns_query *q = NULL;
    if (s->n_queries < DNS_QUERIES_SLOT_MAX && d->n_queries < DNS_QUERIES_MAX)
        q = malloc(sizeof(*q));
    if (!q) {
        dns_guest_error(d, &refused, DNS_SERVFAIL, DNS_REASON_NONE);
        return;
    }
    *q = *from;
    q->source = DNS_QUERY;
    q->fd = -EBADF;
    q->deadline_ms = clock_mono_ms() + DNS_TIMEOUT_MS;
    q->data = (struct buf){.max_bytes = DNS_TCP_MAX_BYTES + 2};
    d->queries[d->n_queries++] = q;
    s->n_queries++;
    int r = start(d, q);
    if (r == 0)
        return;
    if (log_limit_pass(&limit))
        log_warn("dns", "the upstream resolver cannot be asked error=\"%s\"", strerror(-r));
    dns_guest_error(d, q, DNS_SERVFAIL, DNS_REASON_NONE);
    dns_query_free(d, q);
}

/* --- answers --- */

/* -ENOENT: not the answer; else the question has been dealt with. */
static int take_answer(struct dns *d, struct dns_query *q, unsigned char *m, size_t len)
{
    struct dns_answer answer;
    int r = dns_msg_parse_answer(m, len, q->id, &q->request.question, &answer);
    if (r == -ENOENT)
        return r;
    enum dns_rcode rcode = r == 0 ? dns_learn(d, q->slot, &answer) : DNS_SERVFAIL;
    dns_msg_set_id(m, q->request.id);
    if (rcode == DNS_NOERROR)
        dns_guest_answer(d, q, m, len);
    else
        dns_guest_error(d, q, rcode, r == 0 ? DNS_REASON_BLOCKED : DNS_REASON_NONE);
    return 0;
}

/* 0: done; -EAGAIN: there is more to come; else it has failed. */
static int read_udp(struct dns *d, struct dns_query *q)
{
    unsigned char m[DNS_UDP_MAX_BYTES];
    for (;;) {
        ssize_t n = recv(q->fd, m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0)
            return -errno;
        if ((size_t)n <= sizeof(m) && take_answer(d, q, m, (size_t)n) == 0)
            return 0;
    }
}

static int read_tcp(struct dns *d, struct dns_query *q)
{
    size_t want = 2;
    if (!q->sent) {
        int r = send_question(q);
        q->sent = r == 0;
        return r == 0 && dns_watch(d, q->fd, &q->source, EPOLLIN) == 0 ? -EAGAIN : -EIO;
    }
    for (;;) {
        if (q->data.len >= 2)
            want =
                2 + ((size_t)(unsigned char)q->data.data[0] << 8 | (unsigned char)q->data.data[1]);
        if (q->data.len == want && want > 2)
            return take_answer(d, q, (unsigned char *)q->data.data + 2, want - 2);
        char *to = want > q->data.len ? buf_reserve(&q->data, want - q->data.len) : NULL;
        if (!to)
            return -EMSGSIZE;
        ssize_t n = recv(q->fd, to, want - q->data.len, MSG_DONTWAIT);
        if (n <= 0)
            return n == 0 ? -ENODATA : -errno;
        q->data.len += (size_t)n;
    }
}

void dns_upstream_event(struct dns *d, struct dns_query *q)
{
    int r = q->conn ? read_tcp(d, q) : read_udp(d, q);
    if (r == -EAGAIN || r == -EINTR)
        return;
    if (r < 0)
        dns_guest_error(d, q, DNS_SERVFAIL, DNS_REASON_NONE);
    dns_query_free(d, q);
}
