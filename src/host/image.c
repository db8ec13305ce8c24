/* SPDX-License-Identifier: Apache-2.0 */
#include "host/image.h"

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
#include "host/image_priv.h"
#include "host/image_rows.h"

#define PATIENCE_MS 30000 /* a launch that waits asks again much sooner */
#define MISSING_AGAIN_MS 5000
#define FAILED_AGAIN_MS 5000 /* doubled each time */
#define FAILED_AGAIN_MAX_MS 300000
#define RESHAPE_PATIENCE_MS 60000

void image_set_state(struct image_set *s, struct image *im, enum language_state state,
                     const char *detail)
{
    AUTO_LOCK(&s->lock);
    im->state = state;
    snprintf(im->detail, sizeof(im->detail), "%s", detail);
}

/* --- preparing --- */

/* To be looked at again after a while; the lock is not held. */
static void put_off(struct image_set *s, struct image *im, int ms)
{
    AUTO_LOCK(&s->lock);
    im->due_ms = clock_mono_ms() + ms;
}

void image_without_paths(const struct image_set *s, const char *text, char *ret, size_t size)
{
    const char *dir = s->host->config->data_dir;
    size_t n = 0, dir_len = strlen(dir);
    while (*text && n + 1 < size) {
        if (strncmp(text, dir, dir_len) == 0 && text[dir_len] == '/') {
            size_t len = strcspn(text, " :;,'\"\n)");
            while (len > 0 && text[len - 1] != '/')
                len--;
            text += len > 0 ? len : dir_len;
            continue;
        }
        ret[n++] = *text++;
    }
    ret[n] = '\0';
}

/* It rests after one more failure; returns how long. */
static int back_off(struct image_set *s, struct image *im)
{
    AUTO_LOCK(&s->lock);
    im->backoff_ms = im->backoff_ms ? 2 * im->backoff_ms : FAILED_AGAIN_MS;
    if (im->backoff_ms > FAILED_AGAIN_MAX_MS)
        im->backoff_ms = FAILED_AGAIN_MAX_MS;
    im->due_ms = clock_mono_ms() + im->backoff_ms;
    return im->backoff_ms;
}

static void forgive(struct image_set *s, struct image *im)
{
    AUTO_LOCK(&s->lock);
    im->backoff_ms = 0;
}

static void prepare_failed(struct image_set *s, struct image *im, const struct err *e)
{
    if (!s->stopping && image_shape_undo(s, im, e))
        return;
    if (e->class == ERR_FULL) {
        /* No fault of the image: it stays in line. */
        image_set_state(s, im, LANGUAGE_PREPARING, "waiting for room for its first boot");
        put_off(s, im, FAILED_AGAIN_MS / 5);
        forgive(s, im);
        return;
    }
    int rest_ms = back_off(s, im);
    char detail[sizeof(im->detail)];
    image_without_paths(s, e->text, detail, sizeof(detail));
    image_set_state(s, im, LANGUAGE_FAILED, detail);
    if (!s->stopping)
        log_error("image", "image=%s cannot be prepared, next try %s %d s: %s", im->name,
                  image_waits_to_be_asked(s, im) ? "when it is asked for, after" : "in",
                  rest_ms / 1000, e->text);
}

static void ready(struct image_set *s, struct image *im, const char *dir, int64_t disk_bytes)
{
    char damaged[sizeof(im->template_dir)] = "";
    int64_t bytes = dir_bytes(dir, INT_MAX); /* links are to what clones of it have */
    {
        AUTO_LOCK(&s->lock);
        if (strcmp(im->template_dir, dir) != 0 && !im->users) /* else the next start removes it */
            strcpy(damaged, im->template_dir);
        strcpy(im->template_dir, dir);
        im->disk_bytes = disk_bytes;
        im->template_bytes = bytes;
        im->state = LANGUAGE_READY;
        memcpy(im->detail, im->undone, sizeof(im->detail));
        im->backoff_ms = 0;
        im->is_damaged = false;
    }
    image_shape_proven(s, im);
    pool_wake(s->host->pool);
    if (*damaged) /* nothing names it any more */
        dir_remove(damaged);
}

static bool is_missing(struct image_set *s, struct image *im, struct stat *ret)
{
    char path[PATH_MAX];
    image_path(s->host, im->key, "rootfs.ext4", path);
    if (stat(path, ret) == 0)
        return false;
    if (im->state != LANGUAGE_MISSING && image_is_prepared_ahead(s, im))
        log_warn("image", "image=%s missing: run images/build %s", im->name, im->key);
    char detail[sizeof(im->detail)];
    const char *toolchain = im->lang ? im->lang->toolchain : NULL;
    snprintf(detail, sizeof(detail), "its image is not on this host: holm image build %s%s%s",
             im->key, toolchain ? " --toolchain ARCHIVE|URL --sha256 SUM; " : "",
             toolchain ? toolchain : "");
    image_set_state(s, im, LANGUAGE_MISSING, detail);
    put_off(s, im, MISSING_AGAIN_MS);
    return true;
}

