/* SPDX-License-Identifier: Apache-2.0 */
#include "host/net_rtnl.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <time.h>

#define MESSAGE_BYTES 1024 /* the longest request here has some 200 */
#define ANSWER_BYTES 32768 /* the most that the kernel puts into one */
#define ALIGNED __attribute__((aligned(8)))
#define MAC_BYTES 6

int net_rtnl_open(struct net_rtnl *ret)
{
    struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (!s)
        return -errno;
    if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0) {
        int r = -errno;
        mnl_socket_close(s);
        return r;
    }
    *ret = (struct net_rtnl){.socket = s, .seq = (unsigned)time(NULL)};
    return 0;
}

void net_rtnl_close(struct net_rtnl *nl)
{
    if (nl->socket)
        mnl_socket_close(nl->socket);
    nl->socket = NULL;
}

/* --- requests --- */

struct request {
    union {
        char bytes[MESSAGE_BYTES];
        struct nlmsghdr header;
    };
};

static void *begin(struct request *rq, uint16_t type, uint16_t flags, size_t header_bytes)
{
    struct nlmsghdr *h = mnl_nlmsg_put_header(rq->bytes);
    h->nlmsg_type = type;
    h->nlmsg_flags = NLM_F_REQUEST | flags;
    return mnl_nlmsg_put_extra_header(h, header_bytes);
}

/* Sends it and takes what comes back, until the acknowledgement. */
static int talk(struct net_rtnl *nl, struct request *rq, mnl_cb_t fn, void *arg)
{
    char answer[ANSWER_BYTES] ALIGNED;
    unsigned port = mnl_socket_get_portid(nl->socket);
    rq->header.nlmsg_seq = ++nl->seq;
    if (mnl_socket_sendto(nl->socket, &rq->header, rq->header.nlmsg_len) < 0)
        return -errno;
    for (;;) {
        ssize_t n = mnl_socket_recvfrom(nl->socket, answer, sizeof(answer));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        int r = mnl_cb_run(answer, (size_t)n, nl->seq, port, fn, arg);
        if (r <= MNL_CB_STOP)
            return r < 0 ? -errno : 0;
    }
}

static int ask(struct net_rtnl *nl, struct request *rq)
{
    rq->header.nlmsg_flags |= NLM_F_ACK;
    return talk(nl, rq, NULL, NULL);
}

static int index_of(struct net_rtnl *nl, const char *name, int *ret)
{
    struct net_link link;
    int r = net_rtnl_get_link(nl, name, &link);
    if (r == 0)
        *ret = link.index;
    return r;
}

/* --- devices --- */

/* The kernel makes up no link-local address: ours are known beforehand, and a device that does not
 * speak by itself has nothing to be filtered. */
