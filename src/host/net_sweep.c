/* SPDX-License-Identifier: Apache-2.0 */

/* What a former daemon left behind: namespaces PREFIX-N in /run/netns, and devices PREFIXN, of
 * slots that nobody has. A device that only happens to have such a name has another address. */

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "host/net_ns.h"
#include "host/net_priv.h"
#include "host/net_rtnl.h"

struct found {
    const struct net *n;
    int *slots;
    size_t count;
    bool failed;
};

int net_number_after(const char *name, const char *prefix)
{
    size_t len = strlen(prefix);
    if (strncmp(name, prefix, len) != 0)
        return -1;
    const char *digits = name + len;
    size_t n = strlen(digits);
    if (!n || n > 6 || strspn(digits, "0123456789") != n || (n > 1 && digits[0] == '0'))
        return -1;
    return atoi(digits);
}

static void add(struct found *f, int slot)
{
    if (slot < 0 || (slot < f->n->n_slots && f->n->slots[slot].state != NET_SLOT_NONE))
        return;
    for (size_t i = 0; i < f->count; i++)
        if (f->slots[i] == slot)
            return;
    int *slots = realloc(f->slots, (f->count + 1) * sizeof(*slots));
    f->failed |= !slots;
    if (!slots)
        return;
    f->slots = slots;
    f->slots[f->count++] = slot;
}

static void add_link(void *arg, const struct net_link *link)
{
    struct found *f = arg;
    if (memcmp(link->mac, net_host_mac, sizeof(net_host_mac)) == 0)
        add(f, net_number_after(link->name, f->n->prefix));
}

static int find_links(struct found *f)
{
    auto_rtnl struct net_rtnl nl = {0};
    int r = net_rtnl_open(&nl);
    return r == 0 ? net_rtnl_each_link(&nl, add_link, f) : r;
}

static void find_namespaces(struct found *f)
{
    char prefix[NET_PREFIX_MAX_BYTES + 2];
    snprintf(prefix, sizeof(prefix), "%s-", f->n->prefix);
    auto_closedir DIR *d = opendir(NET_NS_DIR);
    for (struct dirent *de; d && (de = readdir(d));)
        add(f, net_number_after(de->d_name, prefix));
}

int net_sweep(struct net *n, struct err *e)
{
    struct found f = {.n = n};
    int r = find_links(&f);
    find_namespaces(&f);
    if (r == 0 && f.failed)
        r = -ENOMEM;
    for (size_t i = 0; r == 0 && i < f.count; i++)
        net_slot_remove_names(n, f.slots[i]);
    if (f.count)
        log_info("net", "left-over networks removed count=%zu", f.count);
    free(f.slots);
    return r < 0 ? err_errno(e, r, "look for networks of a former daemon") : 0;
}
