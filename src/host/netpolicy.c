/* SPDX-License-Identifier: Apache-2.0 */
#include "host/netpolicy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Policies themselves, and what names mean in them. JSON is in netpolicy_parse.c and
 * netpolicy_json.c. */

struct net_policy *net_policy_ref(const struct net_policy *p)
{
    /* Only the count changes; what the policy says does not. */
    struct net_policy *own = (struct net_policy *)p;
    atomic_fetch_add(&own->refs, 1);
    return own;
}

static void axis_done(struct net_axis *a)
{
    for (size_t i = 0; i < a->n; i++) {
        free(a->rules[i].name);
        free(a->rules[i].description);
    }
    free(a->rules);
}

void net_policy_free(struct net_policy *p)
{
    if (!p || atomic_fetch_sub(&p->refs, 1) > 1)
        return;
    axis_done(&p->ingress);
    axis_done(&p->egress);
    for (size_t i = 0; i < p->dns.n; i++)
        free(p->dns.domains[i]);
    free(p->dns.domains);
    free(p);
}

/* --- names --- */

/* The length of the label at `s`, 0 when it is none. An underscore is no host name, but names such
 * as _dmarc.example.com resolve. */
static size_t label_len(const char *s)
{
    size_t len = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-_");
    bool good = len && len <= 63 && s[0] != '-' && s[len - 1] != '-';
    return good ? len : 0;
}

int net_name_clean(const char *text, bool wildcard, char ret[DNS_NAME_MAX_BYTES + 1])
{
    char name[DNS_NAME_MAX_BYTES + 1];
    size_t len = strlen(text);
    if (len && text[len - 1] == '.')
        len--;
    if (!len || len > DNS_NAME_MAX_BYTES)
        return -EINVAL;
    for (size_t i = 0; i < len; i++)
        name[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
    name[len] = '\0';
    const char *s = wildcard && strncmp(name, "*.", 2) == 0 ? name + 2 : name;
    for (size_t n; (n = label_len(s)); s++) {
        s += n;
        if (*s == '\0') {
            memcpy(ret, name, len + 1);
            return 0;
        }
        if (*s != '.')
            return -EINVAL;
    }
    return -EINVAL;
}

static bool ends_below(const char *name, const char *suffix)
{
    size_t n = strlen(name), s = strlen(suffix);
    return n > s + 1 && name[n - s - 1] == '.' && strcmp(name + n - s, suffix) == 0;
}

static bool is_wildcard(const char *pattern)
{
    return pattern[0] == '*';
}

bool net_name_matches(const char *pattern, const char *name)
{
    return is_wildcard(pattern) ? ends_below(name, pattern + 2) : strcmp(pattern, name) == 0;
}

bool net_policy_name_allowed(const struct net_policy *p, const char *name)
{
    for (size_t i = 0; i < p->dns.n; i++)
        if (net_name_matches(p->dns.domains[i], name))
            return p->dns.allow_listed;
    return !p->dns.allow_listed;
}

/* With the default "deny", a name that no rule could let through would only be a way to send
 * questions out. */
bool net_policy_name_useful(const struct net_policy *p, const char *name)
{
    bool useful = p->egress.allow;
    for (size_t i = 0; i < p->egress.n && !useful; i++) {
        const struct net_rule *r = &p->egress.rules[i];
        useful = r->allow && (!r->name || net_name_matches(r->name, name));
    }
    return useful;
}

bool net_policy_needs_dns(const struct net_policy *p)
{
    bool needs = p->dns.allow_listed || p->dns.n > 0 || p->dns.block_bypass;
    for (size_t i = 0; i < p->egress.n && !needs; i++)
        needs = p->egress.rules[i].name != NULL;
    return needs;
}
