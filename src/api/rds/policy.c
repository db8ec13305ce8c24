/* SPDX-License-Identifier: Apache-2.0 */
#include "api/rds/policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/net_addr.h"

/* Descriptions of rules that only remember. */
#define WITHOUT_INTERNET "allowIps, without outboundInternet"
#define INTERNET_ALONE "outboundInternet, without allowIps"

static const char *text_of(const json_t *rule, const char *member)
{
    const char *text = json_string_value(json_object_get(rule, member));
    return text ? text : "";
}

static bool is_one_of(const json_t *rule, const char *member, const char *word)
{
    return strcmp(text_of(rule, member), word) == 0;
}

static int add_rule(json_t *rules, const char *action, const char *range, const char *description)
{
    json_t *rule = json_pack("{s:s, s:s, s:s}", "action", action, "kind", "cidr", "value", range);
    if (description)
        json_object_set_new(rule, "description", json_string(description));
    return json_array_append_new(rules, rule) < 0 ? -ENOMEM : 0;
}

static int add_range(json_t *rules, const char *text, size_t index, bool internet, struct err *e)
{
    struct net_cidr cidr;
    char field[32], range[NET_CIDR_SIZE];
    snprintf(field, sizeof(field), "allowIps[%zu]", index);
    if (net_cidr_parse(text, &cidr) < 0)
        return err_field(e, field, "%s must be an address or a range of addresses (\"10.0.0.0/8\")",
                         field);
    net_cidr_text(&cidr, range);
    return internet ? add_rule(rules, "allow", range, NULL)
                    : add_rule(rules, "deny", range, WITHOUT_INTERNET);
}

int rds_policy_make(const struct field_texts *allow, bool internet, json_t **ret, struct err *e)
{
    json_t *rules = json_array();
    int r = 0;
    for (size_t i = 0; r == 0 && i < allow->n; i++)
        r = add_range(rules, allow->items[i], i, internet, e);
    if (r == 0 && internet && !allow->n)
        r = add_rule(rules, "deny", "0.0.0.0/0", INTERNET_ALONE);
    if (r < 0) {
        json_decref(rules);
        return e && e->class == ERR_NONE ? err_errno(e, r, "allowIps") : r;
    }
    *ret = json_pack("{s:{s:s, s:o}}", "egress", "default", "deny", "rules", rules);
    return *ret ? 0 : err_errno(e, -ENOMEM, "allowIps");
}

static json_t *egress_rules(const json_t *policy)
{
    return json_object_get(json_object_get(policy, "egress"), "rules");
}

static bool allows_by_default(const json_t *policy)
{
    return is_one_of(json_object_get(policy, "egress"), "default", "allow");
}

bool rds_policy_internet(const json_t *policy)
{
    bool found = allows_by_default(policy);
    size_t i;
    json_t *rule;
    json_array_foreach(egress_rules(policy), i, rule) found =
        found || is_one_of(rule, "action", "allow") ||
        is_one_of(rule, "description", INTERNET_ALONE);
    return found;
}

static bool is_unconditional(const json_t *rule)
{
    if (!is_one_of(rule, "kind", "cidr"))
        return false;
    if (is_one_of(rule, "description", WITHOUT_INTERNET))
        return true;
    return is_one_of(rule, "action", "allow") && is_one_of(rule, "protocol", "any") &&
           is_one_of(rule, "ports", "any");
}

json_t *rds_policy_ranges(const json_t *policy)
{
    json_t *ranges = json_array(), *rules = egress_rules(policy), *rule;
    size_t i;
    /* Rules that come first may take something away. */
    if (allows_by_default(policy) && !json_array_size(rules)) {
        json_array_append_new(ranges, json_string("0.0.0.0/0"));
        json_array_append_new(ranges, json_string("::/0"));
    }
    json_array_foreach(rules, i, rule)
    {
        if (is_unconditional(rule))
            json_array_append_new(ranges, json_string(text_of(rule, "value")));
    }
    return ranges;
}
