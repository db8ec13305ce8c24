/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A network policy of the native API from what stands on the command line. Thread: the main one. */

#include <jansson.h>

#include "cli/cli.h"

/* From --firewall FILE, or --no-outbound, --allow and --allow-in; NULL when there is none of them.
 * ERR_INVALID when they contradict each other or make no sense. */
int firewall_gather(struct cli *cli, const struct options *o, json_t **ret, struct err *e);

/* A whole policy from a file, "-": from standard input. */
int firewall_read(struct cli *cli, const char *path, json_t **ret, struct err *e);

/* CIDR[:PORTS] or NAME[:PORTS] as rules that allow it, one for each range of ports, appended to
 * `rules`: "10.0.0.0/8", "192.0.2.7:443", "[fd00::/8]:80,8000-8080", "*.example.com:53/udp". */
int firewall_add_rules(json_t *rules, const char *text, struct err *e);
