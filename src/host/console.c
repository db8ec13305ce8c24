/* SPDX-License-Identifier: Apache-2.0 */
#include "host/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/limits.h"
#include "base/log.h"
#include "engine/engine.h"

#define TURN_BYTES (16 * KIB)
#define WRITE_PATIENCE_MS 100 /* between looks whether the writer was shut down */

struct console {
    struct console *next;
    char id[ID_SIZE];
    int fd;
    int log_fd;
    size_t log_bytes;
    struct console_reader *readers;
    int refs; /* the list's, the readers' */
    bool ended;
};

struct console_reader {
    struct console_reader *next;
    struct consoles *all;
    struct console *console;
    struct buf queue;
    pthread_cond_t arrived;
    bool shut;
};

struct consoles {
    char dir[PATH_MAX / 4];
    pthread_mutex_t lock; /* guards the list, consoles and readers */
    struct console *first;
    int epoll_fd;
    int stop_fd;
    pthread_t thread;
    bool has_thread;
};

static int log_path(const struct consoles *c, const char *id, const char *suffix, char *ret)
{
    return path_printf(ret, PATH_MAX, "%s/%s.log%s", c->dir, id, suffix);
}

/* --- with the lock held --- */

static struct console *find(struct consoles *c, const char *id)
{
    struct console *k = c->first;
    while (k && strcmp(k->id, id) != 0)
        k = k->next;
    return k;
}

static void unref(struct console *k)
{
    if (--k->refs > 0)
        return;
    cleanup_close(&k->fd);
    cleanup_close(&k->log_fd);
    free(k);
}

static void end(struct consoles *c, struct console *k)
{
    struct console **p = &c->first;
    while (*p && *p != k)
        p = &(*p)->next;
    if (!*p)
        return;
    *p = k->next;
    k->ended = true;
    epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, k->fd, NULL);
    for (struct console_reader *r = k->readers; r; r = r->next)
        pthread_cond_signal(&r->arrived);
    unref(k);
}

