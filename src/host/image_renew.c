/* SPDX-License-Identifier: Apache-2.0 */

/* Images that were built anew, or whose languages shall have another machine: their templates are
 * made again. The shapes that somebody asked for are in DATA/shapes.json, by the template's name.
 */

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/host_priv.h"
#include "host/image_priv.h"
#include "wire/field.h"

#define AWAIT_LOOK_MS 100 /* between two questions whether it is still wanted */

/* --- shapes --- */

static void shapes_path(const struct image_set *s, char ret[PATH_MAX])
{
    path_printf(ret, PATH_MAX, "%s/shapes.json", s->host->config->data_dir);
}

/* An object; empty when there is no file, or none of ours. */
static json_t *shapes_load(const struct image_set *s)
{
    char path[PATH_MAX];
    auto_buf struct buf b = {0};
    shapes_path(s, path);
    int r = file_read(path, &b, MANIFEST_MAX_BYTES);
    json_t *o = r < 0 ? NULL : json_loadb(buf_str(&b), b.len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(o))
        return o;
    if (r != -ENOENT)
        log_warn("image", "%s cannot be read: languages have the machines they come with", path);
    json_decref(o);
    return json_object();
}

static bool shape_is_possible(const struct machine_shape *shape)
{
    return shape->vcpus >= 1 && shape->vcpus <= VM_VCPUS_MAX &&
           shape->memory_mib >= VM_MEMORY_MIN_MIB && shape->memory_mib <= VM_MEMORY_MAX_MIB;
}

/* What its languages need may have grown since. */
static bool read_shape(const json_t *o, const struct image *im, struct machine_shape *ret)
{
    *ret = (struct machine_shape){
        .vcpus = (int)json_integer_value(json_object_get(o, "vcpus")),
        .memory_mib = (int)json_integer_value(json_object_get(o, "memory_mib")),
    };
    return shape_is_possible(ret) && ret->memory_mib >= im->shape.memory_mib;
}

void image_shapes_apply(struct image_set *s)
{
    auto_json json_t *all = shapes_load(s);
    for (int i = 0; i < s->n_images; i++) {
        struct image *im = s->images[i];
        struct machine_shape shape, former;
        const json_t *o = json_object_get(all, im->name);
        if (!o || image_is_on_demand(im) || !read_shape(o, im, &shape))
            continue;
        if (read_shape(json_object_get(o, "former"), im, &former))
            im->former = former;
        im->reshaped_ms = clock_mono_ms();
        im->shape = shape;
    }
}

static json_t *shape_json(const struct machine_shape *shape)
{
    return json_pack("{s:i, s:i}", "vcpus", shape->vcpus, "memory_mib", shape->memory_mib);
}

/* `former`: what it had, until the shape is proven; NULL: it is. */
static int shapes_store(struct image_set *s, const char *name, const struct machine_shape *shape,
                        const struct machine_shape *former, struct err *e)
{
    char path[PATH_MAX];
    AUTO_LOCK(&s->manifests);
    auto_json json_t *all = shapes_load(s);
    json_t *o = shape_json(shape);
    shapes_path(s, path);
    if (former)
        json_object_set_new(o, "former", shape_json(former));
    json_object_set_new(all, name, o);
    auto_free char *text = json_dumps(all, JSON_INDENT(2) | JSON_SORT_KEYS);
    int r = text ? file_write_atomic(path, text, strlen(text), 0644) : -ENOMEM;
    return r < 0 ? err_errno(e, r, "write %s", path) : 0;
}

/* The former one, if it has one and shall have it again. */
static bool has_former(struct image_set *s, struct image *im, const struct err *why,
                       struct machine_shape *ret)
{
    AUTO_LOCK(&s->lock);
    bool may_wait =
        why && why->class == ERR_FULL && clock_mono_ms() - im->reshaped_ms < s->reshape_patience_ms;
    *ret = im->former;
    return !im->gone && im->former.vcpus && !may_wait;
}

