/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/qemu/sockets.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/fd.h"

int sockets_connect(const char *path, int timeout_ms)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int r = path_printf(a.sun_path, sizeof(a.sun_path), "%s", path);
    if (r < 0)
        return r;
    auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    /* A stream connect waits for room in the backlog as long as a send would. */
    struct timeval tv = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0 ||
        connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        return -errno;
    return TAKE_FD(fd);
}