static void put_no_autoconf(struct nlmsghdr *h)
{
    struct nlattr *spec = mnl_attr_nest_start(h, IFLA_AF_SPEC);
    struct nlattr *inet6 = mnl_attr_nest_start(h, AF_INET6);
    mnl_attr_put_u8(h, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    mnl_attr_nest_end(h, inet6);
    mnl_attr_nest_end(h, spec);
}

int net_rtnl_add_veth(struct net_rtnl *nl, const struct net_veth *veth)
{
    struct request rq;
    begin(&rq, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
    mnl_attr_put_strz(&rq.header, IFLA_IFNAME, veth->name);
    mnl_attr_put(&rq.header, IFLA_ADDRESS, MAC_BYTES, veth->mac);
    mnl_attr_put_u32(&rq.header, IFLA_GROUP, veth->group);
    struct nlattr *info = mnl_attr_nest_start(&rq.header, IFLA_LINKINFO);
    mnl_attr_put_strz(&rq.header, IFLA_INFO_KIND, "veth");
    struct nlattr *data = mnl_attr_nest_start(&rq.header, IFLA_INFO_DATA);
    struct nlattr *peer = mnl_attr_nest_start(&rq.header, VETH_INFO_PEER);
    mnl_nlmsg_put_extra_header(&rq.header, sizeof(struct ifinfomsg));
    mnl_attr_put_strz(&rq.header, IFLA_IFNAME, veth->peer_name);
    mnl_attr_put(&rq.header, IFLA_ADDRESS, MAC_BYTES, veth->peer_mac);
    mnl_attr_put_u32(&rq.header, IFLA_NET_NS_FD, (uint32_t)veth->peer_ns);
    mnl_attr_nest_end(&rq.header, peer);
    mnl_attr_nest_end(&rq.header, data);
    mnl_attr_nest_end(&rq.header, info);
    return ask(nl, &rq);
}

int net_rtnl_delete_link(struct net_rtnl *nl, const char *name)
{
    struct request rq;
    begin(&rq, RTM_DELLINK, 0, sizeof(struct ifinfomsg));
    mnl_attr_put_strz(&rq.header, IFLA_IFNAME, name);
    return ask(nl, &rq);
}

int net_rtnl_set_up(struct net_rtnl *nl, const char *name, const char *mac)
{
    struct request rq;
    begin(&rq, RTM_NEWLINK, 0, sizeof(struct ifinfomsg));
    mnl_attr_put_strz(&rq.header, IFLA_IFNAME, name);
    if (mac)
        mnl_attr_put(&rq.header, IFLA_ADDRESS, MAC_BYTES, mac);
    put_no_autoconf(&rq.header);
    int r = ask(nl, &rq);
    if (r == -EAFNOSUPPORT || r == -EOPNOTSUPP)
        r = 0; /* a kernel without IPv6 */
    if (r < 0)
        return r;
    struct ifinfomsg *up = begin(&rq, RTM_NEWLINK, 0, sizeof(*up));
    up->ifi_flags = up->ifi_change = IFF_UP;
    mnl_attr_put_strz(&rq.header, IFLA_IFNAME, name);
    return ask(nl, &rq);
}

/* --- addresses --- */

static size_t addr_len(int family)
{
    return family == AF_INET ? 4 : 16;
}

int net_rtnl_add_address(struct net_rtnl *nl, const char *name, const struct net_cidr *address,
                         int bits)
{
    struct request rq;
    int index = 0;
    int r = index_of(nl, name, &index);
    if (r < 0)
        return r;
    struct ifaddrmsg *m = begin(&rq, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(*m));
    m->ifa_family = (unsigned char)address->family;
    m->ifa_prefixlen = (unsigned char)bits;
    m->ifa_flags = address->family == AF_INET6 ? IFA_F_NODAD : 0;
    m->ifa_index = (unsigned)index;
    mnl_attr_put(&rq.header, IFA_LOCAL, addr_len(address->family), address->addr);
    mnl_attr_put(&rq.header, IFA_ADDRESS, addr_len(address->family), address->addr);
    return ask(nl, &rq);
}

int net_rtnl_add_neighbour(struct net_rtnl *nl, const char *name, const struct net_cidr *address,
                           const char *mac)
{
    struct request rq;
    int index = 0;
    int r = index_of(nl, name, &index);
    if (r < 0)
        return r;
    struct ndmsg *m = begin(&rq, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*m));
    m->ndm_family = (unsigned char)address->family;
    m->ndm_ifindex = index;
    m->ndm_state = NUD_PERMANENT;
    mnl_attr_put(&rq.header, NDA_DST, addr_len(address->family), address->addr);
    mnl_attr_put(&rq.header, NDA_LLADDR, MAC_BYTES, mac);
    return ask(nl, &rq);
}

int net_rtnl_add_default_route(struct net_rtnl *nl, const char *name,
                               const struct net_cidr *gateway)
{
    struct request rq;
    int index = 0;
    int r = index_of(nl, name, &index);
    if (r < 0)
        return r;
    struct rtmsg *m = begin(&rq, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*m));
    m->rtm_family = (unsigned char)gateway->family;
    m->rtm_table = RT_TABLE_MAIN;
    m->rtm_protocol = RTPROT_STATIC;
    m->rtm_type = RTN_UNICAST;
    mnl_attr_put(&rq.header, RTA_GATEWAY, addr_len(gateway->family), gateway->addr);
    mnl_attr_put_u32(&rq.header, RTA_OIF, (uint32_t)index);
    return ask(nl, &rq);
}

