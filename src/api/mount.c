/* SPDX-License-Identifier: Apache-2.0 */
#include "api/mount.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Length of a dialect's prefix without its last slash: of "/rds/", 4. */
static size_t base_len(const struct dialect *d)
{
    return strlen(d->prefix) - 1;
}

/* Whether one of the dialect's rows begins with the same piece as this path. */
static bool takes(const struct dialect *d, const char *path)
{
    size_t base = base_len(d), piece = 1 + strcspn(path + 1, "/");
    const struct route *r;
    for (size_t i = 0; (r = route_at(i)); i++) {
        if (r->dialect != d || strncmp(r->path, d->prefix, base) != 0)
            continue;
        const char *rest = r->path + base;
        if (strncmp(rest, path, piece) == 0 && (rest[piece] == '/' || !rest[piece]))
            return true;
    }
    return false;
}

static const struct dialect *aliased(const char *path)
{
    const struct dialect *d;
    for (size_t i = 0; (d = route_dialect_at(i)); i++) {
        size_t n = d->alias ? strlen(d->alias) : 0;
        if (n && strncmp(path, d->alias, n) == 0 && path[n] == '/')
            return d;
    }
    return NULL;
}

/* Whoever asks here speaks the mounted dialect, unless the path itself says another. */
static const struct dialect *words_for(const struct dialect *mount, const char *path)
{
    const struct dialect *d = route_dialect(path);
    bool is_its = d->prefix && strncmp(path, d->prefix, strlen(d->prefix)) == 0;
    return mount && !is_its ? mount : d;
}

int mount_resolve(const struct dialect *mount, const char *path, struct buf *space,
                  struct mount_target *ret)
{
    const struct dialect *alias = aliased(path);
    if (alias) {
        *ret = (struct mount_target){path + strlen(alias->alias), alias->alias, alias, alias};
        return 0;
    }
    if (!mount || path[0] != '/' || !takes(mount, path)) {
        *ret = (struct mount_target){path, "", NULL, words_for(mount, path)};
        return 0;
    }
    buf_clear(space);
    buf_append(space, mount->prefix, base_len(mount));
    buf_append_str(space, path);
    if (space->failed)
        return -ENOMEM;
    *ret = (struct mount_target){buf_str(space), "", NULL, mount};
    return 0;
}

void mount_path(const struct dialect *mount, const struct route *row, char ret[MOUNT_PATH_SIZE])
{
    const struct dialect *d = row->dialect;
    if (mount && d == mount && strncmp(row->path, mount->prefix, base_len(mount) + 1) == 0)
        snprintf(ret, MOUNT_PATH_SIZE, "%s", row->path + base_len(mount));
    else
        snprintf(ret, MOUNT_PATH_SIZE, "%s%s",
                 mount && d != mount && d->alias && takes(mount, row->path) ? d->alias : "",
                 row->path);
}
