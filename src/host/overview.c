/* SPDX-License-Identifier: Apache-2.0 */

/* Numbers for a dashboard. What takes time is looked at by a thread: how busy the CPUs are (a
 * difference of two moments) and how much of the disk is Holm's. */

#include "host/overview.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "host/images.h"
#include "host/instance.h"
#include "host/snapshots.h"

#define CPU_LOOK_MS 2000
#define DISK_LOOK_MS 60000
#define DEPTH_MAX 16 /* of directories below the data directory */

struct overview {
    struct host *host;
    int64_t started_ns;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock; /* leaf; guards everything below */
    pthread_cond_t changed;
    bool stopping;
    double cpu_used;
    int64_t holm_bytes;
};

/* --- CPUs --- */

struct cpu_ticks {
    uint64_t busy, all;
};

static int read_ticks(struct cpu_ticks *ret)
{
    unsigned long long v[8] = {0};
    auto_fclose FILE *f = fopen("/proc/stat", "re");
    if (!f || fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3],
                     &v[4], &v[5], &v[6], &v[7]) < 4)
        return -EIO;
    *ret = (struct cpu_ticks){0};
    for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
        bool idle = i == 3 || i == 4; /* idle, iowait */
        ret->all += v[i];
        ret->busy += idle ? 0 : v[i];
    }
    return 0;
}

static double busy_cpus(const struct cpu_ticks *from, const struct cpu_ticks *to)
{
    uint64_t all = to->all - from->all;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    if (to->all <= from->all || to->busy < from->busy)
        return 0;
    return (double)(to->busy - from->busy) / (double)all * (double)cpus;
}

/* --- the disk --- */

/* Files with several names, counted once. */
struct sum {
    void *seen; /* a tree of struct file_id */
    int64_t bytes;
};

struct file_id {
    dev_t dev;
    ino_t ino;
};

static int compare(const void *x, const void *y)
{
    const struct file_id *a = x, *b = y;
    if (a->dev != b->dev)
        return a->dev < b->dev ? -1 : 1;
    return a->ino < b->ino ? -1 : a->ino > b->ino;
}

static bool is_new(struct sum *s, const struct stat *st)
{
    if (st->st_nlink < 2)
        return true;
    auto_free struct file_id *id = malloc(sizeof(*id));
    if (!id)
        return true;
    *id = (struct file_id){st->st_dev, st->st_ino};
    struct file_id **found = tsearch(id, &s->seen, compare);
    if (!found || *found != id)
        return !found;
    TAKE_PTR(id);
    return true;
}

static void add_dir(struct sum *s, int fd, int depth)
{
    auto_closedir DIR *d = fdopendir(fd);
    if (!d) {
        close(fd);
        return;
    }
    for (struct dirent *de; (de = readdir(d));) {
        struct stat st;
        if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0 ||
            fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
            int sub = openat(dirfd(d), de->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (sub >= 0)
                add_dir(s, sub, depth + 1);
        }
        if (S_ISDIR(st.st_mode) || is_new(s, &st))
            s->bytes += st.st_blocks * INT64_C(512);
    }
}

static int64_t used_bytes(const char *dir)
{
    struct sum s = {0};
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        add_dir(&s, fd, 0);
    tdestroy(s.seen, free);
    return s.bytes;
}

/* --- the thread --- */

/* Whether it goes on. */
static bool wait_turn(struct overview *o)
{
    int64_t until_ms = clock_mono_ms() + CPU_LOOK_MS;
    AUTO_LOCK(&o->lock);
    while (!o->stopping && link_cond_wait(&o->changed, &o->lock, until_ms) != -ETIMEDOUT)
        ;
    return !o->stopping;
}

static void *look(void *arg)
{
    struct overview *o = arg;
    struct cpu_ticks from = {0}, to;
    int64_t disk_ms = 0;
    bool has_from = read_ticks(&from) == 0;
    do {
        int64_t holm_bytes = -1;
        double cpus = 0;
        if (clock_mono_ms() >= disk_ms) {
            holm_bytes = used_bytes(o->host->config->data_dir);
            disk_ms = clock_mono_ms() + DISK_LOOK_MS;
        }
        bool has_to = read_ticks(&to) == 0;
        if (has_from && has_to)
            cpus = busy_cpus(&from, &to);
        from = to;
        has_from = has_to;
        AUTO_LOCK(&o->lock);
        o->cpu_used = cpus;
        o->holm_bytes = holm_bytes < 0 ? o->holm_bytes : holm_bytes;
    } while (wait_turn(o));
    return NULL;
}

/* --- looking --- */

