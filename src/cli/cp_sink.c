/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cp_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

static int fail_errno(const char *what, const char *path, int r, struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "cannot %s %.300s: %s", what, path, strerror(-r));
}

/* "dir/.name.XXXXXX" for "dir/name" */
static int name_beside(const char *path, char ret[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    int dir_len = slash ? (int)(slash - path) + 1 : 0;
    return path_printf(ret, PATH_MAX, "%.*s.%.200s.XXXXXX", dir_len, path,
                       slash ? slash + 1 : path);
}

static int open_beside(struct cp_sink *s, const char *path, mode_t mode, struct err *e)
{
    /* Through a symbolic link: what it points to is replaced, not the link. */
    int r = realpath(path, s->final) ? 0 : path_printf(s->final, sizeof(s->final), "%s", path);
    if (r == 0)
        r = name_beside(s->final, s->beside);
    if (r < 0)
        return fail_errno("write", path, r, e);
    s->fd = mkostemp(s->beside, O_CLOEXEC);
    if (s->fd < 0) {
        s->beside[0] = '\0';
        return fail_errno("write", path, -errno, e);
    }
    s->is_regular = true;
    return fchmod(s->fd, mode & 0777) < 0 ? fail_errno("write", path, -errno, e) : 0;
}

int cp_sink_open_file(struct cli *cli, const char *path, mode_t mode, struct cp_sink *ret,
                      struct err *e)
{
    struct stat st;
    *ret = (struct cp_sink){.cli = cli, .fd = -1, .tar.fd = -1};
    if (!strcmp(path, "-")) {
        ret->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
        return ret->fd < 0 ? fail_errno("write to", "standard output", -errno, e) : 0;
    }
    if (stat(path, &st) < 0 || S_ISREG(st.st_mode))
        return open_beside(ret, path, mode, e);
    if (S_ISDIR(st.st_mode))
        return fail_errno("write", path, -EISDIR, e);
    ret->fd = open(path, O_WRONLY | O_CLOEXEC);
    return ret->fd < 0 ? fail_errno("write", path, -errno, e) : 0;
}

int cp_sink_open_dir(struct cli *cli, const char *path, struct cp_sink *ret, struct err *e)
{
    struct stat st;
    *ret = (struct cp_sink){.cli = cli, .fd = -1, .is_dir = true, .tar.fd = -1};
    if (mkdir(path, 0777) < 0 && errno != EEXIST)
        return fail_errno("make the directory", path, -errno, e);
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return fail_errno("copy a directory to", path, -ENOTDIR, e);
    return cp_tar_unpack(path, &ret->tar, e);
}

/* The archive's end comes before the stream's; what follows it is padding that tar need not take.
 */
static int write_tar(struct cp_sink *s, const char *data, size_t len, struct err *e)
{
    if (!s->tar.pid)
        return 0;
    int r = interrupt_write(&s->cli->interrupt, s->tar.fd, data, len);
    if (r == -EPIPE)
        return cp_tar_finish(&s->tar, e);
    return r == 0 || r == -ECANCELED ? r : fail_errno("write to", "tar", r, e);
}

int cp_sink_write(struct cp_sink *s, const char *data, size_t len, struct err *e)
{
    if (s->is_dir)
        return write_tar(s, data, len, e);
    int r = s->is_regular ? fd_write_all(s->fd, data, len)
                          : interrupt_write(&s->cli->interrupt, s->fd, data, len);
    if (r == 0 || r == -ECANCELED || r == -EPIPE)
        return r;
    return fail_errno("write", *s->final ? s->final : "what is copied", r, e);
}

int cp_sink_commit(struct cp_sink *s, struct err *e)
{
    if (s->is_dir)
        return s->tar.pid ? cp_tar_finish(&s->tar, e) : 0;
    if (!*s->beside)
        return 0;
    int r = close(s->fd) < 0 ? -errno : 0;
    s->fd = -1;
    if (r == 0 && rename(s->beside, s->final) < 0)
        r = -errno;
    if (r < 0)
        return fail_errno("write", s->final, r, e);
    s->beside[0] = '\0';
    return 0;
}

void cp_sink_done(struct cp_sink *s)
{
    cp_tar_done(&s->tar);
    if (s->fd >= 0)
        close(s->fd);
    if (*s->beside)
        unlink(s->beside);
    *s = (struct cp_sink){.fd = -1, .tar.fd = -1};
}
