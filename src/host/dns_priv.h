/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the parts of the resolver share: dns.c (its thread, slots, calls from outside), dns_guest.c
 * (sockets towards guests), dns_upstream.c (questions on their way), dns_learn.c (addresses). All
 * belongs to the resolver's thread, except what says otherwise. */

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/dns.h"
#include "host/dns_msg.h"

/* What an event of epoll is about; the first member of what it belongs to. */
enum dns_source { DNS_WAKE, DNS_GUEST_UDP, DNS_GUEST_TCP, DNS_CONNECTION, DNS_QUERY };

struct dns_conn; /* a guest's TCP connection */

struct dns_learned {
    char name[DNS_NAME_MAX_BYTES + 2];
    bool alias; /* the guest asked for another name, which led to this one */
    struct dns_address address;
    int64_t expires_ms;
    uint32_t mark; /* of the policy whose sets it is in */
};

struct dns_slot {
    enum dns_source udp_source, tcp_source;
    bool open;
    struct dns_sockets sockets;
    int n_queries;
    int n_conns;
    /* dns.lock: */
    struct net_policy *policy;
    uint32_t mark;
    bool refill; /* the sets lack what was learned while the policy changed */
    struct dns_learned *learned;
    size_t n_learned;
    size_t next_learned; /* the oldest, once all places are used */
};

struct dns_query {
    enum dns_source source;
    int slot;
    int fd;
    uint16_t id;
    int64_t deadline_ms;
    struct dns_request request;
    struct dns_conn *conn;      /* who asked, over TCP; NULL: over UDP from `client` */
    struct sockaddr_in6 client; /* or an IPv4 one, where the host has no IPv6 */
    socklen_t client_bytes;
    bool sent;       /* TCP */
    struct buf data; /* TCP: the answer so far */
};

struct dns_conn {
    enum dns_source source;
    int slot;
    int fd;
    bool waiting; /* a question of it is on its way; the next ones wait in `in` */
    int64_t deadline_ms;
    struct buf in;
    struct buf out;
};

struct dns_call;

struct dns {
    int epoll_fd;
    int wake_fd;
    enum dns_source wake_source;
    pthread_t thread;
    bool thread_runs;
    int n_slots;
    char resolver[80]; /* "" : from /etc/resolv.conf */
    struct sockaddr_storage upstream;
    socklen_t upstream_bytes; /* 0: none is known */
    int64_t resolv_mtime_ns;
    int64_t resolv_looked_ms;
    struct dns_query *queries[DNS_QUERIES_MAX];
    int n_queries;
    struct dns_conn *conns[DNS_QUERIES_MAX];
    int n_conns;
    int64_t swept_ms;
    struct dns_slot *slots;

    pthread_mutex_t lock;
    pthread_cond_t answered;
    struct dns_call *calls; /* lock */
    bool refill;            /* lock: one of the slots has it set */
    bool stopping;          /* lock */
};

int dns_watch(struct dns *d, int fd, enum dns_source *source, uint32_t events);

/* --- dns_guest.c --- */

void dns_guest_udp(struct dns *d, struct dns_slot *s);
void dns_guest_accept(struct dns *d, struct dns_slot *s);
void dns_guest_event(struct dns *d, struct dns_conn *c);
void dns_conn_free(struct dns *d, struct dns_conn *c); /* its question goes with it */
/* To whoever asked. `rq` is the question. */
void dns_guest_answer(struct dns *d, struct dns_query *q, const void *data, size_t len);
void dns_guest_error(struct dns *d, struct dns_query *q, enum dns_rcode rcode,
                     enum dns_reason reason);

/* --- dns_upstream.c --- */

int dns_upstream_init(struct dns *d, const char *resolver, struct err *e);
/* Judges `q`, which the caller filled (slot, request, who asked), and answers it or sends it on. *q
 * is copied. */
void dns_upstream_ask(struct dns *d, const struct dns_query *q);
void dns_upstream_event(struct dns *d, struct dns_query *q);
void dns_query_free(struct dns *d, struct dns_query *q);

/* --- dns_learn.c --- */

/* What the slot's policy says to an answer: DNS_NOERROR lets it through, and its addresses are then
 * in the sets. */
enum dns_rcode dns_learn(struct dns *d, int slot, const struct dns_answer *answer);
void dns_refill(struct dns *d, int slot);
/* A reference to the slot's policy, NULL: none. */
struct net_policy *dns_slot_policy(struct dns *d, int slot, uint32_t *ret_mark);
