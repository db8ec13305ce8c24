/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/qemu/layers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "engine/qemu/qcow2.h"

static int layer_name(int depth, char *ret, size_t size)
{
    return path_printf(ret, size, depth ? "layer-%d.qcow2" : "layer-%d.raw", depth);
}

int layers_path(const char *dir, int depth, char ret[PATH_MAX], struct err *e)
{
    char name[32];
    int r = layer_name(depth, name, sizeof(name));
    if (r == 0)
        r = path_printf(ret, PATH_MAX, "%s/%s", dir, name);
    return r < 0 ? err_errno(e, r, "layer %d in %s", depth, dir) : 0;
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

int layers_link(const char *from_dir, const char *to_dir, int top, struct err *e)
{
    for (int i = 0; i <= top; i++) {
        char from[PATH_MAX], to[PATH_MAX];
        int r = layers_path(from_dir, i, from, e);
        if (r == 0)
            r = layers_path(to_dir, i, to, e);
        if (r == 0)
            r = layers_link_file(from, to, e);
        if (r < 0)
            return r;
    }
    return 0;
}

int layers_make(const char *dir, int depth, struct err *e)
{
    if (depth > ENGINE_LAYERS_MAX)
        return err_set(e, ERR_CONFLICT, "the disk has %d layers already, the most there may be",
                       ENGINE_LAYERS_MAX);
    char base[PATH_MAX], path[PATH_MAX], backing[32];
    int r = layers_path(dir, 0, base, e);
    if (r == 0)
        r = layers_path(dir, depth, path, e);
    if (r < 0)
        return r;
    struct stat st;
    if (stat(base, &st) < 0)
        return err_errno(e, -errno, "%s", base);
    if (unlink(path) < 0 && errno != ENOENT)
        return err_errno(e, -errno, "remove %s", path);
    r = layer_name(depth - 1, backing, sizeof(backing));
    if (r < 0)
        return err_errno(e, r, "layer %d", depth - 1);
    return qcow2_create(path, (uint64_t)st.st_size, backing, depth > 1 ? "qcow2" : "raw", e);
}

int layers_top(const char *dir)
{
    int top = -1;
    for (int i = 0; i <= ENGINE_LAYERS_MAX; i++) {
        char path[PATH_MAX];
        if (layers_path(dir, i, path, NULL) < 0 || access(path, F_OK) < 0)
            break;
        top = i;
    }
    return top;
}
