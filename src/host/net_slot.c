/* SPDX-License-Identifier: Apache-2.0 */

/* What a slot is made of: a namespace PREFIX-N, a veth pair from PREFIXN on the host to veth0 in
 * it, tap0 towards the guest, the table of net_rules.c, and the resolver's sockets.
 *
 * Nothing on the way has to be found out by asking: both ends of the veth pair and the tap have MAC
 * and link-local addresses that are the same in every slot, and neighbours that are known for ever.
 * So a restored or forked guest finds the gateway it remembers, and no packet waits for ARP.
 *
 * The tap is not persistent: it is there as long as the monitor (or, for a spare slot, the daemon)
 * has a descriptor of it. A used slot gets a new one, with new counters and empty queues. */

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/log.h"
#include "host/net_ns.h"
#include "host/net_priv.h"
#include "host/net_rtnl.h"

static const char guest_mac[] = "\x02\x68\x6f\x6c\x6d\x01";
static const char gateway_mac[] = "\x02\x68\x6f\x6c\x6d\xfe";
const char net_host_mac[6] = {0x02, 0x68, 0x6f, 0x6c, 0x6e, 0x01};
static const char uplink_mac[] = "\x02\x68\x6f\x6c\x6e\x02";

void net_slot_name(const struct net *n, int slot, char ret[16])
{
    snprintf(ret, 16, "%s%d", n->prefix, slot);
}

void net_slot_ns_name(const struct net *n, int slot, char ret[24])
{
    snprintf(ret, 24, "%s-%d", n->prefix, slot);
}

static struct net_cidr own_address(const char *text)
{
    struct net_cidr c = {0};
    (void)net_cidr_parse(text, &c);
    return c;
}

/* --- inside the namespace --- */

struct inside {
    struct net *n;
    int slot;
    const struct net_slot_addr *addr;
    struct nft_ctx *nft;
    struct dns_sockets dns;
    int tap_fd;
    const char *step; /* for the error */
};

#define STEP(in, r, what, call) \
    do {                        \
        if ((r) == 0) {         \
            (in)->step = what;  \
            (r) = call;         \
        }                       \
    } while (0)

/* Without headers before the packets (IFF_VNET_HDR): a network card that was saved with a backend
 * that has none, as those of templates are, cannot go on with one that has. */
static int open_tap(uid_t owner)
{
    struct ifreq rq = {.ifr_name = NET_TAP, .ifr_flags = IFF_TAP | IFF_NO_PI};
    auto_close int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &rq) < 0 || ioctl(fd, TUNSETOWNER, owner) < 0)
        return -errno;
    return TAKE_FD(fd);
}

static int setup_tap(struct net_rtnl *nl)
{
    struct net_cidr g4 = own_address(NET_GATEWAY4), g6 = own_address(NET_GATEWAY6);
    struct net_cidr link6 = own_address(NET_GATEWAY_LINK6);
    struct net_cidr guest4 = own_address(NET_GUEST4), guest6 = own_address(NET_GUEST6);
    int r = net_rtnl_set_up(nl, NET_TAP, gateway_mac);
    if (r == 0)
        r = net_rtnl_add_address(nl, NET_TAP, &g4, NET_GUEST4_BITS);
    if (r == 0)
        r = net_rtnl_add_neighbour(nl, NET_TAP, &guest4, guest_mac);
    if (r < 0 || !net_ns_sysctl_get("ipv6/conf/all/disable_ipv6"))
        return r;
    r = net_rtnl_add_address(nl, NET_TAP, &g6, NET_GUEST6_BITS);
    if (r == 0)
        r = net_rtnl_add_address(nl, NET_TAP, &link6, 64);
    if (r == 0)
        r = net_rtnl_add_neighbour(nl, NET_TAP, &guest6, guest_mac);
    return r;
}

static int make_tap(void *arg)
{
    struct inside *in = arg;
    auto_rtnl struct net_rtnl nl = {0};
    int r = 0;
    STEP(in, r, "rtnetlink", net_rtnl_open(&nl));
    if (r < 0)
        return r;
    in->step = "/dev/net/tun";
    auto_close int fd = open_tap(in->n->uid_first + (uid_t)in->slot);
    if (fd < 0)
        return fd;
    STEP(in, r, "the tap", setup_tap(&nl));
    if (r == 0)
        in->tap_fd = TAKE_FD(fd);
    return r;
}

