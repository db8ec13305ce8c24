/* SPDX-License-Identifier: Apache-2.0 */

/* The life of slots: taking, giving back, what a killed daemon leaves and the next one finds. */

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/test.h"
#include "host/net_addr.h"
#include "host/net_nft.h"
#include "host/net_ns.h"
#include "host/net_rtnl.h"
#include "host/netpolicy.h"
#include "host/test_net.h"

#define SLOT0 "10.77.0.1"
#define PORT 8080

static const struct net_config config = {.prefix = "nt",
                                         .pool_cidr = WORLD_POOL,
                                         .resolver = WORLD_DNS,
                                         .slots = 4,
                                         .uid_first = 100000};
static struct guest guest;

static struct net *make_with(const struct net_config *c)
{
    struct err e = ERR_INIT;
    struct net *n = NULL;
    if (net_new(c, &n, &e) < 0)
        fail_msg("%s", e.text);
    return n;
}

static struct net *make(void)
{
    return make_with(&config);
}

static void start(struct net *n)
{
    struct err e = ERR_INIT;
    if (net_start(n, &e) < 0)
        fail_msg("%s", e.text);
}

static int take(struct net *n, int slot, const char *json)
{
    struct err e = ERR_INIT;
    auto_policy struct net_policy *p = policy_of(json);
    int tap = -1;
    if (net_take(n, slot, p, &tap, &e) < 0)
        fail_msg("%s", e.text);
    return tap;
}

/* --- what is on the host --- */

static bool has_namespace(const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    path_printf(path, sizeof(path), NET_NS_DIR "/%s", name);
    return stat(path, &st) == 0;
}

static bool has_device(const char *name)
{
    auto_rtnl struct net_rtnl nl = {0};
    struct net_link link;
    assert_int_equal(net_rtnl_open(&nl), 0);
    int r = net_rtnl_get_link(&nl, name, &link);
    assert_true(r == 0 || r == -ENODEV);
    return r == 0;
}

static int run_nft(const char *text)
{
    struct nft_ctx *nft = NULL;
    assert_int_equal(net_nft_open(&nft), 0);
    int r = net_nft_run(nft, text, NULL);
    net_nft_close(nft);
    return r;
}

static void assert_nothing_left(void)
{
    for (int i = 0; i < config.slots; i++) {
        char ns[16], device[16];
        snprintf(ns, sizeof(ns), "nt-%d", i);
        snprintf(device, sizeof(device), "nt%d", i);
        assert_false(has_namespace(ns));
        assert_false(has_device(device));
    }
    assert_int_equal(run_nft("list table inet nt"), -EIO);
}

/* --- configuration --- */

static void assert_refused(struct net_config c, const char *why)
{
    struct err e = ERR_INIT;
    struct net *n = NULL;
    assert_int_equal(net_new(&c, &n, &e), -EINVAL);
    assert_int_equal(e.class, ERR_INVALID);
    if (!strstr(e.text, why))
        fail_msg("\"%s\" does not say \"%s\"", e.text, why);
}

static void test_config(void **state)
{
    struct net_config c = config;
    c.prefix = "Holm";
    assert_refused(c, "lower-case");
    c.prefix = "holm1";
    assert_refused(c, "a letter first and last");
    c.prefix = "toolongfor";
    assert_refused(c, "1 to 8");
    c.prefix = "nt";
    c.slots = 0;
    assert_refused(c, "0 networks");
    c.slots = 4;
    c.pool_cidr = "10.0.0.0/30";
    assert_refused(c, "from /8 to /29");
    c.pool_cidr = "fd00::/64";
    assert_refused(c, "not a range of IPv4");
    c.pool_cidr = "169.254.8.0/24";
    assert_refused(c, "overlaps 169.254.0.0/16");
    c.pool_cidr = WORLD_POOL;
    c.resolver = "dns.example.com";
    assert_refused(c, "not an address");
}

/* --- taking and giving back --- */

