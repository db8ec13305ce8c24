/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The inside of builds.c (what is in line) and builds_files.c (what is kept of it on the disk). */

#include <pthread.h>
#include <stdatomic.h>

#include "host/builds.h"

struct build {
    struct builds *builds;
    struct build *next; /* newer ones come behind */
    struct build_info info;
    struct build_task task; /* its strings are those of info */
    int cancel_fd;          /* an eventfd; negative: it has ended */
    bool cancelled;
    int log_fd; /* while it runs; its thread's */
    int64_t log_bytes;
};

struct builds {
    struct host *host;
    pthread_mutex_t lock; /* guards the list and what is in it, but for log_fd and log_bytes */
    pthread_cond_t changed;
    struct build *first, **end;
    bool stopping;
    bool has_thread;
    pthread_t thread;
};

/* Of one build: ".json", ".log". PATH_MAX bytes. */
void builds_path(const struct builds *s, const char *id, const char *suffix, char *ret);

/* Writes down where it stands. That this fails is logged: nothing but the memory of it is lost. */
void builds_note(const struct builds *s, const struct build_info *info);
/* Calls `each` with every one that is remembered, in no order. */
int builds_read(struct builds *s, int (*each)(struct builds *s, const struct build_info *info),
                struct err *e);
void builds_forget(const struct builds *s, const char *id);

int builds_open_log(struct build *b, struct err *e);
void builds_close_log(struct build *b);
