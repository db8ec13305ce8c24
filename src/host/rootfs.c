/* SPDX-License-Identifier: Apache-2.0 */
#include "host/rootfs.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"
#include "host/host_priv.h"
#include "host/image.h"
#include "host/image_rows.h"

#define EXTENTS_AT_ONCE 256
#define EXTENTS_MAX (1 << 20) /* of one file; more are not looked at */

/* File systems that have no reflinks never say that an extent is shared. */
static int64_t shared_bytes(int fd)
{
    size_t size = sizeof(struct fiemap) + EXTENTS_AT_ONCE * sizeof(struct fiemap_extent);
    auto_free struct fiemap *map = malloc(size);
    int64_t shared = 0;
    uint64_t from = 0;
    for (int seen = 0; map && seen < EXTENTS_MAX;) {
        memset(map, 0, size);
        map->fm_start = from;
        map->fm_length = FIEMAP_MAX_OFFSET - from;
        map->fm_extent_count = EXTENTS_AT_ONCE;
        if (ioctl(fd, FS_IOC_FIEMAP, map) < 0 || map->fm_mapped_extents == 0)
            break;
        const struct fiemap_extent *last = &map->fm_extents[map->fm_mapped_extents - 1];
        for (uint32_t i = 0; i < map->fm_mapped_extents; i++) {
            const struct fiemap_extent *x = &map->fm_extents[i];
            shared += x->fe_flags & FIEMAP_EXTENT_SHARED ? (int64_t)x->fe_length : 0;
        }
        if (last->fe_flags & FIEMAP_EXTENT_LAST)
            break;
        from = last->fe_logical + last->fe_length;
        seen += (int)map->fm_mapped_extents;
    }
    return shared;
}

bool host_rootfs(struct host *h, const char *image, struct rootfs_info *ret)
{
    struct stat st;
    *ret = (struct rootfs_info){0};
    image_path(h, image, "rootfs.ext4", ret->path);
    auto_close int fd = open(ret->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return false;
    ret->size_bytes = st.st_size;
    ret->allocated_bytes = (int64_t)st.st_blocks * 512;
    ret->shared_bytes = shared_bytes(fd);
    ret->names = (int)st.st_nlink;
    return true;
}

bool host_language_snapshot(struct host *h, const struct language *lang,
                            struct language_snapshot *ret)
{
    struct image_template t;
    char path[PATH_MAX];
    struct stat st;
    const struct image_ask ask = image_of_language(lang);
    if (!image_template(h->images, &ask, &t))
        return false;
    *ret = (struct language_snapshot){
        .vcpus = t.shape.vcpus, .memory_mib = t.shape.memory_mib, .disk_bytes = t.bytes};
    memcpy(ret->path, t.dir, sizeof(ret->path));
    if (path_printf(path, sizeof(path), "%s/state", t.dir) == 0 && stat(path, &st) == 0)
        ret->state_bytes = st.st_size;
    return true;
}

int host_language_reshape(struct host *h, const struct language *lang, int vcpus, int memory_mib,
                          struct err *e)
{
    struct machine_shape shape = {.vcpus = 1, .memory_mib = lang->memory_mib};
    const struct image_ask ask = image_of_language(lang);
    int cpus = get_nprocs(), least = shape.memory_mib;
    image_shape(h->images, &ask, &shape);
    shape.vcpus = vcpus ? vcpus : shape.vcpus;
    shape.memory_mib = memory_mib ? memory_mib : shape.memory_mib;
    if (shape.vcpus < 1 || shape.vcpus > cpus || shape.vcpus > VM_VCPUS_MAX)
        return err_field(e, "vcpus", "vcpus is 1 to %d on this host",
                         cpus < VM_VCPUS_MAX ? cpus : VM_VCPUS_MAX);
    if (shape.memory_mib < least)
        return err_field(e, "mem_mb", "%s needs at least %d MiB", lang->name, least);
    if (shape.memory_mib > h->admission.memory_max_mib)
        return err_field(e, "mem_mb", "all VMs together have at most %d MiB on this host",
                         h->admission.memory_max_mib);
    return image_reshape(h->images, &ask, &shape, e);
}
