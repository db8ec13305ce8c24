/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/agent.h"

int path_param(const struct call *c, char ret[AGENT_PATH_MAX_BYTES], struct err *e)
{
    int r = call_param(c, "path", ret, AGENT_PATH_MAX_BYTES, e);
    if (r < 0)
        return r;
    if (r == 0 || ret[0] != '/')
        return err_field(e, "path", "path must be an absolute path");
    return 0;
}

int path_params_beneath(const struct call *c, char root[AGENT_PATH_MAX_BYTES],
                        char path[AGENT_PATH_MAX_BYTES], struct err *e)
{
    int r = call_param(c, "root", root, AGENT_PATH_MAX_BYTES, e);
    if (r >= 0 && (r == 0 || root[0] != '/'))
        return err_field(e, "root", "root must be an absolute path");
    path[0] = '\0';
    r = r < 0 ? r : call_param(c, "path", path, AGENT_PATH_MAX_BYTES, e);
    if (r >= 0 && path[0] == '/')
        return err_field(e, "path", "path must be relative to root");
    return r < 0 ? r : 0;
}

int path_open(const struct agent *a, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC), .resolve = RESOLVE_IN_ROOT};
    long fd = syscall(SYS_openat2, a->files_root_fd, path, &how, sizeof(how));
    return fd < 0 ? -errno : (int)fd;
}

static int open_no_links(int dir_fd, const char *path, int flags, uint64_t resolve)
{
    struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC),
        .resolve = resolve | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, dir_fd, path[0] ? path : ".", &how, sizeof(how));
    return fd < 0 ? -errno : (int)fd;
}

int path_open_beneath(int dir_fd, const char *path, int flags)
{
    return open_no_links(dir_fd, path, flags, RESOLVE_BENEATH);
}

int path_open_root(const struct agent *a, const char *path)
{
    return open_no_links(a->files_root_fd, path, O_PATH | O_DIRECTORY, RESOLVE_IN_ROOT);
}

int path_error(int r, const char *what, struct err *e)
{
    if (r == -ELOOP)
        err_set(e, ERR_INVALID, "%s: a symbolic link, which is not followed", what);
    else if (r == -EXDEV)
        err_set(e, ERR_INVALID, "%s: leads out of where it must be", what);
    else
        return call_file_error(r, what, e);
    return 0;
}

int path_open_parent(const struct agent *a, char *path, const char **ret_name)
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        path[--len] = '\0';
    char *slash = strrchr(path, '/');
    if (slash[1] == '\0' || strcmp(slash, "/.") == 0 || strcmp(slash, "/..") == 0)
        return -EINVAL;
    *slash = '\0';
    int fd = path_open(a, path[0] ? path : "/", O_PATH | O_DIRECTORY);
    *ret_name = slash + 1;
    return fd;
}
