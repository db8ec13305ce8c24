/* SPDX-License-Identifier: Apache-2.0 */

/* What policies let through, seen from both ends of real connections in namespaces of the test's
 * own. Where nothing must arrive, something that may is sent behind it on the same way: once that
 * is there, the other would be too. */

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/test.h"
#include "host/net_addr.h"
#include "host/net_nft.h"
#include "host/net_ns.h"
#include "host/net_rtnl.h"
#include "host/netpolicy.h"
#include "host/test_net.h"

#define PORT 8080
#define SLOT0 "10.77.0.1" /* where the host reaches the guest of slot 0 */
#define SLOT1 "10.77.0.3"
#define SLOT0_6 "fd00:686f:6c6e::a4d:1"
#define HOST_END0 "10.77.0.0"
#define OFF "{\"egress\": {\"default\": \"deny\", \"rules\": []}}"
#define EGRESS(def, rules) "{\"egress\": {\"default\": \"" def "\", \"rules\": [" rules "]}}"
#define INGRESS(def, rules) "{\"ingress\": {\"default\": \"" def "\", \"rules\": [" rules "]}}"
#define RULE(action, value, protocol, ports)                                           \
    "{\"action\": \"" action "\", \"value\": \"" value "\", \"protocol\": \"" protocol \
    "\", \"ports\": \"" ports "\"}"
#define ALL(action, value) RULE(action, value, "any", "any")

static struct net *net;
static struct guest guests[2];
static int server_a4, server_a6, server_b4, server_b6; /* TCP at PORT */

static void apply(int slot, const char *json)
{
    struct err e = ERR_INIT;
    auto_policy struct net_policy *p = policy_of(json);
    if (net_apply(net, slot, p, &e) < 0)
        fail_msg("%s", e.text);
}

static int out(const char *address, int port)
{
    return net_connect(guests[0].ns, address, port, NULL);
}

/* A datagram from the guest to a server of the test; what was sent before it on that way has
 * arrived, or never will. */
static void pass_marker(void)
{
    auto_close int to = net_server(world_outside, WORLD_A4, 7, SOCK_DGRAM);
    auto_close int from = net_socket(guests[0].ns, WORLD_A4, SOCK_DGRAM);
    assert_int_equal(net_send(from, WORLD_A4, 7, "marker"), 0);
    net_expect(to, "marker");
}

static bool is_connecting(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, 0) == 0;
}

/* Does a connection from there get to the guest of slot 0? It needs an egress that is open. */
static bool gets_in(int ns, const char *address, int port)
{
    const char *at = strchr(address, ':') ? NET_GUEST6 : NET_GUEST4;
    auto_there int server = net_server(guests[0].ns, at, port, SOCK_STREAM);
    auto_close int client = net_connect_begin(ns, address, port);
    pass_marker();
    pass_marker();
    if (is_connecting(client))
        return false;
    int error = 0;
    socklen_t len = sizeof(error);
    getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &len);
    assert_int_equal(error, 0);
    return true;
}

/* Sends a datagram, and returns what came back: 0 an echo, or the error of an ICMP message. */
static int ask_udp(const char *address, int port)
{
    auto_close int server = net_server(world_outside, address, port, SOCK_DGRAM);
    auto_close int client = net_socket(guests[0].ns, address, SOCK_DGRAM);
    struct sockaddr_storage sa = {0};
    struct sockaddr_in *v4 = (void *)&sa;
    struct sockaddr_in6 *v6 = (void *)&sa;
    bool six = strchr(address, ':');
    socklen_t len = six ? sizeof(*v6) : sizeof(*v4);
    sa.ss_family = six ? AF_INET6 : AF_INET;
    inet_pton(sa.ss_family, address, six ? (void *)&v6->sin6_addr : (void *)&v4->sin_addr);
    *(six ? &v6->sin6_port : &v4->sin_port) = htons((uint16_t)port);
    assert_int_equal(connect(client, (void *)&sa, len), 0);
    assert_int_equal(send(client, "ask", 3, 0), 3);
    struct pollfd p[2] = {{.fd = server, .events = POLLIN}, {.fd = client, .events = POLLIN}};
    assert_true(poll(p, 2, 10000) > 0);
    if (p[1].revents)
        return net_wait(client);
    char got[8];
    len = sizeof(sa);
    assert_int_equal(recvfrom(server, got, sizeof(got), 0, (void *)&sa, &len), 3);
    assert_int_equal(sendto(server, "ok", 2, 0, (void *)&sa, len), 2);
    net_expect(client, "ok");
    return 0;
}

