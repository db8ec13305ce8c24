/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/qemu/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"

#define PERIOD_US 100000
#define CPU_EXTRA_PERCENT 25 /* for the monitor's own thread, besides its vCPUs */

const char *cgroup_name(enum cgroup_controller c)
{
    static const char *const names[CGROUP_COUNT] = {"memory", "cpu", "pids"};
    return names[c];
}

/* Whether the comma-separated `list` (ending at a space or newline) holds `word`. */
static bool list_has(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *p = list; *p && *p != '\n' && *p != ' ' && *p != ':';) {
        size_t n = strcspn(p, ", :\n");
        if (n == len && strncmp(p, word, len) == 0)
            return true;
        p += n;
        p += *p == ',';
    }
    return false;
}

/* Copies the mount point (field 5) of the first mount of type `type` whose super block options hold
 * `option` (NULL: any). */
static bool find_mount(const char *mountinfo, const char *type, const char *option,
                       char ret[PATH_MAX])
{
    for (const char *line = mountinfo; line && *line;
         line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        char mount_point[PATH_MAX], fs[64], options[1024];
        const char *dash = strstr(line, " - ");
        const char *end = strchrnul(line, '\n');
        if (!dash || dash > end || sscanf(line, "%*s %*s %*s %*s %1023s", mount_point) != 1 ||
            sscanf(dash + 3, "%63s %*s %1023s", fs, options) != 2)
            continue;
        if (strcmp(fs, type) == 0 && (!option || list_has(options, option)))
            return path_printf(ret, PATH_MAX, "%s", mount_point) == 0;
    }
    return false;
}

/* Finds our group of a controller ("" is version 2) in /proc/self/cgroup. Borrowed start, length.
 */
static const char *own_group(const char *self_cgroup, const char *controller, int *ret_len)
{
    for (const char *line = self_cgroup; line && *line;
         line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        const char *list = strchr(line, ':');
        const char *path = list ? strchr(list + 1, ':') : NULL;
        bool same = path && (*controller ? list_has(list + 1, controller) : path == list + 1);
        if (!same)
            continue;
        *ret_len = (int)strcspn(path + 1, "\n");
        return path + 1;
    }
    return NULL;
}

bool cgroup_v1_path(const char *mountinfo, const char *self_cgroup, const char *controller,
                    char ret[PATH_MAX])
{
    char mount_point[PATH_MAX];
    int len;
    const char *group = own_group(self_cgroup, controller, &len);
    if (!group || !find_mount(mountinfo, "cgroup", controller, mount_point))
        return false;
    if (len == 1)
        len = 0; /* "/" */
    return path_printf(ret, PATH_MAX, "%s%.*s", mount_point, len, group) == 0;
}

static int write_file(const char *dir, const char *name, const char *value)
{
    char path[PATH_MAX];
    int r = path_printf(path, sizeof(path), "%s/%s", dir, name);
    if (r < 0)
        return r;
    auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return fd_write_all(fd, value, strlen(value));
}

/* Each by itself: what a host does not delegate must not take the others along. 0 when one could
 * be enabled. */
static int enable_controllers(const char *dir)
{
    static const char *const controllers[] = {"+memory", "+cpu", "+pids"};
    int result = -ENOENT;
    for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
        int r = write_file(dir, "cgroup.subtree_control", controllers[i]);
        if (r == 0 || r == -EBUSY)
            result = result == 0 ? 0 : r;
    }
    return result;
}

/* Enables the controllers for groups below. A group with processes of its own cannot do that: if it
 * was given to us, we move into a leaf. */
static int enable_v2(const char *dir, bool delegated)
{
    char leaf[PATH_MAX];
    int r = enable_controllers(dir);
    if (r != -EBUSY || !delegated)
        return r;
    r = path_printf(leaf, sizeof(leaf), "%s/holmd", dir);
    if (r < 0 || (mkdir(leaf, 0755) < 0 && errno != EEXIST))
        return r < 0 ? r : -errno;
    r = write_file(leaf, "cgroup.procs", "0");
    return r < 0 ? r : enable_controllers(dir);
}

/* Whether groups below `dir` have this controller. */
static bool is_enabled(const char *dir, const char *controller)
{
    char path[PATH_MAX];
    auto_buf struct buf list = {0};
    if (path_printf(path, sizeof(path), "%s/cgroup.subtree_control", dir) < 0 ||
        file_read(path, &list, 4096) < 0)
        return false;
    size_t len = strlen(controller);
    for (const char *p = buf_str(&list); *p; p += strcspn(p, " \n"), p += strspn(p, " \n")) {
        if (strncmp(p, controller, len) == 0 && strchr(" \n", p[len]))
            return true;
    }
    return false;
}