/* --- looking --- */

struct walk {
    void (*fn)(void *arg, const struct net_link *link);
    void *arg;
};

static int take_attribute(const struct nlattr *attr, void *arg)
{
    struct net_link *link = arg;
    size_t len = mnl_attr_get_payload_len(attr);
    switch (mnl_attr_get_type(attr)) {
    case IFLA_IFNAME:
        snprintf(link->name, sizeof(link->name), "%.*s", (int)len, mnl_attr_get_str(attr));
        break;
    case IFLA_ADDRESS:
        memcpy(link->mac, mnl_attr_get_payload(attr), len < MAC_BYTES ? len : MAC_BYTES);
        break;
    case IFLA_GROUP:
        link->group = mnl_attr_get_u32(attr);
        break;
    case IFLA_STATS64: {
        struct rtnl_link_stats64 stats = {0};
        memcpy(&stats, mnl_attr_get_payload(attr), len < sizeof(stats) ? len : sizeof(stats));
        link->rx_bytes = stats.rx_bytes;
        link->tx_bytes = stats.tx_bytes;
        break;
    }
    default:
        break;
    }
    return MNL_CB_OK;
}

static int take_link(const struct nlmsghdr *h, void *arg)
{
    struct walk *w = arg;
    const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);
    struct net_link link = {.index = m->ifi_index};
    mnl_attr_parse(h, sizeof(*m), take_attribute, &link);
    w->fn(w->arg, &link);
    return MNL_CB_OK;
}

static void keep_link(void *arg, const struct net_link *link)
{
    *(struct net_link *)arg = *link;
}

int net_rtnl_get_link(struct net_rtnl *nl, const char *name, struct net_link *ret)
{
    struct request rq;
    struct net_link link = {0};
    struct walk w = {.fn = keep_link, .arg = &link};
    begin(&rq, RTM_GETLINK, NLM_F_ACK, sizeof(struct ifinfomsg));
    mnl_attr_put_strz(&rq.header, IFLA_IFNAME, name);
    int r = talk(nl, &rq, take_link, &w);
    if (r == 0)
        *ret = link;
    return r;
}

int net_rtnl_each_link(struct net_rtnl *nl, void (*fn)(void *arg, const struct net_link *link),
                       void *arg)
{
    struct request rq;
    struct walk w = {.fn = fn, .arg = arg};
    struct ifinfomsg *m = begin(&rq, RTM_GETLINK, NLM_F_DUMP, sizeof(*m));
    m->ifi_family = AF_UNSPEC;
    return talk(nl, &rq, take_link, &w);
}

struct address_walk {
    void (*fn)(void *arg, const struct net_own_address *own);
    void *arg;
};

static int take_address_attribute(const struct nlattr *attr, void *arg)
{
    struct net_own_address *own = arg;
    size_t len = mnl_attr_get_payload_len(attr);
    if (mnl_attr_get_type(attr) == IFA_LABEL)
        snprintf(own->device, sizeof(own->device), "%.*s", (int)len, mnl_attr_get_str(attr));
    else if (mnl_attr_get_type(attr) == IFA_LOCAL && len == 4)
        memcpy(own->address.addr, mnl_attr_get_payload(attr), len);
    return MNL_CB_OK;
}

static int take_address(const struct nlmsghdr *h, void *arg)
{
    struct address_walk *w = arg;
    struct net_own_address own = {.address = {.family = AF_INET, .bits = 32}};
    mnl_attr_parse(h, sizeof(struct ifaddrmsg), take_address_attribute, &own);
    w->fn(w->arg, &own);
    return MNL_CB_OK;
}

int net_rtnl_each_address(struct net_rtnl *nl,
                          void (*fn)(void *arg, const struct net_own_address *own), void *arg)
{
    struct request rq;
    struct address_walk w = {.fn = fn, .arg = arg};
    struct ifaddrmsg *m = begin(&rq, RTM_GETADDR, NLM_F_DUMP, sizeof(*m));
    m->ifa_family = AF_INET;
    return talk(nl, &rq, take_address, &w);
}
