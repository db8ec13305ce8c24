/* SPDX-License-Identifier: Apache-2.0 */

/* The stub host's builds: they wait until somebody cancels them. "python", "c" and "mine" may be
 * built, each once at a time. What is uploaded is any bytes, unless they begin with "bad". */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/stub_vms.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "host/builds.h"
#include "host/rootfs.h"

#define BUILDS_MAX 64

struct build_upload {
    struct build_info info;
    bool is_bad;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct build_info builds[BUILDS_MAX];
static size_t n_builds;

void stub_builds_reset(void)
{
    n_builds = 0;
}

void stub_builds_fail(void)
{
    AUTO_LOCK(&lock);
    for (size_t i = 0; i < n_builds; i++) {
        if (builds[i].state != BUILD_RUNNING)
            continue;
        builds[i].state = BUILD_FAILED;
        snprintf(builds[i].detail, sizeof(builds[i].detail), "no such wheel");
    }
}

const char *build_state_name(enum build_state state)
{
    static const char *const names[] = {"waiting", "running", "done", "failed", "cancelled"};
    return names[state];
}

static struct build_info *find(const char *id)
{
    for (size_t i = 0; i < n_builds; i++) {
        if (strcmp(builds[i].id, id) == 0)
            return &builds[i];
    }
    return NULL;
}

static int add(const char *kind, const char *name, struct build_info *ret, struct err *e)
{
    AUTO_LOCK(&lock);
    for (size_t i = 0; i < n_builds; i++) {
        if (strcmp(builds[i].name, name) == 0 && builds[i].state == BUILD_RUNNING)
            return err_set(e, ERR_CONFLICT, "image %s is being made already", name);
    }
    if (n_builds == BUILDS_MAX)
        return err_set(e, ERR_FULL, "too many builds");
    struct build_info *b = &builds[n_builds++];
    *b = (struct build_info){
        .state = BUILD_RUNNING, .created_ns = 1, .started_ns = 2, .done = 1, .total = 3};
    id_new(b->id);
    snprintf(b->kind, sizeof(b->kind), "%s", kind);
    snprintf(b->name, sizeof(b->name), "%s", name);
    snprintf(b->step, sizeof(b->step), "install packages");
    *ret = *b;
    return 0;
}

int host_build_image(struct host *h, const struct image_order *o, struct build_info *ret,
                     struct err *e)
{
    STUB_MAY_FAIL(e);
    if (strcmp(o->name, "python") != 0 && strcmp(o->name, "c") != 0) {
        err_field(e, "name", "there is no recipe for an image \"%s\"", o->name);
        e->class = ERR_NOT_FOUND;
        return -ENOENT;
    }
    if (o->toolchain && !o->sha256)
        return err_field(e, "sha256", "a toolchain needs its sha256");
    int r = add("image", o->name, ret, e);
    if (r == 0)
        snprintf(find(ret->id)->detail, sizeof(ret->detail), "size=%d force=%d toolchain=%s",
                 o->size_mib, o->force, o->toolchain ? o->toolchain : "");
    return r;
}

int host_build_list(struct host *h, struct build_info **ret, size_t *ret_n, struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    *ret = calloc(BUILDS_MAX, sizeof(**ret));
    for (size_t i = 0; i < n_builds; i++)
        (*ret)[i] = builds[n_builds - 1 - i];
    *ret_n = n_builds;
    return 0;
}

int host_build_get(struct host *h, const char *id, struct build_info *ret, struct err *e)
{
    STUB_MAY_FAIL(e);
    AUTO_LOCK(&lock);
    const struct build_info *b = find(id);
    if (!b)
        return err_set(e, ERR_NOT_FOUND, "there is no build %s", id);
    *ret = *b;
    return 0;
}

bool host_build_of(struct host *h, const char *name, struct build_info *ret)
{
    bool found = false;
    AUTO_LOCK(&lock);
    for (size_t i = 0; i < n_builds; i++) {
        if (strcmp(builds[i].name, name) == 0) {
            *ret = builds[i];
            found = true;
        }
    }
    return found;
}

int host_build_log(struct host *h, const char *id, struct buf *ret, struct err *e)
{
    struct build_info b;
    int r = host_build_get(h, id, &b, e);
    return r < 0 ? r : buf_printf(ret, "== install packages\nof %s\n", b.name);
}

int host_build_cancel(struct host *h, const char *id, struct build_info *ret, struct err *e)
{
    int r = host_build_get(h, id, ret, e);
    if (r == 0 && ret->state != BUILD_RUNNING)
        return err_set(e, ERR_CONFLICT, "build %s has ended already", id);
    if (r < 0)
        return r;
    AUTO_LOCK(&lock);
    struct build_info *b = find(id);
    b->state = BUILD_CANCELLED;
    b->ended_ns = 3;
    *ret = *b;
    return 0;
}

/* --- uploads --- */

int host_build_upload(struct host *h, const struct upload_order *o, struct build_upload **ret,
                      struct err *e)
{
    STUB_MAY_FAIL(e);
    if (strchr(o->name, '/'))
        return err_field(e, "name", "a name has a-z, 0-9 and -");
    if (o->length > 0 && (unsigned long long)o->length > BUILD_SOURCE_MAX_BYTES)
        return err_set(e, ERR_TOO_LARGE, "too large");
    struct build_upload *u = calloc(1, sizeof(*u));
    snprintf(u->info.name, sizeof(u->info.name), "%s", o->name);
    snprintf(u->info.kind, sizeof(u->info.kind), "%s",
             o->kind == UPLOAD_OCI ? "oci" : "dockerfile");
    *ret = u;
    return 0;
}

int build_upload_write(struct build_upload *u, const void *data, size_t len, struct err *e)
{
    u->is_bad |= len >= 3 && memcmp(data, "bad", 3) == 0;
    return 0;
}

int build_upload_finish(struct build_upload *u, struct build_info *ret, struct err *e)
{
    if (u->is_bad)
        return err_set(e, ERR_INVALID, "this is no archive");
    return add(u->info.kind, u->info.name, ret, e);
}

void build_upload_free(struct build_upload *u)
{
    free(u);
}

/* --- files of languages --- */

bool host_rootfs(struct host *h, const char *image, struct rootfs_info *ret)
{
    *ret = (struct rootfs_info){0};
    snprintf(ret->path, sizeof(ret->path), "/data/images/%.40s/rootfs.ext4", image);
    if (strcmp(image, "python") != 0)
        return false;
    *ret = (struct rootfs_info){.size_bytes = 2 * (int64_t)GIB,
                                .allocated_bytes = 100 * (int64_t)MIB,
                                .shared_bytes = 10 * (int64_t)MIB,
                                .names = 3};
    strcpy(ret->path, "/data/images/python/rootfs.ext4");
    return true;
}

bool host_language_snapshot(struct host *h, const struct language *lang,
                            struct language_snapshot *ret)
{
    if (strcmp(lang->name, "python") != 0)
        return false;
    *ret = (struct language_snapshot){
        .vcpus = 1, .memory_mib = 512, .state_bytes = 13516, .disk_bytes = 4096};
    strcpy(ret->path, "/data/templates/x");
    return true;
}

int host_language_reshape(struct host *h, const struct language *lang, int vcpus, int memory_mib,
                          struct err *e)
{
    STUB_MAY_FAIL(e);
    if (strcmp(lang->name, "slow") == 0)
        return err_set(e, ERR_CONFLICT, "the snapshot is being made already");
    if (memory_mib > 4096)
        return err_field(e, "mem_mb", "all VMs together have at most 4096 MiB on this host");
    return 0;
}
