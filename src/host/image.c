/* SPDX-License-Identifier: Apache-2.0 */
#include "host/image.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/guest.h"
#include "host/host_priv.h"
#include "host/program.h"
#include "host/vm_pool.h"

#define IMAGES_MAX 256
#define PREPARE_THREADS_MAX 4
#define SYNC_TIMEOUT_MS 60000

#define MISSING_AGAIN_MS 5000
#define FAILED_AGAIN_MS 5000 /* doubled each time */
#define FAILED_AGAIN_MAX_MS 300000

/* Version of how a template is made; part of the fingerprint. */
#define PREPARE_VERSION "1"

struct image_set {
    struct host *host;
    pthread_mutex_t lock; /* guards the state of the images and what follows */
    struct image images[IMAGES_MAX];
    int n_images;
    pthread_cond_t stop_asked;
    atomic_bool stopping;
    pthread_t threads[PREPARE_THREADS_MAX];
    int n_threads;
};

static void auto_json_drop(json_t **j)
{
    json_decref(*j);
}
#define auto_json CLEANUP(auto_json_drop)

static json_t *load_json(const char *path)
{
    auto_buf struct buf b = {0};
    if (file_read(path, &b, MANIFEST_MAX_BYTES) < 0)
        return NULL;
    return json_loadb(buf_str(&b), b.len, JSON_REJECT_DUPLICATES, NULL);
}

static void set_state(struct image_set *s, struct image *im, enum language_state state,
                      const char *detail)
{
    AUTO_LOCK(&s->lock);
    im->state = state;
    snprintf(im->detail, sizeof(im->detail), "%s", detail);
}

/* --- What a template depends on --- */

