/* SPDX-License-Identifier: Apache-2.0 */

/* The resolver, between a guest's real sockets and an upstream that is the test itself: what goes
 * up, what comes down, what the dns axis of a policy says to it. */

#include <errno.h>
#include <netinet/in.h>

#include "base/test.h"
#include "host/test_dns.h"

/* --- forwarding --- */

static void test_forwards(void **state)
{
    apply(NULL);
    auto_lookup struct lookup l = begin("Www.Example.com", TYPE_A);
    /* The question as it was, under another id, from another address. */
    assert_memory_equal(l.asked.m + 12, "\3Www\7Example\3com\0\0\1\0\1", 21);
    assert_int_equal(l.asked.len, 12 + 21);
    struct message m = l.asked;
    make_answer(&m);
    add_address(&m, "www.example.com", WORLD_A4);
    struct message got = finish(&l, &m);
    assert_int_equal(got.len, m.len);
    assert_memory_equal(got.m + 2, m.m + 2, m.len - 2);
    assert_int_equal(resolve("six.example.com", WORLD_A6), DNS_NOERROR);
}

static void test_over_ipv6(void **state)
{
    struct message q = question(7, "a.com", TYPE_A), m, got;
    struct sockaddr_storage from;
    apply(NULL);
    auto_close int fd = net_socket(dns_guest.ns, NET_GATEWAY6, SOCK_DGRAM);
    assert_true(ask(fd, NET_GATEWAY6, &q) > 0);
    receive(upstream_udp, &m, &from);
    make_answer(&m);
    reply(&m, &from);
    receive(fd, &got, &from);
    assert_int_equal(rcode(&got), DNS_NOERROR);
}

/* Only what fits the question counts; what does not is passed over. */
static void test_forged(void **state)
{
    apply(NULL);
    auto_lookup struct lookup l = begin("a.com", TYPE_A);
    struct message wrong_id = l.asked, other = question(0, "b.com", TYPE_A), m = l.asked;
    make_answer(&wrong_id);
    wrong_id.m[0] ^= 1;
    reply(&wrong_id, &l.from);
    memcpy(other.m, l.asked.m, 2);
    make_answer(&other);
    reply(&other, &l.from);
    auto_close int elsewhere = net_socket(world_outside, WORLD_DNS, SOCK_DGRAM);
    make_answer(&m);
    m.m[3] |= DNS_SERVFAIL;
    assert_true(sendto(elsewhere, m.m, m.len, 0, (void *)&l.from, sizeof(struct sockaddr_in)) > 0);
    m.m[3] &= 0xf0;
    struct message got = finish(&l, &m);
    assert_int_equal(rcode(&got), DNS_NOERROR);
}

static void test_broken_answer(void **state)
{
    apply(NULL);
    auto_lookup struct lookup l = begin("a.com", TYPE_A);
    struct message m = l.asked;
    make_answer(&m);
    m.m[7] = 3; /* records that are not there */
    struct message got = finish(&l, &m);
    assert_int_equal(rcode(&got), DNS_SERVFAIL);
}

static void test_bad_questions(void **state)
{
    struct message q = question(9, "a.com", TYPE_A), got;
    struct sockaddr_storage from;
    apply(NULL);
    auto_close int fd = net_socket(dns_guest.ns, NET_GATEWAY4, SOCK_DGRAM);
    struct message answer = q, update = q, cut = q;
    make_answer(&answer);
    assert_true(ask(fd, NET_GATEWAY4, &answer) > 0); /* none comes back to an answer */
    update.m[2] |= 0x28;
    assert_true(ask(fd, NET_GATEWAY4, &update) > 0);
    receive(fd, &got, &from);
    assert_int_equal(rcode(&got), DNS_NOTIMP);
    cut.len = 14;
    assert_true(ask(fd, NET_GATEWAY4, &cut) > 0);
    receive(fd, &got, &from);
    assert_int_equal(rcode(&got), DNS_FORMERR);
    struct message transfer = question(9, "a.com", 252);
    assert_true(ask(fd, NET_GATEWAY4, &transfer) > 0);
    receive(fd, &got, &from);
    assert_int_equal(rcode(&got), DNS_REFUSED);
    assert_true(net_is_empty(upstream_udp));
}

