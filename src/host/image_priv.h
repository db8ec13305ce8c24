/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The inside of image.c (when templates are made), image_list.c (which ones there are) and
 * image_template.c (how one is made). */

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/id.h"
#include "base/limits.h"
#include "host/config.h"
#include "host/image.h"

/* Of all languages and of the most shapes (vms.templates_max), twice: while one is made anew, the
 * former one may still be held. */
#define IMAGES_MAX (2 * (LANGUAGES_MAX + CONFIG_TEMPLATES_MAX + 1))
#define PREPARE_THREADS_MAX 4

/* One image in one machine shape, for a language's programs or for launches: what a template is
 * made of. */
struct image {
    char key[IMAGE_KEY_SIZE];       /* of the image */
    char name[IMAGE_KEY_SIZE + 32]; /* of its template: "KEY.LANGUAGE", or "KEY@VCPUSxMIB" when a
                                       launch asked for it */
    struct machine_shape shape;
    /* Until there has been a template of a shape that somebody asked for: to go back to when there
     * cannot be one; 0 vCPUs: none. The set's lock. */
    struct machine_shape former;
    int64_t reshaped_ms;         /* when it was asked for, or this daemon has begun */
    const struct language *lang; /* whose programs start from it; NULL: launches do */
    char account[ID_SIZE];       /* whose launch was the first to ask for it; "": none */
    bool is_uploaded;
    bool is_asked; /* by a launch or a run; else it is made only if it is worth it */

    /* guarded by the set's lock */
    enum language_state state;
    char detail[256];
    char undone[256];       /* why it has its former machine again; "": it was not given another */
    int64_t disk_bytes;     /* 0 until it was seen */
    int64_t template_bytes; /* on the disk; 0 until it is ready */
    char template_dir[PATH_MAX / 4]; /* "" until it is ready; constant while ready */
    bool taken;                      /* a thread is preparing it */
    bool is_brought;                 /* it is taken for one who brings its files */
    int users;                       /* that hold its template */
    bool gone;                       /* in the list only for those two, and then for its removal */
    bool leaving;                    /* a thread is removing it */
    bool is_damaged;                 /* what its manifest names must not be used */
    int64_t used_ns;                 /* since 1970; or asked for */
    int64_t asked_ms;                /* when somebody asked last */
    int64_t due_ms;                  /* when it is to be looked at (again) */
    int backoff_ms;
};

struct image_set {
    struct host *host;
    pthread_mutex_t lock; /* guards the state of the images and what follows */
    struct image *images[IMAGES_MAX];
    int n_images;
    int patience_ms;           /* with what nobody asks for any more */
    int reshape_patience_ms;   /* for room, before a language gets its former machine back */
    pthread_cond_t stop_asked; /* or something is due */
    atomic_bool stopping;
    pthread_t threads[PREPARE_THREADS_MAX];
    int n_threads;
    int n_awaiting;            /* runs that wait for a template */
    pthread_mutex_t manifests; /* while one is replaced or removed; taken without the other */
};

/* --- image.c --- */

/* What anybody may read of an error: of the host's paths the last part. */
void image_without_paths(const struct image_set *s, const char *text, char *ret, size_t size);

void image_set_state(struct image_set *s, struct image *im, enum language_state state,
                     const char *detail);

/* A language's as it is at this moment; false: there is none. */
bool image_copy(struct image_set *s, const struct image_ask *ask, struct image *ret);

/* The sentence and the number for one that is not ready. Lock held. */
int image_refuse(const struct image *im, struct err *e);
/* Somebody wants it: it is prepared if it was not yet, or failed some time ago. Lock held. */
void image_want(struct image_set *s, struct image *im);

/* --- image_list.c; lock held --- */

/* Made for launches. */
bool image_is_on_demand(const struct image *im);
/* What a launch that names nothing gets. */
bool image_is_default(const struct image_set *s, const struct image *im);
/* A language's, of those that are made without being asked for. */
bool image_is_prepared_ahead(const struct image_set *s, const struct image *im);
/* It was not made yet, or has failed, and is tried (again) only when somebody wants it. */
bool image_waits_to_be_asked(const struct image_set *s, const struct image *im);

/* Of the ask its account does not count. */
struct image *images_find(struct image_set *s, const struct image_ask *ask);
struct image *images_add(struct image_set *s, const struct image_ask *ask, struct err *e);
/* For a launch: within bounds, and in the place of what was not used for longest. NULL: ERR_FULL.
 */
struct image *images_ask(struct image_set *s, const struct image_ask *ask, struct err *e);
/* Those go, of those that launches asked for, that are too many, or that nobody waits for. */
void images_make_room(struct image_set *s);
void images_drop_unwanted(struct image_set *s);
/* Removes what is gone and neither taken nor held; lets go of the lock for that. */
void images_sweep(struct image_set *s);
/* What is to be looked at first; NULL: *ret_next_ms is when there will be something, 0 for never.
 */
struct image *images_next_due(struct image_set *s, int64_t *ret_next_ms);

/* --- image_renew.c --- */

/* Languages' images get the shapes that somebody asked for; before anything is prepared. */
void image_shapes_apply(struct image_set *s);
/* After a failure: it has its former machine again and is due; false: it has no other, or room may
 * come yet. */
bool image_shape_undo(struct image_set *s, struct image *im, const struct err *why);
/* There is a template of its shape. */
void image_shape_proven(struct image_set *s, struct image *im);

/* --- image_template.c; the caller has `taken` the image --- */

/* One line that changes whenever the image must be booted and captured anew. */
int template_fingerprint(struct image_set *s, const struct image *im, struct buf *ret,
                         struct err *e);
/* Where DATA/templates/TEMPLATE.json is; PATH_MAX bytes. */
void template_manifest(const struct image_set *s, const struct image *im, char *ret);
/* The directory (PATH_MAX / 4 bytes) of a former template that still fits; false: there is none. */
bool template_reuse(struct image_set *s, const struct image *im, const char *print, char *ret_dir);
/* From now on its manifest names DATA/templates/ID. */
int template_publish(struct image_set *s, const struct image *im, const char *id, const char *print,
                     struct err *e);
/* Boots, warms, captures, publishes. */
int template_make(struct image_set *s, struct image *im, const char *print, char *ret_dir,
                  struct err *e);
/* Removes its directory, and its manifest if that names it. One that was never ready has none: with
 * `is_last`, when nothing else has its name, what the manifest names goes. */
void template_remove(struct image_set *s, const struct image *im, bool is_last);
/* The id that a manifest names; "" when it names none. */
void template_id_of(const char *manifest, char ret[ID_SIZE]);
