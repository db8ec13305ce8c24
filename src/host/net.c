/* SPDX-License-Identifier: Apache-2.0 */

/* Who has which slot.
 *
 * A slot has a state, and whoever works on it sets it busy; others that want it wait. So no lock is
 * held over the work itself. One thread, the keeper, makes spare slots ready (the lowest free
 * numbers, as uids are given out), cleans used ones, and removes ready ones beyond twice the number
 * of spare ones.
 *
 * net_take of a ready slot costs a transaction when the policy is not the default one, else
 * nothing: its table, its tap and its resolver are there. A slot that is not ready is made, or
 * cleaned, by the caller. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "base/log.h"
#include "host/net_ns.h"
#include "host/net_priv.h"
#include "host/net_rtnl.h"

/* --- slots: who works on one --- */

static struct net_slot *slot_begin(struct net *n, int slot)
{
    struct net_slot *s = &n->slots[slot];
    AUTO_LOCK(&n->lock);
    while (s->busy)
        pthread_cond_wait(&n->changed, &n->lock);
    s->busy = true;
    return s;
}

static void slot_end(struct net *n, struct net_slot *s, enum net_slot_state state)
{
    AUTO_LOCK(&n->lock);
    s->state = state;
    s->busy = false;
    n->failing = false;
    pthread_cond_broadcast(&n->changed);
}

static int check_slot(const struct net *n, int slot, struct err *e)
{
    if (slot < 0 || slot >= n->n_slots)
        return err_set(e, ERR_INTERNAL, "network slot %d: there are %d", slot, n->n_slots);
    return 0;
}

/* slot_begin for one that must be a VM's. */
static int begin_taken(struct net *n, int slot, struct net_slot **ret, struct err *e)
{
    int r = check_slot(n, slot, e);
    if (r < 0)
        return r;
    struct net_slot *s = slot_begin(n, slot);
    if (s->state != NET_SLOT_TAKEN) {
        slot_end(n, s, s->state);
        return err_set(e, ERR_CONFLICT, "network slot %d is not in use", slot);
    }
    *ret = s;
    return 0;
}

void net_reopen_slots(struct net *n)
{
    for (int i = 0; i < n->n_slots; i++) {
        struct err e = ERR_INIT;
        struct net_slot *s = slot_begin(n, i);
        int r = s->state == NET_SLOT_TAKEN ? net_slot_reopen_host(n, i, &e) : 0;
        slot_end(n, s, s->state);
        if (r < 0)
            log_error("net", "the host refuses what a policy allows slot=%d error=\"%s\"", i,
                      e.text);
    }
}

/* --- the keeper --- */

enum keeper_job { KEEPER_NOTHING, KEEPER_CLEAN, KEEPER_MAKE, KEEPER_REMOVE };

/* What to do next, with its slot busy. Called with the lock held. */
static enum keeper_job next_job(struct net *n, int *ret_slot)
{
    int first_none = -1, last_ready = -1, ready = 0;
    for (int i = 0; i < n->n_slots; i++) {
        const struct net_slot *s = &n->slots[i];
        ready += s->state == NET_SLOT_READY || (s->state == NET_SLOT_NONE && s->busy);
        if (s->busy)
            continue;
        if (s->state == NET_SLOT_DIRTY) {
            *ret_slot = i;
            return KEEPER_CLEAN;
        }
        if (s->state == NET_SLOT_NONE && first_none < 0)
            first_none = i;
        if (s->state == NET_SLOT_READY)
            last_ready = i;
    }
    if (ready < n->spare && first_none >= 0 && !n->failing) {
        *ret_slot = first_none;
        return KEEPER_MAKE;
    }
    if (ready > 2 * n->spare && last_ready >= 0) {
        *ret_slot = last_ready;
        return KEEPER_REMOVE;
    }
    return KEEPER_NOTHING;
}

/* What cannot be cleaned is removed: the next one to need it makes it anew. */
static enum net_slot_state keeper_clean(struct net *n, int slot)
{
    struct err e = ERR_INIT;
    if (net_slot_clean(n, slot, &e) == 0)
        return NET_SLOT_READY;
    log_warn("net", "network removed slot=%d error=\"%s\"", slot, e.text);
    net_slot_remove(n, slot);
    return NET_SLOT_NONE;
}

static enum net_slot_state keeper_make(struct net *n, int slot, bool *ret_failed)
{
    struct err e = ERR_INIT;
    if (net_slot_make(n, slot, &e) == 0)
        return NET_SLOT_READY;
    log_warn("net", "no spare network slot=%d error=\"%s\"", slot, e.text);
    *ret_failed = true;
    return NET_SLOT_NONE;
}

