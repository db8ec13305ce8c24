/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/loop.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

#include "base/clock.h"

int loop_init(struct loop *l)
{
    *l = (struct loop){.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    return l->epoll_fd < 0 ? -errno : 0;
}

void loop_done(struct loop *l)
{
    close(l->epoll_fd);
}

int loop_watch(struct loop *l, struct loop_watch *w, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = w};
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, w->fd, &ev) < 0)
        return -errno;
    w->active = true;
    return 0;
}

int loop_rewatch(struct loop *l, struct loop_watch *w, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = w};
    return epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, w->fd, &ev) < 0 ? -errno : 0;
}

void loop_unwatch(struct loop *l, struct loop_watch *w)
{
    if (!w->active)
        return;
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
    w->active = false;
    /* Its memory may be freed before the rest of the batch is looked at. */
    for (int i = 0; i < l->batch_len; i++)
        if (l->batch[i].data.ptr == w)
            l->batch[i].data.ptr = NULL;
}

void loop_timer_start(struct loop *l, struct loop_timer *t, int64_t in_ms)
{
    loop_timer_stop(l, t);
    t->due_ms = clock_mono_ms() + (in_ms > 0 ? in_ms : 0);
    t->prev = NULL;
    t->next = l->timers;
    if (t->next)
        t->next->prev = t;
    l->timers = t;
}

void loop_timer_stop(struct loop *l, struct loop_timer *t)
{
    if (!t->due_ms)
        return;
    if (t->prev)
        t->prev->next = t->next;
    else
        l->timers = t->next;
    if (t->next)
        t->next->prev = t->prev;
    t->due_ms = 0;
}

/* The list is as long as there are programs with a timeout, a few hundred at most: scanning it
 * costs less than the system call that follows. */
static struct loop_timer *first_due(const struct loop *l)
{
    struct loop_timer *first = l->timers;
    for (struct loop_timer *t = l->timers; t; t = t->next)
        if (t->due_ms < first->due_ms)
            first = t;
    return first;
}

static void fire_due(struct loop *l)
{
    int64_t now_ms = l->timers ? clock_mono_ms() : 0;
    struct loop_timer *t;
    while ((t = first_due(l)) && t->due_ms <= now_ms) {
        loop_timer_stop(l, t);
        t->fire(t);
    }
}

int loop_once(struct loop *l, int timeout_ms)
{
    int n = epoll_wait(l->epoll_fd, l->batch, LOOP_BATCH, timeout_ms);
    if (n < 0 && errno != EINTR)
        return -errno;
    l->batch_len = n < 0 ? 0 : n;
    for (int i = 0; i < l->batch_len; i++) {
        struct loop_watch *w = l->batch[i].data.ptr;
        if (w)
            w->ready(w, l->batch[i].events);
    }
    l->batch_len = 0;
    fire_due(l);
    return 0;
}

int loop_run(struct loop *l, void (*after)(void *arg), void *arg)
{
    int r = 0;
    after(arg);
    while (!l->stop && r >= 0) {
        struct loop_timer *t = first_due(l);
        r = loop_once(l, t ? clock_left_ms(t->due_ms) : -1);
        after(arg);
    }
    return r;
}
