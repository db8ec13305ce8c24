/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The networks of VMs: a namespace, tap, veth and nftables rules each.
 *
 * A *slot* is a network of its own, numbered like the uids of monitors (0 to slots - 1). It is made
 * once, kept, and given to one VM after the other: taking one costs a few system calls, since spare
 * ones are made in the background. The tap belongs to the VM's uid. The monitor itself has no part
 * in it: it gets the tap's descriptor and stays in an empty namespace of its own.
 *
 * What is made has names that begin with the configured prefix, so that a later daemon finds it
 * again, and removes what no VM has. Any thread. */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct net;
struct net_policy;

struct net_config {
    const char *prefix;    /* of namespaces, devices and the host's table: "holm" */
    const char *pool_cidr; /* IPv4 addresses for the veth pairs, two a slot: "10.201.0.0/16" */
    const char *resolver;  /* upstream DNS, "" for the first of /etc/resolv.conf */
    int slots;
    int spare;       /* slots kept ready in the background */
    uid_t uid_first; /* slot i's tap belongs to uid_first + i */
};

/* Makes the host's table. ERR_UNAVAILABLE with the reason when this host cannot (no privileges, no
 * /dev/net/tun, no nftables): the daemon then goes on without networks. */
int net_new(const struct net_config *config, struct net **ret, struct err *e);
/* Slots of VMs that live on stay; everything else of ours is removed. */
void net_free(struct net *n);

/* A slot of a VM of a former daemon: it and its connections are not touched. To be called before
 * the first net_take. */
int net_adopt(struct net *n, int slot, const struct net_policy *policy, struct err *e);
/* After the adoptions: removes what is left over, starts making spare ones. */
int net_start(struct net *n, struct err *e);

/* Gives the network `slot` its policy and *ret_tap_fd, a descriptor of its tap, which the caller
 * closes once the monitor has it. */
int net_take(struct net *n, int slot, const struct net_policy *policy, int *ret_tap_fd,
             struct err *e);
/* Connections end, counters and DNS state are dropped; nothing of the old VM meets the next. */
void net_give_back(struct net *n, int slot);

/* Replaces the policy of a running VM, all of it at one moment. Connections that the new policy
 * does not allow end. */
int net_apply(struct net *n, int slot, const struct net_policy *policy, struct err *e);

struct net_stats {
    uint64_t rx_bytes; /* as the guest sees it */
    uint64_t tx_bytes;
    char host_address[46]; /* IPv4 at which the host reaches the guest */
};
int net_get_stats(struct net *n, int slot, struct net_stats *ret, struct err *e);

/* --- policies (netpolicy.c; pure) --- */

/* From JSON in the shape of docs/native.md, or the older {"mode", "ingress": [{protocol, portStart,
 * portEnd, sourceCidrs}]}; NULL or JSON null is the default policy. ERR_INVALID with the field
 * ("firewall.egress.rules[2].ports"). */
int net_policy_parse(json_t *json, struct net_policy **ret, struct err *e);
void net_policy_free(struct net_policy *p);
/* The whole policy, defaults filled in, in the newer shape. */
json_t *net_policy_json(const struct net_policy *p);
/* Replaces the axes that `json` gives ("ingress", "egress", "dns"). */
int net_policy_merge(const struct net_policy *p, json_t *json, struct net_policy **ret,
                     struct err *e);
