/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/cleanup.h"

#define MOUNT_POINT "/sys/fs/cgroup"
#define NAME_SIZE 32
#define FILE_SIZE 1024 /* what is read of a group's file */

struct cgroup_left {
    uint64_t serial;
    struct cgroup_left *next;
};

/* Writes a file of a group. */
static int put(int dir_fd, const char *name, const char *text)
{
    auto_close int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);
    return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int put_number(int dir_fd, const char *name, int64_t n)
{
    char text[32];
    snprintf(text, sizeof(text), "%" PRId64, n);
    return put(dir_fd, name, text);
}

/* What counts pages costs something whenever one is taken, also where nothing is bounded. So a
 * controller is turned on when the first bound of its kind is asked for, from the root down. */
static int enable(struct cgroups *cs, const char *controller)
{
    auto_close int root = open(MOUNT_POINT, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    int r = root < 0 ? -errno : put(root, "cgroup.subtree_control", controller);
    return r < 0 ? r : put(cs->dir_fd, "cgroup.subtree_control", controller);
}

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

static int limit_memory(struct cgroups *cs, const struct cgroup *cg, int64_t bytes)
{
    int r = enable(cs, "+memory");
    r = r < 0 ? r : put_number(cg->fd, "memory.max", bytes);
    if (r < 0)
        return r;
    (void)put(cg->fd, "memory.swap.max", "0"); /* a kernel without swap has no such file */
    return put(cg->fd, "memory.oom.group", "1");
}

static int limit_processes(struct cgroups *cs, const struct cgroup *cg, int64_t n)
{
    int r = enable(cs, "+pids");
    return r < 0 ? r : put_number(cg->fd, "pids.max", n);
}

int cgroup_limit(struct cgroups *cs, const struct cgroup *cg, const struct exec_limits *limits,
                 struct err *e)
{
    if (!limits->memory_bytes && !limits->processes)
        return 0;
    if (cg->fd < 0)
        return err_field(e, "limits", "memory and processes cannot be bounded here");
    int r = limits->memory_bytes ? limit_memory(cs, cg, limits->memory_bytes) : 0;
    if (r < 0)
        return err_field(e, "limits", "memory_bytes: %s", strerror(-r));
    r = limits->processes ? limit_processes(cs, cg, limits->processes) : 0;
    return r < 0 ? err_field(e, "limits", "processes: %s", strerror(-r)) : 0;
}

/* The number behind `key` in a file of "key number" lines, or ("") the file's only one; -1: there
 * is none. */
static int64_t read_number(const struct cgroup *cg, const char *file, const char *key)
{
    char text[FILE_SIZE + 1];
    auto_close int fd = openat(cg->fd, file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, FILE_SIZE);
    if (n <= 0)
        return -1;
    text[n] = '\0';
    size_t len = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (len == 0 || (strncmp(line, key, len) == 0 && line[len] == ' '))
            return strtoll(line + len, NULL, 10);
    }
    return -1;
}

void cgroup_bound_files(const struct cgroup *cg, int64_t bytes)
{
    const struct rlimit limit = {(rlim_t)bytes, (rlim_t)bytes};
    /* Twice: what was started between the reading and the bounding has it not. */
    for (int i = 0; i < 2 && cg->fd >= 0; i++) {
        auto_close int fd = openat(cg->fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
        char text[4096];
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        text[n < 0 ? 0 : n] = '\0';
        for (char *at = text, *end; *at; at = *end ? end + 1 : end) {
            long pid = strtol(at, &end, 10);
            if (end == at)
                break;
            (void)prlimit((pid_t)pid, RLIMIT_FSIZE, &limit, NULL); /* it may have ended */
        }
    }
}

void cgroup_account(const struct cgroup *cg, struct exec_exit *x)
{
    if (cg->fd < 0)
        return;
    int64_t cpu_us = read_number(cg, "cpu.stat", "usage_usec");
    int64_t peak_bytes = read_number(cg, "memory.peak", "");
    if (cpu_us >= 0)
        x->cpu_us = cpu_us;
    if (peak_bytes >= 0)
        x->memory_peak_bytes = peak_bytes;
    if (peak_bytes >= 0)
        x->oom = read_number(cg, "memory.events", "oom_kill") > 0;
}

void cgroup_kill(const struct cgroup *cg)
{
    if (cg->fd < 0)
        return;
    /* A kernel before 5.14 has no such file: the process group has been killed anyway. */
    (void)put(cg->fd, "cgroup.kill", "1");
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
