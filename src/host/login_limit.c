/* SPDX-License-Identifier: Apache-2.0 */
#include "host/login_limit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/limits.h"

#define WINDOW_MS (LOGIN_WINDOW_S * INT64_C(1000))

void login_limit_init(struct login_limit *l)
{
    *l = (struct login_limit){0};
    pthread_mutex_init(&l->lock, NULL);
}

void login_limit_done(struct login_limit *l)
{
    free(l->peers);
    pthread_mutex_destroy(&l->lock);
}

static void name_of(const char *peer, char ret[LOGIN_PEER_SIZE])
{
    struct in6_addr six;
    snprintf(ret, LOGIN_PEER_SIZE, "%s", peer);
    if (inet_pton(AF_INET6, peer, &six) != 1 || IN6_IS_ADDR_V4MAPPED(&six))
        return;
    memset(six.s6_addr + 8, 0, 8);
    inet_ntop(AF_INET6, &six, ret, LOGIN_PEER_SIZE);
}

static struct login_peer *find(struct login_limit *l, const char *name)
{
    for (size_t i = 0; i < l->n_peers; i++) {
        if (strcmp(l->peers[i].peer, name) == 0)
            return &l->peers[i];
    }
    return NULL;
}

/* Whose window began first. */
static struct login_peer *oldest(struct login_limit *l)
{
    struct login_peer *p = &l->peers[0];
    for (size_t i = 1; i < l->n_peers; i++) {
        if (l->peers[i].since_ms < p->since_ms)
            p = &l->peers[i];
    }
    return p;
}

/* A place for one more: a new one, or that of somebody whose window is over. NULL: no memory. */
static struct login_peer *place(struct login_limit *l, int64_t now_ms)
{
    struct login_peer *old = l->n_peers ? oldest(l) : NULL;
    if (old && (now_ms - old->since_ms >= WINDOW_MS || l->n_peers == LOGIN_PEERS_MAX))
        return old;
    struct login_peer *more = reallocarray(l->peers, l->n_peers + 1, sizeof(*more));
    if (!more)
        return NULL;
    l->peers = more;
    return &more[l->n_peers++];
}

static struct login_peer *find_or_add(struct login_limit *l, const char *name, int64_t now_ms)
{
    struct login_peer *p = find(l, name);
    if (p)
        return p;
    p = place(l, now_ms);
    if (!p)
        return NULL;
    *p = (struct login_peer){.since_ms = now_ms};
    memcpy(p->peer, name, LOGIN_PEER_SIZE);
    return p;
}

/* Begins a new window when the last is over. False: this one is full. */
static bool has_room(struct login_peer *p, int64_t now_ms, int max)
{
    if (now_ms - p->since_ms >= WINDOW_MS) {
        p->since_ms = now_ms;
        p->failed = 0;
    }
    return p->failed < max;
}

static int refuse(const struct login_peer *p, int64_t now_ms, struct err *e)
{
    int r = err_set(e, ERR_RATE, "too many attempts to sign in: try again later");
    if (e)
        e->retry_after_s = (int)((p->since_ms + WINDOW_MS - now_ms + 999) / 1000);
    return r;
}

int login_limit_enter(struct login_limit *l, const char *peer, int64_t now_ms, struct err *e)
{
    char name[LOGIN_PEER_SIZE];
    name_of(peer, name);
    AUTO_LOCK(&l->lock);
    struct login_peer *p = find_or_add(l, name, now_ms);
    if (!p)
        return err_errno(e, -ENOMEM, "sign in");
    if (!has_room(p, now_ms, LOGIN_ATTEMPTS_MAX))
        return refuse(p, now_ms, e);
    if (!has_room(&l->all, now_ms, LOGIN_ATTEMPTS_ALL_MAX))
        return refuse(&l->all, now_ms, e);
    p->failed++;
    l->all.failed++;
    return 0;
}

void login_limit_forgive(struct login_limit *l, const char *peer)
{
    char name[LOGIN_PEER_SIZE];
    name_of(peer, name);
    AUTO_LOCK(&l->lock);
    struct login_peer *p = find(l, name);
    if (p && p->failed > 0)
        p->failed--;
    if (l->all.failed > 0)
        l->all.failed--;
}
