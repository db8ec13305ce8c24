/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Addresses and routes of the guest, by rtnetlink. All return 0 or a negative errno; what is there
 * already is fine. */

#include <netinet/in.h>
#include <stdbool.h>

/* An address of either kind. */
struct netlink_address {
    int family; /* AF_INET or AF_INET6 */
    union {
        struct in_addr v4;
        struct in6_addr v6;
    };
    int prefix; /* bits */
};

/* -EINVAL for text that is no address; the prefix is that of a single host. */
int netlink_address_parse(const char *text, struct netlink_address *ret);

int netlink_open(void); /* the fd */
int netlink_up(int fd, int ifindex);
/* Without duplicate address detection, which would put its use off by a second. */
int netlink_add_address(int fd, int ifindex, const struct netlink_address *a);
int netlink_remove_address(int fd, int ifindex, const struct netlink_address *a);
int netlink_add_default_route(int fd, int ifindex, const struct netlink_address *gateway);
