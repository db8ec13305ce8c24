/* SPDX-License-Identifier: Apache-2.0 */
#include "host/net_addr.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/limits.h"

#define POOL6 "fd00:686f:6c6e::"

static size_t addr_len(const struct net_cidr *c)
{
    return c->family == AF_INET ? 4 : 16;
}

static void clear_host_bits(struct net_cidr *c)
{
    for (size_t i = 0; i < sizeof(c->addr); i++) {
        int keep = c->bits - (int)i * 8;
        if (keep <= 0)
            c->addr[i] = 0;
        else if (keep < 8)
            c->addr[i] &= (unsigned char)(0xff << (8 - keep));
    }
}

/* Only digits: strtol would take a sign, or space. */
static int parse_bits(const char *text, int max)
{
    size_t len = strlen(text);
    if (!len || len > 3 || strspn(text, "0123456789") != len || (len > 1 && text[0] == '0'))
        return -EINVAL;
    int bits = atoi(text);
    return bits <= max ? bits : -EINVAL;
}

static bool is_mapped_v4(const struct net_cidr *c)
{
    return IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)c->addr);
}

int net_cidr_parse(const char *text, struct net_cidr *ret)
{
    char address[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    struct net_cidr c = {0};
    if (len >= sizeof(address))
        return -EINVAL;
    memcpy(address, text, len);
    address[len] = '\0';
    c.family = strchr(address, ':') ? AF_INET6 : AF_INET;
    if (inet_pton(c.family, address, c.addr) != 1)
        return -EINVAL;
    int max = c.family == AF_INET ? 32 : 128;
    c.bits = slash ? parse_bits(slash + 1, max) : max;
    if (c.bits < 0 || (c.family == AF_INET6 && is_mapped_v4(&c)))
        return -EINVAL;
    clear_host_bits(&c);
    *ret = c;
    return 0;
}

void net_cidr_text(const struct net_cidr *c, char ret[NET_CIDR_SIZE])
{
    char address[INET6_ADDRSTRLEN];
    inet_ntop(c->family, c->addr, address, sizeof(address));
    snprintf(ret, NET_CIDR_SIZE, "%s/%d", address, c->bits);
}

bool net_cidr_inside(const struct net_cidr *inner, const struct net_cidr *outer)
{
    if (inner->family != outer->family || inner->bits < outer->bits)
        return false;
    struct net_cidr cut = *inner;
    cut.bits = outer->bits;
    clear_host_bits(&cut);
    return memcmp(cut.addr, outer->addr, addr_len(outer)) == 0;
}

bool net_cidr_is_host(const struct net_cidr *c)
{
    return c->bits == (c->family == AF_INET ? 32 : 128);
}

/* --- guarded ranges --- */

static const char *const guarded[] = {
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/30", /* what guests call themselves */
    "224.0.0.0/3",   /* multicast, reserved, broadcast */
    /* where clouds keep credentials, besides 169.254.169.254 */
    "100.100.100.200/32",
    "168.63.129.16/32",
    "fd00:ec2::/32",
    "fd20:ce::254/128",
    "::/96",
    "fe80::/10",
    "ff00::/8",
    "fd00:686f:6c6d::/64",
    /* IPv4's link-local addresses through NAT64 and 6to4 */
    "64:ff9b::a9fe:0/112",
    "2002:a9fe::/32",
    /* the pools of every daemon on this host */
    POOL6 "/48",
};

static void parse_own(const char *text, struct net_cidr *ret)
{
    int r = net_cidr_parse(text, ret);
    assert(r == 0); /* our own constant */
    (void)r;
}

/* IPv4 in IPv6's clothes, which net_cidr_parse does not take. */
static const struct net_cidr mapped_v4 = {
    .family = AF_INET6, .addr = {[10] = 0xff, [11] = 0xff}, .bits = 96};

size_t net_guarded(const struct net_pool *pool, struct net_cidr ret[NET_GUARDED_MAX])
{
    _Static_assert(ARRAY_SIZE(guarded) + 2 <= NET_GUARDED_MAX, "room for the guarded ranges");
    size_t n = 0;
    ret[n++] = mapped_v4;
    ret[n++] = pool->v4;
    for (size_t i = 0; i < ARRAY_SIZE(guarded); i++) {
        parse_own(guarded[i], &ret[n]);
        n += !net_cidr_inside(&ret[n], &pool->v4);
    }
    return n;
}

bool net_cidr_is_guarded(const struct net_pool *pool, const struct net_cidr *c)
{
    struct net_cidr all[NET_GUARDED_MAX];
    size_t n = net_guarded(pool, all);
    for (size_t i = 0; i < n; i++)
        if (net_cidr_inside(c, &all[i]))
            return true;
    return false;
}

/* Cloudflare, Google, Quad9, OpenDNS, AdGuard, CleanBrowsing, NextDNS, Control D, Mullvad,
 * DNS.SB, DNS4EU, AliDNS, DNSPod. */
static const char *const doh[] = {
    "1.1.1.1/32",       "1.0.0.1/32",          "1.1.1.2/31",          "1.0.0.2/31",
    "8.8.8.8/32",       "8.8.4.4/32",          "9.9.9.9/32",          "9.9.9.10/31",
    "149.112.112.0/24", "208.67.222.222/32",   "208.67.220.220/32",   "146.112.41.2/32",
    "94.140.14.0/23",   "185.228.168.0/23",    "45.90.28.0/22",       "76.76.2.0/24",
    "76.76.10.0/24",    "194.242.2.0/24",      "185.222.222.222/32",  "45.11.45.11/32",
    "86.54.11.0/24",    "223.5.5.5/32",        "223.6.6.6/32",        "1.12.12.12/32",
    "120.53.53.53/32",  "2606:4700:4700::/48", "2001:4860:4860::/64", "2620:fe::/48",
    "2620:119:35::/48", "2620:119:53::/48",    "2a10:50c0::/32",      "2a0d:2a00::/32",
    "2a07:a8c0::/31",   "2606:1a40::/32",      "2a07:e340::/32",      "2a09::/48",
    "2a11::/48",        "2400:3200::/32",      "2402:4e00::/48",
};

const char *net_doh_address(size_t index)
{
    return index < ARRAY_SIZE(doh) ? doh[index] : NULL;
}

/* --- pool --- */

static uint32_t v4_number(const struct net_cidr *c)
{
    uint32_t n;
    memcpy(&n, c->addr, sizeof(n));
    return ntohl(n);
}

static struct net_cidr v4_address(uint32_t number)
{
    struct net_cidr c = {.family = AF_INET, .bits = 32};
    number = htonl(number);
    memcpy(c.addr, &number, sizeof(number));
    return c;
}

/* POOL6 with the IPv4 address in its last four bytes. */
static struct net_cidr v6_of(const struct net_cidr *v4)
{
    struct net_cidr c;
    parse_own(POOL6, &c);
    memcpy(c.addr + 12, v4->addr, 4);
    c.bits = 96 + v4->bits;
    return c;
}

int net_pool_parse(const char *text, int slots, struct net_pool *ret, struct err *e)
{
    struct net_pool pool = {0};
    if (net_cidr_parse(text, &pool.v4) < 0 || pool.v4.family != AF_INET)
        return err_set(e, ERR_INVALID, "network pool %.64s: not a range of IPv4 addresses", text);
    if (pool.v4.bits < 8 || pool.v4.bits > 31 || slots > 1 << (31 - pool.v4.bits))
        return err_set(e, ERR_INVALID, "network pool %.64s: %d VMs need a range from /8 to /%d",
                       text, slots, 31 - (slots > 1 ? 32 - __builtin_clz((unsigned)slots - 1) : 0));
    for (size_t i = 0; i < ARRAY_SIZE(guarded); i++) {
        struct net_cidr c;
        parse_own(guarded[i], &c);
        if (c.bits < 32 && (net_cidr_inside(&c, &pool.v4) || net_cidr_inside(&pool.v4, &c)))
            return err_set(e, ERR_INVALID, "network pool %.64s: overlaps %s, which has a meaning",
                           text, guarded[i]);
    }
    pool.v6 = v6_of(&pool.v4);
    *ret = pool;
    return 0;
}

void net_slot_addr(const struct net_pool *pool, int slot, struct net_slot_addr *ret)
{
    uint32_t even = v4_number(&pool->v4) + 2 * (uint32_t)slot;
    ret->host4 = v4_address(even);
    ret->ns4 = v4_address(even + 1);
    ret->host6 = v6_of(&ret->host4);
    ret->ns6 = v6_of(&ret->ns4);
    inet_ntop(AF_INET, ret->ns4.addr, ret->ns4_text, sizeof(ret->ns4_text));
    inet_ntop(AF_INET6, ret->ns6.addr, ret->ns6_text, sizeof(ret->ns6_text));
}