static void test_states(void **state)
{
    struct net *n = make();
    struct err e = ERR_INIT;
    struct net_stats stats;
    auto_policy struct net_policy *p = policy_of(NULL);
    int tap = -1;
    start(n);
    assert_int_equal(net_apply(n, 0, p, &e), -EBUSY);
    assert_int_equal(e.class, ERR_CONFLICT);
    assert_int_equal(net_get_stats(n, 0, &stats, &e), -EBUSY);
    assert_int_equal(net_take(n, 4, p, &tap, &e), -EIO);
    assert_non_null(strstr(e.text, "there are 4"));
    assert_int_equal(net_take(n, -1, p, &tap, &e), -EIO);
    int first = take(n, 1, NULL);
    assert_int_equal(net_take(n, 1, p, &tap, &e), -EBUSY);
    assert_non_null(strstr(e.text, "in use"));
    assert_int_equal(net_adopt(n, 1, p, &e), -EBUSY);
    assert_int_equal(tap, -1);
    assert_true(has_namespace("nt-1"));
    assert_true(has_device("nt1"));
    net_give_back(n, 1);
    net_give_back(n, 1); /* not in use: nothing */
    close(first);
    close(take(n, 1, NULL));
    net_give_back(n, 1);
    net_free(n);
    assert_nothing_left();
}

/* What the guest's end of the tap must be like for the monitor. */
static void test_tap(void **state)
{
    struct net *n = make();
    struct ifreq rq = {0};
    int tap = take(n, 0, NULL);
    assert_int_equal(ioctl(tap, TUNGETIFF, &rq), 0);
    assert_string_equal(rq.ifr_name, "tap0");
    assert_int_equal(rq.ifr_flags & (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR),
                     IFF_TAP | IFF_NO_PI); /* no headers before the frames */
    assert_true(fcntl(tap, F_GETFD) & FD_CLOEXEC);
    close(tap);
    net_give_back(n, 0);
    net_free(n);
}

static void test_given_back_is_clean(void **state)
{
    struct err e = ERR_INIT;
    struct net_stats stats;
    struct net *n = make();
    auto_close int server = net_server(world_outside, WORLD_A4, PORT, SOCK_STREAM);
    start(n);
    guest_start(&guest, "guest", take(n, 0, "{\"ingress\": {\"default\": \"allow\"}}"));
    auto_pair struct net_pair old = net_pair_make(guest.ns, WORLD_A4, PORT, server);
    assert_int_equal(net_get_stats(n, 0, &stats, &e), 0);
    assert_true(stats.rx_bytes > 0 && stats.tx_bytes > 0);
    assert_string_equal(stats.host_address, SLOT0);
    guest_stop(&guest);
    assert_int_equal(net_get_stats(n, 0, &stats, &e), 0); /* its monitor has ended */
    assert_int_equal(stats.rx_bytes, 0);
    net_give_back(n, 0);
    int tap = take(n, 0, NULL);
    assert_int_equal(net_get_stats(n, 0, &stats, &e), 0);
    assert_int_equal(stats.rx_bytes, 0);
    assert_int_equal(stats.tx_bytes, 0);
    guest_start(&guest, "guest", tap);
    /* The old VM's connection reaches nobody, nor is it in the way of the new one's. */
    auto_there int inside = net_server(guest.ns, NET_GUEST4, 2222, SOCK_STREAM);
    assert_int_equal(send(old.server, "late", 4, MSG_NOSIGNAL), 4);
    assert_int_equal(net_connect(guest.ns, WORLD_A4, PORT, NULL), 0);
    auto_close int blocked = net_connect_begin(world_host, SLOT0, 2222);
    assert_int_equal(net_connect(guest.ns, WORLD_A4, PORT, NULL), 0);
    struct pollfd p = {.fd = blocked, .events = POLLOUT};
    assert_int_equal(poll(&p, 1, 0), 0);
    guest_stop(&guest);
    net_give_back(n, 0);
    net_free(n);
    assert_nothing_left();
}

/* --- what comes while a network is made --- */

struct knocker {
    atomic_bool stop;
    int knocks, refused;
};

/* Somebody outside who goes on talking to an address, as the other end of a suspended VM's
 * connection does. */
static void *knock(void *arg)
{
    struct knocker *k = arg;
    while (!k->stop) {
        auto_close int fd = net_connect_begin(world_outside, SLOT0, PORT);
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        int error = 0;
        socklen_t len = sizeof(error);
        if (poll(&p, 1, 1) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0)
            k->refused += error == ECONNREFUSED;
        k->knocks += fd >= 0;
    }
    return NULL;
}

/* Until its rules are there a network hears nothing: a reset from it would end connections that the
 * guest is about to go on with. */
