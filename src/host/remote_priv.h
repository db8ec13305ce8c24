/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The inside of remote*.c. */

#include <limits.h>
#include <pthread.h>

#include "host/remote.h"
#include "host/s3.h"

#define REMOTE_CLAIMS_MAX 16

struct remote {
    struct host *host;
    struct s3_config s3;
    char prefix[S3_TEXT_SIZE]; /* "holm/", or "" */
    pthread_mutex_t lock;
    pthread_cond_t ended;                                 /* a claim is gone */
    char claims[REMOTE_CLAIMS_MAX][2 * REMOTE_NAME_SIZE]; /* lock; what is under way; "": free */
};

/* One push or pull. */
struct remote_run {
    struct remote *remote;
    struct host *host;
    const struct remote_task *task;
    char dir[PATH_MAX / 4]; /* DATA/remote/push-image-NAME: its journal, and what was pulled */
    char path[PATH_MAX];    /* of the file that is pushed or pulled, and its descriptor */
    int fd;
    struct remote_manifest m; /* `lock` while lanes work */

    pthread_mutex_t lock;
    int64_t journal_ms;              /* lock; when it was written last */
    int64_t done_bytes, total_bytes; /* lock */
    int result;                      /* lock; of the first lane that failed */
    bool stop;                       /* lock */
    struct err err;                  /* lock */
};

bool remote_cancelled(const struct remote_run *run);

/* Appends PREFIX + "images/NAME/" + FILE; `file` may be "". */
void remote_key(const struct remote_run *run, const char *file, struct buf *ret);
/* Of a file's object. */
void remote_object_key(const struct remote_run *run, const struct remote_file *f, struct buf *ret);

/* Of this name in the store; -ENOENT and -EBADMSG (it makes no sense), with a sentence. */
int remote_get_manifest(struct remote_run *run, struct s3 *s3, struct remote_manifest *ret,
                        struct err *e);

/* Writes the journal, or, unless `must`, only when it was not written just now. Lock held. */
int remote_journal_write(struct remote_run *run, bool must, struct err *e);
/* False: there is none, or it cannot be read. */
bool remote_journal_read(struct remote_run *run, struct remote_manifest *ret);

/* What one lane does next: 1 when nothing is left for it, 0, or a failure, which ends the others.
 */
typedef int remote_step(struct remote_run *run, struct remote_file *f, struct s3 *s3, void *own,
                        struct err *e);

struct remote_lane_plan {
    remote_step *step;
    void *own; /* shared by the lanes */
};

/* Several lanes, each with a connection of its own, until nothing is left. */
int remote_lanes(struct remote_run *run, struct remote_file *f, const struct remote_lane_plan *plan,
                 struct err *e);
/* The lane has moved so much. Lock held. */
void remote_progress(struct remote_run *run, int64_t bytes);

/* Files of run->m from `dir` into the store, then the manifest. */
int remote_push_files(struct remote_run *run, const char *dir, struct err *e);
/* The store's manifest becomes run->m. */
int remote_pull_manifest(struct remote_run *run, struct err *e);
/* Files of the store's manifest into run->dir, verified; run->m is then that manifest. */
int remote_pull_files(struct remote_run *run, struct err *e);

/* --- remote_template.c --- */

int remote_push_template(struct remote_run *run, struct err *e);
int remote_pull_template(struct remote_run *run, struct err *e);
