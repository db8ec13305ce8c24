/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/qemu/layers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "engine/qemu/qcow2.h"

#define NUMBER_MAX 99999999

bool layers_have(const struct layers *l, int number)
{
    for (int i = 0; i < l->n; i++)
        if (l->number[i] == number)
            return true;
    return false;
}

void layers_name(int number, char ret[LAYERS_NAME_SIZE])
{
    snprintf(ret, LAYERS_NAME_SIZE, number ? "layer-%d.qcow2" : "layer-%d.raw", number);
}

bool layers_parse_name(const char *name, int *ret)
{
    char again[LAYERS_NAME_SIZE];
    int number = -1;
    if (sscanf(name, "layer-%8d.", &number) != 1 || number < 0)
        return false;
    layers_name(number, again);
    if (strcmp(name, again) != 0)
        return false;
    *ret = number;
    return true;
}

int layers_path(const char *dir, int number, char ret[PATH_MAX], struct err *e)
{
    char name[LAYERS_NAME_SIZE];
    layers_name(number, name);
    int r = path_printf(ret, PATH_MAX, "%s/%s", dir, name);
    return r < 0 ? err_errno(e, r, "layer %d in %s", number, dir) : 0;
}

int layers_disk_bytes(const char *dir, int number, uint64_t *ret, struct err *e)
{
    char path[PATH_MAX];
    struct stat st;
    struct qcow2_info info;
    int r = layers_path(dir, number, path, e);
    if (r < 0)
        return r;
    if (number == 0) {
        if (stat(path, &st) < 0)
            return err_errno(e, -errno, "%s", path);
        *ret = (uint64_t)st.st_size;
        return 0;
    }
    r = qcow2_read(path, &info, e);
    if (r == 0)
        *ret = info.disk_bytes;
    return r;
}

int layers_read(const char *dir, int top, struct layers *ret, struct err *e)
{
    int down[ENGINE_LAYERS_MAX + 1], n = 0;
    char path[PATH_MAX];
    for (int at = top; at > 0;) {
        struct qcow2_info info;
        int below;
        if (n == ENGINE_LAYERS_MAX)
            return err_set(e, ERR_CONFLICT, "the disk has more than %d layers", ENGINE_LAYERS_MAX);
        int r = layers_path(dir, at, path, e);
        if (r == 0)
            r = qcow2_read(path, &info, e);
        if (r < 0)
            return r;
        if (!layers_parse_name(info.backing, &below) || below >= at)
            return err_set(e, ERR_CONFLICT, "layer %d of the disk stands on no layer below", at);
        down[n++] = at;
        at = below;
    }
    int r = layers_path(dir, 0, path, e);
    if (r < 0)
        return r;
    if (access(path, F_OK) < 0)
        return err_set(e, ERR_CONFLICT, "the disk's image is not there: %s", strerror(errno));
    *ret = (struct layers){.n = n + 1};
    for (int i = 1; i <= n; i++)
        ret->number[i] = down[n - i];
    return 0;
}

/* Calls `visit` with the number of each layer in the directory. */
static void each_layer(const char *dir, void (*visit)(void *, const char *, int), void *data)
{
    auto_closedir DIR *d = opendir(dir);
    for (struct dirent *entry; d && (entry = readdir(d));) {
        int number;
        if (layers_parse_name(entry->d_name, &number))
            visit(data, dir, number);
    }
}

struct search {
    int below; /* only numbers smaller than this one */
    int found;
};

static void find_highest(void *data, const char *dir, int number)
{
    struct search *s = data;
    if (number < s->below && number > s->found)
        s->found = number;
}

int layers_find(const char *dir, struct layers *ret, struct err *e)
{
    int r = err_set(e, ERR_NOT_FOUND, "there is no disk in %s", dir);
    /* After a crash of the host the newest may be empty: it was made but never used. */
    for (struct search s = {.below = NUMBER_MAX, .found = -1};; s.below = s.found, s.found = -1) {
        each_layer(dir, find_highest, &s);
        if (s.found <= 0)
            return r;
        r = layers_read(dir, s.found, ret, e);
        if (r == 0)
            return 0;
    }
}

static void remove_unless_kept(void *data, const char *dir, int number)
{
    char path[PATH_MAX];
    if (!layers_have(data, number) && layers_path(dir, number, path, NULL) == 0)
        unlink(path);
}

void layers_tidy(const char *dir, const struct layers *chain)
{
    struct layers keep = *chain;
    each_layer(dir, remove_unless_kept, &keep);
}

static void add_own_bytes(void *data, const char *dir, int number)
{
    char path[PATH_MAX];
    struct stat st;
    if (layers_path(dir, number, path, NULL) == 0 && lstat(path, &st) == 0 && st.st_nlink == 1)
        *(uint64_t *)data += (uint64_t)st.st_blocks * 512;
}

uint64_t layers_own_bytes(const char *dir)
{
    uint64_t bytes = 0;
    each_layer(dir, add_own_bytes, &bytes);
    return bytes;
}

int layers_link_file(const char *from, const char *to, struct err *e)
{
    /* AT_SYMLINK_FOLLOW: a link to what a symbolic link means, not to the symbolic link. */
    if (linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW) == 0)
        return 0;
    if (errno != EXDEV && errno != EMLINK && errno != EPERM)
        return err_errno(e, -errno, "link %s to %s", from, to);
    char real[PATH_MAX];
    if (!realpath(from, real) || symlink(real, to) < 0)
        return err_errno(e, -errno, "link %s to %s", from, to);
    return 0;
}

int layers_link(const char *from_dir, const char *to_dir, const struct layers *chain, struct err *e)
{
    for (int i = 0; i < chain->n; i++) {
        char from[PATH_MAX], to[PATH_MAX];
        int r = layers_path(from_dir, chain->number[i], from, e);
        if (r == 0)
            r = layers_path(to_dir, chain->number[i], to, e);
        if (r == 0)
            r = layers_link_file(from, to, e);
        if (r < 0)
            return r;
    }
    return 0;
}

int layers_push(const char *dir, struct layers *chain, uint64_t disk_bytes, struct err *e)
{
    char path[PATH_MAX], part[PATH_MAX], backing[LAYERS_NAME_SIZE];
    int top = layers_top(chain);
    uint64_t now_bytes;
    if (chain->n > ENGINE_LAYERS_MAX || top >= NUMBER_MAX - 1)
        return err_set(e, ERR_CONFLICT, "the disk has %d layers already, the most there may be",
                       chain->n - 1);
    int r = layers_disk_bytes(dir, top, &now_bytes, e);
    if (r == 0)
        r = layers_path(dir, top + 1, path, e);
    if (r < 0)
        return r;
    if (disk_bytes && disk_bytes < now_bytes)
        return err_set(e, ERR_INVALID, "the disk has %llu bytes and cannot shrink to %llu",
                       (unsigned long long)now_bytes, (unsigned long long)disk_bytes);
    if (path_printf(part, sizeof(part), "%s.part", path) < 0)
        return err_errno(e, -ENAMETOOLONG, "%s", path);
    if (unlink(part) < 0 && errno != ENOENT)
        return err_errno(e, -errno, "remove %s", part);
    layers_name(top, backing);
    r = qcow2_create(part, disk_bytes ? disk_bytes : now_bytes, backing, top ? "qcow2" : "raw", e);
    if (r < 0)
        return r;
    /* Renamed when it is whole, since whoever looks for a disk takes the highest number. */
    if (rename(part, path) < 0) {
        r = err_errno(e, -errno, "rename to %s", path);
        unlink(part);
        return r;
    }
    chain->number[chain->n++] = top + 1;
    return 0;
}