/* --- egress --- */

static void test_default(void **state)
{
    apply(0, NULL);
    assert_int_equal(out(WORLD_A4, PORT), 0);
    assert_int_equal(out(WORLD_A6, PORT), 0);
    assert_int_equal(ask_udp(WORLD_A4, 5000), 0);
    assert_int_equal(ask_udp(WORLD_A6, 5000), 0);
    assert_int_equal(out(WORLD_A4, 9), -ECONNREFUSED); /* its own answer: nobody listens */
    assert_false(gets_in(world_host, SLOT0, 2222));
    assert_false(gets_in(world_host, SLOT0_6, 2222));
    assert_false(gets_in(world_outside, SLOT0, 2222));
}

/* There is nothing but the resolver, and a program that looks for more is told so at once. */
static void test_gateway_refuses(void **state)
{
    apply(0, NULL);
    assert_int_equal(out(NET_GATEWAY4, PORT), -ECONNREFUSED);
    assert_int_equal(out(NET_GATEWAY6, PORT), -ECONNREFUSED);
    assert_int_equal(out(NET_GATEWAY4, 53), 0);
}

static void test_source_is_the_hosts(void **state)
{
    apply(0, NULL);
    auto_close int server = net_server(world_outside, WORLD_A4, 5001, SOCK_DGRAM);
    auto_close int client = net_socket(guests[0].ns, WORLD_A4, SOCK_DGRAM);
    struct sockaddr_in from = {0};
    socklen_t len = sizeof(from);
    char text[INET_ADDRSTRLEN], c;
    assert_int_equal(net_send(client, WORLD_A4, 5001, "x"), 0);
    assert_int_equal(recvfrom(server, &c, 1, 0, (void *)&from, &len), 1);
    inet_ntop(AF_INET, &from.sin_addr, text, sizeof(text));
    assert_string_equal(text, WORLD_HOST4);
}

static void test_off(void **state)
{
    apply(0, OFF);
    assert_int_equal(out(WORLD_A4, PORT), -ECONNREFUSED);
    assert_int_equal(out(WORLD_A6, PORT), -ECONNREFUSED);
    assert_int_equal(ask_udp(WORLD_A4, 5002), -EHOSTUNREACH);
    assert_int_equal(ask_udp(WORLD_A6, 5002), -EACCES);
    apply(0, NULL);
    assert_int_equal(out(WORLD_A4, PORT), 0);
}

static void test_ranges(void **state)
{
    apply(0, EGRESS("deny", ALL("allow", WORLD_A4 "/32") "," ALL("allow", WORLD_A6 "/128")));
    assert_int_equal(out(WORLD_A4, PORT), 0);
    assert_int_equal(out(WORLD_A6, PORT), 0);
    assert_int_equal(out(WORLD_B4, PORT), -ECONNREFUSED);
    assert_int_equal(out(WORLD_B6, PORT), -ECONNREFUSED);
    apply(0, EGRESS("deny", ALL("allow", "0.0.0.0/0")));
    assert_int_equal(out(WORLD_B4, PORT), 0);
    assert_int_equal(out(WORLD_B6, PORT), -ECONNREFUSED);
    apply(0, EGRESS("allow", ALL("deny", "2001:db8:b::/48")));
    assert_int_equal(out(WORLD_A6, PORT), 0);
    assert_int_equal(out(WORLD_B6, PORT), -ECONNREFUSED);
}

static void test_ports(void **state)
{
    auto_there int last = net_server(world_outside, WORLD_A4, PORT + 2, SOCK_STREAM);
    auto_there int beyond = net_server(world_outside, WORLD_A4, PORT + 3, SOCK_STREAM);
    apply(0, EGRESS("deny", RULE("allow", "0.0.0.0/0", "tcp", "8080-8082")));
    assert_int_equal(out(WORLD_A4, PORT), 0);
    assert_int_equal(out(WORLD_A4, PORT + 2), 0);
    assert_int_equal(out(WORLD_A4, PORT + 3), -ECONNREFUSED);
    assert_int_equal(ask_udp(WORLD_A4, PORT), -EHOSTUNREACH);
    apply(0, EGRESS("deny", RULE("allow", "0.0.0.0/0", "udp", "5003")));
    assert_int_equal(ask_udp(WORLD_A4, 5003), 0);
    assert_int_equal(ask_udp(WORLD_A4, 5004), -EHOSTUNREACH);
    assert_int_equal(out(WORLD_A4, PORT), -ECONNREFUSED);
    apply(0, EGRESS("deny", RULE("allow", "::/0", "tcp", "any")));
    assert_int_equal(out(WORLD_A6, PORT), 0);
    assert_int_equal(ask_udp(WORLD_A6, 5003), -EACCES);
}

