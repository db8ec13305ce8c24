/* SPDX-License-Identifier: Apache-2.0 */

/* The host's side: a table of its own, forwarding, and masquerading to the outside.
 *
 * The policy of a VM is carried out in its namespace (net_rules.c). This is the second wall, the
 * same for all slots, around what no namespace knows: the host's own addresses, and other slots. It
 * stands in prerouting, before another's DNAT can turn the host's address into something else
 * (published ports of containers are the host's services too). What belongs to a connection that
 * came from the host or the outside passes; what a slot begins passes to the outside, with the
 * slot's address as its source; towards the host and the guarded ranges it needs a rule in the
 * slot's chain.
 *
 * The chains are refilled when a daemon starts; the slots' own chains stay, so VMs that lived on
 * are not disturbed.
 *
 * IPv6: with forwarding on, the kernel no longer takes router advertisements unless accept_ra is 2.
 * A host that has its default route from one would lose it, so 1 is made 2 before. Forwarding stays
 * on when the daemon ends. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/net_ns.h"
#include "host/net_priv.h"
#include "host/net_rtnl.h"

/* --- the table --- */

static const char table_shape[] = "table inet %1$s {\n"
                                  "map slots {\ntype ifname : verdict\n}\n"
                                  "set guarded4 {\ntype ipv4_addr; flags interval;\n}\n"
                                  "set guarded6 {\ntype ipv6_addr; flags interval;\n}\n"
                                  "chain prerouting {\n"
                                  "type filter hook prerouting priority mangle; policy accept;\n}\n"
                                  "chain from_slot {\n}\n"
                                  "chain guarded {\n}\n"
                                  "chain forward {\n"
                                  "type filter hook forward priority filter; policy accept;\n}\n"
                                  "chain postrouting {\n"
                                  "type nat hook postrouting priority srcnat; policy accept;\n}\n"
                                  "}\n"
                                  "flush set inet %1$s guarded4\n"
                                  "flush set inet %1$s guarded6\n"
                                  "flush chain inet %1$s prerouting\n"
                                  "flush chain inet %1$s from_slot\n"
                                  "flush chain inet %1$s guarded\n"
                                  "flush chain inet %1$s forward\n"
                                  "flush chain inet %1$s postrouting\n";

static const char table_rules[] =
    "chain prerouting {\nmeta iifgroup %1$u goto from_slot\n}\n"
    "chain from_slot {\n"
    "fib saddr . iif oif 0 drop\n" /* not the slot's own address */
    "ct direction reply accept\n"
    "ct state related accept\n"
    "fib daddr type != unicast goto guarded\n"
    "ip daddr @guarded4 goto guarded\n"
    "ip6 daddr @guarded6 goto guarded\n"
    "}\n"
    "chain guarded {\n"
    "iifname vmap @slots\n"
    "fib daddr type local reject with icmpx admin-prohibited\n"
    "drop\n"
    "}\n"
    /* The way out may take smaller packets than the guest's card, behind firewalls that drop the
     * messages which say so. */
    "chain forward {\nmeta iifgroup %1$u tcp flags syn tcp option maxseg size set rt mtu\n}\n"
    "chain postrouting {\n"
    "ip saddr %2$s meta oifgroup != %1$u masquerade\n"
    "ip6 saddr %3$s meta oifgroup != %1$u masquerade\n"
    "}\n";

static void put_guarded(struct buf *b, const struct net *n)
{
    struct net_cidr all[NET_GUARDED_MAX];
    size_t count = net_guarded(&n->pool, all);
    for (size_t i = 0; i < count; i++) {
        char text[NET_CIDR_SIZE];
        net_cidr_text(&all[i], text);
        buf_printf(b, "add element inet %s guarded%c { %s }\n", n->prefix,
                   all[i].family == AF_INET ? '4' : '6', text);
    }
}

static int make_table(struct net *n, struct err *e)
{
    auto_buf struct buf text = {0};
    char v4[NET_CIDR_SIZE], v6[NET_CIDR_SIZE];
    net_cidr_text(&n->pool.v4, v4);
    net_cidr_text(&n->pool.v6, v6);
    buf_printf(&text, table_shape, n->prefix);
    put_guarded(&text, n);
    buf_printf(&text, "table inet %s {\n", n->prefix);
    buf_printf(&text, table_rules, n->group, v4, v6);
    buf_append_str(&text, "}\n");
    if (text.failed)
        return err_errno(e, -ENOMEM, "network");
    return net_nft_run(n->host_nft, buf_str(&text), e);
}

/* --- forwarding --- */

static void keep_advertisements(void *arg, const struct net_link *link)
{
    char name[64];
    snprintf(name, sizeof(name), "ipv6/conf/%s/accept_ra", link->name);
    if (net_ns_sysctl_get(name) == '1')
        net_ns_sysctl(name, "2");
}