bool image_shape_undo(struct image_set *s, struct image *im, const struct err *why)
{
    struct err e = ERR_INIT;
    struct machine_shape former;
    if (!has_former(s, im, why, &former))
        return false;
    log_error("image", "image=%s no machine with vcpus=%d memory_mib=%d, so it is as before: %s",
              im->name, im->shape.vcpus, im->shape.memory_mib, why->text);
    if (shapes_store(s, im->name, &former, NULL, &e) < 0)
        log_warn("image", "image=%s the next start tries it again: %s", im->name, e.text);
    char reason[128];
    image_without_paths(s, why->text, reason, sizeof(reason));
    AUTO_LOCK(&s->lock);
    snprintf(im->undone, sizeof(im->undone), "its former machine again, not %d CPUs and %d MiB: %s",
             im->shape.vcpus, im->shape.memory_mib, reason);
    im->shape = former;
    im->former = (struct machine_shape){0};
    im->state = LANGUAGE_PREPARING;
    snprintf(im->detail, sizeof(im->detail), "going back to its former machine");
    im->due_ms = clock_mono_ms();
    return true;
}

void image_shape_proven(struct image_set *s, struct image *im)
{
    struct err e = ERR_INIT;
    struct machine_shape former;
    if (!has_former(s, im, NULL, &former))
        return;
    if (shapes_store(s, im->name, &im->shape, NULL, &e) < 0)
        log_warn("image", "image=%s its machine is not noted as proven: %s", im->name, e.text);
    AUTO_LOCK(&s->lock);
    im->former = (struct machine_shape){0};
}

/* --- anew --- */

/* In the place of one that goes, and is removed when nobody holds it. Lock held. */
static struct image *make_next(struct image_set *s, struct image *im, const char *why)
{
    struct image *next = s->n_images < IMAGES_MAX ? malloc(sizeof(*next)) : NULL;
    if (!next) {
        log_error("image", "image=%s: no room for its next template", im->name);
        return NULL;
    }
    im->gone = true;
    *next = *im;
    next->gone = false;
    next->undone[0] = '\0';
    next->state = LANGUAGE_PREPARING;
    snprintf(next->detail, sizeof(next->detail), "%s", why);
    next->disk_bytes = next->template_bytes = 0;
    next->template_dir[0] = '\0';
    next->taken = next->is_brought = next->leaving = false;
    next->is_damaged = true; /* whatever its manifest names is the former one's */
    next->users = 0;
    next->backoff_ms = 0;
    next->asked_ms = next->due_ms = clock_mono_ms();
    s->images[s->n_images++] = next;
    return next;
}

/* All templates of the image go. Those of its languages that were asked for or are made without,
 * and the one that every launch gets, are made again at once, the former in another shape if one is
 * given; the others when somebody asks. */
struct renewal {
    const struct machine_shape *shape; /* of the one of `ask`, which alone is renewed; NULL: any */
    const char *why;
    bool take; /* those of its languages: nobody prepares them */
    bool one;  /* no other than that of the ask's language */
};

/* Returns the new one of `ask` if it was taken. */
static struct image *renew(struct image_set *s, const struct image_ask *ask,
                           const struct renewal *how)
{
    struct image *ret = NULL;
    AUTO_LOCK(&s->lock);
    for (int i = 0, n = s->n_images; i < n; i++) {
        struct image *im = s->images[i];
        bool is_it = im->lang && im->lang == ask->lang;
        if (im->gone || strcmp(im->key, ask->key) != 0 || (how->one && !is_it))
            continue;
        if (!im->lang && !image_is_default(s, im)) {
            im->gone = true;
            continue;
        }
        struct image *next = make_next(s, im, how->why);
        if (next && how->shape) {
            next->former = next->former.vcpus ? next->former : next->shape;
            next->reshaped_ms = clock_mono_ms();
            next->shape = *how->shape;
            next->is_asked = true;
        }
        if (next && im->lang && how->take) {
            next->taken = next->is_brought = true;
            ret = is_it ? next : ret;
        }
    }
    pthread_cond_broadcast(&s->stop_asked);
    return ret;
}

void image_renew(struct image_set *s, const char *key)
{
    log_info("image", "image=%s was made anew, and so are its templates", key);
    renew(s, &(struct image_ask){.key = key}, &(struct renewal){.why = "its image has changed"});
}

/* --- brought --- */

struct image *image_bring(struct image_set *s, const struct image_ask *ask)
{
    const struct renewal how = {
        .why = "its files are being put in place", .take = true, .one = ask->lang};
    return renew(s, ask, &how);
}

