/* SPDX-License-Identifier: Apache-2.0 */

/* Logs of VMs that live. What Holm did with one is written here, a line an event, into two files
 * that take turns (DATA/consoles/ID.life and ID.life.1), so that no number of events makes them
 * large. Whoever writes is busy with the instance, so nobody else does at the same time. */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/console.h"
#include "host/vms_priv.h"

#define LINE_SIZE 512

static void life_path(const struct host *h, const char *id, const char *suffix, char ret[PATH_MAX])
{
    path_printf(ret, PATH_MAX, "%s/consoles/%s.life%s", h->config->data_dir, id, suffix);
}

/* --- writing --- */

/* The current file, with room. */
static int open_life(const struct host *h, const char *id)
{
    char now[PATH_MAX], old[PATH_MAX];
    struct stat st;
    const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW;
    life_path(h, id, "", now);
    int fd = open(now, flags, 0600);
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < (off_t)VM_LOG_KEEP_BYTES)
        return fd;
    close(fd);
    life_path(h, id, ".1", old);
    (void)rename(now, old);
    return open(now, flags, 0600);
}

/* One line is one event, whatever a reason holds. */
static void flatten(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ')
            *text = ' ';
    }
}

void vms_log(struct host *h, const char *id, const char *fmt, ...)
{
    char time[CLOCK_RFC3339_SIZE], what[LINE_SIZE], line[LINE_SIZE + CLOCK_RFC3339_SIZE];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    flatten(what);
    clock_rfc3339(clock_real_ns(), time);
    int n = snprintf(line, sizeof(line), "%s %s\n", time, what);
    auto_close int fd = open_life(h, id);
    int r = fd < 0 ? -errno : fd_write_all(fd, line, (size_t)n);
    if (r < 0)
        log_warn("vms", "vm=%s log cannot be written: %s", id, strerror(-r));
}

void vms_forget_log(struct host *h, const char *id)
{
    char path[PATH_MAX];
    life_path(h, id, "", path);
    unlink(path);
    life_path(h, id, ".1", path);
    unlink(path);
}

/* --- reading --- */

/* Appends the last `max` bytes of a file; one that is not there is empty. */
static int read_tail(const char *path, size_t max, struct buf *ret)
{
    struct stat st;
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    off_t at = st.st_size > (off_t)max ? st.st_size - (off_t)max : 0;
    char *room = buf_reserve(ret, max);
    if (!room)
        return -ENOMEM;
    for (size_t got = 0; got < max;) {
        ssize_t n = pread(fd, room + got, max - got, at + (off_t)got);
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        got += (size_t)n;
        ret->len += (size_t)n;
    }
    return 0;
}

static int read_life(struct host *h, const char *id, struct buf *ret)
{
    static const char *const suffixes[] = {".1", ""};
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(suffixes); i++) {
        char path[PATH_MAX];
        life_path(h, id, suffixes[i], path);
        r = read_tail(path, VM_LOG_KEEP_BYTES + LINE_SIZE, ret);
    }
    return r;
}

static int read_stderr(struct host *h, const char *id, struct buf *ret)
{
    char path[PATH_MAX];
    path_printf(path, sizeof(path), "%s/vms/%s/monitor.log", h->config->data_dir, id);
    return read_tail(path, CONSOLE_LOG_KEEP_BYTES, ret);
}

/* Where the last `lines` lines begin. */
static size_t tail_of(const struct buf *b, size_t lines)
{
    size_t at = b->len;
    if (at && b->data[at - 1] == '\n')
        at--;
    for (; at; at--) {
        if (b->data[at - 1] == '\n' && --lines == 0)
            break;
    }
    return at;
}

int host_vm_log(struct host *h, const char *account, const char *id, struct vm_log_tail *t,
                struct err *e)
{
    struct vm_info info;
    auto_buf struct buf all = {0};
    int r = host_vm_get(h, account, id, &info, e);
    if (r < 0)
        return r;
    vm_info_done(&info);
    if (t->which == VM_LOG_STDOUT)
        r = console_log(h->consoles, id, &all, e);
    else
        r = t->which == VM_LOG_MONITOR ? read_life(h, id, &all) : read_stderr(h, id, &all);
    if (r < 0)
        return e && e->class == ERR_NONE ? err_errno(e, r, "read the log") : r;
    size_t at = t->lines ? tail_of(&all, t->lines) : all.len;
    r = buf_append(&t->text, buf_str(&all) + at, all.len - at);
    if (r < 0)
        return err_errno(e, r, "read the log");
    t->has_more = at > 0;
    return 0;
}
