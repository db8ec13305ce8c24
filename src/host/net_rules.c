/* SPDX-License-Identifier: Apache-2.0 */
#include "host/net_rules.h"

#include <errno.h>
#include <string.h>

/* Theory.
 *
 * Everything that passes between tap and uplink is judged as a *connection*, not as a packet: rules
 * look at the connection's first packet as conntrack remembers it ("ct original"), so a packet of
 * either direction, and an ICMP error about it, comes to the same verdict. What is let through gets
 * the policy's mark on its connection; packets of a connection with the mark of the present policy
 * pass at once. A new policy has a new mark, so every connection that lives is judged again by it,
 * at its next packet: it goes on under the new mark or ends (TCP: with a reset to both sides).
 * There is no moment at which neither policy holds, nothing to flush, and a policy that is put in
 * again after the daemon was restarted has the same mark, since that is a hash of its rules.
 *
 * The base chains and their hooks are made once. A policy change flushes and refills all chains in
 * one transaction; making a base chain anew would lose packets while the old one waits for its end.
 *
 * Guarded ranges: a rule that allows counts for a guarded address only if its range lies inside a
 * guarded one. So "allow 0.0.0.0/0" has an unwritten "but not those".
 *
 * Source addresses are checked before conntrack sees a packet: a guest cannot fill the table with
 * connections of others. */

static const char *const base_chains =
    "chain source {\ntype filter hook prerouting priority raw; policy accept;\n"
    "iifname \"" NET_TAP "\" ip saddr != " NET_GUEST4 " drop\n"
    "iifname \"" NET_TAP "\" ip6 saddr != { " NET_GUEST6 ", fe80::/10, :: } drop\n"
    "}\n"
    "chain input {\ntype filter hook input priority filter; policy drop;\n"
    "iifname != \"" NET_TAP "\" drop\n"
    "meta l4proto { tcp, udp } th dport 53 accept\n"
    "icmp type echo-request accept\n"
    "icmpv6 type { echo-request, nd-neighbor-solicit, nd-neighbor-advert } accept\n"
    "ct state related accept\n"
    "goto refuse\n"
    "}\n"
    "chain refuse {\n"
    "meta l4proto tcp reject with tcp reset\n"
    "iifname \"" NET_TAP "\" reject with icmpx admin-prohibited\n"
    "drop\n"
    "}\n";

static const char *family_word(int family)
{
    return family == AF_INET ? "ip" : "ip6";
}

void net_rules_set_name(uint32_t mark, size_t rule, int family, char ret[NET_SET_NAME_SIZE])
{
    snprintf(ret, NET_SET_NAME_SIZE, "n%08x_%zu_%d", mark, rule, family == AF_INET ? 4 : 6);
}

void net_rules_mark_name(uint32_t mark, char ret[NET_SET_NAME_SIZE])
{
    snprintf(ret, NET_SET_NAME_SIZE, "m%08x", mark);
}

/* --- sets --- */

static void put_guarded(struct buf *b, const struct net_pool *pool)
{
    struct net_cidr all[NET_GUARDED_MAX];
    char text[NET_CIDR_SIZE];
    size_t n = net_guarded(pool, all);
    for (int family = AF_INET; family; family = family == AF_INET ? AF_INET6 : 0) {
        const char *comma = "";
        buf_printf(b, "set guarded%c {\ntype %s; flags interval;\nelements = { ",
                   family == AF_INET ? '4' : '6', family == AF_INET ? "ipv4_addr" : "ipv6_addr");
        for (size_t i = 0; i < n; i++) {
            if (all[i].family != family)
                continue;
            net_cidr_text(&all[i], text);
            buf_printf(b, "%s%s", comma, text);
            comma = ", ";
        }
        buf_append_str(b, " }\n}\n");
    }
}

static void put_elements(struct buf *b, const struct net_rules *in, size_t rule, int family)
{
    char text[INET6_ADDRSTRLEN];
    const char *before = "elements = { ";
    for (size_t i = 0; i < in->n_elements; i++) {
        const struct net_element *el = &in->elements[i];
        if (el->rule != rule || el->family != family)
            continue;
        inet_ntop(family, el->addr, text, sizeof(text));
        buf_printf(b, "%s%s timeout %us", before, text, el->timeout_s);
        before = ", ";
    }
    if (*before == ',')
        buf_append_str(b, " }\n");
}

static void put_sets(struct buf *b, const struct net_rules *in, uint32_t mark)
{
    char name[NET_SET_NAME_SIZE];
    for (size_t i = 0; i < in->policy->egress.n; i++) {
        if (!in->policy->egress.rules[i].name)
            continue;
        net_rules_set_name(mark, i, AF_INET, name);
        buf_printf(b, "set %s {\ntype ipv4_addr; flags timeout;\n", name);
        put_elements(b, in, i, AF_INET);
        net_rules_set_name(mark, i, AF_INET6, name);
        buf_printf(b, "}\nset %s {\ntype ipv6_addr; flags timeout;\n", name);
        put_elements(b, in, i, AF_INET6);
        buf_append_str(b, "}\n");
    }
}

