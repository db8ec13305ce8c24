/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How often somebody may try to sign in: LOGIN_ATTEMPTS_MAX failures of one peer and
 * LOGIN_ATTEMPTS_ALL_MAX of all peers together within LOGIN_WINDOW_S. An attempt counts as failed
 * until it is known to be right, so that many at the same time are no way around. Of IPv6 a peer is
 * the first 64 bits: whoever has one address has all of these. Any thread; one leaf lock. */

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define LOGIN_PEER_SIZE 64

struct login_peer {
    char peer[LOGIN_PEER_SIZE];
    int64_t since_ms; /* when its window began */
    int failed;
};

struct login_limit {
    pthread_mutex_t lock; /* guards everything below */
    struct login_peer *peers;
    size_t n_peers;
    struct login_peer all; /* of all together; its name is not used */
};

void login_limit_init(struct login_limit *l);
void login_limit_done(struct login_limit *l);

/* ERR_RATE with retry_after_s. */
int login_limit_enter(struct login_limit *l, const char *peer, int64_t now_ms, struct err *e);
/* It was right: it does not count. */
void login_limit_forgive(struct login_limit *l, const char *peer);
