/* SPDX-License-Identifier: Apache-2.0 */

/* Files into an object store. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/remote_piece.h"
#include "host/remote_priv.h"

/* Which file it was: as long as this is the same its parts are. */
static void source_of(const struct stat *st, char *ret, size_t size)
{
    snprintf(ret, size, "%llu.%lld.%lld.%09ld", (unsigned long long)st->st_ino,
             (long long)st->st_size, (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
}

/* --- going on --- */

/* The file's parts that the store has, one after the other from the first. */
struct having {
    const struct remote_file *file;
    size_t n;
};

static int on_part(void *arg, const struct s3_part *part)
{
    struct having *h = arg;
    const struct remote_part *p = &h->file->parts[h->n];
    if (h->n < h->file->n_parts && part->number == (int)h->n + 1 && part->bytes == p->bytes &&
        strcmp(part->etag, p->etag) == 0)
        h->n++;
    return 0;
}

static void keep_parts(struct remote_file *f, size_t n)
{
    f->n_parts = n;
    f->n_extents = n ? f->parts[n - 1].first + f->parts[n - 1].n : 0;
}

/* What of a former push need not be sent again. A store that cannot list an upload's parts is
 * believed to have what it has said it took: completing the upload tells. */
static int resume(struct s3 *s3, const char *key, struct remote_file *f, struct err *e)
{
    struct having have = {.file = f};
    size_t n = 0;
    while (n < f->n_parts && f->parts[n].done)
        n++;
    keep_parts(f, n);
    if (!f->upload_id[0])
        return 0;
    struct s3_upload u = {key, f->upload_id};
    int r = s3_upload_list(s3, &u, on_part, &have, e);
    if (r == -EOPNOTSUPP)
        return 0;
    if (r == -ENOENT) {
        remote_file_clear(f);
        return 0;
    }
    if (r == 0)
        keep_parts(f, have.n);
    return r;
}

/* --- parts --- */

struct pushing {
    struct remote_reader reader; /* the run's lock */
    const char *key;
};

static int push_part(struct remote_run *run, struct remote_file *f, struct s3 *s3, void *own,
                     struct err *e)
{
    struct pushing *p = own;
    auto_buf struct buf data = {0};
    struct s3_upload u = {p->key, f->upload_id};
    struct s3_part part;
    bool any;
    {
        AUTO_LOCK(&run->lock);
        int r = remote_part_make(&p->reader, f, &data, &any, e);
        if (r < 0 || !any)
            return r < 0 ? r : 1;
        part = (struct s3_part){.number = (int)f->n_parts};
    }
    int r = s3_upload_part(s3, &u, &data, &part, e);
    if (r < 0)
        return r;
    AUTO_LOCK(&run->lock);
    struct remote_part *done = &f->parts[part.number - 1];
    memcpy(done->etag, part.etag, sizeof(done->etag));
    done->done = true;
    remote_progress(run, done->bytes);
    return remote_journal_write(run, false, e);
}

static int complete(struct s3 *s3, const char *key, const struct remote_file *f, struct err *e)
{
    auto_free struct s3_part *parts = calloc(f->n_parts + 1, sizeof(*parts));
    struct s3_upload u = {key, f->upload_id};
    int64_t bytes = -1;
    if (!parts)
        return err_errno(e, -ENOMEM, "complete an upload");
    for (size_t i = 0; i < f->n_parts; i++) {
        parts[i].number = (int)i + 1;
        memcpy(parts[i].etag, f->parts[i].etag, sizeof(parts[i].etag));
    }
    int r = s3_upload_complete(s3, &u, parts, f->n_parts, e);
    /* It may have been done although its answer was lost: the name is of this push alone. */
    if (r < 0 && r != -ECANCELED && s3_size(s3, key, &bytes, NULL) == 0 &&
        bytes == remote_object_bytes(f))
        return 0;
    return r;
}

static int push_parts(struct remote_run *run, struct remote_file *f, struct s3 *s3, const char *key,
                      struct err *e)
{
    struct pushing p = {.key = key};
    struct remote_lane_plan plan = {.step = push_part, .own = &p};
    int r = remote_reader_init(&p.reader, run->fd, e);
    if (r == 0 && f->n_extents) {
        const struct remote_extent *last = &f->extents[f->n_extents - 1];
        r = remote_reader_skip(&p.reader, last->at + last->bytes, e);
    }
    if (r == 0)
        r = remote_lanes(run, f, &plan, e);
    if (r == 0)
        remote_reader_sum(&p.reader, f->sha256);
    remote_reader_done(&p.reader);
    return r;
}

/* --- files --- */

static int begin(struct remote_run *run, struct remote_file *f, struct s3 *s3, const char *key,
                 struct err *e)
{
    int r = resume(s3, key, f, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < f->n_parts; i++)
        remote_progress(run, f->parts[i].bytes);
    if (f->upload_id[0])
        return 0;
    remote_file_clear(f);
    r = s3_upload_begin(s3, key, f->upload_id, e);
    return r == 0 ? remote_journal_write(run, true, e) : r;
}

static int check_unchanged(struct remote_run *run, const struct remote_file *f, struct err *e)
{
    struct stat st;
    char source[sizeof(f->source)] = "";
    if (stat(run->path, &st) == 0)
        source_of(&st, source, sizeof(source));
    if (strcmp(source, f->source) == 0)
        return 0;
    return err_set(e, ERR_CONFLICT, "%s was replaced while it was pushed; push it again", f->name);
}

static void give_up(struct s3 *s3, const char *key, struct remote_file *f)
{
    struct s3_upload u = {key, f->upload_id};
    struct err e = ERR_INIT;
    if (f->upload_id[0] && s3_upload_abort(s3, &u, &e) < 0)
        log_warn("remote", "an upload of %s cannot be taken back: %s", key, e.text);
    remote_file_clear(f);
}

static int push_file(struct remote_run *run, struct remote_file *f, struct s3 *s3, struct err *e)
{
    auto_buf struct buf key = {0};
    char source[sizeof(f->source)];
    struct stat st;
    remote_object_key(run, f, &key);
    if (key.failed || fstat(run->fd, &st) < 0)
        return err_errno(e, key.failed ? -ENOMEM : -errno, "look at %s", f->name);
    source_of(&st, source, sizeof(source));
    if (strcmp(source, f->source) != 0)
        give_up(s3, buf_str(&key), f);
    if (f->done)
        return 0;
    memcpy(f->source, source, sizeof(source));
    f->bytes = st.st_size;
    f->mode = (int)(st.st_mode & 0777);
    f->changed_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
    int r = begin(run, f, s3, buf_str(&key), e);
    if (r == 0)
        r = push_parts(run, f, s3, buf_str(&key), e);
    if (r == 0)
        r = check_unchanged(run, f, e);
    if (r == 0 && f->n_parts == 0) { /* nothing but zeros: there is no object */
        give_up(s3, buf_str(&key), f);
        r = remote_sum(run->fd, NULL, f->sha256, e);
    } else if (r == 0) {
        r = complete(s3, buf_str(&key), f, e);
    }
    f->done = r == 0;
    return r < 0 ? r : remote_journal_write(run, true, e);
}

static int open_and_push(struct remote_run *run, struct remote_file *f, const char *dir,
                         struct s3 *s3, struct err *e)
{
    int r = path_printf(run->path, sizeof(run->path), "%s/%s", dir, f->name);
    run->fd = r == 0 ? open(run->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (run->fd < 0)
        return err_errno(e, r < 0 ? r : -errno, "open %s", f->name);
    r = push_file(run, f, s3, e);
    cleanup_close(&run->fd);
    return r;
}

/* --- all of it --- */

/* A former push of the same files goes on; what another one has left in the store is taken back. */
static void take_up(struct remote_run *run, struct s3 *s3)
{
    struct remote_manifest old, *m = &run->m;
    if (!remote_journal_read(run, &old))
        return;
    bool same = old.n_files == m->n_files && strcmp(old.fingerprint, m->fingerprint) == 0;
    for (size_t i = 0; same && i < m->n_files; i++)
        same = strcmp(old.files[i].name, m->files[i].name) == 0 &&
               old.files[i].is_rootfs == m->files[i].is_rootfs;
    struct remote_manifest fresh = *m;
    *m = old;
    if (same)
        return;
    for (size_t i = 0; i < old.n_files; i++) {
        auto_buf struct buf key = {0};
        remote_object_key(run, &m->files[i], &key);
        if (m->files[i].done)
            s3_delete(s3, buf_str(&key), NULL);
        give_up(s3, buf_str(&key), &m->files[i]);
    }
    remote_manifest_done(m);
    *m = fresh;
}

/* Objects of the manifest that is not any more. */
static void drop_old(struct remote_run *run, struct s3 *s3, struct remote_manifest *old)
{
    struct remote_manifest now = run->m;
    if (strcmp(old->generation, now.generation) == 0)
        return;
    run->m = *old;
    for (size_t i = 0; i < old->n_files; i++) {
        auto_buf struct buf key = {0};
        struct err e = ERR_INIT;
        remote_object_key(run, &old->files[i], &key);
        if (old->files[i].n_parts && s3_delete(s3, buf_str(&key), &e) < 0)
            log_warn("remote", "%s, which nothing names any more, is left in the store: %s",
                     buf_str(&key), e.text);
    }
    run->m = now;
}

static int publish(struct remote_run *run, struct s3 *s3, struct err *e)
{
    auto_buf struct buf key = {0}, text = {0};
    clock_rfc3339(clock_real_ns(), run->m.created_at);
    remote_key(run, "manifest", &key);
    int r = remote_manifest_write(&run->m, REMOTE_PUBLISHED, &text);
    if (r == 0)
        r = remote_manifest_seal(&text);
    if (r < 0 || key.failed)
        return err_errno(e, -ENOMEM, "write the manifest");
    if (text.len > REMOTE_MANIFEST_MAX_BYTES)
        return err_set(e, ERR_TOO_LARGE, "%s is too large for one manifest", run->m.name);
    return s3_put(s3, buf_str(&key), buf_str(&text), text.len, e);
}

static bool is_over(void *arg)
{
    return remote_cancelled(arg);
}

int remote_push_files(struct remote_run *run, const char *dir, struct err *e)
{
    struct remote_manifest old = {0};
    struct s3_wait wait = {.cancelled = is_over, .arg = run};
    struct s3 *s3 = NULL;
    int r = s3_new(&run->remote->s3, &wait, &s3, e);
    if (r < 0)
        return r;
    r = remote_get_manifest(run, s3, &old, e);
    if (r == -ENOENT || r == -EBADMSG) /* none that counts */
        r = 0;
    if (r == 0)
        take_up(run, s3);
    for (size_t i = 0; r == 0 && i < run->m.n_files; i++) {
        if (!run->m.files[i].is_rootfs)
            r = open_and_push(run, &run->m.files[i], dir, s3, e);
    }
    if (r == 0)
        r = publish(run, s3, e);
    if (r == 0 && old.n_files)
        drop_old(run, s3, &old);
    remote_manifest_done(&old);
    s3_free(s3);
    return r;
}