/* --- rules --- */

static void put_ports(struct buf *b, const struct net_rule *r)
{
    if (r->protocol == NET_ANY)
        return;
    buf_printf(b, "meta l4proto %s ", r->protocol == NET_TCP ? "tcp" : "udp");
    if (r->port_first == r->port_last && r->port_first)
        buf_printf(b, "ct original proto-dst %d ", r->port_first);
    else if (r->port_first)
        buf_printf(b, "ct original proto-dst %d-%d ", r->port_first, r->port_last);
}

static void put_allow(struct buf *b, uint32_t mark)
{
    buf_printf(b, "ct mark set 0x%08x accept\n", mark);
}

/* `side` is daddr for egress, saddr for ingress. */
static void put_cidr_match(struct buf *b, const struct net_cidr *c, const char *side)
{
    char text[NET_CIDR_SIZE];
    net_cidr_text(c, text);
    if (c->bits)
        buf_printf(b, "ct original %s %s %s ", family_word(c->family), side, text);
    else
        buf_printf(b, "meta nfproto %s ", c->family == AF_INET ? "ipv4" : "ipv6");
}

static void put_egress_rule(struct buf *b, const struct net_rules *in, size_t i, uint32_t mark)
{
    const struct net_rule *r = &in->policy->egress.rules[i];
    char set[NET_SET_NAME_SIZE];
    bool guard = r->allow && (r->name || !net_cidr_is_guarded(in->pool, &r->cidr));
    int first = r->name ? AF_INET : r->cidr.family, last = r->name ? AF_INET6 : r->cidr.family;
    for (int family = first; family; family = family == last ? 0 : last) {
        net_rules_set_name(mark, i, family, set);
        if (r->name)
            buf_printf(b, "ct original %s daddr @%s ", family_word(family), set);
        else
            put_cidr_match(b, &r->cidr, "daddr");
        if (guard)
            buf_printf(b, "ct original %s daddr != @guarded%c ", family_word(family),
                       family == AF_INET ? '4' : '6');
        put_ports(b, r);
        if (r->allow)
            put_allow(b, mark);
        else
            buf_append_str(b, "goto refuse\n");
    }
}

static void put_bypass(struct buf *b)
{
    buf_append_str(b, "meta l4proto { tcp, udp } ct original proto-dst { 53, 853 } goto refuse\n");
    for (size_t i = 0; net_doh_address(i); i++)
        buf_printf(b, "ct original %s daddr %s goto refuse\n",
                   strchr(net_doh_address(i), ':') ? "ip6" : "ip", net_doh_address(i));
}

static void put_egress(struct buf *b, const struct net_rules *in, uint32_t mark)
{
    const struct net_axis *a = &in->policy->egress;
    buf_append_str(b, "chain egress {\n"
                      "ct original ip saddr != " NET_GUEST4 " drop\n"
                      "ct original ip6 saddr != " NET_GUEST6 " drop\n");
    if (in->policy->dns.block_bypass)
        put_bypass(b);
    else if (net_policy_needs_dns(in->policy))
        buf_append_str(b, "meta l4proto { tcp, udp } ct original proto-dst 53 goto refuse\n");
    for (size_t i = 0; i < a->n; i++)
        put_egress_rule(b, in, i, mark);
    if (a->allow) {
        buf_append_str(b, "ct original ip daddr @guarded4 goto refuse\n"
                          "ct original ip6 daddr @guarded6 goto refuse\n");
        put_allow(b, mark);
    }
    buf_append_str(b, "goto refuse\n}\n");
}

/* Who was let in by a former policy is told; who never was is not answered. */
static void put_ingress(struct buf *b, const struct net_rules *in, uint32_t mark)
{
    const struct net_axis *a = &in->policy->ingress;
    buf_append_str(b, "chain ingress {\n");
    for (size_t i = 0; i < a->n; i++) {
        put_cidr_match(b, &a->rules[i].cidr, "saddr");
        put_ports(b, &a->rules[i]);
        if (a->rules[i].allow)
            put_allow(b, mark);
        else
            buf_append_str(b, "goto shut\n");
    }
    if (a->allow)
        put_allow(b, mark);
    buf_append_str(b, "goto shut\n}\n");
}

static void put_forward(struct buf *b, uint32_t mark)
{
    buf_printf(b,
               "chain forward {\ntype filter hook forward priority filter; policy drop;\n"
               "ct state invalid drop\n"
               "ct mark 0x%08x accept\n"
               "ct state new ct count over %d drop\n"
               "iifname \"" NET_TAP "\" ct direction original goto egress\n"
               "iifname \"" NET_UPLINK "\" ct direction reply goto egress\n"
               "iifname \"" NET_UPLINK "\" ct direction original goto ingress\n"
               "iifname \"" NET_TAP "\" ct direction reply goto ingress\n"
               "}\n",
               mark, NET_FLOWS_MAX);
}