/* --- TCP --- */

static void receive_all(int fd, void *to, size_t len)
{
    assert_int_equal(net_wait(fd), 0);
    assert_int_equal(recv(fd, to, len, MSG_WAITALL), len);
}

static void receive_tcp(int fd, struct message *ret)
{
    unsigned char prefix[2];
    receive_all(fd, prefix, 2);
    ret->len = (size_t)prefix[0] << 8 | prefix[1];
    assert_true(ret->len <= sizeof(ret->m));
    receive_all(fd, ret->m, ret->len);
}

static void send_tcp(int fd, const struct message *m)
{
    unsigned char prefix[2] = {(unsigned char)(m->len >> 8), (unsigned char)m->len};
    assert_int_equal(send(fd, prefix, 2, MSG_NOSIGNAL), 2);
    assert_int_equal(send(fd, m->m, m->len, MSG_NOSIGNAL), m->len);
}

static int accept_upstream(void)
{
    int fd = accept(upstream_tcp, NULL, NULL);
    assert_true(fd >= 0);
    return fd;
}

/* An answer that does not fit says so; over TCP it comes whole. */
static void test_large_answer(void **state)
{
    int fd = -1;
    apply(NULL);
    auto_lookup struct lookup l = begin("many.example.com", TYPE_A);
    struct message m = l.asked;
    make_answer(&m);
    m.m[2] |= 2;
    struct message got = finish(&l, &m);
    assert_true(got.m[2] & 2);
    assert_int_equal(net_connect(dns_guest.ns, NET_GATEWAY4, 53, &fd), 0);
    auto_close int guest_fd = fd;
    struct message q = question(0x4243, "many.example.com", TYPE_A);
    send_tcp(guest_fd, &q);
    auto_close int up = accept_upstream();
    receive_tcp(up, &m);
    make_answer(&m);
    for (int i = 0; i < 60; i++)
        add_address(&m, "many.example.com", WORLD_A4);
    send_tcp(up, &m);
    receive_tcp(guest_fd, &got);
    assert_int_equal(got.len, m.len);
    assert_int_equal(got.m[0], 0x42);
    assert_int_equal(got.m[1], 0x43);
}

/* Two questions in one go are answered one after the other. */
static void test_tcp_pipelined(void **state)
{
    int fd = -1;
    struct message first = question(1, "a.com", TYPE_A), second = question(2, "b.com", TYPE_A), m,
                   got;
    apply("{\"dns\": {\"domains\": [\"b.com\"]}}");
    assert_int_equal(net_connect(dns_guest.ns, NET_GATEWAY6, 53, &fd), 0);
    auto_close int guest_fd = fd;
    send_tcp(guest_fd, &first);
    send_tcp(guest_fd, &second);
    auto_close int up = accept_upstream();
    receive_tcp(up, &m);
    make_answer(&m);
    send_tcp(up, &m);
    receive_tcp(guest_fd, &got);
    assert_int_equal(got.m[1], 1);
    receive_tcp(guest_fd, &got);
    assert_int_equal(got.m[1], 2);
    assert_int_equal(rcode(&got), DNS_NXDOMAIN);
}

static void test_tcp_bounds(void **state)
{
    int fd = -1;
    apply(NULL);
    assert_int_equal(net_connect(dns_guest.ns, NET_GATEWAY4, 53, &fd), 0);
    auto_close int huge = fd;
    assert_int_equal(send(huge, "\377\377", 2, MSG_NOSIGNAL), 2);
    assert_int_equal(net_wait(huge), -ENODATA); /* closed */
    auto_close int closed = -1;
    assert_int_equal(net_connect(dns_guest.ns, NET_GATEWAY4, 53, &closed), 0);
    struct message q = question(3, "a.com", TYPE_A), got;
    send_tcp(closed, &q);
    close(accept_upstream());
    receive_tcp(closed, &got); /* upstream hangs up: the guest is told */
    assert_int_equal(rcode(&got), DNS_SERVFAIL);
    int all[DNS_CONNECTIONS_SLOT_MAX];
    for (int i = 0; i < DNS_CONNECTIONS_SLOT_MAX; i++)
        assert_int_equal(net_connect(dns_guest.ns, NET_GATEWAY4, 53, &all[i]), 0);
    auto_close int beyond = -1;
    if (net_connect(dns_guest.ns, NET_GATEWAY4, 53, &beyond) == 0) {
        int r = net_wait(beyond);
        assert_true(r == -ENODATA || r == -ECONNRESET);
    }
    for (int i = 0; i < DNS_CONNECTIONS_SLOT_MAX; i++)
        close(all[i]);
}

