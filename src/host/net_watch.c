/* SPDX-License-Identifier: Apache-2.0 */

/* Keeps the host's table there. `nft flush ruleset`, as a restart of the host's own firewall does
 * it, takes everybody's tables away; guests would then have no way out, but one to the host's
 * services. The kernel tells when a table goes, and it is made anew, within milliseconds. What got
 * through meanwhile ends: the table looks at every packet, not only at new connections. */

#include <netinet/in.h> /* before linux/netfilter.h */

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "host/net_priv.h"

#define EVENT_BYTES 32768
#define RETRY_MS 1000

static int take_name(const struct nlattr *attr, void *arg)
{
    const char **name = arg;
    if (mnl_attr_get_type(attr) == NFTA_TABLE_NAME &&
        mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0)
        *name = mnl_attr_get_str(attr);
    return MNL_CB_OK;
}

static bool says_gone(const struct net *n, const char *data, ssize_t len)
{
    bool gone = false;
    const struct nlmsghdr *h = (const void *)data;
    for (int left = (int)len; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
        const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(h);
        const char *name = "";
        if (h->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE) ||
            nfg->nfgen_family != NFPROTO_INET)
            continue;
        mnl_attr_parse(h, sizeof(*nfg), take_name, &name);
        gone |= strcmp(name, n->prefix) == 0;
    }
    return gone;
}

/* Whether the table has to be made anew: it went, or events were lost. */
static bool look(struct net *n)
{
    char data[EVENT_BYTES] __attribute__((aligned(8)));
    bool gone = false;
    for (;;) {
        ssize_t len = recv(mnl_socket_get_fd(n->watch), data, sizeof(data), MSG_DONTWAIT);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return gone || errno == ENOBUFS;
        gone |= says_gone(n, data, len);
    }
}

static bool restore(struct net *n)
{
    struct err e = ERR_INIT;
    if (net_host_restore(n, &e) == 0) {
        net_reopen_slots(n);
        log_warn("net", "the host's table was removed by somebody, and is back table=%s",
                 n->prefix);
        return true;
    }
    log_error("net", "VMs have no network: the host's table is gone table=%s error=\"%s\"",
              n->prefix, e.text);
    return false;
}

static void *watch(void *arg)
{
    struct net *n = arg;
    struct pollfd p[2] = {{.fd = mnl_socket_get_fd(n->watch), .events = POLLIN},
                          {.fd = n->watch_stop, .events = POLLIN}};
    bool missing = false;
    while (!p[1].revents) {
        if (poll(p, 2, missing ? RETRY_MS : -1) < 0 && errno != EINTR)
            log_error("net", "watch: %m");
        missing |= look(n);
        if (missing && !p[1].revents)
            missing = !restore(n);
    }
    return NULL;
}

int net_watch_start(struct net *n, struct err *e)
{
    int group = NFNLGRP_NFTABLES;
    int r = net_nfnl_open(&n->watch);
    if (r == 0 &&
        mnl_socket_setsockopt(n->watch, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
        r = -errno;
    n->watch_stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r == 0 && n->watch_stop < 0)
        r = -errno;
    if (r == 0)
        r = -pthread_create(&n->watcher, NULL, watch, n);
    n->watcher_runs = r == 0;
    return r < 0 ? err_errno(e, r, "watch the host's table") : 0;
}

void net_watch_stop(struct net *n)
{
    if (n->watcher_runs) {
        eventfd_write(n->watch_stop, 1);
        pthread_join(n->watcher, NULL);
    }
    n->watcher_runs = false;
    net_nfnl_close(TAKE_PTR(n->watch));
    cleanup_close(&n->watch_stop);
    n->watch_stop = -EBADF;
}
