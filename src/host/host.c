/* SPDX-License-Identifier: Apache-2.0 */

/* Putting the host together and taking it apart. The order matters twice: what a former daemon left
 * is adopted or ended before anything new is started, and at the end nothing is freed that a thread
 * may still reach. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/accounts.h"
#include "host/activity.h"
#include "host/builds.h"
#include "host/console.h"
#include "host/image_rows.h"
#include "host/image_versions.h"
#include "host/instance.h"
#include "host/overview.h"
#include "host/remote.h"
#include "host/sessions.h"
#include "host/snapshots.h"
#include "host/staging.h"
#include "host/vm_pool.h"
#include "host/webhooks.h"

#define LOCK_PATIENCE_MS 2000
#define LOCK_LOOK_MS 10

int host_helper_dir(const struct config *config, char *ret, size_t size)
{
    /* Installed; in a build tree. */
    static const char *const places[] = {"../libexec/holm", "../engine"};
    if (config->helper_dir[0])
        return path_printf(ret, size, "%s", config->helper_dir);
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    if (n < 0)
        return -errno;
    exe[n] = '\0';
    *strrchr(exe, '/') = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        char dir[PATH_MAX], jail[PATH_MAX];
        if (path_printf(dir, sizeof(dir), "%s/%s", exe, places[i]) == 0 &&
            path_printf(jail, sizeof(jail), "%s/holm-jail", dir) == 0 && access(jail, X_OK) == 0)
            return path_printf(ret, size, "%s", dir);
    }
    return path_printf(ret, size, "%s", exe);
}

static int make_dirs(const struct config *config, struct err *e)
{
    static const char *const names[] = {
        "", "/vms", "/templates", "/images", "/snapshots", "/suspended", "/forks", "/tmp", "/logs"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char path[PATH_MAX];
        path_printf(path, sizeof(path), "%s%s", config->data_dir, names[i]);
        int r = dir_make(path, 0755);
        if (r < 0)
            return err_errno(e, r, "make %s", path);
    }
    return 0;
}

/* A daemon that was killed while it started a process has left the lock to that, until it is the
 * program that it was to be. */
static int wait_for_lock(int fd)
{
    int64_t until_ms = clock_mono_ms() + LOCK_PATIENCE_MS;
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK || clock_mono_ms() >= until_ms)
            return -errno;
        poll(NULL, 0, LOCK_LOOK_MS);
    }
    return 0;
}

static int lock_data_dir(struct host *h, struct err *e)
{
    char path[PATH_MAX];
    path_printf(path, sizeof(path), "%s/holmd.lock", h->config->data_dir);
    h->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (h->lock_fd < 0)
        return err_errno(e, -errno, "open %s", path);
    if (wait_for_lock(h->lock_fd) < 0)
        return err_set(e, ERR_CONFLICT,
                       "another holmd uses %s: stop it, or set paths.data_dir to another directory",
                       h->config->data_dir);
    return 0;
}

/* A host that cannot make networks is still one that runs VMs. */
static void open_net(struct host *h)
{
    const struct config *c = h->config;
    struct err e = ERR_INIT;
    struct net_config nc = {
        .prefix = c->network_prefix,
        .pool_cidr = c->network_pool,
        .resolver = c->network_resolver,
        .slots = c->uid_count,
        .spare = c->network_spare,
        .uid_first = (uid_t)c->uid_first,
    };
    if (c->network && net_new(&nc, &h->net, &e) < 0)
        log_warn("host", "VMs have no network: %s", e.text);
}

/* Who may ask, and who is told. */
static int open_people(struct host *h, struct err *e)
{
    const struct config *c = h->config;
    struct quota defaults = {
        .vcpus = c->quota_vcpus,
        .memory_mib = c->quota_memory_mib,
        .disk_bytes = c->quota_disk_gib * (int64_t)GIB,
        .snapshots = c->quota_snapshots,
    };
    int r = activities_new(h, &h->activities, e);
    if (r == 0)
        r = accounts_new(h->store, c->data_dir, &defaults, &h->accounts, e);
    if (r == 0 && c->rds_api_key[0])
        r = accounts_set_key(h->accounts, c->rds_api_key, e);
    if (r == 0)
        r = sessions_new(h, &h->sessions, e);
    return r == 0 ? webhooks_new(h, &h->webhooks, e) : r;
}

