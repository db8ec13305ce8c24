/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Long work on images, in the background: builds by recipe, images of containers, what is pushed
 * and pulled. One thread does one after the other, since each wants the host's CPUs, disk and
 * network for itself.
 *
 * Each has DATA/logs/builds/ID.json, written whenever its state changes, and ID.log beside it, of
 * which the last BUILD_LOG_KEEP_BYTES or twice that are kept. A daemon that was killed leaves those
 * that had not ended; the next one finds them, says that they failed, and removes what was half
 * made. Of those that ended the last BUILDS_KEPT are remembered.
 *
 * Threads: any; one leaf lock inside. */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"
#include "host/images.h"

struct host;
struct builds;
struct build;

enum build_state { BUILD_WAITING, BUILD_RUNNING, BUILD_DONE, BUILD_FAILED, BUILD_CANCELLED };

struct build_info {
    char id[ID_SIZE];
    char kind[16]; /* "image", "oci", "dockerfile"; others of what builds_start was given */
    char name[IMAGE_KEY_SIZE];
    bool leaves_image; /* the image of that name is not what it makes */
    enum build_state state;
    char step[128];      /* what is being done, or was when it failed */
    int64_t done, total; /* of the step, in units of its own; total 0: not known */
    char detail[384];    /* why it failed */
    int64_t created_ns, started_ns, ended_ns; /* since 1970; 0: not yet */
};

/* "waiting", "running", "done", "failed", "cancelled". */
const char *build_state_name(enum build_state state);

/* --- for the host's own --- */

int builds_new(struct host *h, struct builds **ret, struct err *e);
int builds_start_thread(struct builds *s, struct err *e);
/* Cancels the one that runs and waits for its end. */
void builds_stop(struct builds *s);
void builds_free(struct builds *s); /* NULL is fine */

/* Work of a kind. `run` returns 0 or an error, which is told as the reason; it should look at
 * build_is_cancelled() at least every second, or wait on build_cancel_fd(). `free` is called once,
 * also when builds_start fails; it may be NULL. */
struct build_task {
    const char *kind, *name;
    bool leaves_image; /* as in build_info */
    int (*run)(struct build *b, void *arg, struct err *e);
    void (*free)(void *arg);
    void *arg;
};

/* Puts it in line. ERR_CONFLICT: something of that name is in line or under way already; ERR_FULL:
 * BUILDS_WAITING_MAX wait. */
int builds_start(struct host *h, const struct build_task *task, struct build_info *ret,
                 struct err *e);

/* --- for a task's `run`; its thread only --- */

struct host *build_host(struct build *b);
const char *build_id(const struct build *b);
bool build_is_cancelled(struct build *b);
/* Readable from when it is cancelled on. */
int build_cancel_fd(struct build *b);
/* What is done now; a line of the log as well. */
void build_step(struct build *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void build_progress(struct build *b, int64_t done, int64_t total);
/* Appends to the log, as it is. */
void build_log(struct build *b, const void *data, size_t len);
void build_logf(struct build *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What is half made, in DATA/tmp: what has such a name is removed when the daemon starts. */
#define BUILD_WORK_PREFIX "holmd-"

/* A program that a task runs to its end. Its output goes to the log. */
struct build_program {
    const char *const *argv; /* argv[0] is searched in PATH; ends with NULL */
    /* Called with each line that it writes to descriptor 3; may be NULL. */
    void (*line)(void *arg, char *line);
    void *arg;
};

/* Not zero, a signal: an error that says so. Cancelled, it is asked to end, and killed when it does
 * not; it and all that it started, which is also what becomes of them when the daemon is killed. */
int build_run(struct build *b, const struct build_program *p, struct err *e);

/* --- what the dialects ask --- */

/* An image by its recipe, as images/build makes it. */
struct image_order {
    const char *name;      /* of a recipe; else ERR_NOT_FOUND */
    int size_mib;          /* of its file system; 0: the recipe's */
    bool force;            /* also when it is up to date */
    const char *toolchain; /* of recipes that need one: an absolute path or a URL; NULL: none */
    const char *sha256;    /* of it, 64 hexadecimal digits */
};
int host_build_image(struct host *h, const struct image_order *o, struct build_info *ret,
                     struct err *e);

/* An image of something that is uploaded: an archive of a container's image (an OCI layout or what
 * docker save writes; "oci"), or a directory with a Dockerfile as a tar ("dockerfile"). It becomes
 * one of Holm's own, with Holm's kernel. */
enum upload_kind { UPLOAD_OCI, UPLOAD_DOCKERFILE };

struct upload_order {
    enum upload_kind kind;
    const char *name; /* [a-z0-9-]; not a recipe's, nor an uploaded image's */
    int size_mib;     /* of its file system; 0: as large as what is in it, and some room */
    int64_t length;   /* of what comes; -1: not known */
};

struct build_upload;
int host_build_upload(struct host *h, const struct upload_order *o, struct build_upload **ret,
                      struct err *e);
/* ERR_TOO_LARGE: more than BUILD_SOURCE_MAX_BYTES; ERR_FULL: no room. */
int build_upload_write(struct build_upload *u, const void *data, size_t len, struct err *e);
/* It is complete: puts the build in line. */
int build_upload_finish(struct build_upload *u, struct build_info *ret, struct err *e);
void build_upload_free(struct build_upload *u); /* NULL is fine */

/* Newest first; the caller frees. */
int host_build_list(struct host *h, struct build_info **ret, size_t *ret_n, struct err *e);
int host_build_get(struct host *h, const char *id, struct build_info *ret, struct err *e);
/* The last one that makes this image (so no push), whatever has become of it. */
bool host_build_of(struct host *h, const char *name, struct build_info *ret);
/* Appends its log. */
int host_build_log(struct host *h, const char *id, struct buf *ret, struct err *e);
/* ERR_CONFLICT: it has ended. It may go on for a moment. */
int host_build_cancel(struct host *h, const char *id, struct build_info *ret, struct err *e);
