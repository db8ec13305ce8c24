/* SPDX-License-Identifier: Apache-2.0 */
#include "host/admission.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* A hint, not a promise: a run of code that ends frees its place, and most end within seconds. What
 * is said while nothing is known of how fast that goes, and at the most. */
#define RETRY_AFTER_S 2
#define RETRY_AFTER_MAX_S 300
#define PACE_WINDOW_MS 60000 /* places that became free before this are no news */

/* How often a waiter looks whether it is still wanted. */
#define LOOK_INTERVAL_MS 100

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
        .waiting_max = limits->waiting_max,
        .uid_first = limits->uid_first,
        .uid_count = limits->uid_count,
        .uid_taken = calloc((size_t)limits->uid_count, sizeof(bool)),
    };
    if (!a->uid_taken)
        return err_errno(e, -ENOMEM, "admission");
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->start_ended, NULL);
    pthread_cond_init(&a->changed, NULL);
    return 0;
}

void admission_done(struct admission *a)
{
    if (!a->uid_taken)
        return;
    free(TAKE_PTR(a->uid_taken));
    pthread_cond_destroy(&a->start_ended);
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
}

/* When one more who comes after all in the line may find room, by the pace of the last minute. */
static int retry_after_s(const struct admission *a)
{
    int64_t now_ms = clock_mono_ms(), oldest_ms = now_ms;
    int n = 0;
    for (; n < ADMISSION_PACE_MAX && (unsigned long)n < a->freed; n++) {
        int64_t at_ms = a->freed_ms[(a->freed - 1 - (unsigned long)n) % ADMISSION_PACE_MAX];
        if (now_ms - at_ms > PACE_WINDOW_MS)
            break;
        oldest_ms = at_ms;
    }
    if (n < 2)
        return RETRY_AFTER_S;
    int64_t wait_s = (now_ms - oldest_ms) * (a->waiting + 1) / n / 1000 + 1;
    return wait_s < RETRY_AFTER_MAX_S ? (int)wait_s : RETRY_AFTER_MAX_S;
}

static int refuse(struct admission *a, struct err *e, const char *what, int now, int max)
{
    int wait_s = retry_after_s(a);
    int r = err_set(e, ERR_FULL, "no room for another VM: %d of %d %s are taken; try again in %d s",
                    now, max, what, wait_s);
    if (e)
        e->retry_after_s = wait_s;
    return r;
}

static int check_ever(const struct admission *a, const struct machine_shape *shape, struct err *e)
{
    if (shape->memory_mib <= a->memory_max_mib)
        return 0;
    return err_set(e, ERR_INVALID,
                   "a VM of %d MiB can never run here: all VMs together have %d MiB",
                   shape->memory_mib, a->memory_max_mib);
}

static int check_room(struct admission *a, const struct machine_shape *shape, struct err *e)
{
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

/* A grant, or why there is none now. */
static int grant(struct admission *a, const struct machine_shape *shape, uid_t *ret_uid,
                 struct err *e)
{
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

static void line_join(struct admission *a, struct admission_waiter *me)
{
    struct admission_waiter **end = &a->first;
    while (*end)
        end = &(*end)->next;
    *end = me;
    a->waiting++;
}

static void line_leave(struct admission *a, struct admission_waiter *me)
{
    struct admission_waiter **at = &a->first;
    while (*at != me)
        at = &(*at)->next;
    *at = me->next;
    a->waiting--;
    pthread_cond_broadcast(&a->changed);
}

/* Until something has changed, or for a while. */
static void line_sleep(struct admission *a)
{
    int64_t at = clock_real_ns() + LOOK_INTERVAL_MS * 1000000LL;
    struct timespec until = {.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000};
    pthread_cond_timedwait(&a->changed, &a->lock, &until);
}

/* Callers are asked without the lock. */
static bool is_cancelled(struct admission *a, const struct admission_wait *w)
{
    pthread_mutex_unlock(&a->lock);
    bool is = w->cancelled && w->cancelled(w->arg);
    pthread_mutex_lock(&a->lock);
    return is;
}

static enum admission_next ask_full(struct admission *a, const struct admission_wait *w)
{
    pthread_mutex_unlock(&a->lock);
    enum admission_next next = w->full ? w->full(w->arg) : ADMISSION_WAIT;
    pthread_mutex_lock(&a->lock);
    return next;
}

static int refuse_late(struct admission *a, struct err *e)
{
    int wait_s = retry_after_s(a);
    int r = err_set(e, ERR_FULL, "no VM became free in time; %d wait for one; try again in %d s",
                    a->waiting, wait_s);
    if (e)
        e->retry_after_s = wait_s;
    return r;
}

/* There is no grant yet: 0 when it is worth looking again. */
static int wait_a_while(struct admission *a, const struct admission_wait *w, bool is_first,
                        struct err *e)
{
    unsigned long freed = a->freed;
    if (is_cancelled(a, w))
        return -ECANCELED;
    if (clock_mono_ms() >= w->deadline_ms)
        return refuse_late(a, e);
    enum admission_next next = is_first ? ask_full(a, w) : ADMISSION_WAIT;
    if (next == ADMISSION_LEAVE)
        return -EALREADY;
    if (next == ADMISSION_WAIT && freed == a->freed)
        line_sleep(a);
    return 0;
}

static int wait_in_line(struct admission *a, const struct machine_shape *shape,
                        const struct admission_wait *w, uid_t *ret_uid, struct err *e)
{
    struct admission_waiter me = {0};
    int r;
    line_join(a, &me);
    do {
        bool is_first = a->first == &me;
        r = is_first ? grant(a, shape, ret_uid, e) : -EAGAIN;
        if (r != -EAGAIN)
            break;
        r = wait_a_while(a, w, is_first, e);
    } while (r == 0);
    line_leave(a, &me);
    return r;
}

int admission_take(struct admission *a, const struct machine_shape *shape,
                   const struct admission_wait *w, uid_t *ret_uid, struct err *e)
{
    AUTO_LOCK(&a->lock);
    int r = check_ever(a, shape, e);
    if (r < 0)
        return r;
    r = w && a->first ? -EAGAIN : grant(a, shape, ret_uid, e);
    if (r == -EAGAIN && w)
        r = a->waiting < a->waiting_max
                ? wait_in_line(a, shape, w, ret_uid, e)
                : refuse(a, e, "places in the line", a->waiting, a->waiting_max);
    if (r == -EAGAIN)
        a->refused++;
    return r;
}

int admission_adopt(struct admission *a, const struct machine_shape *shape, uid_t uid,
                    struct err *e)
{
    AUTO_LOCK(&a->lock);
    if (uid < a->uid_first || uid - a->uid_first >= (uid_t)a->uid_count ||
        a->uid_taken[uid - a->uid_first])
        return err_set(e, ERR_FULL, "uid %u is not free", uid);
    int r = check_ever(a, shape, e);
    if (r == 0)
        r = check_room(a, shape, e);
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
    a->freed_ms[a->freed++ % ADMISSION_PACE_MAX] = clock_mono_ms();
    pthread_cond_broadcast(&a->changed);
}

void admission_start_enter(struct admission *a)
{
    AUTO_LOCK(&a->lock);
    unsigned long ticket = a->starts_came++;
    while (ticket >= a->starts_ended + (unsigned long)a->starts_max)
        pthread_cond_wait(&a->start_ended, &a->lock);
}

void admission_start_leave(struct admission *a)
{
    AUTO_LOCK(&a->lock);
    a->starts_ended++;
    pthread_cond_broadcast(&a->start_ended);
}