/* The log is two files that take turns: when one is full it becomes the older one. */
static void rotate(struct consoles *c, struct console *k)
{
    char now[PATH_MAX], old[PATH_MAX];
    log_path(c, k->id, "", now);
    log_path(c, k->id, ".1", old);
    cleanup_close(&k->log_fd);
    (void)rename(now, old);
    k->log_fd = open(now, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    k->log_bytes = 0;
}

static void deliver(struct consoles *c, struct console *k, const char *data, size_t len)
{
    if (k->log_bytes + len > CONSOLE_LOG_KEEP_BYTES)
        rotate(c, k);
    if (k->log_fd >= 0 && fd_write_all(k->log_fd, data, len) == 0)
        k->log_bytes += len;
    for (struct console_reader *r = k->readers; r; r = r->next) {
        if (r->queue.len + len > CONSOLE_QUEUE_BYTES)
            buf_consume(&r->queue, len < r->queue.len ? len : r->queue.len);
        (void)buf_append(&r->queue, data, len);
        pthread_cond_signal(&r->arrived);
    }
}

static void read_one(struct consoles *c, struct console *k)
{
    char room[TURN_BYTES];
    ssize_t n = recv(k->fd, room, sizeof(room), MSG_DONTWAIT);
    if (n > 0)
        deliver(c, k, room, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        end(c, k);
}

/* --- the thread --- */

static void *read_all(void *arg)
{
    struct consoles *c = arg;
    for (;;) {
        struct epoll_event events[16];
        int n = epoll_wait(c->epoll_fd, events, ARRAY_SIZE(events), -1);
        for (int i = 0; i < n; i++) {
            if (!events[i].data.ptr)
                return NULL;
            AUTO_LOCK(&c->lock);
            /* It may have ended since the kernel told of it. */
            for (struct console *k = c->first; k; k = k->next) {
                if (k == events[i].data.ptr) {
                    read_one(c, k);
                    break;
                }
            }
        }
    }
}

static int start(struct consoles *c, struct err *e)
{
    c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    c->stop_fd = eventfd(0, EFD_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    if (c->epoll_fd < 0 || c->stop_fd < 0 ||
        epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, c->stop_fd, &ev) < 0)
        return err_errno(e, -errno, "consoles");
    int r = pthread_create(&c->thread, NULL, read_all, c);
    c->has_thread = r == 0;
    return r == 0 ? 0 : err_errno(e, -r, "consoles");
}

int consoles_new(const char *data_dir, struct consoles **ret, struct err *e)
{
    struct consoles *c = calloc(1, sizeof(*c));
    if (!c)
        return err_errno(e, -ENOMEM, "consoles");
    pthread_mutex_init(&c->lock, NULL);
    c->epoll_fd = c->stop_fd = -1;
    path_printf(c->dir, sizeof(c->dir), "%s/consoles", data_dir);
    int r = dir_make(c->dir, 0700);
    r = r < 0 ? err_errno(e, r, "make %s", c->dir) : start(c, e);
    if (r < 0) {
        consoles_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

void consoles_free(struct consoles *c)
{
    if (!c)
        return;
    if (c->has_thread) {
        eventfd_write(c->stop_fd, 1);
        pthread_join(c->thread, NULL);
    }
    while (c->first)
        end(c, c->first);
    cleanup_close(&c->epoll_fd);
    cleanup_close(&c->stop_fd);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* --- monitors come and go --- */

static int attach(struct consoles *c, int fd, const char *id)
{
    struct console *k = calloc(1, sizeof(*k));
    if (!k) {
        close(fd);
        return -ENOMEM;
    }
    char path[PATH_MAX];
    k->fd = fd;
    k->refs = 1;
    path_printf(k->id, sizeof(k->id), "%s", id);
    log_path(c, id, "", path);
    k->log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    off_t size = k->log_fd < 0 ? 0 : lseek(k->log_fd, 0, SEEK_END);
    k->log_bytes = size > 0 ? (size_t)size : 0;
    AUTO_LOCK(&c->lock);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = k};
    if (epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
        int r = -errno;
        unref(k);
        return r;
    }
    k->next = c->first;
    c->first = k;
    return 0;
}

void console_attach(struct consoles *c, struct engine *en, const struct monitor *m)
{
    struct err e = ERR_INIT;
    int fd = engine_connect_console(en, m, &e);
    int r = fd < 0 ? fd : attach(c, fd, m->id);
    if (r < 0)
        log_warn("console", "vm=%s has no console: %s", m->id, e.text[0] ? e.text : strerror(-r));
}

void console_detach(struct consoles *c, const char *id)
{
    AUTO_LOCK(&c->lock);
    struct console *k = find(c, id);
    if (k)
        end(c, k);
}

void console_forget(struct consoles *c, const char *id)
{
    char path[PATH_MAX];
    console_detach(c, id);
    log_path(c, id, "", path);
    unlink(path);
    log_path(c, id, ".1", path);
    unlink(path);
}

int console_log(struct consoles *c, const char *id, struct buf *ret, struct err *e)
{
    static const char *const suffixes[] = {".1", ""};
    AUTO_LOCK(&c->lock);
    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
        char path[PATH_MAX];
        log_path(c, id, suffixes[i], path);
        int r = file_read(path, ret, CONSOLE_LOG_KEEP_BYTES + TURN_BYTES);
        if (r < 0 && r != -ENOENT)
            return err_errno(e, r, "read the console's log");
    }
    return 0;
}

/* --- readers --- */

int console_open(struct consoles *c, const char *id, struct console_reader **ret, struct err *e)
{
    struct console_reader *r = calloc(1, sizeof(*r));
    if (!r)
        return err_errno(e, -ENOMEM, "console");
    r->all = c;
    pthread_cond_init(&r->arrived, NULL);
    AUTO_LOCK(&c->lock);
    struct console *k = find(c, id);
    if (!k) {
        pthread_cond_destroy(&r->arrived);
        free(r);
        return err_set(e, ERR_CONFLICT, "the vm has no console now: it does not run");
    }
    k->refs++;
    r->console = k;
    r->next = k->readers;
    k->readers = r;
    *ret = r;
    return 0;
}

ssize_t console_read(struct console_reader *r, void *buf, size_t max)
{
    AUTO_LOCK(&r->all->lock);
    while (!r->queue.len && !r->shut && !r->console->ended)
        pthread_cond_wait(&r->arrived, &r->all->lock);
    if (r->shut)
        return -ECANCELED;
    size_t n = r->queue.len < max ? r->queue.len : max;
    memcpy(buf, buf_str(&r->queue), n);
    buf_consume(&r->queue, n);
    return (ssize_t)n;
}

static bool is_over(struct console_reader *r)
{
    AUTO_LOCK(&r->all->lock);
    return r->shut || r->console->ended;
}

/* The reader's reference keeps the descriptor open. */
int console_write(struct console_reader *r, const void *data, size_t len)
{
    const char *p = data;
    while (len) {
        if (is_over(r))
            return -EPIPE;
        ssize_t n = send(r->console->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd pfd = {.fd = r->console->fd, .events = POLLOUT};
            (void)poll(&pfd, 1, WRITE_PATIENCE_MS);
            continue;
        }
        if (n < 0 && errno != EINTR)
            return -EPIPE;
        p += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

void console_shutdown(struct console_reader *r)
{
    AUTO_LOCK(&r->all->lock);
    r->shut = true;
    pthread_cond_signal(&r->arrived);
}

void console_close(struct console_reader *r)
{
    if (!r)
        return;
    {
        AUTO_LOCK(&r->all->lock);
        struct console_reader **p = &r->console->readers;
        while (*p != r)
            p = &(*p)->next;
        *p = r->next;
        unref(r->console);
    }
    buf_done(&r->queue);
    pthread_cond_destroy(&r->arrived);
    free(r);
}