static void test_order(void **state)
{
    apply(0, EGRESS("deny", ALL("deny", WORLD_B4) "," ALL("allow", "198.51.100.0/24")));
    assert_int_equal(out(WORLD_A4, PORT), 0);
    assert_int_equal(out(WORLD_B4, PORT), -ECONNREFUSED);
    apply(0, EGRESS("deny", ALL("allow", "198.51.100.0/24") "," ALL("deny", WORLD_B4)));
    assert_int_equal(out(WORLD_B4, PORT), 0);
}

/* --- guarded --- */

static void test_metadata(void **state)
{
    auto_there int server = net_server(world_outside, WORLD_METADATA, 80, SOCK_STREAM);
    auto_there int other = net_server(world_outside, WORLD_METADATA, 81, SOCK_STREAM);
    assert_int_equal(net_connect(world_host, WORLD_METADATA, 80, NULL), 0); /* it is there */
    apply(0, NULL);
    assert_int_equal(out(WORLD_METADATA, 80), -ECONNREFUSED);
    apply(0, EGRESS("allow", ALL("allow", "0.0.0.0/0")));
    assert_int_equal(out(WORLD_METADATA, 80), -ECONNREFUSED);
    apply(0, EGRESS("allow",
                    ALL("allow", "0.0.0.0/0") "," RULE("allow", WORLD_METADATA, "tcp", "80")));
    assert_int_equal(out(WORLD_METADATA, 80), 0);
    assert_int_equal(out(WORLD_METADATA, 81), -ECONNREFUSED);
    apply(0, EGRESS("allow", ALL("deny", "0.0.0.0/0") "," ALL("allow", WORLD_METADATA)));
    assert_int_equal(out(WORLD_METADATA, 80), -ECONNREFUSED);
}

static void test_host(void **state)
{
    static const char *const addresses[] = {WORLD_HOST4, WORLD_HOST6, HOST_END0};
    for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
        auto_there int server = net_server(world_host, addresses[i], 22, SOCK_STREAM);
        apply(0, EGRESS("allow", ALL("allow", "0.0.0.0/0") "," ALL("allow", "::/0")));
        assert_int_not_equal(out(addresses[i], 22), 0);
        apply(0, EGRESS("allow", ALL("allow", "192.0.2.0/24") "," ALL("allow", "2001:db8::/64")));
        assert_int_not_equal(out(addresses[i], 22), 0);
    }
    auto_there int server = net_server(world_host, WORLD_HOST4, 22, SOCK_STREAM);
    auto_there int other = net_server(world_host, WORLD_HOST4, 23, SOCK_STREAM);
    auto_there int server6 = net_server(world_host, WORLD_HOST6, 22, SOCK_STREAM);
    auto_there int end = net_server(world_host, HOST_END0, 22, SOCK_STREAM);
    apply(0, EGRESS("deny", RULE("allow", WORLD_HOST4, "tcp", "22") "," RULE(
                                "allow", WORLD_HOST6, "tcp", "22") "," ALL("allow", HOST_END0)));
    assert_int_equal(out(WORLD_HOST4, 22), 0);
    assert_int_equal(out(WORLD_HOST4, 23), -ECONNREFUSED);
    assert_int_equal(out(WORLD_HOST6, 22), 0);
    assert_int_equal(out(HOST_END0, 22), 0);
    apply(0, NULL);
    assert_int_equal(out(WORLD_HOST4, 22), -EHOSTUNREACH); /* the host's own word */
}