static void count_vms(struct instances *s, const char *account, struct host_overview *ret)
{
    AUTO_LOCK(&s->lock);
    for (const struct instance *i = s->first; i; i = i->next) {
        enum vm_state state = i->record.info.state;
        if (account && strcmp(i->record.info.account, account) != 0)
            continue;
        ret->vms_total++;
        ret->vms_active += i->vm && (state == VM_RUNNING || state == VM_PAUSED);
    }
}

/* Those of an account, without built-in ones. */
static int count_uploaded(struct host *h, const char *account)
{
    auto_free struct image_info *list = NULL;
    size_t n = 0;
    int count = 0;
    if (host_image_list(h, account, &list, &n, NULL) < 0)
        return 0;
    for (size_t i = 0; i < n; i++)
        count += !list[i].builtin && strcmp(list[i].state, "ready") == 0;
    return count;
}

static int count_everyones(struct host *h)
{
    auto_free struct account_info *accounts = NULL;
    size_t n = 0;
    int count = 0;
    if (host_account_list(h, &accounts, &n, NULL) < 0)
        return 0;
    for (size_t i = 0; i < n; i++)
        count += count_uploaded(h, accounts[i].id);
    return count;
}

static void count_images(struct host *h, const char *account, struct host_overview *ret)
{
    ret->images += host_images_ready(h);
    ret->images += account ? count_uploaded(h, account) : count_everyones(h);
}

/* Each has a name; see image.h. */
static int count_templates(struct host *h)
{
    char path[PATH_MAX];
    int n = 0;
    path_printf(path, sizeof(path), "%s/templates", h->config->data_dir);
    auto_closedir DIR *d = opendir(path);
    for (struct dirent *de; d && (de = readdir(d));) {
        const char *dot = strrchr(de->d_name, '.');
        n += dot && strcmp(dot, ".json") == 0;
    }
    return n;
}

static void look_at_memory(struct host_overview *ret)
{
    auto_fclose FILE *f = fopen("/proc/meminfo", "re");
    char line[256];
    long long kib, available = 0;
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "MemTotal: %lld", &kib) == 1)
            ret->memory_capacity_bytes = kib * 1024;
        else if (sscanf(line, "MemAvailable: %lld", &kib) == 1)
            available = kib * 1024;
    }
    ret->memory_used_bytes = ret->memory_capacity_bytes - available;
}

static void look_at_disk(struct host *h, struct host_overview *ret)
{
    struct statvfs st;
    if (statvfs(h->config->data_dir, &st) < 0)
        return;
    int64_t unit = (int64_t)st.f_frsize;
    ret->storage_capacity_bytes = (int64_t)st.f_blocks * unit;
    ret->storage_used_bytes = (int64_t)(st.f_blocks - st.f_bfree) * unit;
}

int host_overview(struct host *h, const char *account, struct host_overview *ret, struct err *e)
{
    struct overview *o = h->overview;
    *ret = (struct host_overview){
        .cpus = (int)sysconf(_SC_NPROCESSORS_ONLN),
        .snapshots = snapshots_count(h->snapshots, account),
        .templates = count_templates(h),
        .started_ns = o->started_ns,
    };
    count_vms(h->instances, account, ret);
    count_images(h, account, ret);
    look_at_memory(ret);
    look_at_disk(h, ret);
    {
        AUTO_LOCK(&h->admission.lock);
        ret->memory_promised_bytes = h->admission.memory_mib * (int64_t)MIB;
    }
    AUTO_LOCK(&o->lock);
    ret->cpu_used = o->cpu_used;
    ret->storage_holm_bytes = o->holm_bytes;
    return 0;
}

/* --- beginning and end --- */

int overview_new(struct host *h, struct overview **ret, struct err *e)
{
    struct overview *o = calloc(1, sizeof(*o));
    if (!o)
        return err_errno(e, -ENOMEM, "overview");
    o->host = h;
    o->started_ns = clock_real_ns();
    pthread_mutex_init(&o->lock, NULL);
    link_cond_init(&o->changed);
    if (pthread_create(&o->thread, NULL, look, o) != 0) {
        overview_free(o);
        return err_set(e, ERR_INTERNAL, "overview: cannot start a thread");
    }
    o->has_thread = true;
    *ret = o;
    return 0;
}

void overview_free(struct overview *o)
{
    if (!o)
        return;
    {
        AUTO_LOCK(&o->lock);
        o->stopping = true;
        pthread_cond_signal(&o->changed);
    }
    if (o->has_thread)
        pthread_join(o->thread, NULL);
    pthread_cond_destroy(&o->changed);
    pthread_mutex_destroy(&o->lock);
    free(o);
}