static void *keeper(void *arg)
{
    struct net *n = arg;
    AUTO_LOCK(&n->lock);
    while (!n->stopping) {
        int slot = -1;
        enum keeper_job job = next_job(n, &slot);
        if (job == KEEPER_NOTHING) {
            pthread_cond_wait(&n->changed, &n->lock);
            continue;
        }
        struct net_slot *s = &n->slots[slot];
        enum net_slot_state state = NET_SLOT_NONE;
        bool failed = false;
        s->busy = true;
        pthread_mutex_unlock(&n->lock);
        if (job == KEEPER_CLEAN)
            state = keeper_clean(n, slot);
        else if (job == KEEPER_MAKE)
            state = keeper_make(n, slot, &failed);
        else
            net_slot_remove(n, slot);
        pthread_mutex_lock(&n->lock);
        s->state = state;
        s->busy = false;
        n->failing |= failed;
        pthread_cond_broadcast(&n->changed);
    }
    return NULL;
}

/* --- life --- */

static int check_config(const struct net_config *c, struct err *e)
{
    size_t len = strlen(c->prefix);
    if (!len || len > NET_PREFIX_MAX_BYTES ||
        strspn(c->prefix, "abcdefghijklmnopqrstuvwxyz0123456789") != len || c->prefix[0] <= '9' ||
        c->prefix[len - 1] <= '9')
        return err_set(e, ERR_INVALID,
                       "network prefix \"%.16s\": 1 to %d lower-case letters and digits, a letter "
                       "first and last",
                       c->prefix, NET_PREFIX_MAX_BYTES);
    if (c->slots < 1 || c->slots > NET_SLOTS_MAX)
        return err_set(e, ERR_INVALID, "%d networks: 1 to %d are possible", c->slots,
                       NET_SLOTS_MAX);
    return 0;
}

static int try_namespace(void *arg)
{
    struct err *e = arg;
    auto_close int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    auto_rtnl struct net_rtnl nl = {0};
    struct nft_ctx *nft = NULL;
    if (tun < 0)
        return err_errno(e, -errno, "open /dev/net/tun");
    int r = net_rtnl_open(&nl);
    if (r == 0)
        r = net_rtnl_set_up(&nl, "lo", NULL);
    if (r < 0)
        return err_errno(e, r, "set up a device (needs CAP_NET_ADMIN)");
    r = net_nft_open(&nft);
    if (r < 0)
        return err_errno(e, r, "open netfilter");
    net_nft_close(nft);
    return 0;
}

/* Two daemons with one prefix would take each other's networks for left over. The name belongs to
 * the host's network namespace, and goes with this process however it ends. */
static int claim_prefix(struct net *n, struct err *e)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int len = snprintf(sa.sun_path + 1, sizeof(sa.sun_path) - 1, "holm-net/%s", n->prefix);
    n->claim = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (n->claim < 0)
        return err_errno(e, -errno, "network prefix");
    if (bind(n->claim, (void *)&sa,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) == 0)
        return 0;
    if (errno != EADDRINUSE)
        return err_errno(e, -errno, "network prefix");
    return err_set(e, ERR_UNAVAILABLE, "another daemon uses the network prefix \"%s\"", n->prefix);
}

/* What is missing is told now, not when the first VM starts. */
static int probe(const struct net *n, struct err *e)
{
    char name[24];
    snprintf(name, sizeof(name), "%s-probe", n->prefix);
    (void)net_ns_remove(name); /* of a daemon that was killed here */
    auto_close int ns = net_ns_make(name);
    if (ns < 0)
        return err_errno(e, ns,
                         "make a network namespace in " NET_NS_DIR
                         " (needs CAP_SYS_ADMIN and CAP_NET_ADMIN)");
    int r = net_ns_run(ns, try_namespace, e);
    (void)net_ns_remove(name);
    return r;
}

static int init(struct net *n, const struct net_config *config, struct err *e)
{
    const struct dns_config dns = {.resolver = config->resolver, .slots = n->n_slots};
    int r = net_pool_parse(config->pool_cidr, n->n_slots, &n->pool, e);
    if (r == 0)
        r = net_policy_parse(NULL, &n->default_policy, e);
    if (r < 0)
        return r;
    memcpy(&n->group, n->pool.v4.addr, sizeof(n->group));
    n->group = ntohl(n->group);
    r = claim_prefix(n, e);
    if (r == 0)
        r = probe(n, e);
    if (r == 0)
        r = net_host_init(n, e);
    if (r < 0) { /* whatever it is, the host lacks it */
        if (e)
            e->class = ERR_UNAVAILABLE;
        return err_wrap(e, r, "VMs cannot have networks here");
    }
    return dns_new(&dns, &n->dns, e);
}

int net_new(const struct net_config *config, struct net **ret, struct err *e)
{
    int r = check_config(config, e);
    if (r < 0)
        return r;
    struct net *n = calloc(1, sizeof(*n));
    struct net_slot *slots = calloc((size_t)config->slots, sizeof(*slots));
    if (!n || !slots) {
        free(n);
        free(slots);
        return err_errno(e, -ENOMEM, "networks");
    }
    snprintf(n->prefix, sizeof(n->prefix), "%s", config->prefix);
    n->slots = slots;
    n->n_slots = config->slots;
    n->spare = config->spare < config->slots ? config->spare : config->slots;
    n->uid_first = config->uid_first;
    for (int i = 0; i < n->n_slots; i++)
        slots[i].ns_fd = slots[i].tap_fd = -EBADF;
    n->watch_stop = n->claim = -EBADF;
    pthread_mutex_init(&n->lock, NULL);
    pthread_mutex_init(&n->host_lock, NULL);
    pthread_cond_init(&n->changed, NULL);
    r = init(n, config, e);
    if (r < 0) {
        net_free(n);
        return r;
    }
    *ret = n;
    return 0;
}

