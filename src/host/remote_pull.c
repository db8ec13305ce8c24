/* SPDX-License-Identifier: Apache-2.0 */

/* Files out of an object store. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/remote_piece.h"
#include "host/remote_priv.h"

/* --- parts --- */

struct pulling {
    const char *key;
    size_t next; /* the run's lock; parts before are done, or a lane's */
};

/* False: nothing is left. */
static bool next_part(struct remote_run *run, const struct remote_file *f, struct pulling *p,
                      size_t *ret)
{
    AUTO_LOCK(&run->lock);
    while (p->next < f->n_parts && f->parts[p->next].done)
        p->next++;
    *ret = p->next++;
    return *ret < f->n_parts;
}

static int get_part(struct s3 *s3, const char *key, const struct remote_part *part, struct buf *ret,
                    struct err *e)
{
    const struct s3_range range = {part->at, part->bytes};
    for (int i = 0; i < REMOTE_DAMAGED_TRIES; i++) {
        buf_clear(ret);
        int r = s3_get(s3, key, &range, ret, e);
        if (r == -ENOENT) /* the object: that there is a manifest is known */
            return err_set(e, ERR_CONFLICT,
                           "it was replaced in the object store meanwhile; pull it again");
        if (r < 0)
            return r;
        if (remote_part_ok(part, buf_str(ret), ret->len))
            return 0;
        log_warn("remote", "what came of %s at %lld is damaged", key, (long long)part->at);
    }
    return err_set(e, ERR_UNAVAILABLE, "%s is damaged in the object store, at byte %lld", key,
                   (long long)part->at);
}

static int pull_part(struct remote_run *run, struct remote_file *f, struct s3 *s3, void *own,
                     struct err *e)
{
    struct pulling *p = own;
    size_t i;
    if (!next_part(run, f, p, &i))
        return 1;
    struct remote_part *part = &f->parts[i];
    auto_buf struct buf data = {.max_bytes = (size_t)part->bytes};
    int r = get_part(s3, p->key, part, &data, e);
    if (r == 0)
        r = remote_part_write(run->fd, f, part, buf_str(&data), data.len, e);
    if (r < 0)
        return r;
    /* What the journal says is there is there, whatever happens to the host. */
    if (fdatasync(run->fd) < 0)
        return err_errno(e, -errno, "write %s", f->name);
    AUTO_LOCK(&run->lock);
    part->done = true;
    remote_progress(run, part->bytes);
    return remote_journal_write(run, false, e);
}

/* --- files --- */

static void forget(struct remote_file *f)
{
    f->done = false;
    for (size_t i = 0; i < f->n_parts; i++)
        f->parts[i].done = false;
}

