/* SPDX-License-Identifier: Apache-2.0 */
#include "host/net_ns.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define STACK_BYTES (512 * 1024)
#define OWN_NS "/proc/thread-self/ns/net"

/* --- running inside --- */

struct visit {
    int ns_fd; /* -1: a new namespace */
    int (*fn)(void *arg);
    void *arg;
    int result;
};

static void *visit(void *arg)
{
    struct visit *v = arg;
    int r = v->ns_fd < 0 ? unshare(CLONE_NEWNET) : setns(v->ns_fd, CLONE_NEWNET);
    v->result = r < 0 ? -errno : v->fn(v->arg);
    return NULL;
}

static int run(struct visit *v)
{
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    int r = -pthread_create(&thread, &attr, visit, v);
    pthread_attr_destroy(&attr);
    if (r < 0)
        return r;
    pthread_join(thread, NULL);
    return v->result;
}

int net_ns_run(int ns_fd, int (*fn)(void *arg), void *arg)
{
    struct visit v = {.ns_fd = ns_fd, .fn = fn, .arg = arg};
    return ns_fd < 0 ? -EBADF : run(&v);
}

/* --- names --- */

/* As iproute2 does: a mount point that shares its mounts, so that a namespace removed here is also
 * removed for processes with mount namespaces of their own. */
static int make_dir(void)
{
    int r = dir_make(NET_NS_DIR, 0755);
    if (r < 0)
        return r;
    if (mount("", NET_NS_DIR, "none", MS_SHARED | MS_REC, NULL) == 0)
        return 0;
    if (errno != EINVAL || mount(NET_NS_DIR, NET_NS_DIR, "none", MS_BIND | MS_REC, NULL) < 0 ||
        mount("", NET_NS_DIR, "none", MS_SHARED | MS_REC, NULL) < 0)
        return -errno;
    return 0;
}

static int name_path(const char *name, char ret[PATH_MAX])
{
    return path_printf(ret, PATH_MAX, NET_NS_DIR "/%s", name);
}

static int pin(void *arg)
{
    return mount(OWN_NS, arg, "none", MS_BIND, NULL) < 0 ? -errno : 0;
}

int net_ns_make(const char *name)
{
    char path[PATH_MAX];
    int r = name_path(name, path);
    if (r == 0)
        r = make_dir();
    if (r < 0)
        return r;
    auto_close int file = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
    if (file < 0)
        return -errno;
    struct visit v = {.ns_fd = -1, .fn = pin, .arg = path};
    r = run(&v);
    if (r == 0)
        r = net_ns_open(name);
    if (r < 0)
        net_ns_remove(name);
    return r;
}

int net_ns_open(const char *name)
{
    char path[PATH_MAX];
    struct stat st, own;
    int r = name_path(name, path);
    if (r < 0)
        return r;
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || stat(OWN_NS, &own) < 0)
        return -errno;
    /* A name whose namespace was never pinned, or is gone, is an ordinary file. */
    return st.st_dev == own.st_dev ? TAKE_FD(fd) : -ENOENT;
}

int net_ns_remove(const char *name)
{
    char path[PATH_MAX];
    int r = name_path(name, path);
    if (r < 0)
        return r;
    umount2(path, MNT_DETACH);
    return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int net_ns_home(void)
{
    int fd = open(OWN_NS, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* --- settings --- */

/* In many containers /proc/sys is mounted read-only; a procfs of our own, mounted nowhere, is not.
 */
static int open_private(const char *path, int flags)
{
    auto_close int fs = (int)syscall(SYS_fsopen, "proc", 1 /* FSOPEN_CLOEXEC */);
    if (fs < 0 || syscall(SYS_fsconfig, fs, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0) < 0)
        return -errno;
    auto_close int root = (int)syscall(SYS_fsmount, fs, 1 /* FSMOUNT_CLOEXEC */, 0);
    if (root < 0)
        return -errno;
    int fd = openat(root, path, flags);
    return fd < 0 ? -errno : fd;
}

char net_ns_sysctl_get(const char *name)
{
    char path[PATH_MAX], c = 0;
    if (path_printf(path, sizeof(path), "/proc/sys/net/%s", name) < 0)
        return 0;
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && read(fd, &c, 1) == 1 ? c : 0;
}

int net_ns_sysctl(const char *name, const char *value)
{
    char path[PATH_MAX];
    int r = path_printf(path, sizeof(path), "/proc/sys/net/%s", name);
    if (r < 0)
        return r;
    if (!value[1] && net_ns_sysctl_get(name) == value[0])
        return 0;
    auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 && (errno == EROFS || errno == EACCES))
        fd = open_private(path + strlen("/proc/"), O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == 0 ? -EIO : -errno;
    return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}
