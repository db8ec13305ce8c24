/* SPDX-License-Identifier: Apache-2.0 */

/* Policies from JSON. Each function takes the path of what it reads, for errors: a client is told
 * "firewall.egress.rules[2].ports", not that something is wrong somewhere. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/netpolicy_json.h"

#define PATH_SIZE 64

static const char *const actions[] = {"deny", "allow", NULL};

static const char *sub(char path[PATH_SIZE], const char *parent, const char *name)
{
    snprintf(path, PATH_SIZE, "%s.%s", parent, name);
    return path;
}

static int parse_port(const char *text, size_t len, uint16_t *ret)
{
    char digits[6];
    if (!len || len >= sizeof(digits) || strspn(text, "0123456789") < len || text[0] == '0')
        return -EINVAL;
    memcpy(digits, text, len);
    digits[len] = '\0';
    int port = atoi(digits);
    if (port > UINT16_MAX)
        return -EINVAL;
    *ret = (uint16_t)port;
    return 0;
}

static int parse_ports(json_t *json, const char *path, struct net_rule *rule, struct err *e)
{
    if (!json)
        return 0;
    const char *text = json_is_string(json) ? json_string_value(json) : "";
    size_t len = strcspn(text, "-");
    uint16_t first = 0, last = 0;
    if (strcmp(text, "any") == 0)
        return 0;
    if (strlen(text) != json_string_length(json) || parse_port(text, len, &first) < 0 ||
        (text[len] && parse_port(text + len + 1, strlen(text + len + 1), &last) < 0))
        return err_field(e, path, "%s must be \"any\", a port (\"443\") or a range (\"8080-8090\")",
                         path);
    if (!text[len])
        last = first;
    if (first > last)
        return err_field(e, path, "%s: the range ends before it begins", path);
    if (rule->protocol == NET_ANY)
        return err_field(e, path, "%s must be \"any\" when the protocol is \"any\"", path);
    rule->port_first = first;
    rule->port_last = last;
    return 0;
}

static int parse_value(json_t *json, const char *path, bool fqdn, struct net_rule *rule,
                       struct err *e)
{
    const char *text = json_is_string(json) ? json_string_value(json) : "";
    bool plain = json_is_string(json) && strlen(text) == json_string_length(json);
    char name[DNS_NAME_MAX_BYTES + 1];
    if (!fqdn)
        return plain && net_cidr_parse(text, &rule->cidr) == 0
                   ? 0
                   : err_field(e, path,
                               "%s must be a range of addresses (\"10.0.0.0/8\", \"::/0\")", path);
    if (!plain || net_name_clean(text, true, name) < 0)
        return err_field(e, path, "%s must be a domain name, \"*.\" only in front of it", path);
    rule->name = strdup(name);
    return rule->name ? 0 : err_errno(e, -ENOMEM, "firewall");
}

static void rule_done(struct net_rule *r)
{
    free(r->name);
    free(r->description);
}

static int parse_rule(json_t *json, const char *path, bool egress, struct net_axis *axis,
                      struct err *e)
{
    static const char *const members[] = {"action", "kind",        "value", "protocol",
                                          "ports",  "description", NULL};
    static const char *const kinds[] = {"cidr", "fqdn", NULL};
    static const char *const ingress_kinds[] = {"cidr", NULL};
    CLEANUP(rule_done) struct net_rule rule = {0};
    char at[PATH_SIZE];
    int action = 0, kind = 0, protocol = NET_ANY;
    int r = net_json_members(json, path, members, e);
    if (r == 0 && !json_object_get(json, "action"))
        r = err_field(e, sub(at, path, "action"), "%s is required", at);
    if (r == 0)
        r = net_json_choice(json_object_get(json, "action"), sub(at, path, "action"), actions,
                            &action, e);
    if (r == 0)
        r = net_json_choice(json_object_get(json, "kind"), sub(at, path, "kind"),
                            egress ? kinds : ingress_kinds, &kind, e);
    if (r == 0)
        r = parse_value(json_object_get(json, "value"), sub(at, path, "value"), kind == 1, &rule,
                        e);
    if (r == 0)
        r = net_json_choice(json_object_get(json, "protocol"), sub(at, path, "protocol"),
                            net_protocol_names, &protocol, e);
    rule.allow = action == 1;
    rule.protocol = (enum net_protocol)protocol;
    if (r == 0)
        r = parse_ports(json_object_get(json, "ports"), sub(at, path, "ports"), &rule, e);
    if (r == 0)
        r = net_json_description(json_object_get(json, "description"), sub(at, path, "description"),
                                 &rule.description, e);
    if (r == 0 && (r = net_axis_add(axis, &rule)) < 0)
        r = err_errno(e, r, "firewall");
    if (r == 0)
        rule = (struct net_rule){0};
    return r;
}

static int parse_axis(json_t *json, const char *path, bool egress, struct net_axis *axis,
                      struct err *e)
{
    static const char *const members[] = {"default", "rules", NULL};
    char at[PATH_SIZE], item[PATH_SIZE];
    int allow = axis->allow;
    int r = net_json_members(json, path, members, e);
    json_t *rules = json_object_get(json, "rules");
    if (r == 0)
        r = net_json_choice(json_object_get(json, "default"), sub(at, path, "default"), actions,
                            &allow, e);
    axis->allow = allow;
    if (r == 0 && rules && !json_is_null(rules))
        r = net_json_array(rules, sub(at, path, "rules"), NET_RULES_MAX, e);
    for (size_t i = 0; r == 0 && i < json_array_size(rules); i++) {
        snprintf(item, sizeof(item), "%s.rules[%zu]", path, i);
        r = parse_rule(json_array_get(rules, i), item, egress, axis, e);
    }
    return r;
}

/* --- dns --- */