static void put_nat(struct buf *b, const struct net_rules *in)
{
    const struct net_slot_addr *a = in->addr;
    buf_append_str(b,
                   "chain to_guest {\ntype nat hook prerouting priority dstnat; policy accept;\n");
    if (net_policy_needs_dns(in->policy))
        buf_append_str(b, "iifname \"" NET_TAP "\" meta l4proto { tcp, udp } th dport 53 "
                          "redirect\n");
    buf_printf(b,
               "iifname \"" NET_UPLINK "\" ip daddr %s dnat ip to " NET_GUEST4 "\n"
               "iifname \"" NET_UPLINK "\" ip6 daddr %s dnat ip6 to " NET_GUEST6 "\n}\n",
               a->ns4_text, a->ns6_text);
    buf_printf(b,
               "chain from_guest {\ntype nat hook postrouting priority srcnat; policy accept;\n"
               "oifname \"" NET_UPLINK "\" ip saddr " NET_GUEST4 " snat ip to %s\n"
               "oifname \"" NET_UPLINK "\" ip6 saddr " NET_GUEST6 " snat ip6 to %s\n}\n",
               a->ns4_text, a->ns6_text);
}

/* --- the whole --- */

static void put_table(struct buf *b, const struct net_rules *in, uint32_t mark)
{
    char name[NET_SET_NAME_SIZE];
    net_rules_mark_name(mark, name);
    buf_printf(b, "table inet " NET_TABLE " {\nchain %s {\n}\n", name);
    put_guarded(b, in->pool);
    put_sets(b, in, mark);
    buf_append_str(b, base_chains);
    buf_append_str(b,
                   "chain shut {\nct mark != 0 meta l4proto tcp reject with tcp reset\ndrop\n}\n");
    put_egress(b, in, mark);
    put_ingress(b, in, mark);
    put_forward(b, mark);
    put_nat(b, in);
    buf_append_str(b, "}\n");
}

static void put_remove_old(struct buf *b, const struct net_rules *in)
{
    static const char *const chains[] = {"source", "input", "forward",  "egress",    "ingress",
                                         "refuse", "shut",  "to_guest", "from_guest"};
    char name[NET_SET_NAME_SIZE];
    for (size_t i = 0; i < ARRAY_SIZE(chains); i++)
        buf_printf(b, "flush chain inet " NET_TABLE " %s\n", chains[i]);
    for (size_t i = 0; i < in->old->egress.n; i++) {
        if (!in->old->egress.rules[i].name)
            continue;
        net_rules_set_name(in->old_mark, i, AF_INET, name);
        buf_printf(b, "delete set inet " NET_TABLE " %s\n", name);
        net_rules_set_name(in->old_mark, i, AF_INET6, name);
        buf_printf(b, "delete set inet " NET_TABLE " %s\n", name);
    }
    net_rules_mark_name(in->old_mark, name);
    buf_printf(b, "delete chain inet " NET_TABLE " %s\n", name);
}

int net_rules_compile(const struct net_rules *in, uint32_t mark, struct buf *ret)
{
    if (in->old)
        put_remove_old(ret, in);
    else
        buf_append_str(ret, "table inet " NET_TABLE "\ndelete table inet " NET_TABLE "\n");
    put_table(ret, in, mark);
    return ret->failed ? -ENOMEM : 0;
}

/* FNV-1a over the rules as they are with the mark 0 and empty sets. */
int net_rules_mark(const struct net_rules *in, uint32_t *ret)
{
    struct net_rules bare = *in;
    auto_buf struct buf text = {0};
    uint64_t hash = 0xcbf29ce484222325u;
    bare.n_elements = 0;
    put_table(&text, &bare, 0);
    if (text.failed)
        return -ENOMEM;
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.data[i]) * 0x100000001b3u;
    /* The names of a rule's set are not in the text, but what is in the set depends on them. */
    for (size_t i = 0; i < in->policy->egress.n; i++)
        for (const char *s = in->policy->egress.rules[i].name; s && *s; s++)
            hash = (hash ^ (unsigned char)*s) * 0x100000001b3u;
    uint32_t mark = (uint32_t)(hash ^ hash >> 32);
    *ret = mark ? mark : 1;
    return 0;
}

/* The host itself refuses what a slot sends to one of the host's addresses or of the guarded
 * ranges. A rule names such a thing when it lies in a guarded range, or is one address. */
int net_rules_host(const struct net_rules *in, struct buf *ret)
{
    for (size_t i = 0; i < in->policy->egress.n; i++) {
        const struct net_rule *r = &in->policy->egress.rules[i];
        char text[NET_CIDR_SIZE];
        if (!r->allow || r->name ||
            (!net_cidr_is_host(&r->cidr) && !net_cidr_is_guarded(in->pool, &r->cidr)))
            continue;
        net_cidr_text(&r->cidr, text);
        buf_printf(ret, "%s daddr %s ", family_word(r->cidr.family), text);
        if (r->protocol != NET_ANY)
            buf_printf(ret, "meta l4proto %s ", r->protocol == NET_TCP ? "tcp" : "udp");
        if (r->port_first)
            buf_printf(ret, "th dport %d-%d ", r->port_first, r->port_last);
        buf_append_str(ret, "accept\n");
    }
    return ret->failed ? -ENOMEM : 0;
}
