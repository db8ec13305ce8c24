/* SPDX-License-Identifier: Apache-2.0 */

/* The shape that policies had before they had axes, which clients still send: only inbound.
 *
 *     {"mode": "open" | "restricted",
 *      "ingress": [{"protocol": "tcp", "portStart": 8080, "portEnd": 8090,
 *                   "sourceCidrs": ["2001:db8::/32"], "description": "..."}]}
 *
 * "open" lets all in; "restricted" only what a rule lists. Without "portEnd" it is one port,
 * without "sourceCidrs" any source. A rule becomes one of ours for each of its sources. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/netpolicy_json.h"

#define PATH_SIZE 64

bool net_policy_is_old(json_t *json)
{
    return json_object_get(json, "mode") || json_is_array(json_object_get(json, "ingress"));
}

static int parse_port(json_t *json, const char *path, uint16_t *ret, struct err *e)
{
    json_int_t port = json_is_integer(json) ? json_integer_value(json) : 0;
    if (port < 1 || port > UINT16_MAX)
        return err_field(e, path, "%s must be a port, 1 to 65535", path);
    *ret = (uint16_t)port;
    return 0;
}

static int add_source(struct net_axis *axis, const struct net_rule *like, const char *cidr,
                      const char *path, struct err *e)
{
    struct net_rule rule = *like;
    if (axis->n >= NET_RULES_MAX)
        return err_field(e, "firewall.ingress", "firewall.ingress has more than %d sources",
                         NET_RULES_MAX);
    if (net_cidr_parse(cidr, &rule.cidr) < 0)
        return err_field(e, path, "%s must be a range of addresses (\"2001:db8::/32\")", path);
    if (like->description && !(rule.description = strdup(like->description)))
        return err_errno(e, -ENOMEM, "firewall");
    int r = net_axis_add(axis, &rule);
    if (r < 0) {
        free(rule.description);
        return err_errno(e, r, "firewall");
    }
    return 0;
}

static int add_sources(json_t *cidrs, const char *path, const struct net_rule *like,
                       struct net_axis *axis, struct err *e)
{
    char at[PATH_SIZE], item[PATH_SIZE];
    snprintf(at, sizeof(at), "%s.sourceCidrs", path);
    int r = 0;
    if (cidrs && !json_is_null(cidrs))
        r = net_json_array(cidrs, at, NET_RULES_MAX, e);
    for (size_t i = 0; r == 0 && i < json_array_size(cidrs); i++) {
        json_t *cidr = json_array_get(cidrs, i);
        const char *text = json_is_string(cidr) ? json_string_value(cidr) : "";
        snprintf(item, sizeof(item), "%s[%zu]", at, i);
        r = add_source(axis, like, strlen(text) == json_string_length(cidr) ? text : "", item, e);
    }
    if (r == 0 && !json_array_size(cidrs))
        r = add_source(axis, like, "0.0.0.0/0", at, e);
    if (r == 0 && !json_array_size(cidrs))
        r = add_source(axis, like, "::/0", at, e);
    return r;
}

static int parse_rule(json_t *json, const char *path, struct net_axis *axis, struct err *e)
{
    static const char *const members[] = {"protocol",    "portStart",   "portEnd",
                                          "sourceCidrs", "description", NULL};
    static const char *const protocols[] = {"tcp", "udp", NULL};
    struct net_rule rule = {.allow = true};
    char at[PATH_SIZE];
    json_t *end = json_object_get(json, "portEnd"), *protocol = json_object_get(json, "protocol");
    int index = 0;
    int r = net_json_members(json, path, members, e);
    snprintf(at, sizeof(at), "%s.protocol", path);
    if (r == 0 && !protocol)
        r = err_field(e, at, "%s is required", at);
    if (r == 0)
        r = net_json_choice(protocol, at, protocols, &index, e);
    rule.protocol = index == 0 ? NET_TCP : NET_UDP;
    snprintf(at, sizeof(at), "%s.portStart", path);
    if (r == 0)
        r = parse_port(json_object_get(json, "portStart"), at, &rule.port_first, e);
    rule.port_last = rule.port_first;
    snprintf(at, sizeof(at), "%s.portEnd", path);
    if (r == 0 && end && !json_is_null(end))
        r = parse_port(end, at, &rule.port_last, e);
    if (r == 0 && rule.port_last < rule.port_first)
        r = err_field(e, at, "%s: the range ends before it begins", at);
    auto_free char *description = NULL;
    snprintf(at, sizeof(at), "%s.description", path);
    if (r == 0)
        r = net_json_description(json_object_get(json, "description"), at, &description, e);
    rule.description = description;
    return r == 0 ? add_sources(json_object_get(json, "sourceCidrs"), path, &rule, axis, e) : r;
}

int net_policy_parse_old(json_t *json, struct net_policy *p, struct err *e)
{
    static const char *const members[] = {"mode", "ingress", NULL};
    static const char *const modes[] = {"restricted", "open", NULL};
    json_t *rules = json_object_get(json, "ingress");
    char item[PATH_SIZE];
    int mode = 0;
    int r = net_json_members(json, "firewall", members, e);
    if (r == 0)
        r = net_json_choice(json_object_get(json, "mode"), "firewall.mode", modes, &mode, e);
    p->ingress.allow = mode == 1;
    if (r == 0 && rules && !json_is_null(rules))
        r = net_json_array(rules, "firewall.ingress", NET_RULES_MAX, e);
    for (size_t i = 0; r == 0 && i < json_array_size(rules); i++) {
        snprintf(item, sizeof(item), "firewall.ingress[%zu]", i);
        r = parse_rule(json_array_get(rules, i), item, &p->ingress, e);
    }
    return r;
}
