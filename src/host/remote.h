/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Images and templates in an object store (docs/s3.md): pushed there by one host, pulled by others.
 *
 *   PREFIX/images/NAME/manifest       what there is (remote_manifest.h)
 *   PREFIX/images/NAME/FILE.GENERATION.zst  the objects that it names
 *   PREFIX/templates/LANGUAGE/...           likewise
 *
 * A push writes new objects beside those that are there, and the manifest last: until then whoever
 * pulls gets the former one. A pull writes beside what is there, holds everything against the
 * manifest's sums, and puts it in place with renames. What was cut off - a connection, the daemon,
 * the host - goes on where it was: DATA/remote/ has a journal, and of a pull the files so far.
 *
 * A template is usable only where all that it depends on is the same: engine, its version, kernel,
 * agent, root file system. Its manifest says what that was; a pull refuses another one.
 *
 * Calls block until they are done, and may take as long as the network does. Any thread; of one
 * thing one at a time (ERR_CONFLICT). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "host/builds.h"
#include "host/remote_manifest.h"

struct host;
struct remote;

/* Who has asked for a push or a pull. Called from its threads, one at a time. */
struct remote_task {
    bool (*cancelled)(void *arg); /* may be NULL */
    /* Compressed bytes; `total` 0: not known. May be NULL. */
    void (*progress)(void *arg, int64_t done, int64_t total);
    void *arg;
    /* Of a pull of an image: its templates are pulled next, so none is made until the caller gives
     * it back (image_give_back). */
    bool keeps_image;
};

int remote_new(struct host *h, struct remote **ret, struct err *e);
void remote_free(struct remote *r); /* NULL is fine */

/* ERR_CONFLICT: the configuration names no object store; the sentence says what is missing. */
int host_remote_check(struct host *h, struct err *e);

/* An image that this host has, under its name, and only Holm's own; or a language's template. */
int host_remote_push(struct host *h, enum remote_kind kind, const char *name,
                     const struct remote_task *t, struct err *e);
/* An image is in place, and its templates are made anew, or gone, when this returns 0. A template
 * that this host has already is not pulled. */
int host_remote_pull(struct host *h, enum remote_kind kind, const char *name,
                     const struct remote_task *t, struct err *e);

/* --- in the background --- */

enum remote_what { REMOTE_WHAT_IMAGE, REMOTE_WHAT_TEMPLATE, REMOTE_WHAT_BOTH };

struct remote_order {
    bool pushes; /* else it pulls */
    enum remote_what what;
    const char *name; /* of the image */
};

/* In line with builds (builds.h). */
int host_remote_start(struct host *h, const struct remote_order *o, struct build_info *ret,
                      struct err *e);

struct remote_item {
    char name[REMOTE_NAME_SIZE];
    char place[S3_TEXT_SIZE * 2 + REMOTE_NAME_SIZE]; /* "s3://BUCKET/PREFIX/images/NAME" */
    int64_t bytes;                                   /* of all its objects */
    int64_t changed_ns;                              /* when it was pushed */
};

/* By name; the caller frees. */
int host_remote_list(struct host *h, enum remote_kind kind, struct remote_item **ret, size_t *ret_n,
                     struct err *e);

/* Whether a run whose image is missing looks into the store. */
bool host_remote_on_demand(struct host *h);
/* For a run whose image this host does not have: pulls it when s3.pull_on_demand says so and the
 * store has it, and returns when it is here or `cancelled` says so; several that want the same wait
 * together. -ENOENT without a sentence: nobody shall look there. */
int remote_want(struct host *h, const char *image, const struct remote_task *t, struct err *e);
