/* SPDX-License-Identifier: Apache-2.0 */
#include "host/test_net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "base/test.h"
#include "host/net_addr.h"
#include "host/net_ns.h"
#include "host/net_rtnl.h"

#define PATIENCE_MS 10000 /* for what must come; never waited for when all is well */

int world_host = -1, world_outside = -1;

static const char mac_a[] = "\x02\x00\x00\x00\x00\x0a", mac_b[] = "\x02\x00\x00\x00\x00\x0b";
static const char guest_mac[] = "\x02\x68\x6f\x6c\x6d\x01";

/* --- setting up --- */

static struct net_cidr cidr_of(const char *text)
{
    struct net_cidr c;
    assert_int_equal(net_cidr_parse(text, &c), 0);
    return c;
}

static void add_address(struct net_rtnl *nl, const char *device, const char *address, int bits)
{
    struct net_cidr c = cidr_of(address);
    assert_int_equal(net_rtnl_add_address(nl, device, &c, bits), 0);
}

static void add_default(struct net_rtnl *nl, const char *device, const char *gateway)
{
    struct net_cidr c = cidr_of(gateway);
    assert_int_equal(net_rtnl_add_default_route(nl, device, &c), 0);
}

static int setup_outside(void *arg)
{
    static const char *const hosts[] = {WORLD_A4, WORLD_B4, WORLD_A6, WORLD_B6, WORLD_METADATA};
    auto_rtnl struct net_rtnl nl = {0};
    assert_int_equal(net_rtnl_open(&nl), 0);
    assert_int_equal(net_rtnl_set_up(&nl, "lo", NULL), 0);
    assert_int_equal(net_rtnl_set_up(&nl, "eth0", NULL), 0);
    add_address(&nl, "eth0", WORLD_DNS, 24);
    add_address(&nl, "eth0", "2001:db8::10", 64);
    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++)
        add_address(&nl, "lo", hosts[i], strchr(hosts[i], ':') ? 128 : 32);
    add_default(&nl, "eth0", WORLD_HOST4); /* the pool is behind the host */
    add_default(&nl, "eth0", WORLD_HOST6);
    return 0;
}

static void setup_host(void)
{
    auto_rtnl struct net_rtnl nl = {0};
    const struct net_veth veth = {.name = "eth0",
                                  .mac = mac_a,
                                  .peer_name = "eth0",
                                  .peer_mac = mac_b,
                                  .peer_ns = world_outside};
    assert_int_equal(net_rtnl_open(&nl), 0);
    assert_int_equal(net_rtnl_set_up(&nl, "lo", NULL), 0);
    assert_int_equal(net_rtnl_add_veth(&nl, &veth), 0);
    assert_int_equal(net_rtnl_set_up(&nl, "eth0", NULL), 0);
    assert_int_equal(net_ns_run(world_outside, setup_outside, NULL), 0);
    add_address(&nl, "eth0", WORLD_HOST4, 24);
    add_address(&nl, "eth0", WORLD_HOST6, 64);
    add_default(&nl, "eth0", WORLD_DNS);
    add_default(&nl, "eth0", "2001:db8::10");
}

bool world_make(void)
{
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0) {
        fprintf(stderr, "skipped: needs root (CAP_SYS_ADMIN, CAP_NET_ADMIN): %m\n");
        return false;
    }
    if (access("/dev/net/tun", R_OK | W_OK) < 0) {
        fprintf(stderr, "skipped: /dev/net/tun: %m\n");
        return false;
    }
    assert_int_equal(mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    assert_int_equal(mount("none", "/run", "tmpfs", 0, NULL), 0);
    world_host = net_ns_home();
    world_outside = net_ns_make("outside");
    assert_true(world_host >= 0 && world_outside >= 0);
    setup_host();
    return true;
}

/* --- guests --- */