/* The file so far; one that is not as long as it should be is begun anew. */
static int open_file(struct remote_run *run, struct remote_file *f, struct err *e)
{
    struct stat st;
    int r = path_printf(run->path, sizeof(run->path), "%s/%s", run->dir, f->name);
    if (r < 0)
        return err_errno(e, r, "make %s", f->name);
    run->fd = open(run->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (run->fd < 0 || fstat(run->fd, &st) < 0)
        return err_errno(e, -errno, "make %s", f->name);
    bool begun = st.st_size == f->bytes && f->n_parts && f->bytes;
    if (begun)
        return 0;
    forget(f);
    if (ftruncate(run->fd, 0) < 0 || ftruncate(run->fd, f->bytes) < 0)
        return err_errno(e, -errno, "make %s", f->name);
    return 0;
}

/* All of it is read again: parts that a former daemon wrote too, and what it should have is one sum
 * whoever cut it. */
static int verify(struct remote_run *run, struct remote_file *f, struct err *e)
{
    char sum[REMOTE_SUM_SIZE];
    struct s3_wait wait = {.cancelled = run->task->cancelled, .arg = run->task->arg};
    int r = remote_sum(run->fd, &wait, sum, e);
    if (r < 0)
        return r;
    if (strcmp(sum, f->sha256) == 0)
        return 0;
    forget(f);
    unlink(run->path);
    return err_set(e, ERR_UNAVAILABLE, "%s came whole, but is not what its manifest says", f->name);
}

static int finish(struct remote_run *run, struct remote_file *f, struct err *e)
{
    const struct timespec when = {.tv_sec = f->changed_ns / 1000000000,
                                  .tv_nsec = f->changed_ns % 1000000000};
    const struct timespec times[] = {when, when};
    /* Nobody but root writes, whatever a manifest says. */
    if (futimens(run->fd, times) < 0 || fchmod(run->fd, (mode_t)f->mode & 0644) < 0 ||
        fsync(run->fd) < 0)
        return err_errno(e, -errno, "write %s", f->name);
    f->done = true;
    return remote_journal_write(run, true, e);
}

static int pull_file(struct remote_run *run, struct remote_file *f, struct err *e)
{
    auto_buf struct buf key = {0};
    struct pulling p = {0};
    struct remote_lane_plan plan = {.step = pull_part, .own = &p};
    int r = open_file(run, f, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < f->n_parts; i++) {
        if (f->parts[i].done)
            remote_progress(run, f->parts[i].bytes);
    }
    if (f->done)
        return 0;
    remote_object_key(run, f, &key);
    p.key = buf_str(&key);
    r = key.failed ? err_errno(e, -ENOMEM, "pull %s", f->name) : remote_lanes(run, f, &plan, e);
    if (r == 0)
        r = verify(run, f, e);
    return r == 0 ? finish(run, f, e) : r;
}

/* --- all of it --- */

/* Whether the journal is of what the store says now. All of it counts, not the generation alone: a
 * manifest that came damaged must not be what all later pulls go by. */
static bool is_same(const struct remote_manifest *a, const struct remote_manifest *b)
{
    auto_buf struct buf x = {0}, y = {0};
    return remote_manifest_write(a, REMOTE_PUBLISHED, &x) == 0 &&
           remote_manifest_write(b, REMOTE_PUBLISHED, &y) == 0 &&
           strcmp(buf_str(&x), buf_str(&y)) == 0;
}

/* Objects are written once, so what the journal says of the same still holds. */
static void take_up(struct remote_run *run)
{
    struct remote_manifest old;
    bool same = remote_journal_read(run, &old);
    if (same && !is_same(&old, &run->m)) {
        remote_manifest_done(&old);
        same = false;
    }
    if (!same) {
        dir_remove(run->dir);
        return;
    }
    log_info("remote", "%s %s goes on where it was", remote_kind_names[run->m.kind], run->m.name);
    remote_manifest_done(&run->m);
    run->m = old;
}

static int check_room(const struct remote_run *run, struct err *e)
{
    struct statvfs v;
    int64_t need = (int64_t)IMAGE_FREE_MIN_BYTES;
    if (statvfs(run->dir, &v) < 0)
        return err_errno(e, -errno, "look at the free room");
    for (size_t i = 0; i < run->m.n_files; i++) {
        const struct remote_file *f = &run->m.files[i];
        for (size_t k = 0; k < f->n_parts; k++) {
            for (size_t x = f->parts[k].first;
                 !f->parts[k].done && x < f->parts[k].first + f->parts[k].n; x++)
                need += f->extents[x].bytes;
        }
    }
    if ((int64_t)v.f_bavail * (int64_t)v.f_frsize >= need)
        return 0;
    return err_set(e, ERR_FULL, "the host's disk has no room for %s", run->m.name);
}

static bool is_over(void *arg)
{
    return remote_cancelled(arg);
}

static int get_manifest(struct remote_run *run, struct err *e)
{
    struct remote_manifest m;
    struct s3_wait wait = {.cancelled = is_over, .arg = run};
    struct s3 *s3 = NULL;
    int r = s3_new(&run->remote->s3, &wait, &s3, e);
    if (r == 0)
        r = remote_get_manifest(run, s3, &m, e);
    s3_free(s3);
    if (r == 0)
        run->m = m;
    return r;
}

int remote_pull_manifest(struct remote_run *run, struct err *e)
{
    int r = get_manifest(run, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < run->m.n_files; i++)
        run->total_bytes += remote_object_bytes(&run->m.files[i]);
    return 0;
}

int remote_pull_files(struct remote_run *run, struct err *e)
{
    take_up(run);
    int r = dir_make(run->dir, 0700);
    if (r < 0)
        return err_errno(e, r, "make a directory for what is pulled");
    r = check_room(run, e);
    for (size_t i = 0; r == 0 && i < run->m.n_files; i++) {
        struct remote_file *f = &run->m.files[i];
        if (f->is_rootfs)
            continue;
        r = pull_file(run, f, e);
        cleanup_close(&run->fd);
        run->fd = -1;
        if (r < 0) /* what is known to be wrong is not gone on with */
            (void)remote_journal_write(run, true, NULL);
    }
    return r;
}
