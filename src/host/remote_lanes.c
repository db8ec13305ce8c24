/* SPDX-License-Identifier: Apache-2.0 */

/* What a push and a pull have in common: several connections at a time, a journal, progress. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "host/remote_priv.h"

#define JOURNAL_EVERY_MS 1000
#define JOURNAL_SMALL_PARTS 256 /* with so few the journal is written after each */

bool remote_cancelled(const struct remote_run *run)
{
    return run->task->cancelled && run->task->cancelled(run->task->arg);
}

/* --- names --- */

void remote_key(const struct remote_run *run, const char *file, struct buf *ret)
{
    buf_printf(ret, "%s%ss/%s/%s", run->remote->prefix, remote_kind_names[run->m.kind], run->m.name,
               file);
}

void remote_object_key(const struct remote_run *run, const struct remote_file *f, struct buf *ret)
{
    remote_key(run, f->name, ret);
    buf_printf(ret, ".%s.zst", run->m.generation);
}

int remote_get_manifest(struct remote_run *run, struct s3 *s3, struct remote_manifest *ret,
                        struct err *e)
{
    auto_buf struct buf key = {0}, text = {.max_bytes = REMOTE_MANIFEST_MAX_BYTES};
    const char *kind = remote_kind_names[run->m.kind];
    remote_key(run, "manifest", &key);
    int r = s3_get(s3, buf_str(&key), NULL, &text, e);
    if (r == -ENOENT) {
        err_set(e, ERR_NOT_FOUND, "the object store has no %s %s", kind, run->m.name);
        return -ENOENT;
    }
    if (r < 0)
        return err_wrap(e, r, "%s %s", kind, run->m.name);
    size_t len = 0;
    if (remote_manifest_unseal(&text, &len, e) < 0 ||
        remote_manifest_read(buf_str(&text), len, REMOTE_PUBLISHED, ret, e) < 0)
        return err_wrap(e, -EBADMSG, "%s %s", kind, run->m.name);
    if (ret->kind == run->m.kind && strcmp(ret->name, run->m.name) == 0)
        return 0;
    remote_manifest_done(ret);
    err_set(e, ERR_UNAVAILABLE, "%s %s: its manifest is another one's", kind, run->m.name);
    return -EBADMSG;
}

/* --- the journal --- */

static int journal_path(const struct remote_run *run, char *ret, size_t size)
{
    return path_printf(ret, size, "%s/journal.json", run->dir);
}

static size_t count_parts(const struct remote_manifest *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n_files; i++)
        n += m->files[i].n_parts;
    return n;
}

int remote_journal_write(struct remote_run *run, bool must, struct err *e)
{
    auto_buf struct buf text = {0};
    char path[PATH_MAX];
    int64_t now_ms = clock_mono_ms();
    if (!must && count_parts(&run->m) > JOURNAL_SMALL_PARTS &&
        now_ms - run->journal_ms < JOURNAL_EVERY_MS)
        return 0;
    int r = remote_manifest_write(&run->m, REMOTE_JOURNAL, &text);
    r = r < 0 ? r : journal_path(run, path, sizeof(path));
    r = r < 0 ? r : file_write_atomic(path, buf_str(&text), text.len, 0600);
    run->journal_ms = clock_mono_ms();
    return r < 0 ? err_errno(e, r, "write the journal") : 0;
}

bool remote_journal_read(struct remote_run *run, struct remote_manifest *ret)
{
    auto_buf struct buf text = {0};
    char path[PATH_MAX];
    if (journal_path(run, path, sizeof(path)) < 0 ||
        file_read(path, &text, REMOTE_MANIFEST_MAX_BYTES) < 0 ||
        remote_manifest_read(buf_str(&text), text.len, REMOTE_JOURNAL, ret, NULL) < 0)
        return false;
    if (ret->kind == run->m.kind && strcmp(ret->name, run->m.name) == 0)
        return true;
    remote_manifest_done(ret);
    return false;
}

void remote_progress(struct remote_run *run, int64_t bytes)
{
    run->done_bytes += bytes;
    if (run->task->progress)
        run->task->progress(run->task->arg, run->done_bytes, run->total_bytes);
}

/* --- lanes --- */

struct lane {
    struct remote_run *run;
    struct remote_file *file;
    const struct remote_lane_plan *plan;
    pthread_t thread;
};

static bool is_over(void *arg)
{
    struct remote_run *run = arg;
    AUTO_LOCK(&run->lock);
    return run->stop || remote_cancelled(run);
}

static int work(struct lane *l, struct err *e)
{
    struct s3_wait wait = {.cancelled = is_over, .arg = l->run};
    struct s3 *s3 = NULL;
    int r = s3_new(&l->run->remote->s3, &wait, &s3, e);
    while (r == 0 && !is_over(l->run))
        r = l->plan->step(l->run, l->file, s3, l->plan->own, e);
    s3_free(s3);
    return r;
}

static void *lane_thread(void *arg)
{
    struct lane *l = arg;
    struct err e = ERR_INIT;
    int r = work(l, &e);
    if (r >= 0)
        return NULL;
    AUTO_LOCK(&l->run->lock);
    if (l->run->stop) /* the first failure is the reason, not those that it causes */
        return NULL;
    l->run->result = r;
    l->run->err = e;
    l->run->stop = true;
    return NULL;
}

int remote_lanes(struct remote_run *run, struct remote_file *f, const struct remote_lane_plan *plan,
                 struct err *e)
{
    struct lane lanes[REMOTE_LANES];
    int n = 0;
    run->stop = false;
    run->result = 0;
    for (; n < REMOTE_LANES; n++) {
        lanes[n] = (struct lane){.run = run, .file = f, .plan = plan};
        if (pthread_create(&lanes[n].thread, NULL, lane_thread, &lanes[n]) != 0)
            break;
    }
    for (int i = 0; i < n; i++)
        pthread_join(lanes[i].thread, NULL);
    if (n == 0)
        return err_set(e, ERR_INTERNAL, "cannot start a thread");
    if (run->result < 0 && e)
        *e = run->err;
    if (run->result == 0 && remote_cancelled(run)) {
        err_set(e, ERR_UNAVAILABLE, "cancelled");
        return -ECANCELED;
    }
    return run->result;
}