static int add_file(struct buf *b, const char *label, const char *path, struct err *e)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return err_errno(e, -errno, "%s", path);
    return buf_printf(b, "%s=%lld.%lld.%09ld;", label, (long long)st.st_size,
                      (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

/* One line that changes whenever the image must be booted and captured anew. */
static int fingerprint(struct image_set *s, const struct image *im, struct buf *ret, struct err *e)
{
    char engine[512], path[PATH_MAX];
    int r = engine_fingerprint(s->host->engine, engine, sizeof(engine), e);
    if (r < 0)
        return r;
    buf_printf(ret, "prepare=" PREPARE_VERSION ";%s;vcpus=%d;memory_mib=%d;", engine,
               im->shape.vcpus, im->shape.memory_mib);
    const char *kernel_files[] = {"vmlinuz", "initrd.img"};
    for (size_t i = 0; i < ARRAY_SIZE(kernel_files); i++) {
        path_printf(path, sizeof(path), "%s/kernel/%s", s->host->config->data_dir, kernel_files[i]);
        r = add_file(ret, kernel_files[i], path, e);
        if (r < 0)
            return r;
    }
    r = add_file(ret, "rootfs", im->rootfs, e);
    if (r < 0)
        return r;
    return ret->failed ? err_errno(e, -ENOMEM, "fingerprint") : 0;
}

static void manifest_path(const struct image_set *s, const struct image *im, char *ret, size_t size)
{
    path_printf(ret, size, "%s/templates/%s.json", s->host->config->data_dir, im->key);
}

/* Takes over the template of a former run when it still fits. */
static bool reuse_template(struct image_set *s, struct image *im, const char *now)
{
    char path[PATH_MAX], dir[PATH_MAX / 4];
    manifest_path(s, im, path, sizeof(path));
    auto_json json_t *m = load_json(path);
    const char *id, *then;
    if (!m || json_unpack(m, "{s:s, s:s}", "template", &id, "fingerprint", &then) < 0)
        return false;
    if (!id_valid(id) || strcmp(then, now) != 0)
        return false;
    if (path_printf(dir, sizeof(dir), "%s/templates/%s", s->host->config->data_dir, id) < 0 ||
        access(dir, R_OK) < 0)
        return false;
    AUTO_LOCK(&s->lock);
    strcpy(im->template_dir, dir);
    im->state = LANGUAGE_READY;
    im->detail[0] = '\0';
    return true;
}

static int publish(struct image_set *s, struct image *im, const char *id, const char *print,
                   struct err *e)
{
    char path[PATH_MAX], when[CLOCK_RFC3339_SIZE];
    manifest_path(s, im, path, sizeof(path));
    clock_rfc3339(clock_real_ns(), when);
    auto_json json_t *m = json_pack("{s:s, s:s, s:s, s:s}", "image", im->name, "template", id,
                                    "fingerprint", print, "created_at", when);
    auto_free char *text = m ? json_dumps(m, JSON_INDENT(2)) : NULL;
    if (!text)
        return err_errno(e, -ENOMEM, "template manifest");
    int r = file_write_atomic(path, text, strlen(text), 0644);
    return r < 0 ? err_errno(e, r, "write %s", path) : 0;
}

/* --- Boot, warm, capture --- */

static bool is_stopping(void *arg)
{
    struct image_set *s = arg;
    return s->stopping;
}

static int warm_languages(struct image_set *s, struct image *im, struct vm *vm, struct err *e)
{
    const struct language *lang;
    for (size_t i = 0; (lang = host_language(i)); i++) {
        if (strcmp(lang->image, im->name) != 0)
            continue;
        struct program_wait wait = {.cancelled = is_stopping, .arg = s};
        set_state(s, im, LANGUAGE_PREPARING, "running its hello program for the first time");
        int r = program_hello(vm, lang, &wait, e);
        if (r < 0)
            return r;
    }
    return 0;
}

static int capture(struct image_set *s, struct image *im, struct vm *vm, char ret_id[ID_SIZE],
                   struct err *e)
{
    set_state(s, im, LANGUAGE_PREPARING, "being captured");
    int r = guest_sync(vm->link, clock_mono_ms() + SYNC_TIMEOUT_MS, e);
    if (r < 0)
        return r;
    vm_hang_up(vm);
    char dir[PATH_MAX / 4];
    id_new(ret_id);
    if (path_printf(dir, sizeof(dir), "%s/templates/%s", s->host->config->data_dir, ret_id) < 0)
        return err_set(e, ERR_INTERNAL, "data_dir is too long");
    struct capture_times times = {0};
    r = engine_capture(s->host->engine, &vm->monitor, dir, CAPTURE_DURABLE, &times, e);
    if (r < 0)
        return r;
    log_info("image", "image=%s captured template=%s total_ms=%lld dirty_pages=%llu", im->name,
             ret_id, (long long)times.total_us / 1000, (unsigned long long)times.dirty_pages);
    AUTO_LOCK(&s->lock);
    strcpy(im->template_dir, dir);
    return 0;
}

static int make_template(struct image_set *s, struct image *im, const char *print, struct err *e)
{
    set_state(s, im, LANGUAGE_PREPARING, "booting for the first time");
    struct vm *vm = NULL;
    char id[ID_SIZE];
    int r;
    do
        r = vm_boot(s->host, im, &im->shape, &vm, e);
    while (r < 0 && e->class == ERR_FULL &&
           (pool_give_way(s->host->pool, NULL) || vm_pool_give_way(s->host->vm_pool)));
    if (r < 0)
        return r;
    r = warm_languages(s, im, vm, e);
    if (r == 0)
        r = capture(s, im, vm, id, e);
    vm_end(s->host, vm);
    if (r < 0)
        return r;
    r = publish(s, im, id, print, e);
    if (r < 0)
        dir_remove(im->template_dir);
    return r;
}

/* To be looked at again after a while; the lock is not held. */
static void put_off(struct image_set *s, struct image *im, int ms)
{
    AUTO_LOCK(&s->lock);
    im->due_ms = clock_mono_ms() + ms;
}

static void prepare_failed(struct image_set *s, struct image *im, const struct err *e)
{
    im->backoff_ms = im->backoff_ms ? 2 * im->backoff_ms : FAILED_AGAIN_MS;
    if (im->backoff_ms > FAILED_AGAIN_MAX_MS)
        im->backoff_ms = FAILED_AGAIN_MAX_MS;
    if (e->class == ERR_FULL) {
        /* No fault of the image: it stays in line. */
        set_state(s, im, LANGUAGE_PREPARING, "waiting for room for its first boot");
        put_off(s, im, FAILED_AGAIN_MS / 5);
        return;
    }
    set_state(s, im, LANGUAGE_FAILED, e->text);
    put_off(s, im, im->backoff_ms);
    if (!s->stopping)
        log_error("image", "image=%s cannot be prepared, next try in %d s: %s", im->name,
                  im->backoff_ms / 1000, e->text);
}

static void prepare(struct image_set *s, struct image *im)
{
    struct err e = ERR_INIT;
    auto_buf struct buf print = {0};
    int64_t t0 = clock_mono_ms();
    if (access(im->rootfs, R_OK) < 0) {
        if (image_state(s, im->name, NULL) != LANGUAGE_MISSING)
            log_warn("image", "image=%s missing: run images/build %s", im->name, im->name);
        set_state(s, im, LANGUAGE_MISSING, "its image was not built yet: run images/build");
        put_off(s, im, MISSING_AGAIN_MS);
        return;
    }
    int r = image_look(s, im->name, &im->disk_bytes, &e);
    if (r == 0)
        r = fingerprint(s, im, &print, &e);
    if (r == 0 && reuse_template(s, im, buf_str(&print))) {
        pool_wake(s->host->pool);
        return;
    }
    if (strcmp(im->key, im->name) == 0)     /* the languages' own */
        pool_drop(s->host->pool, im->name); /* adopted ones, of a former template */
    if (r == 0)
        r = make_template(s, im, buf_str(&print), &e);
    if (r < 0) {
        prepare_failed(s, im, &e);
        return;
    }
    set_state(s, im, LANGUAGE_READY, "");
    log_info("image", "image=%s ready after_ms=%lld", im->name, (long long)(clock_mono_ms() - t0));
    pool_wake(s->host->pool);
}

/* The image that has been due for longest; *ret_next_ms: when the next one will be, 0 for never.
 * Lock held. */
static struct image *next_due(struct image_set *s, int64_t *ret_next_ms)
{
    struct image *first = NULL;
    *ret_next_ms = 0;
    for (int i = 0; i < s->n_images; i++) {
        struct image *im = &s->images[i];
        if (im->taken || im->state == LANGUAGE_READY)
            continue;
        if (!first || im->due_ms < first->due_ms)
            first = im;
    }
    if (!first || first->due_ms <= clock_mono_ms())
        return first;
    *ret_next_ms = first->due_ms;
    return NULL;
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
        struct image *im = next_due(s, &next_ms);
        if (!im) {
            wait_until(s, next_ms);
            continue;
        }
        im->taken = true;
        pthread_mutex_unlock(&s->lock);
        prepare(s, im);
        pthread_mutex_lock(&s->lock);
        im->taken = false;
        /* Another thread may have gone to sleep for ever while this image was out of its sight. */
        pthread_cond_broadcast(&s->stop_asked);
    }
    return NULL;
}

/* --- The set --- */

/* `shape` NULL: the one of its languages. */
static struct image *find(struct image_set *s, const char *name, const struct machine_shape *shape)
{
    for (int i = 0; i < s->n_images; i++) {
        struct image *im = &s->images[i];
        if (strcmp(im->name, name) != 0)
            continue;
        if (shape ? memcmp(&im->shape, shape, sizeof(*shape)) == 0 : strcmp(im->key, name) == 0)
            return im;
    }
    return NULL;
}

static struct image *add(struct image_set *s, const char *name, const struct machine_shape *shape,
                         struct err *e)
{
    if (s->n_images == IMAGES_MAX) {
        err_set(e, ERR_FULL, "more than %d images and shapes", IMAGES_MAX);
        return NULL;
    }
    struct image *im = &s->images[s->n_images];
    *im = (struct image){.state = LANGUAGE_PREPARING, .detail = "waiting for its turn"};
    im->shape = shape ? *shape : (struct machine_shape){.vcpus = 1};
    path_printf(im->name, sizeof(im->name), "%s", name);
    if (shape)
        path_printf(im->key, sizeof(im->key), "%s@%dx%d", name, shape->vcpus, shape->memory_mib);
    else
        path_printf(im->key, sizeof(im->key), "%s", name);
    if (path_printf(im->rootfs, sizeof(im->rootfs), "%s/images/%s/rootfs.ext4",
                    s->host->config->data_dir, name) < 0) {
        err_set(e, ERR_INTERNAL, "data_dir is too long");
        return NULL;
    }
    s->n_images++;
    return im;
}

/* One image for each that a language names; it needs the memory of its hungriest language. */
static int add_images(struct image_set *s, struct err *e)
{
    const struct language *lang;
    for (size_t i = 0; (lang = host_language(i)); i++) {
        struct image *im = find(s, lang->image, NULL);
        if (!im)
            im = add(s, lang->image, NULL, e);
        if (!im)
            return -EINVAL;
        if (im->shape.memory_mib < lang->memory_mib)
            im->shape.memory_mib = lang->memory_mib;
    }
    return 0;
}

/* Shapes that were asked for in former times: "name@VCPUSxMIB.json" among the templates. */
static void add_known_shapes(struct image_set *s)
{
    char top[PATH_MAX / 4];
    path_printf(top, sizeof(top), "%s/templates", s->host->config->data_dir);
    auto_closedir DIR *d = opendir(top);
    for (struct dirent *de; d && (de = readdir(d));) {
        char name[64], end[8] = "";
        struct machine_shape shape;
        if (sscanf(de->d_name, "%63[a-z0-9-]@%dx%d%7s", name, &shape.vcpus, &shape.memory_mib,
                   end) == 4 &&
            strcmp(end, ".json") == 0 && !find(s, name, &shape))
            (void)add(s, name, &shape, NULL);
    }
}

static bool is_named(struct image_set *s, const char *entry)
{
    for (int i = 0; i < s->n_images; i++) {
        char path[PATH_MAX];
        manifest_path(s, &s->images[i], path, sizeof(path));
        if (strcmp(strrchr(path, '/') + 1, entry) == 0)
            return true;
        auto_json json_t *m = load_json(path);
        const char *id = json_string_value(json_object_get(m, "template"));
        if (id && strcmp(id, entry) == 0)
            return true;
    }
    return false;
}

/* Templates that nothing names: their capture or their replacement was cut short. A clone that
 * still runs from one keeps its files open. */
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
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->stop_asked, NULL);
    int r = add_images(s, e);
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
    pthread_cond_destroy(&s->stop_asked);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