/* A template that was found on the disk and does not fit any more is worth a boot if anybody is
 * likely to ask for it. */
static bool is_worth_it(struct image_set *s, const struct image *im)
{
    AUTO_LOCK(&s->lock);
    if (im->is_asked || image_is_prepared_ahead(s, im) || image_is_default(s, im))
        return true;
    if (im->lang)
        return false;
    struct machine_type type;
    for (size_t i = 0; !im->is_uploaded && host_machine_type(s->host, i, &type); i++) {
        if (memcmp(&type.shape, &im->shape, sizeof(type.shape)) == 0)
            return true;
    }
    return false;
}

/* A language's stays, and is made when it is asked for. */
static void put_aside(struct image_set *s, struct image *im)
{
    AUTO_LOCK(&s->lock);
    if (im->lang && im->is_asked) /* in this very moment: it is due still */
        return;
    if (im->lang) {
        im->state = LANGUAGE_BUILT;
        strcpy(im->detail, "its first run prepares it");
        return;
    }
    log_info("image", "template=%s does not fit any more, and is removed", im->name);
    im->gone = true; /* by who has taken it */
}

/* The one that there is was refused by the engine; the next daemon need not try it again. */
static bool is_damaged(struct image_set *s, struct image *im)
{
    char path[PATH_MAX];
    {
        AUTO_LOCK(&s->lock);
        if (!im->is_damaged)
            return false;
    }
    template_manifest(s, im, path);
    AUTO_LOCK(&s->manifests);
    unlink(path);
    return true;
}

static void prepare(struct image_set *s, struct image *im)
{
    struct err e = ERR_INIT;
    auto_buf struct buf print = {0};
    char dir[PATH_MAX / 4];
    struct stat st;
    int64_t t0 = clock_mono_ms();
    if (is_missing(s, im, &st))
        return;
    int r = template_fingerprint(s, im, &print, &e);
    if (r == 0 && !is_damaged(s, im) && template_reuse(s, im, buf_str(&print), dir)) {
        ready(s, im, dir, st.st_size);
        return;
    }
    if (!is_worth_it(s, im)) {
        put_aside(s, im);
        return;
    }
    if (im->lang)
        pool_drop(s->host->pool, im->lang); /* adopted ones, of a former template */
    if (r == 0)
        r = template_make(s, im, buf_str(&print), dir, &e);
    if (r < 0) {
        prepare_failed(s, im, &e);
        return;
    }
    ready(s, im, dir, st.st_size);
    log_info("image", "image=%s ready after_ms=%lld", im->name, (long long)(clock_mono_ms() - t0));
}

static void wait_until(struct image_set *s, int64_t due_ms)
{
    if (!due_ms) {
        pthread_cond_wait(&s->stop_asked, &s->lock);
        return;
    }
    int64_t at = clock_real_ns() + (due_ms - clock_mono_ms() + 1) * 1000000;
    struct timespec until = {.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000};
    pthread_cond_timedwait(&s->stop_asked, &s->lock, &until);
}

static void *prepare_thread(void *arg)
{
    struct image_set *s = arg;
    AUTO_LOCK(&s->lock);
    while (!s->stopping) {
        int64_t next_ms;
        images_drop_unwanted(s);
        images_sweep(s);
        if (s->stopping)
            break;
        struct image *im = images_next_due(s, &next_ms);
        if (!im) {
            wait_until(s, next_ms);
            continue;
        }
        im->taken = true;
        pthread_mutex_unlock(&s->lock);
        prepare(s, im);
        pthread_mutex_lock(&s->lock);
        im->taken = false;
        images_make_room(s);
        /* Another thread may have gone to sleep for ever while this image was out of its sight. */
        pthread_cond_broadcast(&s->stop_asked);
    }
    return NULL;
}

/* --- the set --- */

bool image_has_runtime(const struct host *h, const struct language *lang)
{
    return lang->warm && h->config->pool_runtimes;
}

struct image_ask image_of_language(const struct language *lang)
{
    return (struct image_ask){.key = lang->image, .lang = lang};
}

static int add_languages(struct image_set *s, struct err *e)
{
    const struct language *lang;
    for (size_t i = 0; (lang = host_language(i)); i++) {
        const struct image_ask ask = image_of_language(lang);
        if (!images_add(s, &ask, e))
            return -EINVAL;
    }
    return 0;
}

