/* SPDX-License-Identifier: Apache-2.0 */
#include "host/test_dns.h"

#include <errno.h>
#include <netinet/in.h>

#include "base/test.h"

struct net *dns_net;
struct guest dns_guest;
int upstream_udp, upstream_tcp;
int server_a4, server_b4, server_a6;
_Atomic int64_t clock_ahead_ms;

/* --- the clock --- */

int64_t __real_clock_mono_ms(void);
int64_t __wrap_clock_mono_ms(void);

int64_t __wrap_clock_mono_ms(void)
{
    return __real_clock_mono_ms() + clock_ahead_ms;
}

/* --- messages --- */

static void put(struct message *to, const void *data, size_t len)
{
    assert_true(to->len + len <= sizeof(to->m));
    memcpy(to->m + to->len, data, len);
    to->len += len;
}

static void put_name(struct message *to, const char *name)
{
    while (*name) {
        unsigned char len = (unsigned char)strcspn(name, ".");
        put(to, &len, 1);
        put(to, name, len);
        name += len + (name[len] == '.');
    }
    put(to, "", 1);
}

static void put16(struct message *to, unsigned value)
{
    put(to, (unsigned char[]){(unsigned char)(value >> 8), (unsigned char)value}, 2);
}

struct message question(unsigned id, const char *name, unsigned type)
{
    struct message q = {.len = 0};
    put16(&q, id);
    put(&q, "\1\0\0\1\0\0\0\0\0\0", 10);
    put_name(&q, name);
    put16(&q, type);
    put16(&q, 1);
    return q;
}

void make_answer(struct message *m)
{
    m->m[2] |= 0x80;
    m->m[3] |= 0x80;
}

static void add_record(struct message *m, const char *owner, unsigned type, const void *data,
                       size_t len)
{
    m->m[7]++;
    put_name(m, owner);
    put16(m, type);
    put16(m, 1);
    put(m, "\0\0\0\74", 4);
    put16(m, (unsigned)len);
    put(m, data, len);
}

void add_address(struct message *m, const char *owner, const char *address)
{
    unsigned char bytes[16];
    bool six = strchr(address, ':');
    assert_int_equal(inet_pton(six ? AF_INET6 : AF_INET, address, bytes), 1);
    add_record(m, owner, six ? TYPE_AAAA : TYPE_A, bytes, six ? 16 : 4);
}

void add_alias(struct message *m, const char *owner, const char *target)
{
    struct message name = {.len = 0};
    put_name(&name, target);
    add_record(m, owner, 5, name.m, name.len);
}

unsigned rcode(const struct message *m)
{
    return m->m[3] & 15;
}

/* --- both sides --- */

void receive(int fd, struct message *ret, struct sockaddr_storage *from)
{
    socklen_t len = sizeof(*from);
    assert_int_equal(net_wait(fd), 0);
    ssize_t n = recvfrom(fd, ret->m, sizeof(ret->m), 0, (void *)from, &len);
    assert_true(n >= DNS_HEADER_BYTES);
    ret->len = (size_t)n;
}

int ask(int fd, const char *at, const struct message *q)
{
    struct sockaddr_storage sa = {0};
    struct sockaddr_in *v4 = (void *)&sa;
    struct sockaddr_in6 *v6 = (void *)&sa;
    bool six = strchr(at, ':');
    sa.ss_family = six ? AF_INET6 : AF_INET;
    inet_pton(sa.ss_family, at, six ? (void *)&v6->sin6_addr : (void *)&v4->sin_addr);
    *(six ? &v6->sin6_port : &v4->sin_port) = htons(53);
    return (int)sendto(fd, q->m, q->len, 0, (void *)&sa, six ? sizeof(*v6) : sizeof(*v4));
}

void reply(const struct message *m, const struct sockaddr_storage *to)
{
    assert_int_equal(
        sendto(upstream_udp, m->m, m->len, 0, (const void *)to, sizeof(struct sockaddr_in)),
        m->len);
}

void lookup_done(struct lookup *l)
{
    close(l->fd);
}
struct lookup begin(const char *name, unsigned type)
{
    struct message q = question(0x4242, name, type);
    struct lookup l = {.fd = net_socket(dns_guest.ns, NET_GATEWAY4, SOCK_DGRAM)};
    assert_true(ask(l.fd, NET_GATEWAY4, &q) > 0);
    receive(upstream_udp, &l.asked, &l.from);
    return l;
}

struct message finish(struct lookup *l, const struct message *m)
{
    struct message got;
    struct sockaddr_storage from;
    reply(m, &l->from);
    receive(l->fd, &got, &from);
    assert_int_equal(got.m[0], 0x42);
    assert_int_equal(got.m[1], 0x42);
    return got;
}

unsigned resolve(const char *name, const char *address)
{
    auto_lookup struct lookup l = begin(name, strchr(address, ':') ? TYPE_AAAA : TYPE_A);
    struct message m = l.asked;
    make_answer(&m);
    add_address(&m, name, address);
    struct message got = finish(&l, &m);
    return rcode(&got);
}

static struct message told(const char *name)
{
    struct message q = question(0x4242, name, TYPE_A), got;
    struct sockaddr_storage from;
    auto_close int fd = net_socket(dns_guest.ns, NET_GATEWAY4, SOCK_DGRAM);
    assert_true(ask(fd, NET_GATEWAY4, &q) > 0);
    receive(fd, &got, &from);
    assert_true(net_is_empty(upstream_udp));
    return got;
}

unsigned refused(const char *name)
{
    struct message got = told(name);
    return rcode(&got);
}

int out(const char *address)
{
    return net_connect(dns_guest.ns, address, PORT, NULL);
}

void apply(const char *json)
{
    struct err e = ERR_INIT;
    auto_policy struct net_policy *p = policy_of(json);
    if (net_apply(dns_net, 0, p, &e) < 0)
        fail_msg("%s", e.text);
}

/* --- the world --- */

int dns_setup(void **state)
{
    struct err e = ERR_INIT;
    const struct net_config config = {.prefix = "dt",
                                      .pool_cidr = WORLD_POOL,
                                      .resolver = WORLD_DNS,
                                      .slots = 2,
                                      .uid_first = 100000};
    auto_policy struct net_policy *p = policy_of(NULL);
    int tap = -1;
    if (net_new(&config, &dns_net, &e) < 0 || net_start(dns_net, &e) < 0 ||
        net_take(dns_net, 0, p, &tap, &e) < 0)
        fail_msg("%s", e.text);
    guest_start(&dns_guest, "guest", tap);
    upstream_udp = net_server(world_outside, WORLD_DNS, 53, SOCK_DGRAM);
    upstream_tcp = net_server(world_outside, WORLD_DNS, 53, SOCK_STREAM);
    server_a4 = net_server(world_outside, WORLD_A4, PORT, SOCK_STREAM);
    server_b4 = net_server(world_outside, WORLD_B4, PORT, SOCK_STREAM);
    server_a6 = net_server(world_outside, WORLD_A6, PORT, SOCK_STREAM);
    return 0;
}

int dns_teardown(void **state)
{
    guest_stop(&dns_guest);
    net_give_back(dns_net, 0);
    net_free(dns_net);
    return 0;
}
