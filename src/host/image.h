/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Images and their templates.
 *
 * An image is DATA/images/NAME/ with rootfs.ext4 and image.json, made by images/build. Before it
 * can be used it is booted once, each of its languages runs its hello program so that what they
 * read is in the guest's page cache, and it is captured: DATA/templates/ID/, named by
 * DATA/templates/NAME.json together with a fingerprint of all that the capture depends on. When the
 * fingerprint has changed (another QEMU, kernel, agent, image) it is done anew.
 *
 * Threads: any; the state of an image is guarded by the set's lock, the rest is constant after
 * image_set_new. */

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/err.h"
#include "engine/engine.h"
#include "host/host.h"

struct host;

struct image {
    char name[64];
    char dir[PATH_MAX / 4];
    char rootfs[PATH_MAX / 4];
    struct machine_shape shape;

    /* guarded by the set's lock */
    enum language_state state;
    char detail[256];
    char template_dir[PATH_MAX / 4]; /* "" until it is ready; constant while ready */
    bool taken;                      /* a thread is preparing it */
    int64_t due_ms;                  /* when it is to be looked at (again) */
    int backoff_ms;
};

struct image_set;

/* Makes the set from the table of languages and removes templates that nothing names. */
int image_set_new(struct host *h, struct image_set **ret, struct err *e);
/* Starts preparing what needs it, in threads of its own. */
int image_set_start(struct image_set *s, struct err *e);
/* Ends the preparing, which may be in the middle of a boot: once the host is aborting that is soon.
 */
void image_set_stop(struct image_set *s);
void image_set_free(struct image_set *s); /* after it was stopped and the pool too; NULL is fine */

/* Where an image stands; ret_detail (256 bytes) may be NULL. */
enum language_state image_state(struct image_set *s, const char *name, char *ret_detail);

/* The image and its template's directory (PATH_MAX / 4 bytes); ERR_NOT_FOUND or ERR_FULL (being
 * prepared) when not ready. */
int image_ready(struct image_set *s, const char *name, const struct image **ret,
                char *ret_template_dir, struct err *e);

/* The engine refused the template as damaged or foreign: it is made anew. */
void image_distrust(struct image_set *s, const char *name, const char *why);
