/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What net.c (who has which slot, threads), net_slot.c (what a slot is made of) and net_host.c (the
 * host's side of all slots) share. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/dns.h"
#include "host/net.h"
#include "host/net_addr.h"
#include "host/net_nft.h"
#include "host/net_rules.h"

enum net_slot_state {
    NET_SLOT_NONE,  /* there is nothing of it on the host */
    NET_SLOT_READY, /* made, with the default policy and a tap that nobody has */
    NET_SLOT_TAKEN, /* a VM's */
    NET_SLOT_DIRTY, /* was a VM's: to be cleaned before the next one gets it */
};

/* `state` and `busy` belong to net.lock. The rest belongs to whoever has set `busy`. */
struct net_slot {
    enum net_slot_state state;
    bool busy;
    int ns_fd;
    int tap_fd; /* READY only */
    struct nft_ctx *nft;
    struct net_policy *policy; /* that is in the namespace's table */
    uint32_t mark;
    bool host_open; /* the host's table has, or may have, a chain for it */
};

struct net {
    char prefix[NET_PREFIX_MAX_BYTES + 1];
    struct net_pool pool;
    uint32_t group; /* of the host's veth ends: tells ours from others, atomically at birth */
    int claim;      /* of the prefix, against other daemons */
    uid_t uid_first;
    int n_slots;
    int spare;
    bool ipv6; /* this host speaks it */
    struct net_policy *default_policy;
    struct dns *dns;

    pthread_mutex_t host_lock; /* `host_nft`, `host_nfnl`: a leaf, held over one transaction */
    struct nft_ctx *host_nft;
    struct mnl_socket *host_nfnl;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* a slot's state or busy, or `stopping` */
    struct net_slot *slots;
    bool stopping;
    bool keeper_runs;
    bool failing; /* the keeper could not make a slot; the next event makes it try again */
    pthread_t keeper;

    struct mnl_socket *watch; /* the watcher's (net_watch.c) */
    int watch_stop;
    pthread_t watcher;
    bool watcher_runs;
};

/* --- net.c --- */

/* Lets each VM reach of the host what its policy names, after the host's table was made anew. */
void net_reopen_slots(struct net *n);

/* --- net_host.c --- */

/* The host's table and forwarding; keeps what is there of slots. */
int net_host_init(struct net *n, struct err *e);
void net_host_done(struct net *n, bool remove_table);
int net_host_restore(struct net *n, struct err *e); /* the table, which somebody removed */
/* Lets the slot reach what `rules` (net_rules_host) names; "": nothing of the host. */
int net_host_open(struct net *n, int slot, const char *rules, struct err *e);
/* The host's own memory of the slot's connections. */
int net_host_forget(struct net *n, int slot, struct err *e);

/* --- net_slot.c: the caller has set `busy` --- */

void net_slot_name(const struct net *n, int slot, char ret[16]);    /* device on the host */
void net_slot_ns_name(const struct net *n, int slot, char ret[24]); /* namespace */

/* NONE -> what READY needs. After a failure nothing is left. */
int net_slot_make(struct net *n, int slot, struct err *e);
/* NONE -> what TAKEN needs, from what a former daemon made. Nothing is changed by a failure. */
int net_slot_adopt(struct net *n, int slot, const struct net_policy *policy, struct err *e);
/* DIRTY -> what READY needs. */
int net_slot_clean(struct net *n, int slot, struct err *e);
/* Takes all of it off the host, whatever there is. */
void net_slot_remove(struct net *n, int slot);
void net_slot_remove_names(struct net *n, int slot); /* also of a slot beyond n_slots */
/* Forgets it, but leaves it on the host. */
void net_slot_release(struct net *n, int slot);

int net_slot_apply(struct net *n, int slot, const struct net_policy *policy, struct err *e);
/* The host's part of its policy once more. */
int net_slot_reopen_host(struct net *n, int slot, struct err *e);
int net_slot_stats(struct net *n, int slot, struct net_stats *ret, struct err *e);

/* --- net_sweep.c --- */

extern const char net_host_mac[6]; /* of all our devices on the host */

/* The number after `prefix`, -1 when the name is not of that form. */
int net_number_after(const char *name, const char *prefix);
/* Removes what has our names, but belongs to no slot that is known. */
int net_sweep(struct net *n, struct err *e);

/* --- net_watch.c --- */

int net_watch_start(struct net *n, struct err *e);
void net_watch_stop(struct net *n);
