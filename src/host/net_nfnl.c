/* SPDX-License-Identifier: Apache-2.0 */
#include "host/net_nft.h"

#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>

#include "base/buf.h"

#define MESSAGE_BYTES 512  /* the longest request here has some 200 */
#define ANSWER_BYTES 32768 /* the most that the kernel puts into one */
#define ALIGNED __attribute__((aligned(8)))
#define DUMP_MAX_BYTES (64 << 20)

int net_nfnl_open(struct mnl_socket **ret)
{
    struct mnl_socket *s = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
    if (!s)
        return -errno;
    if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0) {
        int r = -errno;
        mnl_socket_close(s);
        return r;
    }
    *ret = s;
    return 0;
}

void net_nfnl_close(struct mnl_socket *s)
{
    if (s)
        mnl_socket_close(s);
}

static struct nlmsghdr *put_header(char *at, int type, int flags, int family)
{
    struct nlmsghdr *h = mnl_nlmsg_put_header(at);
    h->nlmsg_type = (uint16_t)type;
    h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(h, sizeof(*nfg));
    nfg->nfgen_family = (uint8_t)family;
    nfg->version = NFNETLINK_V0;
    return h;
}

/* The kernel has answered all by the time sendto returns: what is there is taken, and the first
 * error of it returned. */
static int send_and_check(struct mnl_socket *s, const void *data, size_t len)
{
    char answer[ANSWER_BYTES] ALIGNED;
    int result = 0;
    if (mnl_socket_sendto(s, data, len) < 0)
        return -errno;
    for (;;) {
        ssize_t n = recv(mnl_socket_get_fd(s), answer, sizeof(answer), MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return result < 0 || errno == EAGAIN ? result : -errno;
        const struct nlmsghdr *h = (const void *)answer;
        for (int left = (int)n; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
            const struct nlmsgerr *error = mnl_nlmsg_get_payload(h);
            if (h->nlmsg_type == NLMSG_ERROR && error->error < 0 && result == 0)
                result = error->error;
        }
    }
}

/* --- sets and chains --- */

static int nft_type(int type)
{
    return NFNL_SUBSYS_NFTABLES << 8 | type;
}

int net_nfnl_find_chain(struct mnl_socket *s, const char *chain)
{
    char rq[MESSAGE_BYTES] ALIGNED;
    struct nlmsghdr *h = put_header(rq, nft_type(NFT_MSG_GETCHAIN), NLM_F_ACK, NFPROTO_INET);
    mnl_attr_put_strz(h, NFTA_CHAIN_TABLE, NET_TABLE);
    mnl_attr_put_strz(h, NFTA_CHAIN_NAME, chain);
    return send_and_check(s, h, h->nlmsg_len);
}

static char *put_batch(char *at, int type)
{
    struct nlmsghdr *h = put_header(at, type, 0, AF_UNSPEC);
    struct nfgenmsg *nfg = mnl_nlmsg_get_payload(h);
    nfg->res_id = htons(NFNL_SUBSYS_NFTABLES);
    return at + mnl_nlmsg_size(sizeof(*nfg));
}

static char *put_element(char *at, int type, uint32_t mark, const struct net_element *el)
{
    char set[NET_SET_NAME_SIZE];
    bool add = type == NFT_MSG_NEWSETELEM;
    net_rules_set_name(mark, el->rule, el->family, set);
    struct nlmsghdr *h = put_header(at, nft_type(type), add ? NLM_F_CREATE : 0, NFPROTO_INET);
    mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, NET_TABLE);
    mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, set);
    struct nlattr *list = mnl_attr_nest_start(h, NFTA_SET_ELEM_LIST_ELEMENTS);
    struct nlattr *item = mnl_attr_nest_start(h, NFTA_LIST_ELEM);
    struct nlattr *key = mnl_attr_nest_start(h, NFTA_SET_ELEM_KEY);
    mnl_attr_put(h, NFTA_DATA_VALUE, el->family == AF_INET ? 4 : 16, el->addr);
    mnl_attr_nest_end(h, key);
    if (add)
        mnl_attr_put_u64(h, NFTA_SET_ELEM_TIMEOUT, htobe64((uint64_t)el->timeout_s * 1000));
    mnl_attr_nest_end(h, item);
    mnl_attr_nest_end(h, list);
    return at + h->nlmsg_len;
}

/* An element that is there keeps its time when it is added again, and one that is not cannot be
 * deleted; so: added (it is there), deleted, added, all at one moment. */
int net_nfnl_add_element(struct mnl_socket *s, uint32_t mark, const struct net_element *el)
{
    char batch[5 * MESSAGE_BYTES] ALIGNED, *at = batch;
    at = put_batch(at, NFNL_MSG_BATCH_BEGIN);
    at = put_element(at, NFT_MSG_NEWSETELEM, mark, el);
    at = put_element(at, NFT_MSG_DELSETELEM, mark, el);
    at = put_element(at, NFT_MSG_NEWSETELEM, mark, el);
    at = put_batch(at, NFNL_MSG_BATCH_END);
    return send_and_check(s, batch, (size_t)(at - batch));
}

/* --- conntrack --- */

static int ct_type(int type)
{
    return NFNL_SUBSYS_CTNETLINK << 8 | type;
}