static int open_living(struct host *h, struct err *e)
{
    char staging[PATH_MAX / 4];
    instance_path(h, "staging", "", staging);
    int r = open_people(h, e);
    if (r == 0)
        image_rows_charge(h->image_rows, h->accounts);
    if (r == 0)
        r = staging_new(staging, &h->staging, e);
    if (r == 0)
        r = consoles_new(h->config->data_dir, &h->consoles, e);
    if (r == 0)
        r = snapshots_new(h, &h->snapshots, e);
    if (r == 0)
        r = vm_pool_new(h, &h->vm_pool, e);
    if (r == 0)
        r = instances_new(h, &h->instances, e);
    return r == 0 ? instances_load(h->instances, e) : r;
}

static int open_parts(struct host *h, struct err *e)
{
    const struct config *c = h->config;
    char path[PATH_MAX];
    struct admission_limits limits = {
        .vms_max = c->vms_max,
        .memory_max_mib = c->memory_max_mib,
        .starts_max = c->starts_max,
        .waiting_max = c->run_queue_max,
        .uid_first = (uid_t)c->uid_first,
        .uid_count = c->uid_count,
    };
    path_printf(path, sizeof(path), "%s/holm.db", c->data_dir);
    int r = store_open(path, &h->store, e);
    if (r == 0)
        r = admission_init(&h->admission, &limits, e);
    if (r == 0)
        r = link_loop_new(&h->links, e);
    if (r == 0)
        r = remote_new(h, &h->remote, e);
    if (r == 0)
        r = image_rows_new(h, &h->image_rows, e);
    if (r == 0)
        r = image_versions_new(&h->image_versions, e);
    if (r == 0)
        r = image_set_new(h, &h->images, e);
    if (r == 0)
        r = builds_new(h, &h->builds, e);
    if (r == 0)
        r = pool_new(h, &h->pool, e);
    if (r == 0)
        r = reaper_new(h, &h->reaper, e);
    return r == 0 ? open_living(h, e) : r;
}

static int open_engine(struct host *h, struct err *e)
{
    static char helper_dir[PATH_MAX]; /* the engine borrows it for its life */
    int r = host_helper_dir(h->config, helper_dir, sizeof(helper_dir));
    if (r < 0)
        return err_errno(e, r, "find the helper programs");
    struct engine_config ec = {
        .qemu_binary = h->config->qemu,
        .accel = h->config->accelerator,
        .helper_dir = helper_dir,
        .jail = h->config->jail,
    };
    return engine_new(h->config->engine, &ec, &h->engine, e);
}

/* A VM that waited in the pool is as good as before; any other one has lost the request it belonged
 * to. */
static int inherit(void *arg, const struct vm_record *record)
{
    struct host *h = arg;
    struct err e = ERR_INIT;
    struct vm *vm = NULL;
    if (instances_inherit(h->instances, record))
        return 0;
    const struct language *lang = host_language_find(record->language);
    enum monitor_state state = MONITOR_GONE;
    bool idle = record->state == VM_RUNNING && !record->used && lang &&
                config_pool_size(h->config, lang->name) > 0;
    if (idle && vm_adopt(h, record, NULL, &vm, &state, &e) == 0) {
        if (state == MONITOR_RUNNING && vm_connect(h, vm, &vm->link, &e) == 0) {
            log_info("host", "vm=%s language=%s adopted", record->id, record->language);
            pool_adopt(h->pool, vm);
            return 0;
        }
        log_info("host", "vm=%s not adopted: %s", record->id, e.text);
        vm_end(h, vm);
        return 0;
    }
    if (idle)
        log_info("host", "vm=%s not adopted: %s", record->id, e.text);
    vm_reap(h, record, false);
    return 0;
}

/* Directories of VMs that the store does not know: the daemon died after the record went and before
 * the directory. */
static int drop_orphans(struct host *h, struct err *e)
{
    char top[PATH_MAX / 4];
    path_printf(top, sizeof(top), "%s/vms", h->config->data_dir);
    auto_closedir DIR *d = opendir(top);
    if (!d)
        return err_errno(e, -errno, "open %s", top);
    for (struct dirent *de; (de = readdir(d));) {
        struct vm_record record = {.state = VM_LOST};
        if (!id_valid(de->d_name))
            continue;
        strcpy(record.id, de->d_name);
        bool known = true;
        int r = store_vm_known(h->store, record.id, &known, e);
        if (r < 0)
            return r;
        if (!known && !instances_want_dir(h->instances, record.id))
            vm_reap(h, &record, false);
    }
    return 0;
}

