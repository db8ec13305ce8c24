/* SPDX-License-Identifier: Apache-2.0 */
#include "host/admission.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"

/* A hint, not a promise: a run of code that ends frees its place, and most end within seconds. */
#define RETRY_AFTER_S 2

static int host_memory_mib(void)
{
    long long bytes = (long long)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    return (int)(bytes >> 20);
}

int admission_init(struct admission *a, const struct admission_limits *limits, struct err *e)
{
    *a = (struct admission){
        .vms_max = limits->vms_max,
        .memory_max_mib =
            limits->memory_max_mib ? limits->memory_max_mib : host_memory_mib() / 4 * 3,
        .starts_max =
            limits->starts_max ? limits->starts_max : 2 * (int)sysconf(_SC_NPROCESSORS_ONLN),
        .uid_first = limits->uid_first,
        .uid_count = limits->uid_count,
        .uid_taken = calloc((size_t)limits->uid_count, sizeof(bool)),
    };
    if (!a->uid_taken)
        return err_errno(e, -ENOMEM, "admission");
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->start_ended, NULL);
    return 0;
}

void admission_done(struct admission *a)
{
    if (!a->uid_taken)
        return;
    free(TAKE_PTR(a->uid_taken));
    pthread_cond_destroy(&a->start_ended);
    pthread_mutex_destroy(&a->lock);
}

static int refuse(struct admission *a, struct err *e, const char *what, int now, int max)
{
    a->refused++;
    int r = err_set(e, ERR_FULL, "no room for another VM: %d of %d %s are taken; try again in %d s",
                    now, max, what, RETRY_AFTER_S);
    if (e)
        e->retry_after_s = RETRY_AFTER_S;
    return r;
}

static int check_room(struct admission *a, const struct machine_shape *shape, struct err *e)
{
    if (shape->memory_mib > a->memory_max_mib)
        return err_set(e, ERR_INVALID,
                       "a VM of %d MiB can never run here: all VMs together have %d MiB",
                       shape->memory_mib, a->memory_max_mib);
    if (a->vms >= a->vms_max)
        return refuse(a, e, "VMs", a->vms, a->vms_max);
    if (a->memory_mib + shape->memory_mib > a->memory_max_mib)
        return refuse(a, e, "MiB of memory", a->memory_mib, a->memory_max_mib);
    return 0;
}

static void count_in(struct admission *a, const struct machine_shape *shape, int index)
{
    a->uid_taken[index] = true;
    a->vms++;
    a->memory_mib += shape->memory_mib;
}

int admission_take(struct admission *a, const struct machine_shape *shape, uid_t *ret_uid,
                   struct err *e)
{
    AUTO_LOCK(&a->lock);
    int r = check_room(a, shape, e);
    if (r < 0)
        return r;
    int i = 0;
    while (i < a->uid_count && a->uid_taken[i])
        i++;
    if (i == a->uid_count)
        return refuse(a, e, "uids", i, a->uid_count);
    count_in(a, shape, i);
    *ret_uid = a->uid_first + (uid_t)i;
    return 0;
}

int admission_adopt(struct admission *a, const struct machine_shape *shape, uid_t uid,
                    struct err *e)
{
    AUTO_LOCK(&a->lock);
    if (uid < a->uid_first || uid - a->uid_first >= (uid_t)a->uid_count ||
        a->uid_taken[uid - a->uid_first])
        return err_set(e, ERR_FULL, "uid %u is not free", uid);
    int r = check_room(a, shape, e);
    if (r == 0)
        count_in(a, shape, (int)(uid - a->uid_first));
    return r;
}

void admission_give_back(struct admission *a, const struct machine_shape *shape, uid_t uid)
{
    AUTO_LOCK(&a->lock);
    a->uid_taken[uid - a->uid_first] = false;
    a->vms--;
    a->memory_mib -= shape->memory_mib;
}

void admission_start_enter(struct admission *a)
{
    AUTO_LOCK(&a->lock);
    while (a->starting >= a->starts_max)
        pthread_cond_wait(&a->start_ended, &a->lock);
    a->starting++;
}

void admission_start_leave(struct admission *a)
{
    AUTO_LOCK(&a->lock);
    a->starting--;
    pthread_cond_signal(&a->start_ended);
}
