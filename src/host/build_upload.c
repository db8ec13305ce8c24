/* SPDX-License-Identifier: Apache-2.0 */

/* What images of containers are made of comes as an upload: a file in DATA/tmp, until its build has
 * ended. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "host/build_oci.h"
#include "host/builder.h"
#include "host/host_priv.h"
#include "host/image_rows.h"

#define LOOK_EVERY_BYTES (int64_t)(64 * MIB)

static const char *const kinds[] = {[UPLOAD_OCI] = "oci", [UPLOAD_DOCKERFILE] = "dockerfile"};

struct build_upload {
    struct host *host;
    struct container *container;
    int fd;
    int64_t bytes, looked_at;
};

static void container_free(void *arg)
{
    struct container *c = arg;
    if (!c)
        return;
    if (c->source[0])
        unlink(c->source);
    if (c->work[0])
        dir_remove(c->work);
    free(c);
}

static int run(struct build *b, void *arg, struct err *e)
{
    struct container *c = arg;
    char archive[PATH_MAX];
    int r = dir_make(c->work, 0700);
    if (r < 0)
        return err_errno(e, r, "make %s", c->work);
    path_printf(archive, sizeof(archive), "%s", c->source);
    if (c->kind == UPLOAD_DOCKERFILE)
        r = container_build(b, c, archive, e);
    if (r == 0)
        r = container_make(b, c, archive, e);
    if (r == 0)
        image_renew(build_host(b)->images, c->name);
    return r;
}

static int check_name(struct host *h, const char *name, struct err *e)
{
    static const char *const words[] = {"base", "kernel", "builds", "remote", "pull"};
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (n == 0 || n >= IMAGE_KEY_SIZE || name[n] || *name == '-')
        return err_field(e, "name",
                         "the name of an image has 1 to %d characters of a-z, 0-9 and -, and does "
                         "not begin with -",
                         IMAGE_KEY_SIZE - 1);
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (strcmp(name, words[i]) == 0)
            return err_field(e, "name", "an image cannot be called \"%s\"", name);
    }
    if (id_valid(name))
        return err_field(e, "name", "the name \"%s\" looks like an id: take another", name);
    if (builder_has(h->config, name)) {
        err_field(e, "name", "\"%s\" is the name of one of Holm's own images: take another", name);
        if (e)
            e->class = ERR_CONFLICT;
        return -EBUSY;
    }
    return 0;
}

int build_check_room(int fd, int64_t more, struct err *e)
{
    struct statvfs v;
    if (fstatvfs(fd, &v) < 0)
        return err_errno(e, -errno, "look at the free room");
    int64_t free_bytes = (int64_t)v.f_bavail * (int64_t)v.f_frsize;
    if (free_bytes - more >= (int64_t)IMAGE_FREE_MIN_BYTES)
        return 0;
    return err_set(e, ERR_FULL, "the host's disk has no room for this image");
}

static int too_large(struct err *e)
{
    return err_set(e, ERR_TOO_LARGE, "an image is made of at most %llu GiB",
                   BUILD_SOURCE_MAX_BYTES >> 30);
}

static int open_source(struct build_upload *u, const struct upload_order *o, struct err *e)
{
    struct container *c = u->container;
    char id[ID_SIZE];
    id_new(id);
    c->kind = o->kind;
    c->size_mib = o->size_mib;
    snprintf(c->name, sizeof(c->name), "%s", o->name);
    const char *data = u->host->config->data_dir;
    int r = path_printf(c->source, sizeof(c->source), "%s/tmp/" BUILD_WORK_PREFIX "upload-%s", data,
                        id);
    if (r == 0)
        r = path_printf(c->work, sizeof(c->work), "%s/tmp/" BUILD_WORK_PREFIX "work-%s", data, id);
    if (r < 0)
        return err_errno(e, r, "take an upload");
    u->fd = open(c->source, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (u->fd < 0)
        return err_errno(e, -errno, "open %s", c->source);
    if (o->length > (int64_t)BUILD_SOURCE_MAX_BYTES)
        return too_large(e);
    return build_check_room(u->fd, o->length > 0 ? o->length : 0, e);
}

int host_build_upload(struct host *h, const struct upload_order *o, struct build_upload **ret,
                      struct err *e)
{
    int r = check_name(h, o->name, e);
    if (r < 0)
        return r;
    if (o->size_mib && (o->size_mib < BUILD_SIZE_MIN_MIB || o->size_mib > BUILD_SIZE_MAX_MIB))
        return err_field(e, "sizeMib", "the size is %d to %d MiB", BUILD_SIZE_MIN_MIB,
                         BUILD_SIZE_MAX_MIB);
    const char *needs = o->kind == UPLOAD_DOCKERFILE ? container_build_needs() : NULL;
    if (needs)
        return err_set(e, ERR_UNAVAILABLE, "%s", needs);
    struct build_upload *u = calloc(1, sizeof(*u));
    if (u) {
        *u = (struct build_upload){.host = h, .fd = -EBADF};
        u->container = calloc(1, sizeof(*u->container));
    }
    r = u && u->container ? open_source(u, o, e) : err_errno(e, -ENOMEM, "take an upload");
    if (r < 0) {
        build_upload_free(u);
        return r;
    }
    *ret = u;
    return 0;
}

int build_upload_write(struct build_upload *u, const void *data, size_t len, struct err *e)
{
    if (len > BUILD_SOURCE_MAX_BYTES - (unsigned long long)u->bytes)
        return too_large(e);
    if (u->bytes - u->looked_at >= LOOK_EVERY_BYTES) {
        int r = build_check_room(u->fd, 0, e);
        if (r < 0)
            return r;
        u->looked_at = u->bytes;
    }
    int r = fd_write_all(u->fd, data, len);
    if (r == -ENOSPC)
        return err_set(e, ERR_FULL, "the host's disk is full");
    u->bytes += (int64_t)len;
    return r < 0 ? err_errno(e, r, "write what was uploaded") : 0;
}

int build_upload_finish(struct build_upload *u, struct build_info *ret, struct err *e)
{
    struct container *c = TAKE_PTR(u->container);
    const struct build_task task = {
        .kind = kinds[c->kind], .name = c->name, .run = run, .free = container_free, .arg = c};
    return builds_start(u->host, &task, ret, e);
}

void build_upload_free(struct build_upload *u)
{
    if (!u)
        return;
    cleanup_close(&u->fd);
    container_free(u->container);
    free(u);
}