static void test_neighbours(void **state)
{
    auto_there int server = net_server(guests[1].ns, NET_GUEST4, PORT, SOCK_STREAM);
    apply(0, EGRESS("allow", ALL("allow", "0.0.0.0/0")));
    apply(1, INGRESS("allow", ""));
    assert_int_equal(net_connect(world_host, SLOT1, PORT, NULL), 0);
    assert_int_equal(out(SLOT1, PORT), -ECONNREFUSED);
    apply(0, EGRESS("allow", RULE("allow", SLOT1, "tcp", "8080")));
    assert_int_equal(out(SLOT1, PORT), 0);
    assert_int_equal(out(SLOT1, PORT + 1), -ECONNREFUSED);
    apply(1, INGRESS("deny", ALL("allow", SLOT0)));
    assert_int_equal(out(SLOT1, PORT), 0);
    apply(1, INGRESS("deny", ALL("allow", WORLD_HOST4)));
    auto_close int blocked = net_connect_begin(guests[0].ns, SLOT1, PORT);
    pass_marker();
    assert_true(is_connecting(blocked));
    apply(1, NULL);
}

/* --- what guests must not send --- */

static int add_foreign(void *arg)
{
    auto_rtnl struct net_rtnl nl = {0};
    struct net_cidr c;
    assert_int_equal(net_rtnl_open(&nl), 0);
    assert_int_equal(net_cidr_parse(arg, &c), 0);
    int r = net_rtnl_add_address(&nl, "eth0", &c, c.bits);
    return r == -EEXIST ? 0 : r;
}

static void test_spoofed(void **state)
{
    static char foreign4[] = "203.0.113.5", foreign6[] = "2001:db8:f::5";
    char *foreign[] = {foreign4, foreign6};
    const char *to[] = {WORLD_A4, WORLD_A6};
    apply(0, EGRESS("allow", ""));
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(net_ns_run(guests[0].ns, add_foreign, foreign[i]), 0);
        auto_close int server = net_server(world_outside, to[i], 5005, SOCK_DGRAM);
        auto_close int client = net_server(guests[0].ns, foreign[i], 5005, SOCK_DGRAM);
        assert_int_equal(net_send(client, to[i], 5005, "spoofed"), 0);
        pass_marker();
        assert_true(net_is_empty(server));
    }
}

/* --- ICMP --- */

static int ping(const char *address)
{
    bool six = strchr(address, ':');
    int protocol = six ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
    auto_close int fd = net_socket(guests[0].ns, address, SOCK_DGRAM | protocol << 8);
    struct icmphdr echo = {.type = six ? ICMP6_ECHO_REQUEST : ICMP_ECHO, .un.echo.sequence = 1};
    struct sockaddr_storage sa = {.ss_family = six ? AF_INET6 : AF_INET};
    struct sockaddr_in *v4 = (void *)&sa;
    struct sockaddr_in6 *v6 = (void *)&sa;
    inet_pton(sa.ss_family, address, six ? (void *)&v6->sin6_addr : (void *)&v4->sin_addr);
    assert_int_equal(connect(fd, (void *)&sa, six ? sizeof(*v6) : sizeof(*v4)), 0);
    assert_int_equal(send(fd, &echo, sizeof(echo), 0), sizeof(echo));
    int r = net_wait(fd);
    if (r < 0)
        return r;
    assert_true(recv(fd, &echo, sizeof(echo), 0) == sizeof(echo));
    assert_int_equal(echo.type, six ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY);
    return 0;
}

static void test_ping(void **state)
{
    apply(0, NULL);
    assert_int_equal(ping(WORLD_A4), 0);
    assert_int_equal(ping(WORLD_A6), 0);
    apply(0, OFF);
    assert_int_equal(ping(NET_GATEWAY4), 0);
    assert_int_equal(ping(NET_GATEWAY6), 0);
    int r = ping(WORLD_A4);
    assert_true(r == -EHOSTUNREACH || r == -EACCES || r == -EPERM);
}

/* --- ingress --- */