static void stop_keeper(struct net *n)
{
    pthread_mutex_lock(&n->lock);
    n->stopping = true;
    pthread_cond_broadcast(&n->changed);
    pthread_mutex_unlock(&n->lock);
    if (n->keeper_runs)
        pthread_join(n->keeper, NULL);
}

void net_free(struct net *n)
{
    bool living = false;
    if (!n)
        return;
    net_watch_stop(n);
    stop_keeper(n);
    for (int i = 0; i < n->n_slots && n->dns; i++) {
        living |= n->slots[i].state == NET_SLOT_TAKEN;
        if (n->slots[i].state == NET_SLOT_TAKEN)
            net_slot_release(n, i);
        else if (n->slots[i].state != NET_SLOT_NONE)
            net_slot_remove(n, i);
    }
    net_host_done(n, !living && n->dns);
    dns_free(n->dns);
    cleanup_close(&n->claim);
    net_policy_free(n->default_policy);
    pthread_cond_destroy(&n->changed);
    pthread_mutex_destroy(&n->host_lock);
    pthread_mutex_destroy(&n->lock);
    free(n->slots);
    free(n);
}

int net_start(struct net *n, struct err *e)
{
    int r = net_sweep(n, e);
    if (r < 0)
        return r;
    r = net_watch_start(n, e);
    if (r < 0)
        return r;
    r = -pthread_create(&n->keeper, NULL, keeper, n);
    if (r < 0)
        return err_errno(e, r, "start the keeper of networks");
    n->keeper_runs = true;
    return 0;
}

/* --- what VMs ask for --- */

int net_adopt(struct net *n, int slot, const struct net_policy *policy, struct err *e)
{
    int r = check_slot(n, slot, e);
    if (r < 0)
        return r;
    struct net_slot *s = slot_begin(n, slot);
    if (s->state != NET_SLOT_NONE)
        r = err_set(e, ERR_CONFLICT, "network slot %d is in use", slot);
    else
        r = net_slot_adopt(n, slot, policy, e);
    slot_end(n, s, r == 0 ? NET_SLOT_TAKEN : s->state);
    return r;
}

/* Whatever state it is in, READY then; *state says what it is after a failure. */
static int make_ready(struct net *n, int slot, enum net_slot_state *state, struct err *e)
{
    int r = 0;
    if (*state == NET_SLOT_TAKEN)
        return err_set(e, ERR_CONFLICT, "network slot %d is in use", slot);
    if (*state == NET_SLOT_DIRTY && net_slot_clean(n, slot, NULL) < 0) {
        net_slot_remove(n, slot);
        *state = NET_SLOT_NONE;
    }
    if (*state == NET_SLOT_NONE)
        r = net_slot_make(n, slot, e);
    if (r == 0)
        *state = NET_SLOT_READY;
    return r;
}

int net_take(struct net *n, int slot, const struct net_policy *policy, int *ret_tap_fd,
             struct err *e)
{
    int r = check_slot(n, slot, e);
    if (r < 0)
        return r;
    struct net_slot *s = slot_begin(n, slot);
    enum net_slot_state state = s->state;
    r = make_ready(n, slot, &state, e);
    if (r == 0) {
        r = net_slot_apply(n, slot, policy, e);
        state = r == 0 ? NET_SLOT_TAKEN : NET_SLOT_DIRTY;
    }
    if (r == 0)
        *ret_tap_fd = TAKE_FD(s->tap_fd);
    else if (state == NET_SLOT_DIRTY) /* the cleaning makes a new one */
        cleanup_close(&s->tap_fd), s->tap_fd = -EBADF;
    slot_end(n, s, state);
    return r;
}

void net_give_back(struct net *n, int slot)
{
    struct net_slot *s = NULL;
    if (begin_taken(n, slot, &s, NULL) < 0)
        return;
    dns_set_policy(n->dns, slot, NULL, 0);
    slot_end(n, s, NET_SLOT_DIRTY);
}

int net_apply(struct net *n, int slot, const struct net_policy *policy, struct err *e)
{
    struct net_slot *s = NULL;
    int r = begin_taken(n, slot, &s, e);
    if (r < 0)
        return r;
    r = net_slot_apply(n, slot, policy, e);
    slot_end(n, s, NET_SLOT_TAKEN);
    return r;
}

int net_get_stats(struct net *n, int slot, struct net_stats *ret, struct err *e)
{
    struct net_slot *s = NULL;
    struct net_stats stats = {0};
    int r = begin_taken(n, slot, &s, e);
    if (r < 0)
        return r;
    r = net_slot_stats(n, slot, &stats, e);
    slot_end(n, s, NET_SLOT_TAKEN);
    if (r == 0)
        *ret = stats;
    return r;
}
