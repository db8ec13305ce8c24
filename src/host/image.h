/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Templates of images.
 *
 * An image is DATA/images/KEY/ with rootfs.ext4: made by images/build, or uploaded (images.h), then
 * with a vmlinuz of its own. Before VMs start from it in a machine shape it is booted once in that
 * shape, its languages run their hello programs so that what they read is in the guest's page
 * cache, and it is captured: DATA/templates/ID/, named by DATA/templates/TEMPLATE.json together
 * with a fingerprint of all that the capture depends on. When the fingerprint has changed (another
 * QEMU, kernel, agent, image) it is done anew.
 *
 * Each language has a template of its own, "KEY.LANGUAGE", in which only its own hello program has
 * run: a language that does not work is no other's fault. When its runtime can wait, it is captured
 * while that waits for its program. Those of languages whose images are built by default, or that
 * [pool] names, are made when the daemon starts, the others when the first run asks for them
 * (pool.prepare_all: also at the start). One in which no runtime waits also serves launches in the
 * same shape.
 *
 * Of shapes that launches asked for, at most vms.templates_max templates are kept, which have at
 * most vms.templates_gib on the disk: the one that was not used for longest goes. What languages
 * need and the default machine always stay, and are prepared before the others. One that nobody
 * asks for any more before it is ready goes, too.
 *
 * Threads: any; the set's lock guards it. Files are removed without that lock, which every launch
 * takes: what goes stays in the list meanwhile, where only its removal finds it. A removal that is
 * cut short is finished by the next daemon: it removes what no manifest names. */

#include <limits.h>
#include <stdbool.h>

#include "base/err.h"
#include "engine/engine.h"
#include "host/host.h"
#include "host/images.h"

struct host;
struct image;
struct image_set;

/* Makes the set from the table of languages and removes templates that nothing names. */
int image_set_new(struct host *h, struct image_set **ret, struct err *e);
/* Starts preparing what needs it, in threads of its own. */
int image_set_start(struct image_set *s, struct err *e);
/* Ends the preparing, which may be in the middle of a boot: once the host is aborting that is soon.
 */
void image_set_stop(struct image_set *s);
void image_set_free(struct image_set *s); /* after it was stopped and the pool too; NULL is fine */

/* Where the template stands that a language's programs start from; ret_detail (256 bytes) may be
 * NULL. */
enum language_state image_state(struct image_set *s, const struct language *lang, char *ret_detail);
/* The best of all its shapes; LANGUAGE_MISSING: nobody has asked for it yet. */
enum language_state image_state_of_all(struct image_set *s, const char *key, char *ret_detail);

/* A template that is not removed while it is held. */
struct image_use {
    struct image *image; /* NULL: nothing is held */
    char key[IMAGE_KEY_SIZE];
    struct machine_shape shape;
    int64_t disk_bytes;
    char template_dir[PATH_MAX / 4];
};

struct image_ask {
    const char *key;
    const struct machine_shape *shape; /* of a launch's; a language's has its own */
    const char *account;               /* that launches; NULL: the host itself */
    const struct language *lang;       /* whose programs start from it; NULL: it is a launch's */
};

/* Whether a language's runtime waits in its template. */
bool image_has_runtime(const struct host *h, const struct language *lang);
/* What programs of a language start from. */
struct image_ask image_of_language(const struct language *lang);

/* ERR_NOT_FOUND, ERR_FULL (-EINPROGRESS: it is being prepared; -EAGAIN: too many are) or
 * ERR_UNAVAILABLE (it cannot be prepared; ERR_CONFLICT when it is an uploaded one, whose fault it
 * is) when there is none now. A shape that was never asked for is prepared from then on; for as
 * long as it is asked for again and again. */
int image_ready(struct image_set *s, const struct image_ask *ask, struct image_use *ret,
                struct err *e);
void image_release(struct image_set *s, struct image_use *u); /* held or not */

/* The engine refused the template as damaged or foreign: it is made anew. */
void image_distrust(struct image_set *s, const struct image_ask *ask, const char *why);
/* Its files have changed or are going: all its templates go. */
void image_forget(struct image_set *s, const char *key);

/* It was built (again): all its templates go, and those that somebody is likely to want are made
 * anew. Who holds one keeps it. */
void image_renew(struct image_set *s, const char *key);
/* The same for its languages, from now on in machines of this shape. ERR_NOT_FOUND: no language has
 * it; ERR_CONFLICT: it was not built, or is being prepared at this moment. */
int image_reshape(struct image_set *s, const struct image_ask *ask,
                  const struct machine_shape *shape, struct err *e);

/* The same for one who brings the template of ask->lang, or (NULL) the image's files: nobody
 * prepares what its languages need before it is given back, with that template or without. Returns
 * the language's; NULL: there is none. */
struct image *image_bring(struct image_set *s, const struct image_ask *ask);
void image_give_back(struct image_set *s, const struct image_ask *ask, bool has_template);

struct image_wait {
    int64_t deadline_ms;          /* CLOCK_MONOTONIC */
    bool (*cancelled)(void *arg); /* may be NULL */
    void *arg;
};
/* Asks for a language's template and waits until it can be used, or cannot be: that is told by who
 * takes it (image_ready). ERR_FULL: not in time, or more wait than limits.run_queue_max.
 * -ECANCELED: `cancelled` said so. */
int image_await(struct image_set *s, const struct language *lang, const struct image_wait *w,
                struct err *e);

/* The shape of ask->lang's machines, whatever state its template is in. */
void image_shape(struct image_set *s, const struct image_ask *ask, struct machine_shape *ret);

struct image_template {
    struct machine_shape shape;
    char dir[PATH_MAX / 4];
    int64_t bytes; /* on the disk */
};
/* That of ask->lang; false: there is none now. */
bool image_template(struct image_set *s, const struct image_ask *ask, struct image_template *ret);