/* What a launch that names nothing gets is there before the first one, and the first of all. */
static int add_default(struct image_set *s, struct err *e)
{
    const struct config *c = s->host->config;
    const struct machine_shape *shape = &c->machine_types[0].shape;
    char path[PATH_MAX];
    image_path(s->host, c->vm_image, "rootfs.ext4", path);
    const struct image_ask ask = {.key = c->vm_image, .shape = shape};
    if (images_find(s, &ask) || access(path, R_OK) < 0)
        return 0;
    struct image *im = images_add(s, &ask, e);
    if (!im)
        return -EINVAL;
    im->due_ms = -1;
    return 0;
}

/* Shapes that were asked for in former times: "KEY@VCPUSxMIB.json" among the templates. The
 * manifest's time is that of its last use. */
static void add_known_shapes(struct image_set *s)
{
    char top[PATH_MAX / 4];
    path_printf(top, sizeof(top), "%s/templates", s->host->config->data_dir);
    auto_closedir DIR *d = opendir(top);
    for (struct dirent *de; d && (de = readdir(d));) {
        char key[IMAGE_KEY_SIZE], path[PATH_MAX], end[8] = "";
        struct machine_shape shape;
        struct stat st;
        if (sscanf(de->d_name, "%63[a-z0-9-]@%dx%d%7s", key, &shape.vcpus, &shape.memory_mib,
                   end) != 4 ||
            strcmp(end, ".json") != 0)
            continue;
        const struct image_ask ask = {.key = key, .shape = &shape};
        if (images_find(s, &ask))
            continue;
        image_path(s->host, key, "rootfs.ext4", path);
        if (access(path, R_OK) < 0)
            continue;
        struct image *im = images_add(s, &ask, NULL);
        path_printf(path, sizeof(path), "%s/%s", top, de->d_name);
        if (im && stat(path, &st) == 0)
            im->used_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
    }
}

static bool is_named(struct image_set *s, const char *entry)
{
    for (int i = 0; i < s->n_images; i++) {
        char path[PATH_MAX], id[ID_SIZE];
        template_manifest(s, s->images[i], path);
        if (strcmp(strrchr(path, '/') + 1, entry) == 0)
            return true;
        template_id_of(path, id);
        if (strcmp(id, entry) == 0)
            return true;
    }
    return false;
}

/* Templates that nothing names: their capture or their replacement was cut short, or their image is
 * no more. A clone that still runs from one keeps its files open. */
static void drop_orphans(struct image_set *s)
{
    char top[PATH_MAX / 4];
    path_printf(top, sizeof(top), "%s/templates", s->host->config->data_dir);
    auto_closedir DIR *d = opendir(top);
    for (struct dirent *de; d && (de = readdir(d));) {
        char path[PATH_MAX];
        if (de->d_name[0] == '.' || is_named(s, de->d_name))
            continue;
        path_printf(path, sizeof(path), "%s/%s", top, de->d_name);
        log_info("image", "removing orphaned template %s", de->d_name);
        dir_remove(path);
    }
}

int image_set_new(struct host *h, struct image_set **ret, struct err *e)
{
    struct image_set *s = calloc(1, sizeof(*s));
    if (!s)
        return err_errno(e, -ENOMEM, "images");
    s->host = h;
    s->patience_ms = PATIENCE_MS;
    s->reshape_patience_ms = RESHAPE_PATIENCE_MS;
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->manifests, NULL);
    pthread_cond_init(&s->stop_asked, NULL);
    int r = add_languages(s, e);
    if (r == 0)
        image_shapes_apply(s);
    if (r == 0)
        r = add_default(s, e);
    if (r < 0) {
        image_set_free(s);
        return r;
    }
    add_known_shapes(s);
    drop_orphans(s);
    *ret = s;
    return 0;
}

int image_set_start(struct image_set *s, struct err *e)
{
    int want = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (want > PREPARE_THREADS_MAX)
        want = PREPARE_THREADS_MAX;
    for (; s->n_threads < want; s->n_threads++) {
        if (pthread_create(&s->threads[s->n_threads], NULL, prepare_thread, s) != 0)
            return err_set(e, ERR_INTERNAL, "images: cannot start a thread");
    }
    return 0;
}

void image_set_stop(struct image_set *s)
{
    {
        AUTO_LOCK(&s->lock);
        s->stopping = true;
        pthread_cond_broadcast(&s->stop_asked);
    }
    for (int i = 0; i < s->n_threads; i++)
        pthread_join(s->threads[i], NULL);
    s->n_threads = 0;
}

void image_set_free(struct image_set *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->n_images; i++)
        free(s->images[i]);
    pthread_cond_destroy(&s->stop_asked);
    pthread_mutex_destroy(&s->manifests);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

enum language_state image_state(struct image_set *s, const struct language *lang, char *ret_detail)
{
    const struct image_ask ask = image_of_language(lang);
    AUTO_LOCK(&s->lock);
    const struct image *im = images_find(s, &ask);
    if (!im)
        return LANGUAGE_MISSING;
    if (ret_detail)
        memcpy(ret_detail, im->detail, sizeof(im->detail));
    return im->state;
}

