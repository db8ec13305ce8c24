/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Devices, addresses, neighbours and routes, over rtnetlink. A socket belongs to the namespace it
 * was opened in, whatever thread uses it, and to one thread at a time. All return 0 or a negative
 * errno. */

#include <libmnl/libmnl.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "host/net_addr.h"

struct net_rtnl {
    struct mnl_socket *socket;
    unsigned seq;
};
int net_rtnl_open(struct net_rtnl *ret); /* in the calling thread's namespace */
void net_rtnl_close(struct net_rtnl *nl);
#define auto_rtnl CLEANUP(net_rtnl_close)

struct net_veth {
    const char *name;
    const char *mac; /* 6 bytes */
    uint32_t group;
    const char *peer_name;
    const char *peer_mac;
    int peer_ns; /* where the other end goes */
};
int net_rtnl_add_veth(struct net_rtnl *nl, const struct net_veth *veth);
int net_rtnl_delete_link(struct net_rtnl *nl, const char *name); /* -ENODEV */

/* Up, without an IPv6 address that the kernel makes up. `mac`: NULL: as it is. */
int net_rtnl_set_up(struct net_rtnl *nl, const char *name, const char *mac);

/* `bits`: the length of the network that it is in. Without duplicate address detection. */
int net_rtnl_add_address(struct net_rtnl *nl, const char *name, const struct net_cidr *address,
                         int bits);
/* For ever. */
int net_rtnl_add_neighbour(struct net_rtnl *nl, const char *name, const struct net_cidr *address,
                           const char *mac);
int net_rtnl_add_default_route(struct net_rtnl *nl, const char *name,
                               const struct net_cidr *gateway);

struct net_link {
    int index;
    char name[16];
    unsigned char mac[6];
    uint32_t group;
    uint64_t rx_bytes;
    uint64_t tx_bytes;
};
int net_rtnl_get_link(struct net_rtnl *nl, const char *name, struct net_link *ret); /* -ENODEV */
int net_rtnl_each_link(struct net_rtnl *nl, void (*fn)(void *arg, const struct net_link *link),
                       void *arg);

struct net_own_address {
    char device[16];
    struct net_cidr address; /* IPv4 */
};
int net_rtnl_each_address(struct net_rtnl *nl,
                          void (*fn)(void *arg, const struct net_own_address *own), void *arg);
