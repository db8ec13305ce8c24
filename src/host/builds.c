/* SPDX-License-Identifier: Apache-2.0 */
#include "host/builds_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/proc.h"
#include "host/host_priv.h"

#define NICE 10 /* builds can wait, VMs cannot */

const char *build_state_name(enum build_state state)
{
    static const char *const names[] = {
        [BUILD_WAITING] = "waiting", [BUILD_RUNNING] = "running",     [BUILD_DONE] = "done",
        [BUILD_FAILED] = "failed",   [BUILD_CANCELLED] = "cancelled",
    };
    return names[state];
}

static bool has_ended(const struct build *b)
{
    return b->info.state != BUILD_WAITING && b->info.state != BUILD_RUNNING;
}

/* --- the list; lock held --- */

static struct build *find(struct builds *s, const char *id)
{
    for (struct build *b = s->first; b; b = b->next) {
        if (strcmp(b->info.id, id) == 0)
            return b;
    }
    return NULL;
}

static struct build *add(struct builds *s, const struct build_info *info)
{
    struct build *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    *b = (struct build){.builds = s, .info = *info, .cancel_fd = -EBADF, .log_fd = -EBADF};
    *s->end = b;
    s->end = &b->next;
    return b;
}

static void take_out(struct builds *s, struct build *b)
{
    struct build **p = &s->first;
    while (*p != b)
        p = &(*p)->next;
    *p = b->next;
    if (s->end == &b->next)
        s->end = p;
    cleanup_close(&b->cancel_fd);
    free(b);
}

/* Of those that have ended the one that did so first. */
static struct build *first_ended(struct builds *s, int *ret_n)
{
    struct build *first = NULL;
    *ret_n = 0;
    for (struct build *b = s->first; b; b = b->next) {
        if (!has_ended(b))
            continue;
        ++*ret_n;
        if (!first || b->info.ended_ns < first->info.ended_ns)
            first = b;
    }
    return first;
}

static void trim(struct builds *s)
{
    struct build *b;
    for (int n; (b = first_ended(s, &n)) && n > BUILDS_KEPT;) {
        builds_forget(s, b->info.id);
        take_out(s, b);
    }
}

static struct build *next_waiting(struct builds *s)
{
    struct build *b = s->first;
    while (b && b->info.state != BUILD_WAITING)
        b = b->next;
    return b;
}

static void task_done(struct build *b)
{
    if (b->task.free)
        b->task.free(b->task.arg);
    b->task.free = NULL;
    b->task.arg = NULL;
}

/* --- one after the other --- */

static void set_end(struct build *b, enum build_state state, const char *detail)
{
    b->info.state = state;
    b->info.ended_ns = clock_real_ns();
    snprintf(b->info.detail, sizeof(b->info.detail), "%s", detail);
    cleanup_close(&b->cancel_fd);
    b->cancel_fd = -EBADF;
    builds_note(b->builds, &b->info);
    log_info("builds", "build=%s kind=%s name=%s %s%s%s", b->info.id, b->info.kind, b->info.name,
             build_state_name(state), *detail ? ": " : "", detail);
}

static void run_one(struct builds *s, struct build *b)
{
    struct err e = ERR_INIT;
    int r = builds_open_log(b, &e);
    if (r == 0)
        r = b->task.run(b, b->task.arg, &e);
    if (r < 0)
        build_logf(b, "failed: %s\n", e.text[0] ? e.text : strerror(-r));
    builds_close_log(b);
    task_done(b);
    AUTO_LOCK(&s->lock);
    if (r < 0 && b->cancelled)
        set_end(b, s->stopping ? BUILD_FAILED : BUILD_CANCELLED,
                s->stopping ? "the daemon was stopped" : "");
    else
        set_end(b, r < 0 ? BUILD_FAILED : BUILD_DONE, r < 0 ? e.text : "");
    trim(s);
}

