/* SPDX-License-Identifier: Apache-2.0 */
#include "api/native/watch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"
#include "base/clock.h"

struct watch {
    struct vm_stream *stream;
    int client_fd;
    int64_t deadline_ms;
    int stop_fd; /* eventfd: there is nothing to watch any more */
    pthread_t thread;
    bool has_thread;
    atomic_bool timed_out;
};

static void *look(void *arg)
{
    struct watch *w = arg;
    struct pollfd p[] = {{.fd = w->stop_fd, .events = POLLIN},
                         {.fd = w->client_fd, .events = POLLRDHUP}};
    int n;
    do {
        n = poll(p, 2, clock_left_ms(w->deadline_ms));
    } while ((n < 0 && errno == EINTR) ||
             (n == 0 && clock_left_ms(w->deadline_ms) != 0)); /* the wait is bounded */
    if (p[0].revents)
        return NULL;
    atomic_store(&w->timed_out, n == 0);
    vm_stream_shutdown(w->stream);
    return NULL;
}

DEFINE_AUTO(struct watch *, watch_free)

int watch_start(struct vm_stream *s, int client_fd, int64_t deadline_ms, struct watch **ret,
                struct err *e)
{
    CLEANUP(watch_freep) struct watch *w = calloc(1, sizeof(*w));
    if (!w)
        return err_errno(e, -ENOMEM, "watch a transfer");
    w->stream = s;
    w->client_fd = client_fd;
    w->deadline_ms = deadline_ms;
    w->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (w->stop_fd < 0)
        return err_errno(e, -errno, "watch a transfer");
    int r = pthread_create(&w->thread, NULL, look, w);
    if (r > 0)
        return err_errno(e, -r, "watch a transfer");
    w->has_thread = true;
    *ret = TAKE_PTR(w);
    return 0;
}

bool watch_timed_out(const struct watch *w)
{
    return atomic_load(&w->timed_out);
}

void watch_free(struct watch *w)
{
    if (!w)
        return;
    if (w->has_thread) {
        eventfd_write(w->stop_fd, 1);
        pthread_join(w->thread, NULL);
    }
    cleanup_close(&w->stop_fd);
    free(w);
}