static int setup_uplink(struct net_rtnl *nl, const struct inside *in)
{
    const struct net_slot_addr *a = in->addr;
    int r = net_rtnl_set_up(nl, "lo", NULL);
    if (r == 0)
        r = net_rtnl_set_up(nl, NET_UPLINK, NULL);
    if (r == 0)
        r = net_rtnl_add_address(nl, NET_UPLINK, &a->ns4, 31);
    if (r == 0)
        r = net_rtnl_add_neighbour(nl, NET_UPLINK, &a->host4, net_host_mac);
    if (r == 0)
        r = net_rtnl_add_default_route(nl, NET_UPLINK, &a->host4);
    if (r < 0 || !in->n->ipv6)
        return r;
    r = net_rtnl_add_address(nl, NET_UPLINK, &a->ns6, 127);
    if (r == 0)
        r = net_rtnl_add_neighbour(nl, NET_UPLINK, &a->host6, net_host_mac);
    if (r == 0)
        r = net_rtnl_add_default_route(nl, NET_UPLINK, &a->host6);
    return r;
}

static int forward_here(void)
{
    int r = net_ns_sysctl("ipv4/ip_forward", "1");
    if (r == 0 && net_ns_sysctl_get("ipv6/conf/all/forwarding"))
        r = net_ns_sysctl("ipv6/conf/all/forwarding", "1");
    /* A guest is told at once what it may not reach, every time: by default the kernel tells one
     * address once a second, and the rest of its datagrams wait for their timeouts. */
    (void)net_ns_sysctl("ipv4/icmp_ratelimit", "0");
    (void)net_ns_sysctl("ipv6/icmp/ratelimit", "0");
    return r;
}

static int open_handles(struct inside *in)
{
    int r = 0;
    STEP(in, r, "netfilter", net_nft_open(&in->nft));
    STEP(in, r, "the resolver's sockets", dns_sockets_open(&in->dns));
    STEP(in, r, "netfilter", net_nfnl_open(&in->dns.nfnl));
    return r;
}

static int make_inside(void *arg)
{
    struct inside *in = arg;
    auto_rtnl struct net_rtnl nl = {0};
    int r = 0;
    STEP(in, r, "rtnetlink", net_rtnl_open(&nl));
    STEP(in, r, "forwarding", forward_here());
    STEP(in, r, "the uplink", setup_uplink(&nl, in));
    STEP(in, r, "the tap", make_tap(in));
    if (r == 0)
        r = open_handles(in);
    return r;
}

static int adopt_inside(void *arg)
{
    return open_handles(arg);
}

static int flush_inside(void *arg)
{
    struct inside *in = arg;
    auto_rtnl struct net_rtnl nl = {0};
    auto_nfnl struct mnl_socket *nfnl = NULL;
    int r = 0;
    STEP(in, r, "rtnetlink", net_rtnl_open(&nl));
    STEP(in, r, "remove the tap", net_rtnl_delete_link(&nl, NET_TAP));
    if (r == -ENODEV)
        r = 0; /* it went with the monitor */
    STEP(in, r, "netfilter", net_nfnl_open(&nfnl));
    STEP(in, r, "forget connections", net_nfnl_flush_connections(nfnl));
    return r;
}

static void inside_done(struct inside *in)
{
    net_nft_close(in->nft);
    dns_sockets_close(&in->dns);
    cleanup_close(&in->tap_fd);
}

#define INSIDE_INIT(net, i, a)                                                          \
    {                                                                                   \
        .n = (net), .slot = (i), .addr = (a), .dns = DNS_SOCKETS_INIT, .tap_fd = -EBADF \
    }

/* --- the host's end --- */