static int parse_domain(json_t *json, const char *path, struct net_policy *p, struct err *e)
{
    char name[DNS_NAME_MAX_BYTES + 1];
    const char *text = json_is_string(json) ? json_string_value(json) : "";
    if (strlen(text) != json_string_length(json) || net_name_clean(text, true, name) < 0)
        return err_field(e, path, "%s must be a domain name, \"*.\" only in front of it", path);
    char *copy = strdup(name);
    if (!copy)
        return err_errno(e, -ENOMEM, "firewall");
    p->dns.domains[p->dns.n++] = copy;
    return 0;
}

static int parse_domains(json_t *json, const char *path, struct net_policy *p, struct err *e)
{
    char item[PATH_SIZE];
    if (!json || json_is_null(json))
        return 0;
    int r = net_json_array(json, path, NET_DOMAINS_MAX, e);
    if (r < 0)
        return r;
    p->dns.domains = calloc(json_array_size(json) + 1, sizeof(char *));
    if (!p->dns.domains)
        return err_errno(e, -ENOMEM, "firewall");
    for (size_t i = 0; r == 0 && i < json_array_size(json); i++) {
        snprintf(item, sizeof(item), "%s[%zu]", path, i);
        r = parse_domain(json_array_get(json, i), item, p, e);
    }
    return r;
}

static int parse_dns(json_t *json, const char *path, struct net_policy *p, struct err *e)
{
    static const char *const members[] = {"mode", "domains", "blockBypass", NULL};
    char at[PATH_SIZE];
    int mode = 0;
    int r = net_json_members(json, path, members, e);
    json_t *block = json_object_get(json, "blockBypass");
    if (r == 0)
        r = net_json_choice(json_object_get(json, "mode"), sub(at, path, "mode"), actions, &mode,
                            e);
    p->dns.allow_listed = mode == 1;
    if (r == 0)
        r = parse_domains(json_object_get(json, "domains"), sub(at, path, "domains"), p, e);
    if (r == 0 && block && !json_is_boolean(block))
        r = err_field(e, sub(at, path, "blockBypass"), "%s must be true or false", at);
    p->dns.block_bypass = json_is_true(block);
    return r;
}

/* --- dead rules --- */

/* Is there a name that both match? */
static bool patterns_meet(const char *a, const char *b)
{
    bool wild_a = a[0] == '*', wild_b = b[0] == '*';
    if (!wild_a && !wild_b)
        return strcmp(a, b) == 0;
    if (!wild_a || !wild_b)
        return wild_a ? net_name_matches(a, b) : net_name_matches(b, a);
    return strcmp(a, b) == 0 || net_name_matches(a, b + 2) || net_name_matches(b, a + 2);
}