static void *pump(void *arg)
{
    struct guest *g = arg;
    char frame[70000];
    struct pollfd p[3] = {{.fd = g->tap, .events = POLLIN},
                          {.fd = g->inner, .events = POLLIN},
                          {.fd = g->stop[0], .events = POLLIN}};
    while (poll(p, 3, -1) >= 0 && !p[2].revents) {
        for (int i = 0; i < 2; i++) {
            ssize_t n = p[i].revents ? read(p[i].fd, frame, sizeof(frame)) : 0;
            if (n > 0 && write(p[1 - i].fd, frame, (size_t)n) < 0)
                continue; /* down: lost, as on a wire */
        }
    }
    return NULL;
}

static int setup_guest(void *arg)
{
    struct guest *g = arg;
    auto_rtnl struct net_rtnl nl = {0};
    struct ifreq rq = {.ifr_name = "eth0", .ifr_flags = IFF_TAP | IFF_NO_PI};
    g->inner = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    assert_true(g->inner >= 0 && ioctl(g->inner, TUNSETIFF, &rq) == 0);
    assert_int_equal(net_rtnl_open(&nl), 0);
    assert_int_equal(net_rtnl_set_up(&nl, "lo", NULL), 0);
    assert_int_equal(net_rtnl_set_up(&nl, "eth0", guest_mac), 0);
    add_address(&nl, "eth0", NET_GUEST4, NET_GUEST4_BITS);
    add_address(&nl, "eth0", NET_GUEST6, NET_GUEST6_BITS);
    add_default(&nl, "eth0", NET_GATEWAY4);
    add_default(&nl, "eth0", NET_GATEWAY6);
    return net_ns_sysctl("ipv4/ping_group_range", "0 0");
}

void guest_start(struct guest *g, const char *name, int tap)
{
    pthread_t thread;
    net_ns_remove(name);
    g->tap = tap;
    g->ns = net_ns_make(name);
    assert_true(g->ns >= 0);
    assert_int_equal(net_ns_run(g->ns, setup_guest, g), 0);
    assert_int_equal(pipe2(g->stop, O_CLOEXEC), 0);
    assert_int_equal(pthread_create(&thread, NULL, pump, g), 0);
    g->pump = (uint64_t)thread;
}

void guest_stop(struct guest *g)
{
    close(g->stop[1]);
    pthread_join((pthread_t)g->pump, NULL);
    close(g->stop[0]);
    close(g->tap);
    close(g->inner);
    close(g->ns);
}

/* --- talking --- */

static socklen_t address_of(const char *address, int port, struct sockaddr_storage *ret)
{
    struct sockaddr_in *v4 = (void *)ret;
    struct sockaddr_in6 *v6 = (void *)ret;
    memset(ret, 0, sizeof(*ret));
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        return sizeof(*v4);
    }
    assert_int_equal(inet_pton(AF_INET6, address, &v6->sin6_addr), 1);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    return sizeof(*v6);
}

struct want {
    int family, type;
};

static int make_socket(void *arg)
{
    struct want *w = arg;
    int protocol = w->type & ~0xff ? w->type >> 8 : 0;
    int fd = socket(w->family, (w->type & 0xff) | SOCK_CLOEXEC, protocol);
    return fd < 0 ? -errno : fd;
}

int net_socket(int ns, const char *address, int type)
{
    struct want w = {.family = strchr(address, ':') ? AF_INET6 : AF_INET, .type = type};
    int fd = net_ns_run(ns, make_socket, &w);
    assert_true(fd >= 0);
    return fd;
}

int net_server(int ns, const char *address, int port, int type)
{
    struct sockaddr_storage sa;
    socklen_t len = address_of(address, port, &sa);
    int fd = net_socket(ns, address, type), one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    setsockopt(fd, SOL_IP, IP_FREEBIND, &one, sizeof(one));
    assert_int_equal(bind(fd, (void *)&sa, len), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, 64), 0);
    return fd;
}

