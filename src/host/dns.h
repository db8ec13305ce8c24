/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The resolver that guests ask: a forwarder at the gateway of every slot, one thread for all. It
 * applies the dns axis of the slot's policy, and puts the addresses it passes on into the sets of
 * the policy's fqdn rules, before the guest learns them. */

#include <libmnl/libmnl.h>

#include "base/err.h"
#include "host/net_rules.h"
#include "host/netpolicy.h"

struct dns;

struct dns_config {
    const char *resolver; /* "ADDRESS" or "ADDRESS:PORT"; "": the first of /etc/resolv.conf */
    int slots;
};
int dns_new(const struct dns_config *config, struct dns **ret, struct err *e);
void dns_free(struct dns *d); /* NULL is fine */

/* What it needs of a slot's namespace. */
struct dns_sockets {
    int udp;
    int tcp;
    struct mnl_socket *nfnl; /* to fill sets with */
};
#define DNS_SOCKETS_INIT             \
    {                                \
        .udp = -EBADF, .tcp = -EBADF \
    }
int dns_sockets_open(struct dns_sockets *ret); /* udp and tcp, in the calling thread's namespace */
void dns_sockets_close(struct dns_sockets *s);

/* Any thread. Takes the sockets when it returns 0. */
int dns_open(struct dns *d, int slot, struct dns_sockets *sockets);
void dns_close(struct dns *d, int slot); /* not open is fine */

/* From now on questions are judged by this policy, and sets of this mark are filled. NULL: all are
 * refused. Any thread; does not block. */
void dns_set_policy(struct dns *d, int slot, const struct net_policy *policy, uint32_t mark);

/* Of the slot's guest nothing is left: questions on their way, connections, what it learned. */
void dns_forget(struct dns *d, int slot);

/* What the slot's guest was told so far and the fqdn rules of `policy` are about. The caller frees
 * *ret. -ENOMEM. */
int dns_elements(struct dns *d, int slot, const struct net_policy *policy, struct net_element **ret,
                 size_t *ret_n);