static int make_uplink(struct net *n, int slot, const struct net_slot_addr *a, int ns_fd)
{
    auto_rtnl struct net_rtnl nl = {0};
    char name[16];
    net_slot_name(n, slot, name);
    const struct net_veth veth = {
        .name = name,
        .mac = net_host_mac,
        .group = n->group,
        .peer_name = NET_UPLINK,
        .peer_mac = uplink_mac,
        .peer_ns = ns_fd,
    };
    int r = net_rtnl_open(&nl);
    if (r == 0)
        r = net_rtnl_add_veth(&nl, &veth);
    if (r == 0)
        r = net_rtnl_add_address(&nl, name, &a->host4, 31);
    if (r == 0)
        r = net_rtnl_add_neighbour(&nl, name, &a->ns4, uplink_mac);
    if (r < 0 || !n->ipv6)
        return r;
    r = net_rtnl_add_address(&nl, name, &a->host6, 127);
    if (r == 0)
        r = net_rtnl_add_neighbour(&nl, name, &a->ns6, uplink_mac);
    return r;
}

/* The last step: what came before the namespace has its rules would be for the namespace itself,
 * which would refuse it, and with it connections that a guest goes on with when it is resumed. */
static int join_uplink(struct net *n, int slot)
{
    auto_rtnl struct net_rtnl nl = {0};
    char name[16];
    net_slot_name(n, slot, name);
    int r = net_rtnl_open(&nl);
    return r == 0 ? net_rtnl_set_up(&nl, name, NULL) : r;
}

/* Somebody else's device that only has the name stays. */
static int remove_link(const char *name)
{
    auto_rtnl struct net_rtnl nl = {0};
    struct net_link link = {0};
    int r = net_rtnl_open(&nl);
    if (r == 0)
        r = net_rtnl_get_link(&nl, name, &link);
    if (r == 0 && memcmp(link.mac, net_host_mac, sizeof(net_host_mac)) == 0)
        r = net_rtnl_delete_link(&nl, name);
    return r;
}

/* --- policies --- */

static int open_host(struct net *n, int slot, const struct net_rules *rules, struct err *e)
{
    struct net_slot *s = &n->slots[slot];
    auto_buf struct buf host = {0};
    int r = net_rules_host(rules, &host);
    if (r < 0)
        return err_errno(e, r, "compile the policy");
    if (!host.len && !s->host_open)
        return 0;
    s->host_open = true;
    r = net_host_open(n, slot, buf_str(&host), e);
    if (r == 0)
        s->host_open = host.len > 0;
    return r;
}

int net_slot_reopen_host(struct net *n, int slot, struct err *e)
{
    const struct net_rules rules = {.policy = n->slots[slot].policy, .pool = &n->pool};
    return rules.policy ? open_host(n, slot, &rules, e) : 0;
}

/* The table of the namespace, by one transaction; none when the same rules are in it. */
static int fill_table(struct net *n, int slot, const struct net_rules *rules, uint32_t mark,
                      struct err *e)
{
    auto_buf struct buf text = {0};
    struct net_slot *s = &n->slots[slot];
    if (s->policy && s->mark == mark)
        return 0;
    int r = net_rules_compile(rules, mark, &text);
    return r < 0 ? err_errno(e, r, "compile the policy") : net_nft_run(s->nft, buf_str(&text), e);
}

/* The host's rules change before the namespace's: what counts in between is what both allow, and
 * the moment of the change is the namespace's. */
int net_slot_apply(struct net *n, int slot, const struct net_policy *policy, struct err *e)
{
    struct net_slot *s = &n->slots[slot];
    struct net_slot_addr addr;
    auto_free struct net_element *elements = NULL;
    uint32_t mark = 0;
    net_slot_addr(&n->pool, slot, &addr);
    struct net_rules rules = {
        .policy = policy, .pool = &n->pool, .addr = &addr, .old = s->policy, .old_mark = s->mark};
    int r = dns_elements(n->dns, slot, policy, &elements, &rules.n_elements);
    rules.elements = elements;
    if (r == 0)
        r = net_rules_mark(&rules, &mark);
    if (r < 0)
        return err_errno(e, r, "compile the policy");
    r = open_host(n, slot, &rules, e);
    if (r == 0)
        r = fill_table(n, slot, &rules, mark, e);
    if (r < 0 && s->policy) {
        rules.policy = s->policy;
        (void)open_host(n, slot, &rules, NULL);
    }
    if (r < 0)
        return r;
    struct net_policy *old = s->policy;
    s->policy = net_policy_ref(policy);
    s->mark = mark;
    net_policy_free(old);
    dns_set_policy(n->dns, slot, policy, mark);
    return 0;
}

