/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Addresses: CIDR ranges, those of a slot, and the ranges that no policy opens by accident. Pure;
 * any thread. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct net_cidr {
    int family;             /* AF_INET or AF_INET6 */
    unsigned char addr[16]; /* network byte order; 4 bytes of it for IPv4; bits beyond are 0 */
    int bits;
};

#define NET_CIDR_SIZE (INET6_ADDRSTRLEN + 4)

/* "10.0.0.0/8" or an address alone; host bits are cleared. -EINVAL when it is neither, or an IPv4
 * address in IPv6's clothes. */
int net_cidr_parse(const char *text, struct net_cidr *ret);
/* With its length, also for a single address. */
void net_cidr_text(const struct net_cidr *c, char ret[NET_CIDR_SIZE]);
bool net_cidr_inside(const struct net_cidr *inner, const struct net_cidr *outer);
bool net_cidr_is_host(const struct net_cidr *c); /* one address */

/* Addresses for the veth pairs. IPv6 ones are made from the IPv4 ones, so that two daemons with
 * pools of their own are apart in both. */
struct net_pool {
    struct net_cidr v4;
    struct net_cidr v6;
};
/* ERR_INVALID with the reason; `slots` must fit. */
int net_pool_parse(const char *text, int slots, struct net_pool *ret, struct err *e);

/* The guest's side is the same in every slot. */
#define NET_GUEST4 "172.16.0.2"
#define NET_GUEST6 "fd00:686f:6c6d::2"
#define NET_GATEWAY4 "172.16.0.1"
#define NET_GATEWAY6 "fd00:686f:6c6d::1"
#define NET_GATEWAY_LINK6 "fe80::1"
#define NET_GUEST4_BITS 30
#define NET_GUEST6_BITS 64

/* The veth pair of a slot: /31 and /127, the host has the even address. */
struct net_slot_addr {
    struct net_cidr host4, ns4, host6, ns6; /* single addresses */
    char ns4_text[INET_ADDRSTRLEN], ns6_text[INET6_ADDRSTRLEN];
};
void net_slot_addr(const struct net_pool *pool, int slot, struct net_slot_addr *ret);

#define NET_GUARDED_MAX 24

/* What only a rule inside one of these opens: loopback, link-local and metadata addresses,
 * multicast, the pool (the host's ends, other VMs). None lies inside another. Returns how many. */
size_t net_guarded(const struct net_pool *pool, struct net_cidr ret[NET_GUARDED_MAX]);
bool net_cidr_is_guarded(const struct net_pool *pool, const struct net_cidr *c);

/* Public resolvers that speak DNS over HTTPS. By index from 0; NULL beyond the end. */
const char *net_doh_address(size_t index);