static void test_silent_until_it_has_rules(void **state)
{
    struct knocker k = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, knock, &k), 0);
    for (int i = 0; i < 10; i++) {
        struct net *n = make();
        close(take(n, 0, NULL));
        net_give_back(n, 0);
        net_free(n);
    }
    k.stop = true;
    pthread_join(thread, NULL);
    assert_true(k.knocks > 0);
    assert_int_equal(k.refused, 0);
    assert_nothing_left();
}

/* --- a daemon that is killed --- */

static void send_fd(int socket, int fd)
{
    char control[CMSG_SPACE(sizeof(int))] = {0}, byte = 'x';
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    if (sendmsg(socket, &m, 0) != 1)
        _exit(1);
}

static int receive_fd(int socket)
{
    char control[CMSG_SPACE(sizeof(int))] = {0}, byte;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    int fd = -1;
    assert_int_equal(recvmsg(socket, &m, MSG_CMSG_CLOEXEC), 1);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
    return fd;
}

/* A daemon of its own process: slot 0 with this policy is handed over as to a monitor, slot 1 is
 * taken too, one more is spare. */
static void be_daemon(int socket, const char *json)
{
    struct net_config c = config;
    struct net *n = NULL;
    int tap = -1, other = -1;
    auto_policy struct net_policy *p = policy_of(json);
    c.spare = 1;
    if (net_new(&c, &n, NULL) < 0 || net_start(n, NULL) < 0 || net_take(n, 0, p, &tap, NULL) < 0 ||
        net_take(n, 1, p, &other, NULL) < 0)
        _exit(1);
    send_fd(socket, tap);
    pause();
}

static pid_t daemon_pid;

static int start_daemon(const char *json)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    daemon_pid = fork();
    if (daemon_pid == 0)
        be_daemon(pair[1], json);
    close(pair[1]);
    int tap = receive_fd(pair[0]);
    close(pair[0]);
    return tap;
}

static void kill_daemon(void)
{
    kill(daemon_pid, SIGKILL);
    waitpid(daemon_pid, NULL, 0);
}

static void adopt(struct net *n, int slot, const char *json)
{
    struct err e = ERR_INIT;
    auto_policy struct net_policy *p = policy_of(json);
    if (net_adopt(n, slot, p, &e) < 0)
        fail_msg("%s", e.text);
}

#define LIVING                                                                             \
    "{\"egress\": {\"default\": \"deny\", \"rules\": [{\"action\": \"allow\", \"value\": " \
    "\"198.51.100.0/24\"}, {\"action\": \"allow\", \"value\": \"192.0.2.1\"}]}}"

static void test_adoption(void **state)
{
    auto_close int server = net_server(world_outside, WORLD_A4, PORT, SOCK_STREAM);
    auto_close int host_server = net_server(world_host, WORLD_HOST4, PORT, SOCK_STREAM);
    guest_start(&guest, "guest", start_daemon(LIVING));
    auto_pair struct net_pair a = net_pair_make(guest.ns, WORLD_A4, PORT, server);
    auto_pair struct net_pair host = net_pair_make(guest.ns, WORLD_HOST4, PORT, host_server);
    kill_daemon();
    net_pair_talks(&a); /* without any daemon */
    struct net *n = make();
    net_pair_talks(&a);
    adopt(n, 0, LIVING);
    net_pair_talks(&a);
    start(n);
    net_pair_talks(&a);
    net_pair_talks(&host);
    assert_true(has_namespace("nt-0"));
    assert_false(has_namespace("nt-1"));
    assert_false(has_device("nt1"));
    assert_false(has_namespace("nt-2"));
    /* It is a slot like any other. */
    struct err e = ERR_INIT;
    struct net_stats stats;
    assert_int_equal(net_get_stats(n, 0, &stats, &e), 0);
    assert_true(stats.tx_bytes > 0);
    auto_policy struct net_policy *off = policy_of("{\"egress\": {\"default\": \"deny\"}}");
    assert_int_equal(net_apply(n, 0, off, &e), 0);
    net_is_cut(a.client);
    assert_int_equal(net_connect(guest.ns, WORLD_HOST4, PORT, NULL), -ECONNREFUSED);
    guest_stop(&guest);
    net_give_back(n, 0);
    net_free(n);
    assert_nothing_left();
}

