/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The host's inside, for the files of src/host only. */

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "engine/engine.h"
#include "host/accounts.h"
#include "host/admission.h"
#include "host/config.h"
#include "host/host.h"
#include "host/image.h"
#include "host/link.h"
#include "host/link_priv.h"
#include "host/metrics.h"
#include "host/pool.h"
#include "host/staging.h"
#include "host/store.h"
#include "host/vm.h"

struct activities;
struct net;
struct accounts;
struct builds;
struct instances;
struct snapshots;
struct image_rows;
struct image_versions;
struct consoles;
struct staging;
struct overview;
struct remote;
struct sessions;
struct vm_pool;
struct webhooks;

/* Where Holm's helper programs are, by configuration or beside the running one. */
int host_helper_dir(const struct config *config, char *ret, size_t size);

struct host {
    const struct config *config;
    struct engine *engine;
    struct store *store;
    struct activities *activities;
    struct accounts *accounts;
    struct sessions *sessions;
    struct webhooks *webhooks;
    struct overview *overview;
    struct staging *staging;
    struct remote *remote;
    struct link_loop *links;
    struct admission admission;
    struct metrics metrics;
    struct image_rows *image_rows;
    struct image_versions *image_versions;
    struct image_set *images;
    struct pool *pool;
    struct builds *builds;
    struct reaper *reaper;
    struct net *net; /* NULL: this host cannot give VMs a network */
    struct instances *instances;
    struct snapshots *snapshots;
    struct consoles *consoles;
    struct vm_pool *vm_pool;
    int lock_fd;          /* flock of the data directory: one daemon each */
    atomic_bool draining; /* no new runs */
    atomic_bool aborting; /* running ones are cancelled */

    atomic_int runs;            /* host_run calls under way */
    atomic_int runs_unprepared; /* of these, that wait for their language to be prepared */
    pthread_mutex_t lock;       /* for waiting on run_ended */
    pthread_cond_t run_ended;
};