int net_nfnl_flush_connections(struct mnl_socket *s)
{
    char rq[MESSAGE_BYTES] ALIGNED;
    struct nlmsghdr *h = put_header(rq, ct_type(IPCTNL_MSG_CT_DELETE), NLM_F_ACK, AF_UNSPEC);
    return send_and_check(s, h, h->nlmsg_len);
}

/* Which end of a connection's first packet, as conntrack and as its filter name it. */
struct end {
    int attr4, attr6;
    uint32_t flag;
};
static const struct end source = {CTA_IP_V4_SRC, CTA_IP_V6_SRC, 1u << 0};
static const struct end destination = {CTA_IP_V4_DST, CTA_IP_V6_DST, 1u << 1};

static bool has_address(const struct nlattr *tuple, const struct end *end,
                        const struct net_cidr *address)
{
    int want = address->family == AF_INET ? end->attr4 : end->attr6;
    const struct nlattr *ip, *attr;
    mnl_attr_for_each_nested(ip, tuple)
    {
        if (mnl_attr_get_type(ip) != CTA_TUPLE_IP)
            continue;
        mnl_attr_for_each_nested(attr, ip) if (mnl_attr_get_type(attr) == want) return memcmp(
            mnl_attr_get_payload(attr), address->addr, mnl_attr_get_payload_len(attr)) == 0;
    }
    return false;
}

struct hits {
    const struct end *end;
    const struct net_cidr *address;
    struct buf deletes; /* messages that delete what was found */
};

/* A kernel that does not know the filter shows all connections, so each is looked at here too. */
static int take_connection(const struct nlmsghdr *h, void *arg)
{
    struct hits *hits = arg;
    const struct nlattr *attr, *tuple = NULL, *id = NULL;
    char rq[MESSAGE_BYTES] ALIGNED;
    mnl_attr_for_each(attr, h, sizeof(struct nfgenmsg))
    {
        if (mnl_attr_get_type(attr) == CTA_TUPLE_ORIG)
            tuple = attr;
        else if (mnl_attr_get_type(attr) == CTA_ID)
            id = attr;
    }
    if (!tuple || !id || mnl_attr_get_len(tuple) > MESSAGE_BYTES / 2 ||
        !has_address(tuple, hits->end, hits->address))
        return MNL_CB_OK;
    struct nlmsghdr *del =
        put_header(rq, ct_type(IPCTNL_MSG_CT_DELETE), NLM_F_ACK, hits->address->family);
    mnl_attr_put(del, NLA_F_NESTED | CTA_TUPLE_ORIG, mnl_attr_get_payload_len(tuple),
                 mnl_attr_get_payload(tuple));
    mnl_attr_put(del, CTA_ID, mnl_attr_get_payload_len(id), mnl_attr_get_payload(id));
    buf_append(&hits->deletes, del, del->nlmsg_len);
    return MNL_CB_OK;
}

static int find_connections(struct mnl_socket *s, struct hits *hits)
{
    char rq[MESSAGE_BYTES] ALIGNED, answer[ANSWER_BYTES] ALIGNED;
    const struct net_cidr *a = hits->address;
    struct nlmsghdr *h = put_header(rq, ct_type(IPCTNL_MSG_CT_GET), NLM_F_DUMP, a->family);
    struct nlattr *tuple = mnl_attr_nest_start(h, CTA_TUPLE_ORIG);
    struct nlattr *ip = mnl_attr_nest_start(h, CTA_TUPLE_IP);
    mnl_attr_put(h, (uint16_t)(a->family == AF_INET ? hits->end->attr4 : hits->end->attr6),
                 a->family == AF_INET ? 4 : 16, a->addr);
    mnl_attr_nest_end(h, ip);
    mnl_attr_nest_end(h, tuple);
    struct nlattr *filter = mnl_attr_nest_start(h, CTA_FILTER);
    mnl_attr_put_u32(h, CTA_FILTER_ORIG_FLAGS, hits->end->flag);
    mnl_attr_nest_end(h, filter);
    if (mnl_socket_sendto(s, h, h->nlmsg_len) < 0)
        return -errno;
    for (int r = MNL_CB_OK; r > MNL_CB_STOP;) {
        ssize_t n = mnl_socket_recvfrom(s, answer, sizeof(answer));
        if (n < 0 && errno == EINTR)
            continue;
        r = n < 0 ? MNL_CB_ERROR : mnl_cb_run(answer, (size_t)n, 0, 0, take_connection, hits);
        if (r < 0)
            return -errno;
    }
    return hits->deletes.failed ? -ENOMEM : 0;
}

static int drop_by_end(struct mnl_socket *s, const struct end *end, const struct net_cidr *address)
{
    struct hits hits = {.end = end, .address = address, .deletes = {.max_bytes = DUMP_MAX_BYTES}};
    int r = find_connections(s, &hits);
    for (size_t at = 0; r == 0 && at < hits.deletes.len;) {
        const struct nlmsghdr *h = (const void *)(hits.deletes.data + at);
        r = send_and_check(s, h, h->nlmsg_len);
        if (r == -ENOENT)
            r = 0; /* it has ended meanwhile */
        at += h->nlmsg_len;
    }
    buf_done(&hits.deletes);
    return r;
}

int net_nfnl_drop_connections(struct mnl_socket *s, const struct net_cidr *address)
{
    int r = drop_by_end(s, &source, address);
    return r == 0 ? drop_by_end(s, &destination, address) : r;
}