/* --- life --- */

static void close_handles(struct net *n, int slot)
{
    struct net_slot *s = &n->slots[slot];
    dns_close(n->dns, slot);
    net_nft_close(TAKE_PTR(s->nft));
    cleanup_close(&s->tap_fd);
    cleanup_close(&s->ns_fd);
    s->tap_fd = s->ns_fd = -EBADF;
    net_policy_free(TAKE_PTR(s->policy));
}

void net_slot_release(struct net *n, int slot)
{
    close_handles(n, slot);
}

/* The host's chain goes first: what is left after a kill half way is found by the other two. */
void net_slot_remove_names(struct net *n, int slot)
{
    char name[16], ns_name[24];
    net_slot_name(n, slot, name);
    net_slot_ns_name(n, slot, ns_name);
    (void)net_host_open(n, slot, "", NULL);
    (void)remove_link(name);
    (void)net_ns_remove(ns_name);
}

void net_slot_remove(struct net *n, int slot)
{
    close_handles(n, slot);
    net_slot_remove_names(n, slot);
    n->slots[slot].host_open = false;
}

/* Hands what was opened inside over to the slot. */
static int keep_inside(struct inside *in, struct err *e)
{
    struct net_slot *s = &in->n->slots[in->slot];
    s->nft = TAKE_PTR(in->nft);
    s->tap_fd = TAKE_FD(in->tap_fd);
    int r = dns_open(in->n->dns, in->slot, &in->dns);
    return r < 0 ? err_errno(e, r, "the resolver") : 0;
}

static int make(struct net *n, int slot, struct err *e)
{
    struct net_slot *s = &n->slots[slot];
    struct net_slot_addr addr;
    char ns_name[24];
    net_slot_ns_name(n, slot, ns_name);
    net_slot_addr(&n->pool, slot, &addr);
    s->ns_fd = net_ns_make(ns_name);
    if (s->ns_fd < 0)
        return err_errno(e, s->ns_fd, "make the namespace");
    int r = make_uplink(n, slot, &addr, s->ns_fd);
    if (r < 0)
        return err_errno(e, r, "make the veth pair");
    CLEANUP(inside_done) struct inside in = INSIDE_INIT(n, slot, &addr);
    r = net_ns_run(s->ns_fd, make_inside, &in);
    if (r < 0)
        return err_errno(e, r, "set up %s", in.step ? in.step : "the namespace");
    r = keep_inside(&in, e);
    r = r < 0 ? r : net_slot_apply(n, slot, n->default_policy, e);
    if (r < 0)
        return r;
    r = join_uplink(n, slot);
    return r < 0 ? err_errno(e, r, "set up the host's end") : 0;
}

int net_slot_make(struct net *n, int slot, struct err *e)
{
    char name[24];
    net_slot_ns_name(n, slot, name);
    int r = make(n, slot, e);
    if (r == -EEXIST) { /* left over: a removal that failed, or somebody's by hand */
        net_slot_remove(n, slot);
        r = make(n, slot, e);
    }
    if (r < 0) {
        net_slot_remove(n, slot);
        return err_wrap(e, r, "network %s", name);
    }
    dns_set_policy(n->dns, slot, NULL, 0);
    return 0;
}

int net_slot_clean(struct net *n, int slot, struct err *e)
{
    struct net_slot *s = &n->slots[slot];
    struct net_slot_addr addr;
    net_slot_addr(&n->pool, slot, &addr);
    CLEANUP(inside_done) struct inside in = INSIDE_INIT(n, slot, &addr);
    dns_forget(n->dns, slot);
    int r = net_ns_run(s->ns_fd, flush_inside, &in);
    if (r == 0)
        r = net_ns_run(s->ns_fd, make_tap, &in);
    if (r < 0)
        return err_errno(e, r, "network of slot %d: %s", slot, in.step ? in.step : "namespace");
    r = net_host_forget(n, slot, e);
    if (r == 0)
        r = net_slot_apply(n, slot, n->default_policy, e);
    if (r < 0)
        return r;
    dns_set_policy(n->dns, slot, NULL, 0);
    s->tap_fd = TAKE_FD(in.tap_fd);
    return 0;
}