enum language_state image_state_of_all(struct image_set *s, const char *key, char *ret_detail)
{
    static const int rank[] = {[LANGUAGE_MISSING] = 0,
                               [LANGUAGE_FAILED] = 1,
                               [LANGUAGE_BUILT] = 2,
                               [LANGUAGE_PREPARING] = 3,
                               [LANGUAGE_READY] = 4};
    const struct image *best = NULL;
    AUTO_LOCK(&s->lock);
    for (int i = 0; i < s->n_images; i++) {
        const struct image *im = s->images[i];
        if (!im->gone && strcmp(im->key, key) == 0 &&
            (!best || rank[im->state] > rank[best->state]))
            best = im;
    }
    if (best)
        memcpy(ret_detail, best->detail, sizeof(best->detail));
    return best ? best->state : LANGUAGE_MISSING;
}

void image_distrust(struct image_set *s, const struct image_ask *ask, const char *why)
{
    AUTO_LOCK(&s->lock);
    struct image *im = images_find(s, ask);
    if (!im || im->state != LANGUAGE_READY)
        return;
    log_error("image", "image=%s template is made anew: %s", im->name, why);
    im->state = LANGUAGE_PREPARING;
    im->is_damaged = true;
    im->is_asked = true;
    snprintf(im->detail, sizeof(im->detail), "its template was damaged");
    im->asked_ms = im->due_ms = clock_mono_ms();
    pthread_cond_broadcast(&s->stop_asked);
}

void image_forget(struct image_set *s, const char *key)
{
    AUTO_LOCK(&s->lock);
    for (int i = 0; i < s->n_images; i++) {
        if (strcmp(s->images[i]->key, key) == 0)
            s->images[i]->gone = true;
    }
    images_sweep(s);
}

/* --- using --- */

int image_refuse(const struct image *im, struct err *e)
{
    const char *what = im->lang ? "language" : "image";
    const char *name = im->lang ? im->lang->name : im->key;
    if (im->state == LANGUAGE_FAILED && im->is_uploaded)
        return err_set(e, ERR_CONFLICT, "the image cannot be booted: %s", im->detail);
    if (im->state == LANGUAGE_FAILED)
        return err_set(e, ERR_UNAVAILABLE, "%s %s could not be prepared: %s", what, name,
                       im->detail);
    err_set(e, ERR_FULL, "%s %s is being prepared (%s); try again in 5 s", what, name, im->detail);
    if (e)
        e->retry_after_s = 5;
    return -EINPROGRESS;
}

void image_want(struct image_set *s, struct image *im)
{
    im->is_asked = true;
    im->asked_ms = clock_mono_ms();
    im->used_ns = clock_real_ns();
    if (!image_waits_to_be_asked(s, im) || im->taken || im->asked_ms < im->due_ms)
        return;
    im->state = LANGUAGE_PREPARING;
    strcpy(im->detail, "waiting for its turn");
    pthread_cond_broadcast(&s->stop_asked);
}

static int hold(struct image_set *s, const struct image_ask *ask, struct image_use *ret,
                struct err *e)
{
    AUTO_LOCK(&s->lock);
    struct image *im = images_find(s, ask);
    if (!im && !ask->lang) {
        im = images_ask(s, ask, e);
        if (!im)
            return -EAGAIN;
    }
    if (!im || im->state == LANGUAGE_MISSING)
        return err_set(e, ERR_NOT_FOUND, "image %s was not built on this host: run images/build %s",
                       ask->key, ask->key);
    image_want(s, im);
    if (im->state != LANGUAGE_READY)
        return image_refuse(im, e);
    *ret = (struct image_use){.image = im, .shape = im->shape, .disk_bytes = im->disk_bytes};
    memcpy(ret->key, im->key, sizeof(im->key));
    memcpy(ret->template_dir, im->template_dir, sizeof(im->template_dir));
    im->users++;
    return 0;
}

int image_ready(struct image_set *s, const struct image_ask *ask, struct image_use *ret,
                struct err *e)
{
    char path[PATH_MAX];
    int r = hold(s, ask, ret, e);
    if (r < 0 || !image_is_on_demand(ret->image))
        return r;
    /* The next daemon wants to know of the use, too; that this fails is no reason not to use it. */
    template_manifest(s, ret->image, path);
    (void)utimensat(AT_FDCWD, path, NULL, 0);
    return 0;
}

void image_release(struct image_set *s, struct image_use *u)
{
    if (!u->image)
        return;
    AUTO_LOCK(&s->lock);
    u->image->users--;
    if (u->image->gone) /* a preparer removes it: who launches need not wait for that */
        pthread_cond_broadcast(&s->stop_asked);
    u->image = NULL;
}
