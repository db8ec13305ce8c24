/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/qemu/sums.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/cleanup.h"
#include "base/limits.h"

#define CHUNK_BYTES (64 * KIB)

void sums_init(struct sums *s)
{
    *s = (struct sums){0};
    pthread_mutex_init(&s->lock, NULL);
}

void sums_done(struct sums *s)
{
    pthread_mutex_destroy(&s->lock);
}

static bool recall(struct sums *s, const struct stat *st, struct sum *ret)
{
    const struct file_stamp stamp = file_stamp_of(st);
    AUTO_LOCK(&s->lock);
    for (size_t i = 0; i < SUMS_REMEMBERED_MAX; i++) {
        if (*s->v[i].sum.hex && file_stamp_same(&s->v[i].stamp, &stamp)) {
            *ret = s->v[i].sum;
            return true;
        }
    }
    return false;
}

static void remember(struct sums *s, const struct stat *st, const struct sum *sum)
{
    AUTO_LOCK(&s->lock);
    s->v[s->next++ % SUMS_REMEMBERED_MAX] =
        (struct sums_entry){.stamp = file_stamp_of(st), .sum = *sum};
}

bool sums_know(struct sums *s, const char *path)
{
    struct stat st;
    struct sum sum;
    return stat(path, &st) == 0 && recall(s, &st, &sum);
}

static bool is_zero(const char *data, size_t len)
{
    return len < 8 ||
           (memcmp(data, "\0\0\0\0\0\0\0", 8) == 0 && memcmp(data, data + 8, len - 8) == 0);
}

/* Reads what is at `at`, as much as there is up to a chunk; less only at the end of the file. */
static ssize_t read_chunk(int fd, char *room, off_t at)
{
    size_t len = 0;
    while (len < CHUNK_BYTES) {
        ssize_t n = pread(fd, room + len, CHUNK_BYTES - len, at + (off_t)len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

static int add_chunks(XXH3_state_t *state, int fd, off_t size, char *room)
{
    for (off_t at = 0; at < size;) {
        off_t data = lseek(fd, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            return 0;
        at = data < 0 ? at : data - data % (off_t)CHUNK_BYTES;
        ssize_t n = read_chunk(fd, room, at);
        if (n <= 0)
            return n < 0 ? (int)n : -ENODATA;
        uint64_t place = (uint64_t)at;
        /* The last chunk's zeros are told by the size, which is added at the end. */
        memset(room + n, 0, CHUNK_BYTES - (size_t)n);
        if (!is_zero(room, CHUNK_BYTES)) {
            XXH3_128bits_update(state, &place, sizeof(place));
            XXH3_128bits_update(state, room, CHUNK_BYTES);
        }
        at += (off_t)CHUNK_BYTES;
    }
    return 0;
}

static int read_sum(int fd, const struct stat *st, struct sum *ret)
{
    auto_free char *room = malloc(CHUNK_BYTES);
    XXH3_state_t *state = XXH3_createState();
    uint64_t size = (uint64_t)st->st_size;
    int r = room && state ? 0 : -ENOMEM;
    if (r == 0) {
        XXH3_128bits_reset(state);
        r = add_chunks(state, fd, st->st_size, room);
    }
    if (r == 0) {
        XXH3_128bits_update(state, &size, sizeof(size));
        XXH128_hash_t hash = XXH3_128bits_digest(state);
        snprintf(ret->hex, sizeof(ret->hex), "%016llx%016llx", (unsigned long long)hash.high64,
                 (unsigned long long)hash.low64);
    }
    XXH3_freeState(state);
    return r;
}

int sums_of(struct sums *s, const char *path, struct sum *ret)
{
    struct stat before, after;
    struct sum sum;
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &before) < 0)
        return -errno;
    if (!recall(s, &before, &sum)) {
        int r = read_sum(fd, &before, &sum);
        if (r < 0)
            return r;
        if (fstat(fd, &after) == 0 && before.st_size == after.st_size &&
            memcmp(&before.st_mtim, &after.st_mtim, sizeof(before.st_mtim)) == 0)
            remember(s, &before, &sum);
    }
    *ret = sum;
    return 0;
}
