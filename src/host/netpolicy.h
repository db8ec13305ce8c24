/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is inside a network policy, for the two that carry it out: the compiler of rules
 * (net_rules.h) and the resolver (dns.h). The calls on it are in net.h.
 *
 * A policy does not change after it was parsed; it is shared by reference. Any thread. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "host/net.h"
#include "host/net_addr.h"

enum net_protocol { NET_ANY, NET_TCP, NET_UDP };

struct net_rule {
    bool allow;
    char *name; /* kind fqdn: lower case, may begin with "*."; NULL: kind cidr */
    struct net_cidr cidr;
    enum net_protocol protocol;
    uint16_t port_first; /* 0: any */
    uint16_t port_last;
    char *description; /* NULL: none */
};

struct net_axis {
    bool allow; /* the default */
    struct net_rule *rules;
    size_t n;
};

struct net_policy {
    _Atomic int refs;
    struct net_axis ingress;
    struct net_axis egress;
    struct {
        bool allow_listed; /* mode "allow": only `domains` resolve; else all but them */
        bool block_bypass;
        char **domains;
        size_t n;
    } dns;
};

struct net_policy *net_policy_ref(const struct net_policy *p);
DEFINE_AUTO(struct net_policy *, net_policy_free)
#define auto_policy CLEANUP(net_policy_freep)

/* Lower case, without a final dot. -EINVAL when it is no domain name; with `wildcard` a leading
 * "*." is part of it. */
int net_name_clean(const char *text, bool wildcard, char ret[DNS_NAME_MAX_BYTES + 1]);

/* "*.example.com" matches every name below example.com, but not example.com. Both are clean. */
bool net_name_matches(const char *pattern, const char *name);

/* May this (clean) name be resolved at all, by the dns axis? */
bool net_policy_name_allowed(const struct net_policy *p, const char *name);
/* Could an answer be of use: would the egress axis let anything through to it? */
bool net_policy_name_useful(const struct net_policy *p, const char *name);
/* Does something hang on what names resolve to, so that queries to other resolvers must come to
 * ours? */
bool net_policy_needs_dns(const struct net_policy *p);
