/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY_BYTES 256

/* A message that is being put together. */
struct message {
    struct nlmsghdr head;
    char body[BODY_BYTES];
};

int netlink_address_parse(const char *text, struct netlink_address *ret)
{
    struct netlink_address a;
    memset(&a, 0, sizeof(a)); /* all of the union: addresses are compared as bytes */
    a.family = strchr(text, ':') ? AF_INET6 : AF_INET;
    if (inet_pton(a.family, text, &a.v6) != 1)
        return -EINVAL;
    a.prefix = a.family == AF_INET ? 32 : 128;
    *ret = a;
    return 0;
}

static size_t address_size(const struct netlink_address *a)
{
    return a->family == AF_INET ? sizeof(a->v4) : sizeof(a->v6);
}

static void message_init(struct message *m, int type, int flags, const void *fixed, size_t len)
{
    memset(m, 0, sizeof(*m));
    m->head.nlmsg_type = (uint16_t)type;
    m->head.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
    m->head.nlmsg_len = (uint32_t)NLMSG_LENGTH(len);
    memcpy(NLMSG_DATA(&m->head), fixed, len);
}

/* All that is ever put in fits. */
static void put(struct message *m, int type, const void *data, size_t len)
{
    struct rtattr *at = (struct rtattr *)((char *)m + NLMSG_ALIGN(m->head.nlmsg_len));
    at->rta_type = (uint16_t)type;
    at->rta_len = (uint16_t)RTA_LENGTH(len);
    memcpy(RTA_DATA(at), data, len);
    m->head.nlmsg_len = (uint32_t)(NLMSG_ALIGN(m->head.nlmsg_len) + RTA_ALIGN(at->rta_len));
}

/* Sends it and takes the kernel's word. */
static int ask(int fd, const struct message *m)
{
    char answer[512];
    if (send(fd, m, m->head.nlmsg_len, 0) < 0)
        return -errno;
    ssize_t n = recv(fd, answer, sizeof(answer), 0);
    if (n < 0)
        return -errno;
    const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)answer;
    if ((size_t)n < NLMSG_LENGTH(sizeof(struct nlmsgerr)) || h->nlmsg_type != NLMSG_ERROR)
        return -EPROTO;
    const struct nlmsgerr *e = NLMSG_DATA(h);
    return e->error == -EEXIST ? 0 : e->error;
}

int netlink_open(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    return fd < 0 ? -errno : fd;
}

int netlink_up(int fd, int ifindex)
{
    struct message m;
    const struct ifinfomsg info = {
        .ifi_family = AF_UNSPEC, .ifi_index = ifindex, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    message_init(&m, RTM_NEWLINK, 0, &info, sizeof(info));
    return ask(fd, &m);
}

static int change_address(int fd, int type, int ifindex, const struct netlink_address *a)
{
    struct message m;
    const uint32_t flags = IFA_F_PERMANENT | IFA_F_NODAD;
    const struct ifaddrmsg info = {
        .ifa_family = (uint8_t)a->family,
        .ifa_prefixlen = (uint8_t)a->prefix,
        .ifa_flags = IFA_F_PERMANENT,
        .ifa_index = (uint32_t)ifindex,
    };
    message_init(&m, type, type == RTM_NEWADDR ? NLM_F_CREATE | NLM_F_EXCL : 0, &info,
                 sizeof(info));
    put(&m, IFA_LOCAL, &a->v6, address_size(a));
    put(&m, IFA_ADDRESS, &a->v6, address_size(a));
    put(&m, IFA_FLAGS, &flags, sizeof(flags));
    return ask(fd, &m);
}

int netlink_add_address(int fd, int ifindex, const struct netlink_address *a)
{
    return change_address(fd, RTM_NEWADDR, ifindex, a);
}

int netlink_remove_address(int fd, int ifindex, const struct netlink_address *a)
{
    return change_address(fd, RTM_DELADDR, ifindex, a);
}

int netlink_add_default_route(int fd, int ifindex, const struct netlink_address *gateway)
{
    struct message m;
    const struct rtmsg info = {
        .rtm_family = (uint8_t)gateway->family,
        .rtm_table = RT_TABLE_MAIN,
        .rtm_protocol = RTPROT_BOOT,
        .rtm_scope = RT_SCOPE_UNIVERSE,
        .rtm_type = RTN_UNICAST,
    };
    message_init(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
    put(&m, RTA_GATEWAY, &gateway->v6, address_size(gateway));
    put(&m, RTA_OIF, &ifindex, sizeof(ifindex));
    return ask(fd, &m);
}