static void *work(void *arg)
{
    struct builds *s = arg;
    proc_set_own_nice(NICE);
    pthread_mutex_lock(&s->lock);
    while (!s->stopping) {
        struct build *b = next_waiting(s);
        if (!b) {
            pthread_cond_wait(&s->changed, &s->lock);
            continue;
        }
        b->info.state = BUILD_RUNNING;
        b->info.started_ns = clock_real_ns();
        builds_note(s, &b->info);
        pthread_mutex_unlock(&s->lock);
        run_one(s, b);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* --- what a former daemon left --- */

static int compare_age(const void *a, const void *b)
{
    const struct build *const *x = a, *const *y = b;
    int64_t i = (*x)->info.created_ns, j = (*y)->info.created_ns;
    return (i > j) - (i < j);
}

/* They were read in the directory's order. */
static int sort(struct builds *s)
{
    size_t n = 0;
    for (struct build *b = s->first; b; b = b->next)
        n++;
    auto_free struct build **list = calloc(n + 1, sizeof(struct build *));
    if (!list)
        return -ENOMEM;
    n = 0;
    for (struct build *b = s->first; b; b = b->next)
        list[n++] = b;
    qsort(list, n, sizeof(struct build *), compare_age);
    s->end = &s->first;
    for (size_t i = 0; i < n; i++) {
        *s->end = list[i];
        s->end = &list[i]->next;
    }
    *s->end = NULL;
    return 0;
}

static int remember(struct builds *s, const struct build_info *info)
{
    struct build *b = add(s, info);
    if (b && !has_ended(b))
        set_end(b, BUILD_FAILED, "the daemon ended before it did");
    return b ? 0 : -ENOMEM;
}

/* Where the daemon worked, and where builders did, unless one does at this moment: somebody may
 * have started it by hand. */
static void remove_half_made(const struct host *h)
{
    char path[PATH_MAX], dir[PATH_MAX];
    path_printf(dir, sizeof(dir), "%s/tmp", h->config->data_dir);
    path_printf(path, sizeof(path), "%s/build.lock", dir);
    auto_close int lock = open(path, O_RDWR | O_CLOEXEC);
    bool is_ours = lock < 0 || flock(lock, LOCK_EX | LOCK_NB) == 0;
    auto_closedir DIR *d = opendir(dir);
    for (struct dirent *de; d && (de = readdir(d));) {
        bool builders = is_ours && strncmp(de->d_name, "build-", 6) == 0;
        if (!builders && strncmp(de->d_name, BUILD_WORK_PREFIX, strlen(BUILD_WORK_PREFIX)) != 0)
            continue;
        path_printf(path, sizeof(path), "%s/%s", dir, de->d_name);
        int r = dir_remove(path);
        log_info("builds", "%s, left by a build that was cut short, %s", path,
                 r == 0 ? "was removed" : strerror(-r));
    }
}

int builds_new(struct host *h, struct builds **ret, struct err *e)
{
    struct builds *s = calloc(1, sizeof(*s));
    if (!s)
        return err_errno(e, -ENOMEM, "builds");
    s->host = h;
    s->end = &s->first;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    int r = builds_read(s, remember, e);
    if (r == 0 && (r = sort(s)) < 0)
        err_errno(e, r, "builds");
    if (r < 0) {
        builds_free(s);
        return r;
    }
    trim(s);
    remove_half_made(h);
    *ret = s;
    return 0;
}

int builds_start_thread(struct builds *s, struct err *e)
{
    if (pthread_create(&s->thread, NULL, work, s) != 0)
        return err_set(e, ERR_INTERNAL, "builds: cannot start a thread");
    s->has_thread = true;
    return 0;
}

static void cancel(struct build *b)
{
    b->cancelled = true;
    if (b->cancel_fd >= 0)
        (void)eventfd_write(b->cancel_fd, 1);
}

void builds_stop(struct builds *s)
{
    {
        AUTO_LOCK(&s->lock);
        s->stopping = true;
        for (struct build *b = s->first; b; b = b->next) {
            if (b->info.state == BUILD_RUNNING)
                cancel(b);
        }
        pthread_cond_broadcast(&s->changed);
    }
    if (s->has_thread)
        pthread_join(s->thread, NULL);
    s->has_thread = false;
}

void builds_free(struct builds *s)
{
    if (!s)
        return;
    while (s->first) {
        task_done(s->first);
        take_out(s, s->first);
    }
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* --- in line --- */

static int check_line(struct builds *s, const char *name, struct err *e)
{
    int n = 0;
    for (const struct build *b = s->first; b; b = b->next) {
        if (has_ended(b))
            continue;
        if (strcmp(b->info.name, name) == 0)
            return err_set(e, ERR_CONFLICT, "image %s is being %s (%s, build %s)", name,
                           strcmp(b->info.kind, "push") == 0 ? "pushed" : "made already",
                           b->info.kind, b->info.id);
        n += b->info.state == BUILD_WAITING;
    }
    if (n < BUILDS_WAITING_MAX)
        return 0;
    err_set(e, ERR_FULL, "%d builds wait already", n);
    if (e)
        e->retry_after_s = 60;
    return -EAGAIN;
}

static int put_in_line(struct builds *s, const struct build_task *task, struct build_info *ret,
                       struct err *e)
{
    struct build_info info = {.created_ns = clock_real_ns(), .leaves_image = task->leaves_image};
    id_new(info.id);
    snprintf(info.kind, sizeof(info.kind), "%s", task->kind);
    if (path_printf(info.name, sizeof(info.name), "%s", task->name) < 0)
        return err_field(e, "name", "the name has more than %d characters", IMAGE_KEY_SIZE - 1);
    AUTO_LOCK(&s->lock);
    int r = check_line(s, task->name, e);
    if (r < 0)
        return r;
    if (s->stopping)
        return err_set(e, ERR_FULL, "the daemon is stopping");
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct build *b = fd < 0 ? NULL : add(s, &info);
    if (!b) {
        cleanup_close(&fd);
        return err_errno(e, -ENOMEM, "put a build in line");
    }
    b->cancel_fd = fd;
    b->task = *task;
    b->task.kind = b->info.kind;
    b->task.name = b->info.name;
    builds_note(s, &info);
    pthread_cond_broadcast(&s->changed);
    if (ret)
        *ret = info;
    return 0;
}

int builds_start(struct host *h, const struct build_task *task, struct build_info *ret,
                 struct err *e)
{
    int r = put_in_line(h->builds, task, ret, e);
    if (r < 0 && task->free)
        task->free(task->arg);
    return r;
}

/* --- for the task --- */

struct host *build_host(struct build *b)
{
    return b->builds->host;
}

const char *build_id(const struct build *b)
{
    return b->info.id;
}

bool build_is_cancelled(struct build *b)
{
    AUTO_LOCK(&b->builds->lock);
    return b->cancelled;
}

int build_cancel_fd(struct build *b)
{
    return b->cancel_fd;
}

void build_step(struct build *b, const char *fmt, ...)
{
    char text[sizeof(b->info.step)];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    build_logf(b, "== %s\n", text);
    AUTO_LOCK(&b->builds->lock);
    memcpy(b->info.step, text, sizeof(text));
    b->info.done = b->info.total = 0;
}

void build_progress(struct build *b, int64_t done, int64_t total)
{
    AUTO_LOCK(&b->builds->lock);
    b->info.done = done;
    b->info.total = total;
}

void build_logf(struct build *b, const char *fmt, ...)
{
    char text[LOG_LINE_MAX_BYTES];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n > 0)
        build_log(b, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

/* --- what the dialects ask --- */

static int none(const char *id, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "there is no build %.40s: GET /v1/builds lists them", id);
}

int host_build_list(struct host *h, struct build_info **ret, size_t *ret_n, struct err *e)
{
    struct builds *s = h->builds;
    AUTO_LOCK(&s->lock);
    size_t n = 0, i = 0;
    for (const struct build *b = s->first; b; b = b->next)
        n++;
    struct build_info *list = calloc(n + 1, sizeof(*list));
    if (!list)
        return err_errno(e, -ENOMEM, "list builds");
    for (const struct build *b = s->first; b; b = b->next)
        list[n - ++i] = b->info;
    *ret = list;
    *ret_n = n;
    return 0;
}

int host_build_get(struct host *h, const char *id, struct build_info *ret, struct err *e)
{
    AUTO_LOCK(&h->builds->lock);
    const struct build *b = find(h->builds, id);
    if (!b)
        return none(id, e);
    *ret = b->info;
    return 0;
}

bool host_build_of(struct host *h, const char *name, struct build_info *ret)
{
    bool found = false;
    AUTO_LOCK(&h->builds->lock);
    for (const struct build *b = h->builds->first; b; b = b->next) {
        if (b->info.leaves_image || strcmp(b->info.name, name) != 0)
            continue;
        *ret = b->info;
        found = true;
    }
    return found;
}

int host_build_cancel(struct host *h, const char *id, struct build_info *ret, struct err *e)
{
    struct builds *s = h->builds;
    AUTO_LOCK(&s->lock);
    struct build *b = find(s, id);
    if (!b)
        return none(id, e);
    if (has_ended(b))
        return err_set(e, ERR_CONFLICT, "build %s has ended already: %s", b->info.id,
                       build_state_name(b->info.state));
    if (b->info.state == BUILD_WAITING) {
        task_done(b);
        set_end(b, BUILD_CANCELLED, "");
    } else {
        cancel(b);
    }
    *ret = b->info;
    trim(s); /* which may be the end of `b` */
    return 0;
}
