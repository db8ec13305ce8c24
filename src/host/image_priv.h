/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The inside of image.c (which templates there are) and image_template.c (how one is made). */

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/id.h"
#include "host/image.h"

#define IMAGES_MAX 256
#define PREPARE_THREADS_MAX 4

/* One image in one machine shape: what a template is made of. */
struct image {
    char key[IMAGE_KEY_SIZE];       /* of the image */
    char name[IMAGE_KEY_SIZE + 32]; /* of its template: the key, or "KEY@VCPUSxMIB" when no language
                                       asked for it */
    struct machine_shape shape;
    bool is_uploaded;
    bool is_asked; /* by a launch; else it was found on the disk, and is kept while it fits */

    /* guarded by the set's lock */
    enum language_state state;
    char detail[256];
    int64_t disk_bytes;              /* 0 until it was seen */
    char template_dir[PATH_MAX / 4]; /* "" until it is ready; constant while ready */
    bool taken;                      /* a thread is preparing it */
    int users;                       /* that hold its template */
    bool gone;                       /* in the list only for those two */
    int64_t used_ns;                 /* since 1970 */
    int64_t due_ms;                  /* when it is to be looked at (again) */
    int backoff_ms;
};

struct image_set {
    struct host *host;
    pthread_mutex_t lock; /* guards the state of the images and what follows */
    struct image *images[IMAGES_MAX];
    int n_images;
    pthread_cond_t stop_asked; /* or something is due */
    atomic_bool stopping;
    pthread_t threads[PREPARE_THREADS_MAX];
    int n_threads;
};

void image_set_state(struct image_set *s, struct image *im, enum language_state state,
                     const char *detail);

/* --- image_template.c; the caller has `taken` the image --- */

/* One line that changes whenever the image must be booted and captured anew. */
int template_fingerprint(struct image_set *s, const struct image *im, struct buf *ret,
                         struct err *e);
/* Where DATA/templates/TEMPLATE.json is; PATH_MAX bytes. */
void template_manifest(const struct image_set *s, const struct image *im, char *ret);
/* The directory (PATH_MAX / 4 bytes) of a former template that still fits; false: there is none. */
bool template_reuse(struct image_set *s, const struct image *im, const char *print, char *ret_dir);
/* Boots, warms, captures, publishes. */
int template_make(struct image_set *s, struct image *im, const char *print, char *ret_dir,
                  struct err *e);
/* Removes it, and its manifest if that names it; `dir` "": what the manifest names. */
void template_remove(struct image_set *s, const struct image *im, const char *dir);
/* The id that a manifest names; "" when it names none. */
void template_id_of(const char *manifest, char ret[ID_SIZE]);
