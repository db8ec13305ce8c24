/* SPDX-License-Identifier: Apache-2.0 */

/* Which templates there are, which one is made next, and which ones go. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/host_priv.h"
#include "host/image_priv.h"
#include "host/image_rows.h"

bool image_is_on_demand(const struct image *im)
{
    return strcmp(im->name, im->key) != 0;
}

bool image_is_default(const struct image_set *s, const struct image *im)
{
    const struct config *c = s->host->config;
    return strcmp(im->key, c->vm_image) == 0 &&
           memcmp(&im->shape, &c->machine_types[0].shape, sizeof(im->shape)) == 0;
}

/* Those that may go. */
static bool is_for_launches(const struct image_set *s, const struct image *im)
{
    return image_is_on_demand(im) && !image_is_default(s, im);
}

bool image_waits_to_be_asked(const struct image_set *s, const struct image *im)
{
    return im->state == LANGUAGE_FAILED && (im->is_uploaded || is_for_launches(s, im));
}

struct image *images_find(struct image_set *s, const char *key, const struct machine_shape *shape)
{
    for (int i = 0; i < s->n_images; i++) {
        struct image *im = s->images[i];
        if (im->gone || strcmp(im->key, key) != 0)
            continue;
        if (shape ? memcmp(&im->shape, shape, sizeof(*shape)) == 0 : !image_is_on_demand(im))
            return im;
    }
    return NULL;
}

/* --- more --- */

struct image *images_add(struct image_set *s, const struct image_ask *ask, struct err *e)
{
    if (s->n_images == IMAGES_MAX) {
        err_set(e, ERR_FULL, "more than %d images and shapes", IMAGES_MAX);
        return NULL;
    }
    struct image *im = calloc(1, sizeof(*im));
    if (!im) {
        err_errno(e, -ENOMEM, "images");
        return NULL;
    }
    const struct machine_shape *shape = ask->shape;
    im->state = LANGUAGE_PREPARING;
    strcpy(im->detail, "waiting for its turn");
    im->shape = shape ? *shape : (struct machine_shape){.vcpus = 1};
    im->is_uploaded = image_rows_own(s->host->image_rows, ask->key);
    path_printf(im->key, sizeof(im->key), "%s", ask->key);
    path_printf(im->account, sizeof(im->account), "%s", ask->account ? ask->account : "");
    if (shape)
        path_printf(im->name, sizeof(im->name), "%s@%dx%d", ask->key, shape->vcpus,
                    shape->memory_mib);
    else
        path_printf(im->name, sizeof(im->name), "%s", ask->key);
    s->images[s->n_images++] = im;
    return im;
}

static int count_waiting(const struct image_set *s, const char *account)
{
    int n = 0;
    for (int i = 0; i < s->n_images; i++) {
        const struct image *im = s->images[i];
        n += !im->gone && im->state == LANGUAGE_PREPARING && is_for_launches(s, im) &&
             strcmp(im->account, account) == 0;
    }
    return n;
}

struct image *images_ask(struct image_set *s, const struct image_ask *ask, struct err *e)
{
    images_drop_unwanted(s);
    if (ask->account && count_waiting(s, ask->account) >= IMAGE_SHAPES_WAITING_MAX) {
        err_set(e, ERR_FULL,
                "the account waits for images in %d other machine types; try again in 5 s",
                IMAGE_SHAPES_WAITING_MAX);
        if (e)
            e->retry_after_s = 5;
        return NULL;
    }
    struct image *im = images_add(s, ask, e);
    if (!im)
        return NULL;
    im->used_ns = clock_real_ns();
    im->asked_ms = im->due_ms = clock_mono_ms();
    images_make_room(s);
    pthread_cond_broadcast(&s->stop_asked);
    return im;
}

/* --- fewer --- */

/* One alone has to be had, however large it is: it would be made again and again. */
static bool is_too_much(const struct image_set *s, int n, int n_made, int64_t bytes)
{
    const struct config *c = s->host->config;
    return n > c->templates_max ||
           (c->templates_gib && n_made > 1 && bytes > c->templates_gib * (int64_t)GIB);
}

