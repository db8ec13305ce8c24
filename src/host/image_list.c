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
    return !im->lang;
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

bool image_is_prepared_ahead(const struct image_set *s, const struct image *im)
{
    const struct config *c = s->host->config;
    return im->lang &&
           (im->lang->is_default || c->pool_prepare_all || config_pool_is_named(c, im->lang->name));
}

bool image_waits_to_be_asked(const struct image_set *s, const struct image *im)
{
    return im->state == LANGUAGE_BUILT ||
           (im->state == LANGUAGE_FAILED && !image_is_default(s, im) &&
            !image_is_prepared_ahead(s, im));
}

static struct image *find_own(struct image_set *s, const struct image_ask *ask)
{
    const struct machine_shape *shape = ask->shape;
    for (int i = 0; i < s->n_images; i++) {
        struct image *im = s->images[i];
        if (im->gone || strcmp(im->key, ask->key) != 0 || im->lang != ask->lang)
            continue;
        if (im->lang || memcmp(&im->shape, shape, sizeof(*shape)) == 0)
            return im;
    }
    return NULL;
}

/* A language's does for launches of its shape when no runtime waits in it. */
static struct image *find_language(struct image_set *s, const struct image_ask *ask)
{
    for (int i = 0; i < s->n_images; i++) {
        struct image *im = s->images[i];
        if (!im->gone && im->lang && strcmp(im->key, ask->key) == 0 &&
            memcmp(&im->shape, ask->shape, sizeof(*ask->shape)) == 0 &&
            !image_has_runtime(s->host, im->lang))
            return im;
    }
    return NULL;
}

struct image *images_find(struct image_set *s, const struct image_ask *ask)
{
    struct image *im = find_own(s, ask);
    return im || ask->lang ? im : find_language(s, ask);
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
    im->state = LANGUAGE_PREPARING;
    strcpy(im->detail, "waiting for its turn");
    im->is_uploaded = image_rows_own(s->host->image_rows, ask->key);
    path_printf(im->key, sizeof(im->key), "%s", ask->key);
    path_printf(im->account, sizeof(im->account), "%s", ask->account ? ask->account : "");
    im->lang = ask->lang;
    if (im->lang) {
        im->shape = (struct machine_shape){.vcpus = 1, .memory_mib = im->lang->memory_mib};
        path_printf(im->name, sizeof(im->name), "%s.%s", ask->key, ask->lang->name);
    } else {
        im->shape = *ask->shape;
        path_printf(im->name, sizeof(im->name), "%s@%dx%d", ask->key, im->shape.vcpus,
                    im->shape.memory_mib);
    }
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
        const struct image_ask same = {im->key, &im->shape, NULL, im->lang};
        bool is_last = !find_own(s, &same);
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

/* What is only looked for on the disk comes before what is booted, and what everybody needs before
 * what one launch does. */
static int rank(const struct image_set *s, const struct image *im)
{
    if (is_for_launches(s, im))
        return 2;
    return image_is_default(s, im) || image_is_prepared_ahead(s, im) || im->is_asked;
}

/* Of the same rank what came first. */
static bool is_before(const struct image_set *s, const struct image *a, const struct image *b)
{
    int a_rank = rank(s, a), b_rank = rank(s, b);
    return a_rank != b_rank ? a_rank < b_rank : a->due_ms < b->due_ms;
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