static bool find_v2(const char *root, const char *mountinfo, const char *self, char ret[PATH_MAX])
{
    char mount_point[PATH_MAX], mark[8];
    int len = 0;
    const char *group = own_group(self, "", &len);
    if (root) {
        if (path_printf(ret, PATH_MAX, "%s", root) < 0)
            return false;
    } else if (!group || !find_mount(mountinfo, "cgroup2", NULL, mount_point) ||
               path_printf(ret, PATH_MAX, "%s%.*s", mount_point, len == 1 ? 0 : len, group) < 0) {
        return false;
    }
    /* systemd marks what it delegates (Delegate=yes). The root group is ours if we may write it. */
    bool delegated = root || len == 1 || getxattr(ret, "user.delegate", mark, sizeof(mark)) > 0 ||
                     getxattr(ret, "trusted.delegate", mark, sizeof(mark)) > 0;
    return delegated && enable_v2(ret, delegated) == 0;
}

static bool can_make_groups(const char *dir)
{
    char path[PATH_MAX];
    if (path_printf(path, sizeof(path), "%s/holm-check", dir) < 0)
        return false;
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return false;
    return rmdir(path) == 0;
}

void cgroup_find(const char *root, struct cgroup_host *ret)
{
    auto_buf struct buf mounts = {0};
    auto_buf struct buf self = {0};
    char dir[PATH_MAX];
    *ret = (struct cgroup_host){0};
    (void)file_read("/proc/self/mountinfo", &mounts, 4 * MIB);
    (void)file_read("/proc/self/cgroup", &self, 1 * MIB);
    if (find_v2(root, buf_str(&mounts), buf_str(&self), dir) && can_make_groups(dir)) {
        ret->version = 2;
        for (int i = 0; i < CGROUP_COUNT; i++) {
            if (is_enabled(dir, cgroup_name(i)))
                memcpy(ret->base[i], dir, sizeof(dir));
        }
        return;
    }
    for (int i = 0; i < CGROUP_COUNT && !root; i++) {
        if (!cgroup_v1_path(buf_str(&mounts), buf_str(&self), cgroup_name(i), dir) ||
            !can_make_groups(dir))
            continue;
        ret->version = 1;
        memcpy(ret->base[i], dir, sizeof(dir));
    }
}

static int group_path(const struct cgroup_host *host, int c, const char *id, char ret[PATH_MAX])
{
    return path_printf(ret, PATH_MAX, "%s/holm-%s", host->base[c], id);
}

static int bound(int version, int c, const char *dir, const struct machine_shape *shape,
                 int overhead_mib)
{
    char value[64];
    unsigned long long memory = (unsigned long long)(shape->memory_mib + overhead_mib) * MIB;
    long long quota_us = (long long)PERIOD_US * (shape->vcpus * 100 + CPU_EXTRA_PERCENT) / 100;
    if (c == CGROUP_MEMORY) {
        snprintf(value, sizeof(value), "%llu", memory);
        return write_file(dir, version == 2 ? "memory.max" : "memory.limit_in_bytes", value);
    }
    if (c == CGROUP_PIDS) {
        snprintf(value, sizeof(value), "%d", shape->vcpus + ENGINE_MONITOR_TASKS_MAX);
        return write_file(dir, "pids.max", value);
    }
    if (version == 2) {
        snprintf(value, sizeof(value), "%lld %d", quota_us, PERIOD_US);
        return write_file(dir, "cpu.max", value);
    }
    snprintf(value, sizeof(value), "%lld", quota_us);
    return write_file(dir, "cpu.cfs_quota_us", value);
}

void cgroup_make(const struct cgroup_host *host, const char *id, const struct machine_shape *shape,
                 int overhead_mib, struct argv *ret_procs)
{
    for (int c = 0; c < CGROUP_COUNT; c++) {
        static struct log_limit limit;
        char dir[PATH_MAX];
        if (!*host->base[c] || group_path(host, c, id, dir) < 0)
            continue;
        /* Two v1 controllers may be mounted together, and in v2 there is one directory for all. */
        bool made = mkdir(dir, 0755) == 0;
        int r =
            made || errno == EEXIST ? bound(host->version, c, dir, shape, overhead_mib) : -errno;
        if (r < 0 && log_limit_pass(&limit))
            log_warn("engine", "cgroup not bounded vm=%s controller=%s error=%s", id,
                     cgroup_name(c), strerror(-r));
        if (made)
            argv_add(ret_procs, "%s/cgroup.procs", dir);
    }
}

/* A group stays busy for a moment after its last process was reaped. */
static int remove_group(const char *dir)
{
    for (int i = 0; i < 200; i++) {
        if (rmdir(dir) == 0 || errno == ENOENT)
            return 0;
        if (errno != EBUSY)
            break;
        poll(NULL, 0, 5);
    }
    return -errno;
}

int cgroup_remove(const struct cgroup_host *host, const char *id, struct err *e)
{
    int first = 0;
    for (int c = 0; c < CGROUP_COUNT; c++) {
        char dir[PATH_MAX];
        if (!*host->base[c] || group_path(host, c, id, dir) < 0)
            continue;
        int r = remove_group(dir);
        if (r < 0 && first == 0)
            first = err_errno(e, r, "remove %s", dir);
    }
    return first;
}