/* What is beyond a slot's bound is told so at once. */
static void test_query_bound(void **state)
{
    struct message q = question(5, "flood.com", TYPE_A), got, held[DNS_QUERIES_SLOT_MAX];
    struct sockaddr_storage from[DNS_QUERIES_SLOT_MAX], any;
    apply(NULL);
    auto_close int fd = net_socket(dns_guest.ns, NET_GATEWAY4, SOCK_DGRAM);
    for (int i = 0; i < DNS_QUERIES_SLOT_MAX; i++) {
        assert_true(ask(fd, NET_GATEWAY4, &q) > 0);
        receive(upstream_udp, &held[i], &from[i]);
    }
    assert_int_equal(refused("one.more.com"), DNS_SERVFAIL);
    for (int i = 0; i < DNS_QUERIES_SLOT_MAX; i++) {
        make_answer(&held[i]);
        reply(&held[i], &from[i]);
        receive(fd, &got, &any);
        assert_int_equal(rcode(&got), DNS_NOERROR);
    }
    assert_int_equal(resolve("one.more.com", WORLD_A4), DNS_NOERROR);
}

static void test_silent_upstream(void **state)
{
    struct message q = question(4, "a.com", TYPE_A), got, unanswered;
    struct sockaddr_storage from;
    int fd = -1;
    apply(NULL);
    auto_lookup struct lookup l = begin("silent.com", TYPE_A);
    assert_int_equal(net_connect(dns_guest.ns, NET_GATEWAY4, 53, &fd), 0);
    auto_close int tcp = fd, idle = -1;
    assert_int_equal(net_connect(dns_guest.ns, NET_GATEWAY4, 53, &idle), 0);
    send_tcp(tcp, &q);
    auto_close int up = accept_upstream();
    receive_tcp(up, &unanswered);
    clock_ahead_ms += DNS_TIMEOUT_MS + 1;
    receive(l.fd, &got, &from);
    assert_int_equal(rcode(&got), DNS_SERVFAIL);
    receive_tcp(tcp, &got);
    assert_int_equal(rcode(&got), DNS_SERVFAIL);
    assert_int_equal(net_wait(idle), -ENODATA);
    assert_int_equal(net_wait(up), -ENODATA); /* given up */
}

/* --- the dns axis --- */

static void test_denied_names(void **state)
{
    apply("{\"dns\": {\"domains\": [\"ads.com\", \"*.track.com\"]}}");
    assert_int_equal(refused("ADS.com"), DNS_NXDOMAIN);
    assert_int_equal(refused("a.b.track.com"), DNS_NXDOMAIN);
    assert_int_equal(resolve("track.com", WORLD_A4), DNS_NOERROR);
    assert_int_equal(resolve("www.ads.com", WORLD_A4), DNS_NOERROR);
    /* Under another name it is still the same. */
    auto_lookup struct lookup l = begin("innocent.com", TYPE_A);
    struct message m = l.asked;
    make_answer(&m);
    add_alias(&m, "innocent.com", "x.track.com");
    add_address(&m, "x.track.com", WORLD_A4);
    struct message got = finish(&l, &m);
    assert_int_equal(rcode(&got), DNS_NXDOMAIN);
    assert_int_equal(got.m[7], 0);
}

