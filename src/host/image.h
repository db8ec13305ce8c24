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
#include "host/images.h"
#include "host/vms.h"

struct host;

/* One image in one machine shape: what a template is made of. */
struct image {
    char name[64];
    char key[96]; /* of its template: the name, or "name@VCPUSxMIB" when no language asked for it */
    char rootfs[PATH_MAX / 4];
    int64_t disk_bytes; /* 0 until it was seen */
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

/* Where an image stands, in the shape its languages need; ret_detail (256 bytes) may be NULL. */
enum language_state image_state(struct image_set *s, const char *name, char *ret_detail);

/* The image and its template's directory (PATH_MAX / 4 bytes); ERR_NOT_FOUND or ERR_FULL (being
 * prepared) when not ready. `shape` NULL: that of its languages. A shape that was never asked for
 * is prepared from then on. */
int image_ready(struct image_set *s, const char *name, const struct machine_shape *shape,
                const struct image **ret, char *ret_template_dir, struct err *e);

/* The engine refused the template as damaged or foreign: it is made anew. */
void image_distrust(struct image_set *s, const char *name, const struct machine_shape *shape,
                    const char *why);

/* --- what was built (image_files.c) --- */

/* Whether there is such an image, and how large its disk is. ERR_INVALID (the field "image"). */
int image_look(const struct image_set *s, const char *name, int64_t *ret_disk_bytes, struct err *e);
/* By index from 0, in order of names; false beyond the end. */
bool image_info(struct image_set *s, size_t index, struct image_info *ret);
const char *image_set_data_dir(const struct image_set *s);
