/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"

int path_printf(char *ret, size_t size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(ret, size, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < size)
        return 0;
    ret[0] = '\0';
    return -ENAMETOOLONG;
}

int fd_set_nonblock(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -errno;
    flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

static int wait_for(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, -1) < 0 && errno != EINTR ? -errno : 0;
}

int fd_write_all(int fd, const void *data, size_t len)
{
    const char *p = data;
    while (len) {
        ssize_t n = write(fd, p, len);
        if (n < 0) {
            int r = errno == EINTR ? 0 : errno == EAGAIN ? wait_for(fd, POLLOUT) : -errno;
            if (r < 0)
                return r;
            continue;
        }
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

int fd_read_all(int fd, void *ret, size_t len)
{
    char *p = ret;
    while (len) {
        ssize_t n = read(fd, p, len);
        if (n == 0)
            return -ENODATA;
        if (n < 0) {
            int r = errno == EINTR ? 0 : errno == EAGAIN ? wait_for(fd, POLLIN) : -errno;
            if (r < 0)
                return r;
            continue;
        }
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

int fd_slurp(int fd, struct buf *b, size_t max_bytes)
{
    for (;;) {
        char *room = buf_reserve(b, 16384);
        if (!room)
            return -ENOMEM;
        ssize_t n = read(fd, room, 16384);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        b->len += (size_t)n;
        b->data[b->len] = '\0';
        if (b->len > max_bytes)
            return -E2BIG;
        if (n == 0)
            return 0;
    }
}

int file_read(const char *path, struct buf *b, size_t max_bytes)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return fd_slurp(fd, b, max_bytes);
}

static int sync_parent(const char *path)
{
    char dir[PATH_MAX];
    int r = path_printf(dir, sizeof(dir), "%s", path);
    if (r < 0)
        return r;
    char *slash = strrchr(dir, '/');
    if (slash)
        *(slash == dir ? slash + 1 : slash) = '\0';
    auto_close int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return fsync(fd) < 0 ? -errno : 0;
}

static int write_synced(int fd, const void *data, size_t len, mode_t mode)
{
    int r = fd_write_all(fd, data, len);
    if (r < 0)
        return r;
    return fchmod(fd, mode) < 0 || fsync(fd) < 0 ? -errno : 0;
}

int file_write_atomic(const char *path, const void *data, size_t len, mode_t mode)
{
    char tmp[PATH_MAX];
    int r = path_printf(tmp, sizeof(tmp), "%s.XXXXXX", path);
    if (r < 0)
        return r;
    auto_close int fd = mkostemp(tmp, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    r = write_synced(fd, data, len, mode);
    if (r == 0 && rename(tmp, path) < 0)
        r = -errno;
    if (r < 0) {
        unlink(tmp);
        return r;
    }
    return sync_parent(path);
}

/* Copies the data runs between `at` and the end; holes stay holes. */
static int copy_sparse(int in, int out, off_t size)
{
    for (off_t at = 0; at < size;) {
        off_t data = lseek(in, at, SEEK_DATA);
        if (data < 0)
            return errno == ENXIO ? 0 : -errno;
        off_t end = lseek(in, data, SEEK_HOLE);
        if (end < 0)
            return -errno;
        loff_t from = data, to = data;
        while (from < end) {
            ssize_t n = copy_file_range(in, &from, out, &to, (size_t)(end - from), 0);
            if (n < 0)
                return -errno;
            if (n == 0)
                return -ENODATA;
        }
        at = end;
    }
    return 0;
}

int file_copy(const char *from, const char *to, mode_t mode)
{
    auto_close int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return -errno;
    struct stat st;
    if (fstat(in, &st) < 0)
        return -errno;
    auto_close int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (out < 0)
        return -errno;
    if (ioctl(out, FICLONE, in) == 0)
        return 0;
    int r = ftruncate(out, st.st_size) < 0 ? -errno : copy_sparse(in, out, st.st_size);
    if (r < 0)
        unlink(to);
    return r;
}

int dir_make(const char *path, mode_t mode)
{
    char p[PATH_MAX];
    int r = path_printf(p, sizeof(p), "%s", path);
    if (r < 0)
        return r;
    for (char *s = strchr(p + 1, '/'); s; s = strchr(s + 1, '/')) {
        *s = '\0';
        if (mkdir(p, mode) < 0 && errno != EEXIST)
            return -errno;
        *s = '/';
    }
    return mkdir(p, mode) < 0 && errno != EEXIST ? -errno : 0;
}

static int remove_at(int parent, const char *name, dev_t dev);

static int remove_children(int fd, dev_t dev)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return -errno;
    auto_closedir DIR *d = fdopendir(copy);
    if (!d) {
        close(copy);
        return -ENOMEM;
    }
    int r = 0;
    for (struct dirent *de; (de = readdir(d));) {
        if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
            continue;
        int k = remove_at(fd, de->d_name, dev);
        r = r < 0 ? r : k;
    }
    return r;
}

static int remove_at(int parent, const char *name, dev_t dev)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    auto_close int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (dev && st.st_dev != dev)
        return -EXDEV;
    int r = remove_children(fd, st.st_dev);
    if (r < 0)
        return r;
    return unlinkat(parent, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int dir_remove(const char *path)
{
    return remove_at(AT_FDCWD, path, 0);
}

static int unix_address(const char *path, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    return path_printf(ret->sun_path, sizeof(ret->sun_path), "%s", path);
}

int unix_listen(const char *path, mode_t mode, int backlog)
{
    struct sockaddr_un a;
    int r = unix_address(path, &a);
    if (r < 0)
        return r;
    auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (unlink(path) < 0 && errno != ENOENT)
        return -errno;
    /* The mode of the socket file comes from the descriptor's, so there is no moment in which it is
     * too open; what the umask took away is added afterwards. */
    if (fchmod(fd, mode) < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
        chmod(path, mode) < 0 || listen(fd, backlog) < 0)
        return -errno;
    return TAKE_FD(fd);
}

int unix_connect(const char *path)
{
    struct sockaddr_un a;
    int r = unix_address(path, &a);
    if (r < 0)
        return r;
    auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        return -errno;
    return TAKE_FD(fd);
}

int64_t dir_bytes(const char *path, int links_max)
{
    int64_t sum = 0;
    auto_closedir DIR *d = opendir(path);
    for (struct dirent *de; d && (de = readdir(d));) {
        struct stat st;
        if (fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            st.st_nlink <= (nlink_t)links_max)
            sum += st.st_blocks * INT64_C(512);
    }
    return sum;
}

struct file_stamp file_stamp_of(const struct stat *st)
{
    return (struct file_stamp){
        .dev = st->st_dev, .ino = st->st_ino, .size = st->st_size, .mtime = st->st_mtim};
}

bool file_stamp_same(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec;
}