enum language_state image_state(struct image_set *s, const char *name, char *ret_detail)
{
    AUTO_LOCK(&s->lock);
    const struct image *im = find(s, name, NULL);
    if (!im)
        return LANGUAGE_MISSING;
    if (ret_detail)
        memcpy(ret_detail, im->detail, sizeof(im->detail));
    return im->state;
}

void image_distrust(struct image_set *s, const char *name, const struct machine_shape *shape,
                    const char *why)
{
    char path[PATH_MAX];
    AUTO_LOCK(&s->lock);
    struct image *im = find(s, name, shape);
    if (!im || im->state != LANGUAGE_READY)
        return;
    manifest_path(s, im, path, sizeof(path));
    log_error("image", "image=%s template is made anew: %s", name, why);
    unlink(path);
    im->state = LANGUAGE_PREPARING;
    snprintf(im->detail, sizeof(im->detail), "its template was damaged");
    im->due_ms = clock_mono_ms();
    pthread_cond_broadcast(&s->stop_asked);
}

int image_ready(struct image_set *s, const char *name, const struct machine_shape *shape,
                const struct image **ret, char *ret_template_dir, struct err *e)
{
    AUTO_LOCK(&s->lock);
    const struct image *im = find(s, name, shape);
    if (!im && shape) {
        im = add(s, name, shape, e);
        if (!im)
            return -EAGAIN;
        pthread_cond_broadcast(&s->stop_asked);
    }
    if (!im || im->state == LANGUAGE_MISSING)
        return err_set(e, ERR_NOT_FOUND, "image %s was not built on this host: run images/build %s",
                       name, name);
    if (im->state == LANGUAGE_FAILED)
        return err_set(e, ERR_UNAVAILABLE, "image %s could not be prepared: %s", name, im->detail);
    if (im->state == LANGUAGE_PREPARING) {
        err_set(e, ERR_FULL, "image %s is being prepared (%s); try again in 5 s", name, im->detail);
        if (e)
            e->retry_after_s = 5;
        return -EINPROGRESS;
    }
    *ret = im;
    memcpy(ret_template_dir, im->template_dir, sizeof(im->template_dir));
    return 0;
}

const char *image_set_data_dir(const struct image_set *s)
{
    return s->host->config->data_dir;
}
