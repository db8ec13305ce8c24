/* SPDX-License-Identifier: Apache-2.0 */

/* Connections out of a guest to the staging store. A signed URL names the address at which the
 * client reaches Holm; for a command in the guest to use the same URL, the agent listens there
 * inside the guest and hands each connection over the link, and it is joined to the store's own
 * socket. No network takes part, and nothing else of Holm can be reached this way. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/vms_guest.h"
#include "host/vms_use.h"

#define CHUNK_BYTES (256 * KIB)
#define IDLE_MS (60 * 60 * 1000) /* no connection for so long: the next URL starts it again */

/* One address of one VM; lives as long as its thread. */
struct forward {
    struct forward *next;
    struct use use;
    char address[46];
    int port;
    int connections; /* the set's lock */
};

struct connection {
    struct forward *forward;
    struct link_stream *stream;
    int fd;
};

static bool host_ends(void *arg)
{
    const struct host *h = arg;
    return h->aborting;
}

static struct link_wait patience(struct forward *f, int64_t ms)
{
    return (struct link_wait){
        .deadline_ms = clock_mono_ms() + ms, .cancelled = host_ends, .arg = f->use.host};
}

/* --- one connection: a thread each way --- */

static void *to_store(void *arg)
{
    struct connection *c = arg;
    auto_free char *room = malloc(CHUNK_BYTES);
    ssize_t n = room ? 1 : 0;
    while (n > 0) {
        struct link_wait w = patience(c->forward, GUEST_STREAM_STALL_MS);
        n = link_stream_read(c->stream, room, CHUNK_BYTES, &w, NULL);
        if (n > 0 && fd_write_all(c->fd, room, (size_t)n) < 0)
            break;
    }
    /* The store has all it will get; a guest that broke off gets no answer either. */
    shutdown(c->fd, n == 0 ? SHUT_WR : SHUT_RDWR);
    return NULL;
}

static void from_store(struct connection *c)
{
    auto_free char *room = malloc(CHUNK_BYTES);
    ssize_t n = room ? 1 : 0;
    while (n > 0) {
        n = read(c->fd, room, CHUNK_BYTES);
        struct link_wait w = patience(c->forward, GUEST_STREAM_STALL_MS);
        if (n > 0 && link_stream_write(c->stream, room, (size_t)n, &w, NULL) < 0)
            break;
    }
    struct link_wait w = patience(c->forward, GUEST_CALL_TIMEOUT_MS);
    (void)link_stream_end(c->stream, &w, NULL);
}

static void count(struct forward *f, int change)
{
    struct instances *s = f->use.host->instances;
    AUTO_LOCK(&s->lock);
    f->connections += change;
    pthread_cond_broadcast(&s->changed);
}

static void *join(void *arg)
{
    struct connection *c = arg;
    pthread_t other;
    if (pthread_create(&other, NULL, to_store, c) == 0) {
        from_store(c);
        link_stream_shutdown(c->stream);
        shutdown(c->fd, SHUT_RDWR);
        pthread_join(other, NULL);
    }
    link_stream_free(c->stream);
    close(c->fd);
    count(c->forward, -1);
    free(c);
    return NULL;
}

static bool may_connect(struct forward *f)
{
    AUTO_LOCK(&f->use.host->instances->lock);
    return f->connections < FORWARD_CONNECTIONS_MAX;
}

/* Takes the stream. */
static void connect_store(struct forward *f, struct link_stream *stream)
{
    char path[PATH_MAX];
    pthread_t thread;
    struct connection *c = calloc(1, sizeof(*c));
    path_printf(path, sizeof(path), "%s/staging.sock", f->use.host->config->data_dir);
    int fd = c && may_connect(f) ? unix_connect(path) : -EMFILE;
    if (fd >= 0) {
        *c = (struct connection){.forward = f, .stream = stream, .fd = fd};
        count(f, 1);
        if (pthread_create(&thread, NULL, join, c) == 0) {
            pthread_detach(thread);
            return;
        }
        count(f, -1);
        close(fd);
    }
    link_stream_free(stream);
    free(c);
}

/* --- the listener --- */

static void *listen_in_guest(void *arg)
{
    struct forward *f = arg;
    struct instances *s = f->use.host->instances;
    struct err e = ERR_INIT;
    int r = 0;
    while (r == 0) {
        struct link_stream *stream = NULL;
        struct link_wait w = patience(f, IDLE_MS);
        r = guest_accept(f->use.link, f->address, f->port, &w, &stream, &e);
        if (r == 0)
            connect_store(f, stream);
    }
    log_debug("forward", "vm=%s address=%s:%d ends: %s", f->use.inst->record.info.id, f->address,
              f->port, e.text);
    {
        AUTO_LOCK(&s->lock);
        struct forward **p = &f->use.inst->forwards;
        while (*p != f)
            p = &(*p)->next;
        *p = f->next;
        /* Its connections end with the link, or by themselves. */
        while (f->connections > 0)
            pthread_cond_wait(&s->changed, &s->lock);
    }
    {
        struct use u = f->use;
        use_end(&u);
    }
    AUTO_LOCK(&s->lock);
    s->n_helpers--;
    pthread_cond_broadcast(&s->changed);
    free(f);
    return NULL;
}

/* Clients choose the addresses, so there is a bound to them. */
static int check_forward(struct instance *inst, const struct forward *wanted, struct err *e)
{
    int n = 0;
    for (struct forward *f = inst->forwards; f; f = f->next, n++) {
        if (f->port == wanted->port && strcmp(f->address, wanted->address) == 0)
            return 1;
    }
    return n < FORWARDS_MAX ? 0
                            : err_set(e, ERR_CONFLICT, "the vm knows %d addresses of Holm already",
                                      FORWARDS_MAX);
}

/* Its thread is started and has it. Lock held. */
static int start_forward(struct instances *s, struct forward *f, struct err *e)
{
    pthread_t thread;
    if (s->stopping || pthread_create(&thread, NULL, listen_in_guest, f) != 0)
        return err_set(e, ERR_INTERNAL, "forward: cannot start a thread");
    pthread_detach(thread);
    f->next = f->use.inst->forwards;
    f->use.inst->forwards = f;
    s->n_helpers++;
    return 0;
}

int host_vm_forward_staging(struct host *h, const char *account, const char *id,
                            const char *address, int port, struct err *e)
{
    struct instances *s = h->instances;
    auto_free struct forward *f = calloc(1, sizeof(*f));
    if (!f)
        return err_errno(e, -ENOMEM, "forward");
    int r = use_begin(h, account, id, &f->use, e);
    if (r < 0)
        return r;
    f->port = port;
    path_printf(f->address, sizeof(f->address), "%s", address);
    {
        AUTO_LOCK(&s->lock);
        r = check_forward(f->use.inst, f, e);
        if (r == 0)
            r = start_forward(s, f, e);
        if (r == 0)
            TAKE_PTR(f);
    }
    if (f)
        use_end(&f->use);
    return r < 0 ? r : 0;
}
