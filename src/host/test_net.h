/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A world for tests of networks: a "host" that is a namespace of the test's own, an "outside" with
 * hosts behind it, and guests whose kernel is the test's own too. A guest is a namespace with a tap
 * device; a thread carries frames between that and the tap that net_take gave, as a monitor would.
 * The real host's devices, rules and settings are not touched, and all is gone with the process.
 *
 *     guest 172.16.0.2 -- slot (net.c) -- host 192.0.2.1 -- outside 192.0.2.10, 198.51.100.x, ...
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "host/net.h"

#define WORLD_POOL "10.77.0.0/16"
#define WORLD_HOST4 "192.0.2.1"
#define WORLD_HOST6 "2001:db8::1"
/* Hosts of the outside. */
#define WORLD_A4 "198.51.100.1"
#define WORLD_B4 "198.51.100.2"
#define WORLD_A6 "2001:db8:a::1"
#define WORLD_B6 "2001:db8:b::1"
#define WORLD_METADATA "169.254.169.254" /* the outside has it, and the host a route to it */
#define WORLD_DNS "192.0.2.10"

/* Once a process, before any thread. False, with a reason on stderr, when this host cannot. */
bool world_make(void);

extern int world_host, world_outside; /* namespaces */

struct guest {
    int ns;
    int tap;   /* the slot's */
    int inner; /* the guest's */
    int stop[2];
    uint64_t pump;
};
/* Takes over `tap`. */
void guest_start(struct guest *g, const char *name, int tap);
void guest_stop(struct guest *g);

/* A socket in a namespace; fails the test when it cannot be made. */
int net_socket(int ns, const char *address, int type);
/* For what only has to be there. */
#define auto_there auto_close __attribute__((unused))
/* Bound to ADDRESS:PORT, listening when it is a stream. */
int net_server(int ns, const char *address, int port, int type);
/* 0 or a negative errno: what a connection comes to. *ret_fd (may be NULL) stays connected. */
int net_connect(int ns, const char *address, int port, int *ret_fd);
/* Begins to connect and does not wait. */
int net_connect_begin(int ns, const char *address, int port);
/* A datagram, from a fresh socket or `fd` >= 0; 0 or a negative errno. Returns the fd. */
int net_send(int fd, const char *address, int port, const char *text);
/* Waits until a datagram is there, which must be `text`. */
void net_expect(int fd, const char *text);
/* Nothing is there now. */
bool net_is_empty(int fd);
/* Waits until the socket has something to say: 0 data, -ENODATA end, a negative errno. */
int net_wait(int fd);

/* Both ends of a connection that lives. */
struct net_pair {
    int client, server;
};
/* To ADDRESS:PORT, where `listener` listens. */
struct net_pair net_pair_make(int ns, const char *address, int port, int listener);
void net_pair_done(struct net_pair *p);
#define auto_pair CLEANUP(net_pair_done)
/* Something goes both ways. */
void net_pair_talks(const struct net_pair *p);
/* It has ended: who speaks at this end is told. */
void net_is_cut(int fd);

struct net_policy *policy_of(const char *json);
