/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Network namespaces with names, in /run/netns as iproute2 has them (`ip netns exec NAME ...` works
 * on ours). Any thread; all return 0 or a negative errno. */

#include <stdbool.h>

#define NET_NS_DIR "/run/netns"

/* Makes a new one called `name` (-EEXIST) and returns a descriptor of it. */
int net_ns_make(const char *name);
int net_ns_open(const char *name);
/* The name goes at once; the namespace itself with the last process or descriptor in it. What is
 * not there is fine. */
int net_ns_remove(const char *name);

/* A descriptor of the caller's own. */
int net_ns_home(void);

/* Runs fn(arg) inside the namespace and returns what it does. It runs in a short-lived thread of
 * its own, so whatever happens no thread of ours stays behind in a guest's network. */
int net_ns_run(int ns_fd, int (*fn)(void *arg), void *arg);

/* Writes /proc/sys/net/NAME of the calling thread's namespace; a value that is there already is
 * fine, also where /proc/sys is read-only. */
int net_ns_sysctl(const char *name, const char *value);
/* The first character of the setting, 0 when there is none. */
char net_ns_sysctl_get(const char *name);