/* --- adoption --- */

/* The group of the device holds where the pool begins. */
static int check_pool(const struct net *n, const char *name, struct err *e)
{
    auto_rtnl struct net_rtnl nl = {0};
    struct net_link link = {0};
    int r = net_rtnl_open(&nl);
    if (r == 0)
        r = net_rtnl_get_link(&nl, name, &link);
    if (r == -ENODEV)
        return err_set(e, ERR_UNAVAILABLE, "network %s: its device is gone", name);
    if (r < 0)
        return err_errno(e, r, "network %s", name);
    if (link.group != n->group)
        return err_set(e, ERR_CONFLICT, "network %s was made with another pool of addresses", name);
    return 0;
}

/* A table that carries the policy out is left as it is: its sets hold what names resolved to, which
 * nobody else knows. */
static int find_policy(struct inside *in, const struct net_policy *policy, struct err *e)
{
    struct net_slot *s = &in->n->slots[in->slot];
    const struct net_rules rules = {.policy = policy, .pool = &in->n->pool, .addr = in->addr};
    char chain[NET_SET_NAME_SIZE];
    uint32_t mark = 0;
    if (net_rules_mark(&rules, &mark) < 0)
        return err_errno(e, -ENOMEM, "compile the policy");
    net_rules_mark_name(mark, chain);
    if (net_nfnl_find_chain(in->dns.nfnl, chain) == 0) {
        s->policy = net_policy_ref(policy);
        s->mark = mark;
    }
    return 0;
}

int net_slot_adopt(struct net *n, int slot, const struct net_policy *policy, struct err *e)
{
    struct net_slot *s = &n->slots[slot];
    struct net_slot_addr addr;
    char name[16], ns_name[24];
    net_slot_name(n, slot, name);
    net_slot_ns_name(n, slot, ns_name);
    net_slot_addr(&n->pool, slot, &addr);
    int r = check_pool(n, name, e);
    if (r < 0)
        return r;
    auto_close int ns_fd = net_ns_open(ns_name);
    if (ns_fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "network %s: its namespace is gone", ns_name);
    CLEANUP(inside_done) struct inside in = INSIDE_INIT(n, slot, &addr);
    r = net_ns_run(ns_fd, adopt_inside, &in);
    if (r < 0)
        return err_errno(e, r, "network %s: open %s", ns_name, in.step);
    r = find_policy(&in, policy, e);
    if (r < 0)
        return r;
    s->ns_fd = TAKE_FD(ns_fd);
    s->host_open = true; /* whether there is a chain is not known */
    r = keep_inside(&in, e);
    if (r == 0)
        r = net_slot_apply(n, slot, policy, e);
    if (r < 0)
        net_slot_release(n, slot);
    return r < 0 ? err_wrap(e, r, "network %s", ns_name) : 0;
}

/* --- statistics --- */

struct count {
    struct net_link link;
};

static int count_inside(void *arg)
{
    struct count *c = arg;
    auto_rtnl struct net_rtnl nl = {0};
    int r = net_rtnl_open(&nl);
    return r == 0 ? net_rtnl_get_link(&nl, NET_TAP, &c->link) : r;
}

int net_slot_stats(struct net *n, int slot, struct net_stats *ret, struct err *e)
{
    struct net_slot_addr addr;
    struct count c = {0};
    net_slot_addr(&n->pool, slot, &addr);
    int r = net_ns_run(n->slots[slot].ns_fd, count_inside, &c);
    if (r < 0 && r != -ENODEV) /* gone with its monitor: nothing was counted */
        return err_errno(e, r, "count the traffic of slot %d", slot);
    ret->rx_bytes = c.link.tx_bytes;
    ret->tx_bytes = c.link.rx_bytes;
    snprintf(ret->host_address, sizeof(ret->host_address), "%s", addr.ns4_text);
    return 0;
}