static int set_forwarding(const struct net *n, struct err *e)
{
    auto_rtnl struct net_rtnl nl = {0};
    int r = net_ns_sysctl("ipv4/ip_forward", "1");
    if (r < 0)
        return err_errno(e, r, "turn on net.ipv4.ip_forward");
    if (!n->ipv6 || net_ns_sysctl_get("ipv6/conf/all/forwarding") == '1')
        return 0;
    r = net_rtnl_open(&nl);
    if (r == 0)
        r = net_rtnl_each_link(&nl, keep_advertisements, NULL);
    if (r == 0)
        r = net_ns_sysctl("ipv6/conf/all/forwarding", "1");
    return r < 0 ? err_errno(e, r, "turn on net.ipv6.conf.all.forwarding") : 0;
}

/* --- the pool --- */

struct clash {
    const struct net *n;
    struct net_own_address with; /* no device: none */
};

static void look_for_clash(void *arg, const struct net_own_address *own)
{
    struct clash *c = arg;
    if (net_cidr_inside(&own->address, &c->n->pool.v4) &&
        net_number_after(own->device, c->n->prefix) < 0)
        c->with = *own;
}

/* A pool that the host is in itself would cut it off from its neighbours. */
static int check_pool(const struct net *n, struct err *e)
{
    auto_rtnl struct net_rtnl nl = {0};
    struct clash clash = {.n = n};
    char pool[NET_CIDR_SIZE], address[NET_CIDR_SIZE];
    int r = net_rtnl_open(&nl);
    if (r == 0)
        r = net_rtnl_each_address(&nl, look_for_clash, &clash);
    if (r < 0)
        return err_errno(e, r, "look at the host's addresses");
    if (!clash.with.device[0])
        return 0;
    net_cidr_text(&n->pool.v4, pool);
    net_cidr_text(&clash.with.address, address);
    return err_set(e, ERR_UNAVAILABLE,
                   "the network pool %s holds %s, the host's own on %s: choose another one", pool,
                   address, clash.with.device);
}

int net_host_init(struct net *n, struct err *e)
{
    n->ipv6 = net_ns_sysctl_get("ipv6/conf/all/disable_ipv6") == '0';
    int r = check_pool(n, e);
    if (r == 0)
        r = set_forwarding(n, e);
    if (r < 0)
        return r;
    if ((r = net_nft_open(&n->host_nft)) < 0 || (r = net_nfnl_open(&n->host_nfnl)) < 0)
        return err_errno(e, r, "open netfilter");
    r = make_table(n, e);
    return r < 0 ? err_wrap(e, r, "make the host's table") : 0;
}

int net_host_restore(struct net *n, struct err *e)
{
    AUTO_LOCK(&n->host_lock);
    return make_table(n, e);
}

void net_host_done(struct net *n, bool remove_table)
{
    char text[64];
    snprintf(text, sizeof(text), "delete table inet %s\n", n->prefix);
    if (n->host_nft && remove_table)
        (void)net_nft_run(n->host_nft, text, NULL);
    net_nft_close(n->host_nft);
    net_nfnl_close(n->host_nfnl);
    n->host_nft = NULL;
    n->host_nfnl = NULL;
}

/* --- slots --- */

int net_host_open(struct net *n, int slot, const char *rules, struct err *e)
{
    auto_buf struct buf text = {0};
    char name[16];
    net_slot_name(n, slot, name);
    /* Whatever is there, it then has an empty chain. */
    buf_printf(&text, "table inet %s {\nchain %s {\n}\n}\nflush chain inet %s %s\n", n->prefix,
               name, n->prefix, name);
    buf_printf(&text, "add element inet %s slots { \"%s\" : jump %s }\n", n->prefix, name, name);
    if (*rules)
        buf_printf(&text, "table inet %s {\nchain %s {\n%s}\n}\n", n->prefix, name, rules);
    else
        buf_printf(&text,
                   "delete element inet %s slots { \"%s\" : jump %s }\ndelete chain inet %s %s\n",
                   n->prefix, name, name, n->prefix, name);
    if (text.failed)
        return err_errno(e, -ENOMEM, "network");
    AUTO_LOCK(&n->host_lock);
    int r = net_nft_run(n->host_nft, buf_str(&text), e);
    return r < 0 ? err_wrap(e, r, "the host's rules for %s", name) : 0;
}

int net_host_forget(struct net *n, int slot, struct err *e)
{
    struct net_slot_addr addr;
    net_slot_addr(&n->pool, slot, &addr);
    AUTO_LOCK(&n->host_lock);
    int r = net_nfnl_drop_connections(n->host_nfnl, &addr.ns4);
    if (r == 0 && n->ipv6)
        r = net_nfnl_drop_connections(n->host_nfnl, &addr.ns6);
    return r < 0 ? err_errno(e, r, "forget the host's connections of slot %d", slot) : 0;
}
