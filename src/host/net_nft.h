/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Talking to netfilter: whole rulesets as text through libnftables, and what has to be quick or is
 * not in that language (elements of sets, conntrack) over nfnetlink. Each handle belongs to the
 * namespace it was opened in, whatever thread uses it, and to one thread at a time.
 *
 * A handle is closed only where time does not matter: the kernel then waits for the transactions
 * before to be over and done with, which takes up to 50 ms. */

#include <libmnl/libmnl.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "host/net_addr.h"
#include "host/net_rules.h"

struct nft_ctx;

/* Opens in the calling thread's namespace; -ENOMEM and the like. */
int net_nft_open(struct nft_ctx **ret);
void net_nft_close(struct nft_ctx *nft); /* NULL is fine */
/* One transaction. ERR_INTERNAL with what nftables says. */
int net_nft_run(struct nft_ctx *nft, const char *text, struct err *e);

int net_nfnl_open(struct mnl_socket **ret);
void net_nfnl_close(struct mnl_socket *s); /* NULL is fine */
DEFINE_AUTO(struct mnl_socket *, net_nfnl_close)
#define auto_nfnl CLEANUP(net_nfnl_closep)

/* Is that chain in the slot's table? 0, -ENOENT. */
int net_nfnl_find_chain(struct mnl_socket *s, const char *chain);
/* Puts an address into a set of the slot's table; its time begins anew when it is in there.
 * -ENOENT: no such set. */
int net_nfnl_add_element(struct mnl_socket *s, uint32_t mark, const struct net_element *el);

/* Forgets all connections of the namespace. */
int net_nfnl_flush_connections(struct mnl_socket *s);
/* Forgets those from or to one address. */
int net_nfnl_drop_connections(struct mnl_socket *s, const struct net_cidr *address);