static void test_allowed_names(void **state)
{
    apply("{\"dns\": {\"mode\": \"allow\", \"domains\": [\"*.good.com\"]}}");
    assert_int_equal(refused("good.com"), DNS_NXDOMAIN);
    assert_int_equal(refused("bad.com"), DNS_NXDOMAIN);
    auto_lookup struct lookup l = begin("www.good.com", TYPE_A);
    struct message m = l.asked;
    make_answer(&m);
    add_alias(&m, "www.good.com", "x.cdn.net"); /* where it leads is its own affair */
    add_address(&m, "x.cdn.net", WORLD_A4);
    struct message got = finish(&l, &m);
    assert_int_equal(rcode(&got), DNS_NOERROR);
}

static void test_off_answers_nothing(void **state)
{
    apply("{\"egress\": {\"default\": \"deny\"}}");
    assert_int_equal(refused("a.com"), DNS_REFUSED);
    apply("{\"egress\": {\"default\": \"deny\", \"rules\": [{\"action\": \"allow\", \"kind\": "
          "\"fqdn\", \"value\": \"a.com\"}]}}");
    assert_int_equal(refused("secret.evil.com"), DNS_REFUSED);
    assert_int_equal(resolve("a.com", WORLD_A4), DNS_NOERROR);
}

/* A guest that asks somebody else gets our answer, where something hangs on it. */
static void test_redirected(void **state)
{
    struct message q = question(6, "ads.com", TYPE_A), got;
    struct sockaddr_storage from;
    int fd = -1;
    apply("{\"dns\": {\"domains\": [\"ads.com\"]}}");
    auto_close int udp = net_socket(dns_guest.ns, WORLD_A4, SOCK_DGRAM);
    assert_true(ask(udp, WORLD_A4, &q) > 0);
    receive(udp, &got, &from);
    assert_int_equal(rcode(&got), DNS_NXDOMAIN);
    assert_int_equal(((struct sockaddr_in *)(void *)&from)->sin_addr.s_addr, inet_addr(WORLD_A4));
    auto_close int udp6 = net_socket(dns_guest.ns, WORLD_A6, SOCK_DGRAM);
    assert_true(ask(udp6, WORLD_A6, &q) > 0);
    receive(udp6, &got, &from);
    assert_int_equal(rcode(&got), DNS_NXDOMAIN);
    assert_int_equal(net_connect(dns_guest.ns, WORLD_A4, 53, &fd), 0);
    auto_close int tcp = fd;
    send_tcp(tcp, &q);
    receive_tcp(tcp, &got);
    assert_int_equal(rcode(&got), DNS_NXDOMAIN);
}

static void test_bypass(void **state)
{
    auto_there int dot = net_server(world_outside, WORLD_A4, 853, SOCK_STREAM);
    apply("{\"dns\": {\"domains\": [\"ads.com\"]}}");
    assert_int_equal(net_connect(dns_guest.ns, WORLD_A4, 853, NULL), 0);
    apply("{\"dns\": {\"blockBypass\": true}}");
    assert_int_equal(net_connect(dns_guest.ns, WORLD_A4, 853, NULL), -ECONNREFUSED);
    assert_int_equal(net_connect(dns_guest.ns, "8.8.8.8", 443, NULL), -ECONNREFUSED);
    assert_int_equal(net_connect(dns_guest.ns, "2606:4700:4700::1111", 443, NULL), -ECONNREFUSED);
    assert_int_equal(out(WORLD_A4), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forwards),
        cmocka_unit_test(test_over_ipv6),
        cmocka_unit_test(test_forged),
        cmocka_unit_test(test_broken_answer),
        cmocka_unit_test(test_bad_questions),
        cmocka_unit_test(test_large_answer),
        cmocka_unit_test(test_tcp_pipelined),
        cmocka_unit_test(test_tcp_bounds),
        cmocka_unit_test(test_query_bound),
        cmocka_unit_test(test_silent_upstream),
        cmocka_unit_test(test_denied_names),
        cmocka_unit_test(test_allowed_names),
        cmocka_unit_test(test_off_answers_nothing),
        cmocka_unit_test(test_redirected),
        cmocka_unit_test(test_bypass),
    };
    if (!world_make())
        return 77;
    return cmocka_run_group_tests(tests, dns_setup, dns_teardown);
}
