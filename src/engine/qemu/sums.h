/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Checksums of the files of templates: XXH3, 128 bits. A bad sector or a half-written file is what
 * they must notice, not an attacker: templates are root's own.
 *
 * What has been read once is remembered, by device, inode, size and time of change, so that a
 * launch reads nothing again. (The inode's ctime is not looked at: each new hard link changes it.)
 * Holes cost nothing, and a file has the same sum however much of its zeros are holes: only chunks
 * that are not zero count, with their places. Any thread. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/fd.h"

#define SUMS_TEXT_SIZE 33
#define SUMS_REMEMBERED_MAX 1024

struct sum {
    char hex[SUMS_TEXT_SIZE];
};

struct sums {
    pthread_mutex_t lock;
    struct sums_entry {
        struct file_stamp stamp;
        struct sum sum;
    } v[SUMS_REMEMBERED_MAX]; /* lock; the oldest is forgotten first */
    unsigned next;            /* lock */
};

void sums_init(struct sums *s);
void sums_done(struct sums *s);

/* Whether the file's sum is remembered. */
bool sums_know(struct sums *s, const char *path);

/* The file's sum, remembered or read. 0 or a negative errno. */
int sums_of(struct sums *s, const char *path, struct sum *ret);
