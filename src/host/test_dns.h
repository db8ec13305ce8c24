/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For tests of the resolver: a world (test_net.h) with one guest in slot 0, whose questions end at
 * the test itself, which is their upstream. Its clock is the test's too (link with
 * --wrap=clock_mono_ms). */

#include <stdint.h>
#include <sys/socket.h>

#include "host/dns_msg.h"
#include "host/net_addr.h"
#include "host/netpolicy.h"
#include "host/test_net.h"

#define PORT 8080
#define TYPE_A 1
#define TYPE_AAAA 28

extern struct net *dns_net;
extern struct guest dns_guest;
extern int upstream_udp, upstream_tcp;      /* where the resolver asks */
extern int server_a4, server_b4, server_a6; /* TCP at PORT */
extern _Atomic int64_t clock_ahead_ms;

int dns_setup(void **state); /* for cmocka's groups */
int dns_teardown(void **state);

void apply(const char *json);
int out(const char *address); /* does the guest get there? 0 or a negative errno */

/* --- messages --- */

struct message {
    unsigned char m[4096];
    size_t len;
};

struct message question(unsigned id, const char *name, unsigned type);
/* Turns a question into its answer, without records yet. */
void make_answer(struct message *m);
void add_address(struct message *m, const char *owner, const char *address);
void add_alias(struct message *m, const char *owner, const char *target);
unsigned rcode(const struct message *m);

/* --- talking --- */

int ask(int fd, const char *at, const struct message *q);
void receive(int fd, struct message *ret, struct sockaddr_storage *from);
void reply(const struct message *m, const struct sockaddr_storage *to); /* as upstream */

struct lookup {
    int fd;
    struct message asked; /* as upstream got it */
    struct sockaddr_storage from;
};
void lookup_done(struct lookup *l);
#define auto_lookup CLEANUP(lookup_done)

/* The guest asks, upstream gets it. */
struct lookup begin(const char *name, unsigned type);
/* Upstream answers with `m`, the guest gets the result. */
struct message finish(struct lookup *l, const struct message *m);
/* The whole way for one address: the rcode that the guest gets. */
unsigned resolve(const char *name, const char *address);
/* The rcode that the guest is told without upstream having a part in it. */
unsigned refused(const char *name);
