/* SPDX-License-Identifier: Apache-2.0 */

/* From names to addresses that rules can hold.
 *
 * An address that an answer gives to a name counts for the fqdn rules that the name matches. A rule
 * that allows looks only at the name that the guest asked for: whoever controls a zone may point an
 * alias to any name. A rule that denies looks at the aliases too. Addresses count for longer than
 * their TTL says, since programs keep them longer than they should.
 *
 * What was learned is kept, so that the sets of another policy can be filled at once. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "host/dns_priv.h"
#include "host/net_nft.h"

struct net_policy *dns_slot_policy(struct dns *d, int slot, uint32_t *ret_mark)
{
    AUTO_LOCK(&d->lock);
    const struct dns_slot *s = &d->slots[slot];
    if (ret_mark)
        *ret_mark = s->mark;
    return s->policy ? net_policy_ref(s->policy) : NULL;
}

/* --- what is kept; with the lock held --- */

static struct dns_learned *find(struct dns_slot *s, const char *name, const struct dns_address *a)
{
    for (size_t i = 0; i < s->n_learned; i++) {
        struct dns_learned *l = &s->learned[i];
        if (l->address.family == a->family &&
            memcmp(l->address.addr, a->addr, sizeof(a->addr)) == 0 && strcmp(l->name, name) == 0)
            return l;
    }
    return NULL;
}

static struct dns_learned *new_place(struct dns_slot *s)
{
    if (!s->learned)
        s->learned = calloc(NET_LEARNED_MAX, sizeof(*s->learned));
    if (!s->learned)
        return NULL;
    if (s->n_learned < NET_LEARNED_MAX)
        return &s->learned[s->n_learned++];
    struct dns_learned *oldest = &s->learned[s->next_learned];
    s->next_learned = (s->next_learned + 1) % NET_LEARNED_MAX;
    return oldest;
}

static int64_t life_ms(const struct dns_address *a)
{
    int64_t s = a->ttl_s;
    s = s < NET_ADDRESS_MIN_S ? NET_ADDRESS_MIN_S : s;
    return 1000 * (s > NET_ADDRESS_MAX_S ? NET_ADDRESS_MAX_S : s);
}

/* True when the sets of `mark` need it: not in there, or its time is half over. */
static bool keep(struct dns_slot *s, const char *name, bool alias, const struct dns_address *a,
                 uint32_t mark)
{
    int64_t now = clock_mono_ms(), life = life_ms(a);
    struct dns_learned *l = find(s, name, a);
    bool fresh = l && l->mark == mark && l->expires_ms - now > life / 2;
    if (!l)
        l = new_place(s);
    if (!l || fresh)
        return !fresh;
    *l =
        (struct dns_learned){.alias = alias, .address = *a, .expires_ms = now + life, .mark = mark};
    snprintf(l->name, sizeof(l->name), "%s", name);
    return true;
}

/* --- elements --- */

static bool rule_wants(const struct net_rule *r, const char *name, bool alias)
{
    return r->name && !(r->allow && alias) && net_name_matches(r->name, name);
}

static void set_element(struct net_element *el, size_t rule, const struct dns_address *a,
                        int64_t left_ms)
{
    *el = (struct net_element){
        .rule = rule, .family = a->family, .timeout_s = (uint32_t)(left_ms / 1000 + 1)};
    memcpy(el->addr, a->addr, sizeof(el->addr));
}

struct elements {
    struct net_element *items;
    size_t n, room;
};

static int add_element(struct elements *to, const struct net_element *el)
{
    for (size_t i = 0; i < to->n; i++) {
        const struct net_element *had = &to->items[i];
        if (had->rule == el->rule && had->family == el->family &&
            memcmp(had->addr, el->addr, sizeof(el->addr)) == 0)
            return 0; /* under another name */
    }
    if (to->n == to->room) {
        size_t room = to->room ? 2 * to->room : 64;
        struct net_element *items = realloc(to->items, room * sizeof(*items));
        if (!items)
            return -ENOMEM;
        to->items = items;
        to->room = room;
    }
    to->items[to->n++] = *el;
    return 0;
}