/* Does `outer` match every name that `inner` does? */
static bool pattern_covers(const char *outer, const char *inner)
{
    if (inner[0] != '*')
        return net_name_matches(outer, inner);
    return strcmp(outer, inner) == 0 || (outer[0] == '*' && net_name_matches(outer, inner + 2));
}

/* No name of this pattern ever resolves. */
static bool is_dead(const struct net_policy *p, const char *pattern)
{
    for (size_t i = 0; i < p->dns.n; i++) {
        const char *domain = p->dns.domains[i];
        if (p->dns.allow_listed ? patterns_meet(domain, pattern) : pattern_covers(domain, pattern))
            return !p->dns.allow_listed;
    }
    return p->dns.allow_listed;
}

static int check_dead_rules(const struct net_policy *p, struct err *e)
{
    char field[PATH_SIZE];
    for (size_t i = 0; i < p->egress.n; i++) {
        const struct net_rule *r = &p->egress.rules[i];
        if (!r->name || !is_dead(p, r->name))
            continue;
        snprintf(field, sizeof(field), "firewall.egress.rules[%zu].value", i);
        return err_field(e, field, "%s can never match: firewall.dns lets no such name resolve",
                         field);
    }
    return 0;
}

/* --- the whole --- */

/* An axis that is not given, or null, stays as it is in `p`. */
static int parse_axes(json_t *json, struct net_policy *p, struct err *e)
{
    static const char *const members[] = {"ingress", "egress", "dns", NULL};
    json_t *ingress = json_object_get(json, "ingress"), *egress = json_object_get(json, "egress");
    json_t *dns = json_object_get(json, "dns");
    int r = net_json_members(json, "firewall", members, e);
    if (r == 0 && ingress && !json_is_null(ingress))
        r = parse_axis(ingress, "firewall.ingress", false, &p->ingress, e);
    if (r == 0 && egress && !json_is_null(egress))
        r = parse_axis(egress, "firewall.egress", true, &p->egress, e);
    if (r == 0 && dns && !json_is_null(dns))
        r = parse_dns(dns, "firewall.dns", p, e);
    return r == 0 ? check_dead_rules(p, e) : r;
}

int net_policy_parse(json_t *json, struct net_policy **ret, struct err *e)
{
    auto_policy struct net_policy *p = net_policy_new();
    if (!p)
        return err_errno(e, -ENOMEM, "firewall");
    int r = 0;
    if (json && !json_is_null(json))
        r = net_policy_is_old(json) ? net_policy_parse_old(json, p, e) : parse_axes(json, p, e);
    if (r == 0)
        *ret = TAKE_PTR(p);
    return r;
}

static void json_done(json_t **json)
{
    json_decref(*json);
}

/* The older shape gives the ingress axis, or only one half of it. */
static void merge_old(json_t *whole, json_t *given, json_t *json)
{
    json_t *to = json_object_get(whole, "ingress"), *from = json_object_get(given, "ingress");
    if (json_object_get(json, "mode"))
        json_object_set(to, "default", json_object_get(from, "default"));
    if (json_object_get(json, "ingress"))
        json_object_set(to, "rules", json_object_get(from, "rules"));
}

/* By way of JSON: `json` is parsed by itself, then what it does not replace is added and the whole
 * is parsed again, which checks all axes together. */
int net_policy_merge(const struct net_policy *p, json_t *json, struct net_policy **ret,
                     struct err *e)
{
    static const char *const axes[] = {"ingress", "egress", "dns"};
    auto_policy struct net_policy *given = NULL;
    int r = net_policy_parse(json, &given, e);
    if (r < 0)
        return r;
    CLEANUP(json_done) json_t *whole = net_policy_json(p);
    CLEANUP(json_done) json_t *given_json = net_policy_json(given);
    if (!whole || !given_json)
        return err_errno(e, -ENOMEM, "firewall");
    if (net_policy_is_old(json)) {
        merge_old(whole, given_json, json);
        return net_policy_parse(whole, ret, e);
    }
    for (size_t i = 0; i < ARRAY_SIZE(axes); i++) {
        json_t *member = json_object_get(json, axes[i]);
        if (member && !json_is_null(member))
            json_object_set(whole, axes[i], json_object_get(given_json, axes[i]));
    }
    return net_policy_parse(whole, ret, e);
}
