/* SPDX-License-Identifier: Apache-2.0 */
#include "host/netpolicy_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

const char *const net_protocol_names[] = {"any", "tcp", "udp", NULL};

struct net_policy *net_policy_new(void)
{
    struct net_policy *p = calloc(1, sizeof(*p));
    if (p) {
        atomic_init(&p->refs, 1);
        p->egress.allow = true;
    }
    return p;
}

int net_axis_add(struct net_axis *a, const struct net_rule *rule)
{
    struct net_rule *rules = realloc(a->rules, (a->n + 1) * sizeof(*rules));
    if (!rules)
        return -ENOMEM;
    a->rules = rules;
    a->rules[a->n++] = *rule;
    return 0;
}

/* --- decoding --- */

static bool is_known(const char *name, const char *const *known)
{
    for (; *known; known++)
        if (strcmp(name, *known) == 0)
            return true;
    return false;
}

/* The name of a member that is not known is the client's: only what is short and plain is repeated
 * as the field at fault. */
static bool is_plain(const char *name)
{
    size_t len = strlen(name);
    return len && len <= 32 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789_-") == len;
}

int net_json_members(json_t *json, const char *path, const char *const *known, struct err *e)
{
    const char *name;
    json_t *value;
    if (!json_is_object(json))
        return err_field(e, path, "%s must be an object", path);
    json_object_foreach(json, name, value)
    {
        if (is_known(name, known))
            continue;
        auto_buf struct buf field = {0};
        buf_printf(&field, "%s%s%s", path, is_plain(name) ? "." : "", is_plain(name) ? name : "");
        return err_field(e, buf_str(&field), "%s has no field of that name", path);
    }
    return 0;
}

int net_json_choice(json_t *json, const char *path, const char *const *choices, int *ret,
                    struct err *e)
{
    if (!json)
        return 0;
    auto_buf struct buf words = {0};
    for (int i = 0; choices[i]; i++) {
        if (json_is_string(json) && strcmp(json_string_value(json), choices[i]) == 0) {
            *ret = i;
            return 0;
        }
        buf_printf(&words, "%s\"%s\"", i ? ", " : "", choices[i]);
    }
    return err_field(e, path, "%s must be %s%s", path, choices[1] ? "one of " : "",
                     buf_str(&words));
}

int net_json_array(json_t *json, const char *path, size_t max, struct err *e)
{
    if (!json_is_array(json))
        return err_field(e, path, "%s must be an array", path);
    if (json_array_size(json) > max)
        return err_field(e, path, "%s has %zu items, at most %zu are allowed", path,
                         json_array_size(json), max);
    return 0;
}

int net_json_description(json_t *json, const char *path, char **ret, struct err *e)
{
    if (!json || json_is_null(json))
        return 0;
    if (!json_is_string(json))
        return err_field(e, path, "%s must be a string", path);
    const char *text = json_string_value(json);
    size_t len = json_string_length(json);
    if (len > NET_DESCRIPTION_MAX_BYTES || strlen(text) != len)
        return err_field(e, path, "%s must be text of at most %d bytes", path,
                         NET_DESCRIPTION_MAX_BYTES);
    if (!len)
        return 0;
    *ret = strdup(text);
    return *ret ? 0 : err_errno(e, -ENOMEM, "firewall");
}

/* --- encoding --- */

static json_t *ports_json(const struct net_rule *r)
{
    if (!r->port_first)
        return json_string("any");
    if (r->port_first == r->port_last)
        return json_sprintf("%d", r->port_first);
    return json_sprintf("%d-%d", r->port_first, r->port_last);
}

static json_t *rule_json(const struct net_rule *r)
{
    char cidr[NET_CIDR_SIZE];
    if (!r->name)
        net_cidr_text(&r->cidr, cidr);
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:o}", "action", r->allow ? "allow" : "deny",
                             "kind", r->name ? "fqdn" : "cidr", "value", r->name ? r->name : cidr,
                             "protocol", net_protocol_names[r->protocol], "ports", ports_json(r));
    if (json && r->description)
        json_object_set_new(json, "description", json_string(r->description));
    return json;
}

static json_t *axis_json(const struct net_axis *a)
{
    json_t *rules = json_array();
    for (size_t i = 0; i < a->n; i++)
        json_array_append_new(rules, rule_json(&a->rules[i]));
    return json_pack("{s:s, s:o}", "default", a->allow ? "allow" : "deny", "rules", rules);
}

json_t *net_policy_json(const struct net_policy *p)
{
    json_t *domains = json_array();
    for (size_t i = 0; i < p->dns.n; i++)
        json_array_append_new(domains, json_string(p->dns.domains[i]));
    return json_pack("{s:o, s:o, s:{s:s, s:o, s:b}}", "ingress", axis_json(&p->ingress), "egress",
                     axis_json(&p->egress), "dns", "mode", p->dns.allow_listed ? "allow" : "deny",
                     "domains", domains, "blockBypass", p->dns.block_bypass);
}