static int start_parts(struct host *h, struct err *e)
{
    int r = h->net ? net_start(h->net, e) : 0;
    if (r == 0)
        r = image_set_start(h->images, e);
    if (r == 0)
        r = builds_start_thread(h->builds, e);
    if (r == 0)
        r = pool_start(h->pool, e);
    if (r == 0)
        r = vm_pool_start(h->vm_pool, e);
    if (r == 0)
        r = instances_start(h->instances, e);
    return r == 0 ? overview_new(h, &h->overview, e) : r;
}

/* What a former daemon left: monitors first, then what has none, then what nobody has. */
static int take_over(struct host *h, struct err *e)
{
    int r = store_vm_each(h->store, inherit, h, e);
    if (r < 0)
        return r;
    instances_settle(h->instances);
    return drop_orphans(h, e);
}

int host_new(const struct config *config, struct host **ret, struct err *e)
{
    struct host *h = calloc(1, sizeof(*h));
    if (!h)
        return err_errno(e, -ENOMEM, "host");
    h->config = config;
    h->lock_fd = -1;
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->run_ended, NULL);
    int r = make_dirs(config, e);
    if (r == 0)
        r = lock_data_dir(h, e);
    if (r == 0)
        r = open_engine(h, e);
    if (r == 0)
        open_net(h);
    if (r == 0)
        r = open_parts(h, e);
    if (r == 0)
        r = take_over(h, e);
    if (r == 0)
        r = start_parts(h, e);
    if (r < 0) {
        host_free(h);
        return r;
    }
    *ret = h;
    return 0;
}

const struct config *host_config(const struct host *h)
{
    return h->config;
}

bool host_is_stopping(const struct host *h)
{
    return h->aborting;
}

static void await_runs(struct host *h, int grace_ms)
{
    int64_t end = clock_real_ns() + (int64_t)grace_ms * 1000000;
    struct timespec until = {.tv_sec = end / 1000000000, .tv_nsec = end % 1000000000};
    AUTO_LOCK(&h->lock);
    while (h->runs > 0 && pthread_cond_timedwait(&h->run_ended, &h->lock, &until) == 0)
        ;
}

void host_end_runs(struct host *h, int grace_ms)
{
    h->draining = true;
    await_runs(h, grace_ms);
    h->aborting = true;
    if (h->activities)
        activities_stop(h->activities);
    AUTO_LOCK(&h->lock);
    while (h->runs > 0)
        pthread_cond_wait(&h->run_ended, &h->lock);
}

void host_free(struct host *h)
{
    if (!h)
        return;
    host_end_runs(h, 0);
    overview_free(h->overview);
    /* Preparers wake the pool, fillers ask for images, reapers wake the pool: all threads first. */
    if (h->builds)
        builds_stop(h->builds);
    if (h->instances)
        instances_stop(h->instances);
    if (h->images)
        image_set_stop(h->images);
    if (h->pool)
        pool_stop(h->pool);
    if (h->vm_pool)
        vm_pool_stop(h->vm_pool);
    reaper_free(h->reaper);
    pool_free(h->pool);
    vm_pool_free(h->vm_pool);
    builds_free(h->builds);
    image_set_free(h->images);
    image_versions_free(h->image_versions);
    image_rows_free(h->image_rows);
    instances_free(h->instances);
    snapshots_free(h->snapshots);
    consoles_free(h->consoles);
    link_loop_free(h->links);
    if (h->net)
        net_free(h->net);
    admission_done(&h->admission);
    staging_free(h->staging);
    remote_free(h->remote);
    /* Webhooks note what they give up, and the last events wake them. */
    webhooks_stop(h->webhooks);
    activities_free(h->activities);
    webhooks_free(h->webhooks);
    sessions_free(h->sessions);
    accounts_free(h->accounts);
    store_close(h->store);
    engine_free(h->engine);
    if (h->lock_fd >= 0)
        close(h->lock_fd);
    pthread_cond_destroy(&h->run_ended);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

void host_language_status(struct host *h, const struct language *lang, struct language_status *ret)
{
    *ret = (struct language_status){0};
    ret->state = image_state(h->images, lang, ret->detail);
    ret->pooled = pool_count(h->pool, lang);
}

struct staging *host_staging(struct host *h)
{
    return h->staging;
}