static int add_learned(struct elements *to, const struct net_policy *p, const struct dns_learned *l)
{
    int64_t left = l->expires_ms - clock_mono_ms();
    int r = 0;
    for (size_t i = 0; r == 0 && left > 0 && i < p->egress.n; i++) {
        struct net_element el;
        if (!rule_wants(&p->egress.rules[i], l->name, l->alias))
            continue;
        set_element(&el, i, &l->address, left);
        r = add_element(to, &el);
    }
    return r;
}

int dns_elements(struct dns *d, int slot, const struct net_policy *policy, struct net_element **ret,
                 size_t *ret_n)
{
    struct elements all = {0};
    struct dns_slot *s = &d->slots[slot];
    int r = 0;
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; r == 0 && i < s->n_learned; i++)
        r = add_learned(&all, policy, &s->learned[i]);
    pthread_mutex_unlock(&d->lock);
    if (r < 0) {
        free(all.items);
        return r;
    }
    *ret = all.items;
    *ret_n = all.n;
    return 0;
}

/* --- into the sets --- */

/* A set that is not there belongs to a policy that was replaced just now; the sets of the new one
 * are refilled once it counts here. */
static void put(struct dns *d, int slot, uint32_t mark, const struct net_element *el)
{
    static struct log_limit limit;
    int r = net_nfnl_add_element(d->slots[slot].sockets.nfnl, mark, el);
    if (r < 0 && r != -ENOENT && log_limit_pass(&limit))
        log_warn("dns", "an address is not in its rule's set slot=%d rule=%zu error=\"%s\"", slot,
                 el->rule, strerror(-r));
}

static void put_name(struct dns *d, int slot, const struct net_policy *p, uint32_t mark,
                     const struct dns_learned *l)
{
    for (size_t i = 0; i < p->egress.n; i++) {
        struct net_element el;
        if (!rule_wants(&p->egress.rules[i], l->name, l->alias))
            continue;
        set_element(&el, i, &l->address, life_ms(&l->address));
        put(d, slot, mark, &el);
    }
}

static void learn_address(struct dns *d, int slot, const struct net_policy *p, uint32_t mark,
                          struct dns_learned *l)
{
    pthread_mutex_lock(&d->lock);
    bool needed = keep(&d->slots[slot], l->name, l->alias, &l->address, mark);
    pthread_mutex_unlock(&d->lock);
    if (needed)
        put_name(d, slot, p, mark, l);
}

enum dns_rcode dns_learn(struct dns *d, int slot, const struct dns_answer *answer)
{
    uint32_t mark = 0;
    auto_policy struct net_policy *p = dns_slot_policy(d, slot, &mark);
    if (!p || !net_policy_name_allowed(p, answer->names[0]))
        return p ? DNS_NXDOMAIN : DNS_REFUSED;
    for (size_t i = 1; i < answer->n_names && !p->dns.allow_listed; i++)
        if (!net_policy_name_allowed(p, answer->names[i]))
            return DNS_NXDOMAIN;
    for (size_t i = 0; i < answer->n_names; i++) {
        struct dns_learned l = {.alias = i > 0};
        snprintf(l.name, sizeof(l.name), "%s", answer->names[i]);
        for (size_t j = 0; j < answer->n; j++) {
            l.address = answer->addresses[j];
            learn_address(d, slot, p, mark, &l);
        }
    }
    return DNS_NOERROR;
}

void dns_refill(struct dns *d, int slot)
{
    uint32_t mark = 0;
    size_t n = 0;
    auto_policy struct net_policy *p = dns_slot_policy(d, slot, &mark);
    if (!p || !d->slots[slot].open)
        return;
    auto_free struct net_element *elements = NULL;
    if (dns_elements(d, slot, p, &elements, &n) < 0)
        return;
    for (size_t i = 0; i < n; i++)
        put(d, slot, mark, &elements[i]);
}