static void test_ingress(void **state)
{
    apply(0, INGRESS("deny", RULE("allow", "192.0.2.0/24", "tcp",
                                  "8080-8081") "," RULE("allow", "2001:db8::/64", "tcp", "8080")));
    assert_true(gets_in(world_outside, SLOT0, 8080));
    assert_true(gets_in(world_outside, SLOT0, 8081));
    assert_false(gets_in(world_outside, SLOT0, 8082));
    assert_false(gets_in(world_host, SLOT0, 8080)); /* comes from its end of the link */
    assert_true(gets_in(world_outside, SLOT0_6, 8080));
    assert_false(gets_in(world_outside, SLOT0_6, 8081));
    apply(0, INGRESS("deny", ALL("allow", WORLD_POOL)));
    assert_true(gets_in(world_host, SLOT0, 8080));
    assert_false(gets_in(world_outside, SLOT0, 8080));
    apply(0, INGRESS("allow", ALL("deny", WORLD_DNS)));
    assert_true(gets_in(world_host, SLOT0, 8080));
    assert_true(gets_in(world_host, SLOT0_6, 8080));
    assert_false(gets_in(world_outside, SLOT0, 8080));
    apply(0, "{\"mode\": \"restricted\", \"ingress\": [{\"protocol\": \"tcp\", \"portStart\": "
             "8080}]}");
    assert_true(gets_in(world_host, SLOT0, 8080));
    assert_true(gets_in(world_outside, SLOT0_6, 8080));
    assert_false(gets_in(world_host, SLOT0, 8081));
}

/* --- changes --- */

static struct net_pair pair_out(const char *address, int listener)
{
    return net_pair_make(guests[0].ns, address, PORT, listener);
}

static void test_change_ends(void **state)
{
    apply(0, NULL);
    auto_pair struct net_pair a = pair_out(WORLD_A4, server_a4);
    auto_pair struct net_pair b = pair_out(WORLD_B4, server_b4);
    auto_pair struct net_pair b6 = pair_out(WORLD_B6, server_b6);
    net_pair_talks(&a);
    net_pair_talks(&b);
    net_pair_talks(&b6);
    apply(0, EGRESS("deny", ALL("allow", WORLD_A4)));
    net_pair_talks(&a);
    net_is_cut(b.client); /* the guest speaks first */
    net_is_cut(b.server);
    net_is_cut(b6.server); /* the other side does */
    net_pair_talks(&a);
    apply(0, OFF);
    net_is_cut(a.client);
}

static void test_change_ends_inbound(void **state)
{
    apply(0, INGRESS("allow", ""));
    auto_close int listener = net_server(guests[0].ns, NET_GUEST4, 2323, SOCK_STREAM);
    auto_pair struct net_pair p = net_pair_make(world_host, SLOT0, 2323, listener);
    net_pair_talks(&p);
    apply(0, INGRESS("deny", ALL("allow", WORLD_POOL)));
    net_pair_talks(&p);
    apply(0, NULL);
    net_is_cut(p.client);
}

static void test_same_policy_changes_nothing(void **state)
{
    apply(0, EGRESS("deny", ALL("allow", WORLD_A4)));
    auto_pair struct net_pair a = pair_out(WORLD_A4, server_a4);
    net_pair_talks(&a);
    apply(0, EGRESS("deny", ALL("allow", WORLD_A4)));
    net_pair_talks(&a);
}

/* A flood to B, which none of the policies allows, while they change all the time: none arrives.
 * And what all of them allow loses nothing. A ping after each burst keeps the flood from filling
 * the queues, which would lose the others' packets. */

struct flood {
    int fd;
    _Atomic bool stop;
    _Atomic long sent;
};

static void *flood(void *arg)
{
    struct flood *f = arg;
    while (!f->stop && ping(NET_GATEWAY4) == 0) {
        for (int i = 0; i < 16; i++)
            (void)net_send(f->fd, WORLD_B4, 5006, "leak");
        f->sent += 16;
    }
    return NULL;
}

static void test_swap_has_no_gap(void **state)
{
    const char *const policies[] = {EGRESS("allow", ALL("deny", WORLD_B4)),
                                    EGRESS("deny", ALL("allow", WORLD_A4))};
    auto_close int leak = net_server(world_outside, WORLD_B4, 5006, SOCK_DGRAM);
    auto_close int flooder = net_socket(guests[0].ns, WORLD_B4, SOCK_DGRAM);
    struct flood f = {.fd = flooder};
    pthread_t thread;
    apply(0, policies[1]);
    auto_pair struct net_pair a = pair_out(WORLD_A4, server_a4);
    assert_int_equal(pthread_create(&thread, NULL, flood, &f), 0);
    for (int i = 0; i < 40 || f.sent < 1000; i++) {
        apply(0, policies[i % 2]);
        net_pair_talks(&a);
    }
    f.stop = true;
    pthread_join(thread, NULL);
    pass_marker();
    assert_true(net_is_empty(leak));
}

