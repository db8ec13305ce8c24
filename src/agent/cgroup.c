/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/cleanup.h"

#define MOUNT_POINT "/sys/fs/cgroup"
#define NAME_SIZE 32

struct cgroup_left {
    uint64_t serial;
    struct cgroup_left *next;
};

void cgroup_init(struct cgroups *cs, bool enabled)
{
    struct statfs sfs;
    *cs = (struct cgroups){.dir_fd = -EBADF};
    if (!enabled || statfs(MOUNT_POINT, &sfs) < 0 || sfs.f_type != CGROUP2_SUPER_MAGIC)
        return;
    if (mkdir(MOUNT_POINT "/holm", 0755) < 0 && errno != EEXIST)
        return;
    cs->dir_fd = open(MOUNT_POINT "/holm", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
}

void cgroup_done(struct cgroups *cs)
{
    cgroup_sweep(cs);
    for (struct cgroup_left *l = cs->left, *next; l; l = next) {
        next = l->next;
        free(l);
    }
    cs->left = NULL;
    cleanup_close(&cs->dir_fd);
}

static void name_of(uint64_t serial, char ret[NAME_SIZE])
{
    snprintf(ret, NAME_SIZE, "exec-%" PRIu64, serial);
}

void cgroup_new(struct cgroups *cs, struct cgroup *ret)
{
    char name[NAME_SIZE];
    *ret = (struct cgroup){.fd = -EBADF};
    if (cs->dir_fd < 0)
        return;
    ret->serial = ++cs->serial;
    name_of(ret->serial, name);
    if (mkdirat(cs->dir_fd, name, 0755) == 0)
        ret->fd = openat(cs->dir_fd, name, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
}

void cgroup_kill(const struct cgroup *cg)
{
    if (cg->fd < 0)
        return;
    auto_close int fd = openat(cg->fd, "cgroup.kill", O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, "1", 1) < 0)
        return; /* a kernel before 5.14: the process group has been killed anyway */
}

static bool try_remove(struct cgroups *cs, uint64_t serial)
{
    char name[NAME_SIZE];
    name_of(serial, name);
    return unlinkat(cs->dir_fd, name, AT_REMOVEDIR) == 0 || errno != EBUSY;
}

void cgroup_free(struct cgroups *cs, struct cgroup *cg)
{
    if (cg->fd < 0)
        return;
    close(cg->fd);
    cg->fd = -EBADF;
    if (try_remove(cs, cg->serial))
        return;
    struct cgroup_left *l = malloc(sizeof(*l));
    if (!l)
        return;
    *l = (struct cgroup_left){.serial = cg->serial, .next = cs->left};
    cs->left = l;
}

void cgroup_sweep(struct cgroups *cs)
{
    struct cgroup_left **at = &cs->left;
    while (*at) {
        struct cgroup_left *l = *at;
        if (!try_remove(cs, l->serial)) {
            at = &l->next;
            continue;
        }
        *at = l->next;
        free(l);
    }
}
