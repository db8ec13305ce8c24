/* SPDX-License-Identifier: Apache-2.0 */

/* How threads wait for what a link brings: with a deadline, and asking their caller now and then
 * whether they still should. */
#include <errno.h>

#include "base/clock.h"
#include "host/link.h"
#include "host/link_priv.h"

#define CANCEL_POLL_MS 100

void link_cond_init(pthread_cond_t *c)
{
    pthread_condattr_t a;
    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_cond_init(c, &a);
    pthread_condattr_destroy(&a);
}

int link_cond_wait(pthread_cond_t *c, pthread_mutex_t *m, int64_t until_ms)
{
    struct timespec t = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    return -pthread_cond_timedwait(c, m, &t);
}

void link_waiter_init(struct link_waiter *w, struct link *l, const struct link_wait *wait)
{
    *w = (struct link_waiter){
        .link = l,
        .wait = wait,
        .next_poll_ms = clock_mono_ms() + CANCEL_POLL_MS,
    };
}

int link_waiter_poll(struct link_waiter *w, struct err *e)
{
    int64_t now_ms = clock_mono_ms();
    if (now_ms >= w->wait->deadline_ms)
        return err_set(e, ERR_TIMEOUT, "the agent did not answer in time");
    if (!w->wait->cancelled || now_ms < w->next_poll_ms)
        return 0;
    w->next_poll_ms = now_ms + CANCEL_POLL_MS;
    pthread_mutex_unlock(&w->link->lock);
    bool cancelled = w->wait->cancelled(w->wait->arg);
    pthread_mutex_lock(&w->link->lock);
    if (!cancelled)
        return 0;
    err_set(e, ERR_UNAVAILABLE, "cancelled");
    return -ECANCELED;
}

void link_waiter_sleep(struct link_waiter *w, pthread_cond_t *cond)
{
    int64_t until_ms = w->wait->deadline_ms;
    if (w->wait->cancelled && w->next_poll_ms < until_ms)
        until_ms = w->next_poll_ms;
    link_cond_wait(cond, &w->link->lock, until_ms);
}

int link_end_error(const struct link *l, struct err *e)
{
    if (e)
        *e = l->end_err;
    return err_set(NULL, l->end_err.class, "ended");
}

int link_waiter_sleep_changed(struct link_waiter *w, struct err *e)
{
    struct link *l = w->link;
    l->n_change_waiters++;
    link_waiter_sleep(w, &l->changed);
    l->n_change_waiters--;
    return l->ended ? 0 : link_waiter_poll(w, e);
}

int link_waiter_room(struct link_waiter *w, size_t n, struct err *e)
{
    struct link *l = w->link;
    int r = 0;
    while (r == 0 && !l->ended && agent_client_room(l->client) < n)
        r = link_waiter_sleep_changed(w, e);
    return r == 0 && l->ended ? link_end_error(l, e) : r;
}