/* The policy in the store may be newer than the one that was carried out. */
static void test_adoption_with_another_policy(void **state)
{
    auto_close int server = net_server(world_outside, WORLD_A4, PORT, SOCK_STREAM);
    auto_there int server_b = net_server(world_outside, WORLD_B4, PORT, SOCK_STREAM);
    guest_start(&guest, "guest", start_daemon(NULL));
    auto_pair struct net_pair a = net_pair_make(guest.ns, WORLD_A4, PORT, server);
    kill_daemon();
    struct net *n = make();
    adopt(n, 0,
          "{\"egress\": {\"default\": \"allow\", \"rules\": [{\"action\": \"deny\", "
          "\"value\": \"198.51.100.2\"}]}}");
    start(n);
    net_pair_talks(&a);
    assert_int_equal(net_connect(guest.ns, WORLD_B4, PORT, NULL), -ECONNREFUSED);
    guest_stop(&guest);
    net_give_back(n, 0);
    net_free(n);
    assert_nothing_left();
}

static void test_adoption_refused(void **state)
{
    struct err e = ERR_INIT;
    struct net_config c = config;
    auto_policy struct net_policy *p = policy_of(NULL);
    int tap = start_daemon(NULL);
    kill_daemon();
    struct net *n = make();
    assert_int_equal(net_adopt(n, 3, p, &e), -ENOTCONN);
    assert_int_equal(e.class, ERR_UNAVAILABLE);
    assert_non_null(strstr(e.text, "its device is gone"));
    auto_there int kept = net_ns_open("nt-1"); /* its device would go with it */
    assert_int_equal(net_ns_remove("nt-1"), 0);
    assert_int_equal(net_adopt(n, 1, p, &e), -ENOTCONN);
    assert_non_null(strstr(e.text, "its namespace is gone"));
    net_free(n);
    c.pool_cidr = "10.78.0.0/16";
    n = make_with(&c);
    assert_int_equal(net_adopt(n, 0, p, &e), -EBUSY);
    assert_int_equal(e.class, ERR_CONFLICT);
    assert_non_null(strstr(e.text, "another pool"));
    start(n);
    net_free(n);
    assert_nothing_left();
    close(tap);
}

/* A daemon that ends, but whose VM lives on. */
static void test_free_leaves_what_lives(void **state)
{
    auto_close int server = net_server(world_outside, WORLD_A4, PORT, SOCK_STREAM);
    struct net *n = make();
    start(n);
    guest_start(&guest, "guest", take(n, 2, NULL));
    auto_pair struct net_pair a = net_pair_make(guest.ns, WORLD_A4, PORT, server);
    net_free(n);
    net_pair_talks(&a);
    assert_int_equal(run_nft("list table inet nt"), 0);
    n = make();
    adopt(n, 2, NULL);
    start(n);
    net_pair_talks(&a);
    net_give_back(n, 2);
    guest_stop(&guest);
    net_free(n);
    assert_nothing_left();
}

/* --- what is not ours --- */

static void test_others_stay(void **state)
{
    static const char mac[6] = {0x02, 0, 0, 0, 0, 0x0c};
    auto_rtnl struct net_rtnl nl = {0};
    auto_close int other = net_ns_make("nta-1"), also = net_ns_make("nt-1x");
    const struct net_veth veth = {
        .name = "nt7", .mac = mac, .peer_name = "eth9", .peer_mac = mac, .peer_ns = other};
    assert_int_equal(net_rtnl_open(&nl), 0);
    assert_int_equal(net_rtnl_add_veth(&nl, &veth), 0);
    auto_close int left = net_ns_make("nt-9"); /* beyond the slots there are */
    assert_true(other >= 0 && also >= 0 && left >= 0);
    struct net *n = make();
    start(n);
    assert_false(has_namespace("nt-9"));
    assert_true(has_namespace("nta-1"));
    assert_true(has_namespace("nt-1x"));
    assert_true(has_device("nt7"));
    net_free(n);
    net_rtnl_delete_link(&nl, "nt7");
    net_ns_remove("nta-1");
    net_ns_remove("nt-1x");
}

