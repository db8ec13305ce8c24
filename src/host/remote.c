/* SPDX-License-Identifier: Apache-2.0 */
#include "host/remote.h"

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
#include "host/host_priv.h"
#include "host/image_rows.h"
#include "host/remote_priv.h"

int remote_new(struct host *h, struct remote **ret, struct err *e)
{
    const struct config *c = h->config;
    struct remote *r = calloc(1, sizeof(*r));
    if (!r)
        return err_errno(e, -ENOMEM, "object store");
    r->host = h;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->ended, NULL);
    /* A copy: the configuration's secrets are wiped once the host is there. */
    r->s3 = (struct s3_config){
        .path_style = c->s3_path_style, .retry_ms = c->s3_retry_ms, .stall_s = c->s3_stall_s};
    path_printf(r->s3.endpoint, sizeof(r->s3.endpoint), "%s", c->s3_endpoint);
    path_printf(r->s3.region, sizeof(r->s3.region), "%s", c->s3_region);
    path_printf(r->s3.bucket, sizeof(r->s3.bucket), "%s", c->s3_bucket);
    path_printf(r->s3.access_key, sizeof(r->s3.access_key), "%s", c->s3_access_key);
    path_printf(r->s3.secret_key, sizeof(r->s3.secret_key), "%s", c->s3_secret_key);
    size_t len = strlen(c->s3_prefix);
    bool slash = len == 0 || c->s3_prefix[len - 1] == '/';
    path_printf(r->prefix, sizeof(r->prefix), "%s%s", c->s3_prefix, slash ? "" : "/");
    *ret = r;
    return 0;
}