/* Somebody restarts the host's own firewall. */
static void test_flushed_ruleset(void **state)
{
    auto_there int server = net_server(world_host, WORLD_HOST4, 22, SOCK_STREAM);
    auto_there int other = net_server(world_host, WORLD_HOST4, 23, SOCK_STREAM);
    struct nft_ctx *nft = NULL;
    int64_t deadline = clock_mono_ms() + 10000;
    assert_int_equal(net_nft_open(&nft), 0);
    apply(0,
          EGRESS("allow", ALL("allow", "0.0.0.0/0") "," RULE("allow", WORLD_HOST4, "tcp", "22")));
    assert_int_equal(net_nft_run(nft, "flush ruleset\n", NULL), 0);
    while (net_nft_run(nft, "list chain inet fwt fwt0\n", NULL) < 0)
        assert_true(clock_mono_ms() < deadline);
    net_nft_close(nft);
    assert_int_equal(out(WORLD_HOST4, 22), 0);
    assert_int_equal(out(WORLD_HOST4, 23), -EHOSTUNREACH);
    assert_int_equal(out(WORLD_A4, PORT), 0);
    apply(0, NULL);
    assert_int_equal(out(WORLD_HOST4, 22), -EHOSTUNREACH);
}

/* A guest cannot fill the host's memory with connections; those it has go on. */
static void test_flow_bound(void **state)
{
    apply(0, NULL);
    auto_pair struct net_pair a = pair_out(WORLD_A4, server_a4);
    auto_close int server = net_server(world_outside, WORLD_A4, 5009, SOCK_DGRAM);
    auto_close int client = net_socket(guests[0].ns, WORLD_A4, SOCK_DGRAM);
    for (int i = 0; i <= NET_FLOWS_MAX; i++) {
        (void)net_send(client, WORLD_B4, 10000 + i, "x");
        if (i % 16 == 0)
            net_pair_talks(&a);
    }
    assert_int_equal(net_send(client, WORLD_A4, 5009, "one too many"), 0);
    net_pair_talks(&a);
    assert_true(net_is_empty(server));
}

/* --- the world --- */

static int setup(void **state)
{
    struct err e = ERR_INIT;
    const struct net_config config = {.prefix = "fwt",
                                      .pool_cidr = WORLD_POOL,
                                      .resolver = WORLD_DNS,
                                      .slots = 2,
                                      .uid_first = 100000};
    auto_policy struct net_policy *p = policy_of(NULL);
    if (net_new(&config, &net, &e) < 0 || net_start(net, &e) < 0)
        fail_msg("%s", e.text);
    for (int i = 0; i < 2; i++) {
        int tap = -1;
        if (net_take(net, i, p, &tap, &e) < 0)
            fail_msg("%s", e.text);
        guest_start(&guests[i], i ? "guest1" : "guest0", tap);
    }
    server_a4 = net_server(world_outside, WORLD_A4, PORT, SOCK_STREAM);
    server_a6 = net_server(world_outside, WORLD_A6, PORT, SOCK_STREAM);
    server_b4 = net_server(world_outside, WORLD_B4, PORT, SOCK_STREAM);
    server_b6 = net_server(world_outside, WORLD_B6, PORT, SOCK_STREAM);
    return 0;
}

static int teardown(void **state)
{
    for (int i = 0; i < 2; i++) {
        guest_stop(&guests[i]);
        net_give_back(net, i);
    }
    net_free(net);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default),
        cmocka_unit_test(test_gateway_refuses),
        cmocka_unit_test(test_source_is_the_hosts),
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_host),
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_ping),
        cmocka_unit_test(test_ingress),
        cmocka_unit_test(test_change_ends),
        cmocka_unit_test(test_change_ends_inbound),
        cmocka_unit_test(test_same_policy_changes_nothing),
        cmocka_unit_test(test_swap_has_no_gap),
        cmocka_unit_test(test_flushed_ruleset),
        /* The last: addresses and connections stay. */
        cmocka_unit_test(test_spoofed),
        cmocka_unit_test(test_flow_bound),
    };
    if (!world_make())
        return 77;
    return cmocka_run_group_tests(tests, setup, teardown);
}