/* *ret_fd is connecting, connected, or has failed with what is returned. */
static int begin_connect(int ns, const char *address, int port, int *ret_fd)
{
    struct sockaddr_storage sa;
    socklen_t len = address_of(address, port, &sa);
    *ret_fd = net_socket(ns, address, SOCK_STREAM);
    fd_set_nonblock(*ret_fd, true);
    return connect(*ret_fd, (void *)&sa, len) < 0 && errno != EINPROGRESS ? -errno : 0;
}

int net_connect_begin(int ns, const char *address, int port)
{
    int fd = -1;
    (void)begin_connect(ns, address, port, &fd);
    return fd;
}

static bool is_connected(int fd)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    return getpeername(fd, (void *)&sa, &len) == 0;
}

int net_connect(int ns, const char *address, int port, int *ret_fd)
{
    auto_close int fd = -1;
    int error = 0, r = begin_connect(ns, address, port, &fd);
    socklen_t len = sizeof(error);
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    if (r < 0) /* so quickly came the answer */
        return r;
    do { /* poll may know of an error before SO_ERROR does */
        if (poll(&p, 1, PATIENCE_MS) == 0)
            return -ETIMEDOUT;
        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
    } while (error == 0 && !is_connected(fd));
    fd_set_nonblock(fd, false);
    if (error == 0 && ret_fd)
        *ret_fd = TAKE_FD(fd);
    return -error;
}

int net_send(int fd, const char *address, int port, const char *text)
{
    struct sockaddr_storage sa;
    socklen_t len = address_of(address, port, &sa);
    return sendto(fd, text, strlen(text), 0, (void *)&sa, len) < 0 ? -errno : 0;
}

int net_wait(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char c;
    if (poll(&p, 1, PATIENCE_MS) == 0)
        return -ETIMEDOUT;
    ssize_t n = recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
    return n > 0 ? 0 : n == 0 ? -ENODATA : -errno;
}

void net_expect(int fd, const char *text)
{
    char got[256] = "";
    assert_int_equal(net_wait(fd), 0);
    assert_true(recv(fd, got, sizeof(got) - 1, 0) >= 0);
    assert_string_equal(got, text);
}

bool net_is_empty(int fd)
{
    char c;
    return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* Connections of other tests may wait at the listener too, ended or about to. */
struct net_pair net_pair_make(int ns, const char *address, int port, int listener)
{
    struct net_pair p = {-1, -1};
    assert_int_equal(net_connect(ns, address, port, &p.client), 0);
    assert_int_equal(send(p.client, "first", 5, MSG_NOSIGNAL), 5);
    do {
        cleanup_close(&p.server);
        p.server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(p.server >= 0);
    } while (net_wait(p.server) != 0);
    net_expect(p.server, "first");
    return p;
}

void net_pair_done(struct net_pair *p)
{
    cleanup_close(&p->client);
    cleanup_close(&p->server);
}

void net_pair_talks(const struct net_pair *p)
{
    assert_int_equal(send(p->client, "there", 5, MSG_NOSIGNAL), 5);
    net_expect(p->server, "there");
    assert_int_equal(send(p->server, "back", 4, MSG_NOSIGNAL), 4);
    net_expect(p->client, "back");
}

/* A late acknowledgement may have brought the news before. */
void net_is_cut(int fd)
{
    if (send(fd, "more", 4, MSG_NOSIGNAL) < 0)
        assert_true(errno == ECONNRESET || errno == EPIPE);
    else
        assert_int_equal(net_wait(fd), -ECONNRESET);
}

struct net_policy *policy_of(const char *json)
{
    struct net_policy *p = NULL;
    struct err e = ERR_INIT;
    json_t *parsed = json ? json_loads(json, 0, NULL) : NULL;
    assert_true(!json || parsed);
    if (net_policy_parse(parsed, &p, &e) < 0)
        fail_msg("%s", e.text);
    json_decref(parsed);
    return p;
}