/* Nor is a device taken away that has a name we want. */
static void test_name_taken(void **state)
{
    static const char mac[6] = {0x02, 0, 0, 0, 0, 0x0d};
    struct err e = ERR_INIT;
    auto_rtnl struct net_rtnl nl = {0};
    auto_close int other = net_ns_make("other");
    auto_policy struct net_policy *p = policy_of(NULL);
    const struct net_veth veth = {
        .name = "nt0", .mac = mac, .peer_name = "eth9", .peer_mac = mac, .peer_ns = other};
    int tap = -1;
    assert_int_equal(net_rtnl_open(&nl), 0);
    assert_int_equal(net_rtnl_add_veth(&nl, &veth), 0);
    struct net *n = make();
    assert_int_equal(net_take(n, 0, p, &tap, &e), -EEXIST);
    assert_string_equal(e.text, "network nt-0: make the veth pair: File exists");
    assert_int_equal(tap, -1);
    assert_true(has_device("nt0"));
    assert_false(has_namespace("nt-0"));
    assert_int_equal(net_rtnl_delete_link(&nl, "nt0"), 0);
    close(take(n, 0, NULL)); /* it works as soon as it can */
    net_give_back(n, 0);
    net_free(n);
    net_ns_remove("other");
    assert_nothing_left();
}

static void test_prefix_taken(void **state)
{
    struct err e = ERR_INIT;
    struct net *n = make(), *second = NULL;
    int tap = take(n, 0, NULL);
    assert_int_equal(net_new(&config, &second, &e), -ENOTCONN);
    assert_int_equal(e.class, ERR_UNAVAILABLE);
    assert_non_null(strstr(e.text, "another daemon uses the network prefix \"nt\""));
    assert_true(has_device("nt0"));
    assert_int_equal(run_nft("list table inet nt"), 0);
    close(tap);
    net_give_back(n, 0);
    net_free(n);
    assert_nothing_left();
}

static void test_pool_taken(void **state)
{
    struct net_config c = config;
    struct err e = ERR_INIT;
    struct net *n = NULL;
    c.pool_cidr = "192.0.0.0/16";
    assert_int_equal(net_new(&c, &n, &e), -ENOTCONN);
    assert_int_equal(e.class, ERR_UNAVAILABLE);
    assert_non_null(strstr(e.text, "holds 192.0.2.1/32, the host's own on eth0"));
}

/* A name whose namespace was never made: killed in between. */
static void test_half_made(void **state)
{
    assert_int_equal(file_write_atomic(NET_NS_DIR "/nt-0", "", 0, 0), 0);
    struct net *n = make();
    close(take(n, 0, NULL)); /* without net_start: whoever takes it makes room */
    net_give_back(n, 0);
    net_free(n);
    assert_nothing_left();
}

/* The last: the world has no IPv6 after it. */
static void test_without_ipv6(void **state)
{
    auto_there int server = net_server(world_outside, WORLD_A4, PORT, SOCK_STREAM);
    assert_int_equal(net_ns_sysctl("ipv6/conf/all/disable_ipv6", "1"), 0);
    struct net *n = make();
    guest_start(&guest, "guest", take(n, 0, NULL));
    assert_int_equal(net_connect(guest.ns, WORLD_A4, PORT, NULL), 0);
    int r = net_connect(guest.ns, WORLD_A6, PORT, NULL);
    assert_true(r == -ENETUNREACH || r == -EHOSTUNREACH); /* told at once */
    guest_stop(&guest);
    net_give_back(n, 0);
    net_free(n);
    assert_nothing_left();
}

static int no_guest_left(void **state)
{
    if (daemon_pid > 0)
        kill_daemon();
    daemon_pid = 0;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_tap),
        cmocka_unit_test(test_given_back_is_clean),
        cmocka_unit_test(test_silent_until_it_has_rules),
        cmocka_unit_test_teardown(test_adoption, no_guest_left),
        cmocka_unit_test_teardown(test_adoption_with_another_policy, no_guest_left),
        cmocka_unit_test_teardown(test_adoption_refused, no_guest_left),
        cmocka_unit_test(test_free_leaves_what_lives),
        cmocka_unit_test(test_others_stay),
        cmocka_unit_test(test_name_taken),
        cmocka_unit_test(test_prefix_taken),
        cmocka_unit_test(test_pool_taken),
        cmocka_unit_test(test_half_made),
        cmocka_unit_test(test_without_ipv6),
    };
    if (!world_make())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