void remote_free(struct remote *r)
{
    if (!r)
        return;
    explicit_bzero(&r->s3, sizeof(r->s3));
    pthread_cond_destroy(&r->ended);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

int host_remote_check(struct host *h, struct err *e)
{
    int r = s3_check(&h->remote->s3, e);
    if (r < 0 && e) {
        e->class = ERR_CONFLICT; /* the daemon's configuration, not the request */
        e->field[0] = '\0';
    }
    return r < 0 ? -EBUSY : 0;
}

/* --- one at a time --- */

/* NULL: somebody does it already, or too many are done. Lock held. */
static char *find_claim(struct remote *r, const char *what)
{
    for (int i = 0; i < REMOTE_CLAIMS_MAX; i++) {
        if (strcmp(r->claims[i], what) == 0)
            return r->claims[i];
    }
    return NULL;
}

static int claim(struct remote_run *run, const char *what, struct err *e)
{
    struct remote *r = run->remote;
    AUTO_LOCK(&r->lock);
    if (find_claim(r, what)) {
        err_set(e, ERR_CONFLICT, "%s %s is being pushed or pulled already",
                remote_kind_names[run->m.kind], run->m.name);
        return -EALREADY;
    }
    char *free_one = find_claim(r, "");
    if (!free_one)
        return err_set(e, ERR_FULL, "%d things are being pushed and pulled already",
                       REMOTE_CLAIMS_MAX);
    strcpy(free_one, what);
    return 0;
}

static void unclaim(struct remote_run *run, const char *what)
{
    struct remote *r = run->remote;
    AUTO_LOCK(&r->lock);
    char *mine = find_claim(r, what);
    if (mine)
        mine[0] = '\0';
    pthread_cond_broadcast(&r->ended);
}

struct asked {
    const char *verb; /* "push", "pull" */
    int (*work)(struct remote_run *run, struct err *e);
};

static void log_end(const struct remote_run *run, const char *verb, int r, int64_t ms,
                    const struct err *e)
{
    const char *kind = remote_kind_names[run->m.kind];
    if (r == 0)
        log_info("remote", "%s=%s %s ended bytes=%lld after_ms=%lld", kind, run->m.name, verb,
                 (long long)run->done_bytes, (long long)ms);
    else if (r != -ENOENT)
        log_warn("remote", "%s=%s %s failed: %s", kind, run->m.name, verb, e->text);
}

static int run_it(struct host *h, struct remote_run *run, const struct asked *asked, struct err *e)
{
    char what[2 * REMOTE_NAME_SIZE];
    struct err own = ERR_INIT;
    e = e ? e : &own;
    int64_t t0 = clock_mono_ms();
    snprintf(what, sizeof(what), "%s-%s", remote_kind_names[run->m.kind], run->m.name);
    int r = path_printf(run->dir, sizeof(run->dir), "%s/remote/%s-%s", h->config->data_dir,
                        asked->verb, what);
    if (r < 0)
        return err_set(e, ERR_INTERNAL, "data_dir is too long");
    r = claim(run, what, e);
    if (r < 0)
        return r;
    pthread_mutex_init(&run->lock, NULL);
    r = asked->work(run, e);
    if (r == 0)
        dir_remove(run->dir);
    log_end(run, asked->verb, r, clock_mono_ms() - t0, e);
    pthread_mutex_destroy(&run->lock);
    remote_manifest_done(&run->m);
    unclaim(run, what);
    return r;
}

static int start(struct host *h, const struct remote_task *t, struct remote_run *run, struct err *e)
{
    static const struct remote_task nobody;
    int r = host_remote_check(h, e);
    if (r < 0)
        return r;
    if (!remote_name_ok(run->m.name))
        return err_field(e, "name", "\"%.64s\" cannot be an image's name", run->m.name);
    if (run->m.kind == REMOTE_TEMPLATE && !host_language_find(run->m.name))
        return err_field(e, "name", "there is no language %s", run->m.name);
    if (image_rows_own(h->image_rows, run->m.name))
        return err_set(e, ERR_CONFLICT,
                       "image %s is an account's own: only Holm's are in the object store",
                       run->m.name);
    run->remote = h->remote;
    run->host = h;
    run->task = t ? t : &nobody;
    run->fd = -1;
    return 0;
}

static int init(struct remote_run **ret, enum remote_kind kind, const char *name, struct err *e)
{
    struct remote_run *run = calloc(1, sizeof(*run));
    if (!run)
        return err_errno(e, -ENOMEM, "object store");
    run->m.kind = kind;
    snprintf(run->m.name, sizeof(run->m.name), "%s", name);
    *ret = run;
    return 0;
}

/* --- images --- */

static void add_file(struct remote_run *run, const char *dir, const char *name)
{
    char path[PATH_MAX];
    if (path_printf(path, sizeof(path), "%s/%s", dir, name) == 0 && access(path, R_OK) == 0)
        path_printf(run->m.files[run->m.n_files++].name, REMOTE_FILE_NAME_SIZE, "%s", name);
}

static int push_image(struct remote_run *run, struct err *e)
{
    char dir[PATH_MAX];
    image_path(run->host, run->m.name, "", dir);
    add_file(run, dir, "rootfs.ext4");
    if (!run->m.n_files)
        return err_set(e, ERR_NOT_FOUND, "this host has no image %s", run->m.name);
    add_file(run, dir, "image.json");
    int r = dir_make(run->dir, 0700);
    if (r < 0)
        return err_errno(e, r, "make a directory for the journal");
    id_new(run->m.generation);
    return remote_push_files(run, dir, e);
}

static int sync_dir(const char *dir)
{
    auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* The root file system first: with a former one's image.json it would be built again, at worst. */
static int place_image(struct remote_run *run, struct err *e)
{
    static const char *const names[] = {"rootfs.ext4", "image.json"};
    char dir[PATH_MAX];
    image_path(run->host, run->m.name, "", dir);
    int r = dir_make(dir, 0755);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(names); i++) {
        char from[PATH_MAX], to[PATH_MAX];
        path_printf(from, sizeof(from), "%s/%s", run->dir, names[i]);
        r = path_printf(to, sizeof(to), "%s/%s", dir, names[i]);
        if (r == 0 && rename(from, to) < 0 && !(i && errno == ENOENT))
            r = -errno;
    }
    r = r == 0 ? sync_dir(dir) : r;
    return r < 0 ? err_errno(e, r, "put image %s in place", run->m.name) : 0;
}

static int check_image(const struct remote_run *run, struct err *e)
{
    bool has_rootfs = false;
    for (size_t i = 0; i < run->m.n_files; i++) {
        const struct remote_file *f = &run->m.files[i];
        has_rootfs |= strcmp(f->name, "rootfs.ext4") == 0 && !f->is_rootfs;
    }
    return has_rootfs ? 0
                      : err_set(e, ERR_UNAVAILABLE, "image %s has no root file system in the store",
                                run->m.name);
}

static int pull_image(struct remote_run *run, struct err *e)
{
    int r = remote_pull_manifest(run, e);
    if (r == 0)
        r = check_image(run, e);
    if (r == 0)
        r = remote_pull_files(run, e);
    if (r < 0)
        return r;
    const struct image_ask all = {.key = run->m.name};
    image_bring(run->host->images, &all);
    r = place_image(run, e);
    if (r < 0 || !run->task->keeps_image)
        image_give_back(run->host->images, &all, false);
    return r;
}

int host_remote_push(struct host *h, enum remote_kind kind, const char *name,
                     const struct remote_task *t, struct err *e)
{
    static const struct asked rows[] = {
        [REMOTE_IMAGE] = {"push", push_image}, [REMOTE_TEMPLATE] = {"push", remote_push_template}};
    auto_free struct remote_run *run = NULL;
    int r = init(&run, kind, name, e);
    if (r == 0)
        r = start(h, t, run, e);
    return r == 0 ? run_it(h, run, &rows[kind], e) : r;
}

int host_remote_pull(struct host *h, enum remote_kind kind, const char *name,
                     const struct remote_task *t, struct err *e)
{
    static const struct asked rows[] = {
        [REMOTE_IMAGE] = {"pull", pull_image}, [REMOTE_TEMPLATE] = {"pull", remote_pull_template}};
    auto_free struct remote_run *run = NULL;
    int r = init(&run, kind, name, e);
    if (r == 0)
        r = start(h, t, run, e);
    return r == 0 ? run_it(h, run, &rows[kind], e) : r;
}

/* --- what there is --- */

struct listing {
    const struct remote *remote;
    const char *top; /* "PREFIX/images/" */
    struct remote_item *items;
    size_t n;
    bool is_there; /* the last item has a manifest */
    const char *kind;
};

/* Keys come in order, so those of one name come together; a name without a manifest is a push that
 * has not ended. */
static int on_object(void *arg, const struct s3_object *o)
{
    struct listing *l = arg;
    char name[REMOTE_NAME_SIZE];
    size_t top_len = strlen(l->top);
    if (strncmp(o->key, l->top, top_len) != 0)
        return 0;
    const char *rest = o->key + top_len, *slash = strchr(rest, '/');
    if (!slash || slash - rest >= (int)sizeof(name))
        return 0;
    snprintf(name, sizeof(name), "%.*s", (int)(slash - rest), rest);
    if (!remote_name_ok(name))
        return 0;
    if (l->n == 0 || strcmp(l->items[l->n - 1].name, name) != 0) {
        l->n -= l->n && !l->is_there;
        l->is_there = false;
        struct remote_item *more = realloc(l->items, (l->n + 1) * sizeof(*more));
        if (!more)
            return -ENOMEM;
        l->items = more;
        struct remote_item *item = &more[l->n++];
        *item = (struct remote_item){0};
        strcpy(item->name, name);
        snprintf(item->place, sizeof(item->place), "s3://%s/%s%ss/%s", l->remote->s3.bucket,
                 l->remote->prefix, l->kind, name);
    }
    struct remote_item *item = &l->items[l->n - 1];
    item->bytes = o->bytes < INT64_MAX - item->bytes ? item->bytes + o->bytes : INT64_MAX;
    if (strcmp(slash, "/manifest") == 0) {
        item->changed_ns = o->modified_ns;
        l->is_there = true;
    }
    return 0;
}

/* Somebody waits for the answer, and the daemon's end for him. */
struct patience {
    const struct host *host;
    int64_t until_ms;
};

static bool is_lost(void *arg)
{
    const struct patience *p = arg;
    return host_is_stopping(p->host) || clock_mono_ms() >= p->until_ms;
}

static int list_all(struct host *h, struct listing *l, struct err *e)
{
    struct patience p = {.host = h, .until_ms = clock_mono_ms() + REMOTE_LIST_TIMEOUT_MS};
    const struct s3_wait wait = {.cancelled = is_lost, .arg = &p};
    struct s3 *s3 = NULL;
    int r = s3_new(&h->remote->s3, &wait, &s3, e);
    if (r == 0)
        r = s3_list(s3, l->top, on_object, l, e);
    s3_free(s3);
    if (r == -ECANCELED)
        return err_set(e, ERR_UNAVAILABLE, "the object store has not said in %d s what it has",
                       REMOTE_LIST_TIMEOUT_MS / 1000);
    return r == -ENOMEM ? err_errno(e, r, "list") : r;
}

int host_remote_list(struct host *h, enum remote_kind kind, struct remote_item **ret, size_t *ret_n,
                     struct err *e)
{
    auto_buf struct buf top = {0};
    int r = host_remote_check(h, e);
    if (r < 0)
        return r;
    buf_printf(&top, "%s%ss/", h->remote->prefix, remote_kind_names[kind]);
    struct listing l = {.remote = h->remote, .kind = remote_kind_names[kind], .top = buf_str(&top)};
    r = top.failed ? err_errno(e, -ENOMEM, "list") : list_all(h, &l, e);
    if (r < 0) {
        free(l.items);
        return r;
    }
    l.n -= l.n && !l.is_there;
    *ret = l.items;
    *ret_n = l.n;
    return 0;
}

/* --- on demand --- */

/* Whoever comes while the image is being pulled waits for that. False: it is not wanted any more.
 */
static bool await_claim(struct remote *r, const char *what, const struct remote_task *t)
{
    AUTO_LOCK(&r->lock);
    while (find_claim(r, what)) {
        int64_t at = clock_real_ns() + INT64_C(100000000);
        struct timespec until = {.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000};
        pthread_cond_timedwait(&r->ended, &r->lock, &until);
        if (t->cancelled && t->cancelled(t->arg))
            return false;
    }
    return true;
}

static int cancelled(struct err *e)
{
    err_set(e, ERR_UNAVAILABLE, "cancelled");
    return -ECANCELED;
}

bool host_remote_on_demand(struct host *h)
{
    return h->config->s3_pull_on_demand && host_remote_check(h, NULL) == 0;
}

/* Why a run has to do without; ERR_CONFLICT would be the caller's to solve. */
static int unwanted(const char *image, int r, const struct err *why, struct err *e)
{
    if (r == -ENOENT)
        return err_set(e, ERR_UNAVAILABLE,
                       "image %s is neither on this host nor in the object store", image);
    if (e)
        *e = *why;
    if (e && e->class == ERR_CONFLICT)
        e->class = ERR_UNAVAILABLE;
    return err_wrap(e, r, "pull image %s", image);
}

int remote_want(struct host *h, const char *image, const struct remote_task *t, struct err *e)
{
    char what[2 * REMOTE_NAME_SIZE], detail[256];
    if (!host_remote_on_demand(h))
        return -ENOENT;
    snprintf(what, sizeof(what), "%s-%s", remote_kind_names[REMOTE_IMAGE], image);
    for (int tries = 0;;) {
        struct err own = ERR_INIT;
        if (!await_claim(h->remote, what, t))
            return cancelled(e);
        if (image_state_of_all(h->images, image, detail) != LANGUAGE_MISSING)
            return 0;
        int r = host_remote_pull(h, REMOTE_IMAGE, image, t, &own);
        if (r == 0)
            return 0;
        /* Another one was quicker; or it was replaced meanwhile, or its object is lost. */
        bool again = r == -EALREADY || (own.class == ERR_CONFLICT && ++tries < REMOTE_WANT_TRIES);
        if (!again)
            return unwanted(image, r, &own, e);
    }
}