void images_make_room(struct image_set *s)
{
    for (;;) {
        struct image *oldest = NULL;
        int n = 0, n_made = 0;
        int64_t bytes = 0;
        for (int i = 0; i < s->n_images; i++) {
            struct image *im = s->images[i];
            if (im->gone || !is_for_launches(s, im))
                continue;
            n++;
            n_made += im->template_bytes > 0;
            bytes += im->template_bytes;
            bool idle = !im->taken && !im->users && im->state != LANGUAGE_PREPARING;
            if (idle && (!oldest || im->used_ns < oldest->used_ns))
                oldest = im;
        }
        if (!oldest || !is_too_much(s, n, n_made, bytes))
            return;
        log_info("image", "template=%s removed: it was not used for longest", oldest->name);
        oldest->gone = true;
    }
}

/* A launch that waits asks again and again; one that was deleted, or refused, does not. */
void images_drop_unwanted(struct image_set *s)
{
    int64_t since_ms = clock_mono_ms() - s->patience_ms;
    for (int i = 0; i < s->n_images; i++) {
        struct image *im = s->images[i];
        if (im->gone || im->taken || !im->is_asked || im->state != LANGUAGE_PREPARING ||
            !is_for_launches(s, im) || im->asked_ms > since_ms)
            continue;
        log_info("image", "template=%s is not made: nobody waits for it any more", im->name);
        im->gone = true;
    }
}

/* Not a removal's and not a making's any more, nor in use. */
static struct image *next_gone(struct image_set *s)
{
    for (int i = 0; i < s->n_images; i++) {
        struct image *im = s->images[i];
        if (im->gone && !im->taken && !im->users && !im->leaving)
            return im;
    }
    return NULL;
}

static void take_out(struct image_set *s, struct image *im)
{
    for (int i = 0; i < s->n_images; i++) {
        if (s->images[i] == im)
            s->images[i] = s->images[--s->n_images];
    }
    free(im);
}

void images_sweep(struct image_set *s)
{
    for (struct image *im; (im = next_gone(s));) {
        /* Another one of the same name has its own; one that comes meanwhile has to wait. */
        bool is_last = !images_find(s, im->key, image_is_on_demand(im) ? &im->shape : NULL);
        im->leaving = true;
        pthread_mutex_unlock(&s->lock);
        template_remove(s, im, is_last);
        pthread_mutex_lock(&s->lock);
        take_out(s, im);
        pthread_cond_broadcast(&s->stop_asked);
    }
}

/* --- next --- */

/* A former one of its name is still being made or removed. */
static bool has_to_wait(const struct image_set *s, const struct image *im)
{
    for (int i = 0; i < s->n_images; i++) {
        const struct image *other = s->images[i];
        if (other->gone && (other->taken || other->leaving) && strcmp(other->name, im->name) == 0)
            return true;
    }
    return false;
}

/* What everybody needs comes first, then what came first. */
static bool is_before(const struct image_set *s, const struct image *a, const struct image *b)
{
    bool a_last = is_for_launches(s, a), b_last = is_for_launches(s, b);
    return a_last != b_last ? b_last : a->due_ms < b->due_ms;
}

struct image *images_next_due(struct image_set *s, int64_t *ret_next_ms)
{
    struct image *first = NULL;
    int64_t now_ms = clock_mono_ms();
    *ret_next_ms = 0;
    for (int i = 0; i < s->n_images; i++) {
        struct image *im = s->images[i];
        if (im->taken || im->gone || im->state == LANGUAGE_READY ||
            image_waits_to_be_asked(s, im) || has_to_wait(s, im))
            continue;
        if (im->due_ms > now_ms) {
            if (!*ret_next_ms || im->due_ms < *ret_next_ms)
                *ret_next_ms = im->due_ms;
        } else if (!first || is_before(s, im, first)) {
            first = im;
        }
    }
    return first;
}
