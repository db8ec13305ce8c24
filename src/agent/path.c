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

int path_open(const struct agent *a, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC), .resolve = RESOLVE_IN_ROOT};
    long fd = syscall(SYS_openat2, a->files_root_fd, path, &how, sizeof(how));
    return fd < 0 ? -errno : (int)fd;
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