void image_give_back(struct image_set *s, const struct image_ask *ask, bool has_template)
{
    AUTO_LOCK(&s->lock);
    for (int i = 0; i < s->n_images; i++) {
        struct image *im = s->images[i];
        if (!im->is_brought || strcmp(im->key, ask->key) != 0 ||
            (ask->lang && im->lang != ask->lang))
            continue;
        im->taken = im->is_brought = false;
        im->is_damaged &= !has_template;
        im->due_ms = clock_mono_ms();
    }
    pthread_cond_broadcast(&s->stop_asked);
}

bool image_copy(struct image_set *s, const struct image_ask *ask, struct image *ret)
{
    AUTO_LOCK(&s->lock);
    const struct image *im = images_find(s, ask);
    if (im)
        *ret = *im;
    return im;
}

/* --- waiting --- */

/* 1: it is being prepared, or will be: who prepares it may be about to find that nobody has asked.
 * Lock held. */
static int look(struct image_set *s, const struct language *lang)
{
    const struct image_ask ask = image_of_language(lang);
    struct image *im = images_find(s, &ask);
    if (!im || im->state == LANGUAGE_READY || im->state == LANGUAGE_MISSING)
        return 0;
    image_want(s, im);
    return im->state == LANGUAGE_PREPARING || im->state == LANGUAGE_BUILT;
}

static int await(struct image_set *s, const struct language *lang, const struct image_wait *w,
                 struct err *e)
{
    const struct image_ask ask = image_of_language(lang);
    while (look(s, lang)) {
        if (s->stopping || (w->cancelled && w->cancelled(w->arg))) {
            err_set(e, ERR_UNAVAILABLE, "cancelled");
            return -ECANCELED;
        }
        if (clock_mono_ms() >= w->deadline_ms)
            return image_refuse(images_find(s, &ask), e);
        int64_t at = clock_real_ns() + AWAIT_LOOK_MS * INT64_C(1000000);
        struct timespec until = {.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000};
        pthread_cond_timedwait(&s->stop_asked, &s->lock, &until);
    }
    return 0;
}

int image_await(struct image_set *s, const struct language *lang, const struct image_wait *w,
                struct err *e)
{
    AUTO_LOCK(&s->lock);
    if (!look(s, lang))
        return 0;
    if (s->n_awaiting >= s->host->config->run_queue_max) {
        const struct image_ask ask = image_of_language(lang);
        return image_refuse(images_find(s, &ask), e);
    }
    s->n_awaiting++;
    int r = await(s, lang, w, e);
    s->n_awaiting--;
    return r;
}

/* --- another machine --- */

int image_reshape(struct image_set *s, const struct image_ask *ask,
                  const struct machine_shape *shape, struct err *e)
{
    const char *key = ask->key;
    char name[sizeof(((struct image *)NULL)->name)];
    struct machine_shape former;
    {
        AUTO_LOCK(&s->lock);
        const struct image *im = images_find(s, ask);
        if (!im)
            return err_set(e, ERR_NOT_FOUND, "image %s is no language's", key);
        if (im->state == LANGUAGE_MISSING)
            return err_set(e, ERR_CONFLICT, "image %s was not built yet: %s", key, im->detail);
        if (im->state == LANGUAGE_PREPARING)
            return err_set(e, ERR_CONFLICT, "the snapshot of image %s is being made already: %s",
                           key, im->detail);
        strcpy(name, im->name);
        former = im->former.vcpus ? im->former : im->shape;
    }
    int r = shapes_store(s, name, shape, &former, e);
    if (r < 0)
        return r;
    log_info("image", "image=%s its languages have vcpus=%d memory_mib=%d now", name, shape->vcpus,
             shape->memory_mib);
    renew(s, ask, &(struct renewal){.shape = shape, .why = "its machine was changed", .one = true});
    return 0;
}

void image_shape(struct image_set *s, const struct image_ask *ask, struct machine_shape *ret)
{
    struct image copy;
    if (image_copy(s, ask, &copy))
        *ret = copy.shape;
}

bool image_template(struct image_set *s, const struct image_ask *ask, struct image_template *ret)
{
    AUTO_LOCK(&s->lock);
    const struct image *im = images_find(s, ask);
    if (!im || im->state != LANGUAGE_READY)
        return false;
    ret->shape = im->shape;
    memcpy(ret->dir, im->template_dir, sizeof(ret->dir));
    ret->bytes = im->template_bytes;
    return true;
}
