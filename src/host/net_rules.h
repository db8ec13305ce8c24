/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* From a policy to nftables' language. Pure: text out, nothing is run. What a client wrote never
 * gets into the text, only numbers and addresses that were parsed. Any thread. */

#include "base/buf.h"
#include "host/net_addr.h"
#include "host/netpolicy.h"

#define NET_TABLE "holm" /* in every slot's namespace */
#define NET_TAP "tap0"
#define NET_UPLINK "veth0"

/* An address that a name resolved to, for one fqdn rule. */
struct net_element {
    size_t rule; /* index into egress.rules */
    int family;
    unsigned char addr[16];
    uint32_t timeout_s;
};

#define NET_SET_NAME_SIZE 32

/* The set of a fqdn rule, "n1a2b3c4d_12_6". Its name holds the policy's mark, so that an answer
 * that was judged by an older policy cannot get into a newer one's set. */
void net_rules_set_name(uint32_t mark, size_t rule, int family, char ret[NET_SET_NAME_SIZE]);

/* The chain that says which policy a table carries out. */
void net_rules_mark_name(uint32_t mark, char ret[NET_SET_NAME_SIZE]);

struct net_rules {
    const struct net_policy *policy;
    const struct net_pool *pool;
    const struct net_slot_addr *addr;
    const struct net_element *elements; /* for the sets, from the start */
    size_t n_elements;
    /* The policy that is in the table now, and its mark; NULL: make the table anew. */
    const struct net_policy *old;
    uint32_t old_mark;
};

/* A number that is different for policies whose rules differ, never 0. */
int net_rules_mark(const struct net_rules *in, uint32_t *ret);

/* One transaction that puts the policy into the table of its namespace. -ENOMEM. */
int net_rules_compile(const struct net_rules *in, uint32_t mark, struct buf *ret);

/* What the host must let through for this policy: the rules of a chain, empty when there is
 * nothing that only the host could refuse. -ENOMEM. */
int net_rules_host(const struct net_rules *in, struct buf *ret);
